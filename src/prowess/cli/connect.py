"""`prowess connect` and `prowess disconnect`: set an agent up, and take that back."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prowess.cli.options import Json, Yes

if TYPE_CHECKING:
    from prowess.cli.screen import Screen
    from prowess.serve.connect.agents import Way
    from prowess.serve.connect.journal import Journal

AgentName = Annotated[
    str, typer.Argument(metavar="AGENT", help="claude-code, codex, opencode, gemini or cursor.", show_default=False)
]
_ON_THE_WAY = "from prowess.cli.main import run; run()"


def connect(
    agent: AgentName,
    *,
    proxy: Annotated[
        str | None,
        typer.Option(
            "--proxy", metavar="URL", help="Also send model calls there, as `prowess serve proxy` printed it."
        ),
    ] = None,
    mcp: Annotated[bool, typer.Option("--mcp/--no-mcp", help="Give the agent the library's tools.")] = True,
    hooks: Annotated[bool, typer.Option("--hooks/--no-hooks", help="Capture each session as it ends.")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Set an agent up to use prowess.

    Changes the agent's own configuration files, after showing what changes; `prowess disconnect` takes it back to the
    byte. What an agent has no way for is left out.
    """
    from prowess.cli.screen import Screen
    from prowess.core.errors import UserError
    from prowess.serve.connect.agents import agent as known

    found = known(agent)
    wanted: dict[Way, bool] = {"mcp": mcp, "hooks": hooks, "proxy": proxy is not None}
    ways: tuple[Way, ...] = tuple(way for way, on in wanted.items() if on and (way == "proxy" or way in found.ways))
    if not ways:
        raise UserError("nothing is left to be set up", f"{found.title} can be connected by {', '.join(found.ways)}")
    screen, journal = Screen(json), _journal()
    planned = journal.plan(agent, ways, Path.home(), _values(found.moved.name if found.moved else "", proxy))
    changes = [(file.path, file.before, file.after) for file in planned.files]
    if not json:
        for path, before, after in changes:
            _show(screen, path, before, after)
    if not dry_run:
        screen.confirm(f"Change {', '.join(str(path) for path, _, _ in changes)}?", yes)
        journal.connect(planned)
        screen.note(f"{found.title} is connected by {', '.join(ways)}; start it anew")
    if json:
        screen.data({"agent": agent, "ways": ways, "files": [str(path) for path, _, _ in changes], "done": not dry_run})


def disconnect(agent: AgentName, *, json: Json = False) -> None:
    """Take back what `connect` did.

    Each file becomes what it was, to the byte; where somebody else has written it since, only the entries of prowess
    are taken out. Where these were edited too, nothing is touched and the message says what to do. Exit code 1 when the
    agent was not connected.
    """
    from prowess.cli.screen import Screen
    from prowess.serve.connect.agents import agent as known

    screen, journal, title = Screen(json), _journal(), known(agent).title
    there = journal.connection(agent) is not None
    done = journal.disconnect(agent)
    if json:
        screen.data({"agent": agent, "connected": there, "files": [str(rewrite.path) for rewrite in done]})
    elif there:
        for rewrite in done:
            screen.line(f"{'removed' if rewrite.new is None else 'restored'} {rewrite.path}")
        screen.note(f"{title} is as it was")
    else:
        screen.note(f"{title} was not connected")
    if not there:
        raise typer.Exit(1)


def _journal() -> "Journal":
    from prowess.serve.connect.journal import Journal
    from prowess.settings import load

    return Journal(load().settings.data / "connections")


def _values(moved: str, proxy: str | None) -> dict[str, object]:
    """What the placeholders of the table stand for on this machine."""
    import shlex
    import shutil
    import sys

    from prowess.settings import variables

    program = shutil.which("prowess")
    argv = [program] if program is not None else [sys.executable, "-c", _ON_THE_WAY]
    url = (proxy or "").rstrip("/")
    return {
        "program": argv[0],
        "arguments": [*argv[1:], "serve", "mcp"],
        "argv": [*argv, "serve", "mcp"],
        "hook": shlex.join([*argv, "capture", "--hook"]),
        "url": url,
        "root": url.removesuffix("/v1"),
        **(variables(moved) if moved else {}),
    }


def _show(screen: "Screen", path: Path, before: bytes | None, after: bytes) -> None:
    from difflib import unified_diff

    from prowess.guard.redact import redact

    old, new = ((data or b"").decode("utf-8", "replace").splitlines(keepends=True) for data in (before, after))
    screen.diff(redact("".join(unified_diff(old, new, str(path), str(path)))))
