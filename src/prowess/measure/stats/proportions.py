"""Intervals for one proportion, for example a success rate or the flip rate of an A/A run."""

import math
from statistics import NormalDist

from prowess.core.errors import UserError
from prowess.measure.stats.special import beta_quantile, check_counts, check_share


def wilson(successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Score interval of a proportion: (p + z²/2n ± z·sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n).

    Its coverage is `level` on average, now and then a little below it. No observations give (0, 1).
    Source: E. B. Wilson, JASA 22 (1927) 209.
    """
    _check(successes, n, level)
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + level) / 2)
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return low, high


def clopper_pearson(successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Exact interval of a proportion: quantiles of Beta(k, n-k+1) and Beta(k+1, n-k) at the two tails.

    Its coverage is never below `level`. No observations give (0, 1).
    Source: C. J. Clopper and E. S. Pearson, Biometrika 26 (1934) 404.
    """
    _check(successes, n, level)
    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else beta_quantile(successes, n - successes + 1, tail)
    high = 1.0 if successes == n else beta_quantile(successes + 1, n - successes, 1 - tail)
    return low, high


def _check(successes: int, n: int, level: float) -> None:
    check_counts(successes=successes, n=n)
    check_share(level=level)
    if successes > n:
        raise UserError(f"{successes} successes in {n} observations", "successes cannot exceed n")
