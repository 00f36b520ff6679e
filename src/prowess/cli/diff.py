"""`prowess diff`: what changed between two states of the library."""

from typing import TYPE_CHECKING, Annotated

import typer

from prowess.cli.options import Json, LibraryPath, open_library

if TYPE_CHECKING:
    from prowess.library import Library


def diff(
    *,
    first: Annotated[
        str | None, typer.Argument(metavar="FROM", help="A change, or a snapshot digest; by default the last change.")
    ] = None,
    second: Annotated[
        str | None, typer.Argument(metavar="TO", help="Another one; without it, FROM is a change and shown alone.")
    ] = None,
    library: LibraryPath = None,
    json: Json = False,
) -> None:
    """Show what changed between two states."""
    from prowess.cli.screen import Screen

    screen = Screen(json)
    opened = open_library(library)
    before, after = states(opened, first, second)
    text = opened.diff(before, after)
    if json:
        screen.data({"from": before, "to": after, "diff": text})
        return
    screen.diff(text)
    if not text:
        screen.note("no difference")


def states(library: "Library", first: str | None, second: str | None) -> tuple[str, str]:
    """The two snapshot digests that are meant. A change stands for the state that it left behind."""
    from prowess.core.errors import UserError

    changes = library.log()
    if first is None:
        if not changes:
            raise UserError("the library has no changes yet", "`prowess show` lists its skills")
        return changes[0].before, changes[0].after
    found = next((c for c in changes if c.id.startswith(first)), None)
    if second is None:
        return (found.before, found.after) if found else (first, library.snapshot().digest)
    other = next((c for c in changes if c.id.startswith(second)), None)
    return found.after if found else first, other.after if other else second
