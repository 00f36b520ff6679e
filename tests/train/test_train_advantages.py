"""Advantages against numbers worked out by hand, and the laws that they must keep."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from train_parts import context, group, sample, task

from prowess.core.errors import UserError
from prowess.train.advantages import (
    BatchNorm,
    GiGPO,
    GroupNorm,
    Imitate,
    LeaveOneOut,
    Raw,
    RoleBaseline,
    TurnNorm,
    by_role,
)
from prowess.train.samples import Episode, Group

REWARDS = st.lists(st.floats(-10, 10), min_size=2, max_size=8)


def advantages(groups: list[Group]) -> list[float]:
    """The advantage of each sample's last token."""
    return [s.streams["adv"][-1] for g in groups for e in g for s in e.samples]


def test_group_norm_by_hand() -> None:
    groups = [group(1.0, 0.0, 0.0), group(2.0, 4.0, 6.0)]
    GroupNorm()(groups, context())
    low, one = -math.sqrt(0.5), math.sqrt(1.5)
    assert advantages(groups) == pytest.approx([math.sqrt(2), low, low, -one, 0, one], abs=1e-4)
    GroupNorm(std=False)(groups, context())
    assert advantages(groups) == pytest.approx([2 / 3, -1 / 3, -1 / 3, -2, 0, 2])


def test_only_sampled_tokens_are_reinforced() -> None:
    groups = [group(1.0, 0.0, ids=(5, 6, 7, 8), start=2)]
    GroupNorm()(groups, context())
    for episode in groups[0]:
        assert episode.samples[0].streams["w_rl"] == [0, 0, 1, 1]
        assert episode.samples[0].streams["adv"][:2] == [0, 0]


@given(REWARDS)
def test_leave_one_out_is_the_plain_difference_stretched(rewards: list[float]) -> None:
    plain, others = [group(*rewards)], [group(*rewards)]
    GroupNorm(std=False)(plain, context())
    LeaveOneOut()(others, context())
    n = len(rewards)
    assert advantages(others) == pytest.approx([n / (n - 1) * a for a in advantages(plain)], abs=1e-9)


@given(st.lists(REWARDS, min_size=1, max_size=4))
def test_batch_norm_sums_to_zero(rewards: list[list[float]]) -> None:
    groups = [group(*r) for r in rewards]
    BatchNorm()(groups, context())
    assert sum(advantages(groups)) == pytest.approx(0, abs=1e-6)


@given(REWARDS, st.floats(-5, 5))
def test_a_constant_added_to_all_rewards_changes_nothing(rewards: list[float], constant: float) -> None:
    one, two = [group(*rewards)], [group(*(r + constant for r in rewards))]
    GroupNorm(std=False)(one, context())
    GroupNorm(std=False)(two, context())
    assert advantages(one) == pytest.approx(advantages(two), abs=1e-9)


def test_equal_rewards_move_nothing() -> None:
    groups = [group(1.0, 1.0, 1.0)]
    GroupNorm()(groups, context())
    assert advantages(groups) == [0, 0, 0]


def test_by_position_and_by_role() -> None:
    """SAGE compares like places of a chain, Evolving-RL like roles; each sample has its own reward."""
    chains = [
        [
            Episode(task(), [sample(position=0), sample(position=1)], reward=0.0, step_rewards=[2.0, 10.0]),
            Episode(task(), [sample(position=0), sample(position=1)], reward=0.0, step_rewards=[0.0, 20.0]),
        ]
    ]
    GroupNorm(std=False, by=("position",))(chains, context())
    assert advantages(chains) == [1, -5, -1, 5]
    roles = [
        [Episode(task(), [sample(role="extractor")], reward=r) for r in (1.0, 0.0)]
        + [Episode(task(), [sample(role="solver")], reward=r) for r in (5.0, 1.0)]
    ]
    by_role(GroupNorm(std=False, by=("role",)), {"extractor": 0.2})(roles, context())
    assert advantages(roles) == pytest.approx([0.1, -0.1, 2, -2])


def test_tasks_inside_a_group_are_compared_apart() -> None:
    """Evolving-RL: solvers are compared within a downstream task, over different skills in their prompts."""
    mixed = [[Episode(task(id=i), [sample()], reward=r) for i, r in (("a", 1.0), ("a", 0.0), ("b", 5.0), ("b", 4.0))]]
    GroupNorm(std=False, by=("task",))(mixed, context())
    assert advantages(mixed) == [0.5, -0.5, 0.5, -0.5]


def test_unjudged_episodes_count_in_no_statistic() -> None:
    groups = [group(1.0, None, 0.0)]
    GroupNorm(std=False)(groups, context())
    assert [e.samples[0].streams.get("adv", [None])[-1] for e in groups[0]] == [0.5, None, -0.5]
    assert not groups[0][1].samples[0].trainable


def test_turn_norm_credits_each_turn_alone() -> None:
    def episode(*earned: float) -> Episode:
        s = sample((1, 2, 3, 4, 5), start=1, turn=[0, 0, 0, 1, 1])
        s.mask[3] = False
        s.logp[3] = 0.0
        return Episode(task(), [s], reward=sum(earned), step_rewards=list(earned))

    groups = [[episode(1.0, 0.0), episode(0.0, 4.0)]]
    TurnNorm(std=False)(groups, context())
    assert groups[0][0].samples[0].streams["adv"] == [0, 0.5, 0.5, 0, -2]
    assert groups[0][1].samples[0].streams["adv"] == [0, -0.5, -0.5, 0, 2]


def test_gigpo_adds_the_step_among_equal_states() -> None:
    def episode(reward: float, *anchors: str) -> Episode:
        return Episode(task(), [sample(anchor=a) for a in anchors], reward=reward)

    groups = [[episode(1.0, "s", "x"), episode(0.0, "s", "y")]]
    GiGPO(gamma=0.5)(groups, context())
    # episode: +-0.5; in state s the returns are 0.5 and 0, so +-0.25; x and y have no peers
    assert advantages(groups) == pytest.approx([0.75, 0.5, -0.75, -0.5])


def test_role_baseline_is_read_before_it_moves() -> None:
    part = RoleBaseline(decay=0.5)
    groups = [group(1.0, 1.0)]
    part(groups, context())
    assert advantages(groups) == [1.0, 0.5]
    again = RoleBaseline(decay=0.5)
    again.load_state_dict(part.state_dict())
    assert again == part


def test_imitation_weighs_right_answers_only() -> None:
    groups = [group(1.0, 0.9, 1.0)]
    Imitate()(groups, context())
    assert [e.samples[0].trainable for e in groups[0]] == [True, False, True]
    assert all("adv" not in e.samples[0].streams for e in groups[0])


@pytest.mark.parametrize("part", [GroupNorm(), LeaveOneOut(), GiGPO()])
def test_a_group_of_one_is_refused(part: GroupNorm) -> None:
    with pytest.raises(UserError, match="single episode"):
        part([group(1.0)], context())


@pytest.mark.parametrize("part", [GroupNorm(), BatchNorm(), Raw()])
def test_missing_rewards_are_refused(part: GroupNorm) -> None:
    with pytest.raises(UserError, match="no episode has a reward"):
        part([group(None, None)], context())
