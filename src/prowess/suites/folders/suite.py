"""The suite `folders:PATH`: tasks in Harbor's format that lie below a folder, such as a checkout of SkillLearnBench.

What an agent leaves in the task's working folder is its answer. The verifier gets the folder as it was given with the
answer over it, in a room of its own: what an agent did to its system elsewhere does not count, and cannot.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files as package_files
from pathlib import Path
from typing import Final

from prowess.core.base import digest
from prowess.core.errors import BoundaryError, UserError
from prowess.core.room import KEY
from prowess.core.skill import Skill
from prowess.core.task import Check, File, Score, Split, Task
from prowess.library.disk import read_folder
from prowess.library.trees import is_component, skill_of
from prowess.sandbox.rooms import Ran, Rooms
from prowess.suites.folders import harbor, rewards
from prowess.suites.folders.dockerfile import SKILLS, Unfit
from prowess.suites.folders.preparing import Prepared, with_image, without_image

PREFIX: Final = "folders:"
SPLITS: Final[tuple[Split, ...]] = ("evidence", "gate", "test")
TESTS: Final = "tests"
SOLUTION: Final = "solution"
STAND_INS: Final = ".stand-ins.sh"
DEEPEST: Final = 12
"""Folders below the working folder."""
HOME: Final = re.compile(r"\.(?:local|config|cache|bashrc|bash_profile|profile|curlrc|wgetrc|netrc|pip|ssh)")
"""Where the working folder is also the home folder, these are settings of the verifier's own tools, and no answer."""
HUMAN: Final = "skills/human_authored"
"""Where SkillLearnBench keeps the skills that people wrote, by family."""


