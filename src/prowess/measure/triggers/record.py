"""A whole measurement of triggers: from queries and libraries to one record."""

from collections.abc import Mapping, Sequence

from prowess.core.base import Frozen
from prowess.core.errors import UserError
from prowess.core.skill import Snapshot
from prowess.core.view import View
from prowess.measure.trials import Arm, Bench
from prowess.measure.triggers.catalogue import Preset, listing, view
from prowess.measure.triggers.choosers import is_external
from prowess.measure.triggers.results import (
    Comparison,
    Results,
    check_comparable,
    check_known,
    compare_descriptions,
    results,
)
from prowess.measure.triggers.sets import Query
from prowess.measure.triggers.trials import Decision, run


class TriggerRecord(Frozen):
    """What was asked, what was loaded, and what it comes to."""

    preset: Preset
    queries: tuple[Query, ...]
    decisions: tuple[Decision, ...]
    arms: tuple[Results, ...]
    """One for each library; `old` and `new` where two descriptions are compared."""
    comparison: Comparison | None = None


async def measure(
    queries: Sequence[Query],
    libraries: Mapping[str, Snapshot],
    preset: Preset,
    bench: Bench,
    *,
    skill: str | None = None,
    seeds: Sequence[int] = (0,),
    uses: Mapping[str, int] | None = None,
) -> TriggerRecord:
    """Asks every query of every library, once for each seed.

    Args:
        libraries: by the name of their arm. Two, `old` and `new` in this order, compare the descriptions of `skill`.
        preset: how the list of skills is cut. External agents cut their own; for them it says what they are expected
            to show.
        uses: how often each skill was loaded before.

    Raises:
        UserError: nothing to ask, a query speaks of a skill that a library lacks, or see `compare_descriptions`.
        BudgetExceeded: a limit was reached; the same call resumes.
    """
    if not queries:
        raise UserError("there is no query to ask", "name a trigger set, and skills that it speaks of")
    listings = {name: listing(library, preset, uses) for name, library in libraries.items()}
    for shown in listings.values():
        check_known(queries, shown)
    if skill is not None:
        check_comparable(queries, skill, listings)  # before anything is paid
    views = {
        name: View(snapshot=library.digest, skills=library.skills, disclosure="progressive")
        if is_external(bench.agent)
        else view(library, listings[name])
        for name, library in libraries.items()
    }
    arms = [Arm(name, lambda task, shown=shown: shown) for name, shown in views.items()]
    decisions = await run(queries, arms, seeds, bench)
    found = tuple(results(queries, decisions, listings[name], arm=name, agent=bench.agent.name) for name in libraries)
    return TriggerRecord(
        preset=preset,
        queries=tuple(queries),
        decisions=decisions,
        arms=found,
        comparison=None if skill is None else compare_descriptions(queries, decisions, skill, listings),
    )
