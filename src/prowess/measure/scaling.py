"""How accuracy of selection falls with the size of the library: the curve of arXiv 2601.04748, fitted.

    accuracy(n) = alpha / (1 + (n / kappa) ** gamma)

`alpha` is the accuracy of a small library, `kappa` the size at which half of it is lost, `gamma` how sudden the fall
is: 1 is gradual, large is a threshold. Fitted by binomial likelihood on a grid that is refined; intervals resample
whole libraries, since choices from one library are not independent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from prowess.core.errors import UserError

Floats = npt.NDArray[np.float64]

RESAMPLES = 200
_GAMMA = (0.2, 8.0)
_BEYOND = 100.0
"""`kappa` is looked for up to this many times the largest size; a fit at that edge says that nothing was lost."""
_GRID: Floats = np.array(list(product(np.linspace(0, 1, 13).tolist(), repeat=3)), dtype=np.float64)
_ZOOMS = 6
_FALL = 0.05


@dataclass(frozen=True, slots=True)
class Group:
    """Choices from one library."""

    size: int
    right: int
    asked: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Curve:
    """A fitted curve."""

    alpha: Estimate
    kappa: Estimate
    gamma: Estimate
    r2: float
    """Share of the variance of accuracy over sizes that the curve explains; 1 when there is none."""
    falls: bool
    """Whether a twentieth of the accuracy is lost from the smallest to the largest size; else `kappa` is a guess."""

    def at(self, size: float) -> float:
        """Accuracy expected of a library of `size` skills."""
        return self.alpha.value / (1 + (size / self.kappa.value) ** self.gamma.value)


def fit(groups: Sequence[Group], *, seed: int = 0, resamples: int = RESAMPLES) -> Curve:
    """The curve through `groups`.

    Raises:
        UserError: fewer than three sizes, or nothing was asked.
    """
    asked = [g for g in groups if g.asked]
    sizes = sorted({g.size for g in asked})
    if len(sizes) < 3:
        raise UserError(f"a curve through {len(sizes)} sizes", "probe at least three sizes")
    by_size = [[g for g in asked if g.size == size] for size in sizes]
    n = np.array(sizes, dtype=np.float64)
    right, total = _counts(by_size)
    best = _best(n, right, total)
    draw = np.random.default_rng(seed)
    again: list[Floats] = []
    for _ in range(resamples):
        again.append(_best(n, *_counts([_drawn(same, draw) for same in by_size])))
    spread = np.array(again) if again else best[None, :]
    alpha, kappa, gamma = (_estimate(float(best[i]), spread[:, i]) for i in range(3))
    expected = _expected(n, best)
    falls = bool(expected[-1] < (1 - _FALL) * expected[0])
    return Curve(alpha, kappa, gamma, _r2(right / total, expected), falls)


def _drawn(same: Sequence[Group], draw: np.random.Generator) -> list[Group]:
    picks: list[int] = draw.integers(len(same), size=len(same)).tolist()
    return [same[i] for i in picks]


def _counts(by_size: Sequence[Sequence[Group]]) -> tuple[Floats, Floats]:
    right = np.array([sum(g.right for g in same) for same in by_size], dtype=np.float64)
    return right, np.array([sum(g.asked for g in same) for same in by_size], dtype=np.float64)


def _estimate(value: float, spread: Floats) -> Estimate:
    low, high = np.quantile(spread, [0.025, 0.975])
    return Estimate(value, min(value, float(low)), max(value, float(high)))


def _best(n: Floats, right: Floats, total: Floats) -> Floats:
    """(alpha, kappa, gamma) of the highest likelihood: a grid in alpha and the logs of the others, then finer ones."""
    floor = np.array([0.02, np.log(n[0] / 2), np.log(_GAMMA[0])])
    ceiling = np.array([1.0, np.log(n[-1] * _BEYOND), np.log(_GAMMA[1])])
    low, high, best = floor, ceiling, floor
    for _ in range(_ZOOMS):
        tried: Floats = low + _GRID * (high - low)
        slope = np.exp(tried[:, 2:]) * (np.log(n) - tried[:, 1:2])
        chance = np.clip(tried[:, :1] / (1 + np.exp(slope)), 1e-6, 1 - 1e-6)
        fits = (right * np.log(chance) + (total - right) * np.log(1 - chance)).sum(axis=1)
        best = tried[int(np.argmax(fits))]
        width = (high - low) / 5
        low, high = np.maximum(floor, best - width), np.minimum(ceiling, best + width)
    return np.array([best[0], np.exp(best[1]), np.exp(best[2])])


def _expected(n: Floats, best: Floats) -> Floats:
    return best[0] / (1 + (n / best[1]) ** best[2])


def _r2(accuracy: Floats, expected: Floats) -> float:
    spread = float(((accuracy - accuracy.mean()) ** 2).sum())
    return 1.0 if spread < 1e-12 else 1 - float(((accuracy - expected) ** 2).sum()) / spread
