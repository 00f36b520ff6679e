"""Routers are compared on queries that they were not trained on, by the test that decides everything else."""

from dataclasses import dataclass

import anyio
import pytest

from prowess.core.errors import UserError
from prowess.core.skill import Skill, Snapshot
from prowess.measure.routing import compare_routers, split
from prowess.search.experience import Experience
from prowess.search.filters import Filter
from prowess.search.index import EVERYTHING, Hit, SearchIndex

INDEX = SearchIndex.of(Snapshot.of([Skill(name=n, description="x", body="") for n in ("a", "b")]))
LOG = [Experience(f"query {i}", "a", True) for i in range(40)]


@dataclass(frozen=True)
class Always:
    """Names one skill, but for some queries."""

    answer: str
    wrong_on: frozenset[str] = frozenset()
    name: str = "always"

    async def rank(self, query: str, skills: SearchIndex, limit: int = 10, only: Filter = EVERYTHING) -> list[Hit]:
        return [Hit("b" if query in self.wrong_on else self.answer, 1.0)]


def test_better_worse_and_neither() -> None:
    good, bad = Always("a"), Always("b")
    assert anyio.run(compare_routers, bad, good, INDEX, LOG).outcome == "better"
    assert anyio.run(compare_routers, good, bad, INDEX, LOG).outcome == "worse"
    nearly = Always("a", frozenset({"query 1", "query 2"}))
    found = anyio.run(compare_routers, nearly, good, INDEX, LOG)
    assert (found.outcome, found.wins, found.losses, found.n) == ("not enough evidence", 2, 0, 40)


def test_several_skills_may_have_helped_and_failures_are_no_help() -> None:
    log = [*LOG, *(Experience(e.query, "b", True) for e in LOG[:20]), Experience("failed only", "b", False)]
    found = anyio.run(compare_routers, Always("a"), Always("b"), INDEX, log)
    assert (found.n, found.losses, found.wins) == (40, 20, 0)


def test_too_few_to_tell() -> None:
    with pytest.raises(UserError, match="only 9 held-out queries"):
        anyio.run(compare_routers, Always("a"), Always("b"), INDEX, LOG[:9])


def test_queries_never_stand_on_both_sides() -> None:
    log = [Experience(f"query  {i}" if i % 2 else f"query {i}", skill, i % 3 > 0) for i in range(400) for skill in "ab"]
    train, held_out = split(log)
    assert {e.query for e in train}.isdisjoint({e.query for e in held_out})
    assert len(train) + len(held_out) == len(log) and 0.2 < len(held_out) / len(log) < 0.4
    assert split(list(reversed(log)))[1] == list(reversed(held_out))
    assert split([Experience("a  b\n", "s", True)])[0] == [] or split([Experience("a b", "s", True)])[0] != []
