"""Killed at any step, out of disk at any step, many processes at once: the old state or the new, never between."""

import errno
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from prowess.core.errors import UserError
from prowess.core.patch import AppendToSection, CreateSkill, DeleteSkill, Patch, RenameSkill, Replace, WriteFile
from prowess.core.skill import Skill, Snapshot
from prowess.library import Change, Library, disk

MUTATIONS = ("open", "write", "fsync", "replace", "rename", "mkdir", "unlink", "rmdir", "pwrite")


def skill(name: str) -> Skill:
    return Skill(name=name, description=f"About {name}.", body="# Steps\n\n1. Read.\n\n# End\n\nStop.\n")


@pytest.fixture(scope="module")
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: hundreds of runs would otherwise wait for the disk."""
    shared = Path("/dev/shm")
    path = Path(tempfile.mkdtemp(dir=shared if os.access(shared, os.W_OK) else None))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def tmp_path(memory: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=memory))


@pytest.fixture(scope="module")
def seed(memory: Path) -> Path:
    path = memory / "seed"
    library = Library.open(path, create=True)
    names = ("edited", "deleted", "renamed", "kept")
    patch = Patch(base=Snapshot().digest, operations=tuple(CreateSkill(skill=skill(n)) for n in names), reason="seed")
    library.apply(patch)
    return path


def change(library: Library) -> Patch:
    return Patch(
        base=library.snapshot().digest,
        operations=(
            CreateSkill(skill=skill("created")),
            WriteFile(name="edited", file="references/more.md", content="More.\n"),
            Replace(name="edited", old="1. Read.", new="1. Read [more](references/more.md)."),
            DeleteSkill(name="deleted"),
            RenameSkill(name="renamed", new_name="named-anew"),
        ),
        reason="fault",
    )


@contextmanager
def watched(before: Callable[[str], None]) -> Iterator[None]:
    """Calls `before` with its name ahead of every call that changes a file, and of every SQL statement."""
    saved: list[tuple[Any, str, Any]] = []

    def wrap(owner: Any, name: str) -> None:
        original = getattr(owner, name)
        saved.append((owner, name, original))

        def call(*args: Any, **kwargs: Any) -> Any:
            if name != "open" or args[1] & os.O_CREAT:
                before(name)
            # A flush proves nothing in these tests and costs most of their time.
            return None if name == "fsync" else original(*args, **kwargs)

        setattr(owner, name, call)

    class Connection(sqlite3.Connection):
        def execute(self, *args: Any) -> sqlite3.Cursor:
            before("sql " + str(args[0]).split()[0])
            return super().execute(*args)

    connect = sqlite3.connect
    saved.append((sqlite3, "connect", connect))
    for name in MUTATIONS:
        wrap(os, name)
    wrap(disk, "_exchange_at_once")
    sqlite3.connect = lambda *a, **k: connect(*a, **k, factory=Connection)  # type: ignore[assignment]
    try:
        yield
    finally:
        for owner, name, original in saved:
            setattr(owner, name, original)


def killed_at(path: Path, nth: int, act: Callable[[Library], object], only: str = "") -> bool:
    """Runs `act` in a child that is killed ahead of its nth watched call; False when it came to its end.

    `only` counts calls of that name alone.
    """
    child = os.fork()
    if child == 0:
        count = 0

        def before(name: str) -> None:
            nonlocal count
            count += only in ("", name)
            if count == nth:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            with watched(before):
                act(Library.open(path))
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def whole(library: Library) -> None:
    assert library.check() == []
    assert library.problems() == {}
    assert not (library.path / ".prowess" / "journal.json").exists()
    hidden = {p.name for p in library.path.iterdir() if p.name.startswith(".")}
    assert hidden == {".prowess"}


def test_killed_between_renames_where_folders_cannot_be_swapped_at_once(
    seed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "_exchange_at_once", lambda left, right: False)
    patch = change(Library.open(seed))
    for nth in range(1, 50):
        path = tmp_path / str(nth)
        shutil.copytree(seed, path)
        finished = not killed_at(path, nth, lambda library: library.apply(patch), only="rename")
        library = Library.open(path)
        assert (library.snapshot().digest == patch.base) is not finished
        whole(library)
        if finished:
            assert nth > 6
            return
    pytest.fail("the change never came to its end")


def test_killed_at_every_step_of_apply(seed: Path, tmp_path: Path) -> None:
    patch = change(Library.open(seed))
    states: list[str] = []
    for nth in range(1, 500):
        path = tmp_path / str(nth)
        shutil.copytree(seed, path)
        finished = not killed_at(path, nth, lambda library: library.apply(patch))
        library = Library.open(path)
        state = library.snapshot()
        log = library.log()
        whole(library)
        assert state.digest in (patch.base, log[0].after)
        assert len(log) == (1 if state.digest == patch.base else 2)
        states.append(state.digest)
        again = library.apply(patch)
        assert library.apply(patch) == again
        assert len(library.log()) == 2 and library.snapshot().digest == again.after
        assert set(library.snapshot().names) == {"created", "edited", "kept", "named-anew"}
        shutil.rmtree(path)
        if finished:
            break
    else:
        pytest.fail("the change never came to its end")
    # Old states first, new states after the commit, and both were met many times.
    first_new = states.index(again.after)
    assert set(states[:first_new]) == {patch.base} and set(states[first_new:]) == {again.after}
    assert first_new > 50 and len(states) - first_new > 5


def test_killed_at_every_step_of_undo(seed: Path, tmp_path: Path) -> None:
    start = tmp_path / "start"
    shutil.copytree(seed, start)
    applied = Library.open(start).apply(change(Library.open(start)))
    # The steps are those of apply, of which every one is tested above.
    for nth in range(1, 500, 3):
        path = tmp_path / str(nth)
        shutil.copytree(start, path)
        finished = not killed_at(path, nth, lambda library: library.undo(applied.id))
        library = Library.open(path)
        assert library.snapshot().digest == (applied.before if len(library.log()) == 3 else applied.after)
        whole(library)
        shutil.rmtree(path)
        if finished:
            return
    pytest.fail("the undo never came to its end")


def test_killed_while_recovering(seed: Path, tmp_path: Path) -> None:
    """The first kill falls between the swaps, the second at every step of what mends it."""
    patch = change(Library.open(seed))
    start = tmp_path / "start"
    shutil.copytree(seed, start)
    swaps = 0

    def die_in_swaps(name: str) -> None:
        nonlocal swaps
        swaps += name == "_exchange_at_once" or (name == "rename")
        if swaps == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    if (child := os.fork()) == 0:
        try:
            with watched(die_in_swaps):
                Library.open(start).apply(patch)
        finally:
            os._exit(1)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
    assert (start / ".prowess" / "journal.json").exists()
    for nth in range(1, 300):
        path = tmp_path / str(nth)
        shutil.copytree(start, path)
        finished = not killed_at(path, nth, lambda library: library.snapshot())
        library = Library.open(path)
        assert library.snapshot().digest == patch.base
        whole(library)
        shutil.rmtree(path)
        if finished:
            assert nth > 5
            return
    pytest.fail("recovery never came to its end")


WRITES = ("open", "write", "pwrite", "fsync", "mkdir", "replace", "sql INSERT", "sql COMMIT")


@dataclass
class Fault:
    """Fails the nth call that needs room on the disk, and every later one when `lasting`."""

    nth: int
    lasting: bool
    code: int
    count: int = 0

    def __call__(self, name: str) -> None:
        if name not in WRITES:
            return
        self.count += 1
        if self.count == self.nth or (self.lasting and self.count > self.nth):
            if name.startswith("sql"):
                raise sqlite3.OperationalError("database or disk is full")
            raise OSError(self.code, os.strerror(self.code))


@pytest.mark.parametrize(
    ("code", "lasting"), [(errno.ENOSPC, True), (errno.EIO, False)], ids=["full from then on", "one input/output error"]
)
def test_disk_full_at_every_step_of_apply(seed: Path, tmp_path: Path, lasting: bool, code: int) -> None:
    patch = change(Library.open(seed))
    errors: list[UserError] = []
    for nth in range(1, 300):
        path = tmp_path / str(nth)
        shutil.copytree(seed, path)
        library = Library.open(path)
        library._store._kept.close()  # so that the statements on a new connection are seen too
        fault = Fault(nth, lasting, code)
        result: Change | None = None
        with watched(fault):
            try:
                result = library.apply(patch)
            except UserError as error:
                errors.append(error)
        library = Library.open(path)
        assert library.snapshot().digest == (result.after if result else patch.base)
        assert library.apply(patch).after == library.snapshot().digest
        assert len(library.log()) == 2
        whole(library)
        shutil.rmtree(path)
        if fault.count < nth:
            break
    else:
        pytest.fail("the change never came to its end")
    assert len(errors) > 30
    assert all(e.hint and (os.strerror(code) in str(e) or "disk is full" in str(e)) for e in errors)


def test_six_processes_apply_at_once(tmp_path: Path) -> None:
    path = tmp_path / "lib"
    shared = Skill(name="shared", description="d", body="# Steps\n\n0. Start.\n")
    Library.open(path, create=True).apply(
        Patch(base=Snapshot().digest, operations=(CreateSkill(skill=shared),), reason="r")
    )
    children: list[int] = []
    for worker in range(6):
        child = os.fork()
        if child == 0:
            try:
                library = Library.open(path)
                for turn in range(4):
                    mark = f"{worker}-{turn}"
                    operations = (
                        CreateSkill(skill=skill(f"skill-{mark}")),
                        AppendToSection(name="shared", section="Steps", content=f"- {mark}"),
                    )
                    library.apply(Patch(base=library.snapshot().digest, operations=operations, reason=mark))
                os._exit(0)
            finally:
                os._exit(1)
        children.append(child)
    assert [os.WEXITSTATUS(os.waitpid(child, 0)[1]) for child in children] == [0] * 6
    library = Library.open(path)
    marks = {f"{worker}-{turn}" for worker in range(6) for turn in range(4)}
    assert set(library.snapshot().names) == {f"skill-{mark}" for mark in marks} | {"shared"}
    assert sum(f"- {mark}\n" in (path / "shared" / "SKILL.md").read_text() for mark in marks) == len(marks)
    log = library.log()
    assert len(log) == 25
    assert all(newer.before == older.after for newer, older in pairwise(log))
    whole(library)


def test_readers_never_see_half_a_change(seed: Path, tmp_path: Path) -> None:
    """Snapshots taken while another process applies and undoes are one of its two states."""
    path = tmp_path / "lib"
    shutil.copytree(seed, path)
    library = Library.open(path)
    patch = change(library)
    after = library.apply(patch).after
    child = os.fork()
    if child == 0:
        try:
            writer = Library.open(path)
            for _ in range(5):
                writer.undo()
                writer.apply(patch)
            os._exit(0)
        finally:
            os._exit(1)
    seen: set[str] = set()
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        seen.add(library.snapshot().digest)
        assert "edited" in (p.name for p in path.iterdir())
    assert seen <= {patch.base, after} and seen


def test_a_busy_library_says_who_holds_it(seed: Path, tmp_path: Path) -> None:
    path = tmp_path / "lib"
    shutil.copytree(seed, path)
    library = Library.open(path, lock_timeout=0.05)
    begin = time.monotonic()
    with disk.locked(path / ".prowess" / "lock", True, 1), pytest.raises(UserError, match=str(os.getpid())):
        library.snapshot()
    assert time.monotonic() - begin < 1
    assert library.snapshot().names


def test_read_only_library_gives_a_clear_error(seed: Path, tmp_path: Path) -> None:
    path = tmp_path / "lib"
    shutil.copytree(seed, path)
    library = Library.open(path)
    patch = change(library)

    def before(name: str) -> None:
        if name in ("open", "mkdir", "replace", "rename"):
            raise PermissionError(errno.EROFS, os.strerror(errno.EROFS))

    with watched(before), pytest.raises(UserError, match="Read-only"):
        library.apply(patch)
    assert library.snapshot().digest == patch.base


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
