"""Advantages: how much better an episode was than those it is compared with. Pure Python over rewards."""

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from prowess.core.errors import UserError
from prowess.train.parts import Advantage
from prowess.train.samples import Context, Group, Sample

EPSILON = 1e-6

By = Literal["group", "position", "role", "task"]
"""Within what samples are compared: their group always; in it, like places in a chain, like roles, like tasks."""


class _Row(NamedTuple):
    sample: Sample
    reward: float
    group: int
    task: str


def _rows(groups: Sequence[Group]) -> list[_Row]:
    """Each sample with its reward: its own step's where the episode has such, else the episode's.

    Raises:
        UserError: nothing was judged, or a group was made of a single episode.
    """
    if groups and all(e.reward is None for group in groups for e in group):
        raise UserError("no episode has a reward", "give the recipe a reward that sets `episode.reward`")
    rows: list[_Row] = []
    for g, group in enumerate(groups):
        for episode in group:
            if episode.reward is None:
                continue
            own = episode.step_rewards
            if own and len(own) != len(episode.samples):
                raise ValueError(f"{len(own)} step rewards for {len(episode.samples)} samples")
            for i, sample in enumerate(episode.samples):
                rows.append(_Row(sample, own[i] if own else episode.reward, g, episode.task.id))
    return rows


def _alike(rows: Iterable[_Row], by: Sequence[By]) -> list[list[_Row]]:
    """Rows that are compared with one another."""
    found: dict[tuple[object, ...], list[_Row]] = defaultdict(list)
    for row in rows:
        keys: dict[By, object] = {
            "group": row.group, "position": row.sample.position, "role": row.sample.role, "task": row.task
        }  # fmt: skip
        found[(row.group, *(keys[b] for b in by))].append(row)
    return list(found.values())


def _need_two(groups: Sequence[Group], what: str) -> None:
    if any(len(group) == 1 for group in groups):
        raise UserError(f"{what} compares the episodes of a group, and one group has a single episode",
                        "ask the rollout for at least two episodes a task")  # fmt: skip


@dataclass(frozen=True, slots=True)
class GroupNorm:
    """Reward less the mean of its peers, over their standard deviation (GRPO, 2402.03300); without it, Dr.GRPO's.

    Peers whose rewards are all equal get 0. The deviation is the population's.
    """

    std: bool = True
    by: tuple[By, ...] = ("group",)

    def __call__(self, groups: Sequence[Group], ctx: Context) -> None:
        _need_two(groups, "GroupNorm")
        for peers in _alike(_rows(groups), self.by):
            rewards = [row.reward for row in peers]
            mean, spread = statistics.fmean(rewards), statistics.pstdev(rewards) + EPSILON if self.std else 1.0
            for row in peers:
                row.sample.reinforce((row.reward - mean) / spread)


@dataclass(frozen=True, slots=True)
class LeaveOneOut:
    """Reward less the mean of the *other* peers (RLOO, 2402.14740): n / (n - 1) times the plain difference.

    Peers are samples; of an episode with several, each is one, so that those of the same episode count as peers. With
    `episodes` peers are the episodes of the group, however many samples each has.
    """

    by: tuple[By, ...] = ("group",)
    episodes: bool = False

    def __call__(self, groups: Sequence[Group], ctx: Context) -> None:
        _need_two(groups, "LeaveOneOut")
        if self.episodes:
            for group in groups:
                judged = [(e, e.reward) for e in group if e.reward is not None]
                n, total = len(judged), sum(reward for _, reward in judged)
                for episode, reward in judged:
                    for sample in episode.samples:
                        sample.reinforce(reward - (total - reward) / (n - 1) if n > 1 else 0.0)
            return
        for peers in _alike(_rows(groups), self.by):
            n, total = len(peers), sum(row.reward for row in peers)
            for row in peers:
                row.sample.reinforce(row.reward - (total - row.reward) / (n - 1) if n > 1 else 0.0)


@dataclass(frozen=True, slots=True)
class BatchNorm:
    """Rewards normalised over all samples of a policy in the step (REINFORCE++, 2501.03262): they sum to 0."""

    def __call__(self, groups: Sequence[Group], ctx: Context) -> None:
        policies: dict[str, list[_Row]] = defaultdict(list)
        for row in _rows(groups):
            policies[row.sample.policy].append(row)
        for rows in policies.values():
            rewards = [row.reward for row in rows]
            mean, spread = statistics.fmean(rewards), statistics.pstdev(rewards) + EPSILON
            for row in rows:
                row.sample.reinforce((row.reward - mean) / spread)


