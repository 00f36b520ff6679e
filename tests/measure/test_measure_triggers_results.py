"""From decisions to figures, and which of two descriptions is better."""

import random
from pathlib import Path

import anyio
import pytest
from trigger_parts import LIBRARY, ask, bench, load, query, skill

from prowess.agents.lexical import LexicalAgent
from prowess.core.errors import UserError
from prowess.core.skill import Snapshot
from prowess.measure.stats.proportions import clopper_pearson
from prowess.measure.trials import Bench
from prowess.measure.triggers.catalogue import Listing, listing, preset
from prowess.measure.triggers.record import measure
from prowess.measure.triggers.results import Results, compare_descriptions, results
from prowess.measure.triggers.sets import Query
from prowess.measure.triggers.trials import Decision, Unjudged
from prowess.trajectories.runstore import RunStore

ALL = listing(LIBRARY, preset("all"))


def decision(q: Query, loaded: str | None, arm: str = "library", seed: int = 0) -> Decision:
    return Decision(
        query=q.key,
        arm=arm,
        seed=seed,
        loaded=None if loaded is None else tuple(loaded.split()),
        ended="missing" if loaded is None else "answered",
        trajectory=f"{q.key}-{arm}-{seed}",
        error="down" if loaded is None else "",
    )


def told(queries: list[Query], decisions: list[Decision], shown: Listing = ALL) -> Results:
    return results(queries, decisions, shown, arm="library", agent="a")


def test_rates_and_confusions_are_counted_as_they_are() -> None:
    queries = [
        query("a", should="pdf-forms"),
        query("b", should="pdf-forms"),
        query("c", should="ledger-totals", should_not="pdf-forms"),
        query("d", should_not="pdf-forms"),
        query("e", should_not="pdf-forms"),
        query("f", should="ledger-totals"),
    ]
    loads = ["using-superpowers pdf-forms", "", "pdf-forms", "pdf-forms", None, "pdf-forms ledger-totals"]
    found = told(queries, [decision(q, said) for q, said in zip(queries, loads, strict=True)])
    pdf = next(s for s in found.skills if s.skill == "pdf-forms")
    assert (pdf.recall.k, pdf.recall.n) == (1, 2)
    assert (pdf.false_triggers.k, pdf.false_triggers.n) == (2, 2), "the missing run counts nowhere"
    assert (pdf.precision.k, pdf.precision.n) == (1, 3)
    assert (pdf.unasked.k, pdf.unasked.n) == (1, 1) and pdf.missing == 1
    assert (pdf.recall.low, pdf.recall.high) == clopper_pearson(1, 2)
    assert {(c.expected, c.loaded): c.runs for c in found.confusions} == {
        ("pdf-forms", "pdf-forms"): 1,
        ("pdf-forms", ""): 1,
        ("ledger-totals", "pdf-forms"): 1,
        ("ledger-totals", "ledger-totals"): 1,
        ("", "pdf-forms"): 1,
    }
    assert (found.runs, found.missing, found.errors) == (6, 1, (("down", 1),))


def test_a_query_about_an_unknown_skill_is_refused() -> None:
    with pytest.raises(UserError, match="speaks of 'nothing'"):
        told([query("a", should="nothing")], [])


def test_no_decisions_give_empty_rates() -> None:
    found = told([query("a", should="pdf-forms")], [])
    assert found.skills[0].recall.n == 0 and found.skills[0].recall.share is None and found.confusions == ()


def arms(old: list[bool], new: list[bool], **more: str) -> tuple[list[Query], list[Decision]]:
    """A query for each pair, loaded or not by the two arms; every second one should not load it."""
    queries = [
        query(f"q{i}", **({"should": "pdf-forms"} if i % 2 else {"should_not": "pdf-forms"}), **more)
        for i in range(len(old))
    ]
    found: list[Decision] = []
    for i, q in enumerate(queries):
        for arm, right in (("old", old[i]), ("new", new[i])):
            found.append(decision(q, "pdf-forms" if right == bool(i % 2) else "", arm))
    return queries, found


def test_a_better_description_is_called_better_and_noise_is_not() -> None:
    both = {"old": ALL, "new": ALL}
    queries, found = arms([False] * 8 + [True] * 4, [True] * 12)
    e = compare_descriptions(queries, found, "pdf-forms", both)
    assert e.overall.outcome == "better" and (e.overall.wins, e.overall.losses, e.overall.n) == (8, 0, 12)
    assert e.overall.p == 2 / 2**8 and e.should is not None and e.should.n == 6
    queries, found = arms([False, True, True, False], [True, True, False, True])
    e = compare_descriptions(queries, found, "pdf-forms", both)
    assert e.overall.outcome == "not enough evidence" and len(e.overall.harms) == 1, "best of two is no finding"
    worse = compare_descriptions(*arms([True] * 12, [False] * 12), "pdf-forms", both)
    assert worse.overall.outcome == "worse"


