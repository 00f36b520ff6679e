"""The plan of a sequential comparison: how many pairs at most, when to stop, and what it could see.

Everything here is exact: chances are sums over all (wins, losses) that can be reached, no simulation.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from prowess.core.errors import UserError
from prowess.measure.stats.power import check_chances
from prowess.measure.stats.sequential import e_value, no_loss_wealth, non_inferiority_p
from prowess.measure.stats.special import check_share

if TYPE_CHECKING:
    import numpy as np

Stop = Literal["better", "no loss", "worse", "futile"]
MOST_PAIRS = 200
"""Beyond this a plan is no longer small enough to be computed exactly, and looking early saves little."""


@dataclass(frozen=True, slots=True)
class Design:
    """A sequential comparison before it is run."""

    max_pairs: int = 20
    """6 to 200; fewer than six pairs cannot decide at alpha 0.05."""
    alpha: float = 0.05
    """Most chance of any false verdict, better or worse, when the arms are alike; half of it for "better" alone."""
    futility: float = 0.05
    """Stop when the predicted chance of "better", or of "no loss" where that is asked, within the pairs left falls
    below this; 0 never stops for it."""
    batch: int = 2
    """Pairs between two looks."""
    margin: float | None = None
    """None asks for a gain. A share, at most 0.5, asks instead that no loss of success rate so large is left possible:
    the right question where something is taken away. `alpha` then bounds the chance of saying so wrongly."""

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
        if self.margin is not None and not 0.0 < self.margin <= 0.5:
            raise UserError(f"margin is {self.margin!r}", "give a share above 0 and at most 0.5")
        least = fewest_pairs(self.alpha, self.margin)
        if self.max_pairs < least:
            raise UserError(
                f"{self.max_pairs} pairs can never decide at alpha {self.alpha:g}: even if all were won, "
                f"{least} are needed",
                "add tasks or seeds",
            )

    def limited_to(self, available: int) -> "Design":
        return self if available >= self.max_pairs else replace(self, max_pairs=available)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a design would do where the true chances of a win and of a loss are as given."""

    better: float
    """Or no loss, where the design asks for that."""
    worse: float
    futile: float
    spent: float
    """Chances of the four endings; they sum to 1."""
    pairs: float
    """Expected number of pairs."""


def fewest_pairs(alpha: float, margin: float | None = None) -> int:
    """The length of the shortest run of wins that decides: 6 at 0.05 for a gain."""
    check_share(alpha=alpha)
    n = 1
    while e_value(n, 0) < 1 / alpha if margin is None else non_inferiority_p(n, 0, n, margin) > alpha:
        n += 1
    return n


def stop(design: Design, n: int, wins: int, losses: int) -> Stop | None:
    """Whether to stop after `n` complete pairs, and why; None to go on.

    A loss that is shown comes before "no loss": what is surely worse, if only a little, is not taken for harmless.
    """
    decided = e_value(wins, losses) >= 1 / design.alpha
    if decided and wins < losses:
        return "worse"
    if design.margin is None and decided:
        return "better"
    if design.margin is not None and n and non_inferiority_p(wins, losses, n, design.margin) <= design.alpha:
        return "no loss"
    if n < design.max_pairs and chance_of_better(design, n, wins, losses) < design.futility:
        return "futile"
    return None


def chance_of_better(design: Design, n: int, wins: int, losses: int) -> float:
    """Predicted chance that the design will end as "better", or as "no loss" where it asks for that.

    The pairs to come are drawn from the Dirichlet-multinomial prediction with one imagined win, tie and loss added to
    what was seen, so that a poor start is not taken for certain.
    """
    return float(_predictions(design.max_pairs, design.alpha, design.margin)[n, wins, losses])


def expect(design: Design, win: float, loss: float) -> Plan:
    """Chances of each ending, and the expected number of pairs, when each pair is won or lost with these chances.

    Raises:
        UserError: a chance is negative or NaN, or they sum to more than 1.
    """
    import numpy as np

    check_chances(win, loss)
    tie = max(0.0, 1 - win - loss)
    endings = {"better": 0.0, "worse": 0.0, "futile": 0.0}
    pairs = 0.0
    alive = np.zeros((design.max_pairs + 1, design.max_pairs + 1))
    alive[0, 0] = 1.0
    for n in range(1, design.max_pairs + 1):
        after = tie * alive
        after[1:] += win * alive[:-1]
        after[:, 1:] += loss * alive[:, :-1]
        alive = after
        if n % design.batch and n < design.max_pairs:
            continue
        decided = _decided(design.max_pairs, design.alpha, design.margin, n)
        futile = np.zeros_like(decided, dtype=bool)
        if n < design.max_pairs:
            chances = _predictions(design.max_pairs, design.alpha, design.margin)[n]
            futile = (decided == 0) & (chances < design.futility)
        for name, here in (("better", decided == 1), ("worse", decided == -1), ("futile", futile)):
            chance = float(alive[here].sum())
            endings[name] += chance
            pairs += n * chance
            alive = np.where(here, 0.0, alive)
    spent = float(alive.sum())
    return Plan(endings["better"], endings["worse"], endings["futile"], spent, pairs + design.max_pairs * spent)


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
def _verdicts(max_pairs: int, alpha: float) -> "np.ndarray[Any, Any]":
    """Over (wins, losses): 1 where the test says better, -1 where it says worse, else 0."""
    import numpy as np

    out = np.zeros((max_pairs + 1, max_pairs + 1), dtype=np.int8)
    for wins in range(max_pairs + 1):
        for losses in range(min(wins, max_pairs - wins + 1)):
            if e_value(wins, losses) >= 1 / alpha:
                out[wins, losses], out[losses, wins] = 1, -1
    return out


@lru_cache(maxsize=2 * MOST_PAIRS)
def _decided(max_pairs: int, alpha: float, margin: float | None, n: int) -> "np.ndarray[Any, Any]":
    """Over (wins, losses) after `n` pairs: 1 where the design has what it asks for, -1 where it is worse, else 0."""
    import numpy as np

    verdicts = _verdicts(max_pairs, alpha)
    if margin is None:
        return verdicts
    no_loss = no_loss_wealth(max_pairs, n, margin) >= 1 / alpha
    return np.where(verdicts == -1, -1, np.where(no_loss, 1, 0)).astype(np.int8)


@lru_cache(maxsize=4)
def _predictions(max_pairs: int, alpha: float, margin: float | None) -> "np.ndarray[Any, Any]":
    """Over (n, wins, losses): the predicted chance to get what is asked for, from the last pair backwards."""
    import numpy as np

    size = max_pairs + 1
    out = np.zeros((size, size, size), dtype=np.float32)
    later = np.where(_decided(max_pairs, alpha, margin, max_pairs) == 1, 1.0, 0.0)
    out[max_pairs] = later
    wins, losses = np.arange(size)[:, None], np.arange(size)[None, :]
    for n in range(max_pairs - 1, -1, -1):
        decided = _decided(max_pairs, alpha, margin, n)
        if_won = np.vstack([later[1:], later[-1:]])
        if_lost = np.hstack([later[:, 1:], later[:, -1:]])
        ties = np.maximum(0, n - wins - losses)
        later = ((wins + 1) * if_won + (losses + 1) * if_lost + (ties + 1) * later) / (n + 3)
        later = np.where(decided == 1, 1.0, np.where(decided == -1, 0.0, later))
        later[wins + losses > n] = 0.0  # cannot be reached, and would overflow
        out[n] = later
    return out
