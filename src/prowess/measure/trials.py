"""Trials: task x arm x seed, run under equal conditions, stored once, and never paid twice.

A trial is stored under a key made of everything that may change its result: the task, the view of the library that
the agent is shown, the agent (its name says its model and settings) and the seed. Two arms that show the same view on
a task therefore share the trial, and a stopped comparison resumes where it stopped. A run that failed from outside
(model, sandbox, time) is *missing*, never *failed*: it says nothing about the skill, is not stored as final, and is
tried again a bounded number of times.

The arm `oracle` shows what the checks themselves let through: the suite's right answers are handed in, no agent runs.
A task that even the oracle fails is broken, and a verdict on it is worth nothing.
"""

import hashlib
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, Protocol

import anyio
from anyio import to_thread

from prowess.agents.base import Agent
from prowess.agents.oracle import ORACLE, Oracle
from prowess.agents.record import final_message
from prowess.core.base import canonical_json
from prowess.core.bulk import no_collection
from prowess.core.cost import Cost
from prowess.core.errors import BoundaryError, UserError
from prowess.core.evidence import Trial
from prowess.core.skill import Snapshot
from prowess.core.task import Task
from prowess.core.trajectory import Trajectory
from prowess.core.view import View
from prowess.measure.pool import for_each
from prowess.suites.base import Suite
from prowess.trajectories.runstore import keep

if TYPE_CHECKING:
    from prowess.trajectories.runstore import Repeats

WITHOUT = View(snapshot=Snapshot().digest)
"""The view that shows no skill."""


class Store(Protocol):
    """Where finished trials lie; `prowess.trajectories.runstore.RunStore` is the one on disk."""

    def get(self, kind: str, key: str) -> bytes | None: ...

    def put(self, kind: str, key: str, value: bytes, cost: Cost = ...) -> None: ...

    def index(self, trial: Trial, *, task: str, view: str) -> None: ...

    def trials(self, arms: Mapping[str, str]) -> Mapping[str, Trial]: ...

    def repeats(self) -> "Mapping[str, Repeats]": ...


@dataclass(frozen=True, slots=True)
class Arm:
    """One side of a comparison: which view of a frozen library the agent is shown for each task."""

    name: str
    view_for: Callable[[Task], View]
    hands_in: bool = False
    """The suite's right answers are handed in, and no agent runs."""

    @classmethod
    def without(cls, name: str = "without") -> "Arm":
        return cls(name, lambda task: WITHOUT)

    @classmethod
    def showing(cls, name: str, snapshot: Snapshot) -> "Arm":
        """All skills of `snapshot`, preloaded, on every task."""
        view = View(snapshot=snapshot.digest, skills=snapshot.skills)
        return cls(name, lambda task: view)

    @classmethod
    def oracle(cls) -> "Arm":
        """The upper bound: right answers through the same checks."""
        return cls(ORACLE, lambda task: WITHOUT, hands_in=True)


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


