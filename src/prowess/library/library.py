"""A library: a versioned set of skills in a folder, with its ledger.

    library = Library.open(path, create=True)
    change = library.apply(patch, lessons=lessons, verdicts=verdicts, by="trace2skill")
    library.undo(change.id)

The folder is the truth for text; edits by hand are recorded as `external` changes before anything else is done. Many
processes may use one library at once. Any call that fails leaves the library as it was.
"""

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from prowess.core.cost import Cost
from prowess.core.errors import Refused, UserError
from prowess.core.evidence import Verdict
from prowess.core.lesson import Lesson
from prowess.core.patch import Patch
from prowess.core.skill import Skill, Snapshot
from prowess.core.trajectory import Trajectory
from prowess.core.upkeep import KeptTask
from prowess.library import patching
from prowess.library.checking import faults
from prowess.library.contents import Contents, check_rename, check_writable
from prowess.library.index import Index
from prowess.library.proposals import Queue
from prowess.library.recording import Recorder
from prowess.library.records import Change, Proposal, Use, Version
from prowess.library.store import Store
from prowess.library.trees import Tree, is_component, skill_of, tree_of
from prowess.library.trust import Trust, refuse_revoked
from prowess.library.undoing import to_undo, undone
from prowess.library.upkeep import Upkeep

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


