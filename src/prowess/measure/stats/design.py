"""The plan of a sequential comparison: what it asks, how many pairs at most, when to stop, and what it could see.

Gates ask for a gain, or, of what only takes away, that no loss is left possible. Attribution asks three things of a
part at once; a pair is won then when the task passes only with it, and one statistic decides, the interval of the
effect that holds at every time: the part *helps* when it lies above zero, *harms* when it lies below, and is *no help*
when all of it lies below the margin. Many parts that do harm end as the last, because that takes fewer pairs than
showing the harm, and either answer lets the part go.

Everything here is exact: chances are sums over all (wins, losses) that can be reached, no simulation.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from prowess.core.errors import UserError
from prowess.measure.stats.bounded import wealth_table
from prowess.measure.stats.power import check_chances
from prowess.measure.stats.sequential import e_value, no_loss_wealth, non_inferiority_p
from prowess.measure.stats.special import check_share

if TYPE_CHECKING:
    import numpy as np

Asks = Literal["gain", "no loss", "worth"]
Worth = Literal["helps", "harms", "no help"]
Answer = Literal["better", "no loss", "worse"] | Worth
Stop = Answer | Literal["futile"]
MOST_PAIRS = 200
"""Beyond this a plan is no longer small enough to be computed exactly, and looking early saves little."""
_ANSWERS: dict[Asks, tuple[Answer | None, ...]] = {
    "gain": (None, "better", "worse"),
    "no loss": (None, "no loss", "worse"),
    "worth": (None, "helps", "harms", "no help"),
}
"""What the entries of a table stand for; the first is still open, the second what is asked for."""


@dataclass(frozen=True, slots=True)
class Design:
    """A sequential comparison before it is run."""

    max_pairs: int = 20
    """6 to 200; fewer than six pairs cannot decide at alpha 0.05."""
    alpha: float = 0.05
    """Most chance of any false verdict, better or worse, when the arms are alike; half of it for "better" alone."""
    futility: float = 0.05
    """Stop when the predicted chance to get, within the pairs left, what is asked for falls below this; 0 never stops
    for it."""
    batch: int = 2
    """Pairs between two looks."""
    asks: Asks = "gain"
    """`gain`: is the treatment better? `no loss`: is a loss of `margin` ruled out, as must be known before something is
    taken away? `worth`: does what only the treatment has help, harm, or contribute less than `margin`, any of them?"""
    margin: float = 0.1
    """Difference of success rates that counts: above 0, at most 0.5. A gain of any size is a gain. `alpha` bounds the
    chance of ruling it out wrongly. Without a pair won or lost 38 pairs show no loss of 0.1, and 18 of 0.2."""

    def __post_init__(self) -> None:
        check_share(alpha=self.alpha)
        if not 0.0 <= self.futility < 1.0:
            raise UserError(f"futility is {self.futility!r}", "give a number from 0 to below 1")
        if self.batch < 1:
            raise UserError(f"a batch of {self.batch} pairs", "give at least 1")
        if self.max_pairs > MOST_PAIRS:
            raise UserError(
                f"a sequential comparison of {self.max_pairs} pairs",
                f"at most {MOST_PAIRS}; use a comparison of fixed size beyond that",
            )
        if not 0.0 < self.margin <= 0.5:
            raise UserError(f"margin is {self.margin!r}", "give a share above 0 and at most 0.5")
        if self.max_pairs < self.fewest:
            raise UserError(
                f"{self.max_pairs} pairs can never decide at alpha {self.alpha:g}: even if all were won, "
                f"{self.fewest} are needed",
                "add tasks or seeds",
            )

    @property
    def fewest(self) -> int:
        """Pairs below which no answer is possible at all."""
        return fewest_pairs(self.alpha, self.margin if self.asks == "no loss" else None)

    def limited_to(self, available: int) -> "Design":
        return self if available >= self.max_pairs else replace(self, max_pairs=available)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a design would do where the true chances of a win and of a loss are as given."""

    better: float
    """Or no loss, or that it helps: what the design asks for."""
    worse: float
    """Or that it harms."""
    no_help: float
    """Where the design asks for the worth."""
    futile: float
    spent: float
    """Chances of the endings; they sum to 1."""
    pairs: float
    """Expected number of pairs."""


