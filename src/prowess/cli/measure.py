"""`prowess measure`: does the library help? Paired trials, with and without."""

from typing import TYPE_CHECKING, Annotated

import typer

from prowess.cli.options import (
    Budget,
    Concurrency,
    Families,
    Json,
    LibraryPath,
    ModelSpec,
    Seed,
    SuiteName,
    open_library,
)

if TYPE_CHECKING:
    from prowess.cli.progress import Waiting
    from prowess.core.evidence import Evidence
    from prowess.core.skill import Snapshot
    from prowess.core.task import Task
    from prowess.measure.trials import Arm, Bench
    from prowess.suites.base import Suite


def measure(
    *,
    skill: Annotated[
        list[str] | None, typer.Argument(metavar="SKILL", help="Only these skills; by default the whole library.")
    ] = None,
    suite: SuiteName = "workbench",
    family: Families = None,
    tasks: Annotated[int, typer.Option("--tasks", "-n", metavar="N", min=1, help="Tasks of each family.")] = 20,
    against: Annotated[
        str | None, typer.Option("--against", metavar="SNAPSHOT", help="An older state instead of no skills.")
    ] = None,
    model: ModelSpec = None,
    library: LibraryPath = None,
    seed: Seed = 0,
    concurrency: Concurrency = None,
    budget: Budget = None,
    json: Json = False,
) -> None:
    """Measure whether the library helps.

    Held-out tasks are run with it and without it, in pairs. Exit code 1 when it makes things worse.
    Trials are stored, so that a stopped command resumes.
    """
    import anyio

    from prowess.agents.code import CodeAgent
    from prowess.agents.models import open_model
    from prowess.agents.models.meter import Budget as Limit
    from prowess.agents.models.meter import Metered
    from prowess.agents.sandbox import find_sandbox
    from prowess.cli import views
    from prowess.cli.progress import Waiting
    from prowess.cli.screen import Screen
    from prowess.measure.trials import Bench
    from prowess.settings import load
    from prowess.suites import open_suite
    from prowess.trajectories.runstore import RunStore

    screen, settings = Screen(json), load().settings
    opened, chosen = open_library(library), open_suite(suite)
    limit = settings.budget_usd if budget is None else budget
    now = _only(opened.snapshot(), skill)
    held_out = _tasks(chosen, family, tasks)
    baseline, treatment = _arms(opened.at(against) if against else None, now)
    metered = Metered(open_model(model or settings.model), Limit(usd=limit))
    agent = CodeAgent(metered, find_sandbox())
    store = RunStore(settings.data / "trials.db")
    with Waiting(limit) as waiting:
        bench = Bench(
            agent=agent, suite=chosen, store=store,
            concurrency=concurrency or settings.concurrency,
            on_progress=lambda p: _progress(waiting, p.done, p.total, p.missing),
        )  # fmt: skip
        evidence = anyio.run(_compare, held_out, baseline, treatment, seed, bench)
    if json:
        screen.data({"snapshot": now.digest, "suite": suite, "evidence": evidence})
    else:
        screen.table(
            ("", "passed", "of"),
            [
                (evidence.baseline, str(round(evidence.baseline_rate * evidence.n)), str(evidence.n)),
                (evidence.treatment, str(round(evidence.treatment_rate * evidence.n)), str(evidence.n)),
            ],
        )
        screen.line((views.evidence(evidence), views.STYLES[evidence.outcome]))
        for task, trajectory in evidence.harms:
            screen.line("  got worse: ", task, (f"  (trial {trajectory[:16]})", "dim"))
    if evidence.outcome == "worse":
        raise typer.Exit(1)


def _only(snapshot: "Snapshot", names: list[str] | None) -> "Snapshot":
    from prowess.core.errors import UserError
    from prowess.core.skill import Snapshot

    if unknown := [n for n in names or () if snapshot.get(n) is None]:
        raise UserError(f"the library has no skill {unknown[0]!r}", "`prowess show` lists its skills")
    if not snapshot.skills:
        raise UserError("the library is empty, so there is nothing to measure", "`prowess run` or `learn` fill it")
    return snapshot if not names else Snapshot.of([s for s in snapshot.skills if s.name in names])


def _tasks(suite: "Suite", families: list[str] | None, n: int) -> "tuple[Task, ...]":
    from prowess.core.errors import UserError

    if unknown := [f for f in families or () if f not in suite.families]:
        raise UserError(f"{suite.name} has no family {unknown[0]!r}", f"choose among {', '.join(suite.families)}")
    return tuple(task for family in families or suite.families for task in suite.tasks(family, "test", n))


def _arms(old: "Snapshot | None", now: "Snapshot") -> "tuple[Arm, Arm]":
    """The library shows each task the skill that fits best, as in a run."""
    from prowess.evolve.providers import BestMatches
    from prowess.measure.trials import Arm

    provider = BestMatches()
    baseline = Arm.without() if old is None else Arm("old", lambda task: provider.view(task, old))
    return baseline, Arm("with", lambda task: provider.view(task, now))


async def _compare(
    tasks: "tuple[Task, ...]", baseline: "Arm", treatment: "Arm", seed: int, bench: "Bench"
) -> "Evidence":
    from prowess.measure.compare import compare
    from prowess.measure.trials import run_trials

    trials = await run_trials(tasks, (baseline, treatment), (seed,), bench, order_seed=seed)
    return compare(trials, baseline.name, treatment.name)


def _progress(waiting: "Waiting", done: int, total: int, missing: int) -> None:
    waiting.at("trials", done, total, f"{missing} missing" if missing else "")
