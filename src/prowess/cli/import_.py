"""`prowess import`: read sessions that agents left behind."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prowess.cli.options import Json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prowess.cli.progress import Waiting
    from prowess.core.trajectory import Trajectory
    from prowess.trajectories.importers import Report


def import_(
    *,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="Session files, or folders that hold some.")],
    format: Annotated[
        str | None,
        typer.Option("--format", metavar="FORMAT", help="claude-code, codex, chat or atif, where it is not clear."),
    ] = None,
    principal: Annotated[
        str,
        typer.Option(
            "--principal", metavar="NAME", help="Whose sessions they are, when not your own: few people alone teach "
            "nothing.", show_default=False,
        ),
    ] = "",
    json: Json = False,
) -> None:  # fmt: skip
    """Read sessions that agents left behind.

    Knows Claude Code, Codex, chats and ATIF. Secrets are taken out before anything is stored; importing a session again
    changes nothing. Exit code 1 when no session was found.
    """
    from prowess.cli.places import trajectories
    from prowess.cli.progress import Waiting
    from prowess.cli.screen import Screen
    from prowess.report.text import count

    screen = Screen(json)
    reports: list[Report] = []
    with trajectories() as store, Waiting() as waiting:
        new = store.put_all(_read(paths, format, principal, reports, waiting))
        kept = len(store)
    sums: dict[str, Counter[str]] = {name: Counter() for name in ("known", "unknown", "redacted")}
    for report in reports:
        for name, counter in sums.items():
            counter.update(getattr(report, name))
    found = sum(report.trajectories for report in reports)
    broken = [report for report in reports if report.broken]
    if json:
        screen.data(
            {
                "files": len(reports),
                "trajectories": found,
                "new": new,
                "in_store": kept,
                "own_runs": sum(report.own_runs for report in reports),
                "broken_lines": {str(r.path): r.broken_lines for r in broken},
                **sums,
            }
        )
    else:
        screen.line(f"{count(found, 'session')} in {count(len(reports), 'file')}; {new:,} new, {kept:,} kept in all")
        if sums["redacted"]:
            screen.line(f"secrets taken out: {_list(sums['redacted'])}")
        if sums["unknown"]:
            screen.line(f"records of unknown type, kept but not read: {_list(sums['unknown'])}")
        for report in broken[:20]:
            line, why = report.broken_lines[0]
            screen.note(f"{report.path}: {report.broken} lines not read; the first is {line}: {why}")
    if not found:
        screen.note("no session was found; agents keep theirs in ~/.claude/projects and ~/.codex/sessions")
        raise typer.Exit(1)


def _read(
    paths: list[Path], format: str | None, principal: str, reports: "list[Report]", waiting: "Waiting"
) -> "Iterator[Trajectory]":
    """The trajectories of all files; their reports are added to `reports`."""
    from prowess.trajectories.importers import import_path

    for path in paths:
        for imported in import_path(
            path,
            lambda p: waiting.at("kilobytes", p.bytes >> 10, p.bytes_total >> 10, p.path.name),
            format=format,
            principal=principal,
        ):
            if not reports or reports[-1] is not imported.report:
                reports.append(imported.report)
            if imported.trajectory is not None:
                yield imported.trajectory


def _list(counter: Counter[str]) -> str:
    return ", ".join(f"{n:,} {name}" for name, n in counter.most_common(12))
