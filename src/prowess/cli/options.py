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
    typer.Option("--suite", "-s", metavar="SUITE", help="Where the tasks come from; `prowess suites list` names them."),
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
ExecutorSpec = Annotated[
    str,
    typer.Option(
        "--executor", metavar="WHERE", help="local, ray for a cluster on this machine, or ray:ADDRESS.",
    ),
]  # fmt: skip
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Equal seeds give equal runs.")]


def chosen_libraries(given: Path | None) -> list[Path]:
    """Folders of the libraries that apply here, the first before the others.

    The one that is given or set, and no other; else the project's, where there is one, and the user's own.
    """
    from prowess.library.scopes import project_library, user_library
    from prowess.settings import load

    if chosen := given or load().settings.library:
        return [chosen]
    project = project_library(Path.cwd())
    return [*([project] if project is not None and (project / ".prowess").is_dir() else []), user_library()]


def chosen_library(given: Path | None) -> Path:
    """The library that a verb works on: the first of those that apply."""
    return chosen_libraries(given)[0]


def chosen_budget(given: float | None) -> float | None:
    """Most dollars that a verb may spend: what is given, else what the settings say; None for no limit."""
    from prowess.settings import load

    return load().settings.budget_usd if given is None else given


def chosen_width(concurrency: int | None, executor: str) -> int:
    """Tasks in flight at once: what is given, else what the settings say for this machine, and 0 (all) elsewhere."""
    from prowess.settings import load

    return concurrency or (load().settings.concurrency if executor == "local" else 0)


def open_library(given: Path | None, create: bool = False) -> "Library":
    """Open that library.

    Raises:
        UserError: there is none, and `create` is not set.
    """
    from prowess.core.errors import UserError
    from prowess.library import Library

    path = chosen_library(given)
    if not create and not (path / ".prowess").exists():
        raise UserError(
            f"there is no library at {path} yet",
            "`prowess learn`, `prowess run` and `prowess demo` make one; --library names another",
        )
    return Library.open(path, create=create)


def open_libraries(given: Path | None) -> "list[Library]":
    """Open all libraries that apply; raises as `open_library` does."""
    from prowess.library import Library

    others = chosen_libraries(given)[1:]
    return [open_library(given), *(Library.open(path) for path in others if (path / ".prowess").is_dir())]


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
