"""Curricula draw tasks; gates say which groups are worth training on."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from prowess.core.task import Task
from prowess.train.mechanisms.base import Mechanism
from prowess.train.samples import Context, Group

Draw = Callable[[int, int], list[Task]]
"""From a number of tasks and a seed to the tasks."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """New tasks at every step, from a function of number and seed."""

    make: Draw

    def draw(self, n: int, ctx: Context) -> list[Task]:
        return self.make(n, ctx.seed())

    def observe(self, groups: Sequence[Group], ctx: Context) -> None:
        pass


def practice(world: Mechanism, *, level: int = 1) -> Fresh:
    """Fresh tasks of a mechanism, of the split that training may see."""
    return Fresh(lambda n, seed: world.tasks("evidence", n, level=level, seed=seed))


@dataclass(frozen=True, slots=True)
class Pool:
    """A fixed set of tasks, drawn without replacement within a step."""

    tasks: tuple[Task, ...]

    def draw(self, n: int, ctx: Context) -> list[Task]:
        return ctx.rng.sample(self.tasks, min(n, len(self.tasks)))

    def observe(self, groups: Sequence[Group], ctx: Context) -> None:
        pass


def mixed(*sources: Draw) -> Draw:
    """As many tasks of each source, in turn: levels, families."""

    def draw(n: int, seed: int) -> list[Task]:
        share = [n // len(sources) + (i < n % len(sources)) for i in range(len(sources))]
        return [task for source, k in zip(sources, share, strict=True) for task in source(k, seed)]

    return draw


def rewards(group: Group) -> list[float]:
    """The rewards of a group's judged episodes."""
    return [e.reward for e in group if e.reward is not None]


def varied(group: Group) -> bool:
    """Gate: rewards differ, so that there is something to learn (dynamic sampling of DAPO, 2503.14476)."""
    found = rewards(group)
    return len(found) > 1 and max(found) - min(found) > 1e-9


@dataclass(frozen=True, slots=True)
class Band:
    """Gate: the mean reward lies between bounds: neither too hard nor too easy."""

    low: float = 0.3
    high: float = 0.8

    def __call__(self, group: Group) -> bool:
        found = rewards(group)
        return bool(found) and self.low <= statistics.fmean(found) <= self.high
