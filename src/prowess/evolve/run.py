"""Run one recipe on one suite, from models to a record: the shared body of `prowess run`, `demo` and the benchmarks.

All that was paid for lies in `<out>/run.db` and `<out>/answers.db`, so the same call after any stop resumes: finished
trials, searches and model answers are found there, and accepted patches are applied once, by their id.
"""

import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from prowess.agents.code import CodeAgent
from prowess.agents.models import open_model
from prowess.agents.models.cache import Cached
from prowess.agents.models.meter import Budget, Metered
from prowess.agents.sandbox import find_sandbox
from prowess.core.base import digest
from prowess.core.cost import Cost
from prowess.core.evidence import Noise
from prowess.core.model import Model
from prowess.core.skill import Snapshot
from prowess.core.task import Split, Task
from prowess.evolve.loop import evolve
from prowess.evolve.parts import Context, Event, Provider
from prowess.evolve.providers import BestMatches
from prowess.evolve.recipes import Setup, build
from prowess.evolve.record import Comparison, Decision, RunRecord, StageCost
from prowess.evolve.sitting import Sitting
from prowess.library import Library
from prowess.measure.calibration import calibrate, verdicts_with_noise, with_noise
from prowess.measure.compare import compare
from prowess.measure.splits import require_apart
from prowess.measure.stats.design import Design, fewest_pairs
from prowess.measure.trials import Arm, Bench, run_trials
from prowess.suites import open_suite
from prowess.trajectories.runstore import RunStore

Report = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. Two equal plans in one folder are the same run."""

    recipe: str
    suite: str = "workbench"
    families: tuple[str, ...] = ()
    """All of the suite's when empty."""
    variant: str = "base"
    evidence: int = 6
    gate: int = 12
    test: int = 8
    """Held-out tasks per family for the final comparison."""
    samples: int = 16
    calibrate: bool = True
    """Run what was learned twice on the held-out tasks (A/A), to see how much of a difference is noise."""
    human: bool = True
    """Compare with human-written skills too, where the suite has them."""
    seed: int = 0
    attempts: int = 2
    max_tokens: int = 500
    temperature: float = 0.0


async def run_plan(
    plan: Plan, *, model: Model, out: Path, library: Library | None, concurrency: int, report: Report
) -> RunRecord:
    """Run `plan` and compare what it learned with no skills, and with human ones, on the test split.

    Args:
        plan: What to run.
        model: Executor and analyst.
        out: Folder of the run's stores; made if need be.
        library: Where accepted patches go; nowhere but the record when None.
        concurrency: Trials in flight at once.
        report: Told of progress.

    Raises:
        UserError: no such recipe, suite or family.
        BudgetExceeded: a limit was reached; the same call resumes.
    """
    store = RunStore(out / "run.db")
    suite, sandbox = open_suite(plan.suite), find_sandbox()
    cached = Cached(model, out / "answers.db", as_paid=True)
    agent = CodeAgent(cached, sandbox, attempts=plan.attempts, max_tokens=plan.max_tokens, temperature=plan.temperature)
    families = plan.families or suite.families
    setup = Setup(suite, sandbox, families, plan.variant, plan.evidence, plan.gate, plan.samples, plan.seed)
    sizes: dict[Split, int] = {"evidence": plan.evidence, "gate": plan.gate, "test": plan.test}
    require_apart({split: setup.all_tasks(split, n) for split, n in sizes.items()})
    recipe = build(plan.recipe, setup)
    run_id = digest([repr(plan), model.name])[:12]
    sitting = Sitting(store, run_id)

    def told(event: Event) -> None:
        sitting.lap()
        report(event)

    context = Context(suite, agent, cached, store, plan.seed, concurrency, told)
    start = _start(store, run_id, library)

    def accept(decision: Decision) -> str | None:
        if library is None:
            return None
        verdict_cost = sum((v.cost for v in decision.verdicts), Cost())
        change = library.apply(
            decision.patch,
            verdicts=verdicts_with_noise(decision.verdicts, store),
            lessons=decision.lessons,
            by=plan.recipe,
            cost=verdict_cost,
        )
        return change.id

    try:
        evolved = await evolve(recipe, start, context, accept)
        noise = await _noise(plan, setup, evolved.snapshot, recipe.provider, context)
        comparisons = await _compare(plan, setup, evolved.snapshot, recipe.provider, context)
    finally:
        sitting.lap(0)
    sitting.finish()
    return RunRecord(
        id=run_id,
        recipe=plan.recipe,
        suite=plan.suite,
        families=tuple(families),
        model=model.name,
        agent=agent.name,
        seed=plan.seed,
        settings={"evidence": plan.evidence, "gate": plan.gate, "test": plan.test, "samples": plan.samples},
        machine=machine(),
        started=sitting.started,
        seconds=sitting.seconds,
        before=start,
        after=evolved.snapshot,
        decisions=tuple(
            d.model_copy(update={"verdicts": verdicts_with_noise(d.verdicts, store)}) for d in evolved.decisions
        ),
        comparisons=comparisons,
        noise=noise,
        curve=evolved.curve,
        costs=tuple(StageCost(stage=s.kind, values=s.values, cost=s.cost) for s in store.spent() if s.cost.calls),
        resumed=sitting.stops,
    )


