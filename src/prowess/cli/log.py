"""`prowess log`: the changes of the library."""

from typing import Annotated

import typer

from prowess.cli.options import Json, LibraryPath, open_library


def log(
    *,
    skill: Annotated[str | None, typer.Argument(metavar="SKILL", help="Only changes of this skill.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, help="Most changes to list.")] = 20,
    library: LibraryPath = None,
    json: Json = False,
) -> None:
    """List the changes of the library, newest first."""
    from prowess.cli import views
    from prowess.cli.screen import Screen

    screen = Screen(json)
    opened = open_library(library)
    changes = opened.log(skill, limit)
    if json:
        screen.data(changes)
        return
    undone = views.undone(opened.log())
    for change in changes:
        views.change(screen, change, change.id in undone)
    if not changes:
        screen.note("no changes yet")
