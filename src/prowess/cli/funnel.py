"""`prowess funnel`: offered, loaded, used, helped, for each skill."""

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prowess.cli.options import Json

if TYPE_CHECKING:
    from prowess.measure.funnel import Step


def funnel(
    *,
    page: Annotated[Path | None, typer.Option("--page", metavar="FILE", help="Write a page, too.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, help="Most skills to list.")] = 40,
    json: Json = False,
) -> None:
    """Show which skills are offered, loaded, used, and help.

    The first three are counted over imported sessions and stored trials; helped needs pairs of trials, which `prowess
    measure` makes. Exit code 1 when there is nothing to count.
    """
    from prowess.cli.places import trajectories, write
    from prowess.cli.screen import BOLD, Screen
    from prowess.measure.funnel import funnel as count
    from prowess.measure.funnel import of_trials
    from prowess.report.text import points, probability
    from prowess.report.triggers import funnel_sentence, render_funnel
    from prowess.settings import load
    from prowess.trajectories.runstore import RunStore

    screen = Screen(json)
    sessions, trials = trajectories(), load().settings.data / "trials.db"
    found = count(
        chain(
            sessions.skill_use() if sessions.path.is_file() else (),
            of_trials(RunStore(trials)) if trials.is_file() else (),
        )
    )
    if page is not None:
        write(page, render_funnel(found))
    if json:
        screen.data({"summary": funnel_sentence(found), "page": page, "funnel": found})
    elif found.skills:
        screen.table(
            ("skill", "offered", "loaded", "used", "helped"),
            [
                (
                    s.skill, _step(s.offered), _step(s.loaded), _step(s.used),
                    "–" if (h := s.helped) is None else
                    f"{points(h.effect)} points [{points(h.low)}, {points(h.high)}], n = {h.pairs}, {probability(h.p)}",
                )
                for s in found.skills[:limit]
            ],
        )  # fmt: skip
        if (more := len(found.skills) - limit) > 0:
            screen.line(f"and {more} more, offered less often")
        screen.line((funnel_sentence(found), BOLD))
        if page is not None:
            screen.line(f"Open {page} to see it drawn.")
    if not found.skills:
        screen.note(
            "no stored session was offered a skill: `prowess import` reads sessions, `prowess measure` runs trials"
        )
        raise typer.Exit(1)


def _step(step: "Step") -> str:
    from prowess.report.text import percent

    return f"{step.k:,} of {step.of:,} [{percent(step.low)}, {percent(step.high)}]" if step.of else "–"
