"""`prowess hub`: the people and projects of a hub, from the machine on which it runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prowess.cli.options import Json

if TYPE_CHECKING:
    from prowess.serve.hub.client import Client
    from prowess.serve.hub.service import Hub

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="The people and projects of a hub, on the machine where it runs."
)
Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="FOLDER", help="Where the hub keeps its libraries; by default in your data folder."),
]
Url = Annotated[
    str,
    typer.Option(
        "--database",
        metavar="URL",
        help="postgresql://… as libpq reads it; by default a SQLite file in the data folder.",
    ),
]


@app.callback()
def hub() -> None:
    pass


@app.command()
def init(
    *,
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Its administrator, and manager of its project.")],
    project: Annotated[str, typer.Argument(metavar="PROJECT", help="Its first project.")],
    data: Data = None,
    database: Url = "",
    json: Json = False,
) -> None:
    """Make a hub with one account and one project, and print the account's token."""
    from prowess.cli.screen import Screen

    screen, opened = Screen(json), open_hub(data, database)
    opened.accounts.add(account, admin=True)
    opened.accounts.add_project(project, account)
    _issued(screen, opened, account, "made with the hub", json)


@app.command()
def token(
    *,
    account: Annotated[str, typer.Argument(metavar="ACCOUNT")],
    label: Annotated[str, typer.Option("--label", metavar="TEXT", help="What it is for.")] = "",
    project: Annotated[
        str | None, typer.Option("--project", metavar="PROJECT", help="Only for this project.", show_default=False)
    ] = None,
    data: Data = None,
    database: Url = "",
    json: Json = False,
) -> None:
    """Make a token for an account, which is made if there is none. It is printed this once."""
    from prowess.cli.screen import Screen

    screen, opened = Screen(json), open_hub(data, database)
    if project is not None:
        opened.project(project)  # so that a misspelled one is noticed
    if account not in opened.accounts.names():
        opened.accounts.add(account)
    _issued(screen, opened, account, label, json, project)


@app.command()
def member(
    *,
    project: Annotated[str, typer.Argument(metavar="PROJECT", help="Made if there is none.")],
    account: Annotated[str, typer.Argument(metavar="ACCOUNT")],
    role: Annotated[
        str, typer.Option("--role", metavar="ROLE", help="reader, member, reviewer, manager, or none to take it away.")
    ] = "member",
    data: Data = None,
    database: Url = "",
    json: Json = False,
) -> None:
    """Give an account a role in a project: who reads, who gives sessions and proposals, who decides, who runs it."""
    from typing import cast

    from prowess.cli.screen import Screen
    from prowess.serve.hub.accounts import Role

    screen, opened = Screen(json), open_hub(data, database)
    if project not in opened.accounts.projects():
        opened.accounts.add_project(project, account)
    if role == "none":
        opened.accounts.leave(project, account)
    else:
        opened.accounts.join(project, account, cast(Role, role))
    opened.accounts.note("the machine", "member", f"{account} is {role}", project)
    members = opened.accounts.members(project)
    if json:
        screen.data(members)
        return
    screen.table(("account", "role"), list(members.items()))


def _issued(screen: "object", opened: "Hub", account: str, label: str, json: bool, project: str | None = None) -> None:
    from prowess.cli.screen import Screen

    assert isinstance(screen, Screen)
    made, secret = opened.accounts.issue(account, label, project=project)
    opened.accounts.note("the machine", "token issued", f"{account} {made.id}")
    if json:
        screen.data({"account": account, "token": secret})
    else:
        typer.echo(secret)
        screen.note("this is its token: it is shown only now")


def open_hub(data: Path | None, database: str) -> "Hub":
    """The hub on this machine.

    Raises:
        UserError: what it needs is not installed.
    """
    from prowess.core.errors import UserError
    from prowess.settings import load

    try:
        from prowess.serve.hub.service import Hub
    except ImportError as error:
        raise UserError(f"the package {error.name!r} is not installed", "run `pip install 'prowess[hub]'`") from error
    return Hub.open(data or load().settings.data / "hub", database)


def client_of(where: str, token: Path | None) -> "tuple[Client, str]":
    """A client for the address of a project, and the project; a token that is given is kept for the next time.

    Raises:
        UserError: it is no such address, or no token is known for it.
    """
    import re

    from prowess.core.base import digest
    from prowess.core.errors import UserError
    from prowess.library.disk import write_file
    from prowess.serve.hub.client import Client
    from prowess.settings import config_folder

    match = re.fullmatch(r"(https?://[^/?#@]+)/p/([a-z0-9-]+)/?", where)
    if match is None:
        raise UserError(f"{where!r} is no project of a hub", "write it as https://hub.example.org/p/PROJECT")
    host = match[1]
    if host.startswith("http://") and not re.match(r"http://(127\.0\.0\.1|localhost|\[::1\])(:|$)", host):
        raise UserError(f"{host} would send your token in the clear", "use https")
    kept = config_folder() / "hubs" / digest(host)[:16]
    try:
        secret = (token or kept).read_text("ascii").strip()
    except (OSError, ValueError) as error:
        raise UserError(
            f"no token for {host} is here", "get one from its administrator, and give it as --token FILE"
        ) from error
    if token is not None:
        kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_file(kept, secret.encode(), kept.parent)
        kept.chmod(0o600)
    return Client(host, secret), match[2]
