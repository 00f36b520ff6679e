"""The mean of values between -1 and 1, looked at after every value: an interval that holds at all times at once.

The bet of `prowess.measure.stats.sequential` for values that need not be won, tied or lost pairs: a Shapley value of
one task, for example, may be a half. Against "the mean is d" the wealth is

    K_d = ∫ ∏ᵢ (1 + λ(xᵢ - d)) dπ_d(λ)

with the same mixture π_d over the stakes that cannot go broke, -1/(1-d) < λ < 1/(1+d); the interval is all d whose
wealth is below 1/(1 - level). For values of +1, 0 and -1 it is `anytime_interval`.

Source: I. Waudby-Smith and A. Ramdas, JRSS B 86 (2024) 1, section 4.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from prowess.core.errors import UserError
from prowess.measure.stats.sequential import _quadrature as quadrature  # pyright: ignore[reportPrivateUsage]
from prowess.measure.stats.special import check_share

if TYPE_CHECKING:
    import numpy as np

_EDGE = 1 - 1e-9
"""The means tested stay this side of -1 and 1, where no stake is safe."""


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Interval of the mean of independent `values` within -1 and 1; no values give (-1, 1).

    Raises:
        UserError: a value is NaN or outside of -1 to 1.
    """
    check_share(level=level)
    counts = Counter(values)
    if bad := [value for value in counts if not -1.0 <= value <= 1.0]:
        raise UserError(f"{bad[0]!r} is not between -1 and 1", "give differences of scores from 0 to 1")
    if not counts:
        return -1.0, 1.0
    limit, mean = -math.log1p(-level), math.fsum(values) / len(values)
    return _edge(counts, -_EDGE, mean, limit), _edge(counts, _EDGE, mean, limit)


def wealth_table(size: int, n: int, d: float) -> "np.ndarray[Any, Any]":
    """Wealth against "the mean is d" for all counts of +1 (rows) and -1 (columns) up to `size`, after `n` values.

    For d from 0 to 0.5. One matrix product, since the wealth is a sum over stakes of won^wins · tied^ties ·
    lost^losses. Entries with more than `n` wins and losses mean nothing.
    """
    import numpy as np

    nodes, weights = quadrature(min(n // 2 + 1, 256))
    stakes = _stakes(nodes, d)
    tied = 1 - stakes * d
    counts = np.arange(size + 1)[:, None]
    won = ((1 + stakes * (1 - d)) / tied) ** counts
    lost = ((1 - stakes * (1 + d)) / tied) ** counts
    for part in (won, lost):
        part[part < 1e-200] = 0.0  # denormal numbers would slow the product down a hundredfold
    return (won * (weights * tied**n)) @ lost.T


def _log_wealth(counts: Counter[float], d: float) -> float:
    import numpy as np

    nodes, weights = quadrature(min(counts.total() // 2 + 1, 256))
    stakes = _stakes(nodes, d)
    log_terms = np.log(weights)
    for value, count in counts.items():
        log_terms = log_terms + count * np.log1p(stakes * (value - d))
    return float(np.logaddexp.reduce(log_terms))


def _stakes(nodes: "np.ndarray[Any, Any]", d: float) -> "np.ndarray[Any, Any]":
    return (2 * nodes - (1 + d)) / (1 - d * d)


def _edge(counts: Counter[float], outside: float, inside: float, limit: float) -> float:
    """Where the wealth crosses `limit`; -1 or 1 when it never does. At the mean itself no bet has won, by Jensen."""
    if abs(inside) >= _EDGE and math.copysign(1.0, outside) == math.copysign(1.0, inside):
        return math.copysign(1.0, outside)
    if _log_wealth(counts, outside) < limit:
        return math.copysign(1.0, outside)
    for _ in range(40):
        middle = (outside + inside) / 2
        if _log_wealth(counts, middle) < limit:
            inside = middle
        else:
            outside = middle
    return inside
