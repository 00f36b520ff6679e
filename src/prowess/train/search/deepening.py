"""Iterative deepening: think again from scratch, with ever more room (2502.05449).

One sequence is continued through growing budgets b, b * gamma, … up to the whole; at each boundary a trigger is put in
("Wait! Maybe I made some mistakes!"), and each stage leaves an answer. The best of them, or what most say, is given.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from prowess.core.errors import UserError
from prowess.core.task import Task
from prowess.train.parts import Ids, Policy
from prowess.train.search.base import Ask, Attempt, Found, Judge, Meter, attempt
from prowess.train.search.control import best
from prowess.train.search.prompts import plain

TRIGGER = "Wait! Maybe I made some mistakes! I need to rethink from scratch."


def boundaries(first: int, gamma: float, whole: int) -> list[int]:
    """Where the trigger goes: 64, 2, 512 give 64, 128, 256, 512. An infinite gamma gives the first and the whole.

    Raises:
        UserError: the first budget is none, or gamma lets it never grow.
    """
    if first < 1 or gamma <= 1:
        raise UserError(f"budgets from {first} times {gamma:g} do not grow", "give a first budget and a gamma above 1")
    found, at = list[int](), first
    while at < whole:
        found.append(at)
        at = whole if math.isinf(gamma) else max(at + 1, math.ceil(at * gamma))
    return [*found, whole]


@dataclass(frozen=True, slots=True)
class Deepen:
    """The controller. `longest` bounds the answer of one stage; a stage whose answer ended early leaves its rest to the
    next one."""

    first: int
    longest: int
    judge: Judge
    trigger: str = TRIGGER
    gamma: float = 2.0
    ask: Ask = plain
    temperature: float = 1.0

    def __call__(self, tasks: Sequence[Task], policy: Policy, budget: int, seed: int) -> list[Found]:
        meter = Meter(policy, len(tasks), budget, seed)
        rows: dict[int, Ids] = {i: policy.tokens.prompt(self.ask(task)) for i, task in enumerate(tasks)}
        made: list[list[Attempt]] = [[] for _ in tasks]
        before = 0
        for until in boundaries(self.first, self.gamma, budget):
            size = min(self.longest, until - before)
            said = meter.sample(list(rows.items()), size, temperature=self.temperature)
            for (i, row), c in zip(list(rows.items()), said, strict=True):
                made[i].append(attempt(policy, c))
                ended = c.ids if c.finished else [*c.ids, policy.tokens.end]
                rows[i] = [*row, *ended, *policy.tokens.reply(self.trigger)]
            before = until
        answers = [best(task, of, self.judge) for task, of in zip(tasks, made, strict=True)]
        return [Found(a.text, n, tuple(of)) for a, n, of in zip(answers, meter.spent, made, strict=True)]
