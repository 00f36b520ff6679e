"""How a measurement is printed and written as a page."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from prowess.cli.screen import Screen
    from prowess.core.evidence import Evidence
    from prowess.measure.libraries import Measurement
    from prowess.measure.trials import Store


def show(screen: "Screen", found: "Measurement") -> None:
    """A measurement in some lines: the arms, the verdict, a row for each skill, the history."""
    from prowess.cli.entries import STYLES
    from prowess.report.measurement import agreement_sentence
    from prowess.report.text import points, probability

    e = found.evidence
    arms = [(e.baseline, e.baseline_rate * e.n, e.n), (e.treatment, e.treatment_rate * e.n, e.n)]
    if found.oracle is not None:
        arms.append(("oracle: the right answers", found.oracle.passed, found.oracle.n))
    screen.table(("", "passed", "of"), [(name, f"{passed:.4g}", str(n)) for name, passed, n in arms])
    for task in found.oracle.broken if found.oracle is not None else ():
        screen.line(("  even its right answer fails: ", "bold"), task)
    details(screen, e)
    if found.agreement is not None:
        screen.line(agreement_sentence(found.agreement))
    if len(found.skills) > 1:
        screen.line()
        screen.table(
            ("skill", "points", "interval", "won/tied/lost", f"p ({found.adjustment})", "verdict"),
            [
                (
                    s.skill,
                    points(s.evidence.effect),
                    f"{points(s.evidence.low)} to {points(s.evidence.high)}",
                    f"{s.evidence.wins}/{s.evidence.ties}/{s.evidence.losses}",
                    probability(s.adjusted_p),
                    (s.outcome, STYLES[s.outcome]),
                )
                if s.evidence is not None
                else (s.skill, "–", "–", "–", "–", "no task shows it")
                for s in found.skills
            ],
        )
    for i, state in enumerate(found.states):
        when = f"after “{state.label}”" if i else state.label
        screen.line(f"{when}: {state.passed} of {state.n}")


def details(screen: "Screen", e: "Evidence") -> None:
    """The verdict, who judged, what it cost, and what got worse."""
    from prowess.cli import entries
    from prowess.report.text import spent

    screen.line((entries.evidence(e), entries.STYLES[e.outcome]))
    screen.line((f"  {e.wins} won, {e.ties} tied, {e.losses} lost; {e.test}", "dim"))
    screen.line((f"  judged by {', '.join(e.judged_by) or 'nobody'}; the trials cost {spent(e.cost)}", "dim"))
    for task, trajectory in e.harms:
        screen.line("  got worse: ", task, (f"  (trial {trajectory[:16]})", "dim"))


def write(page: "Path", found: "Measurement", store: "Store") -> None:
    """The page of a measurement; UserError where the file cannot be written."""
    from prowess.core.errors import UserError
    from prowess.measure.trials import stored_trajectory
    from prowess.report.measurement import render_measurement

    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(render_measurement(found, lambda id: stored_trajectory(store, id)), "utf-8")
    except OSError as error:
        raise UserError(f"cannot write {page}: {error}", "give another file; the trials are stored") from error
