"""Options that many verbs share, each described once."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from prowess.library import Change, Library, Proposal

Json = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of text.", show_default=False)]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.", show_default=False)]
LibraryPath = Annotated[
    Path | None,
    typer.Option(
        "--library", "-l", metavar="FOLDER", help="The library; by default the project's, else your own.",
        show_default=False,
    ),
]  # fmt: skip
SkillsFolder = Annotated[
    Path | None,
    typer.Option(
        "--skills", metavar="FOLDER", help="The skills below this folder, instead of a library; nothing is written.",
        show_default=False,
    ),
]  # fmt: skip
ModelSpec = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", metavar="MODEL", help="embedded, embedded:NAME, openai:NAME or anthropic:NAME.",
        show_default=False,
    ),
]  # fmt: skip
SuiteName = Annotated[
    str,
    typer.Option(
        "--suite", "-s", metavar="SUITE", help="Where the tasks come from: workbench, spreadsheetbench or sra."
    ),
]
Families = Annotated[
    list[str] | None,
    typer.Option(
        "--family", "-f", metavar="FAMILY", help="Only tasks of this family; may stand more than once.",
        show_default=False,
    ),
]  # fmt: skip
Budget = Annotated[
    float | None,
    typer.Option("--budget", metavar="USD", min=0, help="Most dollars to spend; exit code 3 when reached.",
                 show_default=False),
]  # fmt: skip
Concurrency = Annotated[
    int | None,
    typer.Option("--concurrency", "-j", metavar="N", min=1, help="Tasks in flight at once.", show_default=False),
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Equal seeds give equal runs.")]


def chosen_library(given: Path | None) -> Path:
    """The library that a verb works on: the one given, else that of the settings, the project's, or the user's."""
    from prowess.library.scopes import library_path, user_library
    from prowess.settings import load

    if chosen := given or load().settings.library:
        return chosen
    project = library_path("project", Path.cwd())
    if project is not None and (project / ".prowess").is_dir():
        return project
    return user_library()


def open_library(given: Path | None, create: bool = False) -> "Library":
    """Open that library.

    Raises:
        UserError: there is none, and `create` is not set.
    """
    from prowess.library import Library

    return Library.open(chosen_library(given), create=create)


def find_change(library: "Library", id: str) -> "Change":
    """The change whose id begins with `id`.

    Raises:
        UserError: there is none, or several begin so.
    """
    from prowess.core.errors import UserError

    found = [change for change in library.log() if change.id.startswith(id)]
    if len(found) > 1:
        raise UserError(f"{len(found)} changes begin with {id!r}", "write more of the id")
    if not found:
        raise UserError(f"there is no change {id!r}", "`prowess log` lists all changes")
    return found[0]


def find_proposal(library: "Library", id: str) -> "Proposal":
    """The waiting proposal whose id begins with `id`; raises as `find_change` does."""
    from prowess.core.errors import UserError

    found = [proposal for proposal in library.proposals() if proposal.id.startswith(id)]
    if len(found) > 1:
        raise UserError(f"{len(found)} proposals begin with {id!r}", "write more of the id")
    if not found:
        raise UserError(f"no proposal {id!r} waits", "`prowess review` lists those that do")
    return found[0]
