"""`prowess sync`: keep the library in step with the team's, on a hub or in a git repository."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prowess.cli.options import Json, LibraryPath, Yes, open_library

if TYPE_CHECKING:
    from prowess.cli.screen import Screen
    from prowess.library import Library
    from prowess.serve.sync import Remote, Synced


def sync(
    *,
    where: Annotated[
        str,
        typer.Argument(
            metavar="WHERE", help="A project of a hub, https://hub.example.org/p/PROJECT, or with --git a repository."
        ),
    ],
    git: Annotated[bool, typer.Option("--git", help="WHERE is a git repository.")] = False,
    branch: Annotated[str, typer.Option("--branch", metavar="NAME", help="With --git: the team's branch.")] = "main",
    folder: Annotated[str, typer.Option("--folder", metavar="PATH", help="With --git: where its skills lie.")] = "",
    propose: Annotated[
        list[str] | None,
        typer.Option("--propose", metavar="SKILL", help="Propose this skill, which the team does not have yet."),
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Vouch at T2, with your key, for what comes: you trust the team's review.")
    ] = False,
    sessions: Annotated[
        bool, typer.Option("--sessions", help="Give the hub your imported sessions, too.")
    ] = False,
    token: Annotated[
        Path | None, typer.Option("--token", metavar="FILE", help="A file that holds your token; kept for later.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    library: LibraryPath = None,
    yes: Yes = False,
    json: Json = False,
) -> None:  # fmt: skip
    """Keep the library in step with your team's.

    What is new there is taken, what you changed is proposed there. What both sides changed is merged;
    where that does not work both are named and nothing is touched (exit code 1). Skills that the team
    does not have stay here unless you name them with --propose.
    """
    from prowess.cli.screen import Screen
    from prowess.core.errors import UserError
    from prowess.serve.sync import sync as run

    screen, opened = Screen(json), open_library(library, create=True)
    if git:
        from prowess.serve.sync.git import GitRemote

        if sessions:
            raise UserError("a git repository takes no sessions", "they go to a hub")
        remote: Remote = GitRemote(opened, where, branch, folder)
    else:
        try:
            from prowess.cli.hub import client_of
            from prowess.serve.sync.hub import HubRemote
        except ImportError as error:
            raise UserError(
                f"the package {error.name!r} is not installed", "run `pip install 'prowess[hub]'`"
            ) from error

        client, project = client_of(where, token)
        remote = HubRemote(client, project)
        if sessions and not dry_run:
            screen.confirm(f"Give your imported sessions to {remote.name}? Secrets are taken out.", yes)
            _give_sessions(screen, client, project)
    before = opened.trust.number()
    done = run(opened, remote, propose=propose or (), dry=dry_run)
    if trust and not dry_run and opened.trust.number() != before:
        _vouch(screen, opened, done, remote.name)
    _say(screen, done, remote.name, json)
    if done.conflicts:
        raise typer.Exit(1)


def _say(screen: "Screen", done: "Synced", name: str, json: bool) -> None:
    if json:
        screen.data({"taken": done.taken, "given": done.given, "conflicts": done.conflicts, "new": done.new})
        return
    for skill in done.taken:
        screen.line("← ", (skill, "bold"))
    for skill, said in done.given.items():
        screen.line("→ ", (skill, "bold"), f"  {said}")
    for skill, places in done.conflicts.items():
        screen.line("✗ ", (skill, "bold"), f"  changed here and there: {'; '.join(places)}")
        screen.note("edit the skill here until it holds both, or delete it here, then sync again")
    if done.new:
        screen.note(f"only here: {', '.join(done.new)}; --propose NAME gives one to the team")
    if not (done.taken or done.given or done.conflicts):
        screen.note(f"nothing to do: the library and {name} agree")


def _vouch(screen: "Screen", library: "Library", done: "Synced", where: str) -> None:
    from prowess.core.errors import Refused
    from prowess.core.trust import Tier
    from prowess.guard.keys import Keyring
    from prowess.guard.promotion import promote

    there = set(library.snapshot().names)
    for name in done.taken:
        if name in there:
            try:
                promote(library, Keyring(), name, Tier.REVIEWED, reason=f"reviewed by the team at {where}")
            except Refused as refused:
                screen.note((f"{name} stays T1: ", "bold"), refused.message)


def _give_sessions(screen: "Screen", client: "object", project: str) -> None:
    from prowess.cli.places import trajectories
    from prowess.report.text import count
    from prowess.serve.hub.client import Client

    assert isinstance(client, Client)
    given = 0
    with trajectories() as store:
        for row in store.find() if store.path.is_file() else ():
            client.upload(project, store.get(row.id))
            given += 1
    screen.line(f"{count(given, 'session')} given")
