"""Undoing one change: which one, and what its folders hold afterwards, later changes kept."""

from collections.abc import Iterable, Mapping

from prowess.core.errors import PatchConflict, UserError
from prowess.library.patching import merge_files
from prowess.library.records import Change
from prowess.library.store import Store
from prowess.library.trees import Tree, skill_of


def to_undo(changes: list[Change], in_force: list[str], id: str | None) -> Change:
    """The change with this id, else the newest applied one that is in force, of `changes` newest first.

    Raises:
        UserError: there is none, or it is undone already.
    """
    for change in changes:
        if change.id == id or (id is None and change.kind == "apply" and change.id in in_force):
            if change.id not in in_force:
                raise UserError(f"change {id!r} is undone already", "undo the undo to bring it back")
            return change
    if id is not None:
        raise UserError(f"there is no change {id!r}", "`log` lists all changes")
    raise UserError("there is nothing to undo", "`log` lists all changes")


def taken_back(changes: Iterable[Change]) -> set[str]:
    """Ids of the changes that are taken back, given all of them, newest first."""
    found: set[str] = set()
    for change in changes:
        if change.kind == "undo" and change.id not in found and change.undoes is not None:
            found.add(change.undoes)
    return found


def undone(change: Change, digests: Mapping[str, str], store: Store) -> dict[str, Tree | None]:
    """What the folders that `change` touched hold without it; those that hold that already are left out.

    Args:
        digests: Content digests of the folders as they are now.

    Raises:
        PatchConflict: later changes touched the same lines.
    """
    new: dict[str, Tree | None] = {}
    conflicts: list[str] = []
    for name, (before, after) in change.trees.items():
        now = digests.get(name)
        if now == before:
            continue
        target = store.tree(before) if before else None
        if now != after:
            target, found = _merged(name, after, now, target, store)
            conflicts += found
        new[name] = target
    if conflicts:
        raise PatchConflict(conflicts)
    return new


def _merged(
    name: str, base: str | None, ours: str | None, theirs: Tree | None, store: Store
) -> tuple[Tree | None, list[str]]:
    """A folder that later changes touched too, merged with its state before the change that is undone."""
    if theirs is None or ours is None or base is None:
        return None, [f"{name}: later changes edited, created or deleted the whole skill"]
    origin, here = store.tree(base), store.tree(ours)
    merged, conflicts = merge_files(dict(origin), dict(here), dict(theirs), f"{name}/")
    if not conflicts and (problems := skill_of(name, merged).problems) and not skill_of(name, here).problems:
        conflicts = [f"{name}: the merge is not a valid skill: {problem}" for problem in problems]
    return merged, conflicts
