"""Which of the snapshots that the rounds left behind is the result, or where the next round starts."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from prowess.core.skill import Snapshot
from prowess.core.task import Task
from prowess.evolve.protocols import Context, Episode
from prowess.evolve.statistics import did
from prowess.measure.gates import Provider
from prowess.measure.pool import map_each
from prowess.measure.trials import run_trial


class Last:
    """The last one: right where every change has passed a gate that measures."""

    async def choose(self, snapshots: Sequence[Snapshot], context: Context) -> Snapshot:
        return snapshots[-1]


async def outcomes(
    snapshot: Snapshot, tasks: Sequence[Task], provider: Provider, context: Context
) -> list[bool | None]:
    """What the agent does on each task with `snapshot`, by whoever judges; runs that are stored cost nothing."""

    async def one(task: Task) -> bool | None:
        view, c = provider.view(task, snapshot), context
        return did(Episode(task, await run_trial(task, view, c.seed, c.agent, c.suite, c.store)))

    return await map_each(tasks, one, context.concurrency)


async def ranked(
    snapshots: Sequence[Snapshot], tasks: Sequence[Task], provider: Provider, context: Context
) -> list[tuple[float, Snapshot]]:
    """Different snapshots with the share of `tasks` that they pass, best first; of equals the earlier first."""
    different = {snapshot.digest: snapshot for snapshot in reversed(snapshots)}
    rows: list[tuple[float, Snapshot]] = []
    for snapshot in reversed(different.values()):
        known = [passed for passed in await outcomes(snapshot, tasks, provider, context) if passed is not None]
        rows.append((sum(known) / len(known) if known else 0.0, snapshot))
    return sorted(rows, key=lambda row: -row[0])


@dataclass(frozen=True, slots=True)
class Best:
    """The one that passes most of `tasks`; a later one only if it is strictly better."""

    tasks: tuple[Task, ...]
    """Of the split `evidence` or `gate`, never of `test`."""
    provider: Provider

    async def choose(self, snapshots: Sequence[Snapshot], context: Context) -> Snapshot:
        return (await ranked(snapshots, self.tasks, self.provider, context))[0][1]


@dataclass(frozen=True, slots=True)
class Frontier:
    """For `branch`: one of the `k` best, drawn anew each round (EvoSkill's elites)."""

    tasks: tuple[Task, ...]
    provider: Provider
    k: int = 3

    async def choose(self, snapshots: Sequence[Snapshot], context: Context) -> Snapshot:
        elite = (await ranked(snapshots, self.tasks, self.provider, context))[: self.k]
        return random.Random(f"{context.seed}/{len(snapshots)}").choice(elite)[1]


@dataclass(frozen=True, slots=True)
class Replay:
    """Cross-time replay (Ctx2Skill, 2604.27660): every snapshot on a hard and an easy probe of every round.

    Hard is the failed task with the fewest checks passed, easy the passed one with the fewest checks. The product of
    the two shares, (passed + 1) / (n + 1) each, decides, so that a library that over-fits to odd late tasks loses.
    """

    provider: Provider

    async def choose(self, snapshots: Sequence[Snapshot], context: Context) -> Snapshot:
        hard, easy = probes(context.past.rounds)
        best, chosen = -1.0, snapshots[-1]
        for snapshot in snapshots:
            product = 1.0
            for tasks in (hard, easy):
                known = [p for p in await outcomes(snapshot, tasks, self.provider, context) if p is not None]
                product *= (sum(known) + 1) / (len(known) + 1)
            if product > best:
                best, chosen = product, snapshot
        return chosen


def probes(rounds: Sequence[Sequence[Episode]]) -> tuple[list[Task], list[Task]]:
    """The hard and the easy probes of all rounds, as far as a round has them."""
    hard: dict[str, Task] = {}
    easy: dict[str, Task] = {}
    for episodes in rounds:
        failed = [e for e in episodes if did(e) is False]
        passed = [e for e in episodes if did(e)]
        if failed:
            task = min(failed, key=lambda e: e.trajectory.score.value if e.trajectory.score else 0.0).task
            hard[task.id] = task
        if passed:
            task = min(passed, key=lambda e: len(e.trajectory.score.checks) if e.trajectory.score else 0).task
            easy[task.id] = task
    return [*hard.values()], [*easy.values()]
