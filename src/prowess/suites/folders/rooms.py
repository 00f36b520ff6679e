"""What the suite asks of whoever runs its scripts. Sandboxes are a layer up; `open_suite` hands one in."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from prowess.core.room import Room
from prowess.core.task import File

Kind = Literal["container", "bubblewrap"]


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
