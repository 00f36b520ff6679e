"""`prowess router`: learn from what has worked which skill fits."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prowess.cli.options import Json, LibraryPath, open_library

if TYPE_CHECKING:
    from prowess.search.training import Experience

app = typer.Typer(no_args_is_help=True, help="Learn from what has worked which skill fits.", rich_markup_mode=None)


@app.command()
def train(
    *,
    log: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            show_default=False,
            help="JSON lines with query, skill and helped; by default the trajectories in the store that have a score.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Equal seeds give equal routers.")] = 0,
    library: LibraryPath = None,
    json: Json = False,
) -> None:
    """Train a router on what has worked, and put it to use if it is better.

    Better is what a paired test on held-out queries says; otherwise the old router stays. Exit code 1 then.
    """
    import anyio

    from prowess.cli.finding import best_ready, open_current, router_path
    from prowess.cli.screen import Screen
    from prowess.cli.views import evidence as shown
    from prowess.measure.routing import compare_routers, split
    from prowess.search.routers import save
    from prowess.search.training import train as learn

    screen, opened = Screen(json), open_library(library)
    entries = _read(log) if log is not None else _from_store()
    index = open_current(screen, opened)
    to_train, held_out = split(entries)
    new = learn(index, to_train, seed)
    old = best_ready(opened, index)
    found = anyio.run(compare_routers, old, new, index, held_out)
    used = found.outcome == "better"
    if used:
        save(new, router_path(opened))
    if json:
        screen.data({"old": old.name, "used": used, "evidence": found.model_dump(exclude={"trials"})})
    else:
        screen.line(f"new router against the {old.name} one, share of first skills that helped: {shown(found)}")
        screen.line("the new router is used from now on" if used else "the old router stays")
    if not used:
        raise typer.Exit(1)


def _read(path: Path) -> "list[Experience]":
    """Raises UserError with the line that is wrong."""
    from pydantic import TypeAdapter, ValidationError

    from prowess.core.errors import UserError
    from prowess.search.training import Experience

    kind = TypeAdapter(Experience)
    found: list[Experience] = []
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}", "name a file of JSON lines") from error
    for number, line in enumerate(lines, 1):
        try:
            found += [kind.validate_json(line)] if line.strip() else []
        except ValidationError as error:
            raise UserError(
                f"line {number} of {path} is no experience: {error.errors()[0]['msg']}",
                'each line is an object like {"query": "…", "skill": "…", "helped": true}',
            ) from error
    return found


def _from_store() -> "list[Experience]":
    """What skills did in stored trajectories with a trusted score: those used helped if it passed."""
    from prowess.cli.places import trajectories
    from prowess.search.training import Experience

    found: list[Experience] = []
    with trajectories() as store:
        for row in store.find():
            if row.passed is None or not row.used:
                continue
            steps = store.get(row.id).steps
            query = next((step.message for step in steps if step.source == "user" and step.message.strip()), "")
            found += [Experience(query, name, row.passed) for name in row.used if query]
    return found
