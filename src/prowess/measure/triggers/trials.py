"""Trigger trials: query x catalogue x seed, run until it is known what the agent loads.

They are trials like all others: stored under a key of all that may change them, resumed, never paid twice, *missing*
when something outside fails. Only what they ask differs: not whether the answer is right, but which skills'
instructions came into the context. A mention is no load, another tool first is no refusal, a failed run is no "not
triggered".
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Literal, cast

from prowess.core.base import Frozen
from prowess.core.cost import Cost
from prowess.core.evidence import Trial
from prowess.core.skill import Skill
from prowess.core.task import File, Score, Split, Task
from prowess.core.trajectory import Trajectory
from prowess.measure.trials import Arm, Bench, run_blocks, stored_trajectory
from prowess.measure.triggers.sets import Query


class Decision(Frozen):
    """What one run loaded."""

    query: str
    """Key of the query."""
    arm: str
    seed: int
    loaded: tuple[str, ...] | None
    """In order; None when the run is missing."""
    ended: Literal["decided", "answered", "turns", "missing"]
    """Why it ended: all that the query asks about was loaded; the agent answered; its turns were used up."""
    trajectory: str
    error: str = ""
    """Why it is missing."""
    cost: Cost = Cost()


def decided(task: Task, loaded: Collection[str]) -> bool:
    """Whether nothing is open any more: every skill that the query speaks of was loaded, rightly or not."""
    asked = cast("list[str]", task.meta["asked"])
    return all(name in loaded for name in asked)


def task_of(query: Query) -> Task:
    """A query as a task without checks; its labels are part of its identity, since they say when a run may end."""
    return Task(
        id=f"trigger/{query.key}",
        suite="triggers",
        family="triggers",
        split="test" if query.part == "held-out" else "evidence",
        seed=0,
        prompt=query.query,
        meta={"asked": list(query.skills)},
    )


async def run(
    queries: Sequence[Query], arms: Sequence[Arm], seeds: Iterable[int], bench: Bench, order_seed: int = 0
) -> tuple[Decision, ...]:
    """Every query x arm x seed, in an order drawn from `order_seed`; see `prowess.measure.trials.run_blocks`.

    Raises:
        UserError: a query or an arm stands twice.
        BudgetExceeded: a limit was reached; the same call resumes.
    """
    tasks = [task_of(query) for query in queries]
    by_task = {task.id: query for task, query in zip(tasks, queries, strict=True)}
    blocks = [(task, seed) for seed in seeds for task in tasks]
    trials = await run_blocks(blocks, arms, bench, order_seed)
    return tuple(_decision(trial, by_task[trial.task_id], bench) for trial in trials)


def _decision(trial: Trial, query: Query, bench: Bench) -> Decision:
    done = stored_trajectory(bench.store, trial.trajectory)
    error = _last_error(trial, bench) if done is None else _nothing_usable(done)
    loaded: tuple[str, ...] | None = None
    ended: Literal["decided", "answered", "turns", "missing"] = "missing"
    if done is not None and not error:
        loaded = done.loaded
        last = next((step for step in reversed(done.steps) if step.source == "agent"), None)
        ended = "turns" if last is not None and last.tool_calls else "answered"
        if {*query.skills} <= {*loaded}:
            ended = "decided"
    return Decision(
        query=query.key,
        arm=trial.arm,
        seed=trial.seed,
        loaded=loaded,
        ended=ended,
        trajectory=trial.trajectory,
        error=error,
        cost=trial.cost,
    )


def _last_error(trial: Trial, bench: Bench) -> str:
    for attempt in range(bench.attempts, 0, -1):
        record = bench.store.get("missing", f"{trial.trajectory}/{attempt}")
        if record is not None:
            return Trajectory.model_validate_json(record).error or "unknown"
    return "it was never run"


def _nothing_usable(done: Trajectory) -> str:
    """Why a run that came to its end says nothing: all that the model said was noise. Empty for all others."""
    steps = [step for step in done.steps if step.source == "agent"]
    noise = [not s.tool_calls and any(o.is_error for o in s.observations) for s in steps]
    return "the model gave nothing that can be used" if noise and all(noise) else ""


class Unjudged:
    """The suite of trigger queries: it has no checks, since what a run loaded stands in its trajectory."""

    name = "triggers"
    families: tuple[str, ...] = ("triggers",)

    def variants(self, family: str) -> tuple[str, ...]:
        return ("base",)

    def tasks(self, family: str, split: Split, n: int, variant: str = "base", start: int = 0) -> tuple[Task, ...]:
        return ()

    def check(self, task: Task, outputs: tuple[File, ...], answer: str = "") -> Score:
        return Score(value=0.0, passed=False, verifier="none", trusted=False)

    def oracle(self, task: Task) -> tuple[File, ...] | None:
        return None

    def human_skill(self, family: str) -> Skill | None:
        return None
