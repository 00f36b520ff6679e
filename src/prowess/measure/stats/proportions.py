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


def clustered(successes: int, n: int, clusters: int, level: float = 0.95) -> tuple[float, float]:
    """Clopper-Pearson interval of `successes` in `n` observations that lie in `clusters` groups of like ones.

    The group and not the observation is counted: quantiles of Beta(x, m-x+1) and Beta(x+1, m-x) with m = clusters and
    x = m·successes/n, as if observations of one group were copies of each other. So repetitions make the share more
    exact but the interval never narrower than the groups allow; with groups of one it is `clopper_pearson`.
    Source: E. Korn and B. Graubard, Survey Methodology 24 (1998) 193, with the smallest effective sample size.
    """
    _check(successes, n, level)
    check_counts(clusters=clusters)
    if clusters > n:
        raise UserError(f"{clusters} clusters of {n} observations", "an empty cluster does not count")
    if n == 0:
        return 0.0, 1.0
    x, tail = clusters * successes / n, (1 - level) / 2
    low = 0.0 if successes == 0 else beta_quantile(x, clusters - x + 1, tail)
    high = 1.0 if successes == n else beta_quantile(x + 1, clusters - x, 1 - tail)
    return low, high


def _check(successes: int, n: int, level: float) -> None:
    check_counts(successes=successes, n=n)
    check_share(level=level)
    if successes > n:
        raise UserError(f"{successes} successes in {n} observations", "successes cannot exceed n")
