"""`prowess undo`: take back a change."""

from typing import Annotated

import typer

from prowess.cli.options import Json, LibraryPath, Yes, find_change, open_library


def undo(
    *,
    change: Annotated[
        str | None, typer.Argument(metavar="CHANGE", help="The change; by default the newest one in force.")
    ] = None,
    library: LibraryPath = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Take back a change.

    Taking back an undo brings its change back.
    """
    from prowess.cli import entries
    from prowess.cli.screen import Screen
    from prowess.core.errors import UserError
    from prowess.library.undoing import taken_back

    screen = Screen(json)
    opened = open_library(library)
    if change is None:
        log = opened.log()
        undone = taken_back(log)
        target = next((c for c in log if c.kind == "apply" and c.id not in undone), None)
        if target is None:
            raise UserError("there is nothing to undo", "`prowess log` lists all changes")
    else:
        target = find_change(opened, change)
    if not json:
        entries.change(screen, target)
        screen.diff(opened.diff(target.after, target.before))
    screen.confirm(f"Take back {target.id[:8]} in {opened.path}?", yes)
    done = opened.undo(target.id, by="user")
    if json:
        screen.data({"change": done.model_dump(mode="json"), "diff": opened.diff(done.before, done.after)})
    else:
        screen.line(f"taken back as {done.id[:8]}; `prowess undo {done.id[:8]}` brings it back")
