"""The words of search at test time: a meter of tokens, what was found, and what a controller is."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from prowess.core.errors import UserError
from prowess.core.task import Task
from prowess.train.parts import Ids, Policy
from prowess.train.samples import Completion

Ask = Callable[[Task], str]
"""From a task to what the policy is asked."""

Key = Callable[[str], str]
"""From an answer to what it says at last; answers with equal keys agree. Empty for one that says nothing."""


class Attempt(NamedTuple):
    """One answer."""

    text: str
    logp: float
    """Of all its tokens."""
    tokens: int

    @property
    def likelihood(self) -> float:
        """Mean log-probability of a token: what the policy itself thinks of its answer, whatever the length."""
        return self.logp / max(1, self.tokens)


class Found(NamedTuple):
    """What came of one task."""

    answer: str
    tokens: int
    """Sampled for it, and read for judging it, in all."""
    attempts: tuple[Attempt, ...] = ()
    """Everything that was considered, in order."""


Judge = Callable[[Task, Sequence[Attempt]], list[float]]
"""What each attempt at a task seems worth; more is better."""


class Control(Protocol):
    """Answers tasks, spending at most `budget` tokens on each."""

    def __call__(self, tasks: Sequence[Task], policy: Policy, budget: int, seed: int) -> list[Found]:
        """Equal arguments give equal answers.

        Raises:
            UserError: the budget does not even pay for one answer.
        """
        ...


class Meter:
    """A policy whose tokens are counted, task by task.

    Args:
        budget: most tokens for each task; what does not fit is never asked for.
    """

    def __init__(self, policy: Policy, tasks: int, budget: int, seed: int) -> None:
        self.policy, self.budget, self._seed = policy, budget, seed
        self.spent = [0] * tasks

    def left(self, task: int) -> int:
        return self.budget - self.spent[task]

    def sample(
        self, rows: Sequence[tuple[int, Ids]], longest: int, *, temperature: float = 1.0
    ) -> list[Completion]:  # fmt: skip
        """One completion of each row, which belongs to the task whose number comes first."""
        if not rows:
            return []
        self._seed += 1
        said = self.policy.sample([ids for _, ids in rows], longest=longest, temperature=temperature, seed=self._seed)
        for (task, _), c in zip(rows, said, strict=True):
            self.spent[task] += len(c.ids)
        return said

    def score(self, rows: Sequence[tuple[int, Ids, Ids]]) -> list[float]:
        """Log-probability of each row's last ids after those before them; what is scored is paid for."""
        if not rows:
            return []
        scored = self.policy.score([[*before, *said] for _, before, said in rows])
        for task, _, said in rows:
            self.spent[task] += len(said)
        return [sum(row[len(before) :]) for row, (_, before, _) in zip(scored, rows, strict=True)]


def need(budget: int, longest: int, what: str) -> None:
    """Raise `UserError` where a budget does not pay for one answer."""
    if budget < longest:
        raise UserError(
            f"{what}: {budget} tokens do not pay for one answer of up to {longest}", "give it a larger budget"
        )


def attempt(policy: Policy, said: Completion) -> Attempt:
    """The completion as an attempt."""
    return Attempt(policy.tokens.decode(said.ids), sum(said.logp), len(said.ids))
