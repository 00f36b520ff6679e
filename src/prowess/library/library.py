"""A library: a versioned set of skills in a folder, with its ledger.

    library = Library.open(path, create=True)
    change = library.apply(patch, lessons=lessons, verdicts=verdicts, by="trace2skill")
    library.undo(change.id)

The folder is the truth for text; edits by hand are recorded as `external` changes before anything else is done. Many
processes may use one library at once. Any call that fails leaves the library as it was.
"""

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from prowess.core.base import digest
from prowess.core.cost import Cost
from prowess.core.errors import PatchConflict, Refused, UserError
from prowess.core.evidence import Verdict
from prowess.core.lesson import Lesson
from prowess.core.patch import Patch, RenameSkill
from prowess.core.skill import Snapshot
from prowess.core.trajectory import Trajectory
from prowess.library import patching
from prowess.library.disk import Folder
from prowess.library.records import Change, Proposal, Rejection, Use, Version
from prowess.library.skillmd import Parsed
from prowess.library.store import Store
from prowess.library.trees import Tree, skill_of, tree_digest, tree_of, unknown_keys

Clock = Callable[[], datetime]
_PARSED_CAP = 4096
_Trees = Mapping[str, str | None]


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class _State:
    """The folders as they lie on disk now, each with its content digest."""

    folders: dict[str, Folder]
    digests: dict[str, str]

    @property
    def files(self) -> dict[str, Tree | None]:
        return {name: folder.files for name, folder in self.folders.items()}

    def tree(self, name: str) -> Tree | None:
        folder = self.folders.get(name)
        return folder.files if folder is not None and "SKILL.md" in folder.files else None


