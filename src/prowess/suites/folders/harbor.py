"""Task folders in Harbor's format, read: instruction, limits, environment, tests and solution, all of it hostile.

    task.toml           limits and requirements
    instruction.md      the prompt
    environment/        a Dockerfile and what it copies
    tests/test.sh       the verifier; leaves /logs/verifier/reward.txt or reward.json
    solution/solve.sh   the oracle, where there is one

The format is that of Harbor 0.25 (schema 1.4) and of those before it; tasks of several steps or services are refused.
"""

import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from prowess.library.disk import read_folder
from prowess.suites.folders.dockerfile import Unfit

TASK_TOML: Final = "task.toml"
INSTRUCTION: Final = "instruction.md"
TEST: Final = "test.sh"
SOLVE: Final = "solve.sh"
MOST_TEXT: Final = 1 << 20
"""Bytes of an instruction or a task.toml."""
MOST_SECONDS: Final = 3_600.0
MOST_MEMORY_MB: Final = 16_384
DEEPEST: Final = 4
MOST_TASKS: Final = 10_000


class _Verifier(BaseModel):
    model_config = ConfigDict(extra="ignore")
    timeout_sec: float = Field(default=600.0, gt=0)
    env: dict[str, str] = {}
    environment_mode: str | None = None


class _Environment(BaseModel):
    model_config = ConfigDict(extra="ignore")
    build_timeout_sec: float = Field(default=600.0, gt=0)
    docker_image: str | None = None
    memory_mb: int = Field(default=2_048, gt=0)
    gpus: int | None = None
    allow_internet: bool | None = None
    network_mode: str = "public"
    tpu: object = None
    os: str = "linux"
    workdir: str | None = None
    env: dict[str, str] = {}
    mcp_servers: list[object] = []
    healthcheck: object = None

    @property
    def network(self) -> bool:
        """Whether its own scripts may reach the network."""
        return self.network_mode == "public" and self.allow_internet is not False


class _Solution(BaseModel):
    model_config = ConfigDict(extra="ignore")
    env: dict[str, str] = {}


class Config(BaseModel):
    """What of task.toml bears on running it."""

    model_config = ConfigDict(extra="ignore")
    metadata: dict[str, Any] = {}
    verifier: _Verifier = _Verifier()
    environment: _Environment = _Environment()
    solution: _Solution = _Solution()
    steps: list[object] | None = None


@dataclass(frozen=True, slots=True)
class TaskFolder:
    """One task as it lies on the disk."""

    path: Path
    config: Config
    instruction: str
    environment: dict[str, bytes]
    tests: dict[str, bytes]
    solution: dict[str, bytes]


def find(root: Path) -> Iterator[Path]:
    """The task folders at or below `root`, in the order in which people count; no link is followed."""
    waiting = [(root, 0)]
    found = 0
    while waiting and found < MOST_TASKS:
        here, depth = waiting.pop()
        if (here / TASK_TOML).is_file():
            found += 1
            yield here
        elif depth < DEEPEST:
            inside = [e.name for e in os.scandir(here) if e.is_dir(follow_symlinks=False) and e.name[0] != "."]
            waiting += [(here / name, depth + 1) for name in sorted(inside, key=natural, reverse=True)]


def natural(name: str) -> tuple[tuple[int, str], ...]:
    """A key that puts `task-10` after `task-9`."""
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d{1,9})", name) if part)


def read(folder: Path) -> TaskFolder:
    """The task in `folder`.

    Raises:
        Unfit: it is broken, or needs what no room here can give.
    """
    try:
        config = Config.model_validate(tomllib.loads(_text(folder / TASK_TOML)))
    except tomllib.TOMLDecodeError as error:
        raise Unfit(f"its task.toml cannot be read: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise Unfit(f"its task.toml: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    if config.steps or (folder / "steps").is_dir():
        raise Unfit("it has several steps")
    needs = config.environment
    wanted = [
        (bool(needs.gpus) or needs.tpu is not None, "a graphics processor"),
        (needs.os != "linux", needs.os),
        (bool(needs.mcp_servers), "servers of tools beside the agent"),
        (needs.healthcheck is not None, "a service that is waited for"),
        (config.verifier.environment_mode == "separate", "an environment of its own for its verifier"),
        (any((folder / "environment").glob("*compose.y*ml")), "several containers"),
        (_from_outside(config), "keys or settings from outside"),
    ]
    if lacking := [what for there, what in wanted if there]:
        raise Unfit(f"it wants {' and '.join(lacking)}")
    task = TaskFolder(
        folder, config, _text(folder / INSTRUCTION),
        _below(folder / "environment"), _below(folder / "tests"), _below(folder / "solution"),
    )  # fmt: skip
    if TEST not in task.tests:
        raise Unfit(f"it has no tests/{TEST}")
    if not task.instruction.strip():
        raise Unfit(f"its {INSTRUCTION} is empty")
    return task


def _from_outside(config: Config) -> bool:
    """Whether a variable is to be taken from the user's own environment: secrets never go into a room."""
    env = {**config.environment.env, **config.verifier.env, **config.solution.env}
    return any("${" in value for value in env.values())


def _text(path: Path) -> str:
    try:
        if path.is_symlink() or not path.is_file():
            raise Unfit(f"it has no {path.name}")
        with path.open("rb") as stream:
            data = stream.read(MOST_TEXT + 1)
    except OSError as error:
        raise Unfit(f"its {path.name} cannot be read: {error.strerror}") from None
    if len(data) > MOST_TEXT:
        raise Unfit(f"its {path.name} is too large")
    return data.decode("utf-8", "replace")


def _below(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir() and not folder.is_symlink():
        return {}
    try:
        found = read_folder(folder)
    except OSError as error:
        raise Unfit(f"its {folder.name}/ cannot be read: {error.strerror}") from None
    if found.problems:
        raise Unfit(f"in its {folder.name}/, {found.problems[0]}")
    return found.files
