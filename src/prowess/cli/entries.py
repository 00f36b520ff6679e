"""How the entries of a library's ledger are printed: changes, proposals, lessons, verdicts and their evidence."""

from typing import TYPE_CHECKING

from prowess.cli.screen import BAD, BOLD, GOOD, SOFT, Screen
from prowess.report.text import points, probability

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prowess.core.evidence import Evidence, Verdict
    from prowess.core.lesson import Lesson
    from prowess.core.patch import Patch
    from prowess.library import Change, Library, Proposal

SIGNS = {"pass": ("✓", GOOD), "fail": ("✗", BAD), "propose": ("?", BOLD)}
STYLES = {"better": GOOD, "worse": BAD, "not enough evidence": BOLD}


def evidence(e: "Evidence") -> str:
    """`better: +48 points [+30, +62], n = 40, p < 0.0001, A/A flips 3 of 40`."""
    interval = f"[{points(e.low)}, {points(e.high)}]"
    missing = f", {e.missing} missing" if e.missing else ""
    noise = f"A/A flips {e.noise.flips} of {e.noise.n}" if e.noise else "no A/A run known"
    return f"{e.outcome}: {points(e.effect)} points {interval}, n = {e.n}{missing}, {probability(e.p)}, {noise}"


def verdicts(screen: Screen, found: "Sequence[Verdict]") -> None:
    for verdict in found:
        sign, style = SIGNS[verdict.status]
        undecided = verdict.evidence is None or verdict.evidence.outcome == "not enough evidence"
        said = verdict.note if undecided and verdict.note else evidence(verdict.evidence) if verdict.evidence else ""
        screen.line("  ", (sign, style), f" {verdict.gate}", (f"  {said}" if said else "", SOFT))


def lessons(screen: Screen, found: "Sequence[Lesson]") -> None:
    from prowess.core.text import one_line

    for lesson in found:
        screen.line("  • ", lesson.text)
        for reference in lesson.references[:3]:
            quote = one_line(reference.quote, 160)
            where = f"{reference.trajectory[:16]}, step {reference.first_step + 1}"
            screen.line("    ", (f"“{quote}” " if quote else "", ""), (f"({where})", SOFT))
        if len(lesson.references) > 3:
            screen.line("    ", (f"and {len(lesson.references) - 3} more", SOFT))


def proposal(screen: Screen, library: "Library", found: "Proposal") -> None:
    """Everything that a person needs to decide."""
    by = f" by {found.by}" if found.by else ""
    screen.line((found.id[:8], BOLD), f"  {found.patch.reason}", (f"  {found.when[:16]}{by}", SOFT))
    verdicts(screen, found.verdicts)
    lessons(screen, found.lessons)
    screen.diff(difference(library, found.patch))


def change(screen: Screen, found: "Change", undone: bool = False) -> None:
    reason = found.patch.reason if found.patch is not None else {"external": "edited by hand"}.get(found.kind, "")
    if found.undoes:
        reason = f"takes back {found.undoes[:8]}"
    state = "  (taken back)" if undone else ""
    screen.line(
        (found.id[:8], BOLD), f"  {found.when[:16].replace('T', ' ')}  {found.kind:<8}  ", reason, (state, SOFT)
    )
    details = ", ".join(found.trees) + (f" · by {found.by}" if found.by else "")
    screen.line("          ", (details, SOFT))
    for verdict in found.verdicts:
        if verdict.evidence is not None:
            screen.line("          ", (evidence(verdict.evidence), STYLES[verdict.evidence.outcome]))


def difference(library: "Library", patch: "Patch") -> str:
    """What a patch would change in the library as it is now, as a unified diff; raises PatchConflict."""
    from prowess.library.patching import diff

    return diff(library.snapshot(), library.preview(patch))
