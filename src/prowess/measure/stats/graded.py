"""Paired graded scores: permutation test and bootstrap interval of the mean difference.

Graded scores take few values (so many checks of five passed), and both resamplings see of equal differences only how
many there are. So they draw counts, binomial or multinomial, and not pairs: fifty thousand pairs cost what fifty do.
"""

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from prowess.core.errors import UserError
from prowess.measure.stats.paired import Alternative
from prowess.measure.stats.special import check_share

if TYPE_CHECKING:
    import numpy as np

MOST_EXACT = 16
"""Up to this many non-zero differences all 2^n sign patterns are summed; beyond, they are sampled."""
_MOST_DRAWS = 20_000_000
"""Where the differences are all different and very many, resamples are fewer, but never below 1,000."""
_AT_ONCE = 2_000_000
"""Counts held in memory at a time."""


def permutation_test(
    differences: Sequence[float], alternative: Alternative = "two-sided", resamples: int = 20_000, seed: int = 0
) -> float:
    """p-value of "the arms may be swapped within each pair", by the mean of the differences (treatment - baseline).

    Exact for up to 16 non-zero differences: the share of the 2^n sign patterns with a mean at least as extreme. Beyond,
    (1 + hits) / (1 + resamples) over sampled patterns, which keeps its error too. No differences, or zeros
    alone, give 1. Source: R. A. Fisher, The Design of Experiments (1935), section 21; for the +1, B. Phipson and
    G. Smyth, Stat. Appl. Genet. Mol. Biol. 9 (2010) 39.

    Raises:
        UserError: a difference is NaN or infinite.
    """
    import numpy as np

    values = _finite(differences)
    values = values[values != 0]
    if values.size == 0:
        return 1.0
    observed = float(values.sum())
    exact = values.size <= MOST_EXACT
    if exact:
        sums = np.zeros(1)
        for value in np.abs(values):
            sums = np.concatenate([sums + value, sums - value])
    else:
        sizes, counts = np.unique(np.round(np.abs(values), 12), return_counts=True)
        draw = np.random.default_rng(seed)
        sums = _resampled(
            lambda times: (2.0 * draw.binomial(counts, 0.5, size=(times, sizes.size)) - counts) @ sizes,
            resamples,
            sizes.size,
        )
    slack = 1e-9 * float(np.abs(values).sum())  # sums that are equal on paper differ in the last bits
    if alternative == "two-sided":
        hits = np.abs(sums) >= abs(observed) - slack
    elif alternative == "greater":
        hits = sums >= observed - slack
    else:
        hits = sums <= observed + slack
    count = int(np.count_nonzero(hits))
    return count / sums.size if exact else (1 + count) / (1 + sums.size)


def bootstrap_interval(
    differences: Sequence[float], level: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """Bias-corrected and accelerated (BCa) interval of the mean of paired differences that lie in [-1, 1].

    Resampling needs variety to show any: where all differences are equal the answer is Hoeffding's interval,
    mean ± sqrt(2·ln(2/(1 - level))/n), which holds at any n; no differences give (-1, 1).
    Sources: B. Efron, JASA 82 (1987) 171; W. Hoeffding, JASA 58 (1963) 13.

    Raises:
        UserError: a difference is NaN or outside of [-1, 1].
    """
    import numpy as np

    check_share(level=level)
    values = _finite(differences)
    if values.size == 0:
        return -1.0, 1.0
    if float(np.abs(values).max()) > 1:
        raise UserError("a difference lies outside of -1 to 1", "give differences of scores between 0 and 1")
    mean = float(values.mean())
    if float(np.ptp(values)) < 1e-9:  # below this the powers in the acceleration lose all their digits
        half = math.sqrt(2 * math.log(2 / (1 - level)) / values.size)
        return max(-1.0, mean - half), min(1.0, mean + half)
    different, counts = np.unique(np.round(values, 12), return_counts=True)
    draw = np.random.default_rng(seed)
    n = values.size
    means = _resampled(
        lambda times: draw.multinomial(n, counts / n, size=times) @ different / n, resamples, different.size
    )
    normal = NormalDist()
    same = np.isclose(means, mean, rtol=0, atol=1e-12)
    below = (np.count_nonzero((means < mean) & ~same) + 0.5 * np.count_nonzero(same)) / means.size
    bias = normal.inv_cdf(min(max(float(below), 0.5 / means.size), 1 - 0.5 / means.size))
    left_out = (values.sum() - values) / (values.size - 1)
    gaps = left_out.mean() - left_out
    acceleration = float((gaps**3).sum() / (6 * (gaps**2).sum() ** 1.5))

    def quantile(tail: float) -> float:
        z = bias + normal.inv_cdf(tail)
        return float(np.quantile(means, normal.cdf(bias + z / (1 - acceleration * z))))

    return quantile((1 - level) / 2), quantile((1 + level) / 2)


def _resampled(draw: "Callable[[int], np.ndarray[Any, Any]]", resamples: int, width: int) -> "np.ndarray[Any, Any]":
    """So many results of `draw`, which holds `width` counts for each of them in memory."""
    import numpy as np

    resamples = min(resamples, max(1_000, _MOST_DRAWS // width))
    chunk = max(1, _AT_ONCE // width)
    return np.concatenate([draw(min(chunk, resamples - start)) for start in range(0, resamples, chunk)])


def _finite(differences: Sequence[float]) -> "np.ndarray[Any, Any]":
    import numpy as np

    values = np.asarray(differences, dtype=float)
    if not bool(np.isfinite(values).all()):
        raise UserError("a difference is NaN or infinite", "leave missing pairs out, and count them as missing")
    return values
