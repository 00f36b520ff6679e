"""Trigger sets: what files may say, what they may not, and that parts are kept apart."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from trigger_parts import query

from prowess.core.errors import UserError
from prowess.measure.triggers.sets import (
    Query,
    dump,
    dump_skill_creator,
    load,
    merged,
    parse,
    part_of,
    same,
)

SKILL_CREATOR = json.dumps(
    [{"query": "fill the form in tax.pdf", "should_trigger": True}, {"query": "what is 2+2", "should_trigger": False}]
)


def test_a_set_of_skill_creator_is_read_and_written() -> None:
    found = parse(SKILL_CREATOR, "pdf-forms")
    assert [(q.should, q.should_not) for q in found] == [(("pdf-forms",), ()), ((), ("pdf-forms",))]
    assert json.loads(dump_skill_creator(found, "pdf-forms")) == json.loads(SKILL_CREATOR)
    assert dump_skill_creator(found, "other").strip() == "[]"
    named = json.dumps({"skill": "pdf-forms", "queries": json.loads(SKILL_CREATOR)})
    assert parse(named) == found


def test_yaml_with_labels_of_several_skills() -> None:
    found = parse(
        """
        queries:
          - {query: sum my ledger, should: [ledger-totals], should_not: [pdf-forms], part: tune}
          - {query: "Sum  the ledger and the form", should: [ledger-totals]}
          - {query: sum the ledger and the form, should: [pdf-forms]}
        """
    )
    assert found[0].part == "tune" and found[1].should == ("ledger-totals", "pdf-forms") and len(found) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no list of queries"),
        ("[]", "no list of queries"),
        ("{queries: 5}", "no list of queries"),
        ("{skil: x, queries: []}", "unknown key 'skil'"),
        ("{skill: [a], queries: [{query: a, should: [b]}]}", "names a skill that is no text"),
        ("{", "neither YAML nor JSON"),
        ("[" * 100_000, "neither YAML nor JSON"),
        ("{a: " * 5_000, "nested more than 20 deep"),
        ("x: &a [1]\ny: *a", "aliases"),
        ("- !!python/object/apply:os.system [echo]", "neither YAML nor JSON"),
        ("- 5", "entry 1 cannot be used"),
        ("- {query: q, should: [a]}\n- {query: r, should: [a], label: yes}", "entry 2 cannot be used: label"),
        ("- {query: 7, should: [a]}", "query: Input should be a valid string"),
        ("- {query: 2024-01-01, should: [a]}", "cannot be used"),
        ("- {query: .nan, should: [a]}", "cannot be used"),
        ("- {query: q, should: a}", "should: Input should be"),
        ("- {query: q, should_trigger: 'true'}", "should_trigger: Input should be a valid boolean"),
        ("- {query: ' ', should: [a]}", "empty query"),
        ("- {query: q}", "neither what should nor what should not"),
        ("- {query: q, should_trigger: true}", "not of which skill"),
        ("- {query: q, should: [a], part: test}", "part: Input should be"),
        ("- {query: q, should: [a], should_not: [a]}", "entry 1: 'a' should and should not"),
        ("- {query: q, should: [a]}\n- {query: ' Q ', should_not: [a]}", "entry 2: 'a' should and should not"),
        ("- {query: q, should: [a]}\n- {query: Q, should: [a]}", "entries 1 and 2 say the same"),
        ("- {query: q, should: [a], part: tune}\n- {query: q, should: [b], part: held-out}", "into both parts"),
        (
            "- {query: q, should: [a], need: n, part: tune}\n- {query: r, should: [a], need: n, part: held-out}",
            "lies in both parts",
        ),
        (json.dumps([{"query": "x" * 20_001, "should": ["a"]}]), "at most 20000"),
    ],
)
def test_bad_files_say_what_is_wrong(text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        parse(text)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read"):
        load(tmp_path / "none.yaml")
    (tmp_path / "bad").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="cannot read"):
        load(tmp_path / "bad")
    with (tmp_path / "big").open("wb") as file:
        file.truncate(9 << 20)
    with pytest.raises(UserError, match="larger than 8 MB"):
        load(tmp_path / "big")


texts = st.text(max_size=40).filter(lambda t: t.strip())
names = st.lists(st.sampled_from(["a", "b", "c"]), unique=True, max_size=3)


@settings(deadline=None)
@given(st.lists(st.tuples(texts, names, st.sampled_from(["", "n1"])), max_size=8))
def test_what_is_written_is_read_back(rows: list[tuple[str, list[str], str]]) -> None:
    entries: list[Query] = []
    for text, skills, need in rows:
        if skills and not any(same(q.query) == same(text.strip()) for q in entries):
            labels = {"should": tuple(skills[:1]), "should_not": tuple(skills[1:])}
            entries.append(Query(query=text.strip(), need=need, part="tune", **labels))
    if not entries:
        return
    assert parse(dump(entries)) == merged(entries)


hostile = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["query", "should", "should_trigger", "queries", "skill", "need"]), inner)
    ),
    max_leaves=10,
)


@settings(deadline=None)
@given(hostile, st.booleans())
def test_any_file_is_read_or_refused(value: object, as_yaml: bool) -> None:
    text = yaml.safe_dump(value) if as_yaml else json.dumps(value)
    try:
        for found in parse(text, "a"):
            assert found.query.strip() and found.skills and not {*found.should} & {*found.should_not}
            found.query.encode()
    except UserError:
        pass


def test_text_that_is_no_utf8_is_made_so() -> None:
    (found,) = parse('[{"query": "a \\ud800 b\\u0000", "should": ["a"]}]')
    assert found.query.encode() and found.key


def test_a_query_never_moves_to_the_other_part() -> None:
    some = parse(json.dumps([{"query": f"query {i}", "should": ["a"]} for i in range(200)]))
    more = parse(json.dumps([{"query": f"query {i}", "should": ["a"]} for i in range(-50, 250)]))
    parts = {q.query: q.part for q in more}
    assert all(parts[q.query] == q.part for q in some)
    assert 70 <= sum(q.part == "held-out" for q in some) <= 130
    assert part_of("x") == part_of("x")


def test_wordings_of_a_need_stay_together() -> None:
    rows = [{"query": f"wording {i} of {n}", "should": ["a"], "need": f"need {n}"} for n in range(20) for i in range(3)]
    found = parse(json.dumps(rows))
    assert all(len({q.part for q in found if q.need == f"need {n}"}) == 1 for n in range(20))


def test_labels_are_part_of_a_query_s_identity() -> None:
    assert query("q", should="a").key != query("q", should="a b").key != query("q", should_not="a b").key
    assert query("q", should="a", part="tune").key == query("q", should="a").key
