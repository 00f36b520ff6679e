"""The index finds by words and by vectors, keeps to the skills it was told, and survives what happens to files."""

import multiprocessing
import os
import signal
import sqlite3
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_parts import Synonyms, skill, text_file

from prowess.core.errors import UserError
from prowess.core.skill import Skill, Snapshot
from prowess.search import index as index_module
from prowess.search import scoring, segments, vectors
from prowess.search.filters import Filter
from prowess.search.index import EVERYTHING, SearchIndex
from prowess.search.scoring import Postings, Spread, best

SHELF = Snapshot.of(
    [
        skill("ledger-totals", "Adds up account books.", "Sum the rows."),
        skill("timesheets", "Rounds hours; keeps a ledger of overtime.", "Quarter hours."),
        skill("calendar", "Merges appointments.", "Mentions ledger once among many other words. " + "Others. " * 50),
        skill("café", "Ordnet Rechnungen für Müller.", files=(text_file("references/zebra.md", "zebra crossing"),)),
    ]
)
INDEX = SearchIndex.of(SHELF)


def names(query: str, index: SearchIndex = INDEX, limit: int = 10) -> list[str]:
    return [hit.name for hit in index.search(query, limit)]


def many(count: int, start: int = 0) -> list[Skill]:
    """Skills of which each has a word of its own, and all share some."""
    return [
        skill(f"skill-{i}", f"Does the job number word{i}.", f"Shared text, part {i % 7}.") for i in range(start, count)
    ]


def stamped(skills: list[Skill], stamp: str = "1") -> list[tuple[Skill, str]]:
    return [(each, stamp) for each in skills]


# Words


def test_name_before_description_before_body() -> None:
    assert names("ledger") == ["ledger-totals", "timesheets", "calendar"]


def test_stems_accents_and_files() -> None:
    assert names("rounding hour") == ["timesheets"]
    assert names("MULLER") == ["café"] and names("cafe") == ["café"] and names("zebra") == ["café"]


def test_more_words_found_rank_higher_and_the_limit_holds() -> None:
    assert names("ledger overtime hours")[0] == "timesheets"
    assert len(names("ledger", limit=2)) == 2 and names("ledger", limit=0) == []
    scores = [hit.score for hit in INDEX.search("ledger")]
    assert scores == sorted(scores, reverse=True)


def test_an_empty_library_and_one_skill() -> None:
    assert names("ledger", SearchIndex.of(Snapshot())) == []
    assert names("ledger", SearchIndex.of(Snapshot.of([SHELF.skills[2]]))) == ["ledger-totals"]
    assert names("") == [] and names("absentword") == []


def test_words_that_all_skills_share_tell_little() -> None:
    shelf = [skill(f"s{i}", "Use this skill when the file is needed as output.") for i in range(6)]
    index = SearchIndex.of(Snapshot.of([*shelf, skill("odd", "Zeppelin.")]))
    assert names("use the skill with the zeppelin", index)[0] == "odd"


@pytest.mark.parametrize(
    "query",
    ['"', "'", "ledger OR", "AND", "NOT ledger", "NEAR(a b)", "name:ledger", "ledger*", "^ledger", "(((", "zz\0ledger",
     "-", "__", "'; DROP TABLE skills; --", "ledger " * 10_000, "\ud800 ledger", "١٢", "ß ﬁ ²"],
)  # fmt: skip
def test_hostile_queries(query: str) -> None:
    assert ("ledger" not in query) or names(query)[:1] == ["ledger-totals"]


@given(st.text(max_size=60))
def test_any_text_is_a_query(query: str) -> None:
    assert all(hit.name in SHELF.names for hit in INDEX.search(query))


@settings(max_examples=50)
@given(st.text(max_size=30), st.text(max_size=60), st.text(max_size=60))
def test_any_skill_can_be_indexed(name: str, description: str, body: str) -> None:
    index = SearchIndex.of(Snapshot.of([skill(name, f"findme {description}", body)]))
    assert len(index.search("findme")) == 1


