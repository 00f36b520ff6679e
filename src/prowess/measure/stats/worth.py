"""Is a part of a library worth keeping? A sequential rule with three answers: it helps, it harms, or it is no help.

A pair is won when the task passes only with the part, lost when it passes only without. One statistic decides, the
interval of the effect that holds at every time (`prowess.measure.stats.sequential`):

- *helps* when it lies above zero, *harms* when it lies below;
- *no help* when all of it lies below `margin`: a contribution that large is ruled out. Many parts that do harm end
  here, because that takes fewer pairs than showing the harm, and either answer lets the part go.

So the chance of calling a part helpful or harmful that does nothing, or no help one that adds `margin`, is at most
`alpha`, however often one looks. A rule of no answer, *futile*, stops when the pairs left are unlikely to give any.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from prowess.core.errors import UserError
from prowess.measure.stats.bounded import wealth_table
from prowess.measure.stats.design import MOST_PAIRS, fewest_pairs
from prowess.measure.stats.power import check_chances
from prowess.measure.stats.special import check_share

if TYPE_CHECKING:
    import numpy as np

Worth = Literal["helps", "harms", "no help"]
_CODES: tuple[Worth | None, ...] = (None, "helps", "harms", "no help")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of each part, and at what price."""

    margin: float = 0.1
    """Contributions below this share of the tasks that show the part count as nothing; above 0, at most 0.5."""
    max_pairs: int = 60
    """6 to 200. With no pair won or lost, 40 show that a part is no help at the margin 0.1, and 19 at 0.2."""
    alpha: float = 0.05
    futility: float = 0.05
    """Stop when the predicted chance of any answer within the pairs left falls below this; 0 never stops for it."""
    batch: int = 4
    """Pairs between two looks."""

    def __post_init__(self) -> None:
        check_share(alpha=self.alpha)
        if not 0.0 < self.margin <= 0.5:
            raise UserError(f"margin is {self.margin!r}", "give a share above 0 and at most 0.5")
        if not 0.0 <= self.futility < 1.0:
            raise UserError(f"futility is {self.futility!r}", "give a number from 0 to below 1")
        if self.batch < 1:
            raise UserError(f"a batch of {self.batch} pairs", "give at least 1")
        if not self.fewest <= self.max_pairs <= MOST_PAIRS:
            raise UserError(f"{self.max_pairs} pairs for each part", f"give {self.fewest} to {MOST_PAIRS}")

    @property
    def fewest(self) -> int:
        """Pairs below which no answer is possible at all."""
        return fewest_pairs(self.alpha)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a question would cost and answer where the true chances of a win and of a loss are as given."""

    helps: float
    harms: float
    no_help: float
    """Chances of the answers; what is left of 1 stays open."""
    pairs: float
    """Expected number of pairs."""


def worth(question: Question, n: int, wins: int, losses: int) -> Worth | None:
    """The answer after `n` pairs; None while it is open. Harm or help that is shown comes before "no help"."""
    if n == 0:
        return None
    return _CODES[int(_answers(question.max_pairs, question.alpha, question.margin)[n, wins, losses])]


def is_futile(question: Question, n: int, wins: int, losses: int) -> bool:
    """Whether the pairs left are unlikely to give an answer.

    They are drawn from the Dirichlet-multinomial prediction with one imagined win, tie and loss added to what was seen.
    """
    chances = _chances(question.max_pairs, question.alpha, question.margin)
    return n < question.max_pairs and bool(chances[n, wins, losses] < question.futility)


def forecast(question: Question, win: float, loss: float) -> Forecast:
    """Exact chances of each answer and the expected pairs, when a pair is won or lost with these chances.

    Raises:
        UserError: a chance is negative or NaN, or they sum to more than 1.
    """
    import numpy as np

    check_chances(win, loss)
    answers = _answers(question.max_pairs, question.alpha, question.margin)
    chances = _chances(question.max_pairs, question.alpha, question.margin)
    found = dict.fromkeys(("helps", "harms", "no help"), 0.0)
    pairs, alive = 0.0, np.zeros(answers.shape[1:])
    alive[0, 0] = 1.0
    for n in range(1, question.max_pairs + 1):
        after = max(0.0, 1 - win - loss) * alive
        after[1:] += win * alive[:-1]
        after[:, 1:] += loss * alive[:, :-1]
        alive = after
        if n % question.batch and n < question.max_pairs:
            continue
        for code, name in enumerate(_CODES):
            if name is not None:
                found[name] += float(alive[answers[n] == code].sum())
        ended = (answers[n] > 0) | ((chances[n] < question.futility) if n < question.max_pairs else True)
        pairs += n * float(alive[ended].sum())
        alive[ended] = 0.0
    return Forecast(found["helps"], found["harms"], found["no help"], pairs)


@lru_cache(maxsize=8)
def _answers(max_pairs: int, alpha: float, margin: float) -> "np.ndarray[Any, Any]":
    """Over (n, wins, losses): the index in `_CODES` of the answer."""
    import numpy as np

    size = max_pairs + 1
    wins, losses = np.arange(size)[:, None], np.arange(size)[None, :]
    out = np.zeros((size, size, size), dtype=np.int8)
    for n in range(1, size):
        shown = wealth_table(max_pairs, n, 0.0) >= 1 / alpha
        no_help = (wealth_table(max_pairs, n, margin) >= 1 / alpha) & (wins - losses < margin * n)
        out[n] = np.where(shown, np.where(wins > losses, 1, 2), np.where(no_help, 3, 0)) * (wins + losses <= n)
    return out


@lru_cache(maxsize=8)
def _chances(max_pairs: int, alpha: float, margin: float) -> "np.ndarray[Any, Any]":
    """Over (n, wins, losses): the predicted chance of an answer by `max_pairs`, from the last pair backwards."""
    import numpy as np

    answers = _answers(max_pairs, alpha, margin)
    size = max_pairs + 1
    wins, losses = np.arange(size)[:, None], np.arange(size)[None, :]
    out = np.zeros((size, size, size), dtype=np.float32)
    later = (answers[max_pairs] > 0).astype(float)
    out[max_pairs] = later
    for n in range(max_pairs - 1, -1, -1):
        if_won = np.vstack([later[1:], later[-1:]])
        if_lost = np.hstack([later[:, 1:], later[:, -1:]])
        ties = np.maximum(0, n - wins - losses)
        later = ((wins + 1) * if_won + (losses + 1) * if_lost + (ties + 1) * later) / (n + 3)
        later = np.where(answers[n] > 0, 1.0, later)
        later[wins + losses > n] = 0.0  # cannot be reached, and would overflow
        out[n] = later
    return out
