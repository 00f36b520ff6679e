"""Many comparisons at once, for example one per skill of a library: adjusted p-values."""

import math
from collections.abc import Sequence

from prowess.core.errors import UserError


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjusted p-values, in the order given; those <= alpha keep the chance of *any* false claim at alpha.

    Sorted upwards, the i-th of m becomes max over j <= i of min(1, (m - j + 1)·p_j). No assumption on dependence.
    Source: S. Holm, Scand. J. Statist. 6 (1979) 65.
    """
    _check(p_values)
    m = len(p_values)
    out, running = [0.0] * m, 0.0
    for rank, i in enumerate(sorted(range(m), key=lambda i: p_values[i])):
        running = max(running, min(1.0, (m - rank) * p_values[i]))
        out[i] = running
    return tuple(out)


def benjamini_hochberg(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjusted p-values, in the order given; those <= q keep the expected *share* of false claims at q.

    Sorted upwards, the i-th of m becomes min over j >= i of min(1, m·p_j/j). For independent or positively dependent
    comparisons. Source: Y. Benjamini and Y. Hochberg, JRSS B 57 (1995) 289.
    """
    _check(p_values)
    m = len(p_values)
    out, running = [0.0] * m, 1.0
    for rank, i in enumerate(sorted(range(m), key=lambda i: -p_values[i])):
        running = min(running, m * p_values[i] / (m - rank))
        out[i] = running
    return tuple(out)


def _check(p_values: Sequence[float]) -> None:
    for p in p_values:
        if math.isnan(p) or not 0 <= p <= 1:
            raise UserError(f"{p!r} is no p-value", "give numbers from 0 to 1; leave out what was not tested")