class Library:
    """One library on disk. Open it with `Library.open`; instances may be used from many threads."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._parsed: dict[tuple[str, str], Parsed] = {}

    @classmethod
    def open(
        cls, path: Path | str, create: bool = False, *, clock: Clock = utc_now, lock_timeout: float = 30.0
    ) -> "Library":
        """The library at `path`; settles what a killed process left behind.

        Args:
            path: The folder that holds the skill folders.
            create: Make a library there if there is none; folders that lie there stay and are read-only to prowess.
            clock: Gives the time for the ledger.
            lock_timeout: Seconds to wait for other processes, at each call.

        Raises:
            UserError: there is no library, or it cannot be read.
        """
        path = Path(path).absolute()
        store = Store(path, lock_timeout)
        if not (path / ".prowess").exists() or not store.ledger.exists():
            if not create:
                raise UserError(
                    f"there is no library at {path}", "name another folder, or make one there with `create`"
                )
            store.create()
        store.check_format()
        library = cls(store, clock)
        with store.reading():
            return library

    @property
    def path(self) -> Path:
        """The folder that holds the skill folders."""
        return self._store.path

    # Reading

    def snapshot(self) -> Snapshot:
        """All readable skills as they lie on disk now, edits by hand included."""
        with self._store.reading():
            return self._present(self._state())

    def problems(self) -> dict[str, list[str]]:
        """For each folder with something wrong, what; folders that `snapshot` leaves out say so first."""
        with self._store.reading():
            state = self._state()
            found: dict[str, list[str]] = {}
            for name, folder in state.folders.items():
                parsed = self._read(name, state.digests[name], folder.files) if name in state.digests else None
                problems = [*folder.problems, *(parsed.problems if parsed else ("there is no SKILL.md",))]
                if parsed is None or parsed.skill is None:
                    problems.insert(0, "not readable as a skill")
                if problems:
                    found[name] = problems
            return found

    def trees(self) -> dict[str, dict[str, bytes]]:
        """Every readable skill as the bytes of its folder, by name."""
        with self._store.reading():
            state = self._state()
            names = self._present(state).names
            return {name: dict(state.folders[name].files) for name in names}

    def at(self, snapshot: str) -> Snapshot:
        """The library as it was at a snapshot digest, of which the beginning is enough.

        Raises:
            UserError: the digest is not known, or several begin so.
        """
        with self._store.reading():
            found = self._at(snapshot)
        if found is None:
            raise UserError(
                f"the library was never at snapshot {snapshot!r}", "`log` lists the snapshots it has been at"
            )
        return found

    def versions(self, name: str) -> list[Version]:
        """Every recorded state of one skill, newest first."""
        with self._store.reading(), self._store.index() as index:
            return index.versions(name)

    def is_authored(self, name: str) -> bool:
        """Whether prowess wrote the skill, so that patches may change it."""
        with self._store.reading(), self._store.index() as index:
            return index.trees().get(name, ("", False))[1]

    def log(self, name: str | None = None, limit: int | None = None) -> list[Change]:
        """Changes, newest first; those of one skill where `name` is given."""
        with self._store.reading(), self._store.index() as index:
            return index.changes(name=name, limit=limit)

    def change(self, id: str) -> Change:
        """Raises UserError for an id that is not in the ledger."""
        with self._store.reading(), self._store.index() as index:
            found = index.change(id)
        if found is None:
            raise UserError(f"there is no change {id!r}", "`log` lists all changes")
        return found

    def diff(self, a: str, b: str) -> str:
        """A unified diff between two snapshot digests."""
        return patching.diff(self.at(a), self.at(b))

    def lesson(self, id: str) -> Lesson:
        """The lesson whose id begins so; UserError where none was carried by a change or proposal, or several."""
        with self._store.reading(), self._store.index() as index:
            found = index.lesson(id)
        if found is None:
            raise UserError(f"there is no lesson {id!r}", "write the whole id; `log` names the lessons of each change")
        return found

    def changes_for_lesson(self, id: str) -> list[Change]:
        """Every change that the lesson justified, newest first."""
        with self._store.reading(), self._store.index() as index:
            return index.changes(lesson=id)

    # Changing

    def apply(
        self,
        patch: Patch,
        *,
        verdicts: Iterable[Verdict] = (),
        lessons: Iterable[Lesson] = (),
        by: str = "",
        cost: Cost | None = None,
        allow_foreign: bool = False,
        rebase: bool = True,
    ) -> Change:
        """Applies `patch`; it is on disk and in the ledger when this returns.

        A patch that is in force already is not applied twice: its change comes back, so that a killed caller may
        simply call again.

        Args:
            allow_foreign: Let it change skills that prowess did not write.
            rebase: Where the library has moved on since the patch's base, move the patch along if it still fits or
                merges; `Change.rebased` says how. Otherwise that is a conflict.

        Raises:
            PatchConflict: it does not fit.
            Refused: it would change a skill that prowess did not write, or lose something that is not versioned.
            UserError: the disk is full, or another process kept the library too long.
        """
        with self._store.writing():
            with self._store.index() as index:
                done = index.applied(patch.id)
            if done is not None:
                return done
            state = self._record_edits()
            now = self._present(state)
            moved = patching.Rebased(patch, "same base")
            if rebase and patch.base != now.digest:
                moved = patching.rebase(patch, now, self._at(patch.base))
            after = patching.apply(moved.patch, now)
            new: dict[str, Tree | None] = {}
            for name in patching.touched(moved.patch):
                skill = after.get(name)
                if skill == now.get(name):
                    continue
                self._check_rename(moved.patch, name, state)
                new[name] = None if skill is None else tree_of(skill, state.tree(name))
            self._check_writable(new, state, allow_foreign)
            return self._commit(
                state, new, kind="apply", patch=moved.patch, patch_id=patch.id, rebased=moved.how,
                verdicts=tuple(verdicts), lessons=tuple(lessons), cost=cost or Cost(), by=by,
            )  # fmt: skip

    def undo(self, change_id: str | None = None, *, by: str = "") -> Change:
        """Reverts one change: the newest applied one that is in force, or the one named.

        Files that later changes touched as well are merged line by line. Undoing an undo brings its change back.

        Raises:
            PatchConflict: later changes touched the same lines.
            UserError: there is nothing to undo, no such change, or it is undone already.
        """
        with self._store.writing():
            state = self._record_edits()
            with self._store.index() as index:
                in_force = index.in_force()
                change = self._to_undo(index.changes(), in_force, change_id)
            new: dict[str, Tree | None] = {}
            conflicts: list[str] = []
            for name, (before, after) in change.trees.items():
                now = state.digests.get(name)
                if now == before:
                    continue
                target = self._store.tree(before) if before else None
                if now != after:
                    target, found = self._merged(name, after, now, target)
                    conflicts += found
                new[name] = target
            if conflicts:
                raise PatchConflict(conflicts)
            self._check_writable(new, state, allow_foreign=True)
            return self._commit(state, new, kind="undo", undoes=change.id, by=by)

    # Proposals

    def propose(
        self, patch: Patch, lessons: Iterable[Lesson] = (), verdicts: Iterable[Verdict] = (), by: str = ""
    ) -> Proposal:
        """Queues a patch for a person. Proposing one again that waits or was decided gives back the first proposal."""
        with self._store.writing():
            with self._store.index() as index:
                known = index.proposal(patch.id)
            if known is not None:
                return known[0]
            proposal = Proposal(
                number=self._store.next_number(), id=patch.id, when=self._now(), patch=patch,
                lessons=tuple(lessons), verdicts=tuple(verdicts), by=by,
            )  # fmt: skip
            self._store.append(proposal)
            return proposal

    def proposals(self) -> list[Proposal]:
        """Those that wait for a person, oldest first."""
        with self._store.reading(), self._store.index() as index:
            return index.proposals()

    def rejected(self) -> list[tuple[Proposal, str]]:
        """Those that a person refused, oldest first, each with the reason: what is not to be proposed again."""
        with self._store.reading(), self._store.index() as index:
            return index.rejected()

    def accept(self, id: str, *, by: str = "", allow_foreign: bool = False) -> Change:
        """Applies a waiting proposal; raises as `apply` does, and UserError when there is none or it was rejected."""
        proposal = self._waiting(id)
        return self.apply(
            proposal.patch, verdicts=proposal.verdicts, lessons=proposal.lessons, by=by or proposal.by,
            allow_foreign=allow_foreign,
        )  # fmt: skip

    def reject(self, id: str, reason: str = "") -> None:
        """Takes a proposal from the queue for good, and keeps the reason."""
        proposal = self._waiting(id)
        with self._store.writing():
            number = self._store.next_number()
            self._store.append(Rejection(number=number, proposal=proposal.id, when=self._now(), reason=reason))

    # Use statistics

    def record_use(self, trajectories: Iterable[Trajectory]) -> None:
        """Counts the skills that trajectories were offered, loaded and used; each trajectory counts once."""
        rows = [
            (
                t.id, name, int(name in t.offered), int(name in t.loaded), int(name in t.used),
                None if t.passed is None else int(t.passed),
            )
            for t in trajectories
            for name in {*t.offered, *t.loaded, *t.used}
        ]  # fmt: skip
        with self._store.writing(), self._store.index() as index:
            index.add_uses(rows)

    def uses(self) -> dict[str, Use]:
        """Use statistics by skill name."""
        with self._store.reading(), self._store.index() as index:
            return {use.skill: use for use in index.uses()}

    # Care

    def rebuild(self) -> None:
        """Makes the index anew from the ledger, and records as edits by hand what the folders say otherwise."""
        with self._store.writing():
            self._store.reindex()
            self._record_edits()

    def check(self) -> list[str]:
        """Verifies ledger, blobs and index against their digests; empty when all is sound. Changes nothing.

        Skills edited by hand since the last change are named too, although nothing is wrong with them.
        """
        found: list[str] = []
        with self._store.reading():
            expected = 1
            for number, _, record in self._store.entries():
                found += [f"ledger entry {n} is missing" for n in range(expected, number)]
                found += [f"ledger entry {number} is damaged"] if record is None else []
                expected = number + 1
            with self._store.index() as index:
                found += [f"index: {text}" for text in index.damage()]
                trees = index.all_trees()
                heads = index.trees()
            for tree in sorted(trees):
                try:
                    self._store.tree(tree)
                except UserError as error:
                    found.append(error.message)
            state = self._state()
            for name in sorted({*heads, *state.digests}):
                if heads.get(name, (None, False))[0] != state.digests.get(name):
                    found.append(f"skill {name!r} was edited by hand since the last change; it will be recorded")
        return found

    @contextmanager
    def installs(self) -> Generator[dict[str, str]]:
        """The list of what `prowess.library.targets` put elsewhere, to read and change; kept when the block ends."""
        with self._store.writing():
            owned = self._store.read_installs()
            before = dict(owned)
            try:
                yield owned
            finally:
                if owned != before:
                    self._store.write_installs(owned)

    # Inside; the lock is held

    def _state(self) -> _State:
        folders = self._store.folders()
        digests = {name: tree_digest(f.files) for name, f in folders.items() if "SKILL.md" in f.files}
        return _State(folders, digests)

    def _read(self, name: str, tree: str, files: Tree | None = None) -> Parsed:
        parsed = self._parsed.get((name, tree))
        if parsed is None:
            parsed = skill_of(name, self._store.tree(tree) if files is None else files)
            if len(self._parsed) >= _PARSED_CAP:
                self._parsed.clear()
            self._parsed[name, tree] = parsed
        return parsed

    def _snapshot(self, trees: _Trees, files: Mapping[str, Tree | None]) -> Snapshot:
        """The readable skills among `trees`; contents come from `files` where they are there, else from blobs."""
        parsed = [self._read(name, tree, files.get(name)) for name, tree in trees.items() if tree is not None]
        return Snapshot.of([p.skill for p in parsed if p.skill is not None])

    def _present(self, state: _State) -> Snapshot:
        return self._snapshot(state.digests, state.files)

    def _at(self, prefix: str) -> Snapshot | None:
        with self._store.index() as index:
            numbers = index.numbers_at(prefix)
            trees = {found: index.trees(number) for found, number in numbers.items()}
        now = self._present(self._state())
        if now.digest.startswith(prefix):
            return now
        if Snapshot().digest.startswith(prefix):
            return Snapshot()
        if len(trees) > 1:
            raise UserError(f"{len(trees)} snapshots begin with {prefix!r}", "write more of the digest")
        for heads in trees.values():
            return self._snapshot({name: tree for name, (tree, _) in heads.items()}, {})
        return None

    def _record_edits(self) -> _State:
        """Puts what was edited by hand since the last change into the ledger, and returns the folders as they are."""
        state = self._state()
        with self._store.index() as index:
            heads = {name: tree for name, (tree, _) in index.trees().items()}
            last = index.last()
        changed = {n: (heads.get(n), state.digests.get(n)) for n in sorted({*heads, *state.digests})}
        changed = {n: pair for n, pair in changed.items() if pair[0] != pair[1]}
        if changed:
            for name, (_, new) in changed.items():
                if new is not None:
                    self._store.put(state.folders[name].files)
            before = last.after if last else Snapshot().digest
            self._store.append(self._change(before, self._present(state).digest, changed, kind="external"))
        return state

    def _commit(
        self,
        state: _State,
        new: dict[str, Tree | None],
        *,
        kind: Literal["apply", "undo"],
        patch: Patch | None = None,
        patch_id: str | None = None,
        rebased: Literal["same base", "operations fit", "merged"] = "same base",
        undoes: str | None = None,
        verdicts: tuple[Verdict, ...] = (),
        lessons: tuple[Lesson, ...] = (),
        cost: Cost | None = None,
        by: str = "",
    ) -> Change:
        digests = {name: None if tree is None else tree_digest(tree) for name, tree in new.items()}
        trees = {name: (state.digests.get(name), tree) for name, tree in digests.items()}
        before = self._present(state).digest
        after = self._snapshot({**state.digests, **digests}, {**state.files, **new}).digest
        change = self._change(before, after, trees, kind=kind).model_copy(
            update={
                "patch": patch, "patch_id": patch_id, "rebased": rebased, "undoes": undoes, "verdicts": verdicts,
                "lessons": lessons, "cost": cost or Cost(), "by": by,
            }
        )  # fmt: skip
        self._store.commit(change, new)
        return change

    def _change(
        self,
        before: str,
        after: str,
        trees: dict[str, tuple[str | None, str | None]],
        kind: Literal["apply", "undo", "external"],
    ) -> Change:
        number, when = self._store.next_number(), self._now()
        return Change(
            number=number,
            id=digest([number, when, kind, before, after, sorted(trees.items())])[:16],
            when=when,
            kind=kind,
            before=before,
            after=after,
            trees=trees,
        )

    def _check_rename(self, patch: Patch, name: str, state: _State) -> None:
        for op in patch.operations:
            if isinstance(op, RenameSkill) and op.name == name:
                tree = state.tree(name)
                lost = unknown_keys(tree["SKILL.md"].decode("utf-8", "replace")) if tree is not None else []
                if lost:
                    raise Refused(f"renaming {name!r} would lose its {', '.join(lost)}", "rename the folder by hand")

    def _check_writable(self, new: Mapping[str, Tree | None], state: _State, allow_foreign: bool) -> None:
        with self._store.index() as index:
            heads = index.trees()
        for name in new:
            folder = state.folders.get(name)
            if folder is None and (self.path / name).exists():
                raise Refused(f"a file named {name!r} lies in the library", "move it away")
            if folder is not None and name not in state.digests:
                raise Refused(f"a folder named {name!r} that is no skill lies in the library", "move it away")
            if folder is not None and folder.problems:
                raise Refused(
                    f"skill {name!r} holds things that prowess does not version: {'; '.join(folder.problems)}",
                    "take them out of the folder, or edit the skill by hand",
                )
            if name in heads and not heads[name][1] and not allow_foreign:
                raise Refused(
                    f"skill {name!r} was not written by prowess, so it is read-only", "allow it with `allow_foreign`"
                )

    def _to_undo(self, changes: list[Change], in_force: list[str], id: str | None) -> Change:
        for change in changes:
            if change.id == id or (id is None and change.kind == "apply" and change.id in in_force):
                if change.id not in in_force:
                    raise UserError(f"change {id!r} is undone already", "undo the undo to bring it back")
                return change
        if id is not None:
            raise UserError(f"there is no change {id!r}", "`log` lists all changes")
        raise UserError("there is nothing to undo", "`log` lists all changes")

    def _merged(
        self, name: str, base: str | None, ours: str | None, theirs: Tree | None
    ) -> tuple[Tree | None, list[str]]:
        """A folder that later changes touched too, merged with its state before the change that is undone."""
        if theirs is None or ours is None or base is None:
            return None, [f"{name}: later changes edited, created or deleted the whole skill"]
        origin, here = self._store.tree(base), self._store.tree(ours)
        merged, conflicts = patching.merge_files(dict(origin), dict(here), dict(theirs), f"{name}/")
        if not conflicts and (problems := skill_of(name, merged).problems) and not skill_of(name, here).problems:
            conflicts = [f"{name}: the merge is not a valid skill: {problem}" for problem in problems]
        return merged, conflicts

    def _waiting(self, id: str) -> Proposal:
        with self._store.reading(), self._store.index() as index:
            known = index.proposal(id)
        if known is None:
            raise UserError(f"there is no proposal {id!r}", "`proposals` lists those that wait")
        if known[1] is not None:
            raise UserError(f"proposal {id!r} was rejected: {known[1]}", "propose another patch")
        return known[0]

    def _now(self) -> str:
        return self._clock().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
