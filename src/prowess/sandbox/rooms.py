"""Rooms for tasks that name folders by absolute path: a container, or bubblewrap with this system's programs."""

import shutil
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, Protocol, TypeVar

import anyio

from prowess.core.errors import SandboxError
from prowess.core.room import Room, room_of
from prowess.core.task import File, Task
from prowess.library.disk import stamp_folder
from prowess.sandbox.base import Limits, Result, Sandbox
from prowess.sandbox.bubblewrap import BubblewrapSandbox
from prowess.sandbox.container import ContainerSandbox, built, contents, find_engine
from prowess.sandbox.finding import find_sandbox

R = TypeVar("R")
Kind = Literal["container", "bubblewrap"]
FILE_BYTES = 1 << 26
"""Of one file that a task's own script writes."""
PROCESSES = 512


class Ran(Protocol):
    """What a script left behind."""

    @property
    def exit_code(self) -> int: ...
    @property
    def stderr(self) -> str: ...
    @property
    def timed_out(self) -> bool: ...
    @property
    def files(self) -> tuple[File, ...]:
        """New and changed files of the room's folders, named from the root."""
        ...


@dataclass(frozen=True, slots=True)
class Image:
    """A built image, and what lies in its working folder."""

    name: str
    work: str
    files: tuple[File, ...]


class Rooms(Protocol):
    """Runs scripts in rooms of their own: no files of the host, bounded time and memory."""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What this machine has, the best first."""
        ...

    def build(self, context: Path, image: str | None, work: str | None, seconds: float) -> Image:
        """Build the Dockerfile in `context`, or take the ready `image`; its working folder is `work` or what it says.

        Raises:
            BoundaryError: it could not be built in `seconds`; the text says why.
        """
        ...

    def run(self, room: Room, argv: list[str], files: tuple[File, ...], seconds: float, memory_mb: int) -> Ran:
        """Run `argv` in `room` with copies of `files`.

        Raises:
            BoundaryError: the room could not be given.
        """
        ...


def at(sandbox: Sandbox, task: Task) -> Sandbox:
    """`sandbox`, moved into the room of `task` where it asks for one and the sandbox can give it.

    Landlock and Seatbelt cannot: there a task's files are found by relative names only.

    Raises:
        SandboxError: the room is a container, and there is no engine now.
    """
    room = room_of(task)
    if room is None:
        return sandbox
    if room.image:
        return _container(room)
    return _moved(sandbox.as_root, room.model_dump_json()) if isinstance(sandbox, BubblewrapSandbox) else sandbox


class LocalRooms:
    """Rooms of this machine."""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        found: list[Kind] = ["container"] if find_engine() else []
        try:
            return (*found, "bubblewrap") if isinstance(find_sandbox(), BubblewrapSandbox) else tuple(found)
        except SandboxError:
            return tuple(found)

    def build(self, context: Path, image: str | None, work: str | None, seconds: float) -> Image:
        engine = find_engine()
        if engine is None:
            raise SandboxError("there is no container engine")
        tag = image or f"prowess-folders:{stamp_folder(context)}"
        if image is None:
            with TemporaryDirectory(prefix="prowess-") as folder:
                # The skills that come with a task are for `human_skill`; its Dockerfile finds the folder, and nothing.
                place = Path(folder, "environment")
                shutil.copytree(
                    context, place, symlinks=True, ignore=lambda at, _: ["skills"] if at == str(context) else []
                )
                (place / "skills").mkdir()
                _wait(built, engine, place, tag, seconds)
        return Image(tag, *_wait(contents, engine, tag, work, FILE_BYTES))

    def run(self, room: Room, argv: list[str], files: tuple[File, ...], seconds: float, memory_mb: int) -> Result:
        limits = Limits(seconds=seconds, memory_mb=memory_mb, file_bytes=FILE_BYTES, processes=PROCESSES)
        sandbox = _container(room) if room.image else _here(room)
        return _wait(sandbox.run, argv, files, limits)


def _container(room: Room) -> ContainerSandbox:
    engine = find_engine()
    if engine is None:
        raise SandboxError("this task runs in a container, and neither docker nor podman answers")
    return ContainerSandbox(engine, room)


def _here(room: Room) -> BubblewrapSandbox:
    found = find_sandbox()
    if not isinstance(found, BubblewrapSandbox):
        raise SandboxError(f"{found.name} cannot give a room; only bubblewrap can")
    return _moved(found.as_root, room.model_dump_json())


@cache
def _moved(as_root: bool, room: str) -> BubblewrapSandbox:
    return BubblewrapSandbox(as_root=as_root, room=Room.model_validate_json(room))


def _wait(function: Callable[..., Awaitable[R]], *arguments: object) -> R:
    """The result of an asynchronous function; in a thread of its own, so that it works in a running loop too."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(anyio.run, function, *arguments).result()
