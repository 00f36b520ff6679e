"""Which of the snapshots that the rounds left behind is the result, or where the next round starts."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from prowess.core.skill import Snapshot
from prowess.core.task import Task
from prowess.evolve.protocols import Context, Episode, Verifier
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


@dataclass(frozen=True, slots=True)
class Frontier:
    """One of the `k` best in turn (EvoSkill): a line that stands still is left for another, and taken up again."""

    tasks: tuple[Task, ...]
    """Of the split `evidence` or `gate`, never of `test`."""
    provider: Provider
    k: int = 3

    async def choose(self, snapshots: Sequence[Snapshot], context: Context) -> Snapshot:
        elite = (await ranked(snapshots, self.tasks, self.provider, context))[: self.k]
        return elite[len(context.past.rounds) % len(elite)][1]


@dataclass(frozen=True, slots=True)
class Pareto:
    """One that no other beats on every task (GEPA, 2507.19457), drawn by the number of tasks at which it is best."""

    tasks: tuple[Task, ...]
    """Of the split `evidence` or `gate`, never of `test`."""
    provider: Provider

    async def choose(self, snapshots: Sequence[Snapshot], context: Context) -> Snapshot:
        rows: list[frozenset[int]] = []
        for snapshot in snapshots:
            known = await outcomes(snapshot, self.tasks, self.provider, context)
            rows.append(frozenset(number for number, passed in enumerate(known) if passed))
        front = {row: i for i, row in reversed([*enumerate(rows)]) if not any(row < other for other in rows)}
        weights = [1 + len(row) for row in front]  # what nobody solves speaks for none of them
        draw = random.Random(f"{context.seed}/{len(context.past.rounds)}")
        return snapshots[draw.choices([*front.values()], weights)[0]]


@dataclass(frozen=True, slots=True)
class Replay:
    """The one that does best on probes of all rounds, hard and easy ones (cross-time replay of Ctx2Skill).

    Of each round the failed task with the lowest score is a hard probe, and one of the passed tasks with the shortest
    rubric an easy one. The product of both success rates, each with Laplace's correction, decides, of equals for the
    earlier; what nobody could judge does not count. A late round that was bent to odd tasks loses on the easy ones.
    """

    provider: Provider
    verifier: Verifier

    async def choose(self, snapshots: Sequence[Snapshot], context: Context) -> Snapshot:
        hard, easy = _probes(context)
        products: dict[str, float] = {}
        for snapshot in snapshots:
            if snapshot.digest not in products:
                rates = [await self._rate(probes, snapshot, context) for probes in (hard, easy)]
                products[snapshot.digest] = rates[0] * rates[1]
                context.tell(
                    "test", f"replay of {len(hard)} hard and {len(easy)} easy tasks: {rates[0] * rates[1]:.2f}"
                )
        return max(snapshots, key=lambda snapshot: products[snapshot.digest])

    async def _rate(self, probes: Sequence[Task], snapshot: Snapshot, context: Context) -> float:
        known: list[bool] = []
        for task in probes:
            view, suite = self.provider.view(task, snapshot), context.suite_of(task)
            run = await run_trial(task, view, context.seed, context.agent, suite, context.store)
            judged = suite is context.suite or run.status == "missing"
            score = run.score if judged else await self.verifier.score(Episode(task, run), context)
            known += [score.passed] if score is not None else []
        return (sum(known) + 1) / (len(known) + 1)


def _probes(context: Context) -> tuple[list[Task], list[Task]]:
    """A hard and an easy task of each round, as far as there are any."""
    hard: list[Task] = []
    easy: list[Task] = []
    for number, episodes in enumerate(context.past.rounds):
        scores = [(task, run.score) for task, run in episodes if run.status == "completed" and run.score is not None]
        failed = [(score.value, task) for task, score in scores if not score.passed]
        passed = [(len(score.checks), task) for task, score in scores if score.passed]
        if failed:
            hard.append(min(failed, key=lambda found: found[0])[1])
        if passed:
            shortest = min(length for length, _ in passed)
            draw = random.Random(f"{context.seed}/{number}")
            easy.append(draw.choice([task for length, task in passed if length == shortest]))
    return hard, easy
