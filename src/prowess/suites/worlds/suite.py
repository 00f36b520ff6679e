"""Suites whose tasks are played: a task says where an episode starts, and the world judges it.

A finished episode is its actions: the file `actions.json`, a list of texts, is what an agent hands in, like any other
output. Only the world turns actions into a score. What was played here is judged by the engine that it was played on,
when it ends, and that score is kept for `check`; actions that come from elsewhere (gold ones, a program's, another
machine's) are played again. So a score never passes through the agent, and trials, gates and the loop need not know
that a task is an episode.
"""

import json
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, ClassVar

from pydantic import JsonValue

from prowess.core.base import digest
from prowess.core.errors import UserError, WorldError
from prowess.core.skill import Skill
from prowess.core.task import Check, File, Score, Split, Task
from prowess.suites.worlds.engine import Capability, Outcome, Scene, Start
from prowess.suites.worlds.host import CALL_SECONDS, Pool, Seat, in_child, in_process
from prowess.suites.worlds.needs import Needs
from prowess.suites.worlds.skills import written

ACTIONS = "actions.json"
OFFSETS: Mapping[Split, int] = {"evidence": 0, "gate": 1, "test": 2}
SPLITS: tuple[Split, ...] = ("evidence", "gate", "test")
MAX_ACTION = 10_000
"""Characters of one action; what is longer is cut."""
_KEPT = 4_096


class Episode:
    """One episode of one task. Begin with `reset`; then `step` until the scene is done or the steps are used up.

    Every method raises `WorldError` where the world fails or does not answer in time; the episode is over then.
    """

    def __init__(self, task: Task, can: frozenset[Capability], seat: Seat, seconds: float) -> None:
        self.task = task
        self.can = can
        self.most = steps_of(task)
        """Actions that the episode may have."""
        self.scene: Scene | None = None
        self._seat = seat
        self._seconds = seconds
        self._actions: list[str] = []

    @property
    def actions(self) -> tuple[str, ...]:
        """What was done so far, in order."""
        return tuple(self._actions)

    @property
    def over(self) -> bool:
        """Whether no action is taken any more."""
        return self.scene is None or self.scene.done or len(self._actions) >= self.most

    async def reset(self) -> Scene:
        """The first scene; a running episode begins anew."""
        self._actions = []
        scene: Scene = await self._seat.call("reset", start_of(self.task), seconds=self._seconds)
        self.scene = scene
        return scene

    async def step(self, action: str) -> Scene:
        """What the world shows after `action`, which may be any text.

        Raises:
            UserError: the episode has not begun, or is over.
        """
        if self.over:
            raise UserError("this episode takes no action", "reset it")
        action = plain(action)
        scene = await self._seat.call("step", action, seconds=self._seconds)
        self._actions.append(action)
        self.scene = scene
        return scene

    async def score(self) -> Score:
        """How it has gone so far, said by the world. For those who measure; players are not told."""
        return judged(self.task, await self._seat.call("score", seconds=self._seconds))

    @property
    def saves(self) -> "Saved | None":
        """Saving and restoring, in worlds that can."""
        return Saved(self, self._seat, self._seconds, self._actions) if "save" in self.can else None

    @property
    def facts(self) -> "Facts | None":
        """Predicates, in worlds that know them."""
        return Facts(self._seat, self._seconds) if "predicates" in self.can else None


class Saved:
    """Goes back to earlier states of an episode; the actions since then are taken back with them."""

    def __init__(self, episode: Episode, seat: Seat, seconds: float, actions: list[str]) -> None:
        self._episode, self._seat, self._seconds, self._actions = episode, seat, seconds, actions

    async def save(self) -> "State":
        """The present state, good until the next reset."""
        return State(await self._seat.call("save", seconds=self._seconds), tuple(self._actions))

    async def restore(self, state: "State") -> Scene:
        scene = await self._seat.call("restore", state.name, seconds=self._seconds)
        self._actions[:] = state.actions
        self._episode.scene = scene
        return scene


