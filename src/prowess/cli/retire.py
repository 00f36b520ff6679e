"""Taking a skill out once its proof is in: what verbs that retire skills have in common."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prowess.cli.screen import Screen
    from prowess.core.evidence import Verdict
    from prowess.core.patch import Patch
    from prowess.library import Library


def settle(
    screen: "Screen", library: "Library", name: str, patch: "Patch", verdicts: "tuple[Verdict, ...]", yes: bool, by: str
) -> dict[str, Any]:
    """Archive what is proven dispensable, if the user says so; propose it where nobody can be asked."""
    from prowess.core.cost import total
    from prowess.measure.gates import accepted

    note = verdicts[-1].note
    if not accepted(verdicts):
        library.upkeep.refuse(patch, verdicts=verdicts, by=by)
        screen.note((f"{name} stays: ", "bold"), note)
        outcome = "kept"
    elif not library.is_authored(name) or not (yes or (screen.interactive and not screen.json)):
        proposal = library.propose(patch, verdicts=verdicts, by=by)
        screen.note((f"{name}: ", "bold"), f"{note}; proposed, `prowess review {proposal.id[:8]}` decides")
        outcome = "proposed"
    elif yes or screen.ask(f"{name}: {note}. Archive it? [y/N]") in ("y", "yes"):
        library.apply(patch, verdicts=verdicts, by=by, cost=total([v.cost for v in verdicts]))
        screen.note((f"{name} archived: ", "bold"), f"{note}; `prowess lifecycle restore {name}` brings it back")
        outcome = "archived"
    else:
        outcome = "declined"
    return {"skill": name, "outcome": outcome, "verdicts": verdicts}
