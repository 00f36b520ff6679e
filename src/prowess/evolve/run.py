"""Run one recipe on one suite, from models to a record: the shared body of `prowess run`, `demo` and the benchmarks.

All that was paid for lies in `<out>/run.db` and `<out>/answers.db`, so the same call after any stop resumes: finished
trials, searches and model answers are found there, and accepted patches are applied once, by their id.
"""

import platform
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from prowess.agents.base import Agent
from prowess.agents.executor import open_executor
from prowess.agents.models import open_model
from prowess.agents.models.cache import Cached
from prowess.agents.models.meter import AllowanceSpent, Budget, Meter, Metered
from prowess.core.base import Frozen, digest
from prowess.core.cost import total
from prowess.core.evidence import Noise
from prowess.core.model import Model
from prowess.core.skill import Snapshot
from prowess.core.task import File, Split, Task
from prowess.core.upkeep import Audit, KeptTask
from prowess.evolve.cascade import with_gates
from prowess.evolve.documents import read_documents
from prowess.evolve.loop import Evolved, evolve
from prowess.evolve.method import Setup
from prowess.evolve.placing import AgentSettings, OpenModel, Place, place_on
from prowess.evolve.protocols import Context, Event
from prowess.evolve.providers import BestMatches
from prowess.evolve.recipes import build, check
from prowess.evolve.record import Comparison, Decision, RunRecord, StageCost
from prowess.evolve.sitting import Sitting
from prowess.library import Library
from prowess.measure.calibration import calibrate, verdicts_with_noise, with_noise
from prowess.measure.compare import compare
from prowess.measure.gates import Provider, proposed
from prowess.measure.splits import require_apart
from prowess.measure.stats.design import Design, fewest_pairs
from prowess.measure.trials import Arm, Bench, run_trials
from prowess.sandbox import Sandbox, find_sandbox
from prowess.suites import Suite, open_suite
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
    evidence: int = 8
    gate: int = 12
    test: int = 8
    """Held-out tasks per family for the final comparison."""
    shifted: int = 0
    """Held-out tasks per family and other variant of it: does what was learned help, or harm, where rules differ?"""
    samples: int = 16
    calibrate: bool = True
    """Run what was learned twice on the held-out tasks (A/A), to see how much of a difference is noise."""
    human: bool = True
    """Compare with human-written skills too, where the suite has them."""
    seed: int = 0
    attempts: int = 2
    max_tokens: int = 500
    temperature: float = 0.0
    tokens: int | None = None
    """Most tokens that learning may cost, trials of the gates included; then what was learned so far is measured."""
    gates: tuple[str, ...] = ()
    """Names of gates in place of the recipe's own (`prowess.core.gates`); the library may ask for more."""
    documents: tuple[File, ...] = field(default=(), repr=False)
    """What methods that mine documents read; questions about other ones are other questions, so the run stays one."""


class _Start(Frozen):
    """What a run began with, remembered so that a resumed run replays from the same."""

    library: Snapshot = Snapshot()
    foreign: tuple[str, ...] = ()
    kept: tuple[KeptTask, ...] = ()
    audits: tuple[Audit, ...] = ()
    gates: tuple[str, ...] = ()

    @classmethod
    def of(cls, library: Library | None, start: Snapshot) -> "_Start":
        if library is None:
            return cls(library=start)
        snapshot = library.snapshot()
        return cls(
            library=snapshot,
            foreign=tuple(name for name in snapshot.names if not library.is_authored(name)),
            kept=library.upkeep.kept(),
            audits=tuple(entry.audit for entry in library.upkeep.audits()),
            gates=library.upkeep.gates(),
        )