def fewest_pairs(alpha: float, margin: float | None = None) -> int:
    """The length of the shortest run of wins that decides: 6 at 0.05 for a gain."""
    check_share(alpha=alpha)
    n = 1
    while e_value(n, 0) < 1 / alpha if margin is None else non_inferiority_p(n, 0, n, margin) > alpha:
        n += 1
    return n


def answer(design: Design, n: int, wins: int, losses: int) -> Answer | None:
    """What is known after `n` complete pairs; None while it is open.

    A gain or loss that is shown comes before "no loss" and "no help": what is surely worse, if only a little, is not
    taken for harmless.
    """
    code = _answers(design.asks, design.max_pairs, design.alpha, design.margin)[n, wins, losses]
    return _ANSWERS[design.asks][int(code)]


def is_futile(design: Design, n: int, wins: int, losses: int) -> bool:
    """Whether the pairs left after `n` are unlikely to show what is asked for."""
    return n < design.max_pairs and chance_left(design, n, wins, losses) < design.futility


def stop(design: Design, n: int, wins: int, losses: int) -> Stop | None:
    """Whether to stop after `n` complete pairs, and why; None to go on."""
    known = answer(design, n, wins, losses)
    return "futile" if known is None and is_futile(design, n, wins, losses) else known


def chance_left(design: Design, n: int, wins: int, losses: int) -> float:
    """Predicted chance that the design will get what it asks for: *better*, *no loss*, or, of the worth, any answer.

    The pairs to come are drawn from the Dirichlet-multinomial prediction with one imagined win, tie and loss added to
    what was seen, so that a poor start is not taken for certain.
    """
    return float(_chances(design.asks, design.max_pairs, design.alpha, design.margin)[n, wins, losses])


def expect(design: Design, win: float, loss: float) -> Plan:
    """Chances of each ending, and the expected number of pairs, when each pair is won or lost with these chances.

    Raises:
        UserError: a chance is negative or NaN, or they sum to more than 1.
    """
    import numpy as np

    check_chances(win, loss)
    answers = _answers(design.asks, design.max_pairs, design.alpha, design.margin)
    chances = _chances(design.asks, design.max_pairs, design.alpha, design.margin)
    ended = np.zeros(5)  # by code, the last for futile; that of code 0 stays empty
    pairs = 0.0
    alive = np.zeros((design.max_pairs + 1, design.max_pairs + 1))
    alive[0, 0] = 1.0
    for n in range(1, design.max_pairs + 1):
        after = max(0.0, 1 - win - loss) * alive
        after[1:] += win * alive[:-1]
        after[:, 1:] += loss * alive[:, :-1]
        alive = after
        if n % design.batch and n < design.max_pairs:
            continue
        codes = answers[n]
        if n < design.max_pairs:
            codes = np.where((codes == 0) & (chances[n] < design.futility), 4, codes)
        for code in range(1, 5):
            chance = float(alive[codes == code].sum())
            ended[code] += chance
            pairs += n * chance
        alive = np.where(codes > 0, 0.0, alive)
    spent = float(alive.sum())
    _, better, worse, no_help, futile = (float(chance) for chance in ended)
    return Plan(better, worse, no_help, futile, spent, pairs + design.max_pairs * spent)


def detectable_effect(design: Design, loss: float = 0.0, power: float = 0.8) -> float | None:
    """Smallest gain in success rate that the design shows as better with chance `power`; None when none can be.

    `loss` is the share of pairs that are lost all the same: half of the flip rate of an A/A run, for a treatment that
    harms nothing by itself.
    """
    check_share(power=power)
    check_chances(0.0, loss)
    if 1 - loss <= loss or expect(design, 1 - loss, loss).better < power:
        return None
    low, high = loss, 1 - loss
    while high - low > 1e-3:
        middle = (low + high) / 2
        if expect(design, middle, loss).better < power:
            low = middle
        else:
            high = middle
    return high - loss


