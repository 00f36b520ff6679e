"""`prowess lint`: what keeps the right skill from being found, and what to do."""

from typing import TYPE_CHECKING, Annotated

import typer

from prowess.cli.options import Json, LibraryPath, open_library

if TYPE_CHECKING:
    from prowess.core.skill import Snapshot


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
    json: Json = False,
) -> None:
    """Find skills that will not be found.

    Look-alikes, descriptions that never win, full shelves, long bodies. Exit code 1 when there are any.
    """
    from dataclasses import asdict

    from prowess.cli.screen import BOLD, SOFT, Screen
    from prowess.measure.shelf import crowded
    from prowess.measure.triggers.catalogue import preset, presets
    from prowess.search.lint import lint as find

    screen, opened = Screen(json), open_library(library)
    snapshot = opened.snapshot()
    agents = [preset(name) for name in agent] if agent else list(presets().values())
    uses = {name: use.loaded for name, use in opened.uses().items()}
    problems = (
        *find(snapshot.skills, queries=_asked(snapshot) if sessions else None),
        *crowded(snapshot, agents, uses),
    )
    if json:
        screen.data([asdict(problem) for problem in problems])
    for problem in () if json else problems:
        named = ", ".join(problem.skills[:3]) + (f" and {len(problem.skills) - 3} more" if problem.skills[3:] else "")
        screen.line((named, BOLD), f"  {problem.what}", (f"  [{problem.kind}]", SOFT))
        screen.line("  → ", problem.advice)
    if problems:
        raise typer.Exit(1)
    screen.note("nothing to mend")


def _asked(snapshot: "Snapshot") -> dict[str, list[str]]:
    """First requests of imported sessions that used a skill of the library, by skill."""
    from prowess.cli.places import trajectories

    store = trajectories()
    found: dict[str, list[str]] = {}
    if not store.path.is_file():
        return found
    with store:
        for row in store.find():
            trajectory = store.get(row.id)
            asked = next((step.message for step in trajectory.steps if step.source == "user" and step.message), "")
            for name in trajectory.used if asked else ():
                if snapshot.get(name) is not None:
                    found.setdefault(name, []).append(asked[:500])
    return found
