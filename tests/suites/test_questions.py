"""Sets of questions: GSM8K and WikiTableQuestions on small data made here, and on the real ones where they are."""

import csv
import io
import json
import os
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prowess.agents.code import CodeAgent
from prowess.agents.models.scripted import ScriptedModel
from prowess.agents.oracle import Oracle
from prowess.agents.record import final_message
from prowess.core.errors import UserError
from prowess.core.task import Split, Task
from prowess.measure.trials import WITHOUT
from prowess.measure.worlds import stand
from prowess.sandbox import find_sandbox
from prowess.suites import open_suite
from prowess.suites.questions import Questions
from prowess.suites.wikitables import TABLE, normal, values_of

ROOT = Path(os.environ.get("PROWESS_DATA", "../shared/data"))
ALL: tuple[Split, ...] = ("evidence", "gate", "test")


def gsm8k(root: Path) -> Questions:
    folder = root / "gsm8k"
    folder.mkdir()
    for name, n in (("train", 40), ("test", 8)):
        rows = [
            {"question": f"A {name} box holds {i} pens. How many pens are in 1,000 boxes?",
             "answer": "It is simple.\n" + f"<<{i}*1000={i * 1000}>>" * (1 + i % 9) + f"\n#### {i * 1000:,}"}
            for i in range(n)
        ]  # fmt: skip
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return open_suite("gsm8k", root=root)  # type: ignore[return-value]


HEAD = "id\tutterance\tcontext\ttargetValue"
ASKED = [
    ("how many lamps are there?", "2,000", "2000.0"),
    ("which lamps are blue?", "Big \\\\ One|Small [1]", "Big \\\\ One|Small [1]"),
    ("when was the first lamp lit?", "March 1, 1901", "1901-03-01"),
    ("which lamp came after Éclair?", "Été (old)", "Été (old)"),
    ("is it long or short?", "short", "short"),
    ("how many more are red than blue?", "3", "3.0"),
]


def wikitables(root: Path, tagged: bool = True) -> Questions:
    folder = root / "wikitablequestions"
    for place in ("data", "tagged/data", "csv/1-csv"):
        (folder / place).mkdir(parents=True)
    parts = ("random-split-1-train", "random-split-1-dev", "pristine-unseen-tables")
    for p, part in enumerate(parts):
        rows = [f"n{p}-{i}\t{q}\tcsv/1-csv/{p}.csv\t{v}" for i, (q, v, _) in enumerate(ASKED)]
        (folder / "data" / f"{part}.tsv").write_text("\n".join([HEAD, *rows, ""]))
        (folder / "csv/1-csv" / f"{p}.csv").write_text('"Lamp","Said"\n"Éclair","a \\"b\\" \\\\ c"\n')
    if tagged:
        for name, chosen in (("training", (0, 1)), ("pristine-unseen-tables", (2,))):
            rows = [f"n{p}-{i}\t{v}\t{m}" for p in chosen for i, (_, v, m) in enumerate(ASKED)]
            (folder / "tagged/data" / f"{name}.tagged").write_text("\n".join(["id\ttargetValue\ttargetCanon", *rows]))
    return open_suite("wikitablequestions", root=root)  # type: ignore[return-value]


@pytest.fixture(params=[gsm8k, wikitables], ids=["gsm8k", "wikitables"])
def suite(request: pytest.FixtureRequest, tmp_path: Path) -> Questions:
    return request.param(tmp_path)


def every(suite: Questions) -> list[Task]:
    return [t for f in suite.families for s in ALL for t in suite.tasks(f, s, 10_000)]


def asked(suite: Questions, number: int) -> Task:
    return next(t for t in every(suite) if t.id.endswith(f"n2-{number}"))


def test_right_answers_pass_and_nothing_does_not(suite: Questions) -> None:
    tasks = every(suite)
    assert len({t.id for t in tasks}) == len({t.digest for t in tasks}) == len(tasks) == len(suite.by_id)
    assert {t.split for t in tasks} == set(ALL)
    for task in tasks:
        assert suite.check(task, suite.oracle(task)).value == 1
        assert suite.check(task, (), f"I think so.\n{suite.oracle(task)[0].text}\n").passed
        assert suite.check(task, (), "").value == suite.check(task, (), "ANSWER:").value == 0
    found = anyio.run(stand, suite)
    assert found.in_order and found.oracle is not None and found.oracle.value == 1 and found.idle.value == 0


