"""`prowess lifecycle`: what each skill is worth its place for, and taking out, with proof, what is not."""

from typing import TYPE_CHECKING, Annotated, Any

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
    Yes,
    chosen_budget,
    open_library,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prowess.cli.screen import Screen
    from prowess.core.evidence import Verdict
    from prowess.core.patch import Patch
    from prowess.core.skill import Snapshot
    from prowess.core.task import Task
    from prowess.evolve.protocols import Context
    from prowess.library import Library
    from prowess.measure.lifecycle import State
    from prowess.suites.base import Suite

app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
AUDIT_TASKS, PROOF_TASKS = 10, 40
STYLES = {"keep": "green", "retire": "red", "archived": "dim"}


Audit = Annotated[
    bool, typer.Option("--audit", help="Run tasks with and without each skill, and note what it contributes.")
]
Apply = Annotated[bool, typer.Option("--apply", help="Archive what is nominated, if trials rule out a loss.")]
Every = Annotated[
    bool, typer.Option("--all", help="With --apply: try every skill, nominated or not.", show_default=False)
]
Skills = Annotated[
    list[str] | None,
    typer.Option("--skill", metavar="SKILL", help="Only this one, nominated or not; may stand more than once.",
                 show_default=False),
]  # fmt: skip
Tasks = Annotated[
    int | None,
    typer.Option("--tasks", "-n", metavar="N", min=1, help="Tasks of each family.",
                 show_default=f"{AUDIT_TASKS} to audit, {PROOF_TASKS} to prove"),
]  # fmt: skip
Margin = Annotated[
    float, typer.Option("--margin", metavar="SHARE", min=0.01, max=0.5, help="Loss that must be ruled out.")
]


