"""`prowess gate`: what a change does to skills, for pull requests."""

from pathlib import Path
from typing import Annotated

import typer

from prowess.cli.options import Json


def gate(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="Skills as they were: any folder that holds some.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="Skills as they would be.")],
    *,
    comment: Annotated[
        Path | None, typer.Option("--comment", metavar="FILE", help="Write the verdicts as Markdown.")
    ] = None,
    json: Json = False,
) -> None:
    """Judge each skill that changes between two folders.

    Is it valid, does it bring anything dangerous, does it do more than it declares? Made for pull requests: the GitHub
    Action of prowess calls it with both sides checked out. Nothing of a skill is run. Exit code 1 when one fails.
    """
    from prowess.cli.places import write
    from prowess.cli.screen import BAD, BOLD, GOOD, SOFT, Screen
    from prowess.library.folders import skills_below
    from prowess.report.pull_request import comment as worded
    from prowess.report.pull_request import gated

    screen = Screen(json)
    found = gated(skills_below(before), skills_below(after))
    if comment is not None:
        write(comment, worded(found))
    if json:
        screen.data([{"skill": g.name, "change": g.change, "status": g.status, "verdicts": g.verdicts} for g in found])
    for each in () if json else found:
        style = {"pass": GOOD, "fail": BAD}.get(each.status, BOLD)
        screen.line((each.status, style), f"  {each.name}", (f"  {each.change}", SOFT))
        for verdict in each.verdicts:
            for line in verdict.note.split("\n") if verdict.note else ():
                screen.line(f"  {verdict.gate}: {line}")
    if not found:
        screen.note("no skill changes")
    if any(each.status == "fail" for each in found):
        raise typer.Exit(1)