def test_wordings_and_repetitions_of_a_need_count_once() -> None:
    both = {"old": ALL, "new": ALL}
    queries = [query(f"wording {i}", should="pdf-forms", need="one need") for i in range(12)]
    found = [decision(q, "pdf-forms" if arm == "new" else "", arm) for q in queries for arm in ("old", "new")]
    e = compare_descriptions(queries, found, "pdf-forms", both)
    assert e.overall.n == 1 and e.overall.outcome == "not enough evidence"
    queries = [query(f"q{i}", should="pdf-forms") for i in range(6)]
    halves = [
        decision(q, "pdf-forms" if arm == "new" or seed else "", arm, seed)
        for q in queries
        for arm in ("old", "new")
        for seed in (0, 1)
    ]
    e = compare_descriptions(queries, halves, "pdf-forms", both)
    assert (
        e.should_not is None and e.overall.n == 6 and e.overall.baseline_rate == 0.5 and "permutation" in e.overall.test
    )


def test_pairs_with_a_missing_side_are_left_out() -> None:
    queries, found = arms([False] * 6, [True] * 6)
    found[0] = decision(queries[0], None, "old")
    e = compare_descriptions(queries, found, "pdf-forms", {"old": ALL, "new": ALL})
    assert (e.overall.n, e.overall.missing) == (5, 1)


def test_recall_precision_and_confusions_are_recovered(tmp_path: Path) -> None:
    """A model with known chances; what is measured is what it does."""
    draw = random.Random(5)
    chances = {"pdf-forms": 0.8, "ledger-totals": 0.3}
    queries = [
        query(f"{name} {i}", should=name if i % 2 else "", should_not="" if i % 2 else name)
        for name in chances
        for i in range(200)
    ]
    truth: dict[str, str] = {}
    for q in queries:
        name = q.skills[0]
        right = q.should and draw.random() < chances[name]
        wrong = not q.should and draw.random() < 0.1
        truth[q.query] = name if right or wrong else "using-superpowers" if draw.random() < 0.2 else ""

    def moves(text: str, turn: int):
        return load(truth[text]) if truth[text] and turn == 0 else "done"

    found = told(queries, list(ask(queries, moves, tmp_path)))
    for row in found.skills:
        should = [q for q in queries if row.skill in q.should]
        assert row.recall.k == sum(truth[q.query] == row.skill for q in should) and row.recall.n == 100
        assert row.recall.low <= chances[row.skill] <= row.recall.high
        assert row.false_triggers.k == sum(truth[q.query] == row.skill for q in queries if row.skill in q.should_not)
    stray = sum(c.runs for c in found.confusions if c.loaded == "using-superpowers")
    assert stray == sum(name == "using-superpowers" for name in truth.values())


def test_a_measurement_resumes_and_pays_nothing_twice(tmp_path: Path) -> None:
    calls: list[str] = []

    def moves(text: str, turn: int):
        calls.append(text)
        return load("pdf-forms")

    queries = [query(f"q{i}", should="pdf-forms") for i in range(5)]
    better = LIBRARY.with_skill(skill("pdf-forms", "Fills in any form."))
    libraries = {"old": LIBRARY, "new": better}

    def go():
        async def work():
            return await measure(queries, libraries, preset("claude-code"), bench(moves, tmp_path), skill="pdf-forms")

        return anyio.run(work)

    first = go()
    assert len(calls) == 10 and first.comparison is not None
    assert first.comparison.old.startswith("Fills in PDF") and first.comparison.new == "Fills in any form."
    assert go() == first and len(calls) == 10


def test_the_stand_in_says_what_it_is_and_declines_without_shared_words(tmp_path: Path) -> None:
    agent = LexicalAgent()
    made = Bench(agent=agent, suite=Unjudged(), store=RunStore(tmp_path / "t.db"))
    queries = [
        query("please sum these ledgers by account", should="ledger-totals"),
        query("hi", should_not="pdf-forms"),
    ]

    async def work():
        return await measure(queries, {"library": LIBRARY}, preset("all"), made)

    found = anyio.run(work)
    assert agent.name.startswith("lexical/") and [d.loaded for d in found.decisions] == [("ledger-totals",), ()]
    assert {d.ended for d in found.decisions} == {"decided", "answered"}


def test_the_stand_in_sees_only_what_is_listed(tmp_path: Path) -> None:
    many = Snapshot.of([skill(f"s-{i:03}", f"Handles kumquats number {i} " + "x" * 800, "zebras\n") for i in range(40)])
    made = Bench(agent=LexicalAgent(), suite=Unjudged(), store=RunStore(tmp_path / "t.db"))
    queries = [query("handles kumquats zebras", should="s-039")]

    async def work():
        return await measure(queries, {"library": many}, preset("claude-code"), made)

    (found,) = anyio.run(work).decisions
    assert found.loaded is not None and found.loaded[0] < "s-010", "only the first have a description"


def test_nothing_to_ask_is_refused(tmp_path: Path) -> None:
    async def work():
        return await measure([], {"library": LIBRARY}, preset("all"), bench(lambda text, turn: "", tmp_path))

    with pytest.raises(UserError, match="no query"):
        anyio.run(work)