class Library:
    """One library on disk. Open it with `Library.open`; instances may be used from many threads."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._contents = Contents(store)
        self._queue = Queue(store)
        self.upkeep = Upkeep(store, self._now)
        self._recorder = Recorder(store, self._contents, self._now)
        self.trust = Trust(store, self._now, self._recorder.record_edits)

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
                    f"there is no library at {path}", "name another folder, or make one there with create=True"
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
            return self._contents.present(self._contents.on_disk())

    def stamps(self) -> dict[str, str]:
        """Every folder, with a value that changes when anything in it is written. Nothing is read, so it is quick."""
        with self._store.reading():
            return self._store.stamps()

    def skills(self, names: Iterable[str]) -> list[Skill]:
        """The readable ones among the skills of those names, as they lie on disk now; no other folder is read."""
        with self._store.reading():
            folders = [(name, self._store.folder(name)) for name in names]
        parsed = [skill_of(name, folder.files) for name, folder in folders if folder is not None]
        return [p.skill for p in parsed if p.skill is not None]

    @property
    def own(self) -> Path:
        """The folder of what prowess keeps beside the skills."""
        return self._store.own

    def problems(self) -> dict[str, list[str]]:
        """For each folder with something wrong, what; folders that `snapshot` leaves out say so first."""
        with self._store.reading():
            disk = self._contents.on_disk()
            found: dict[str, list[str]] = {}
            for name, folder in disk.folders.items():
                parsed = self._contents.read(name, disk.digests[name], folder.files) if name in disk.digests else None
                problems = [*folder.problems, *(parsed.problems if parsed else ("there is no SKILL.md",))]
                if parsed is None or parsed.skill is None:
                    problems.insert(0, "not readable as a skill")
                if problems:
                    found[name] = problems
            return found

    def trees(self) -> dict[str, dict[str, bytes]]:
        """Every readable skill as the bytes of its folder, by name."""
        with self._store.reading():
            disk = self._contents.on_disk()
            names = self._contents.present(disk).names
            return {name: dict(disk.folders[name].files) for name in names}

    def at(self, snapshot: str) -> Snapshot:
        """The library as it was at a snapshot digest, of which the beginning is enough.

        Raises:
            UserError: the digest is not known, or several begin so.
        """
        with self._store.reading():
            found = self._contents.at(snapshot)
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

    @contextmanager
    def ledger(self) -> Generator[tuple[Index, Store]]:
        """Index and store, locked for reading, for modules of this package that ask questions of their own."""
        with self._store.reading(), self._store.index() as index:
            yield index, self._store

    # Changing

    def preview(self, patch: Patch) -> Snapshot:
        """All skills as they would be after `apply(patch)`; nothing is changed. Raises PatchConflict as it does."""
        with self._store.reading():
            now, base = self._contents.present(self._contents.on_disk()), self._contents.at(patch.base)
        return patching.apply(patching.rebase(patch, now, base).patch, now)

    def apply(
        self,
        patch: Patch,
        *,
        verdicts: Iterable[Verdict] = (),
        lessons: Iterable[Lesson] = (),
        by: str = "",
        cost: Cost | None = None,
        kept: Iterable[KeptTask] = (),
        allow_foreign: bool = False,
        rebase: bool = True,
    ) -> Change:
        """Applies `patch`; it is on disk and in the ledger when this returns.

        A patch that is in force already is not applied twice: its change comes back, so that a killed caller may
        simply call again.

        Args:
            kept: Tasks that it leaves behind for later patches to keep solved.
            allow_foreign: Let it change skills that prowess did not write.
            rebase: Where the library has moved on since the patch's base, move the patch along if it still fits or
                merges; `Change.rebased` says how. Otherwise that is a conflict.

        Raises:
            PatchConflict: it does not fit.
            Refused: it would change a skill that prowess did not write, lose something that is not versioned, or rests
                on a trajectory that was revoked.
            UserError: the disk is full, or another process kept the library too long.
        """
        lessons = tuple(lessons)
        with self._store.writing():
            with self._store.index() as index:
                done = index.applied(patch.id)
                if done is not None:
                    return done
                refuse_revoked(index, lessons)
            disk = self._recorder.record_edits()
            now = self._contents.present(disk)
            moved = patching.Rebased(patch, "same base")
            if rebase and patch.base != now.digest:
                moved = patching.rebase(patch, now, self._contents.at(patch.base))
            after = patching.apply(moved.patch, now)
            new: dict[str, Tree | None] = {}
            for name in patching.touched(moved.patch):
                skill = after.get(name)
                if skill == now.get(name):
                    continue
                check_rename(moved.patch, name, disk)
                new[name] = None if skill is None else tree_of(skill, disk.tree(name))
            check_writable(new, disk, self._store, allow_foreign)
            return self._recorder.commit(
                disk, new, kind="apply", patch=moved.patch, patch_id=patch.id, rebased=moved.how,
                verdicts=tuple(verdicts), lessons=lessons, cost=cost or Cost(), by=by,
                kept=self.upkeep.keep(kept),
            )  # fmt: skip

    def bring(self, trees: Mapping[str, Tree | None], *, by: str = "", over: bool = False) -> Change:
        """Puts skills from elsewhere into the library as they are; they count as foreign, read-only to patches.

        Args:
            over: They may take the place of skills that are there; None takes one away.

        Raises:
            Refused: a skill or another file of that name is there already, or one to replace is not wholly versioned.
            UserError: the disk is full, or another process kept the library too long.
        """
        with self._store.writing():
            disk = self._recorder.record_edits()
            for name in trees:
                if not is_component(name) or name.startswith("."):
                    raise Refused(f"{name!r} cannot be the name of a skill", "rename its folder")
                if not over and (self.path / name).exists():
                    raise Refused(f"{name!r} lies in the library already", "move it away first")
            if over:
                check_writable(dict(trees), disk, self._store, allow_foreign=True)
            return self._recorder.commit(disk, dict(trees), kind="external", by=by)

    def undo(self, change_id: str | None = None, *, by: str = "") -> Change:
        """Reverts one change: the newest applied one that is in force, or the one named.

        Files that later changes touched as well are merged line by line. Undoing an undo brings its change back.

        Raises:
            PatchConflict: later changes touched the same lines.
            UserError: there is nothing to undo, no such change, or it is undone already.
        """
        with self._store.writing():
            disk = self._recorder.record_edits()
            with self._store.index() as index:
                change = to_undo(index.changes(), index.in_force(), change_id)
            new = undone(change, disk.digests, self._store)
            check_writable(new, disk, self._store, allow_foreign=True)
            return self._recorder.commit(disk, new, kind="undo", undoes=change.id, by=by)

    # Proposals

    def propose(
        self, patch: Patch, lessons: Iterable[Lesson] = (), verdicts: Iterable[Verdict] = (), by: str = ""
    ) -> Proposal:
        """Queues a patch for a person. Proposing one again that waits or was decided gives back the first proposal."""
        with self._store.writing():
            return self._queue.add(patch, lessons, verdicts, by, self._now())

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
        with self._store.reading():
            proposal = self._queue.get(id)
        return self.apply(
            proposal.patch, verdicts=proposal.verdicts, lessons=proposal.lessons, by=by or proposal.by,
            allow_foreign=allow_foreign,
        )  # fmt: skip

    def reject(self, id: str, reason: str = "") -> None:
        """Takes a proposal from the queue for good, and keeps the reason."""
        with self._store.writing():
            self._queue.reject(id, reason, self._now())

    # Use statistics

    def record_use(self, trajectories: Iterable[Trajectory]) -> None:
        """Counts the skills that trajectories were offered, loaded and used; each trajectory counts once."""
        now = self._now()
        rows = [
            (
                t.id, name, int(name in t.offered), int(name in t.loaded), int(name in t.used),
                None if t.passed is None else int(t.passed), now,
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
            self._recorder.record_edits()

    def check(self) -> list[str]:
        """Verifies ledger, blobs and index against their digests; empty when all is sound. Changes nothing.

        Skills edited by hand since the last change are named too, although nothing is wrong with them.
        """
        with self._store.reading():
            hint = "was edited by hand since the last change; it will be recorded"
            edits = self._contents.edits(self._contents.on_disk())
            return [*(fault.what for fault in faults(self._store)), *(f"skill {name!r} {hint}" for name in edits)]

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

    def _now(self) -> str:
        return self._clock().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
