"""`prowess serve`: offer a library to agents."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prowess.cli.hub import Data, Url
from prowess.cli.options import LibraryPath, chosen_library

if TYPE_CHECKING:
    from prowess.serve.proxy.shelf import Shelf

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Offer a library to agents.")


@app.callback()
def serve() -> None:
    pass


@app.command()
def mcp(
    *,
    http: Annotated[
        str | None,
        typer.Option(
            "--http",
            metavar="[HOST:]PORT",
            show_default=False,
            help="Serve over HTTP at /mcp there, instead of over standard input and output.",
        ),
    ] = None,
    library: LibraryPath = None,
) -> None:
    """Serve the library over the Model Context Protocol.

    Agents search, load, read, report and propose; what they propose waits for `prowess review`. Only skills that
    somebody has vouched for are served. Without --http it speaks over standard input and output, as agents start it:

        claude mcp add prowess -- prowess serve mcp

    A library that is not there yet is made. HTTP has no login: keep it on this machine, which is the default host.
    """  # fmt: skip
    from prowess.cli.places import trajectories
    from prowess.core.errors import UserError
    from prowess.guard.keys import Keyring
    from prowess.library import Library

    host, port = address(http) if http is not None else ("", 0)
    try:
        from prowess.serve.access import Access
        from prowess.serve.mcp import server
    except ImportError as error:
        raise UserError(f"the package {error.name!r} is not installed", "run `pip install 'prowess[mcp]'`") from error

    with trajectories() as store:
        made = server(Access(Library.open(chosen_library(library), create=True), store, Keyring()))
        if http is None:
            made.run("stdio")
        else:
            typer.echo(f"http://{host}:{port}/mcp", err=True)
            made.run("streamable-http", host=host, port=port)


@app.command()
def proxy(
    *,
    http: Annotated[
        str, typer.Option("--http", metavar="[HOST:]PORT", help="Where to listen; on this machine by default.")
    ] = "8790",
    upstreams: Annotated[
        Path | None,
        typer.Option("--upstreams", metavar="FILE", help="Where requests go.", show_default="upstreams.toml"),
    ] = None,
    shelf: Annotated[
        bool, typer.Option("--shelf", help="Show skills that fit also where no header asks for it.")
    ] = False,
    record: Annotated[bool, typer.Option("--record/--no-record", help="Keep sessions as trajectories.")] = True,
    library: LibraryPath = None,
) -> None:
    """Pass model calls on, record them, and show skills where asked to.

    Speaks chat completions, responses and messages, each with streaming, at the address that it prints. Without a file
    of upstreams it passes on to OpenAI and Anthropic, with the keys in OPENAI_API_KEY and ANTHROPIC_API_KEY. Clients
    choose neither address nor key. Skills are shown to requests with the header `x-prowess-shelf: on`. For other
    machines than this one the file must name a token.
    """
    from prowess.cli.places import trajectories
    from prowess.core.errors import UserError
    from prowess.settings import config_folder, variables

    host, port = address(http)
    try:
        from prowess.serve import listen, logs, telemetry
        from prowess.serve.proxy.app import Proxy, app
        from prowess.serve.proxy.upstreams import load
    except ImportError as error:
        raise UserError(f"the package {error.name!r} is not installed", "run `pip install 'prowess[serve]'`") from error

    routes = load(upstreams or config_folder() / "upstreams.toml", variables)
    if host not in ("127.0.0.1", "::1", "localhost") and not routes.token:
        raise UserError(f"{host} can be reached by others, who could spend your money", "set `token` in upstreams.toml")
    logs.set_up()
    made = Proxy(routes, trajectories().path if record else None, _shelf(library), always=shelf)
    figures = telemetry.set_up(variables("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_SERVICE_NAME"))
    with listen.listening(host, port) as opened:
        typer.echo(f"http://{host}:{port}/v1", err=True)
        listen.server(app(made, figures), lifespan="on").run(sockets=[opened])


def _shelf(library: Path | None) -> "Shelf | None":
    """The library to show, where there is one."""
    from prowess.cli.places import trajectories
    from prowess.guard.keys import Keyring
    from prowess.guard.runtime import Tiered
    from prowess.library import Library
    from prowess.serve.access import Access
    from prowess.serve.proxy.shelf import Shelf

    path = chosen_library(library)
    if not (path / ".prowess").is_dir():
        return None
    opened, keyring = Library.open(path), Keyring()
    return Shelf(Access(opened, trajectories(), keyring), Tiered(opened, keyring))


@app.command("hub")
def hub_(
    *,
    at: Annotated[str, typer.Option("--http", metavar="[HOST:]PORT", help="Where to listen.")] = "8766",
    workers: Annotated[int, typer.Option("--workers", metavar="N", min=1, max=64, help="Processes that serve.")] = 2,
    evolvers: Annotated[
        int, typer.Option("--evolvers", metavar="N", min=0, max=64, help="Processes that learn and prove.")
    ] = 1,
    secure: Annotated[bool, typer.Option("--secure", help="It is reached over https, by way of a proxy.")] = False,
    data: Data = None,
    database: Url = "",
) -> None:
    """Serve a team: a library for each project, sessions in, learning in the background, and people who decide.

    `prowess hub init` makes the first account. Members use its pages in a browser, `prowess sync`, and the
    API, which /api/openapi.json describes. It speaks plain HTTP: put a proxy with a certificate before it.
    """
    from prowess.cli.hub import open_hub
    from prowess.settings import load

    open_hub(data, database).close()  # says what is wrong before anything is started
    from prowess.serve.hub.server import Plan, serve

    host, port = address(at)
    plan = Plan(data or load().settings.data / "hub", database, workers, evolvers, secure)
    serve(plan, host, port, lambda number: typer.echo(f"http://{host}:{number}/", err=True))


def address(text: str) -> tuple[str, int]:
    """Host and port of `[HOST:]PORT`; this machine where no host is named.

    Raises:
        UserError: it is neither.
    """
    from prowess.core.errors import UserError

    host, _, port = text.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise UserError(f"{text!r} is no address", "write a port as in 8000, or host and port as in 127.0.0.1:8000")
    return host.strip("[]") or "127.0.0.1", int(port)