class TaskFolders:
    """The task folders at or below `root`; a family is the folder that several lie in.

    The task at place `i` of its family, in the order in which people count, belongs to the split at `i` modulo 3.

    Raises:
        UserError: there is no task folder, or none that can run here; the text says why.
    """

    about = "task folders in Harbor's format"
    licence = "their own"

    def __init__(self, root: Path, rooms: Rooms) -> None:
        self.root = root.resolve()
        self.name = f"{PREFIX}{self.root}"
        self.rooms = rooms
        if not self.root.is_dir():
            raise UserError(f"there is no folder {root}", f"give the suite as {PREFIX}PATH")
        found = list(harbor.find(self.root))
        if not found:
            raise UserError(
                f"there is no task folder below {root}",
                f"a task folder holds {harbor.TASK_TOML}, {harbor.INSTRUCTION}, environment/ and tests/",
            )
        self.kinds = rooms.kinds
        if not self.kinds:
            raise UserError(
                "task folders need bubblewrap or a container engine, and there is neither",
                "install bubblewrap (`apt install bubblewrap`), or Docker or Podman",
            )
        self.prepared = lru_cache(maxsize=8)(self._prepared)
        self.solved = lru_cache(maxsize=64)(self._solved)
        self.refused: dict[str, str] = {}
        """Why a task cannot run here, by its id."""
        self.members: dict[str, list[Path]] = {}
        for folder in found:
            try:
                # Images are built only when a task is drawn.
                task = harbor.read(folder)
                if "container" not in self.kinds:
                    without_image(task)
            except Unfit as why:
                self.refused[self._id(folder)] = str(why)
            else:
                self.members.setdefault(self._family(folder), []).append(folder)
        if not self.members:
            first, why = next(iter(self.refused.items()))
            raise UserError(
                f"none of the {len(found)} tasks below {root} can run here; {first}: {why}", "bring what is missing"
            )

    @property
    def families(self) -> tuple[str, ...]:
        return tuple(self.members)

    def variants(self, family: str) -> tuple[str, ...]:
        return ("base",)

    def tasks(self, family: str, split: Split, n: int, variant: str = "base", start: int = 0) -> tuple[Task, ...]:
        """As every suite; a family has as many tasks as there are folders.

        Raises:
            UserError: no such family or variant, or an image could not be built.
        """
        if family not in self.members:
            why = [f"{name}: {why}" for name, why in self.refused.items() if self._family(self.root / name) == family]
            raise UserError(
                f"no task of family {family!r} can run here; {why[0]}" if why else f"there is no family {family!r}",
                f"choose one of {', '.join(self.members)}",
            )
        if variant != "base" or start < 0 or n < 0:
            raise UserError(f"family {family!r} has no such tasks", "its only variant is base; count from 0")
        mine = self.members[family][SPLITS.index(split) :: len(SPLITS)][start : start + n]
        return tuple(self._task(folder, family, split) for folder in mine)

    def check(self, task: Task, outputs: tuple[File, ...], answer: str = "") -> Score:
        """The reward that the task's own verifier gives; `answer` is not looked at."""
        prepared = self._ready(self._folder(task))
        answers = [file for file in outputs if not HOME.fullmatch(file.path.split("/")[0])]
        given = {file.path: file for file in (*prepared.files, *answers)}
        if bad := [path for path in given if not _fits(path, given)]:
            checks = (Check(name="files", passed=False, message=f"{bad[0][:200]!r} cannot lie in the working folder"),)
            return Score(value=0.0, passed=False, checks=checks, verifier="suite:folders", trusted=True)
        config = prepared.folder.config
        ran = self._run(prepared, tuple(given.values()), TESTS, config.verifier.timeout_sec, config.verifier.env)
        value, checks = rewards.read(ran, config.verifier.timeout_sec)
        return Score(value=value, passed=value >= 1, checks=checks, verifier="suite:folders", trusted=True)

    def oracle(self, task: Task) -> tuple[File, ...] | None:
        return self.solved(self._folder(task))

    def human_skill(self, family: str) -> Skill | None:
        """The one skill that came with the family; None where there is none, or several."""
        places = [above / HUMAN / family for above in (self.root, *self.root.parents)[:3]]
        places += [folder / "environment" / SKILLS for folder in self.members.get(family, [])[:1]]
        for place in places:
            straight = place.is_dir() and place.resolve() == place
            found = [inside for inside in sorted(place.iterdir()) if inside.is_dir()] if straight else []
            if len(found) == 1 and not found[0].is_symlink():
                return skill_of(found[0].name, read_folder(found[0]).files).skill
        return None

    def _task(self, folder: Path, family: str, split: Split) -> Task:
        try:
            prepared = self._ready(folder)
        except BoundaryError as why:
            raise UserError(f"{self._id(folder)} cannot run here: {why}", "mend it, or choose other families") from why
        work, paths = prepared.room.work, [file.path for file in prepared.files]
        text = prepared.folder.instruction.strip()
        return Task(
            id=self._id(folder),
            suite=self.name,
            family=family,
            split=split,
            seed=self.members[family].index(folder),
            prompt=f"{text}\n\nThe current folder is `{work}`; name its files relative to it.",
            files=prepared.files,
            outputs=rewards.outputs_of(text, work, paths),
            source=_verifier(prepared),
            meta={KEY: prepared.room.model_dump(mode="json")},
        )

    def _solved(self, folder: Path) -> tuple[File, ...] | None:
        prepared = self._ready(folder)
        if harbor.SOLVE not in prepared.folder.solution:
            return None
        config = prepared.folder.config
        ran = self._run(prepared, prepared.files, SOLUTION, config.verifier.timeout_sec, config.solution.env)
        prefix = f"{prepared.room.work[1:]}/"
        return tuple(
            File(path=file.path.removeprefix(prefix), data=file.data)
            for file in ran.files
            if file.path.startswith(prefix)
        )

    def _run(self, prepared: Prepared, files: tuple[File, ...], what: str, seconds: float, env: dict[str, str]) -> Ran:
        """Run the task's own script for `what` over `files` of the working folder."""
        own, script = (
            (prepared.folder.tests, harbor.TEST) if what == TESTS else (prepared.folder.solution, harbor.SOLVE)
        )
        work = prepared.room.work[1:]
        given = {f"{work}/{file.path}": file.data for file in files}
        given |= {f"{what}/{path}": data for path, data in own.items()}
        given["logs/verifier/.keep"] = given["logs/agent/.keep"] = b""
        settings = dict(prepared.room.env) | env
        if not prepared.room.image:
            given[f"{what}/{STAND_INS}"] = package_files("prowess.suites.folders").joinpath("stand_ins.sh").read_bytes()
            # Scripts source this after they have installed uv.
            given[f"{work}/.local/bin/env"] = b""
            settings |= {"BASH_ENV": f"/{what}/{STAND_INS}", "PYTHONNOUSERSITE": "1"}
        room = prepared.room.model_copy(
            update={
                "folders": (prepared.room.work, f"/{what}", "/logs"),
                "env": tuple(settings.items()),
                "network": bool(prepared.room.image) and prepared.folder.config.environment.network,
            }
        )
        all_ = tuple(File(path=path, data=data) for path, data in given.items())
        memory = min(prepared.folder.config.environment.memory_mb, harbor.MOST_MEMORY_MB)
        return self.rooms.run(room, ["bash", f"/{what}/{script}"], all_, min(seconds, harbor.MOST_SECONDS), memory)

    def _ready(self, folder: Path) -> Prepared:
        try:
            return self.prepared(folder)
        except Unfit as why:
            raise UserError(f"{self._id(folder)} cannot run here: {why}", "mend it, or choose other families") from why

    def _prepared(self, folder: Path) -> Prepared:
        """The task in its image, else, where that cannot be built, with this system's software.

        Raises:
            Unfit: it cannot run here.
            BoundaryError: only an image would do, and it could not be built.
        """
        task = harbor.read(folder)
        if "container" not in self.kinds:
            return without_image(task)
        try:
            return with_image(task, self.rooms)
        except (BoundaryError, Unfit):
            if "bubblewrap" in self.kinds:
                with suppress(Unfit):
                    return without_image(task)
            raise

    def _id(self, folder: Path) -> str:
        return folder.relative_to(self.root).as_posix() if folder != self.root else folder.name

    def _family(self, folder: Path) -> str:
        return self.root.name if folder == self.root else folder.parent.name

    def _folder(self, task: Task) -> Path:
        found = [folder for folder in self.members.get(task.family, ()) if self._id(folder) == task.id]
        if not found:
            raise UserError(
                f"{self.name} has no task {task.id!r}", "the folder has changed since; draw its tasks again"
            )
        return found[0]


def _verifier(prepared: Prepared) -> str:
    """What the verdict depends on beside the answer; trials under another verifier are other trials."""
    own, config = prepared.folder.tests, prepared.folder.config.verifier
    files = [[path, sha256(own[path]).hexdigest()] for path in sorted(own)]
    return f"verifier {digest([files, config.model_dump(mode='json')])[:16]}"


def _fits(path: str, given: Mapping[str, object]) -> bool:
    """Whether a file can be called so, beside the others."""
    parts = path.split("/")
    above = ("/".join(parts[:i]) for i in range(1, len(parts)))
    sound = all(is_component(part) and len(part.encode("utf-8", "replace")) < 256 for part in parts)
    written = path == path.encode("utf-8", "replace").decode()  # a lone surrogate cannot be
    return sound and written and len(parts) <= DEEPEST and not any(folder in given for folder in above)
