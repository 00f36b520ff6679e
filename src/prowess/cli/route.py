"""`prowess route`: which skill a task needs, if any."""

from typing import Annotated

import typer

from prowess.cli.options import Json, LibraryPath, ModelSpec, SkillsFolder
from prowess.cli.search import Kind, Query, RouterName, Tags, Tier, Tools, filter_of


def route(
    *,
    query: Query,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, help="Most skills to name.")] = 1,
    router: RouterName = "",
    kind: Kind = None,
    tier: Tier = None,
    tag: Tags = None,
    tool: Tools = None,
    model: ModelSpec = None,
    library: LibraryPath = None,
    skills: SkillsFolder = None,
    json: Json = False,
) -> None:
    """Say which skill a task needs, if any.

    Each skill comes with the chance that it fits. Exit code 1 when none does.
    """
    from prowess.cli.finding import place, place_below, rank, trusted
    from prowess.cli.options import open_library
    from prowess.cli.screen import BOLD, SOFT, Screen
    from prowess.search.need import FALSE_TRIGGERS, fit

    screen, text = Screen(json), " ".join(query)
    where = place(screen, open_library(library)) if skills is None else place_below(screen, library, skills)
    only = trusted(where, filter_of(kind, tag, tool), tier)
    answer = rank(screen, where, text, limit, router, only, model or "")
    fits = [(one, fit(text, one.skill, answer.index)) for one in answer.found]
    needed = [(one, found) for one, found in fits if found.needed]
    if json:
        rows = [
            {"name": one.name, "score": one.score, "chance": found.chance, "needed": found.needed}
            for one, found in fits
        ]
        screen.data({"router": answer.router, "needed": bool(needed), "skills": rows})
    for one, found in () if json else needed:
        screen.line((one.name, BOLD), (f"  fits with a chance of {found.chance:.0%}", SOFT))
        screen.line("  ", (one.skill.description, SOFT))
    if not needed:
        near = f"; the nearest is {fits[0][0].name!r}, with a chance of {fits[0][1].chance:.0%}" if fits else ""
        screen.note(f"no skill is needed{near}")
        if fits and not json:
            screen.note(f"of tasks that no skill fits, {FALSE_TRIGGERS:.0%} are shown one")
        raise typer.Exit(1)
