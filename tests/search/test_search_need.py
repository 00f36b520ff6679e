"""A skill is shown only where it fits; the calibration in the package is whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_parts import skill

from prowess.core.skill import Snapshot
from prowess.search.index import SearchIndex
from prowess.search.need import calibration, features, fit
from prowess.search.snippets import snippet
from prowess.suites.workbench import Workbench

SUITE = Workbench()
HUMAN = {family: SUITE.human_skill(family) for family in SUITE.families}
ALL = Snapshot.of([made for made in HUMAN.values() if made is not None])
FOREIGN = (
    "What is the capital of France?",
    "Natalia sold clips to 48 of her friends in April, and then half as many in May. How many did she sell altogether?",
    "Write a haiku about the sea.",
    "Fix the memory leak in the C++ parser.",
)


@pytest.mark.parametrize("family", SUITE.families)
def test_a_task_of_its_family_is_fitted_alone_and_among_others(family: str) -> None:
    own = HUMAN[family]
    assert own is not None
    (task,) = SUITE.tasks(family, "test", 1)
    for library in (Snapshot.of([own]), ALL):
        index = SearchIndex.of(library)
        assert index.search(task.prompt, 1)[0].name == own.name
        assert fit(task.prompt, own, index).needed


@pytest.mark.parametrize("query", FOREIGN)
def test_what_is_foreign_needs_none(query: str) -> None:
    for library in (ALL, Snapshot.of(ALL.skills[:1])):
        index = SearchIndex.of(library)
        for hit in index.search(query, 1):
            found = library.get(hit.name)
            assert found is not None and not fit(query, found, index).needed


def test_the_chance_grows_with_what_the_skill_says_about_the_query() -> None:
    query = "convert netcdf temperature grids into csv tables"
    chances = []
    for description in ("Does things.", "Converts tables.", "Converts netcdf temperature grids into csv tables."):
        one = skill("helper", description)
        chances.append(fit(query, one, SearchIndex.of(Snapshot.of([one]))).chance)
    assert chances == sorted(chances) and chances[0] < 0.3 < 0.8 < chances[-1]


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_any_text_has_a_chance(query: str, name: str, description: str) -> None:
    one = skill(name, description)
    index = SearchIndex.of(Snapshot.of([one]))
    assert 0 <= fit(query, one, index).chance <= 1
    assert len(features(query, one, index)) == len(calibration().weights)


def test_snippets_show_what_was_found() -> None:
    one = skill("ledger", "Sums books.", "Intro. " * 40 + "Round hours\nup to quarters. " + "Outro. " * 40)
    found = snippet(one, "rounding hour")
    assert "[Round] [hours] up" in found and "\n" not in found and len(found.split()) <= 18
    assert snippet(one, "zeppelin") == "Sums books." and snippet(skill("", "", ""), "x") == ""


@given(st.text(max_size=60), st.text(max_size=20))
def test_any_text_has_a_snippet(body: str, query: str) -> None:
    assert "\n" not in snippet(skill("a", "b", body), query)
