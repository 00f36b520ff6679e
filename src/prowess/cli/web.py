"""`prowess web`: the library's pages on this machine."""

from typing import Annotated

import typer

from prowess.cli.options import LibraryPath, open_library


def web(
    *,
    port: Annotated[int, typer.Option("--port", metavar="N", min=0, max=65535, help="0 for any that is free.")] = 8765,
    library: LibraryPath = None,
) -> None:
    """Look at the library in a browser, and decide.

    Skills with the reason of every line, evidence, proposals, sessions, runs and cost.
    Listens on this machine alone. The address that it prints holds a key; without it there is nothing to see.
    """
    from pathlib import Path

    from prowess.cli.places import trajectories
    from prowess.core.errors import UserError

    opened = open_library(library)
    try:
        from prowess.serve.web.local import serve
    except ImportError as error:
        raise UserError(f"the package {error.name!r} is not installed", "run `pip install 'prowess[hub]'`") from error
    with trajectories() as store:
        serve(opened, store, Path.cwd(), port, typer.echo)