def pairs_for(
    effect: float, loss: float = 0.0, power: float = 0.8, alpha: float = 0.05, batch: int = 2
) -> Design | None:
    """The smallest design that shows a gain of `effect` as better with chance `power`; None beyond 200 pairs.

    By bisection over the most pairs: more of them never take power away.
    """
    check_share(effect=effect, power=power)
    check_chances(effect + loss, loss)
    low, high = fewest_pairs(alpha) - 1, MOST_PAIRS
    if expect(Design(high, alpha, batch=batch), effect + loss, loss).better < power:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if expect(Design(middle, alpha, batch=batch), effect + loss, loss).better < power:
            low = middle
        else:
            high = middle
    return Design(high, alpha, batch=batch)


@lru_cache(maxsize=8)
def _answers(asks: Asks, max_pairs: int, alpha: float, margin: float) -> "np.ndarray[Any, Any]":
    """Over (n, wins, losses): the index of the answer in `_ANSWERS`."""
    import numpy as np

    size = max_pairs + 1
    wins, losses = np.arange(size)[:, None], np.arange(size)[None, :]
    towards = np.where(wins > losses, 1, 2)
    out = np.zeros((size, size, size), dtype=np.int8)
    for n in range(1, size):
        if asks == "gain":
            codes = towards * _decided(max_pairs, alpha)
        elif asks == "no loss":
            safe = no_loss_wealth(max_pairs, n, margin) >= 1 / alpha
            codes = np.where(_decided(max_pairs, alpha) & (wins < losses), 2, safe)
        else:  # by the wealth behind the interval, so that answer and interval never disagree
            shown = wealth_table(max_pairs, n, 0.0) >= 1 / alpha
            below = (wealth_table(max_pairs, n, margin) >= 1 / alpha) & (wins - losses < margin * n)
            codes = np.where(shown, towards, 3 * below)
        out[n] = codes * (wins + losses <= n)  # no other counts can be reached
    return out


@lru_cache(maxsize=8)
def _decided(max_pairs: int, alpha: float) -> "np.ndarray[Any, Any]":
    """Over (wins, losses): whether the test says better or worse."""
    import numpy as np

    out = np.zeros((max_pairs + 1, max_pairs + 1), dtype=bool)
    for wins in range(max_pairs + 1):
        for losses in range(min(wins, max_pairs - wins + 1)):
            out[wins, losses] = out[losses, wins] = e_value(wins, losses) >= 1 / alpha
    return out


@lru_cache(maxsize=4)
def _chances(asks: Asks, max_pairs: int, alpha: float, margin: float) -> "np.ndarray[Any, Any]":
    """Over (n, wins, losses): the predicted chance to get what is asked for, from the last pair backwards."""
    import numpy as np

    answers = _answers(asks, max_pairs, alpha, margin)
    wanted = answers > 0 if asks == "worth" else answers == 1
    size = max_pairs + 1
    wins, losses = np.arange(size)[:, None], np.arange(size)[None, :]
    out = np.zeros((size, size, size), dtype=np.float32)
    later = np.where(wanted[max_pairs], 1.0, 0.0)
    out[max_pairs] = later
    for n in range(max_pairs - 1, -1, -1):
        if_won = np.vstack([later[1:], later[-1:]])
        if_lost = np.hstack([later[:, 1:], later[:, -1:]])
        ties = np.maximum(0, n - wins - losses)
        later = ((wins + 1) * if_won + (losses + 1) * if_lost + (ties + 1) * later) / (n + 3)
        later = np.where(answers[n] > 0, np.where(wanted[n], 1.0, 0.0), later)
        later[wins + losses > n] = 0.0  # cannot be reached, and would overflow
        out[n] = later
    return out
