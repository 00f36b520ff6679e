"""Which of the snapshots that the rounds left behind is the result, or where the next round starts."""

from collections.abc import Sequence
from dataclasses import dataclass

from prowess.core.skill import Snapshot
from prowess.core.task import Task
from prowess.evolve.protocols import Context, Episode
from prowess.evolve.statistics import did
from prowess.measure.gates import Provider
from prowess.measure.pool import for_each
from prowess.measure.trials import run_trial


class Last:
    """The last one: right where every change has passed a gate that measures."""

    async def choose(self, snapshots: Sequence[Snapshot], context: Context) -> Snapshot:
        return snapshots[-1]


async def outcomes(
    snapshot: Snapshot, tasks: Sequence[Task], provider: Provider, context: Context
) -> list[bool | None]:
    """What the agent does on each task with `snapshot`, by whoever judges; runs that are stored cost nothing."""
    found: dict[int, bool | None] = {}

    async def one(number: int) -> None:
        task, c = tasks[number], context
        run = await run_trial(task, provider.view(task, snapshot), c.seed, c.agent, c.suite, c.store)
        found[number] = did(Episode(task, run))

    await for_each(range(len(tasks)), one, context.concurrency)
    return [found[number] for number in range(len(tasks))]


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
