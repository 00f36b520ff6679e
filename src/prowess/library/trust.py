"""What a library has been told about the trust in its versions, and what each version rests on.

Statements are ledger entries: added, never changed. Each names the ledger's head as it was, so that a signed statement
also vouches for all history before it. Whose signature counts, and which tier follows, is not decided here but in
`prowess.guard.tiers`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from prowess.core.base import canonical_json
from prowess.core.errors import Refused, UserError
from prowess.core.lesson import Lesson
from prowess.core.merkle import root
from prowess.core.skill import Skill
from prowess.core.trust import Checkpoint, Head, Predicate, Revocation, Signature, Statement, Subject
from prowess.library.index import Index
from prowess.library.records import Change, Stated
from prowess.library.store import Store
from prowess.library.trees import skill_of

Sign = Callable[[bytes], tuple[Signature, ...]]
"""Signs a payload, with as many keys as need be; none for a statement that only lowers trust."""


def unsigned(payload: bytes) -> tuple[Signature, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a skill, as it is now, was made from: changes since it was new, those of skills that went into it too."""

    changes: tuple[Change, ...]
    """Newest first."""
    principals: dict[str, str]
    """Each trajectory that a lesson behind it refers to, with whose it is."""
    authors: tuple[str, ...]
    """Recipes, tools and people; `by hand` for whoever edited the folder."""


class Trust:
    """The statements of one library; `Library.trust` is the way to them."""

    def __init__(self, store: Store, now: Callable[[], str], record_edits: Callable[[], Any]) -> None:
        self._store = store
        self.now = now
        """The library's clock, ISO 8601, UTC."""
        self._record_edits = record_edits

    def statements(self) -> tuple[Stated, ...]:
        """All of them, oldest first."""
        with self._store.reading(), self._store.index() as index:
            return stated(index)

    def number(self) -> int:
        """Of the last ledger entry: cheap, and another one whenever anything was said."""
        with self._store.reading(), self._store.index() as index:
            return index.head()[0]

    def heads(self) -> list[Head]:
        """Every head that the ledger went through, from the empty one on: reads the whole ledger."""
        with self._store.reading():
            return self._store.heads()

    def tree(self, name: str) -> str:
        """The tree digest of a skill as it lies there now.

        Raises:
            UserError: there is no such skill.
        """
        with self._store.writing():
            self._record_edits()
            with self._store.index() as index:
                return _tree(index, name)

    def say(self, name: str, predicate: Predicate, sign: Sign = unsigned, tree: str | None = None) -> Stated:
        """Adds a statement about a version of a skill, by default the present one, and returns it.

        Args:
            sign: Called with the bytes to sign, while the library is locked.
            tree: Tree digest of another version that the ledger knows.

        Raises:
            UserError: there is no such skill or version.
        """
        with self._store.writing():
            self._record_edits()
            with self._store.index() as index:
                if tree is None:
                    tree = _tree(index, name)
                elif all(version.tree != tree for version in index.versions(name)):
                    raise UserError(f"skill {name!r} has no version {tree[:12]!r}", f"`prowess log {name}` lists them")
            return self._append((Subject(name=name, digest={"sha256": tree}),), predicate, sign)

    def revoke(self, what: Revocation, sign: Sign = unsigned) -> Stated:
        """Adds a revocation; for a trajectory or a skill with every version that rests on it, all in this one entry.

        Raises:
            UserError: the ledger knows no such trajectory or skill.
        """
        with self._store.writing():
            self._record_edits()
            with self._store.index() as index:
                if what.what == "trajectory":
                    hit = descendants(index, what.id)
                elif what.what == "skill":
                    hit = {(what.id, v.tree) for v in index.versions(what.id) if v.tree is not None}
                else:
                    hit = set[tuple[str, str]]()
            if not hit and what.what != "key":
                raise UserError(f"nothing here rests on {what.what} {what.id!r}", "`prowess trust` lists the skills")
            revocation = what.model_copy(update={"trees": tuple(sorted({tree for _, tree in hit}))})
            names = dict.fromkeys(sorted(name for name, _ in hit))
            return self._append(tuple(Subject(name=name, digest={}) for name in names), revocation, sign)

    def publish(self, expires: str, sign: Sign) -> Stated:
        """Adds a checkpoint over all statements so far.

        Args:
            expires: Until when it counts, ISO 8601, UTC.
        """
        with self._store.writing():
            self._record_edits()
            with self._store.index() as index:
                before = stated(index)
            told = [entry.statement.predicate for entry in before if entry.statement is not None]
            revoked = {tree for each in told if isinstance(each, Revocation) for tree in each.trees}
            checkpoint = Checkpoint(
                size=len(before),
                root=root([entry.payload.encode() for entry in before]).hex(),
                expires=expires,
                revoked=tuple(sorted(revoked)),
            )
            return self._append((), checkpoint, sign)

    def lineage(self, name: str) -> Lineage:
        """What the skill rests on.

        Raises:
            UserError: there is no such skill.
        """
        with self._store.writing():
            self._record_edits()
            with self._store.index() as index:
                _tree(index, name)
                return lineage(index, name)

    def contents(self, trees: Iterable[str]) -> dict[str, tuple[Skill, ...]]:
        """Each version, by tree digest, as what an agent would be shown of it under every name that it had."""
        wanted = set(trees)
        found: dict[str, tuple[Skill, ...]] = {}
        with self._store.reading(), self._store.index() as index:
            for tree, names in index.names_of(wanted).items():
                try:
                    files = self._store.tree(tree)
                except UserError:
                    continue
                read = [skill_of(name, files).skill for name in names]
                found[tree] = tuple(skill for skill in read if skill is not None)
        return found

    def _append(self, subject: tuple[Subject, ...], predicate: Predicate, sign: Sign) -> Stated:
        statement = Statement(
            subject=subject,
            predicateType=f"prowess/{predicate.kind}/v1",
            predicate=predicate,
            head=self._store.heads()[-1],
        )
        payload = canonical_json(statement)
        entry = Stated(
            number=self._store.next_number(), when=self.now(), payload=payload.decode(), signatures=sign(payload)
        )
        self._store.append(entry)
        return entry


