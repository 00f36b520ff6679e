"""`prowess compile`: a team of agents becomes skills for one agent, and is compared with it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prowess.cli.options import Budget, Concurrency, Families, Json, LibraryPath, ModelSpec, Seed, open_library

if TYPE_CHECKING:
    from prowess.cli.screen import Screen
    from prowess.core.skill import Skill
    from prowess.evolve.compiling import Doubt, Team
    from prowess.evolve.compiling.team import Against


def compile_(
    *,
    definition: Annotated[Path, typer.Argument(metavar="FILE", help="YAML, or JSON of LangGraph or OpenAI agents.")],
    propose: Annotated[bool, typer.Option("--propose", help="Propose the skills to the library, for review.")] = False,
    suite: Annotated[
        str | None, typer.Option("--suite", "-s", metavar="SUITE", help="Run team and skills on tasks of this suite.")
    ] = None,
    family: Families = None,
    tasks: Annotated[int, typer.Option("--tasks", "-n", metavar="N", min=1, help="Tasks of each family.")] = 20,
    model: ModelSpec = None,
    seed: Seed = 0,
    concurrency: Concurrency = None,
    budget: Budget = None,
    library: LibraryPath = None,
    json: Json = False,
) -> None:
    """Compile a team of agents into skills of one agent.

    Refuses where the team cannot be one agent: it debates or votes, hides things, or runs on several models. With
    --suite both are run on the same tasks. Exit code 1 when the skills do worse.
    """
    from prowess.cli.screen import Screen
    from prowess.evolve.compiling import check, compile_team, read_team

    screen = Screen(json)
    team = read_team(definition)
    skills, doubts = compile_team(team), check(team)
    found = None if suite is None else _compare(team, skills, suite, family, tasks, model, seed, concurrency, budget)
    proposed = _propose(library, team, skills) if propose else None
    if json:
        from dataclasses import asdict

        against = None
        if found is not None:
            against = {"evidence": found.evidence, "team": found.team, "skills": found.skills, "tokens": found.tokens}
        screen.data({"team": team.name, "doubts": [asdict(d) for d in doubts], "skills": skills, "against": against,
                     "proposal": proposed})  # fmt: skip
    else:
        _show(screen, skills, doubts, found, proposed)
    if found is not None and found.evidence.outcome == "worse":
        raise typer.Exit(1)


def _show(
    screen: "Screen", skills: "tuple[Skill, ...]", doubts: "tuple[Doubt, ...]", found: "Against | None", id: str | None
) -> None:
    from prowess.cli import entries
    from prowess.cli.screen import BOLD
    from prowess.library.skillmd import render
    from prowess.report.text import percent, spent

    for skill in skills:
        screen.line((f"{skill.name}/SKILL.md", BOLD))
        screen.line(render(skill))
    for doubt in doubts:
        screen.note(("doubt: ", BOLD), f"{doubt.why}  ({doubt.condition})")
    if found is not None:
        screen.line((entries.evidence(found.evidence), entries.STYLES[found.evidence.outcome]))
        screen.line(f"  team {spent(found.team)}; skills {spent(found.skills)}: {percent(found.tokens)} of the tokens")
    if id is not None:
        screen.note(f"proposed as {id[:8]}; `prowess review` shows it, `prowess apply {id[:8]}` takes it")


def _propose(library: Path | None, team: "Team", skills: "tuple[Skill, ...]") -> str:
    from prowess.core.patch import CreateSkill, Patch

    opened = open_library(library, create=True)
    patch = Patch(
        base=opened.snapshot().digest,
        operations=tuple(CreateSkill(skill=skill) for skill in skills),
        reason=f"The team {team.name} as skills of one agent",
    )
    return opened.propose(patch, by="compile").id


def _compare(
    team: "Team",
    skills: "tuple[Skill, ...]",
    suite: str,
    families: list[str] | None,
    tasks: int,
    model: str | None,
    seed: int,
    concurrency: int | None,
    budget: float | None,
) -> "Against":
    import anyio

    from prowess.agents.code import CodeAgent
    from prowess.agents.models import open_model
    from prowess.agents.models.meter import Budget as Limit
    from prowess.agents.models.meter import Metered
    from prowess.cli.progress import Waiting
    from prowess.core.errors import UserError
    from prowess.evolve.compiling.team import against_team
    from prowess.measure.trials import Bench
    from prowess.sandbox import find_sandbox
    from prowess.settings import load
    from prowess.suites import open_suite
    from prowess.trajectories.runstore import RunStore

    settings, chosen = load().settings, open_suite(suite)
    if unknown := [f for f in families or () if f not in chosen.families]:
        raise UserError(f"{chosen.name} has no family {unknown[0]!r}", f"choose among {', '.join(chosen.families)}")
    limit = settings.budget_usd if budget is None else budget
    metered = Metered(open_model(model or settings.model), Limit(usd=limit))
    with Waiting(limit) as waiting:
        bench = Bench(
            agent=CodeAgent(metered, find_sandbox()), suite=chosen, store=RunStore(settings.data / "trials.db"),
            concurrency=concurrency or settings.concurrency,
            on_progress=lambda p: waiting.at("trials", p.done, p.total, f"{p.missing} missing" if p.missing else ""),
        )  # fmt: skip
        held_out = [t for f in families or chosen.families for t in chosen.tasks(f, "test", tasks)]
        return anyio.run(lambda: against_team(team, skills, metered, held_out, bench, seed=seed))
