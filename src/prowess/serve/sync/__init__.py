"""Keeping a library in step with its team's: what is new there comes here, what was changed here is proposed there.

The team's library lies on a hub (`prowess.serve.sync.hub`) or in a git repository (`prowess.serve.sync.git`); the step
is the same. For each skill three texts are compared: as both had it at the last time, as it is here, and as it is
there. What only one side changed goes to the other; what both changed is merged line by line; where that does not work,
nothing is touched and both are named. A skill that the team never had leaves this machine only when it is named.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import ValidationError

from prowess.core.base import Frozen, digest
from prowess.core.errors import UserError
from prowess.library import Library
from prowess.library.disk import write_file
from prowess.library.patching import merge_files
from prowess.library.trees import Tree, tree_digest

_HOW = "edit the skill here until it holds both, or delete it here to take the other"


class Remote(Protocol):
    """Where the team's library lies."""

    @property
    def name(self) -> str:
        """Tells it from others; the state of the last time is kept under it."""
        ...

    def trees(self, known: "Known") -> Mapping[str, Tree]:
        """Its skills now; `known` gives those whose content is here already."""
        ...

    def give(self, name: str, tree: Tree | None, base: Tree | None, message: str) -> str:
        """Proposes a skill, or its removal (None), in place of `base`; says where that waits."""
        ...


class Known(Protocol):
    """Contents that this library has had."""

    def __call__(self, tree: str) -> Tree | None: ...


class Last(Frozen):
    """What both sides had after the last time."""

    remote: str
    trees: dict[str, str] = {}
    """Name to tree digest."""
    given: dict[str, str] = {}
    """What was proposed and has not come back yet, in the same way."""


@dataclass(frozen=True, slots=True)
class Steps:
    """What makes two libraries alike."""

    take: dict[str, Tree | None] = field(default_factory=dict[str, Tree | None])
    """To be put here; None to be taken away."""
    give: dict[str, Tree | None] = field(default_factory=dict[str, Tree | None])
    """To be proposed there."""
    conflicts: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """Skills that both sides changed in ways that do not fit together, with the places."""


@dataclass(frozen=True, slots=True)
class Synced:
    """What was done."""

    taken: tuple[str, ...]
    given: dict[str, str]
    """Where each proposal waits, by skill; or why it was refused."""
    conflicts: dict[str, list[str]]
    new: tuple[str, ...]
    """Skills of this library that the team does not have, and that were not named."""


def reconcile(base: Mapping[str, Tree], ours: Mapping[str, Tree], theirs: Mapping[str, Tree]) -> Steps:
    """The steps for three states of two libraries. Pure."""
    steps = Steps()
    for name in sorted({*base, *ours, *theirs}):
        was, here, there = base.get(name), ours.get(name), theirs.get(name)
        if here == there:
            continue
        if here == was:
            steps.take[name] = there
        elif there == was:
            steps.give[name] = here
        elif here is None or there is None:
            steps.conflicts[name] = ["one side deleted it, the other changed it"]
        else:
            merged, conflicts = merge_files(dict(was or {}), dict(here), dict(there), f"{name}/")
            if conflicts:
                steps.conflicts[name] = conflicts
                continue
            if merged != here:
                steps.take[name] = merged
            if merged != there:
                steps.give[name] = merged
    return steps


def sync(library: Library, remote: Remote, *, propose: Collection[str] = (), dry: bool = False) -> Synced:
    """Brings `library` in step with `remote`.

    Args:
        propose: Skills that the team does not have yet and shall have.
        dry: Say what would be done, and do nothing.

    Raises:
        UserError: a skill to propose is not there.
        BoundaryError: the remote does not answer. What was taken before stays, and the next time goes on.
    """
    known = _known(library)
    ours = library.trees()
    if unknown := sorted(set(propose) - {*ours}):
        raise UserError(f"there is no skill {unknown[0]!r} here", "`prowess show` lists those that are")
    last = _read(library, remote)
    theirs = remote.trees(known)
    base = {name: tree for name, sha in last.trees.items() if (tree := known(sha)) is not None}
    # What was proposed from here and is there now is what both had, whatever became of it here since.
    base |= {name: tree for name, tree in theirs.items() if last.given.get(name) == tree_digest(tree)}
    steps = reconcile(base, ours, theirs)
    new = tuple(name for name in steps.give if name not in last.trees and name not in theirs and name not in propose)
    give = {name: tree for name, tree in steps.give.items() if name not in new}
    if dry:
        return Synced(tuple(steps.take), dict.fromkeys(give, "would be proposed"), steps.conflicts, new)
    if steps.take:
        library.bring(steps.take, by=f"sync {remote.name}", over=True)
    given: dict[str, str] = {}
    for name, tree in give.items():
        try:
            given[name] = remote.give(name, tree, theirs.get(name), message(library, name, tree))
        except UserError as error:
            given[name] = f"not proposed: {error.message}"
    _write(library, remote, last, theirs, steps)
    return Synced(tuple(steps.take), given, steps.conflicts, new)


def message(library: Library, name: str, tree: Tree | None) -> str:
    """What is behind a skill as it is here, for the person who decides there: reasons and evidence, newest first."""
    lines = [f"{name}: {'removed' if tree is None else 'as it is here now'}", ""]
    for change in library.log(name, 5):
        reason = change.patch.reason if change.patch is not None else "edited by hand"
        lines.append(f"- {reason}" + (f" ({change.by})" if change.by else ""))
        for verdict in change.verdicts:
            e = verdict.evidence
            told = (
                f"{e.outcome}: {100 * e.effect:+.0f} points [{100 * e.low:+.0f}, {100 * e.high:+.0f}],"
                f" n = {e.n}, p = {e.p:.2g}"
                if e is not None
                else verdict.note
            )
            lines.append(f"  {verdict.gate} {verdict.status}" + (f": {told}" if told else ""))
    return "\n".join(lines)[:1900]


def _known(library: Library) -> Known:
    def known(tree: str) -> Tree | None:
        with library.ledger() as (_, store):
            try:
                return store.tree(tree)
            except UserError:
                return None

    return known


def _place(library: Library, remote: Remote) -> str:
    return f"sync-{digest(remote.name)[:16]}.json"


def _read(library: Library, remote: Remote) -> Last:
    try:
        return Last.model_validate_json((library.own / _place(library, remote)).read_bytes())
    except FileNotFoundError:
        return Last(remote=remote.name)
    except (OSError, ValidationError) as error:
        raise UserError(
            f"what was known of {remote.name} cannot be read: {error}", f"delete {_place(library, remote)} in .prowess"
        ) from error


def _write(library: Library, remote: Remote, last: Last, theirs: Mapping[str, Tree], steps: Steps) -> None:
    """Notes what the other side has; of a conflict, what it had before, so that it is one the next time, too."""
    trees = {name: tree_digest(tree) for name, tree in theirs.items() if name not in steps.conflicts}
    trees |= {name: last.trees[name] for name in steps.conflicts if name in last.trees}
    waiting = {name: sha for name, sha in last.given.items() if trees.get(name) != sha}
    given = waiting | {name: tree_digest(tree) for name, tree in steps.give.items() if tree is not None}
    data = json.dumps(
        Last(remote=remote.name, trees=trees, given=given).model_dump(), indent=1, sort_keys=True
    ).encode()
    write_file(library.own / _place(library, remote), data, library.own)