async def run_plan(
    plan: Plan,
    *,
    model: Model,
    out: Path,
    library: Library | None,
    concurrency: int,
    report: Report,
    start: Snapshot = Snapshot(),  # noqa: B008 (frozen)
    place: Place | None = None,
) -> RunRecord:
    """Run `plan` and compare what it learned with no skills, and with human ones, on the test split.

    Args:
        plan: What to run.
        model: Executor and analyst.
        out: Folder of the run's stores; made if need be.
        library: Where accepted patches go; nowhere but the record when None.
        concurrency: Trials in flight at once.
        report: Told of progress.
        start: What the run begins with where there is no library.
        place: Where the agent acts; in this process by default.

    Raises:
        UserError: no such recipe, suite or family.
        BudgetExceeded: a limit was reached; the same call resumes.
    """
    store = RunStore(out / "run.db")
    sandbox = find_sandbox()
    cached = Cached(model, out / "answers.db", as_paid=True)
    suite = open_suite(plan.suite)
    families = plan.families or suite.families
    setup = Setup(suite, sandbox, families, plan.variant, plan.evidence, plan.gate, plan.samples, plan.seed,
                  plan.documents)  # fmt: skip
    run_id = digest([repr(plan), model.name])[:12]
    begun = _start(store, run_id, library, start)
    recipe = with_gates(build(plan.recipe, setup), setup, cached, plan.gates, begun.gates)
    sizes: dict[Split, int] = {"evidence": plan.evidence, "gate": plan.gate, "test": plan.test}
    require_apart({split: setup.all_tasks(split, n) for split, n in sizes.items()})
    sitting = Sitting(store, run_id)

    def told(event: Event) -> None:
        sitting.lap()
        report(event)

    learner: Model = cached
    place = place or Place.here(concurrency)
    learning = place
    if plan.tokens is not None:
        # around the cache, so that kept answers count as they were paid, and a resumed run ends at the same place
        spent = total([s.cost for s in store.spent()])
        allowance = Meter(Budget(tokens=plan.tokens), spent=spent, error=AllowanceSpent)
        learner, learning = Metered(cached, allowance), place.counted_by(allowance)

    def context_of(model: Model, at: Place) -> Context:
        agent = recipe.agent(at.agent(settings_of(plan), model, sandbox, suite))
        return Context(suite, agent, model, store, plan.seed, concurrency, frozenset(begun.foreign), told)

    context = context_of(cached, place)
    settle = partial(_settle, library, plan.recipe, store)
    try:
        evolved = await evolve(
            recipe, begun.library, context_of(learner, learning), settle, kept=begun.kept, audits=begun.audits
        )
        if library is not None:
            library.upkeep.record_audits(evolved.audits, by=plan.recipe)
            library.record_use(episode.trajectory for episode in evolved.episodes)
        noise = await _noise(plan, setup, evolved.snapshot, recipe.provider, context)
        comparisons = await _compare(plan, setup, evolved.snapshot, recipe.provider, context)
        comparisons += await _shifted(plan, setup, evolved.snapshot, recipe.provider, context)
    finally:
        sitting.lap(0)
    sitting.finish()
    record = _record(plan, run_id, families, context, begun.library, evolved, sitting)
    return record.model_copy(update={"comparisons": comparisons, "noise": noise})


def _settle(
    library: Library | None, recipe: str, store: RunStore, decision: Decision, kept: tuple[KeptTask, ...]
) -> str | None:
    """Enter a decision into the library: as a change, whose id comes back, as a proposal, or as a refusal."""
    if library is None:
        return None
    patch, lessons = decision.patch, decision.lessons
    verdicts = verdicts_with_noise(decision.verdicts, store)
    if decision.accepted:
        cost = total([v.cost for v in verdicts])
        return library.apply(patch, verdicts=verdicts, lessons=lessons, by=recipe, cost=cost, kept=kept).id
    if proposed(verdicts):
        library.propose(patch, lessons, verdicts, by=recipe)
    else:
        library.upkeep.refuse(patch, verdicts=verdicts, lessons=lessons, by=recipe)
    return None


def _record(
    plan: Plan, run_id: str, families: tuple[str, ...], context: Context, before: Snapshot, evolved: Evolved,
    sitting: Sitting,
) -> RunRecord:  # fmt: skip
    """What is known of a run, but for what was measured at its end."""
    store = context.store
    return RunRecord(
        id=run_id,
        recipe=plan.recipe,
        suite=plan.suite,
        families=families,
        model=context.model.name,
        agent=context.agent.name,
        seed=plan.seed,
        settings={"evidence": plan.evidence, "gate": plan.gate, "test": plan.test, "samples": plan.samples},
        machine=machine(),
        started=sitting.started,
        seconds=sitting.seconds,
        before=before,
        after=evolved.snapshot,
        decisions=tuple(
            d.model_copy(update={"verdicts": verdicts_with_noise(d.verdicts, store)}) for d in evolved.decisions
        ),
        audits=evolved.audits,
        curve=evolved.curve,
        costs=tuple(StageCost(stage=s.kind, values=s.values, cost=s.cost) for s in store.spent() if s.cost.calls),
        unusable=len(list(store.keys("unusable"))),
        ended=evolved.ended,
        resumed=sitting.stops,
    )


