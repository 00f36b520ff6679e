"""`prowess lint`: what keeps the right skill from being found, and what to do."""

from typing import Annotated

import typer

from prowess.cli.options import Json, LibraryPath, SkillsFolder

_REQUEST = 500
"""Characters of a request that are put to the descriptions."""


def lint(
    *,
    agent: Annotated[
        list[str] | None,
        typer.Option("--agent", "-a", metavar="AGENT", help="Whose shelf to check; by default each that is known."),
    ] = None,
    sessions: Annotated[
        bool, typer.Option("--sessions/--no-sessions", help="Use the requests of imported sessions too.")
    ] = True,
    library: LibraryPath = None,
    skills: SkillsFolder = None,
    json: Json = False,
) -> None:
    """Find skills that will not be found.

    Look-alikes, descriptions that never win, full shelves, broken texts. Exit code 1 when there are any.
    """
    from dataclasses import asdict

    from prowess.cli.finding import look
    from prowess.cli.screen import BOLD, SOFT, Screen
    from prowess.measure.shelf import crowded
    from prowess.measure.triggers.catalogue import preset, presets
    from prowess.search.lint import lint as find

    screen = Screen(json)
    looked = look(screen, library, skills)
    agents = [preset(name) for name in agent] if agent else list(presets().values())
    problems = (
        *find(looked.snapshot.skills, queries=_asked() if sessions else None),
        *crowded(looked.snapshot, agents, looked.loaded),
    )
    if json:
        screen.data([asdict(problem) for problem in problems])
    for problem in () if json else problems:
        named = ", ".join(problem.skills[:3]) + (f" and {len(problem.skills) - 3} more" if problem.skills[3:] else "")
        screen.line((named, BOLD), f"  {problem.what}", (f"  [{problem.kind}]", SOFT))
        if problem.advice:
            screen.line("  → ", problem.advice)
    if problems:
        raise typer.Exit(1)
    screen.note("nothing to mend")


def _asked() -> dict[str, list[str]]:
    """Requests of imported sessions, by the skill that was used."""
    from prowess.cli.places import trajectories
    from prowess.search.experience import stored_experience

    found: dict[str, list[str]] = {}
    store = trajectories()
    if store.path.is_file():
        with store:
            for entry in stored_experience(store):
                found.setdefault(entry.skill, []).append(entry.query[:_REQUEST])
    return found
