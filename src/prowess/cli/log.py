"""`prowess log`: the changes of the library."""

from typing import Annotated

import typer

from prowess.cli.options import Json, LibraryPath, open_library


def log(
    *,
    skill: Annotated[str | None, typer.Argument(metavar="SKILL", help="Only changes of this skill.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, help="Most changes to list.")] = 20,
    refused: Annotated[
        bool, typer.Option("--refused", help="What the gates refused instead, with their verdicts and costs.")
    ] = False,
    library: LibraryPath = None,
    json: Json = False,
) -> None:
    """List the changes of the library, newest first."""
    from prowess.cli import entries
    from prowess.cli.screen import Screen
    from prowess.library.patching import touched
    from prowess.library.undoing import taken_back

    screen = Screen(json)
    opened = open_library(library)
    if refused:
        found = [r for r in reversed(opened.upkeep.refused()) if skill in (None, *touched(r.patch))][:limit]
        if json:
            screen.data(found)
            return
        for refusal in found:
            screen.line(
                refusal.when[:16].replace("T", " "), f"  {refusal.patch.reason}", (f" · by {refusal.by}", "dim")
            )
            entries.verdicts(screen, refusal.verdicts)
        if not found:
            screen.note("nothing was refused")
        return
    changes = opened.log(skill, limit)
    if json:
        screen.data(changes)
        return
    undone = taken_back(opened.log())
    for change in changes:
        entries.change(screen, change, change.id in undone)
    if not changes:
        screen.note("no changes yet")
