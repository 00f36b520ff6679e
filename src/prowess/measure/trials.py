"""Trials: task x arm x seed, run under equal conditions, stored once, and never paid twice.

A trial is stored under a key made of everything that may change its result: the task, the view of the library that the
agent is shown, the agent, the model and the seed. Two arms that show the same view on a task therefore share the trial,
and a stopped comparison resumes where it stopped. A run that failed from outside (model, sandbox, time) is *missing*,
never *failed*: it says nothing about the skill, is not stored as final, and is tried again a bounded number of times.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import anyio
from anyio import to_thread

from prowess.agents.base import Agent
from prowess.core.base import canonical_json, digest
from prowess.core.cost import Cost
from prowess.core.errors import BoundaryError, ProwessError, UserError
from prowess.core.evidence import Trial
from prowess.core.skill import Snapshot
from prowess.core.task import Task
from prowess.core.trajectory import Trajectory
from prowess.core.view import View
from prowess.suites.base import Suite

WITHOUT = View(snapshot=Snapshot().digest)
"""The view that shows no skill."""


class Store(Protocol):
    """Where finished trials lie; `prowess.trajectories.runstore.RunStore` is the one on disk."""

    def get(self, kind: str, key: str) -> bytes | None: ...

    def put(self, kind: str, key: str, value: bytes, cost: Cost = ...) -> None: ...


@dataclass(frozen=True, slots=True)
class Arm:
    """One side of a comparison: which view of a frozen library the agent is shown for each task."""

    name: str
    view_for: Callable[[Task], View]

    @classmethod
    def without(cls, name: str = "without") -> "Arm":
        return cls(name, lambda task: WITHOUT)

    @classmethod
    def showing(cls, name: str, snapshot: Snapshot) -> "Arm":
        """All skills of `snapshot`, preloaded, on every task."""
        view = View(snapshot=snapshot.digest, skills=snapshot.skills)
        return cls(name, lambda task: view)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a batch of trials is."""

    done: int
    total: int
    stored: int
    """Those of `done` that were found in the store and cost nothing."""
    missing: int
    cost: Cost
    """Spent by this call."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What all arms of a comparison have in common: agent, model, suite, store and limits."""

    agent: Agent
    model: str
    """Name of the model inside the agent; part of every trial's key."""
    suite: Suite
    store: Store
    concurrency: int = 4
    """Trials in flight at once."""
    timeout: float = 900.0
    """Seconds for one trial, after which it is missing."""
    attempts: int = 3
    """How often one trial is tried in all, over every resume, before it stays missing."""
    on_progress: Callable[[Progress], None] | None = None


@dataclass(slots=True)
class _Job:
    """One run to be had, and the (arm, task, seed) cells that it serves."""

    key: str
    task: Task
    view: View
    seed: int
    result: Trajectory | None = None
    spent: Cost = field(default_factory=Cost)
    stored: bool = False


def trial_key(task: Task, view: View, agent: str, model: str, seed: int) -> str:
    """The content key of a trial, under which its trajectory lies in the store (kind `trajectory`)."""
    return digest([task.digest, view.digest, agent, model, seed])


def stored_trajectory(store: Store, id: str) -> Trajectory | None:
    """The trajectory of a trial, by the id that the trial names; None when the store lacks it."""
    data = store.get("trajectory", id)
    return None if data is None else Trajectory.model_validate_json(data)


async def run_trials(
    tasks: Iterable[Task], arms: Sequence[Arm], seeds: Iterable[int], bench: Bench, order_seed: int = 0
) -> tuple[Trial, ...]:
    """Every task x arm x seed; see `run_blocks`."""
    seeds = tuple(seeds)
    return await run_blocks([(task, seed) for task in tasks for seed in seeds], arms, bench, order_seed)


