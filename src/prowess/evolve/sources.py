"""Where a run's tasks come from."""

from dataclasses import dataclass

from prowess.core.skill import Snapshot
from prowess.core.task import Task
from prowess.evolve.protocols import Context


@dataclass(frozen=True, slots=True)
class Stream:
    """A fixed order of tasks, a batch of `per_round` of them each round."""

    stream: tuple[Task, ...]
    per_round: int

    async def tasks(self, round_: int, library: Snapshot, context: Context) -> tuple[Task, ...]:
        start = round_ * self.per_round
        return self.stream[start : start + self.per_round]
