"""Task folders in containers, by a stand-in for the engine's command line; hostile archives come back from it."""

import io
import shutil
import sys
import tarfile
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_folders import TOML, write_task

from prowess.core.errors import SandboxError, UserError
from prowess.core.room import Room
from prowess.core.task import File
from prowess.sandbox import Limits, container, find_sandbox, rooms
from prowess.sandbox.container import ContainerSandbox, packed, unpack
from prowess.sandbox.rooms import LocalRooms, at
from prowess.suites.folders import TaskFolders

ENGINE = Path(__file__).with_name("fake_engine.py")
DOCKERFILE = "FROM some/image\nWORKDIR /app\nCOPY numbers.txt /app/numbers.txt\n"
TEST = "python3 /tests/check.py && echo 1 > /logs/verifier/reward.txt || echo 0 > /logs/verifier/reward.txt\n"


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    program = tmp_path / "docker"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {ENGINE} "$@"\n')
    program.chmod(0o755)
    (tmp_path / "engine").mkdir()
    monkeypatch.setenv("FAKE_ENGINE", str(tmp_path / "engine"))
    for module in (container, rooms):
        monkeypatch.setattr(module, "find_engine", lambda: str(program))
    return program


def left_over(engine: Path) -> list[str]:
    return [p.name for p in (engine.parent / "engine").iterdir() if not p.name.startswith("prowess-folders")]


def test_a_task_in_its_image(tmp_path: Path, engine: Path) -> None:
    hint = {"environment/skills/adding/SKILL.md": "---\nname: adding\ndescription: Adds.\n---\nAdd."}
    dockerfile = DOCKERFILE + "COPY skills /app/.claude/skills\n"
    write_task(tmp_path / "tasks" / "sum", dockerfile=dockerfile, test=TEST, files=hint)
    suite = TaskFolders(tmp_path / "tasks", LocalRooms())
    assert suite.human_skill("tasks") is not None
    (task,) = suite.tasks("tasks", "evidence", 1)
    assert [file.path for file in task.files] == ["numbers.txt"]
    assert suite.check(task, ()).value == 0
    right = suite.oracle(task)
    assert right is not None and right == (File(path="sum.txt", data=b"42\n"),) and suite.check(task, right).passed
    # An agent's programs run in the image too, whatever sandbox it has, and without its network.
    inside = at(find_sandbox(), task)
    assert isinstance(inside, ContainerSandbox) and not inside.room.network
    ran = anyio.run(inside.run, ["sh", "-c", "cat numbers.txt; echo 1 > /app/new; rm numbers.txt; exit 3"], task.files)
    assert (ran.exit_code, ran.stdout, ran.removed) == (3, "1\n2\n39\n", ("numbers.txt",))
    assert ran.files == (File(path="new", data=b"1\n"),)
    assert left_over(engine) == []


def test_an_image_that_cannot_be_built(tmp_path: Path, engine: Path) -> None:
    write_task(tmp_path / "tasks" / "sum", dockerfile=DOCKERFILE + "RUN make", test=TEST)
    suite = TaskFolders(tmp_path / "tasks", LocalRooms())
    with pytest.raises(UserError, match="unknown instruction RUN"):
        suite.tasks("tasks", "evidence", 1)


def test_an_image_that_works_in_the_root(tmp_path: Path, engine: Path) -> None:
    write_task(tmp_path / "tasks" / "sum", dockerfile=DOCKERFILE.replace("WORKDIR /app\n", ""), test=TEST)
    suite = TaskFolders(tmp_path / "tasks", LocalRooms())
    with pytest.raises(UserError, match="working folder is '/'"):
        suite.tasks("tasks", "evidence", 1)
    toml = TOML + "[environment]\nworkdir = '/app'\n"
    write_task(tmp_path / "tasks" / "sum", dockerfile=DOCKERFILE.replace("WORKDIR /app\n", ""), test=TEST, toml=toml)
    (task,) = TaskFolders(tmp_path / "tasks", LocalRooms()).tasks("tasks", "evidence", 1)
    assert [file.path for file in task.files] == ["numbers.txt"]


def test_without_an_image_where_bubblewrap_will_do(tmp_path: Path, engine: Path) -> None:
    write_task(tmp_path / "tasks" / "sum")
    suite = TaskFolders(tmp_path / "tasks", LocalRooms())
    (task,) = suite.tasks("tasks", "evidence", 1)
    room = task.meta["room"]
    assert isinstance(room, dict) and room["image"] == ""


def test_an_engine_that_fails(tmp_path: Path, engine: Path) -> None:
    room = Room(work="/app", image="none")
    with pytest.raises(SandboxError, match="failed to create"):
        anyio.run(ContainerSandbox(str(engine), room).run, ["true"])
    with pytest.raises(SandboxError, match="could not be started"):
        anyio.run(ContainerSandbox(str(tmp_path / "nothing"), room).run, ["true"])
    with pytest.raises(SandboxError, match="safe relative path"):
        anyio.run(ContainerSandbox(str(engine), room).run, ["true"], (File(path="../x", data=b""),))


def test_a_program_without_end_is_stopped(tmp_path: Path, engine: Path) -> None:
    write_task(tmp_path / "tasks" / "sum", dockerfile=DOCKERFILE, test=TEST)
    (task,) = TaskFolders(tmp_path / "tasks", LocalRooms()).tasks("tasks", "evidence", 1)
    ran = anyio.run(at(find_sandbox(), task).run, ["sleep", "60"], (), Limits(seconds=1.0))
    assert ran.timed_out and left_over(engine) == []


def archive_of(*entries: tuple[str, bytes, bytes]) -> io.BytesIO:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, kind, data in entries:
            about = tarfile.TarInfo(name)
            about.type, about.size, about.linkname = kind, len(data), "/etc/passwd"
            archive.addfile(about, io.BytesIO(data))
    out.seek(0)
    return out


def test_only_plain_files_come_back() -> None:
    hostile = archive_of(
        ("./fine", tarfile.REGTYPE, b"1"),
        ("../up", tarfile.REGTYPE, b"2"),
        ("/abs", tarfile.REGTYPE, b"3"),
        ("link", tarfile.SYMTYPE, b""),
        ("hard", tarfile.LNKTYPE, b""),
        ("pipe", tarfile.FIFOTYPE, b""),
        ("big", tarfile.REGTYPE, b"x" * 100),
        ("last", tarfile.REGTYPE, b"4"),
    )
    files, skipped = unpack(hostile, 50, 1_000)
    assert files == {"fine": b"1", "last": b"4"}
    assert set(skipped) == {"../up", "/abs", "link", "hard", "pipe", "big"}
    hostile.seek(0)
    assert unpack(hostile, 50, 1)[0] == {"fine": b"1"}


@given(st.binary(max_size=2_000))
def test_any_bytes_are_no_archive(data: bytes) -> None:
    files, _ = unpack(io.BytesIO(data), 100, 1_000)
    assert all(not path.startswith("/") for path in files)


def test_what_is_packed_comes_back() -> None:
    room = Room(work="/app", folders=("/app", "/tests"))
    files = (File(path="app/a/b", data=b"1"), File(path="tests/c", data=b"2"))
    found, skipped = unpack(io.BytesIO(packed(room, files)), 10, 100)
    assert found == {file.path: file.data for file in files} and skipped == ()