def test_tasks_are_drawn_alike_and_in_order(suite: Questions) -> None:
    family = suite.families[0]
    few, more = suite.tasks(family, "evidence", 1), suite.tasks(family, "evidence", 9)
    assert few == more[:1] and suite.tasks(family, "evidence", 9, start=1) == more[1:]
    for wrong in (("nowhere", 1, "base", 0), (family, 1, "hard", 0), (family, -1, "base", 0)):
        with pytest.raises(UserError):
            suite.tasks(wrong[0], "test", wrong[1], wrong[2], wrong[3])
    with pytest.raises(UserError, match="no task"):
        suite.check(few[0].model_copy(update={"id": "a/base/none"}), ())
    with pytest.raises(UserError, match="no task"):
        suite.check(few[0].model_copy(update={"suite": "other"}), ())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text())
def test_any_answer_may_come(suite: Questions, text: str) -> None:
    task = suite.tasks(suite.families[0], "test", 1)[0]
    assert suite.check(task, (), text).value in (0, 1)


@pytest.mark.parametrize(
    ("name", "file"), [("gsm8k", "train.jsonl"), ("wikitablequestions", "data/pristine-unseen-tables.tsv")]
)
def test_data_that_are_not_there_or_broken(name: str, file: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not at") as error:
        open_suite(name, root=tmp_path)
    assert error.value.hint.startswith("git clone") and str(tmp_path / name) in error.value.hint
    path = tmp_path / name / file
    path.parent.mkdir(parents=True)
    for text in ("{}", "x\ty\n1", "\xff"):
        path.write_bytes(text.encode("latin-1"))
        with pytest.raises(UserError, match="not the data set"):
            _ = open_suite(name, root=tmp_path).families


def test_data_are_found_in_the_settings_and_in_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "grade_school_math").mkdir()
    gsm8k(tmp_path)
    (tmp_path / "gsm8k").rename(tmp_path / "grade_school_math" / "data")
    (tmp_path / "grade_school_math").rename(tmp_path / "moved")
    (tmp_path / "gsm8k").mkdir()
    (tmp_path / "moved").rename(tmp_path / "gsm8k" / "grade_school_math")
    monkeypatch.setenv("PROWESS_DATA", str(tmp_path))
    assert open_suite("gsm8k").tasks("steps-1", "test", 1)


class TestGsm8k:
    def test_families_are_steps_and_the_test_is_the_official_one(self, tmp_path: Path) -> None:
        suite = gsm8k(tmp_path)
        assert suite.families == (*(f"steps-{i}" for i in range(1, 7)), "steps-7-up")
        assert all("test box" in t.prompt for t in every(suite) if t.split == "test")
        assert not any("test box" in t.prompt for t in every(suite) if t.split != "test")

    @pytest.mark.parametrize(
        ("said", "right"),
        [
            *[(a, True) for a in ("3000", "$3,000.00", "3000 pens", "3*1000 = 3000", "3000.0000000001", "**3,000**.")],
            *[(a, False) for a in ("3001", "3000.1", "-3000", "3", "2 or 3000", "3000 = 2", "3,0,0,0", "three", "nan")],
        ],
    )
    def test_numbers_in_many_forms(self, tmp_path: Path, said: str, right: bool) -> None:
        suite = gsm8k(tmp_path)
        task = next(t for t in every(suite) if t.id.endswith("/test-3"))
        assert suite.check(task, (), f"ANSWER: {said}").passed == suite.check(task, (), said).passed == right

    def test_a_program_answers(self, tmp_path: Path) -> None:
        suite = gsm8k(tmp_path)
        task = next(t for t in every(suite) if t.id.endswith("/test-3"))
        agent = CodeAgent(ScriptedModel(lambda request: "```python\nprint(3 * 1000)\n```"), find_sandbox())
        run = anyio.run(agent.run, task, WITHOUT, 0)
        assert suite.check(task, run.outputs, final_message(run)).passed
        run = anyio.run(Oracle(suite).run, task, WITHOUT, 0)
        assert suite.check(task, run.outputs, final_message(run)).passed


