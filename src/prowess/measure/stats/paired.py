"""Paired binary outcomes at a size fixed beforehand: exact test and interval.

Each pair is a win (only the treatment passed), a loss (only the baseline passed) or a tie. Where a comparison may stop
early, use `prowess.measure.stats.sequential` instead: the p-value here is valid for one look only.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Literal

from prowess.core.errors import UserError
from prowess.measure.stats.special import binomial_cdf, check_counts, check_share

Alternative = Literal["two-sided", "greater", "less"]


def mcnemar_exact(wins: int, losses: int, alternative: Alternative = "two-sided") -> float:
    """p-value of "wins and losses are equally likely", given how many pairs are discordant.

    Under the null, wins ~ Binomial(wins + losses, 1/2). `greater` asks whether the treatment is better. The two-sided
    value is twice the smaller tail, at most 1. Ties carry no information; with ties alone p is 1.
    Source: Q. McNemar, Psychometrika 12 (1947) 153, in the exact binomial form.
    """
    check_counts(wins=wins, losses=losses)
    n = wins + losses
    if alternative == "greater":
        return _lower_tail(losses, n)
    if alternative == "less":
        return _lower_tail(wins, n)
    return min(1.0, 2 * _lower_tail(min(wins, losses), n))


def sign_test(differences: Sequence[float], alternative: Alternative = "two-sided") -> float:
    """p-value of "the median paired difference is zero"; zero differences are dropped.

    The exact binomial test on the signs, so the same arithmetic as `mcnemar_exact`. No differences, or zeros alone,
    give 1. Source: J. Arbuthnott, Philosophical Transactions 27 (1710) 186.

    Raises:
        UserError: a difference is NaN.
    """
    if any(math.isnan(d) for d in differences):
        raise UserError("a difference is NaN", "leave missing pairs out, and count them as missing")
    return mcnemar_exact(sum(d > 0 for d in differences), sum(d < 0 for d in differences), alternative)


def tango_interval(wins: int, losses: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Score interval of the difference of two paired success rates, treatment minus baseline, within [-1, 1].

    All d for which |T(d)| <= z, with T(d) = (wins - losses - n·d) / sqrt(n·(2q + d(1 - d))) and q the most likely loss
    probability given d. Chosen over Newcombe's method 10 because it needs only wins, losses and n (ties need not be
    told apart), stays honest with no discordant pair at all (the interval then has the width n allows, not zero), and
    inverts the score form of the very test that decides. It is asymptotic: at n below about 20 it can disagree with
    the exact test at the edge; then the test decides. No pairs give (-1, 1).
    Source: T. Tango, Statistics in Medicine 17 (1998) 891.
    """
    check_counts(wins=wins, losses=losses, n=n)
    check_share(level=level)
    if wins + losses > n:
        raise UserError(f"{wins} wins and {losses} losses in {n} pairs", "n counts ties too")
    if n == 0:
        return -1.0, 1.0
    z = NormalDist().inv_cdf((1 + level) / 2)
    estimate = (wins - losses) / n
    low = -1.0 if losses == n else _root(wins, losses, n, outside=-1.0, inside=estimate, limit=z)
    high = 1.0 if wins == n else _root(wins, losses, n, outside=1.0, inside=estimate, limit=z)
    return low, high


def _tango_statistic(wins: int, losses: int, n: int, d: float) -> float:
    a = 2 * n
    b = -wins - losses + (2 * n - wins + losses) * d
    c = -losses * d * (1 - d)
    q = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
    variance = n * (2 * q + d * (1 - d))
    gap = wins - losses - n * d
    if variance <= 0:
        return 0.0 if gap == 0 else math.copysign(math.inf, gap)
    return gap / math.sqrt(variance)


def _root(wins: int, losses: int, n: int, *, outside: float, inside: float, limit: float) -> float:
    """Bisect for |T(d)| = limit; T falls with d, so |T| grows from `inside` to `outside`."""
    for _ in range(100):
        middle = (outside + inside) / 2
        if abs(_tango_statistic(wins, losses, n, middle)) > limit:
            outside = middle
        else:
            inside = middle
    return inside


def _lower_tail(k: int, n: int) -> float:
    """P(X <= k) for X ~ Binomial(n, 1/2); by whole numbers where that is quick, so that small p are exact."""
    if n <= 500:
        return sum(math.comb(n, i) for i in range(k + 1)) / 2**n
    return binomial_cdf(k, n, 0.5)