def test_five_megabytes_of_description_and_control_characters() -> None:
    huge = skill("huge", "nul \0 \x1b[31m zeppelin " + "blimp " * 900_000)
    started = time.perf_counter()
    index = SearchIndex.of(Snapshot.of([huge, *SHELF.skills]))
    assert names("zeppelin", index) == ["huge"] and names("ledger", index)[0] == "ledger-totals"
    assert time.perf_counter() - started < 20


def test_the_pruned_ranking_is_that_of_adding_everything_up() -> None:
    chance = np.random.default_rng(0)
    size = 3000
    lists = []
    for share in (0.001, 0.01, 0.05, 0.4, 0.9):
        ids = np.flatnonzero(chance.random(size) < share).astype(np.uint32)
        weight = float(-np.log(share) + 0.1)
        lists.append((weight, Postings(ids, chance.integers(1, 256, len(ids)).astype(np.uint8))))
    whole = np.zeros(size)
    for weight, (ids, impacts) in lists:
        whole[ids] += weight * scoring.SCALE * impacts
    lists = [(weight, found.laid_out()) for weight, found in lists]
    assert {type(found) for _, found in lists} == {Postings, Spread}
    expected = np.lexsort((np.arange(size), -whole))[:20]
    for cap in (10**9, 200):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(scoring, "ADD_CAP", cap)
            ids, scores = best(lists, size, 20)
        assert ids.tolist() == expected.tolist()
        assert np.allclose(scores, whole[expected], rtol=1e-5)


# Filters


def test_filters() -> None:
    index = SearchIndex.of(
        Snapshot.of(
            [
                skill("a", "merge", metadata={"tags": "Csv, office"}, allowed_tools="Read Bash(git:*)"),
                skill("b", "merge", files=(text_file("scripts/run.py", "x"),), metadata={"tags": "office"}),
                skill("c", "merge"),
            ]
        )
    )

    def found(**conditions: object) -> set[str]:
        return {hit.name for hit in index.search("merge", 10, Filter(**conditions))}  # type: ignore[arg-type]

    assert found() == {"a", "b", "c"}
    assert found(kind="program") == {"b"} and found(kind="text") == {"a", "c"}
    assert found(tags=frozenset({"office"})) == {"a", "b"} and found(tags=frozenset({"office", "csv"})) == {"a"}
    assert found(tools=frozenset({"Read"})) == {"b", "c"} and found(tools=frozenset({"Read", "Bash"})) == {
        "a",
        "b",
        "c",
    }


# Changes


def test_some_skills_only() -> None:
    def found(*some: str) -> list[str]:
        return [hit.name for hit in INDEX.search("ledger", 10, EVERYTHING.among(some))]

    whole = names("ledger")
    assert len(whole) > 1 and found() == []
    assert found(whole[1], "absent") == [whole[1]] and found(*SHELF.names) == whole
    both = Filter(names=frozenset({"a", "b"})).among(["b", "c"])
    assert both.names == {"b"}