class State:
    """A state of one episode."""

    __slots__ = ("actions", "name")

    def __init__(self, name: str, actions: tuple[str, ...]) -> None:
        self.name, self.actions = name, actions


class Facts:
    """What is true in an episode now."""

    def __init__(self, seat: Seat, seconds: float) -> None:
        self._seat, self._seconds = seat, seconds

    async def predicates(self) -> tuple[str, ...]:
        return tuple(await self._seat.call("predicates", seconds=self._seconds))


class WorldSuite(ABC):
    """What all worlds have in common; a world says what it is and draws its tasks.

    Args:
        warm: Episodes at once, and engines kept for the next ones.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    """What it is, in a few words."""
    licence: ClassVar[str]
    """Of the package and its data."""
    engine: ClassVar[str]
    """`module:Class`, made without arguments."""
    needs: ClassVar[Needs]
    can: frozenset[Capability] = frozenset()
    apart: ClassVar[bool] = False
    """Whether engines run in processes of their own: slow ones, big ones, and those that may hang."""
    seconds: ClassVar[float] = CALL_SECONDS
    """For one call of the engine."""
    replays: ClassVar[bool] = True
    """Whether the same actions lead to the same end: else only what was played here can be judged."""

    def __init__(self, *, warm: int = 8) -> None:
        if (lacking := self.needs.lacking()) is not None:
            raise lacking
        self._warm = warm
        self._pool = Pool(in_child(self.engine, self.needs.python()) if self.apart else in_process(self.engine), warm)
        self._scores: OrderedDict[str, Score] = OrderedDict()

    def __reduce__(self) -> tuple[Any, ...]:
        """On another machine: the same world, with engines of its own."""
        return partial(type(self), warm=self._warm), ()

    @property
    @abstractmethod
    def families(self) -> tuple[str, ...]: ...

    @abstractmethod
    def tasks(self, family: str, split: Split, n: int, variant: str = "base", start: int = 0) -> tuple[Task, ...]: ...

    def variants(self, family: str) -> tuple[str, ...]:
        return ("base",)

    def human_skill(self, family: str) -> Skill | None:
        return written(self.name, family)

    @asynccontextmanager
    async def episode(self, task: Task) -> AsyncGenerator[Episode]:
        """An episode of `task`. When it is left in good order, its score is kept for `check`.

        Raises:
            WorldError: the world failed; the run that played it is missing, not failed.
        """
        self._own(task)
        seat = await self._pool.take()
        try:
            episode = Episode(task, self.can, seat, self.seconds)
            yield episode
            if episode.scene is not None:
                self._keep(task, episode.actions, await episode.score())
        finally:
            self._pool.give(seat)

    def check(self, task: Task, outputs: tuple[File, ...], answer: str = "") -> Score:
        """The world's score of the actions in `actions.json`; played again where they were not played here.

        Raises:
            WorldError: the world failed, or it cannot be played again.
        """
        self._own(task)
        actions = read_actions(outputs, steps_of(task))
        if actions is None:
            return judged(task, Outcome(0.0, False, f"{ACTIONS} is no JSON list of texts"))
        if (known := self._scores.get(_key(task, actions))) is not None:
            return known
        if not self.replays:
            raise WorldError(f"an episode of {self.name} can only be judged where it was played")
        return self._replayed(task, actions)

    def oracle(self, task: Task) -> tuple[File, ...] | None:
        """The gold actions, in worlds that have them. Raises `WorldError` where the world fails."""
        if "gold" not in self.can:
            return None
        self._own(task)
        seat = self._pool.extra()
        try:
            return (handed_in(seat.call_now("gold", start_of(task), seconds=self.seconds)),)
        finally:
            self._pool.give(seat, extra=True)

    def asked(self, method: str, *arguments: Any) -> Any:
        """What the engine of a world that lives `apart` says of itself, outside any episode. Raises `WorldError`."""
        seat = self._pool.extra()
        try:
            return seat.call_now("call", method, *arguments, seconds=self.seconds)
        finally:
            self._pool.give(seat, extra=True)

    def close(self) -> None:
        """End the engines that are kept warm."""
        self._pool.close()

    def drawn(
        self, family: str, variant: str, split: Split, seed: int | str, prompt: str, start: dict[str, JsonValue],
        steps: int,
    ) -> Task:  # fmt: skip
        """A task of this world: what the player is told, where the episode begins, and how many steps it may have."""
        return Task(
            id=f"{family}/{variant}/{seed}",
            suite=self.name,
            family=family,
            variant=variant,
            split=split,
            seed=seed if isinstance(seed, int) else 0,
            prompt=prompt,
            outputs=(ACTIONS,),
            source=self.needs.source,
            meta={"start": start, "steps": steps},
        )

    def known(self, family: str, variant: str, n: int, start: int) -> None:
        """Raises `UserError` where tasks are asked for that there cannot be."""
        if family not in self.families:
            raise UserError(f"{self.name} has no family {family!r}", f"choose one of {', '.join(self.families)}")
        if variant not in self.variants(family):
            raise UserError(
                f"family {family!r} has no variant {variant!r}", f"choose one of {', '.join(self.variants(family))}"
            )
        if start < 0 or n < 0:
            raise UserError(f"tasks {start} to {start + n - 1} cannot be drawn", "give start and n of zero or more")

    def _own(self, task: Task) -> None:
        if task.suite != self.name:
            raise UserError(f"{task.id} is a task of {task.suite}", f"give one of {self.name}")

    def _keep(self, task: Task, actions: Sequence[str], score: Score) -> None:
        self._scores[_key(task, actions)] = score
        while len(self._scores) > _KEPT:
            self._scores.popitem(last=False)

    def _replayed(self, task: Task, actions: Sequence[str]) -> Score:
        seat = self._pool.extra()
        try:
            scene: Scene = seat.call_now("reset", start_of(task), seconds=self.seconds)
            for action in actions:
                if scene.done:
                    break
                scene = seat.call_now("step", action, seconds=self.seconds)
            return judged(task, seat.call_now("score", seconds=self.seconds))
        finally:
            self._pool.give(seat, extra=True)


def start_of(task: Task) -> Start:
    """Where the episode of a task begins."""
    start = task.meta.get("start")
    if not isinstance(start, dict):
        raise UserError(f"{task.id} is no episode", "use tasks of an interactive suite")
    return start


def steps_of(task: Task) -> int:
    """Actions that an episode of `task` may have."""
    steps = task.meta.get("steps")
    return steps if isinstance(steps, int) else 0


def plain(action: str) -> str:
    """An action as the world is given it: one line, not endless."""
    return " ".join(action.split())[:MAX_ACTION]


def handed_in(actions: Sequence[str]) -> File:
    """An episode as the output of a task."""
    return File(path=ACTIONS, data=json.dumps(list(actions), ensure_ascii=False, indent=0).encode("utf-8", "replace"))


def read_actions(outputs: Sequence[File], most: int) -> tuple[str, ...] | None:
    """The first `most` actions that were handed in; None where the file is missing or is something else."""
    file = next((f for f in outputs if f.path == ACTIONS), None)
    if file is None:
        return None
    try:
        found: object = json.loads(file.data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, list) or not all(isinstance(a, str) for a in found):  # pyright: ignore[reportUnknownVariableType]
        return None
    return tuple(plain(str(a)) for a in found[:most])  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]


def judged(task: Task, outcome: Outcome) -> Score:
    """What the world said, as a score."""
    value = min(max(outcome.value, 0.0), 1.0)
    message = outcome.message or ("" if outcome.passed else "the goal was not reached")
    return Score(
        value=value,
        passed=outcome.passed,
        checks=(
            Check(name="goal", passed=outcome.passed, message=message),
            *(Check(name=name, passed=not wrong, message=wrong) for name, wrong in outcome.also.items()),
        ),
        verifier=f"suite:{task.suite}",
        trusted=True,
    )


def _key(task: Task, actions: Sequence[str]) -> str:
    return digest([task.digest, list(actions)])