def stated(index: Index) -> tuple[Stated, ...]:
    return tuple(Stated.model_validate_json(body) for body in index.notes("stated"))


def refuse_revoked(index: Index, lessons: Sequence[Lesson]) -> None:
    """Raises Refused where a lesson refers to a trajectory that was revoked: what it taught must not come back."""
    used = {reference.trajectory for lesson in lessons for reference in lesson.references}
    if not used:
        return
    for entry in stated(index):
        told = entry.statement.predicate if entry.statement is not None else None
        if isinstance(told, Revocation) and told.what == "trajectory" and told.id in used:
            raise Refused(
                f"this rests on trajectory {told.id[:16]!r}, which was revoked: {told.reason}", "learn again without it"
            )


def descendants(index: Index, trajectory: str) -> set[tuple[str, str]]:
    """Every version (name, tree digest) that a lesson from the trajectory had a part in, and all that followed.

    Later versions count as well, those of skills that were written together with one that is hit among them; a state
    that the skill had before does not.
    """
    waiting = [
        (name, change.number)
        for lesson in index.lessons_from(trajectory)
        for change in index.changes(lesson=lesson.id)
        for name in change.trees
    ]
    since: dict[str, int] = {}
    while waiting:
        name, number = waiting.pop()
        if number < since.get(name, number + 1):
            since[name] = number
            waiting += [(heir, n) for heir, n in index.heirs(name, number) if heir != name]
    hit: set[tuple[str, str]] = set()
    for name, number in since.items():
        versions = index.versions(name)
        before = {v.tree for v in versions if v.number < number}
        hit |= {(name, v.tree) for v in versions if v.number >= number and v.tree is not None and v.tree not in before}
    return hit


def lineage(index: Index, name: str) -> Lineage:
    """What the skill rests on now."""
    changes: dict[int, Change] = {}
    waiting, seen = [(name, 2**62)], set[str]()
    while waiting:
        each, before = waiting.pop()
        if each in seen:
            continue
        seen.add(each)
        for change in index.changes(name=each):
            if change.number >= before:
                continue
            changes[change.number] = change
            # Text of skills that vanish in the step that writes this one has moved into it.
            gone = [other for other, (_, new) in change.trees.items() if new is None and other != each]
            waiting += [(other, change.number) for other in gone]
            if change.trees[each][0] is None:
                break
    ordered = tuple(changes[n] for n in sorted(changes, reverse=True))
    principals: dict[str, str] = {}
    for change in ordered:
        lessons = {lesson.id: lesson for lesson in change.lessons}
        for id in change.patch.lessons if change.patch else ():
            if id not in lessons and (named := index.lesson(id)) is not None:
                lessons[id] = named
        principals |= {r.trajectory: r.principal for lesson in lessons.values() for r in lesson.references}
    return Lineage(ordered, principals, tuple(dict.fromkeys(filter(None, map(_author, ordered)))))


def _author(change: Change) -> str:
    """Who wrote the text of a change; nobody did for an undo, which brings back what somebody wrote before."""
    if change.kind == "undo":
        return ""
    return (change.patch.author if change.patch else "") or change.by or "by hand"


def _tree(index: Index, name: str) -> str:
    found = index.trees().get(name)
    if found is None:
        raise UserError(f"the library has no skill {name!r}", "`prowess show` lists its skills")
    return found[0]
