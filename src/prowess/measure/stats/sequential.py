"""A test of paired binary outcomes that may be looked at after every pair, and stopped at will.

The evidence against "no effect" is a wealth: start with 1, bet on the next discordant pair being a win or a loss, at
fair odds. If there is no effect, no way of betting makes the wealth reach 1/alpha with a probability above alpha, at
any time (Ville's inequality). So the first time it does, the comparison may stop, and 1/wealth is a p-value whenever
one looks. The bets here are a mixture: the share of wins among discordant pairs is taken to be Beta(1/4, 1/4), which
gives a closed form that depends on the counts alone:

    E(w, l) = 2^(w+l) · B(1/4 + w, 1/4 + l) / B(1/4, 1/4)

Why 1/4: it is the flattest symmetric Beta (to one figure) under which six straight wins decide at alpha = 0.05
two-sided (E(6, 0) = 20.09), the same six that the exact two-sided McNemar test needs. It is two-sided because a
comparison has two ways to be wrong, and both count in an A/A run.

Sources: J. Ville (1939); H. Robbins, Ann. Math. Stat. 41 (1970) 1397; G. Shafer, JRSS A 184 (2021) 407; for the
interval I. Waudby-Smith and A. Ramdas, JRSS B 86 (2024) 1.
"""

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from prowess.core.errors import UserError
from prowess.measure.stats.special import check_counts, check_share

if TYPE_CHECKING:
    import numpy as np

PRIOR = 0.25
"""Both parameters of the Beta mixture."""


def log_e_value(wins: int, losses: int) -> float:
    """Natural logarithm of E(wins, losses); 0 with no discordant pair."""
    check_counts(wins=wins, losses=losses)
    return _log_e(wins, losses)


def e_value(wins: int, losses: int) -> float:
    """Evidence against "no effect": reject at `alpha` when it is at least 1/alpha. Infinite when beyond a float."""
    log_e = log_e_value(wins, losses)
    return math.exp(log_e) if log_e < 700 else math.inf


def anytime_p(log_e_max: float) -> float:
    """The p-value, valid at any stopping time, for the largest log e-value seen so far: min(1, exp(-log_e_max))."""
    return math.exp(-max(0.0, log_e_max))


