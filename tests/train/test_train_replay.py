"""Replay: what is kept, when it comes back, with which advantage; and that an empty buffer changes nothing."""

import math
import random

import pytest
import torch
from train_parts import actor, context, group, task

from prowess.core.task import Task
from prowess.train.advantages import GroupNorm
from prowess.train.curricula import Fresh
from prowess.train.losses import PolicyGradient
from prowess.train.parts import Recipe
from prowess.train.replay import WEIGHT, SelfImitation, rising
from prowess.train.rewards import Outcome
from prowess.train.rollouts import SingleTurn
from prowess.train.samples import Context, Group, samples_of
from prowess.train.study import Phase, alternate
from prowess.train.trainer import Trainer


def judged(*rewards: float) -> list[Group]:
    groups = [group(*rewards)]
    GroupNorm(std=False)(groups, context())
    return groups


def test_good_episodes_come_back_once_there_are_enough() -> None:
    buffer, ctx = SelfImitation(capacity=2, threshold=0.5, age=5), context()
    assert len(buffer(judged(1.0, 0.0, 0.0), ctx)) == 1 and len(buffer.kept) == 1
    for _ in range(2):
        assert len(buffer(judged(1.0, 0.0, 0.0), ctx)) == 1
    own, again = buffer(judged(1.0, 0.0, 0.0), ctx)
    assert len(own) == 3 and len(again) == 4 and buffer.kept == []
    for s in samples_of([again]):
        assert s.streams == {"adv": [0, 1, 1], WEIGHT: [0, 1, 1]}  # reward 1 less the median 0
    assert all(WEIGHT not in s.streams for s in samples_of([own]))


def test_what_is_no_longer_good_stays_out() -> None:
    buffer, ctx = SelfImitation(capacity=1, threshold=0.2), context()
    buffer(judged(0.5, 0.0, 0.0), ctx)
    _, again = buffer(judged(9.0, 8.0, 7.0, 9.0), ctx)
    assert sorted(e.reward or 0 for e in again) == [9.0, 9.0]  # the median is now 7


def test_old_episodes_are_dropped() -> None:
    buffer, ctx = SelfImitation(capacity=9, threshold=0.1, age=2), context()
    for ctx.step in range(6):
        buffer(judged(1.0, 0.0), ctx)
    assert [step for step, _ in buffer.kept] == [3, 4, 5]


def test_its_state_goes_into_checkpoints() -> None:
    buffer = SelfImitation(capacity=9, threshold=0.1)
    buffer(judged(1.0, 0.0), context())
    again = SelfImitation(capacity=9, threshold=0.1)
    again.load_state_dict(buffer.state_dict())
    assert again == buffer


def test_the_weight_rises_from_nothing() -> None:
    weight = rising(100, 0.5)
    at = [weight(Context(random.Random(0), step=s)) for s in (0, 50, 100, 300)]
    assert at == pytest.approx([0, 0.25, 0.5, 0.5])
    assert weight(Context(random.Random(0), step=25)) == pytest.approx(0.25 * (1 - math.cos(math.pi / 4)))


def letters(n: int, seed: int) -> list[Task]:
    return [task(p, id=p) for p in random.Random(seed).sample("abcdefgh", n)]


def recipe(replay: SelfImitation | None, name: str = "x") -> Recipe:
    return Recipe(
        name=name, curriculum=Fresh(letters), rollout=SingleTurn(4, copies=4),
        reward=Outcome(lambda t, a: float(ord((a or " ")[0]))), advantage=GroupNorm(), replay=replay, prompts=4,
        losses=(PolicyGradient(), PolicyGradient(weight=WEIGHT, scale=rising(10))),
    )  # fmt: skip


def test_with_an_empty_buffer_it_is_grpo() -> None:
    plain, imitating = actor(), actor()
    Trainer({"actor": plain}, recipe(None), steps=3).run()
    Trainer({"actor": imitating}, recipe(SelfImitation()), steps=3).run()
    for a, b in zip(plain.parameters(), imitating.parameters(), strict=True):
        assert torch.equal(a, b)


def test_replayed_rows_are_learned_from() -> None:
    plain, imitating = actor(), actor()
    Trainer({"actor": plain}, recipe(None), steps=4).run()
    Trainer({"actor": imitating}, recipe(SelfImitation(capacity=1, threshold=0.1)), steps=4).run()
    assert any(not torch.equal(a, b) for a, b in zip(plain.parameters(), imitating.parameters(), strict=True))


def test_a_reward_may_train_a_copy() -> None:
    """Nested training: a group is paid by what a copy learns from it; the one that proposes stays as it was."""
    policy = actor()
    before = policy.snapshot()

    def progress(groups: list[Group], ctx: Context) -> None:
        for g in groups:
            student = policy.clone("actor", trainable=True)
            inner = Trainer({"actor": student}, recipe(None, "inner"), steps=1, seed=ctx.seed())
            g[0].reward = inner.step()["reward"]

    groups = [group(None, None)]
    progress(groups, context())
    assert groups[0][0].reward is not None
    assert all(torch.equal(a, b) for a, b in zip(before.values(), policy.snapshot().values(), strict=True))


def test_taking_turns() -> None:
    one, two = Phase(recipe(None, "one"), 1), Phase(recipe(None, "two"), 2)
    assert alternate([one, two], 2) == [one, two, one, two]
