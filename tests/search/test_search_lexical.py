"""Lexical search: fields are weighted, and any text is a valid query."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prowess.core.skill import Skill, Snapshot
from prowess.core.task import File
from prowess.search.lexical import LexicalIndex, search


def skill(name: str, description: str, body: str = "", files: tuple[File, ...] = ()) -> Skill:
    return Skill(name=name, description=description, body=body, files=files)


SHELF = Snapshot.of(
    [
        skill("ledger-totals", "Adds up account books.", "Sum the rows."),
        skill("timesheets", "Rounds hours; keeps a ledger of overtime.", "Quarter hours."),
        skill("calendar", "Merges appointments.", "Mentions ledger once among many other words."),
        skill("café", "Ordnet Rechnungen für Müller.", "", (File(path="references/zebra.md", data=b"zebra crossing"),)),
    ]
)
INDEX = LexicalIndex(SHELF)


def names(query: str) -> list[str]:
    return [hit.name for hit in search(SHELF, query)]


def test_name_before_description_before_body() -> None:
    assert names("ledger") == ["ledger-totals", "timesheets", "calendar"]


def test_stems_accents_and_files() -> None:
    assert names("rounding hour") == ["timesheets"]
    assert names("MULLER") == ["café"] and names("cafe") == ["café"] and names("zebra") == ["café"]


def test_more_words_found_rank_higher_and_limit_holds() -> None:
    assert names("ledger overtime hours")[0] == "timesheets"
    assert len(search(SHELF, "ledger", limit=2)) == 2 and search(SHELF, "ledger", limit=0) == []
    hits = search(SHELF, "ledger")
    assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)
    assert "[ledger]" in hits[1].snippet


def test_nothing_to_find() -> None:
    assert search(Snapshot(), "ledger") == [] and names("") == [] and names("absentword") == []


@pytest.mark.parametrize(
    "query",
    ['"', "'", "ledger OR", "AND", "NOT ledger", "NEAR(a b)", "name:ledger", "ledger*", "^ledger", "(((", "zz\0ledger",
     "-", "__", "'; DROP TABLE skills; --", "ledger " * 10_000, "\ud800 ledger", "١٢", "ß ﬁ ²"],
)  # fmt: skip
def test_hostile_queries(query: str) -> None:
    hits = INDEX.search(query)
    assert ("ledger" not in query) or [h.name for h in hits][:1] == ["ledger-totals"]


@given(st.text(max_size=60))
def test_any_text_is_a_query(query: str) -> None:
    assert all(hit.name in SHELF.names for hit in INDEX.search(query))


def test_any_skill_can_be_indexed() -> None:
    odd = skill("odd", "nul \0 and \ud800 surrogate", "x" * 500_000)
    assert [h.name for h in search(Snapshot.of([odd]), "surrogate")] == ["odd"]
