"""A cheap gate before the dear one: does the patch work on unseen tasks at all?"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from prowess.core.cost import Cost, total
from prowess.core.evidence import Verdict
from prowess.core.patch import Patch
from prowess.core.skill import Snapshot
from prowess.core.task import Task
from prowess.evolve.providers import BestMatches
from prowess.measure.gates import GateContext, Provider, changed
from prowess.measure.trials import run_trial


@dataclass(frozen=True, slots=True)
class UnseenGate:
    """The agent, shown the candidate, passes at least half of the evidence tasks that the patch was not made from.

    A program that passed one task may merely have memorised it. Tasks are run one after the other until enough have
    passed or no longer can.
    """

    tasks: tuple[Task, ...]
    provider: Provider = field(default_factory=BestMatches)
    name: str = "unseen"
    seed: int = 0

    async def check(self, candidate: Snapshot, base: Snapshot, patch: Patch, context: GateContext) -> Verdict:
        tasks = self._concerned(candidate, base, context.families)
        need = max(1, -(-len(tasks) // 2))
        passed = 0
        costs: list[Cost] = []
        for done, task in enumerate(tasks):
            if passed >= need or passed + len(tasks) - done < need:
                break
            view = self.provider.view(task, candidate)
            bench = context.bench
            run = await run_trial(task, view, self.seed, bench.agent, bench.suite, bench.store)
            costs.append(run.cost)
            passed += bool(run.passed)
        return Verdict(
            gate=self.name,
            status="pass" if passed >= need else "fail",
            note=f"{passed} of {len(tasks)} unseen tasks passed, {need} needed",
            cost=total(costs),
        )

    def _concerned(self, candidate: Snapshot, base: Snapshot, families: Sequence[str]) -> Sequence[Task]:
        """Tasks of the patch's families for which the agent is shown something that the patch changed."""
        new = {skill.digest for skill in changed(candidate, base)}
        meant = [t for t in self.tasks if not families or t.family in families]
        return [t for t in meant if new & {s.digest for s in self.provider.view(t, candidate).skills}]
