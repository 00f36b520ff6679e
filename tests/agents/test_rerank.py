"""A model orders candidates; what it says is data."""

import json

import anyio
import pytest

from prowess.agents.models.scripted import ScriptedModel
from prowess.agents.rerank import Reranked
from prowess.core.skill import Skill, Snapshot
from prowess.search.index import SearchIndex
from prowess.search.routers import Lexical

SKILLS = [Skill(name=f"merge-{i}", description=f"Merges files of kind {i}.", body="") for i in range(4)]
INDEX = SearchIndex.of(Snapshot.of(SKILLS))
FIRST = [hit.name for hit in INDEX.search("merge files")]


def ranked(*answers: str) -> tuple[list[str], ScriptedModel]:
    model = ScriptedModel(list(answers))
    router = Reranked(Lexical(), model, lambda names: {s.name: s.description for s in SKILLS if s.name in names})
    return [hit.name for hit in anyio.run(router.rank, "merge files", INDEX)], model


def test_the_model_orders() -> None:
    names, model = ranked(json.dumps({"best_first": [3, 1]}))
    assert names == [FIRST[2], FIRST[0], FIRST[1], FIRST[3]]
    prompt = model.requests[0].messages[0].content
    assert "merge files" in prompt and "1. merge-" in prompt and "Merges files of kind" in prompt


@pytest.mark.parametrize("answer", ['{"best_first": [0, 99, -3, 2, 2]}', 'Sure: {"best_first": [2]}'])
def test_numbers_off_the_list_are_dropped(answer: str) -> None:
    assert ranked(answer)[0] == [FIRST[1], FIRST[0], *FIRST[2:]]


def test_an_answer_of_no_use_keeps_the_order() -> None:
    assert ranked("no idea", "still none")[0] == FIRST


def test_one_candidate_asks_nobody() -> None:
    model = ScriptedModel([])
    router = Reranked(Lexical(), model, lambda names: {})
    index = SearchIndex.of(Snapshot.of(SKILLS[:1]))
    assert [hit.name for hit in anyio.run(router.rank, "merge", index)] == ["merge-0"] and model.requests == []
