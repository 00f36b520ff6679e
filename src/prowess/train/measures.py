"""Measuring a policy on held-out tasks: greedy answers, no randomness of its own."""

import statistics
from collections.abc import Mapping, Sequence
from random import Random

from prowess.core.task import Task
from prowess.train.parts import Policy, Rollout
from prowess.train.rewards import Check
from prowess.train.rollouts import Prompt, SingleTurn, plain
from prowess.train.samples import Context, Group


def play(
    rollout: Rollout, tasks: Sequence[Task], policies: Mapping[str, Policy], *, skills: Mapping[str, str] | None = None,
    temperature: float = 0.0, seed: int = 0,
) -> list[Group]:  # fmt: skip
    """Episodes that nobody trains on; greedy unless a temperature is given."""
    ctx = Context(Random(seed), train=False, temperature=temperature, skills=dict(skills or {}))
    return rollout(tasks, policies, ctx)


def accuracy(
    check: Check, tasks: Sequence[Task], policies: Mapping[str, Policy], *, longest: int, prompt: Prompt = plain,
    skills: Mapping[str, str] | None = None, policy: str = "actor",
) -> float:  # fmt: skip
    """Mean score of greedy answers."""
    rollout = SingleTurn(longest, copies=1, policy=policy, prompt=prompt)
    groups = play(rollout, tasks, policies, skills=skills)
    return statistics.fmean(check(e.task, e.info["answer"]) for group in groups for e in group)
