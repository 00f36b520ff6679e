"""Where a run's tasks come from."""

from dataclasses import dataclass

from prowess.core.skill import Snapshot
from prowess.core.task import Task
from prowess.evolve.protocols import Context, Source
from prowess.evolve.statistics import did


@dataclass(frozen=True, slots=True)
class Stream:
    """A fixed order of tasks, a batch of `per_round` of them each round."""

    stream: tuple[Task, ...]
    per_round: int

    async def tasks(self, round_: int, library: Snapshot, context: Context) -> tuple[Task, ...]:
        start = round_ * self.per_round
        return self.stream[start : start + self.per_round]


@dataclass(frozen=True, slots=True)
class Late:
    """`then`, a round later: in the first round nothing is run, and what is proposed rests on no trajectory."""

    then: Source

    async def tasks(self, round_: int, library: Snapshot, context: Context) -> tuple[Task, ...]:
        return await self.then.tasks(round_ - 1, library, context) if round_ else ()


@dataclass(frozen=True, slots=True)
class Retry:
    """A stream whose failed tasks come again, each up to `tries` times in all, before the next batch.

    A task comes again in a round of its own, with what the library has learned since; where the agent is shown the same
    as before, the stored run is the answer and costs nothing. Takes up to `tries` rounds a batch.
    """

    stream: tuple[Task, ...]
    per_round: int
    tries: int

    async def tasks(self, round_: int, library: Snapshot, context: Context) -> tuple[Task, ...]:
        rounds = context.past.rounds
        tried = [{task.id for task, _ in episodes} for episodes in rounds]
        failed = {e.task.id for e in rounds[-1] if not did(e)} if rounds else set[str]()
        again = tuple(
            task for task in self.stream if task.id in failed and sum(task.id in ids for ids in tried) < self.tries
        )
        seen = set[str]().union(*tried)
        return again or tuple(task for task in self.stream if task.id not in seen)[: self.per_round]
