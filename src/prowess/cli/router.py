"""`prowess router`: learn from what has worked which skill fits."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prowess.cli.options import Json, LibraryPath, open_library

if TYPE_CHECKING:
    from prowess.search.experience import Experience

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

    from prowess.cli.entries import evidence as shown
    from prowess.cli.finding import best_ready, place
    from prowess.cli.screen import Screen
    from prowess.measure.routing import compare_routers, split
    from prowess.search.experience import read_experience
    from prowess.search.keeping import router_path
    from prowess.search.routers import save
    from prowess.search.training import train as learn

    screen, opened = Screen(json), open_library(library)
    entries = read_experience(log) if log is not None else _from_store()
    where = place(screen, opened)
    to_train, held_out = split(entries)
    new = learn(where.index, to_train, seed)
    old = best_ready(screen, where)
    found = anyio.run(compare_routers, old, new, where.index, held_out)
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


def _from_store() -> "list[Experience]":
    from prowess.cli.places import trajectories
    from prowess.search.experience import stored_experience

    with trajectories() as store:
        return list(stored_experience(store))
