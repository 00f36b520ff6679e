"""Judges: what an answer seems worth. An oracle for bounds, one that errs for experiments, and those that need no
truth."""

import random
from collections import Counter
from collections.abc import Sequence

from prowess.core.task import Task
from prowess.train.rewards import Check
from prowess.train.search.base import Attempt, Judge, Key


def oracle(check: Check) -> Judge:
    """The truth: the bound that no judge exceeds."""
    return lambda task, attempts: [check(task, a.text) for a in attempts]


def noisy(check: Check, error: float) -> Judge:
    """The truth, turned round for a share `error` of the answers; 0.5 is a coin. Equal answers get equal verdicts."""

    def judge(task: Task, attempts: Sequence[Attempt]) -> list[float]:
        found: list[float] = []
        for a in attempts:
            wrong = random.Random(f"{task.id}/{a.text}").random() < error
            right = check(task, a.text)
            found.append(1.0 - right if wrong else right)
        return found

    return judge


def likely(task: Task, attempts: Sequence[Attempt]) -> list[float]:
    """The policy's own confidence: the mean log-probability of a token."""
    return [a.likelihood for a in attempts]


def agreed(key: Key) -> Judge:
    """The share of all attempts that say the same (self-consistency, 2203.11171); 0 for those that say nothing."""

    def judge(task: Task, attempts: Sequence[Attempt]) -> list[float]:
        said = [key(a.text) for a in attempts]
        count = Counter(said)
        return [count[s] / len(said) if s else 0.0 for s in said]

    return judge
