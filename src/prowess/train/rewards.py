"""Rewards that many methods share, and the formulas that are easily got wrong, as pure functions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from prowess.core.task import Task
from prowess.train.samples import Context, Group

Check = Callable[[Task, str], float]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the check says of the answer; `unfinished` for one that was cut off."""

    check: Check
    unfinished: float | None = None

    def __call__(self, groups: Sequence[Group], ctx: Context) -> None:
        for group in groups:
            for episode in group:
                cut = self.unfinished is not None and not episode.info.get("finished", True)
                value = self.unfinished if cut else self.check(episode.task, episode.info["answer"])
                episode.reward = value
                episode.parts["outcome"] = float(value or 0.0)


@dataclass(frozen=True, slots=True)
class Total:
    """Several rewards, one after the other; each sees what those before it have set."""

    parts: tuple[Callable[[Sequence[Group], Context], None], ...]

    def __call__(self, groups: Sequence[Group], ctx: Context) -> None:
        for part in self.parts:
            part(groups, ctx)


def turn_returns(turns: int, solved: int | None, gamma: float = 0.7) -> list[float]:
    """What each turn earns when the task is solved at turn `solved` (from 0): gamma to the turns still to go."""
    return [0.0] * turns if solved is None else [gamma ** (solved - t) if t <= solved else 0.0 for t in range(turns)]