class TestWikiTables:
    def test_families_follow_the_wording(self, tmp_path: Path) -> None:
        suite = wikitables(tmp_path)
        assert suite.families == ("choice", "count", "difference", "lookup", "neighbour", "superlative")

    def test_the_table_is_plain_csv(self, tmp_path: Path) -> None:
        (file,) = asked(wikitables(tmp_path), 0).files
        assert file.path == TABLE
        assert list(csv.reader(io.StringIO(file.text))) == [["Lamp", "Said"], ["Éclair", 'a "b" \\ c']]

    @pytest.mark.parametrize(
        ("number", "right", "wrong"),
        [
            (0, ["2,000", "2000", "2000.0"], ["2,001", "2", "2000|1"]),
            (1, ["Small|Big \\ One", "big \\ one | small [1]"], ["small", "Big \\ One", "small|big", "small|big|one"]),
            (2, ["march 1, 1901", "1901-03-01", "1901-3-1"], ["1901", "xx-03-01", "1901-01-03"]),
            (3, ["ete", "Été.", '"été"'], ["old", "été, old"]),
            (4, ["SHORT"], ["long", "short or long"]),
        ],
    )
    def test_answers_are_compared_like_upstream(
        self, tmp_path: Path, number: int, right: list[str], wrong: list[str]
    ) -> None:
        suite = wikitables(tmp_path)
        task = asked(suite, number)
        assert [a for a in right if not suite.check(task, (), f"ANSWER: {a}").passed] == []
        assert [a for a in wrong if suite.check(task, (), f"ANSWER: {a}").passed] == []

    def test_numbers_are_read_without_the_files_of_meanings(self, tmp_path: Path) -> None:
        suite = wikitables(tmp_path, tagged=False)
        assert suite.check(asked(suite, 0), (), "ANSWER: 2000").passed
        assert not suite.check(asked(suite, 2), (), "ANSWER: 1901-03-01").passed

    @given(st.lists(st.text(min_size=1), min_size=1, max_size=6), st.randoms())
    def test_a_set_has_no_order_and_no_repetitions(self, texts: list[str], chance) -> None:
        drawn = [*texts, chance.choice(texts)]
        chance.shuffle(drawn)
        one, two = values_of(texts), values_of(drawn)
        assert {(v.number, v.date) if v.number is not None or v.date else v.text for v in one} == {
            (v.number, v.date) if v.number is not None or v.date else v.text for v in two
        }

    @given(st.text("aé (]['\"-x1.*†", max_size=40))
    def test_what_does_not_count_is_taken_away(self, text: str) -> None:
        assert normal(f" {text} ") == normal(text) and normal(text.upper()) == normal(text)


@pytest.mark.skipif(not (ROOT / "gsm8k").is_dir(), reason="GSM8K is not there; PROWESS_DATA names the folder with it")
def test_the_real_problems() -> None:
    suite = open_suite("gsm8k", root=ROOT)
    tasks = every(suite)  # type: ignore[arg-type]
    assert len(tasks) in (7473 + 700, 7473 + 1319)
    assert sum(t.split == "evidence" for t in tasks) > 3_500 < sum(t.split == "gate" for t in tasks)
    assert all(suite.check(t, suite.oracle(t) or ()).passed for t in tasks)


@pytest.mark.skipif(
    not (ROOT / "wikitablequestions").is_dir(), reason="WikiTableQuestions are not there; PROWESS_DATA has them"
)
def test_the_real_tables() -> None:
    suite = open_suite("wikitablequestions", root=ROOT)
    assert isinstance(suite, Questions) and len(suite.by_id) == 11_321 + 2_831 + 4_344
    assert [q.id for q in suite.by_id.values() if suite.wrong(q, (), q.gold)] == []
    assert [q.id for q in suite.by_id.values() if not suite.wrong(q, (), "")] == []
    tables = {s: {q.meta["table"] for q in suite.by_id.values() if q.split == s} for s in ALL}
    assert not tables["evidence"] & tables["gate"] and not tables["test"] & (tables["evidence"] | tables["gate"])
