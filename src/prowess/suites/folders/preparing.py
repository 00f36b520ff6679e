"""A task made ready to run: in its image, or with this system's software in the folders that its Dockerfile names."""

import re
from dataclasses import dataclass
from typing import Final

from prowess.core.room import Room
from prowess.core.task import File
from prowess.library.trees import is_component
from prowess.sandbox.rooms import Rooms
from prowess.suites.folders import software
from prowess.suites.folders.dockerfile import Unfit, installs, replay
from prowess.suites.folders.harbor import SOLVE, TEST, TaskFolder

RESERVED: Final = re.compile(r"usr|bin|sbin|lib|lib32|lib64|etc|proc|dev|sys|run|nix|tmp|tests|solution|logs|")
"""Folders of the root that are the system's, or the format's own."""
ENGINE: Final = "which needs Docker or Podman"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A task with all that its scripts need."""

    folder: TaskFolder
    room: Room
    """Without the folders of its scripts: as an agent has it."""
    files: tuple[File, ...]
    """Of the working folder."""


def with_image(task: TaskFolder, rooms: Rooms) -> Prepared:
    """The task in its image.

    Raises:
        BoundaryError: it could not be built.
        Unfit: its working folder cannot be one.
    """
    config = task.config.environment
    image = rooms.build(task.path / "environment", config.docker_image, config.workdir, config.build_timeout_sec)
    room = Room(work=_working(image.work), image=image.name, env=tuple(config.env.items()))
    return Prepared(task, room, image.files)


def without_image(task: TaskFolder) -> Prepared:
    """The task with this system's software.

    Raises:
        Unfit: that is not enough.
    """
    config = task.config.environment
    if config.docker_image:
        raise Unfit(f"it is made for the image {config.docker_image!r}, {ENGINE}")
    text = task.environment.get("Dockerfile")
    if text is None:
        raise Unfit("it has no environment/Dockerfile")
    scripts = (task.tests[TEST], task.solution.get(SOLVE, b""))
    try:
        found = replay(text.decode("utf-8", "replace"), task.environment)
        brought = [installs(script.decode("utf-8", "replace")) for script in scripts]
    except Unfit as why:
        raise Unfit(f"{why}, {ENGINE}") from None
    work = _working(config.workdir or found.work)
    if outside := [path for path in found.files if not path.startswith(f"{work}/")]:
        raise Unfit(f"it puts {outside[0]} outside of its working folder {work}, {ENGINE}")
    packages = [*found.packages, *(name for names, _ in brought for name in names)]
    requirements = [*found.requirements, *(name for _, names in brought for name in names)]
    if absent := software.lacking(packages, requirements):
        what, how = zip(*absent, strict=True)
        raise Unfit(f"it needs {' and '.join(what)}, which `{' && '.join(how)}` brings")
    env = {key: value for key, value in (found.env | config.env).items() if key not in ("PATH", "HOME")}
    files = tuple(File(path=path[len(work) + 1 :], data=data) for path, data in sorted(found.files.items()))
    return Prepared(task, Room(work=work, env=tuple(env.items())), files)


def _working(folder: str) -> str:
    """`folder` where it can be the working folder of a task: one that holds the task's files and nothing else's."""
    folder = folder.rstrip("/")
    first, *deeper = folder[1:].split("/")
    if folder[:1] != "/" or RESERVED.fullmatch(first) or not all(is_component(part) for part in (first, *deeper)):
        raise Unfit(f"its working folder is {folder or '/'!r}")
    return folder
