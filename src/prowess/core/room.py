"""Where programs of a task run that names folders by their absolute paths, as container tasks do."""

from collections.abc import Mapping

from pydantic import JsonValue, ValidationError, field_validator

from prowess.core.base import Frozen
from prowess.core.task import Task

KEY = "room"
"""In `Task.meta`: the room of the task's agent."""


class Room(Frozen):
    """The folders that programs find, and where. Not every sandbox can give one: see `sandbox.rooms`."""

    work: str
    """Absolute path of the folder in which programs start."""
    folders: tuple[str, ...] = ()
    """Absolute paths, `work` among them, of all folders that programs may write to. Files are then named from the root
    (`app/data.csv`); where none are named, there is only `work`, and files are named below it."""
    env: tuple[tuple[str, str], ...] = ()
    """Variables beside those of every sandbox."""
    network: bool = False
    """Whether there is a network: only in containers, and only for a task's own scripts that bring their software."""
    image: str = ""
    """The container image that has the task's software; empty for this system's own programs."""

    @field_validator("work", "folders")
    @classmethod
    def _straight(cls, given: str | tuple[str, ...]) -> str | tuple[str, ...]:
        """Paths come with tasks, and become folders of this machine."""
        for path in (given,) if isinstance(given, str) else given:
            if path[:1] != "/" or not all(
                part.isprintable() and part not in ("", ".", "..") for part in path[1:].split("/")
            ):
                raise ValueError(f"{path!r} is no absolute path without turns")
        return given

    def path(self, file: str) -> str:
        """Where programs find a file that is called `file` outside."""
        return f"/{file}" if self.folders else f"{self.work}/{file}"


def room_of(task: Task) -> Room | None:
    """The room that a task asks for; None for most."""
    found: JsonValue = task.meta.get(KEY)
    if not isinstance(found, Mapping):
        return None
    try:
        return Room.model_validate(found)
    except ValidationError:
        return None
