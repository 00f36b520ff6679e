"""`prowess review`: decide on what was proposed."""

from typing import TYPE_CHECKING, Annotated

import typer

from prowess.cli.options import Json, LibraryPath, Yes, find_proposal, open_library

if TYPE_CHECKING:
    from prowess.cli.screen import Screen
    from prowess.library import Library, Proposal


def review(
    *,
    accept: Annotated[list[str] | None, typer.Option("--accept", metavar="ID", help="Apply this proposal.")] = None,
    reject: Annotated[
        list[str] | None, typer.Option("--reject", metavar="ID", help="Refuse this one for good.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why it is refused; kept with it.")] = "",
    foreign: Annotated[bool, typer.Option("--foreign", help="Also change skills that prowess did not write.")] = False,
    library: LibraryPath = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Decide on what was proposed.

    Shows each proposal with its difference, evidence and quotes. Without --accept and --reject it
    asks about each on a terminal, and lists them elsewhere.
    """
    from prowess.cli import entries
    from prowess.cli.screen import Screen
    from prowess.cli.trust import accepted as vouch
    from prowess.core.errors import PatchConflict

    screen = Screen(json)
    opened = open_library(library)
    accepted = [find_proposal(opened, id) for id in accept or []]
    rejected = [find_proposal(opened, id) for id in reject or []]
    if accepted or rejected:
        for proposal in () if json else (*accepted, *rejected):
            entries.proposal(screen, opened, proposal)
        screen.confirm(f"Accept {len(accepted)} and reject {len(rejected)} in {opened.path}?", yes)
        changes = [opened.accept(p.id, by="user", allow_foreign=foreign) for p in accepted]
        for change in changes:
            vouch(screen, opened, change)
        for proposal in rejected:
            opened.reject(proposal.id, reason)
        if json:
            screen.data({"accepted": changes, "rejected": [p.id for p in rejected]})
        for change in () if json else changes:
            screen.line(f"applied as {change.id[:8]}; `prowess undo {change.id[:8]}` takes it back")
        return
    waiting = opened.proposals()
    if json:
        screen.data([{**p.model_dump(mode="json"), "diff": _preview(opened, p)} for p in waiting])
        return
    if not waiting:
        screen.note("nothing waits for you")
    for proposal in waiting:
        try:
            entries.proposal(screen, opened, proposal)
        except PatchConflict as conflict:
            screen.line("  ", ("no longer fits: ", "bold"), "; ".join(conflict.conflicts))
        if screen.interactive and not _decide(screen, opened, proposal, foreign):
            return
        screen.line()


def _decide(screen: "Screen", library: "Library", proposal: "Proposal", foreign: bool) -> bool:
    """Asks about one proposal and does what is said; False to stop asking."""
    from prowess.cli.trust import accepted as vouch

    answer = screen.ask("[a]ccept, [r]eject, [s]kip or [q]uit?")
    if answer.startswith("a"):
        change = library.accept(proposal.id, by="user", allow_foreign=foreign)
        vouch(screen, library, change)
        screen.line(f"applied as {change.id[:8]}")
    elif answer.startswith("r"):
        library.reject(proposal.id, screen.ask("Why?"))
        screen.line("rejected")
    return not answer.startswith("q")


def _preview(library: "Library", proposal: "Proposal") -> str | None:
    """The difference; None when the proposal no longer fits."""
    from prowess.cli import entries
    from prowess.core.errors import PatchConflict

    try:
        return entries.difference(library, proposal.patch)
    except PatchConflict:
        return None
