"""From decisions to figures: recall, false triggers, precision and confusions, and which of two descriptions is better.

What counts as one observation is a need, not a run: wordings of one wish and repetitions of one query are alike, so
they make the share more exact but never the interval narrower than the needs allow.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from prowess.core.base import Frozen
from prowess.core.cost import Cost, total
from prowess.core.errors import UserError
from prowess.core.evidence import Evidence, Trial
from prowess.measure.compare import compare, compare_values
from prowess.measure.stats.proportions import clustered
from prowess.measure.triggers.catalogue import Entry, Listing
from prowess.measure.triggers.sets import Query
from prowess.measure.triggers.trials import Decision

NONE = ""
"""Stands for no skill, in confusions."""


class Rate(Frozen):
    """A share of runs, with its interval at 95 %."""

    k: int
    n: int
    """Runs."""
    units: int
    """Needs that they are about; the interval goes by these."""
    low: float
    high: float

    @property
    def share(self) -> float | None:
        return self.k / self.n if self.n else None


class SkillTriggers(Frozen):
    """How well one skill is triggered."""

    skill: str
    entry: Entry
    """What of it the agent was shown."""
    recall: Rate
    """Loaded, of the runs that should load it. Empty for a skill that was left out of the list."""
    false_triggers: Rate
    """Loaded, of the runs that should not."""
    precision: Rate
    """Should have been loaded, of the runs that loaded it and of which it is known. Depends on how many queries of each
    kind there are."""
    unasked: Rate
    """Loaded, of the runs of which nobody said whether it should."""
    missing: int
    """Runs about it that failed from outside."""


class Confusion(Frozen):
    """How often runs that should load `expected` loaded `loaded` instead; `NONE` for no skill on either side."""

    expected: str
    loaded: str
    runs: int


class Results(Frozen):
    """What one arm of trigger trials came to."""

    arm: str
    agent: str
    """Its name says model and settings."""
    listing: Listing
    queries: int
    seeds: int
    runs: int
    missing: int
    cut: int
    """Runs that used up their turns without an answer: what they would have loaded later is not known."""
    errors: tuple[tuple[str, int], ...]
    """Why runs are missing, with how many."""
    skills: tuple[SkillTriggers, ...]
    confusions: tuple[Confusion, ...]
    """Each run once for each skill that it should have loaded: as that skill if it was loaded at all, else as the first
    that was."""
    cost: Cost


class Comparison(Frozen):
    """Old against new description of one skill, on held-out queries, paired on query and seed."""

    skill: str
    old: str
    new: str
    overall: Evidence
    """Of right decisions."""
    should: Evidence | None
    """On the queries that should load it alone; None where there are none."""
    should_not: Evidence | None


class _Seen(NamedTuple):
    query: Query
    decision: Decision


def results(
    queries: Iterable[Query],
    decisions: Iterable[Decision],
    listing: Listing,
    *,
    arm: str,
    agent: str,
    skills: Sequence[str] | None = None,
) -> Results:
    """The figures of one arm.

    Args:
        skills: report these alone; by default all that a query speaks of and the library has.

    Raises:
        UserError: a query speaks of a skill that the library lacks.
    """
    by_key = {query.key: query for query in queries}
    check_known(by_key.values(), listing)
    seen = [_Seen(by_key[d.query], d) for d in decisions if d.arm == arm and d.query in by_key]
    done = [s for s in seen if s.decision.loaded is not None]
    named = sorted({name for query in by_key.values() for name in query.skills})
    reported = named if skills is None else [name for name in named if name in skills]
    errors = Counter(s.decision.error for s in seen if s.decision.loaded is None)
    return Results(
        arm=arm,
        agent=agent,
        listing=listing,
        queries=len(by_key),
        seeds=len({s.decision.seed for s in seen}),
        runs=len(seen),
        missing=len(seen) - len(done),
        cut=sum(s.decision.ended == "turns" for s in done),
        errors=tuple(errors.most_common(5)),
        skills=tuple(_skill(name, seen, listing) for name in reported),
        confusions=_confusions(done),
        cost=total([s.decision.cost for s in seen]),
    )


def check_known(queries: Iterable[Query], listing: Listing) -> None:
    """Raises UserError when a query speaks of a skill that is not in the library."""
    known = {entry.name for entry in listing.entries}
    for query in queries:
        if unknown := [name for name in query.skills if name not in known]:
            raise UserError(
                f"the query {query.query[:80]!r} speaks of {unknown[0]!r}, which the library does not have",
                "`prowess show` lists its skills",
            )


def compare_descriptions(
    queries: Iterable[Query],
    decisions: Sequence[Decision],
    skill: str,
    listings: Mapping[str, Listing],
) -> Comparison:
    """Whether the new description makes the agent decide better about `skill`.

    `listings` holds what the two arms were shown, the old one first. Only held-out queries count: what a description
    was written for says nothing about others. Where every need was wholly right or wholly wrong in each arm the test is
    exact McNemar, else the paired permutation test on shares of right decisions, by need.

    Raises:
        UserError: see `check_comparable`.
    """
    held_out = check_comparable(queries, skill, listings)
    old, new = listings

    def evidence(chosen: Sequence[Query]) -> Evidence:
        trials = _trials(chosen, decisions, skill, (old, new))
        graded = any(t.value not in (None, 0.0, 1.0) for t in trials)
        return (compare_values if graded else compare)(trials, old, new)

    should = [q for q in held_out if skill in q.should]
    should_not = [q for q in held_out if skill in q.should_not]
    return Comparison(
        skill=skill,
        old=_shown(listings[old], skill),
        new=_shown(listings[new], skill),
        overall=evidence(held_out),
        should=evidence(should) if should else None,
        should_not=evidence(should_not) if should_not else None,
    )


def check_comparable(queries: Iterable[Query], skill: str, listings: Mapping[str, Listing]) -> list[Query]:
    """The held-out queries on which two descriptions of `skill` can be compared.

    Raises:
        UserError: there are not two arms, no held-out query speaks of the skill, or the agent is not shown one of the
            descriptions.
    """
    if len(listings) != 2:
        raise UserError(f"{len(listings)} arms cannot be compared", "give an old and a new library")
    for arm, shown in listings.items():
        entry = shown.entry(skill)
        if entry is None or entry.shown in ("left out", "name only"):
            raise UserError(
                f"the catalogue has no room for the {arm} description of {skill!r}, so it was never read",
                "shorten descriptions, or measure with a larger --window",
            )
    held_out = [q for q in queries if q.part == "held-out" and skill in q.skills]
    if not held_out:
        raise UserError(
            f"no held-out query speaks of {skill!r}", "add queries; half of them are held out unless they say otherwise"
        )
    return held_out


def _trials(
    queries: Sequence[Query], decisions: Sequence[Decision], skill: str, arms: tuple[str, str]
) -> tuple[Trial, ...]:
    """One trial per need and arm: the share of right decisions over the pairs that both arms have."""
    by_key = {q.key: q for q in queries}
    cells: dict[tuple[str, int], dict[str, Decision]] = defaultdict(dict)
    for d in decisions:
        if d.query in by_key and d.arm in arms:
            cells[d.query, d.seed][d.arm] = d
    units: dict[str, list[tuple[Query, dict[str, Decision]]]] = defaultdict(list)
    for (key, _), pair in cells.items():
        units[by_key[key].unit].append((by_key[key], pair))
    trials: list[Trial] = []
    for unit, pairs in units.items():
        whole = [(q, p) for q, p in pairs if len(p) == 2 and all(d.loaded is not None for d in p.values())]
        for arm in arms:
            right = [(skill in (p[arm].loaded or ())) == (skill in q.should) for q, p in whole]
            value = sum(right) / len(right) if right else None
            _, shown = (whole or pairs)[right.index(False) if False in right else 0]
            trials.append(
                Trial(
                    task_id=unit,
                    arm=arm,
                    seed=0,
                    passed=None if value is None else value == 1.0,
                    value=value,
                    trajectory=shown[arm].trajectory if arm in shown else "",
                    judged_by="what was loaded" if right else "",
                    cost=total([p[arm].cost for _, p in pairs if arm in p]),
                )
            )
    return tuple(trials)


def _shown(listing: Listing, skill: str) -> str:
    entry = listing.entry(skill)
    return entry.description if entry is not None else ""


def _skill(name: str, seen: Sequence[_Seen], listing: Listing) -> SkillTriggers:
    entry = listing.entry(name)
    assert entry is not None  # `check_known` has seen to it
    offered = entry.shown != "left out"
    done = [s for s in seen if s.decision.loaded is not None] if offered else []

    def about(label: Literal["should", "should_not", "neither"]) -> list[_Seen]:
        return [s for s in done if _label(s.query, name) == label]

    def loads(s: _Seen) -> bool:
        return name in (s.decision.loaded or ())

    known = [*about("should"), *about("should_not")]
    return SkillTriggers(
        skill=name,
        entry=entry,
        recall=_rate(about("should"), loads),
        false_triggers=_rate(about("should_not"), loads),
        precision=_rate([s for s in known if loads(s)], lambda s: name in s.query.should),
        unasked=_rate(about("neither"), loads),
        missing=sum(s.decision.loaded is None for s in seen if name in s.query.skills),
    )


def _label(query: Query, skill: str) -> str:
    return "should" if skill in query.should else "should_not" if skill in query.should_not else "neither"


def _rate(seen: Sequence[_Seen], holds: Callable[[_Seen], bool]) -> Rate:
    units: dict[str, list[bool]] = defaultdict(list)
    for s in seen:
        units[s.query.unit].append(holds(s))
    k, n = sum(map(sum, units.values())), len(seen)
    low, high = clustered(k, n, len(units))
    return Rate(k=k, n=n, units=len(units), low=low, high=high)


def _confusions(done: Sequence[_Seen]) -> tuple[Confusion, ...]:
    counts: Counter[tuple[str, str]] = Counter()
    for query, decision in done:
        loaded = decision.loaded or ()
        for expected in query.should or (NONE,):
            counts[expected, expected if expected in loaded else loaded[0] if loaded else NONE] += 1
    return tuple(
        Confusion(expected=expected, loaded=loaded, runs=n) for (expected, loaded), n in sorted(counts.items())
    )
