"""What a comparison of fixed size could see, before anything is spent. Exact sums, no simulation."""

import math
from functools import lru_cache

from prowess.core.errors import UserError
from prowess.measure.stats.paired import Alternative, mcnemar_exact
from prowess.measure.stats.special import binomial_cdf, check_counts, check_share


def mcnemar_power(
    n: int, win: float, loss: float, alpha: float = 0.05, alternative: Alternative = "two-sided"
) -> float:
    """Chance that the exact McNemar test on `n` pairs shows a difference in the right direction.

    Each pair is won with chance `win` and lost with chance `loss`: the sum over m discordant pairs of
    Binomial(m; n, win + loss) times the chance that m of them reject. "Right" is better if win >= loss, else worse.
    Source: S. W. Duffy, Statistics in Medicine 3 (1984) 371.
    """
    check_counts(n=n)
    check_chances(win, loss)
    check_share(alpha=alpha)
    if loss > win:
        mirrored: Alternative = {"greater": "less", "less": "greater"}.get(alternative, alternative)  # pyright: ignore[reportAssignmentType]
        return mcnemar_power(n, loss, win, alpha, mirrored)
    discordant = win + loss
    if discordant == 0:
        return 0.0
    total = 0.0
    for m in range(n + 1):
        weight = _binomial(m, n, discordant)
        if weight > 1e-15:
            most_losses = _most_losses(m, alpha, alternative)
            total += weight * binomial_cdf(most_losses, m, loss / discordant)
    return min(1.0, total)


def minimum_detectable_effect(
    n: int, loss: float = 0.0, alpha: float = 0.05, power: float = 0.8, alternative: Alternative = "two-sided"
) -> float | None:
    """Smallest gain in success rate that `n` pairs show with chance `power`, when `loss` of the pairs are lost.

    None when no gain could be shown: too few pairs, or too much noise. `loss` is half of the flip rate of an A/A run
    where the treatment harms nothing by itself.
    """
    check_share(power=power)
    check_chances(0.0, loss)
    if mcnemar_power(n, 1 - loss, loss, alpha, alternative) < power or 1 - loss <= loss:
        return None
    low, high = loss, 1 - loss
    while high - low > 1e-4:
        middle = (low + high) / 2
        if mcnemar_power(n, middle, loss, alpha, alternative) < power:
            low = middle
        else:
            high = middle
    return high - loss


def pairs_needed(
    win: float, loss: float, alpha: float = 0.05, power: float = 0.8, alternative: Alternative = "two-sided"
) -> int:
    """Fewest pairs from which on the exact McNemar test has at least `power`, by doubling and bisection.

    Power of an exact test does not rise smoothly with n; the answer is right to within its last saw tooth.

    Raises:
        UserError: win equals loss, or more than 5,000 pairs are needed.
    """
    check_share(power=power)
    check_chances(win, loss)
    if win == loss:
        raise UserError(f"win and loss are both {win:g}: there is no effect to see", "give different chances")
    low, high = 0, 8
    while mcnemar_power(high, win, loss, alpha, alternative) < power:
        low, high = high, high * 2
        if high > 5_000:
            raise UserError("more than 5,000 pairs are needed", "look for a larger effect, or accept less power")
    while high - low > 1:
        middle = (low + high) // 2
        if mcnemar_power(middle, win, loss, alpha, alternative) < power:
            low = middle
        else:
            high = middle
    return high


def check_chances(win: float, loss: float) -> None:
    """Refuse chances that are negative, NaN, or sum to more than 1."""
    if not (win >= 0 and loss >= 0 and win + loss <= 1 + 1e-12):
        raise UserError(f"win {win!r} and loss {loss!r}", "give chances from 0 that sum to at most 1")


@lru_cache(maxsize=20_000)
def _most_losses(m: int, alpha: float, alternative: Alternative) -> int:
    """The most losses among m discordant pairs that still show "better"; -1 when none do."""
    if alternative == "less":
        return -1
    low, high = -1, m // 2 + 1
    while high - low > 1:
        k = (low + high) // 2
        if 2 * k < m and mcnemar_exact(m - k, k, alternative) <= alpha:
            low = k
        else:
            high = k
    return low


def _binomial(k: int, n: int, p: float) -> float:
    if p <= 0 or p >= 1:
        return float(k == (0 if p <= 0 else n))
    log_choose = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(log_choose + k * math.log(p) + (n - k) * math.log1p(-p))


def balanced(n: int, discordant: float) -> float:
    """Chance of as many wins as losses among `n` pairs that are each discordant, either way alike, with this chance."""
    check_counts(n=n)
    check_chances(discordant / 2, discordant / 2)
    return sum(_binomial(m, n, discordant) * math.comb(m, m // 2) / 2**m for m in range(0, n + 1, 2))