async def run_blocks(
    blocks: Sequence[tuple[Task, int]], arms: Sequence[Arm], bench: Bench, order_seed: int = 0
) -> tuple[Trial, ...]:
    """One trial per block (a task and a seed) and arm, in the order of `blocks`, then of `arms`.

    They run in an order drawn from `order_seed`: blocks shuffled, and arms shuffled inside each block, so that drift of
    the machine or the provider favours no arm and a stop leaves complete pairs.

    Raises:
        UserError: a block or an arm's name stands twice; or trajectories of one comparison name different agents or
            models.
        BudgetExceeded: a limit was reached. Trials in flight are finished and stored first; the same call resumes.
    """
    _check_unique([(task.id, seed) for task, seed in blocks], "task and seed")
    _check_unique([arm.name for arm in arms], "arm")
    draw = random.Random(order_seed)
    cells: dict[tuple[str, str, int], str] = {}
    jobs: dict[str, _Job] = {}
    for task, seed in draw.sample(list(blocks), len(blocks)):
        for arm in draw.sample(list(arms), len(arms)):
            view = arm.view_for(task)
            key = trial_key(task, view, bench.agent.name, bench.model, seed)
            cells[arm.name, task.id, seed] = key
            jobs.setdefault(key, _Job(key, task, view, seed))
    await _run_jobs(list(jobs.values()), bench)
    _check_same_conditions(jobs.values())
    return tuple(_trial(arm.name, jobs[cells[arm.name, task.id, seed]]) for task, seed in blocks for arm in arms)


async def _run_jobs(jobs: list[_Job], bench: Bench) -> None:
    stopped: list[ProwessError] = []
    queue = iter(jobs)
    done = 0

    async def worker() -> None:
        nonlocal done
        for job in queue:  # shared by all workers: each takes the next job
            if stopped:
                return
            try:
                await _run_job(job, bench)
            except ProwessError as error:  # budget reached, or the caller's mistake: let the others finish what is paid
                stopped.append(error)
                return
            done += 1
            if bench.on_progress is not None:
                bench.on_progress(_progress(jobs, done))

    async with anyio.create_task_group() as group:
        for _ in range(max(1, min(bench.concurrency, len(jobs)))):
            group.start_soon(worker)
    if stopped:
        raise stopped[0]


async def _run_job(job: _Job, bench: Bench) -> None:
    stored = stored_trajectory(bench.store, job.key)
    if stored is not None:
        job.result, job.stored = stored, True
        return
    failures = _failures(bench.store, job.key)
    while job.result is None and failures < bench.attempts:
        trajectory, error = await _attempt(job, bench)
        if trajectory is not None:
            job.spent += trajectory.cost
        if trajectory is None or trajectory.status == "missing":
            failures += 1
            error = error or (trajectory.error if trajectory else None) or "no reason given"
            record = canonical_json({"failures": failures, "error": error})
            bench.store.put("missing", job.key, record, trajectory.cost if trajectory else Cost())
            continue
        answer = next((s.message for s in reversed(trajectory.steps) if s.source == "agent"), "")
        score = await to_thread.run_sync(bench.suite.check, job.task, trajectory.outputs, answer)
        job.result = trajectory.model_copy(
            update={"id": job.key, "task_id": job.task.id, "seed": job.seed, "score": score}
        )
        bench.store.put("trajectory", job.key, job.result.model_dump_json().encode(), trajectory.cost)


async def _attempt(job: _Job, bench: Bench) -> tuple[Trajectory | None, str | None]:
    try:
        with anyio.fail_after(bench.timeout):
            return await bench.agent.run(job.task, job.view, job.seed), None
    except TimeoutError:
        return None, f"no end within {bench.timeout:g} seconds"
    except BoundaryError as error:
        return None, str(error)


def _failures(store: Store, key: str) -> int:
    import json

    record = store.get("missing", key)
    return 0 if record is None else int(json.loads(record)["failures"])


def _trial(arm: str, job: _Job) -> Trial:
    run = job.result
    score = run.score if run is not None else None
    trusted = score is not None and score.trusted
    return Trial(
        task_id=job.task.id,
        arm=arm,
        seed=job.seed,
        passed=run.passed if run is not None else None,
        value=score.value if score is not None and trusted else None,
        trajectory=job.key,
        judged_by=score.verifier if score is not None and trusted else "",
        cost=run.cost if run is not None else job.spent,
    )


def _progress(jobs: list[_Job], done: int) -> Progress:
    spent = Cost()
    for job in jobs:
        spent += job.spent
    finished = [job for job in jobs if job.result is not None]
    return Progress(done, len(jobs), sum(job.stored for job in finished), done - len(finished), spent)


def _check_unique(names: Sequence[object], what: str) -> None:
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{what} {twice!r} stands twice in one comparison", "name each once")


def _check_same_conditions(jobs: Iterable[_Job]) -> None:
    conditions = {(job.result.agent, job.result.model) for job in jobs if job.result is not None}
    if len(conditions) > 1:
        listed = "; ".join(f"{agent} with {model}" for agent, model in sorted(conditions))
        raise UserError(
            f"trials of one comparison ran under different conditions: {listed}",
            "use one agent and one model in all arms",
        )
