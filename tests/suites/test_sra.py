"""SRA-Bench: the comparison of answers on fixed cases, the rest on the data where they are."""

import json
import os
from pathlib import Path

import pytest

from prowess.core.errors import UserError
from prowess.library.skillmd import validate
from prowess.suites import open_suite
from prowess.suites.answers import said
from prowess.suites.sra import DATASETS, LogicBench, Record, SraBench, is_right, named

ROOT = Path(os.environ.get("PROWESS_DATA", "../shared/data"))
needs_data = pytest.mark.skipif(
    not (ROOT / "sra").is_dir(), reason="SRA-Bench is not there; PROWESS_DATA names the folder that holds it"
)


def record(dataset: str, answer: str, **more: str) -> Record:
    return Record(
        instance_id="x", dataset=dataset, question="q", skill_annotations=["s"], eval_data={"answer": answer, **more}
    )


@pytest.mark.parametrize(
    ("case", "right", "wrong"),
    [
        (record("theoremqa", "22.11", answer_type="float"), ["22.5", "about 22.1"], ["24", "none", ""]),
        (record("theoremqa", "11760", answer_type="integer"), ["11,760", "= 11760"], ["11761"]),
        (record("theoremqa", "True", answer_type="bool"), ["true", "Yes"], ["False", "maybe"]),
        (record("theoremqa", "[1, 2]", answer_type="list of integer"), ["[1,2]", "2 and 1"], ["[2, 2]", "[1]", "12"]),
        (record("theoremqa", "(b)", answer_type="option"), ["b", "(B)", "Option b.", "(b) a cat"], ["a", "be", ""]),
        (record("theoremqa", "1.0", answer_type="float"), ["1", "1.04"], ["0.4", "1.6"]),
        (record("theoremqa", "0.25", answer_type="float"), ["1/4", "25%", "x = 0.25"], ["0.2 or 0.3", "25"]),
        (record("theoremqa", "3.54e-07", answer_type="float"), ["3.5e-7"], ["3.5e-6"]),
        (
            record("medcalcbench", "25", lower_limit="24", upper_limit="26.5", output_type="decimal"),
            ["26", "25.2 mL/min/1.73 m²", "= 24.0"],
            ["27", "x", "25 to 26"],
        ),
        (
            record("medcalcbench", "3", lower_limit="3", upper_limit="3", output_type="integer"),
            ["3", "3 points"],
            ["4"],
        ),
        (record("medcalcbench", "08/31/2023", output_type="date"), ["8/31/2023", "2023-08-31"], ["31/8/2023", "8"]),
        (record("medcalcbench", "('34 weeks', '6 days')", output_type="date"), ["34 weeks and 6 days"], ["34 weeks"]),
        (record("logicbench", "choice_2"), ["Choice_2", "2", "choice 2: it rains"], ["choice_3"]),
        (record("logicbench", "no"), ["No.", "no, it does not"], ["yes", "no idea"]),
        (record("toolqa", "$799 "), ["$799", "799"], ["$79"]),
        (record("toolqa", "8:00 PM"), ["8:00 pm"], ["9:00 PM", "8"]),
        (record("champ", "0 is the only possible value"), ["0"], ["1", "none"]),
    ],
)
def test_answers_are_compared_in_the_way_of_their_data_set(case: Record, right: list[str], wrong: list[str]) -> None:
    assert [a for a in right if not is_right(case, a)] == []
    assert [a for a in wrong if is_right(case, a)] == []


def test_the_answer_is_the_last_line_that_says_so() -> None:
    assert said("I think\nANSWER: 3\nno\nANSWER: **42**.") == "42."
    assert said("answer: -1.5 %") == "-1.5 %"
    assert said("first\n\nlast\n\n") == "last" and said("") == ""


