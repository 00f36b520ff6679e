"""Taking a skill out of a library without losing it, and bringing it back."""

from prowess.core.errors import UserError
from prowess.core.patch import CreateSkill, DeleteSkill, Patch
from prowess.core.skill import Snapshot
from prowess.library.library import Library
from prowess.library.records import Change


def removal(snapshot: Snapshot, name: str, reason: str, author: str = "") -> Patch:
    """The patch that archives one skill. The library keeps every version, so `restore` can bring it back.

    Raises:
        UserError: there is no such skill.
    """
    if snapshot.get(name) is None:
        raise UserError(f"the library has no skill {name!r}", "`prowess show` lists its skills")
    return Patch(base=snapshot.digest, operations=(DeleteSkill(name=name),), reason=reason, author=author)


def restore(library: Library, name: str, *, by: str = "") -> Change:
    """Brings an archived skill back as it was last.

    The change that took it out is undone, which gives back its bytes and its authorship. Where that change did more, it
    stays in force and the skill alone is written anew, then as prowess's own.

    Raises:
        UserError: the skill is there, or never was.
        PatchConflict: something else of its name lies in the library.
    """
    if library.snapshot().get(name) is not None:
        raise UserError(f"skill {name!r} is in the library", "there is nothing to restore")
    last = library.upkeep.archived().get(name)
    if last is None:
        raise UserError(f"the library never had a skill {name!r}", "`prowess lifecycle` lists those that it archived")
    gone = library.versions(name)[0]
    change = library.change(gone.change)
    if set(change.trees) == {name}:
        return library.undo(change.id, by=by)
    was = library.at(library.change(last.change).after).get(name)
    if was is None:
        raise UserError(f"skill {name!r} was never readable", "its files lie in the library's history, not as a skill")
    patch = Patch(
        base=library.snapshot().digest,
        operations=(CreateSkill(skill=was),),
        reason=f"restores {name}, which change {change.id[:8]} took out",
        author=by,
    )
    return library.apply(patch, by=by)