def test_replacing_and_removing() -> None:
    index = SearchIndex.of(SHELF)
    index.update(stamped([skill("timesheets", "Counts zeppelins.")], "2"), ["calendar", "not-there"])
    assert names("ledger", index) == ["ledger-totals"] and names("zeppelin", index) == ["timesheets"]
    assert len(index) == 3 and index.stamps() == {"ledger-totals": "", "café": "", "timesheets": "2"}


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.booleans(), st.integers(1, 20)), max_size=25))
def test_any_history_answers_like_a_fresh_index(history: list[tuple[int, bool, int]]) -> None:
    """Small limits, so that skills move from fresh into segments and segments are merged all the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "FRESH", 3)
        patch.setattr(segments, "FAN", 2)
        index, held = SearchIndex(), dict[str, Skill]()
        for version, (start, add, count) in enumerate(history):
            some = [skill(f"s{i}", f"word{i} version{version}", "shared") for i in range(start, start + count)]
            if add:
                index.update(stamped(some))
                held |= {each.name: each for each in some}
            else:
                index.update((), [each.name for each in some])
                held = {name: each for name, each in held.items() if name not in {s.name for s in some}}
        fresh = SearchIndex.of(Snapshot.of(list(held.values())))
        assert len(index) == len(held) and set(index.stamps()) == set(held)
        for query in ["shared", *(f"word{i}" for i in range(0, 50, 7)), *(f"version{v}" for v in range(len(history)))]:
            assert set(names(query, index, 100)) == set(names(query, fresh, 100))


def test_a_file_keeps_what_it_was_told(tmp_path: Path) -> None:
    path = tmp_path / "search.db"
    first = SearchIndex(path)
    first.update(stamped(many(200)))
    first.update(stamped([skill("skill-7", "Now about zeppelins.")]), ["skill-8"])
    again = SearchIndex(path)
    assert names("zeppelins", again) == ["skill-7"] and names("word8", again) == [] and names("word150", again)[0]
    assert again.search("job word42") == first.search("job word42") and len(again) == 199


def test_two_processes_see_each_other(tmp_path: Path) -> None:
    one, two = SearchIndex(tmp_path / "i.db"), SearchIndex(tmp_path / "i.db")
    one.update(stamped(many(3)))
    assert names("word1", two)[0] == "skill-1"
    two.update(stamped([skill("more", "zeppelin")]), ["skill-1"])
    assert names("zeppelin", one) == ["more"] and names("word1", one) == [] and len(one) == 3
    one.update(stamped([skill("again", "zeppelin")]))
    assert set(names("zeppelin", two)) == {"more", "again"}


def test_another_version_and_damage_are_mended(tmp_path: Path) -> None:
    path = tmp_path / "i.db"
    index = SearchIndex(path)
    index.update(stamped(many(3)))
    index.close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 999")
    db.close()
    emptied = SearchIndex(path)
    assert len(emptied) == 0
    emptied.close()
    for junk in (b"", b"no database at all" * 1000, b"SQLite format 3\0" + b"\xff" * 5000):
        for suffix in ("-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        path.write_bytes(junk)
        mended = SearchIndex(path)
        mended.update(stamped(many(3)))
        assert names("word2", mended)[0] == "skill-2"
        mended.close()


def test_a_folder_that_cannot_be_written_is_an_error_with_advice(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be used"):
        SearchIndex(tmp_path / "absent" / "i.db")


def test_a_failure_in_the_middle_leaves_the_old_state(tmp_path: Path) -> None:
    index = SearchIndex(tmp_path / "i.db")
    index.update(stamped(many(100)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments.Segments, "_merge", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            index.update(stamped([skill("skill-5", "zeppelin")]))
    for each in (index, SearchIndex(tmp_path / "i.db")):
        assert names("word5", each)[0] == "skill-5" and names("zeppelin", each) == [] and len(each) == 100


def _index_slowly(path: Path) -> None:
    index_module.BATCH = 20
    index = SearchIndex(path)

    def slowly():  # type: ignore[no-untyped-def]
        for each in many(4000):
            time.sleep(0.0005)
            yield each, "1"

    index.update(slowly())


def test_killed_in_mid_indexing_it_answers_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "i.db"
    process = multiprocessing.get_context("spawn").Process(target=_index_slowly, args=(path,))
    process.start()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (path.exists() and len(SearchIndex(path)) > 50):
        time.sleep(0.05)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    index = SearchIndex(path)
    done = index.stamps()
    assert 0 < len(done) < 4000 and names("word3", index)[0] == "skill-3"
    index.update((each, "1") for each in many(4000) if each.name not in done)
    assert len(index) == 4000 and names("word3999", index)[0] == "skill-3999"


def test_threads_may_share_an_index() -> None:
    index, wrong = SearchIndex.of(Snapshot.of(many(300))), list[str]()

    def ask(start: int) -> None:
        for i in range(start, 300, 4):
            wrong.extend([] if names(f"word{i}", index)[:1] == [f"skill-{i}"] else [f"skill-{i}"])
            index.update(stamped([skill(f"new-{i}", f"fresh{i}")]))

    threads = [threading.Thread(target=ask, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [] and len(index) == 600


# Vectors


def test_nearest_by_meaning_after_changes(tmp_path: Path) -> None:
    encoder = Synonyms()
    index = SearchIndex(tmp_path / "i.db", encoder)
    index.update(
        stamped([skill("billing", "writes a bill"), skill("garage", "repairs a vehicle"), skill("gone", "car")])
    )
    index.update((), ["gone"])
    index.update(stamped([skill("parking", "parks an automobile")]))
    car = encoder.encode(["car"])[0]
    assert {hit.name for hit in index.nearest(car, 2)} == {"garage", "parking"}
    assert [hit.name for hit in index.nearest(car, 5, Filter(kind="program"))] == []
    again = SearchIndex(tmp_path / "i.db", encoder)
    assert again.nearest(car, 3) == index.nearest(car, 3)
    found = again.vectors(["garage", "absent"])
    assert np.allclose(np.linalg.norm(found, axis=1), [1, 0], atol=1e-3)


def test_vectors_of_another_encoder_are_not_compared(tmp_path: Path) -> None:
    path = tmp_path / "i.db"
    SearchIndex(path, Synonyms()).update(stamped(many(3)))
    other = SearchIndex(path, Synonyms(dimensions=32))
    assert set(other.stamps().values()) == {""}, "every skill is due again"
    assert other.nearest(np.ones(32, np.float32), 3) == []
    other.update(stamped(many(3)))
    assert len(other.nearest(np.ones(32, np.float32), 3)) == 3 and set(other.stamps().values()) == {"1"}
    assert names("word1", SearchIndex(path))[0] == "skill-1", "words need no encoder"


def test_what_was_indexed_without_vectors_is_due_again(tmp_path: Path) -> None:
    path = tmp_path / "i.db"
    SearchIndex(path, Synonyms()).update(stamped(many(2)))
    SearchIndex(path).update(stamped(many(3, start=2)))
    assert SearchIndex(path, Synonyms()).stamps() == {"skill-0": "1", "skill-1": "1", "skill-2": ""}


def test_a_graph_of_neighbours_finds_what_comparing_all_finds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("usearch", reason="the extra `search` is not installed")
    encoder, path = Synonyms(), tmp_path / "search.db"
    index = SearchIndex(path, encoder)
    index.update(stamped(many(400)))
    queries = encoder.encode([f"skill {i}. Does the job number word{i}." for i in range(0, 400, 40)])
    exact = [[hit.name for hit in index.nearest(query, 5)] for query in queries]
    monkeypatch.setattr(vectors, "EXACT", 100)

    def agrees(other: SearchIndex) -> bool:
        found = [[hit.name for hit in other.nearest(query, 5)] for query in queries]
        return sum(len(set(a) & set(b)) for a, b in zip(exact, found, strict=True)) >= 40

    index = SearchIndex(path, encoder)
    assert agrees(index) and (tmp_path / "search.db-graph").exists()
    index.update(stamped([skill("parking", "parks an automobile")]), ["skill-0"])
    car = encoder.encode(["car"])[0]
    for each in (index, SearchIndex(path, encoder)):
        assert each.nearest(car, 1)[0].name == "parking" and agrees(each)
        assert "skill-0" not in [hit.name for hit in each.nearest(queries[0], 5)]
    (tmp_path / "search.db-graph").write_bytes(b"junk")
    assert agrees(SearchIndex(path, encoder))
    SearchIndex(path, Synonyms(32))
    assert not (tmp_path / "search.db-graph").exists()


def test_many_vectors_without_the_package_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "EXACT", 2)
    monkeypatch.setattr(vectors, "import_module", lambda name: (_ for _ in ()).throw(ImportError(name)))
    index = SearchIndex(None, Synonyms())
    index.update(stamped(many(3)))
    with pytest.raises(UserError, match=r"usearch[\s\S]*or search by words"):
        index.nearest(np.ones(64, np.float32), 1)
    assert names("word1", index)[0] == "skill-1"
