"""Controllers that draw whole answers: the likeliest one, or as many as the budget pays for and the best of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from prowess.core.task import Task
from prowess.train.parts import Policy
from prowess.train.search.base import Ask, Attempt, Found, Judge, Key, Meter, attempt, need
from prowess.train.search.judges import agreed
from prowess.train.search.prompts import plain


@dataclass(frozen=True, slots=True)
class Greedy:
    """The likeliest answer, once."""

    longest: int
    ask: Ask = plain

    def __call__(self, tasks: Sequence[Task], policy: Policy, budget: int, seed: int) -> list[Found]:
        need(budget, self.longest, "greedy")
        meter = Meter(policy, len(tasks), budget, seed)
        rows = [(i, policy.tokens.prompt(self.ask(task))) for i, task in enumerate(tasks)]
        said = [attempt(policy, c) for c in meter.sample(rows, self.longest, temperature=0.0)]
        return [Found(a.text, n, (a,)) for a, n in zip(said, meter.spent, strict=True)]


@dataclass(frozen=True, slots=True)
class BestOf:
    """As many answers as the budget pays for; the one that the judge likes best, the first among equals."""

    longest: int
    judge: Judge
    ask: Ask = plain
    temperature: float = 1.0

    def __call__(self, tasks: Sequence[Task], policy: Policy, budget: int, seed: int) -> list[Found]:
        need(budget, self.longest, "best of many")
        meter = Meter(policy, len(tasks), budget, seed)
        prompts = [policy.tokens.prompt(self.ask(task)) for task in tasks]
        drawn: list[list[Attempt]] = [[] for _ in tasks]
        while rows := [(i, p) for i, p in enumerate(prompts) if meter.left(i) >= self.longest]:
            for (i, _), c in zip(rows, meter.sample(rows, self.longest, temperature=self.temperature), strict=True):
                drawn[i].append(attempt(policy, c))
        return [
            Found(best(task, of, self.judge).text, meter.spent[i], tuple(of))
            for i, (task, of) in enumerate(zip(tasks, drawn, strict=True))
        ]


def vote(longest: int, key: Key, ask: Ask = plain, temperature: float = 1.0) -> BestOf:
    """As many answers as the budget pays for; what most of them say."""
    return BestOf(longest, agreed(key), ask, temperature)


def best(task: Task, attempts: Sequence[Attempt], judge: Judge) -> Attempt:
    """The attempt that the judge likes best; the first among equals."""
    worth = judge(task, attempts)
    return attempts[max(range(len(attempts)), key=lambda i: worth[i])]