class Conditions(Protocol):
    """What a run of the loop has in common with the trials that it causes."""

    @property
    def agent(self) -> Agent: ...

    @property
    def suite(self) -> Suite: ...

    @property
    def store(self) -> Store: ...

    @property
    def concurrency(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Bench:
    """What all arms of a comparison have in common: agent (with its model and budget), suite, store and limits."""

    agent: Agent
    suite: Suite
    store: Store
    concurrency: int = 4
    """Trials in flight at once."""
    timeout: float = 900.0
    """Seconds for one trial, after which it is missing."""
    attempts: int = 3
    """How often one trial is tried in all, over every resume, before it stays missing."""
    on_progress: Callable[[Progress], None] | None = None

    @classmethod
    def of(cls, conditions: Conditions, on_progress: Callable[[Progress], None] | None = None) -> "Bench":
        c = conditions
        return cls(c.agent, c.suite, c.store, concurrency=c.concurrency, on_progress=on_progress)


class _Job(NamedTuple):
    """One run to be had; several (arm, task, seed) cells may share it."""

    task: Task
    view: View
    seed: int
    agent: Agent


def trial_key(task: Task, view: View, agent: str, seed: int) -> str:
    """The content key of a trial, under which its trajectory lies in the store (kind `trajectory`).

    `agent` is the name of the agent, which says all settings that change behaviour, the model among them.
    """
    return _key(task.digest, view.digest, agent, seed)


def _key(task: str, view: str, agent: str, seed: int) -> str:
    """`digest([task, view, agent, seed])`, of which there are very many."""
    return hashlib.sha256(f'["{task}","{view}",{_quoted(agent)},{seed}]'.encode("utf-8", "surrogatepass")).hexdigest()


@lru_cache(maxsize=64)
def _quoted(text: str) -> str:
    return canonical_json(text).decode("utf-8", "surrogatepass")


def stored_trajectory(store: Store, id: str) -> Trajectory | None:
    """The trajectory of a trial, by the id that the trial names; None when the store lacks it."""
    data = store.get("trajectory", id)
    return None if data is None else Trajectory.model_validate_json(data)


async def run_trial(
    task: Task,
    view: View,
    seed: int,
    agent: Agent,
    suite: Suite,
    store: Store,
    *,
    timeout: float = 900.0,
    attempts: int = 3,
) -> Trajectory:
    """The judged trajectory of one trial: from the store, or run, checked and stored now. Its id is the trial's key.

    Where every attempt failed from outside, it has the status `missing` and its cost is what this call spent; such a
    result is remembered, not final, and asked for again only while fewer than `attempts` were made in all.

    Raises:
        BudgetExceeded: a limit was reached.
    """
    key = trial_key(task, view, agent.name, seed)
    stored = stored_trajectory(store, key)
    if stored is not None:
        _enter(store, task, view, seed, agent, suite, stored)
        return stored
    known = {"id": key, "task_id": task.id, "seed": seed}
    missing, failures = _last_failure(store, key, attempts)
    spent = Cost()
    while failures < attempts:
        run = await _judged(task, await _attempt(task, view, seed, agent, timeout), suite)
        spent += run.cost
        if run.status == "completed":
            result = keep(store, "trajectory", key, run.model_copy(update=known))
            _enter(store, task, view, seed, agent, suite, result)
            return result
        failures += 1
        missing = keep(store, "missing", f"{key}/{failures}", run.model_copy(update={**known, "score": None}))
    return (missing or _missing(view, agent, "no attempt is allowed").model_copy(update=known)).model_copy(
        update={"cost": spent}
    )


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
        UserError: a block or an arm's name stands twice.
        BudgetExceeded: a limit was reached. Trials in flight are finished and stored first; the same call resumes.
    """
    cells, found = _stored(blocks, arms, bench)
    draw = random.Random(order_seed)
    jobs: dict[str, _Job] = {}
    waiting = [block for block, row in enumerate(cells) if not all(map(found.__contains__, row))]
    for block in draw.sample(waiting, len(waiting)):
        for i in draw.sample(range(len(arms)), len(arms)):
            if cells[block][i] not in found:
                jobs.setdefault(cells[block][i], _job(arms[i], *blocks[block], bench))
    await _run_jobs(jobs, bench, found)
    return _laid_out(blocks, arms, cells, found)


@no_collection()
def _stored(
    blocks: Sequence[tuple[Task, int]], arms: Sequence[Arm], bench: Bench
) -> tuple[list[list[str]], dict[str, Trial]]:
    """The keys of all cells, block by block, and the trials among them that are in the index."""
    _check_unique([(task.id, seed) for task, seed in blocks], "task and seed")
    _check_unique([arm.name for arm in arms], "arm")
    keys = _Keys(bench.agent.name)
    cells = [[keys.key(arm, task, seed) for arm in arms] for task, seed in blocks]
    names = [arm.name for arm in arms]
    return cells, dict(bench.store.trials({key: name for row in cells for key, name in zip(row, names, strict=True)}))


@no_collection()
def _laid_out(
    blocks: Sequence[tuple[Task, int]], arms: Sequence[Arm], cells: list[list[str]], found: Mapping[str, Trial]
) -> tuple[Trial, ...]:
    """The trial of each cell, block by block."""
    return tuple(
        _in_arm(found[key], arm.name, seed)
        for (_, seed), row in zip(blocks, cells, strict=True)
        for arm, key in zip(arms, row, strict=True)
    )


@dataclass(slots=True)
class _Keys:
    """Keys of many trials; the content of a task or a skill is digested once and not once a cell."""

    agent: str
    tasks: dict[int, str] = field(default_factory=dict[int, str])
    views: dict[tuple[object, ...], tuple[View, str]] = field(
        default_factory=dict[tuple[object, ...], tuple[View, str]]
    )

    def key(self, arm: Arm, task: Task, seed: int) -> str:
        view = arm.view_for(task)
        shown = (view.disclosure, *map(id, view.skills))
        if shown not in self.views:
            self.views[shown] = view, view.digest  # the view is kept, so that no other skill can get the same id
        if id(task) not in self.tasks:  # the caller's blocks keep it alive
            self.tasks[id(task)] = task.digest
        agent, seed = (ORACLE, 0) if arm.hands_in else (self.agent, seed)
        return _key(self.tasks[id(task)], self.views[shown][1], agent, seed)


def _job(arm: Arm, task: Task, seed: int, bench: Bench) -> _Job:
    agent, seed = (Oracle(bench.suite), 0) if arm.hands_in else (bench.agent, seed)
    return _Job(task, arm.view_for(task), seed, agent)


def _in_arm(trial: Trial, arm: str, seed: int) -> Trial:
    return trial if (trial.arm, trial.seed) == (arm, seed) else trial.model_copy(update={"arm": arm, "seed": seed})


async def _run_jobs(jobs: Mapping[str, _Job], bench: Bench, found: dict[str, Trial]) -> None:
    """Add the trials of `jobs` to those `found`, and tell of the progress of them all."""
    all_, stored, missing, spent = len(found) + len(jobs), len(found), 0, Cost()

    def tell() -> None:
        if bench.on_progress is not None:
            bench.on_progress(Progress(len(found), all_, stored, missing, spent))

    async def run(key: str) -> None:
        nonlocal stored, missing, spent
        job = jobs[key]
        known = bench.store.get("trajectory", key) is not None  # from before there was an index
        run = await run_trial(
            job.task,
            job.view,
            job.seed,
            job.agent,
            bench.suite,
            bench.store,
            timeout=bench.timeout,
            attempts=bench.attempts,
        )
        found[key] = _trial(job.task, job.seed, job.agent, bench.suite, run)
        stored += known
        missing += run.status == "missing"
        spent += Cost() if known else run.cost
        tell()

    if found:
        tell()
    await for_each(jobs, run, bench.concurrency)


async def _attempt(task: Task, view: View, seed: int, agent: Agent, timeout: float) -> Trajectory:
    """One run; what fails from outside becomes a missing trajectory."""
    try:
        with anyio.fail_after(timeout):
            return await agent.run(task, view, seed)
    except TimeoutError:
        return _missing(view, agent, f"no end within {timeout:g} seconds")
    except BoundaryError as error:
        return _missing(view, agent, f"{type(error).__name__}: {error}")


async def _judged(task: Task, run: Trajectory, suite: Suite) -> Trajectory:
    """The run with its score; missing where the judge failed from outside, which says nothing about the run."""
    if run.status == "missing":
        return run
    try:
        score = await to_thread.run_sync(suite.check, task, run.outputs, final_message(run))
    except BoundaryError as error:
        return run.model_copy(update={"status": "missing", "error": f"{type(error).__name__}: {error}"})
    return run.model_copy(update={"score": score})


def _missing(view: View, agent: Agent, error: str) -> Trajectory:
    return Trajectory(id="", agent=agent.name, model="", snapshot=view.snapshot, status="missing", error=error)


def _last_failure(store: Store, key: str, attempts: int) -> tuple[Trajectory | None, int]:
    """The last of the failed attempts before, and how many they were."""
    last, failures = None, 0
    while failures < attempts and (record := store.get("missing", f"{key}/{failures + 1}")) is not None:
        last, failures = Trajectory.model_validate_json(record), failures + 1
    return last, failures


def _trial(task: Task, seed: int, agent: Agent, suite: Suite, run: Trajectory) -> Trial:
    """What a judged trajectory says, for no arm yet."""
    score = run.score if run.score is not None and run.score.trusted else None
    return Trial(
        task_id=task.id,
        arm="",
        seed=seed,
        passed=run.passed,
        value=score.value if score is not None else None,
        trajectory=run.id,
        judged_by=score.verifier if score is not None else "",
        conditions=_conditions(agent, suite, run),
        cost=run.cost,
    )


def _conditions(agent: Agent, suite: Suite, run: Trajectory) -> str:
    if run.status == "missing" or agent.name == ORACLE:
        return ""
    model = "" if run.model in agent.name else f", answered by {run.model}"
    return f"{suite.name}: {agent.name}{model}"


def _enter(store: Store, task: Task, view: View, seed: int, agent: Agent, suite: Suite, run: Trajectory) -> None:
    store.index(_trial(task, seed, agent, suite, run), task=task.digest, view=view.digest)


def _check_unique(names: Sequence[object], what: str) -> None:
    seen: set[object] = set()
    for name in names:
        if name in seen:
            raise UserError(f"{what} {name!r} stands twice in one comparison", "name each once")
        seen.add(name)