def test_data_that_are_not_there_or_broken(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not at"):
        open_suite("sra", root=tmp_path)
    (tmp_path / "sra").mkdir()
    for name in DATASETS:
        (tmp_path / "sra" / f"{name}.json").write_text('[{"instance_id": 3}]')
    with pytest.raises(UserError, match="not the data set"):
        open_suite("sra", root=tmp_path)


def small(tmp_path: Path) -> SraBench:
    (tmp_path / "sra").mkdir()
    for name in DATASETS:
        rows = [
            {"instance_id": f"{name}_{i}", "dataset": name,
             "question": f"What of {name} and {'odd' if i % 2 else 'even'} {i}?",
             "skill_annotations": [f"{name}_00{i % 2}"], "eval_data": {"answer": str(i)}}
            for i in range(30)
        ]  # fmt: skip
        (tmp_path / "sra" / f"{name}.json").write_text(json.dumps(rows))
    return SraBench(tmp_path)


def test_stand_ins_come_from_the_evidence_split_only(tmp_path: Path) -> None:
    suite = small(tmp_path)
    library = suite.library()
    assert len(library.skills) == len(suite.families) == 10
    tested = suite.tasks("champ", "test", 99)
    assert tested and all(t.split == "test" for t in tested)
    bodies = "\n".join(s.body for s in library.skills)
    assert not any(str(t.meta["question"]) in bodies for t in tested)
    assert all(validate(s) == [] and "champ" not in s.name for s in library.skills)
    assert library.get(named("champ_001")) is not None and suite.human_skill("champ_001") is None


def test_the_corpus_is_used_where_it_is(tmp_path: Path) -> None:
    suite = small(tmp_path)
    rows = [
        {"skill_id": "champ_001", "name": "Odd", "description": "odd things", "content": "Do it."},
        {"skill_id": "other"},
    ]
    (tmp_path / "sra" / "corpus.json").write_text("\n".join(json.dumps(r) for r in rows))
    skill = suite.human_skill("champ_001")
    assert skill is not None and skill.description == "Odd: odd things" and skill.body == "Do it.\n"
    assert len(suite.library().skills) == 11


def test_a_data_set_alone_is_split_within_each_skill(tmp_path: Path) -> None:
    folder = tmp_path / "sra"
    folder.mkdir()
    rows = [
        {"instance_id": f"q_{skill}_{i}", "dataset": "logicbench", "skill_annotations": [f"s{skill}"],
         "question": f"It rains in town {i // (1 + skill)}.\n\nIs question {i} of {skill} true?",
         "eval_data": {"answer": "no"}}
        for skill, n in enumerate((30, 21, 12, 5)) for i in range(n)
    ]  # fmt: skip
    (folder / "theoremqa.json").write_text("[]")
    (folder / "logicbench.json").write_text(json.dumps(rows))
    suite = LogicBench(tmp_path)
    assert suite.families == ("s0", "s1", "s2"), "five questions are too few to learn from and to be tested on"
    for family in suite.families:
        parts = [suite.tasks(family, s, 99) for s in ("evidence", "gate", "test")]
        sizes = [len(p) for p in parts]
        assert max(sizes) - min(sizes) <= 3, "as even as scenarios allow"
        told = [{str(t.meta["question"]).split("\n")[0] for t in part} for part in parts]
        assert not (told[0] & told[1] or told[0] & told[2] or told[1] & told[2])
    assert all(suite.check(t, suite.oracle(t)).passed for t in suite.tasks("logicbench", "test", 99))
    with pytest.raises(UserError, match="no 'theoremqa'"):
        suite.tasks("theoremqa", "test", 1)


@needs_data
def test_the_data_are_whole_and_their_own_answers_right() -> None:
    suite = SraBench(ROOT)
    tasks = [t for d in DATASETS for s in ("evidence", "gate", "test") for t in suite.tasks(d, s, 9_999)]
    assert len(tasks) == 4260 and len({t.id for t in tasks}) == 4260
    assert len(suite.families) >= 400
    wrong = [t.id for t in tasks if not suite.check(t, suite.oracle(t)).passed]
    assert [id.rpartition("/")[2] for id in wrong] == ["toolqa_00810"], "the data give it no answer"
    assert not suite.check(tasks[0], (), "").passed
    with pytest.raises(UserError, match="no 'nothing'"):
        suite.tasks("nothing", "test", 1)


@needs_data
@pytest.mark.parametrize(
    ("name", "n", "families"), [("logicbench", 760, 19), ("medcalcbench", 1100, 55), ("theoremqa", 189, 28)]
)
def test_the_data_sets_to_learn_on(name: str, n: int, families: int) -> None:
    suite = open_suite(name, root=ROOT)
    assert isinstance(suite, SraBench) and len(suite.by_id) == n and len(suite.families) == families
    for family in suite.families:
        parts = [suite.tasks(family, s, 999) for s in ("evidence", "gate", "test")]
        assert min(map(len, parts)) >= max(2, max(map(len, parts)) - 1)
        assert all(suite.check(t, suite.oracle(t)).passed and not suite.check(t, ()).value for p in parts for t in p)
