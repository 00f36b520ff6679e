"""What a study leaves behind: its arms, their learning curves by seed, and how the ends compare."""

import math
import statistics
from collections.abc import Sequence

from prowess.core.base import Frozen

# Two-sided 95 % quantiles of Student's t by degrees of freedom; beyond the table the normal's is near enough.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
      2.110, 2.101, 2.093, 2.086)  # fmt: skip


class Point(Frozen):
    """What was measured at one moment of training."""

    step: int
    """Updates since the warm start, over all phases."""
    tokens: int
    """Tokens sampled for training up to here."""
    figures: dict[str, float]


class SeedRun(Frozen):
    """One arm under one seed."""

    seed: int
    points: tuple[Point, ...]
    """The first is the warm start's."""
    rewards: tuple[float, ...] = ()
    """Mean training reward of each step that had one."""
    seconds: float
    """Of collecting and updating; measuring and the warm start not counted."""


class ArmRecord(Frozen):
    """One way of training, under several seeds."""

    name: str
    what: str
    runs: tuple[SeedRun, ...]

    def last(self, figure: str) -> list[float]:
        """A figure at the end of each run that has it."""
        return [r.points[-1].figures[figure] for r in self.runs if figure in r.points[-1].figures]


class StudyRecord(Frozen):
    """A method beside its baselines and ablations, on equal steps and seeds."""

    study: str
    source: str
    claim: str
    substituted: str
    headline: str
    """The figure that the claim is about."""
    model: str
    machine: str
    arms: tuple[ArmRecord, ...]
    """The method first."""


class Interval(Frozen):
    """A mean over seeds, with its 95 % interval (Student's t); without one for a single seed."""

    mean: float
    low: float | None
    high: float | None
    n: int

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.mean:.2f} (one seed)"
        return f"{self.mean:.2f} [{self.low:.2f}, {self.high:.2f}]"


def interval(values: Sequence[float]) -> Interval:
    """The mean of values and its interval. Raises `ValueError` for none."""
    if not values:
        raise ValueError("no values")
    n, mean = len(values), statistics.fmean(values)
    if n == 1:
        return Interval(mean=mean, low=None, high=None, n=1)
    half = (_T[n - 2] if n - 2 < len(_T) else 1.96) * statistics.stdev(values) / math.sqrt(n)
    return Interval(mean=mean, low=mean - half, high=mean + half, n=n)


def difference(method: ArmRecord, other: ArmRecord, figure: str) -> Interval | None:
    """How much more the method reached than another arm, seed by seed; None where they share no seed."""
    theirs = {r.seed: r.points[-1].figures.get(figure) for r in other.runs}
    pairs = [
        r.points[-1].figures[figure] - there
        for r in method.runs
        if figure in r.points[-1].figures and (there := theirs.get(r.seed)) is not None
    ]
    return interval(pairs) if pairs else None
