"""The gate of methods that go by counts: a patch must pass strictly more tasks than the library before it.

It proves far less than paired trials do (over a handful of tasks one that flips by chance is enough), and stands here
because papers decide by it: SkillOpt, EvoSkill, the unit tests of Memento-Skills.
"""

from dataclasses import dataclass

from prowess.core.cost import total
from prowess.core.evidence import Verdict
from prowess.core.patch import Patch
from prowess.core.skill import Snapshot
from prowess.core.task import Task
from prowess.core.trajectory import Trajectory
from prowess.measure.gates import GateContext, Provider, require_disjoint
from prowess.measure.pool import for_each
from prowess.measure.trials import run_trial


@dataclass(frozen=True, slots=True)
class StrictGate:
    """More of `tasks` pass with the patch than without it; a tie is refused, unless `ties` is set.

    Tasks on which both libraries show the agent the same are left out: they cannot differ.
    """

    provider: Provider
    tasks: tuple[Task, ...] = ()
    """Of the split `gate`; empty: the tasks of the run so far, as a unit test takes what has just failed."""
    ties: bool = False
    name: str = "strict"
    seed: int = 0

    async def check(self, candidate: Snapshot, base: Snapshot, patch: Patch, context: GateContext) -> Verdict:
        require_disjoint(self.tasks, context.evidence)
        tasks = [
            task
            for task in self.tasks or context.evidence
            if self.provider.view(task, candidate).digest != self.provider.view(task, base).digest
        ]
        with_it = await self._passed(tasks, candidate, context)
        without = await self._passed(tasks, base, context)
        new, old = (sum(bool(run.passed) for run in runs) for runs in (with_it, without))
        good = new > old or (self.ties and new == old)
        return Verdict(
            gate=self.name,
            status="pass" if good else "fail",
            note=f"{new} of {len(tasks)} tasks pass, {old} before",
            cost=total([run.cost for run in (*with_it, *without)]),
        )

    async def _passed(self, tasks: list[Task], library: Snapshot, context: GateContext) -> list[Trajectory]:
        bench, found = context.bench, dict[int, Trajectory]()

        async def one(number: int) -> None:
            view = self.provider.view(tasks[number], library)
            found[number] = await run_trial(tasks[number], view, self.seed, bench.agent, bench.suite, bench.store)

        await for_each(range(len(tasks)), one, bench.concurrency)
        return [found[number] for number in sorted(found)]
