"""`prowess capture`: keep the sessions of agents as they end, or all that are new."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prowess.cli.options import Json

if TYPE_CHECKING:
    from prowess.serve.capture import Swept

MOST_TOLD = 1 << 20
"""Bytes that a hook may be told."""


def capture(
    *,
    hook: Annotated[
        bool, typer.Option("--hook", help="As the hook of an agent: the session that standard input names.")
    ] = False,
    watch: Annotated[
        int | None,
        typer.Option("--watch", metavar="SECONDS", min=10, help="Look again and again, until interrupted.",
                     show_default=False),
    ] = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Keep new sessions of Claude Code and Codex.

    Looks once where they leave their sessions, keeps what is new, without secrets, and ends. `prowess connect` has
    agents call it with --hook as a session ends; then it always exits with 0, so that it never stands in their way.
    """
    import sys
    import time

    from prowess.cli.places import trajectories
    from prowess.cli.screen import Screen
    from prowess.core.errors import UserError
    from prowess.serve.capture import ended
    from prowess.settings import RUN, variables

    screen = Screen(json)
    if hook:
        if variables(RUN):
            return  # a run of our own
        try:
            with trajectories() as store:
                new = ended(sys.stdin.buffer.read(MOST_TOLD), places(), store)
        except UserError as error:
            screen.note("not captured: ", error.message)
        else:
            screen.note(f"{new} kept")
        return
    while True:
        swept = look()
        if json:
            screen.data(swept._asdict())
        elif swept.files or watch is None:
            left = f"; {swept.left:,} more to read" if swept.left else ""
            screen.line(f"{swept.sessions:,} sessions in {swept.files:,} changed files, {swept.new:,} new{left}")
        if watch is None and not swept.left:
            return
        if watch is not None and not swept.left:
            time.sleep(watch)


def places() -> tuple[Path, ...]:
    """Where the agents of this machine leave their sessions."""
    from prowess.serve.capture import FOLDERS, folders
    from prowess.settings import variables

    return folders(Path.home(), variables(*(variable for variable, _, _ in FOLDERS.values())))


def look() -> "Swept":
    """One sweep over all places."""
    from prowess.cli.places import trajectories
    from prowess.serve.capture import STATE, sweep
    from prowess.settings import load

    with trajectories() as store:
        return sweep(places(), store, load().settings.data / STATE)
