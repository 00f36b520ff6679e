"""`prowess why`: what is behind a skill, or a line of it."""

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from prowess.cli.options import Json, LibraryPath, open_library

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prowess.cli.screen import Screen
    from prowess.core.lesson import Lesson, Reference
    from prowess.library import Library
    from prowess.library.provenance import Reason, Why

QUOTE = 300
"""Characters of a step that are shown where the lesson quotes nothing."""


def why(
    *,
    what: Annotated[
        str,
        typer.Argument(
            metavar="SKILL[/FILE][:LINE[-LINE]]", help="A skill, a file of it, a line or a range of lines; by default "
            "the whole SKILL.md.",
        ),
    ],
    library: LibraryPath = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Say what is behind a skill or a line of it.

    Lessons, the steps that they quote, verdicts, patches, and who applied them.
    """
    from prowess.cli.screen import BOLD, SOFT, Screen
    from prowess.library import provenance

    screen = Screen(json)
    opened = open_library(library)
    skill, file, span = _parsed(what)
    found = provenance.why(opened, skill, file, span)
    reasons = tuple(r.model_copy(update={"lessons": quoted(opened, r.lessons)}) for r in found.reasons)
    if json:
        screen.data(found.model_copy(update={"reasons": reasons}))
        return
    screen.line((f"{skill}/{file}", BOLD))
    width = len(str(found.lines[-1].number)) if found.lines else 1
    for line in found.lines:
        screen.line((f"{line.number:>{width}}  {(line.change or 'by hand')[:8]:<8}  ", SOFT), line.text)
    for reason in reasons:
        screen.line()
        _reason(screen, reason, found, whole=span is None)


def quoted(library: "Library", lessons: "Mapping[str, Lesson]") -> "dict[str, Lesson]":
    """The lessons, with the text of the step where a reference quotes nothing and the trajectory can be found."""
    from prowess.cli.places import trajectory
    from prowess.core.text import shorten
    from prowess.trajectories.store import CorruptTrajectory

    def full(reference: "Reference") -> "Reference":
        found = None
        with suppress(CorruptTrajectory):
            found = None if reference.quote else trajectory(reference.trajectory, library.path.parent)
        if found is None or not found.steps:
            return reference
        step = found.steps[min(reference.last_step, len(found.steps) - 1)]
        text = step.message or step.reasoning or "".join(o.content for o in step.observations)
        return reference.model_copy(update={"quote": shorten(text, QUOTE)})

    return {
        id: lesson.model_copy(update={"references": tuple(full(r) for r in lesson.references)})
        for id, lesson in lessons.items()
    }


def _parsed(what: str) -> tuple[str, str, tuple[int, int] | None]:
    from prowess.core.errors import UserError

    match = re.fullmatch(r"([^/:]+)(?:/([^:]+))?(?::([0-9]{1,9})(?:-([0-9]{1,9}))?)?", what)
    if match is None:
        raise UserError(f"{what!r} names no skill or line", "write SKILL, SKILL:12, SKILL:12-20 or SKILL/FILE:12")
    skill, file, first, last = match.groups()
    return skill, file or "SKILL.md", (int(first), int(last or first)) if first else None


def _reason(screen: "Screen", reason: "Reason", found: "Why", whole: bool) -> None:
    from prowess.cli import entries
    from prowess.cli.screen import BOLD, SOFT

    at = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in reason.lines)
    if reason.change is None:
        screen.line((f"lines {at}", BOLD), f"  {reason.reason}")
        return
    told = {"apply": "applied", "undo": "taken back", "external": "edited by hand"}[reason.kind]
    who = f" by {reason.by}" if reason.by else ""
    wrote = f", written by {reason.author}" if reason.author not in ("", reason.by) else ""
    moved = "" if reason.rebased == "same base" else f", rebased ({reason.rebased})"
    screen.line(
        (reason.change[:8], BOLD),
        f"  lines {at}  ",
        (f"{told} {reason.when[:16].replace('T', ' ')}{who}{wrote}{moved}", SOFT),
    )
    if reason.kind == "apply":
        screen.line("  ", reason.reason)
    entries.verdicts(screen, reason.verdicts)
    lines = [line for line in found.lines if line.change == reason.change]
    own = {id for line in lines for id in line.lessons}
    stated = [] if whole else [lesson for id, lesson in reason.lessons.items() if id in own]
    if reason.lessons and not stated and not whole:
        screen.line("  ", ("no lesson states this line by itself; its change rests on", SOFT))
    entries.lessons(screen, stated or list(reason.lessons.values()))
