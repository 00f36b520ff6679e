"""Self-correction, in both of its forms: writing the answer anew, or choosing again among options (2511.09381).

The study: writing anew gains early and drifts later, right answers turning wrong; choosing again is steady, and slow to
leave a wrong choice. `flips` counts both; `Unchanged` and `Sure` stop where nothing more is to be expected.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from prowess.core.task import Task
from prowess.train.parts import Ids, Policy
from prowess.train.rewards import Check
from prowess.train.search.base import Ask, Attempt, Found, Meter, attempt, need
from prowess.train.search.prompts import plain

Stop = Callable[[Sequence[Attempt]], bool]
"""Whether a task's attempts so far are enough."""
Options = Callable[[Task], Sequence[str]]


def never(attempts: Sequence[Attempt]) -> bool:
    """Goes on for all rounds."""
    return False


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Enough once the last `times` attempts were like the one before them."""

    times: int = 2

    def __call__(self, attempts: Sequence[Attempt]) -> bool:
        last = [a.text for a in attempts[-self.times - 1 :]]
        return len(last) == self.times + 1 and len(set(last)) == 1


@dataclass(frozen=True, slots=True)
class Sure:
    """Enough once an answer is at least this likely; for choices, whose likelihood is that among the options."""

    least: float = 0.9

    def __call__(self, attempts: Sequence[Attempt]) -> bool:
        return attempts[-1].logp >= math.log(self.least)


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Answers, is asked to look again, answers again; the last answer counts."""

    longest: int
    request: str
    rounds: int = 8
    stop: Stop = never
    ask: Ask = plain
    temperature: float = 1.0

    def __call__(self, tasks: Sequence[Task], policy: Policy, budget: int, seed: int) -> list[Found]:
        need(budget, self.longest, "rewriting")
        meter = Meter(policy, len(tasks), budget, seed)
        rows: dict[int, Ids] = {i: policy.tokens.prompt(self.ask(task)) for i, task in enumerate(tasks)}
        made: list[list[Attempt]] = [[] for _ in tasks]
        for _ in range(self.rounds + 1):
            rows = {
                i: r for i, r in rows.items() if meter.left(i) >= self.longest and not (made[i] and self.stop(made[i]))
            }
            said = meter.sample(list(rows.items()), self.longest, temperature=self.temperature)
            for (i, row), c in zip(list(rows.items()), said, strict=True):
                made[i].append(attempt(policy, c))
                rows[i] = [*row, *c.ids, *policy.tokens.reply(self.request)]
        return [Found(of[-1].text, n, tuple(of)) for of, n in zip(made, meter.spent, strict=True)]


@dataclass(frozen=True, slots=True)
class Choose:
    """Chooses the likeliest option, reads its own choice and the request, chooses again. What is scored is paid for."""

    options: Options
    request: str
    rounds: int = 8
    stop: Stop = never
    ask: Ask = plain

    def __call__(self, tasks: Sequence[Task], policy: Policy, budget: int, seed: int) -> list[Found]:
        meter = Meter(policy, len(tasks), budget, seed)
        rows: dict[int, Ids] = {i: policy.tokens.prompt(self.ask(task)) for i, task in enumerate(tasks)}
        words = [[policy.tokens.answer(option) for option in self.options(task)] for task in tasks]
        price = [sum(map(len, of)) for of in words]
        need(budget, max(price, default=0), "choosing")
        made: list[list[Attempt]] = [[] for _ in tasks]
        for _ in range(self.rounds + 1):
            rows = {i: r for i, r in rows.items() if meter.left(i) >= price[i] and not (made[i] and self.stop(made[i]))}
            asked = [(i, row, option) for i, row in rows.items() for option in words[i]]
            worth = iter(meter.score(asked))
            for i, row in list(rows.items()):
                logp = [next(worth) for _ in words[i]]
                whole = math.log(sum(math.exp(p - max(logp)) for p in logp)) + max(logp)
                at = max(range(len(logp)), key=lambda k: logp[k])
                made[i].append(Attempt(self.options(tasks[i])[at], logp[at] - whole, len(words[i][at])))
                rows[i] = [*row, *words[i][at], *policy.tokens.reply(self.request)]
        return [Found(of[-1].text, n, tuple(of)) for of, n in zip(made, meter.spent, strict=True)]


class Round(NamedTuple):
    """One round over all tasks; a task that had stopped keeps its last answer."""

    accuracy: float
    mended: float
    """Share of tasks whose answer was wrong before this round and is right now."""
    spoiled: float
    """Share whose answer was right and is wrong now."""


def flips(tasks: Sequence[Task], found: Sequence[Found], check: Check) -> list[Round]:
    """How accuracy moved, round by round."""
    n = max((len(f.attempts) for f in found), default=0)
    right = [
        [check(t, f.attempts[min(r, len(f.attempts) - 1)].text) == 1.0 for t, f in zip(tasks, found, strict=True)]
        for r in range(n)
    ]
    rounds: list[Round] = []
    for r, now in enumerate(right):
        pairs = list(zip(right[max(0, r - 1)], now, strict=True))
        mended, spoiled = sum(not a and b for a, b in pairs), sum(a and not b for a, b in pairs)
        rounds.append(Round(sum(now) / len(now), mended / len(now), spoiled / len(now)))
    return rounds