async def _compare(
    plan: Plan, setup: Setup, learned: Snapshot, provider: Provider, context: Context
) -> tuple[Comparison, ...]:
    """Without against with, and against human skills, on held-out tasks: pooled first, then family by family."""
    tasks = setup.all_tasks("test", plan.test)
    if not tasks:
        return ()
    human = Snapshot.of(setup.human_skills())
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


async def _shifted(
    plan: Plan, setup: Setup, learned: Snapshot, provider: Provider, context: Context
) -> tuple[Comparison, ...]:
    """The same on the held-out tasks of the families' other variants, pooled: they look alike, their rules differ."""
    tasks = tuple(
        task
        for family in setup.families
        for variant in setup.suite.variants(family)
        if variant != plan.variant
        for task in setup.tasks(family, "test", plan.shifted, variant)
    )
    if not tasks or not learned.skills:
        return ()
    context.tell("test", f"{len(tasks)} tasks whose rules differ from those learned")
    arms = (
        Arm("without", lambda task: provider.view(task, Snapshot())),
        Arm("with", lambda task: provider.view(task, learned)),
    )
    trials = await run_trials(tasks, arms, (plan.seed,), Bench.of(context))
    label = f"{' and '.join(setup.families)}, other rules"
    return (Comparison(label=label, shifted=True, evidence=compare(trials, "without", "with")),)


async def _noise(plan: Plan, setup: Setup, learned: Snapshot, provider: Provider, context: Context) -> Noise | None:
    """The A/A run of the learned library; half of its trials are those of the comparison too, and paid once."""
    tasks = setup.all_tasks("test", plan.test)
    if not plan.calibrate or not learned.skills or not tasks:
        return None
    context.tell("test", f"the learned library twice on {len(tasks)} tasks, to see what is noise")
    arm = Arm("with", lambda task: provider.view(task, learned))
    design = Design(max_pairs=max(plan.gate, fewest_pairs(0.05)))
    return (await calibrate(tasks, arm, (plan.seed,), Bench.of(context), design=design)).noise


def _start(store: RunStore, run_id: str, library: Library | None, start: Snapshot) -> _Start:
    stored = store.get("start", run_id)
    if stored is not None:
        return _Start.model_validate_json(stored)
    begun = _Start.of(library, start)
    store.put("start", run_id, begun.model_dump_json().encode())
    return begun


def agent_of(model: Model, sandbox: Sandbox, suite: Suite, plan: Plan | None = None) -> Agent:
    """The agent of `plan`, else the one that runs have by default, so that what is measured apart fits what they do."""
    return settings_of(plan or Plan("none", suite.name)).agent(model, sandbox, suite)


def settings_of(plan: Plan) -> AgentSettings:
    """What `plan` says of the agent."""
    return AgentSettings(plan.suite, plan.attempts, plan.max_tokens, plan.temperature)


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
    evidence: int | None = None,
    gates: tuple[str, ...] = (),
    documents: Path | None = None,
    executor: str = "local",
) -> RunRecord:
    """`prowess run`: a recipe on a suite into a library; raises as `run_plan` does, before a model is opened.

    Args:
        evidence: Tasks of each family to learn from, in place of the usual number.
        documents: A folder that methods which mine documents read.
        executor: Where agent and model run, as `open_executor` has it.
    """
    check(recipe, open_suite(suite), families)
    read = read_documents(documents) if documents is not None else ()
    plan = Plan(recipe, suite, families, seed=seed, gates=gates, documents=read)
    if evidence is not None:
        plan = replace(plan, evidence=evidence)
    at = open_executor(executor, concurrency, lambda text: report(Event("executor", text, {})))
    meter = Meter(Budget(usd=budget_usd))
    place = place_on(at, OpenModel(model), (meter,))
    return await run_plan(
        plan,
        model=Metered(place.model(open_model(model)), meter),
        out=out,
        library=Library.open(library, create=True),
        concurrency=at.width,
        report=report,
        place=place,
    )
