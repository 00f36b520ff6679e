"""The plan of a sequential comparison: how many pairs at most, when to stop, and what it could see.

Everything here is exact: chances are sums over all (wins, losses) that can be reached, no simulation.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from prowess.core.errors import UserError
from prowess.measure.stats.sequential import e_value
from prowess.measure.stats.special import check_share

if TYPE_CHECKING:
    import numpy as np

Stop = Literal["better", "worse", "futile"]
MOST_PAIRS = 200
"""Beyond this a plan is no longer small enough to be computed exactly, and looking early saves little."""


@dataclass(frozen=True, slots=True)
class Design:
    """A sequential comparison before it is run."""

    max_pairs: int = 20
    """6 to 200; fewer than six pairs cannot decide at alpha 0.05."""
    alpha: float = 0.05
    """Chance of any false verdict, better or worse, when the arms are alike."""
    futility: float = 0.02
    """Stop when the predicted chance of "better" within the pairs left falls below this; 0 never stops for it."""
    batch: int = 4
    """Pairs between two looks."""

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
        least = fewest_pairs(self.alpha)
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
    worse: float
    futile: float
    spent: float
    """Chances of the four endings; they sum to 1."""
    pairs: float
    """Expected number of pairs."""


def fewest_pairs(alpha: float) -> int:
    """The length of the shortest run of wins that decides: 6 at 0.05."""
    check_share(alpha=alpha)
    n = 1
    while e_value(n, 0) < 1 / alpha:
        n += 1
    return n


def stop(design: Design, n: int, wins: int, losses: int) -> Stop | None:
    """Whether to stop after `n` complete pairs, and why; None to go on."""
    if e_value(wins, losses) >= 1 / design.alpha:
        return "better" if wins > losses else "worse"
    if n < design.max_pairs and chance_of_better(design, n, wins, losses) < design.futility:
        return "futile"
    return None


def chance_of_better(design: Design, n: int, wins: int, losses: int) -> float:
    """Predicted chance that the design will end as "better", given the pairs so far.

    The pairs to come are drawn from the Dirichlet-multinomial prediction with one imagined win, tie and loss added to
    what was seen, so that a poor start is not taken for certain.
    """
    return float(_predictions(design.max_pairs, design.alpha)[n][wins, losses])


def expect(design: Design, win: float, loss: float) -> Plan:
    """Chances of each ending, and the expected number of pairs, when each pair is won or lost with these chances.

    Raises:
        UserError: a chance is negative or NaN, or they sum to more than 1.
    """
    if not (win >= 0 and loss >= 0 and win + loss <= 1 + 1e-12):
        raise UserError(f"win {win!r} and loss {loss!r}", "give chances that sum to at most 1")
    tie = max(0.0, 1 - win - loss)
    endings: dict[str, float] = {"better": 0.0, "worse": 0.0, "futile": 0.0, "spent": 0.0}
    pairs = 0.0
    alive = {(0, 0): 1.0}
    for n in range(1, design.max_pairs + 1):
        after: dict[tuple[int, int], float] = {}
        for (won, lost), chance in alive.items():
            for state, share in (((won + 1, lost), win), ((won, lost + 1), loss), ((won, lost), tie)):
                if share > 0:
                    after[state] = after.get(state, 0.0) + chance * share
        alive = {}
        for (won, lost), chance in after.items():
            look = n % design.batch == 0 or n == design.max_pairs
            reason = stop(design, n, won, lost) if look else None
            if reason is None and n == design.max_pairs:
                reason = "spent"
            if reason is None:
                alive[won, lost] = chance
            else:
                endings[reason] += chance
                pairs += n * chance
    return Plan(endings["better"], endings["worse"], endings["futile"], endings["spent"], pairs)


@lru_cache(maxsize=8)
def _predictions(max_pairs: int, alpha: float) -> "list[np.ndarray[Any, Any]]":
    """For each n, a table over (wins, losses) of the chance to end as better, from the last pair backwards."""
    import numpy as np

    size = max_pairs + 1
    decided = np.zeros((size, size), dtype=np.int8)
    for won in range(size):
        for lost in range(size - won):
            if e_value(won, lost) >= 1 / alpha:
                decided[won, lost] = 1 if won > lost else -1
    table = np.where(decided == 1, 1.0, 0.0)
    tables = [table]
    wins, losses = np.arange(size)[:, None], np.arange(size)[None, :]
    for n in range(max_pairs - 1, -1, -1):
        later = tables[-1]
        if_won = np.vstack([later[1:], later[-1:]])
        if_lost = np.hstack([later[:, 1:], later[:, -1:]])
        ties = np.maximum(0, n - wins - losses)
        table = ((wins + 1) * if_won + (losses + 1) * if_lost + (ties + 1) * later) / (n + 3)
        tables.append(np.where(decided == 1, 1.0, np.where(decided == -1, 0.0, table)))
    return tables[::-1]
