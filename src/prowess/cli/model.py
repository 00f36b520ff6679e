"""`prowess model`: the embedded models on this machine."""

from typing import Annotated, Any

import typer

from prowess.cli.options import Json

app = typer.Typer(no_args_is_help=True, help="Fetch, list and choose embedded models.", rich_markup_mode=None)

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="A model of `prowess model list`; by default the one in use.")
]


@app.command()
def pull(name: Name = "", json: Json = False) -> None:
    """Fetch a model once, verify it, and keep it in the cache. Stopped, it resumes."""
    from prowess.agents.models.pull import pull as fetch
    from prowess.cli.progress import Waiting
    from prowess.cli.screen import Screen

    screen = Screen(json)
    with Waiting() as waiting:
        path = fetch(name, lambda done, total, what: waiting.at("megabytes", done >> 20, total >> 20, what))
    if json:
        screen.data({"path": path})
    else:
        screen.line(f"ready: {path}")


@app.command("list")
def list_(json: Json = False) -> None:
    """List the embedded models, and which are here."""
    from prowess.cli.screen import Screen

    screen, rows = Screen(json), _rows()
    if json:
        screen.data(rows)
        return
    screen.table(
        ("model", "size", "licence", "here", "used by default"),
        [
            (
                (r["name"], "bold"),
                f"{r['size'] / 1e9:.2f} GB",
                r["licence"],
                "yes" if r["path"] else "no",
                "yes" if r["default"] else "",
            )
            for r in rows
        ],
    )


@app.command()
def use(name: Annotated[str, typer.Argument(metavar="NAME")], json: Json = False) -> None:
    """Make a model the default embedded one."""
    from prowess.agents.models.pull import installed
    from prowess.agents.models.pull import use as choose
    from prowess.cli.screen import Screen

    screen = Screen(json)
    choose(name)
    if json:
        screen.data(next(r for r in _rows() if r["name"] == name))
        return
    screen.line(f"{name} is used from now on")
    if name not in {m.name for m in installed()}:
        screen.note(f"it is not here yet: `prowess model pull {name}`")


def _rows() -> list[dict[str, Any]]:
    from prowess.agents.models.catalogue import catalogue
    from prowess.agents.models.pull import default_name, installed

    here = {m.name: str(m.path) for m in installed()}
    return [
        {
            "name": e.name,
            "size": e.size,
            "licence": e.licence,
            "publisher": e.publisher,
            "path": here.get(e.name),
            "default": e.name == default_name(),
        }
        for e in catalogue().model
    ]
