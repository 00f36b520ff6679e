"""Replay: learning again from what was done before."""

import math
import statistics
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from prowess.train.samples import Context, Episode, Group, dump, load

WEIGHT = "w_replay"
"""The weight stream of replayed tokens: `PolicyGradient(weight=WEIGHT, scale=...)` learns from them, apart from the
step's own, with the log-probabilities of the policy that sampled them."""


def rising(over: int, most: float = 1.0) -> Callable[[Context], float]:
    """A weight that rises from 0 to `most` over so many steps, as half a cosine (SPEAR's c)."""
    return lambda ctx: most * (1 - math.cos(math.pi * min(ctx.step, over) / over)) / 2


@dataclass(slots=True)
class SelfImitation:
    """Good episodes of the last steps, replayed (SPEAR, 2509.22601).

    Episodes whose advantage exceeds `threshold` are kept, for `age` steps at most. Once there are 1.5 times `capacity`,
    all are replayed and the buffer is emptied. Their advantages are estimated anew, since the policy has improved:
    reward less the median of the last `history` rewards; those below 0 stay out. The median is that of all tasks, as in
    the released code, not of the episode's own.
    """

    capacity: int = 2048
    threshold: float = 1.0
    age: int = 10
    history: int = 10_240
    estimate: bool = True
    """False: replayed episodes keep the advantage that they had, however much better the policy has become since."""
    kept: list[tuple[int, Episode]] = field(default_factory=list[tuple[int, Episode]])
    rewards: deque[float] = field(default_factory=deque[float])

    def __call__(self, groups: list[Group], ctx: Context) -> list[Group]:
        for group in groups:
            self.rewards.extend(e.reward for e in group if e.reward is not None)
            self.kept += [(ctx.step, e) for e in group if self._good(e)]
        while len(self.rewards) > self.history:
            self.rewards.popleft()
        self.kept = [(step, e) for step, e in self.kept if ctx.step - step <= self.age]
        if len(self.kept) <= 1.5 * self.capacity:
            return groups
        median = statistics.median(self.rewards)
        again = [e for _, e in self.kept if e.reward is not None and (e.reward >= median or not self.estimate)]
        self.kept = []
        return [*groups, [_replayed(e, (e.reward or 0.0) - median if self.estimate else None) for e in again]]

    def _good(self, episode: Episode) -> bool:
        return any(max(s.streams.get("adv", [0.0])) > self.threshold for s in episode.samples)

    def state_dict(self) -> dict[str, Any]:
        return {
            "kept": dump([[e for _, e in self.kept]]),
            "steps": [step for step, _ in self.kept],
            "rewards": list(self.rewards),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        [episodes] = load(state["kept"])
        self.kept = list(zip(state["steps"], episodes, strict=True))
        self.rewards = deque(state["rewards"])


def _replayed(episode: Episode, advantage: float | None) -> Episode:
    """A copy whose tokens carry the replay weight and no other; with their own advantage where none is given."""
    [[twin]] = load(dump([[episode]]))
    for sample in twin.samples:
        old = sample.streams.get("adv", 0.0)
        sample.streams = {}
        sample.write("adv", old if advantage is None else advantage)
        sample.write(WEIGHT, 1.0)
    return twin
