"""`prowess apply`: change the library by a patch or a waiting proposal."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prowess.cli.options import Json, LibraryPath, Yes, find_proposal, open_library

if TYPE_CHECKING:
    from prowess.core.patch import Patch


def apply(
    *,
    what: Annotated[str, typer.Argument(metavar="PATCH", help="A patch file (JSON), - for stdin, or a proposal's id.")],
    foreign: Annotated[bool, typer.Option("--foreign", help="Also change skills that prowess did not write.")] = False,
    library: LibraryPath = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Apply a patch to the library.

    Shows what it changes, and asks.
    """
    from prowess.cli import entries
    from prowess.cli.screen import Screen
    from prowess.cli.trust import accepted

    screen = Screen(json)
    opened = open_library(library)
    from_file = what == "-" or Path(what).is_file()
    patch = read_patch(what) if from_file else find_proposal(opened, what).patch
    difference = entries.difference(opened, patch)
    if not json:
        screen.diff(difference)
    screen.confirm(f"Apply “{patch.reason}” to {opened.path}?", yes)
    if from_file:
        change = opened.apply(patch, by="user", allow_foreign=foreign)
    else:
        change = opened.accept(patch.id, by="user", allow_foreign=foreign)
    accepted(screen, opened, change)
    if json:
        screen.data({"change": change.model_dump(mode="json"), "diff": difference})
    else:
        screen.line(f"applied as {change.id[:8]}; `prowess undo {change.id[:8]}` takes it back")


def read_patch(name: str) -> "Patch":
    """The patch in a file, or on stdin for `-`; raises UserError for anything else."""
    import sys

    from pydantic import ValidationError

    from prowess.core.errors import UserError
    from prowess.core.patch import Patch

    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text("utf-8")
        return Patch.model_validate_json(text)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{name} cannot be read: {error}", "give a patch file") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise UserError(f"{name} is not a patch: {where}: {first['msg']}", "docs/library.md has the format") from error