@dataclass(frozen=True, slots=True)
class TurnNorm:
    """Credit turn by turn: `step_rewards` holds what each turn earned; every turn is compared with the same turn of all
    episodes of the step, or of its group, and its tokens alone are moved."""

    within: Literal["batch", "group"] = "batch"
    std: bool = True

    def __call__(self, groups: Sequence[Group], ctx: Context) -> None:
        for peers in groups if self.within == "group" else [[e for group in groups for e in group]]:
            judged = [e for e in peers if e.reward is not None]
            turns = max((len(e.step_rewards) for e in judged), default=0)
            found: list[dict[int, float]] = [{} for _ in judged]
            for turn in range(turns):
                here = [i for i, e in enumerate(judged) if len(e.step_rewards) > turn]
                normal = _normal([judged[i].step_rewards[turn] for i in here], self.std)
                for i, value in zip(here, normal, strict=True):
                    found[i][turn] = value
            for episode, values in zip(judged, found, strict=True):
                for sample in episode.samples:
                    turn_of = sample.turn or [0] * len(sample.ids)
                    marks = zip(sample.mask, turn_of, strict=True)
                    sample.reinforce([values.get(t, 0.0) if m else 0.0 for m, t in marks])


@dataclass(frozen=True, slots=True)
class Raw:
    """The reward itself: offline data with rewards of +1 and -1, zero-sum games."""

    def __call__(self, groups: Sequence[Group], ctx: Context) -> None:
        for row in _rows(groups):
            row.sample.reinforce(row.reward)


@dataclass(frozen=True, slots=True)
class GiGPO:
    """The episode's advantage plus that of each step among the steps of the group that began in the same state
    (2505.10978). Steps need anchors, and the episode step rewards; the return of a step is discounted by `gamma`.
    """

    weight: float = 1.0
    gamma: float = 0.95
    std: bool = False

    def __call__(self, groups: Sequence[Group], ctx: Context) -> None:
        _need_two(groups, "GiGPO")
        for group in groups:
            judged = [e for e in group if e.reward is not None]
            whole = _normal([e.reward or 0.0 for e in judged], self.std)
            states: dict[str, list[tuple[Sample, float, float]]] = defaultdict(list)
            for episode, advantage in zip(judged, whole, strict=True):
                steps = episode.step_rewards or [0.0] * (len(episode.samples) - 1) + [episode.reward or 0.0]
                total, returns = 0.0, list[float]()
                for reward in reversed(steps):
                    total = reward + self.gamma * total
                    returns.append(total)
                for sample, value in zip(episode.samples, reversed(returns), strict=True):
                    states[sample.anchor].append((sample, advantage, value))
            for rows in states.values():
                local = _normal([value for _, _, value in rows], self.std)
                for (sample, advantage, _), step in zip(rows, local, strict=True):
                    sample.reinforce(advantage + self.weight * step)


def _normal(rewards: Sequence[float], std: bool) -> list[float]:
    if not rewards:
        return []
    mean, spread = statistics.fmean(rewards), statistics.pstdev(rewards) + EPSILON if std else 1.0
    return [(r - mean) / spread for r in rewards]


@dataclass(slots=True)
class RoleBaseline:
    """Reward less a moving average of what the role has earned, read before it is updated (self-play)."""

    decay: float = 0.95
    means: dict[str, float] = field(default_factory=dict[str, float])

    def __call__(self, groups: Sequence[Group], ctx: Context) -> None:
        for row in _rows(groups):
            mean = self.means.get(row.sample.role, 0.0)
            row.sample.reinforce(row.reward - mean)
            self.means[row.sample.role] = self.decay * mean + (1 - self.decay) * row.reward

    def state_dict(self) -> dict[str, float]:
        return dict(self.means)

    def load_state_dict(self, state: dict[str, float]) -> None:
        self.means = dict(state)


@dataclass(frozen=True, slots=True)
class Scaled:
    """Another advantage times a factor of each sample: role weights, doubt about labels, a bonus for variety."""

    inner: Advantage
    factor: Callable[[Sample], float]

    def __call__(self, groups: Sequence[Group], ctx: Context) -> None:
        self.inner(groups, ctx)
        for group in groups:
            for episode in group:
                for sample in episode.samples:
                    if "adv" in sample.streams:
                        by = self.factor(sample)
                        sample.write("adv", [by * a for a in sample.streams["adv"]])


@dataclass(frozen=True, slots=True)
class MostVaried:
    """Another advantage, on the `share` of the groups whose rewards vary most; the rest is not learned from (Dr.BoT,
    the baseline of SPEAR, 2509.22601)."""

    inner: Advantage
    share: float = 0.75

    def __call__(self, groups: Sequence[Group], ctx: Context) -> None:
        spreads = [statistics.pstdev(found) if (found := _rewards(group)) else 0.0 for group in groups]
        kept = sorted(range(len(groups)), key=lambda i: -spreads[i])[: math.ceil(self.share * len(groups))]
        self.inner([groups[i] for i in sorted(kept)], ctx)


def _rewards(group: Group) -> list[float]:
    return [e.reward for e in group if e.reward is not None]


def by_role(inner: Advantage, weights: dict[str, float]) -> Scaled:
    """`inner` with a weight for each role; 1 for those not named."""
    return Scaled(inner, lambda sample: weights.get(sample.role, 1.0))


@dataclass(frozen=True, slots=True)
class Imitate:
    """No advantage: cross-entropy on the episodes worth imitating, by default those of full reward (RFT)."""

    least: float = 1.0

    def __call__(self, groups: Sequence[Group], ctx: Context) -> None:
        for row in _rows(groups):
            if row.reward >= self.least:
                row.sample.write("w_ce", 1.0)