@app.callback()
def lifecycle(
    context: typer.Context,
    audit: Audit = False,
    apply: Apply = False,
    every: Every = False,
    skill: Skills = None,
    tasks: Tasks = None,
    margin: Margin = 0.1,
    suite: SuiteName = "workbench",
    family: Families = None,
    model: ModelSpec = None,
    library: LibraryPath = None,
    seed: Seed = 0,
    concurrency: Concurrency = None,
    budget: Budget = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Say which skills to keep, watch or retire.

    Everything listed was stored before; no model is run. With --audit or --apply trials are run, and stored, so that a
    stopped command resumes. Where nobody can be asked and --yes is not given, --apply proposes, and `prowess review`
    decides.
    """
    if context.invoked_subcommand is not None:
        return
    from dataclasses import replace

    from prowess.cli.progress import Waiting
    from prowess.cli.retire import settle
    from prowess.cli.screen import Screen
    from prowess.settings import load
    from prowess.suites import open_suite

    screen, opened, settings = Screen(json), open_library(library), load().settings
    names = _known(opened.snapshot(), skill)
    spec, done = model or settings.model, list[dict[str, Any]]()
    if audit or apply:
        limit = chosen_budget(budget)
        drawn = _Drawn(open_suite(suite), family, tasks)
        run = _context(drawn.suite, spec, seed, concurrency or settings.concurrency, limit)
        if audit:
            with Waiting(limit) as waiting:
                _audit(opened, names, drawn, replace(run, report=waiting.tell))
        for name, why in _nominated(opened, names, every or bool(skill), run) if apply else ():
            with Waiting(limit) as waiting:
                patch, verdicts = _prove(opened, name, why, drawn, replace(run, report=waiting.tell), margin)
            done.append(settle(screen, opened, name, patch, verdicts, yes, "lifecycle"))
    found = _states(opened, spec, suite if audit or apply else None)
    if json:
        screen.data({"skills": found, "decided": done})
    else:
        _table(screen, found)


@app.command()
def restore(
    skill: Annotated[str, typer.Argument(metavar="SKILL", help="An archived skill.")],
    library: LibraryPath = None,
    json: Json = False,
) -> None:
    """Bring an archived skill back as it was."""
    from prowess.cli.screen import Screen
    from prowess.library.archive import restore as bring_back

    screen = Screen(json)
    change = bring_back(open_library(library), skill, by="user")
    if json:
        screen.data({"change": change})
    else:
        screen.line(f"{skill} is back, as {change.id[:8]}; `prowess undo {change.id[:8]}` takes it out again")


@app.command()
def archive(
    skill: Annotated[str, typer.Argument(metavar="SKILL")],
    library: LibraryPath = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Take a skill out because you say so, without proof. Nothing is lost: `restore` brings it back."""
    from prowess.cli.screen import Screen
    from prowess.library.archive import removal

    screen, opened = Screen(json), open_library(library)
    patch = removal(opened.snapshot(), skill, f"archived {skill} by hand", "user")
    screen.confirm(f"Archive {skill}?", yes)
    change = opened.apply(patch, by="user", allow_foreign=True)
    if json:
        screen.data({"change": change})
    else:
        screen.line(f"archived as {change.id[:8]}; `prowess lifecycle restore {skill}` brings it back")


class _Drawn:
    """Tasks of a suite, by split."""

    def __init__(self, suite: "Suite", families: list[str] | None, n: int | None) -> None:
        from prowess.cli.trials import chosen_families

        self.suite, self._families, self._n = suite, chosen_families(suite, families), n

    def evidence(self, audits: int) -> "tuple[Task, ...]":
        """Those of the next audit: after `audits` earlier ones, others than those had."""
        n = self._n or AUDIT_TASKS
        return tuple(t for f in self._families for t in self.suite.tasks(f, "evidence", n, start=n * audits))

    def gate(self) -> "tuple[Task, ...]":
        return tuple(t for f in self._families for t in self.suite.tasks(f, "gate", self._n or PROOF_TASKS))


def _known(snapshot: "Snapshot", names: list[str] | None) -> "tuple[str, ...]":
    from prowess.core.errors import UserError

    if unknown := [n for n in names or () if snapshot.get(n) is None]:
        raise UserError(f"the library has no skill {unknown[0]!r}", "`prowess lifecycle` lists its skills")
    return tuple(names) if names else snapshot.names


def _context(suite: "Suite", model: str, seed: int, concurrency: int, limit: float | None) -> "Context":
    from prowess.agents.models import open_metered
    from prowess.evolve.protocols import Context
    from prowess.evolve.run import agent_of
    from prowess.sandbox import find_sandbox
    from prowess.settings import load
    from prowess.trajectories.runstore import RunStore

    metered = open_metered(model, limit)
    store = RunStore(load().settings.data / "trials.db")
    return Context(suite, agent_of(metered, find_sandbox(), suite), metered, store, seed, concurrency)


def _audit(library: "Library", names: "Sequence[str]", drawn: _Drawn, context: "Context") -> None:
    import anyio

    from prowess.evolve.lifecycle import audit, shown_on
    from prowess.evolve.providers import BestMatches
    from prowess.measure.lifecycle import Rules, standing_of

    snapshot, provider = library.snapshot(), BestMatches()
    known = [entry.audit for entry in library.upkeep.audits()]
    for skill in (s for s in snapshot.skills if s.name in names):
        before = standing_of(skill, known, Rules(), context.agent.name).audits
        shown = shown_on(snapshot, skill.name, drawn.evidence(before), provider)
        context.tell("audit", f"{skill.name}: {len(shown)} tasks show it")
        if shown:
            found = anyio.run(audit, snapshot, skill.name, shown, provider, context)
            library.upkeep.record_audits([found], by="user")


def _nominated(
    library: "Library", names: "Sequence[str]", any_stage: bool, context: "Context"
) -> list[tuple[str, str]]:
    """Skills to be proven dispensable, each with the reason: those that the rules nominate, or all of `names`."""
    from prowess.measure.lifecycle import Rules, states

    found = states(library, Rules(), context.agent.name, context.suite.name)
    return [
        (state.skill, f"retires {state.skill}: {state.why}")
        for state in found
        if state.skill in names and (state.stage == "retire" or (any_stage and state.stage != "archived"))
    ]


def _prove(
    library: "Library", name: str, why: str, drawn: _Drawn, context: "Context", margin: float
) -> "tuple[Patch, tuple[Verdict, ...]]":
    import anyio

    from prowess.evolve.lifecycle import prove_removal
    from prowess.evolve.providers import BestMatches
    from prowess.measure.gates import TrialsGate
    from prowess.measure.regression import RegressionGate

    provider = BestMatches()
    gates = (RegressionGate((), provider), TrialsGate(drawn.gate(), provider, removal_margin=margin))
    return anyio.run(prove_removal, library.snapshot(), name, why, gates, context, library.upkeep.kept())


def _states(library: "Library", model: str, suite: str | None) -> "list[State]":
    """Stored states. Where something was audited, they are held against the agent that would be used now."""
    from prowess.measure.lifecycle import Rules, states

    return states(library, Rules(), _agent(model, suite) if library.upkeep.audits() else None, suite)


def _agent(model: str, suite: str | None) -> str | None:
    """The name of the agent with that model; None where the model is not at hand, which hinders no listing."""
    from prowess.agents.models import open_model
    from prowess.core.errors import ProwessError
    from prowess.evolve.run import agent_of
    from prowess.sandbox import find_sandbox
    from prowess.suites import open_suite

    try:
        return agent_of(open_model(model), find_sandbox(), open_suite(suite or "workbench")).name
    except ProwessError:
        return None


def _table(screen: "Screen", found: "list[State]") -> None:
    if not found:
        screen.note("the library has no skills yet")
        return
    screen.table(
        ("skill", "state", "used", "last used", "measured", "why"),
        [
            (
                (s.skill, "bold"),
                (s.stage, STYLES.get(s.stage, "")),
                f"{s.use.used} of {s.use.offered}",
                s.use.last_used[:10] or "–",
                (s.measured[:10] or "–") + (" (stale)" if s.stale else ""),
                "; ".join([s.why, *(f"stale: {reason}" for reason in s.stale)]),
            )
            for s in found
        ],
    )
