"""`prowess trace`: what a trajectory brought about."""

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from prowess.cli.options import Json, LibraryPath, open_library

if TYPE_CHECKING:
    from prowess.cli.screen import Screen
    from prowess.library.provenance import Edit, Place


def trace(
    *,
    trajectory: Annotated[str, typer.Argument(metavar="TRAJECTORY", help="Its id; the beginning is enough.")],
    library: LibraryPath = None,
    json: Json = False,
) -> None:
    """List every lesson and edit that a trajectory caused.

    Applied, taken back, waiting, rejected, or refused by a gate; and where the lines are now.
    """
    from prowess.cli import entries
    from prowess.cli.places import trajectory as stored
    from prowess.cli.screen import BOLD, SOFT, Screen
    from prowess.cli.why import quoted
    from prowess.library import provenance
    from prowess.trajectories.store import CorruptTrajectory

    screen = Screen(json)
    opened = open_library(library)
    found = provenance.trace(opened, trajectory)
    own = {
        id: lesson.model_copy(
            update={"references": tuple(r for r in lesson.references if r.trajectory == found.trajectory)}
        )
        for id, lesson in found.lessons.items()
    }
    found = found.model_copy(update={"lessons": quoted(opened, own)})
    if json:
        screen.data(found)
        return
    ran = None
    with suppress(CorruptTrajectory):
        ran = stored(found.trajectory, opened.path.parent)
    what = f"  {ran.task_id or 'an imported session'}, {ran.agent} with {ran.model}" if ran is not None else ""
    screen.line((found.trajectory[:16], BOLD), (what, SOFT))
    entries.lessons(screen, list(found.lessons.values()))
    for edit in found.edits:
        screen.line()
        _edit(screen, edit)
    if not found.edits:
        screen.note("no edit came of it")


def _edit(screen: "Screen", edit: "Edit") -> None:
    from prowess.cli import entries
    from prowess.cli.screen import BAD, BOLD, GOOD, SOFT

    style = {"applied": GOOD, "refused by a gate": BAD, "rejected": BAD}.get(edit.fate, BOLD)
    who = f" by {edit.by}" if edit.by else ""
    when = f"  {edit.when[:16].replace('T', ' ')}{who}" if edit.when else ""
    screen.line(((edit.change or edit.patch)[:8], BOLD), "  ", (edit.fate, style), f"  {edit.reason}", (when, SOFT))
    if edit.note:
        screen.line("  ", edit.note)
    entries.verdicts(screen, edit.verdicts)
    if edit.places:
        screen.line("  now: ", "; ".join(map(_place, edit.places)))
    elif edit.fate == "applied":
        screen.line("  ", ("none of its lines is left", SOFT))


def _place(place: "Place") -> str:
    lines = str(place.first) if place.first == place.last else f"{place.first}-{place.last}"
    return f"{place.skill}/{place.file}:{lines}"
