"""`prowess learn`: propose skills from sessions that really happened."""

from pathlib import Path
from typing import Annotated

import typer

from prowess.cli.options import Budget, Concurrency, Json, LibraryPath, ModelSpec, open_library


def learn(
    *,
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="FOLDER", help="Sessions to read; by default all that were imported."),
    ] = None,
    model: ModelSpec = None,
    library: LibraryPath = None,
    concurrency: Concurrency = None,
    budget: Budget = None,
    json: Json = False,
) -> None:
    """Propose skills from real sessions.

    Nothing is applied: `prowess review` decides on what is proposed.
    """
    import anyio

    from prowess.cli import loop, views
    from prowess.cli.places import trajectories
    from prowess.cli.progress import Waiting
    from prowess.cli.screen import Screen
    from prowess.settings import load

    screen, settings = Screen(json), load().settings
    limit = settings.budget_usd if budget is None else budget
    opened = open_library(library, create=True)
    with trajectories() as store, Waiting(limit) as waiting:
        proposals = anyio.run(
            lambda: loop.learn()(
                source=source,
                sessions=store,
                library=opened,
                model=model or settings.model,
                concurrency=concurrency or settings.concurrency,
                budget_usd=limit,
                report=waiting.tell,
            )
        )
    if json:
        screen.data(proposals)
        return
    for proposal in proposals:
        views.proposal(screen, opened, proposal)
        screen.line()
    if proposals:
        screen.note(f"{len(proposals)} proposed; `prowess review` decides on them")
    else:
        screen.note("nothing was found that a skill could help with")