def anytime_interval(wins: int, losses: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Interval of the difference of paired success rates that holds at every stopping time at once.

    All d for which the wealth of the mixture bet against "the mean of (+1, 0, -1) is d" is below 1/(1 - level):

        K_d = ∫ (1 + λ(1-d))^wins · (1 - λd)^ties · (1 - λ(1+d))^losses dπ_d(λ)

    with π_d a Beta(1/4, 1/4) stretched over the stakes that cannot go broke, -1/(1-d) < λ < 1/(1+d). At d = 0 this is
    `e_value`, so the interval leaves zero out exactly when the test at 1 - level rejects. No pairs give (-1, 1).
    Source: Waudby-Smith and Ramdas (2024), section 4, with a mixture in place of their plug-in bets.
    """
    _check_pairs(wins, losses, n)
    check_share(level=level)
    if n == 0:
        return -1.0, 1.0
    limit = -math.log1p(-level)
    estimate = (wins - losses) / n  # always inside: by Jensen no bet against the observed mean has won
    low = -1.0 if losses == n else _edge(wins, losses, n, outside=-1 + 1e-9, inside=estimate, limit=limit)
    high = 1.0 if wins == n else _edge(wins, losses, n, outside=1 - 1e-9, inside=estimate, limit=limit)
    return low, high


def non_inferiority_p(wins: int, losses: int, n: int, margin: float) -> float:
    """p-value, valid at any stopping time, of "the treatment is worse by `margin` or more".

    The one-sided form of the wealth above at d = -margin, with stakes 0 < λ < 1/(1 - margin): small values mean that
    a loss of `margin` is ruled out. Valid at any n, unlike the score test; with no discordant pair 0.05 is reached
    after 38 pairs for a margin of 0.1, where the best possible exact test needs 29.

    Raises:
        UserError: `margin` is not within (0, 1).
    """
    import numpy as np

    _check_pairs(wins, losses, n)
    check_share(margin=margin)
    nodes, weights = _quadrature(min(n // 2 + 1, 256))
    stakes = nodes / (1 - margin)
    log_terms = (
        np.log(weights)
        + wins * np.log1p(stakes * (1 + margin))
        + (n - wins - losses) * np.log1p(stakes * margin)
        + losses * np.log1p(-stakes * (1 - margin))
    )
    return anytime_p(float(np.logaddexp.reduce(log_terms)))


def no_loss_wealth(size: int, n: int, margin: float) -> "np.ndarray[Any, Any]":
    """1 / `non_inferiority_p` for all wins and losses up to `size` at once, without the cap at 1; margin at most 0.5.

    One matrix product, since the wealth is a sum over stakes of won^wins · tied^ties · lost^losses. Entries with more
    wins and losses than `n` mean nothing.
    """
    import numpy as np

    nodes, weights = _quadrature(min(n // 2 + 1, 256))
    stakes = nodes / (1 - margin)
    tied = 1 + stakes * margin
    counts = np.arange(size + 1)[:, None]
    won = ((1 + stakes * (1 + margin)) / tied) ** counts
    lost = ((1 - stakes * (1 - margin)) / tied) ** counts
    lost[lost < 1e-200] = 0.0  # denormal numbers would slow the product down a hundredfold
    return (won * (weights * tied**n)) @ lost.T


def _log_e(wins: int, losses: int) -> float:
    return (
        (wins + losses) * math.log(2)
        + math.lgamma(PRIOR + wins)
        + math.lgamma(PRIOR + losses)
        - math.lgamma(2 * PRIOR + wins + losses)
        - 2 * math.lgamma(PRIOR)
        + math.lgamma(2 * PRIOR)
    )


def _log_wealth(d: float, wins: int, losses: int, n: int) -> float:
    import numpy as np

    nodes, weights = _quadrature(min(n // 2 + 1, 256))
    stakes = (2 * nodes - (1 + d)) / (1 - d * d)
    log_terms = (
        np.log(weights)
        + wins * np.log1p(stakes * (1 - d))
        + (n - wins - losses) * np.log1p(-stakes * d)
        + losses * np.log1p(-stakes * (1 + d))
    )
    return float(np.logaddexp.reduce(log_terms))


def _edge(wins: int, losses: int, n: int, *, outside: float, inside: float, limit: float) -> float:
    """Where the wealth crosses `limit` between the two; `outside` itself (rounded to -1 or 1) when it never does."""
    if _log_wealth(outside, wins, losses, n) < limit:
        return math.copysign(1.0, outside)
    for _ in range(40):
        middle = (outside + inside) / 2
        if _log_wealth(middle, wins, losses, n) < limit:
            inside = middle
        else:
            outside = middle
    return inside


@lru_cache(maxsize=64)
def _quadrature(size: int) -> "tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]":
    """Nodes and weights that integrate polynomials of degree 2·size - 1 exactly against Beta(1/4, 1/4) on (0, 1).

    Golub and Welsch, Math. Comp. 23 (1969) 221, for the symmetric Jacobi weight with exponent PRIOR - 1.
    """
    import numpy as np

    k = np.arange(1, size, dtype=float)
    s = PRIOR - 1.0
    off = np.sqrt(k * (k + 2 * s) / ((2 * k + 2 * s - 1) * (2 * k + 2 * s + 1)))
    if size > 1:  # k = 1 in closed form: the general term is 0/0 for s = -1/2 and must not be trusted near it
        off[0] = math.sqrt(1 / (2 * s + 3))
    values, vectors = np.linalg.eigh(np.diag(off, 1) + np.diag(off, -1))
    return (values + 1) / 2, vectors[0] ** 2


def _check_pairs(wins: int, losses: int, n: int) -> None:
    check_counts(wins=wins, losses=losses, n=n)
    if wins + losses > n:
        raise UserError(f"{wins} wins and {losses} losses in {n} pairs", "n counts ties too")
