"""Is a world in order? Its oracle must pass, doing nothing must not, and chance stands between them."""

import time
from collections.abc import Callable, Sequence

import anyio

from prowess.agents.base import Agent
from prowess.agents.oracle import Oracle
from prowess.agents.players import Gold, Idle, RandomPlayer
from prowess.agents.record import final_message
from prowess.core.base import Frozen
from prowess.core.errors import AgentError
from prowess.core.task import Split, Task
from prowess.core.trajectory import Trajectory
from prowess.measure.trials import WITHOUT
from prowess.suites.base import Suite
from prowess.suites.worlds.suite import WorldSuite

SPLITS: tuple[Split, ...] = ("evidence", "gate", "test")
FREE = 0.1
"""The most that doing nothing may score, on average."""


class Level(Frozen):
    """How one player did."""

    passed: int
    tasks: int
    missing: int
    """Runs that the world failed; they count as tasks, and not as passed."""
    value: float
    """Mean score over all tasks."""


class Standing(Frozen):
    """How a suite does, by its own judgement."""

    suite: str
    families: int
    tasks: int
    oracle: Level | None
    """None where the suite has no right answers to hand in."""
    random: Level | None
    """None where nothing is played."""
    idle: Level
    steps: int
    """Actions that chance played; where a world lists none, those of the oracle."""
    seconds: float
    """That they took, starts of episodes included, engines warm."""
    orders: int
    """Lines that tried to instruct the player."""

    @property
    def in_order(self) -> bool:
        return (self.oracle is None or self.oracle.passed == self.oracle.tasks) and self.idle.value <= FREE


async def stand(
    suite: Suite,
    families: Sequence[str] = (),
    n: int = 1,
    split: Split = "test",
    report: Callable[[int, int, str], None] = lambda done, all_, what: None,
) -> Standing:
    """Play `n` tasks of each family (all by default) with the oracle, by chance, and not at all.

    Where a small family has fewer in `split`, others of its tasks are taken. What the oracle cannot do does not count.

    Raises:
        UserError: no such family.
    """
    chosen = tuple(families) or suite.families
    tasks = [task for family in chosen for task in _drawn(suite, family, split, n)]
    played = isinstance(suite, WorldSuite)
    agents: dict[str, Agent] = {"idle": Idle(suite) if played else _Nothing()}
    if played:
        agents["random"] = RandomPlayer(suite)
    if any(suite.oracle(task) is not None for task in tasks):
        agents["oracle"] = Gold(suite) if played else Oracle(suite)
    found: dict[str, Level] = {}
    steps, seconds, orders = 0, 0.0, 0
    for nth, (name, agent) in enumerate(agents.items()):
        values: list[tuple[bool, float] | None] = []
        if timed := played and name != "idle" and not steps:
            seconds, orders = 0.0, 0
        for i, task in enumerate(tasks):
            report(nth * len(tasks) + i, len(agents) * len(tasks), f"{suite.name}: {name}")
            began = time.perf_counter()
            try:
                run = await agent.run(task, WITHOUT, 0)
            except AgentError:
                if name != "oracle":
                    raise
                continue  # a task that comes without a solution
            if timed:
                seconds += time.perf_counter() - began
                steps += sum(bool(step.tool_calls) for step in run.steps)
                orders += int(str(run.extra.get("orders", 0)))
            values.append(await _scored(suite, task, run))
        found[name] = _level(values)
    return Standing(
        suite=suite.name, families=len(chosen), tasks=len(tasks), oracle=found.get("oracle"),
        random=found.get("random"), idle=found["idle"], steps=steps, seconds=seconds, orders=orders,
    )  # fmt: skip


def _drawn(suite: Suite, family: str, split: Split, n: int) -> list[Task]:
    found = [*suite.tasks(family, split, n)]
    for other in SPLITS:
        if len(found) < n and other != split:
            found += suite.tasks(family, other, n - len(found))
    return found


class _Nothing:
    """Answers nothing, for suites that are not played."""

    name = "idle/1"

    async def run(self, task: Task, view: object, seed: int) -> Trajectory:
        return Trajectory(id="", agent=self.name, model="")


async def _scored(suite: Suite, task: Task, run: Trajectory) -> tuple[bool, float] | None:
    if run.status == "missing":
        return None
    score = await anyio.to_thread.run_sync(suite.check, task, run.outputs, final_message(run))
    return score.passed, score.value


def _level(values: Sequence[tuple[bool, float] | None]) -> Level:
    there = [value for value in values if value is not None]
    return Level(
        passed=sum(passed for passed, _ in there),
        tasks=len(values),
        missing=len(values) - len(there),
        value=sum(value for _, value in there) / max(len(values), 1),
    )