async def _compare(
    plan: Plan, setup: Setup, learned: Snapshot, provider: Provider, context: Context
) -> tuple[Comparison, ...]:
    """Without against with, and against human skills, on held-out tasks: pooled first, then family by family."""
    tasks = setup.all_tasks("test", plan.test)
    human = Snapshot.of([s for f in setup.families if (s := setup.suite.human_skill(f)) is not None])
    by_human = BestMatches()
    arms = [Arm("without", lambda task: provider.view(task, Snapshot()))]
    if learned.skills:
        arms.append(Arm("with", lambda task: provider.view(task, learned)))
    if plan.human and human.skills:
        arms.append(Arm("human", lambda task: by_human.view(task, human)))

    def told(progress: object) -> None:
        done, total = getattr(progress, "done", 0), getattr(progress, "total", 0)
        context.tell("test", f"held-out trial {done} of {total}", done=done, total=total)

    trials = await run_trials(tasks, arms, (plan.seed,), Bench.of(context, told))
    found: list[Comparison] = []
    groups: list[tuple[str | None, tuple[Task, ...]]] = [(None, tasks)]
    if len(setup.families) > 1:
        groups += [(f, tuple(t for t in tasks if t.family == f)) for f in setup.families]
    for family, group in groups:
        ids = {task.id for task in group}
        label = f"{family or ' and '.join(setup.families)}, held-out tasks"
        own = tuple(trial for trial in trials if trial.task_id in ids)
        for arm in arms[1:]:
            evidence = with_noise(compare(own, "without", arm.name), context.store)
            found.append(Comparison(label=label, family=family, evidence=evidence))
    return tuple(found)


async def _noise(plan: Plan, setup: Setup, learned: Snapshot, provider: Provider, context: Context) -> Noise | None:
    """The A/A run of the learned library; half of its trials are those of the comparison too, and paid once."""
    tasks = setup.all_tasks("test", plan.test)
    if not plan.calibrate or not learned.skills or not tasks:
        return None
    context.tell("test", f"the learned library twice on {len(tasks)} tasks, to see what is noise")
    arm = Arm("with", lambda task: provider.view(task, learned))
    design = Design(max_pairs=max(plan.gate, fewest_pairs(0.05)))
    return (await calibrate(tasks, arm, (plan.seed,), Bench.of(context), design=design)).noise


def _start(store: RunStore, run_id: str, library: Library | None) -> Snapshot:
    """The snapshot that the run began with, remembered so that a resumed run replays from the same one."""
    stored = store.get("start", run_id)
    if stored is not None:
        return Snapshot.model_validate_json(stored)
    start = library.snapshot() if library is not None else Snapshot()
    store.put("start", run_id, start.model_dump_json().encode())
    return start


def machine() -> str:
    """What the figures of a run were taken on, without names of hosts or people."""
    import os

    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


async def run_recipe(
    recipe: str,
    *,
    suite: str,
    families: tuple[str, ...],
    out: Path,
    library: Path,
    model: str,
    seed: int,
    concurrency: int,
    budget_usd: float | None,
    report: Report,
    rounds: int | None = None,
) -> RunRecord:
    """`prowess run`: a recipe on a suite into a library; `rounds` limits the evidence tasks per family."""
    plan = Plan(recipe, suite, families, seed=seed)
    if rounds is not None:
        plan = Plan(recipe, suite, families, seed=seed, evidence=rounds)
    metered = Metered(open_model(model), Budget(usd=budget_usd))
    return await run_plan(
        plan,
        model=metered,
        out=out,
        library=Library.open(library, create=True),
        concurrency=concurrency,
        report=report,
    )
