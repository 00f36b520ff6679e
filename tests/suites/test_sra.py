"""SRA-Bench: the comparison of answers on fixed cases, the rest on the data where they are."""

import json
import os
from pathlib import Path

import pytest

from prowess.core.errors import UserError
from prowess.library.skillmd import validate
from prowess.suites import open_suite
from prowess.suites.sra import DATASETS, Record, SraBench, is_right, named, said

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
        (record("theoremqa", "[1, 2]", answer_type="list of integer"), ["[1, 2]", "1 and 2"], ["[2, 1]", "[1]"]),
        (record("theoremqa", "(b)", answer_type="option"), ["b", "(B)"], ["a"]),
        (record("theoremqa", "3.54e-07", answer_type="float"), ["3.5e-7"], ["3.5e-6"]),
        (
            record("medcalcbench", "25", lower_limit="24", upper_limit="26.5", output_type="decimal"),
            ["26"],
            ["27", "x"],
        ),
        (record("medcalcbench", "('34 weeks', '6 days')", output_type="date"), ["34 weeks and 6 days"], ["34 weeks"]),
        (record("logicbench", "choice_2"), ["Choice_2"], ["choice_3"]),
        (record("logicbench", "no"), ["No."], ["yes", "no idea"]),
        (record("toolqa", "$799 "), ["$799", "799"], ["$79"]),
        (record("toolqa", "8:00 PM"), ["8:00 pm"], ["9:00 PM", "8"]),
        (record("champ", "0 is the only possible value"), ["0"], ["1", "none"]),
    ],
)
def test_answers_are_compared_in_the_way_of_their_data_set(case: Record, right: list[str], wrong: list[str]) -> None:
    assert [a for a in right if not is_right(case, a)] == []
    assert [a for a in wrong if is_right(case, a)] == []


def test_the_answer_is_the_last_line_that_says_so() -> None:
    assert said("I think\nANSWER: 3\nno\nANSWER: **42**.") == "42"
    assert said("answer: -1.5 %") == "-1.5 %"
    assert said("first\n\nlast.\n\n") == "last" and said("") == ""


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


@needs_data
def test_the_data_are_whole_and_their_own_answers_right() -> None:
    suite = SraBench(ROOT)
    tasks = [t for d in DATASETS for s in ("evidence", "gate", "test") for t in suite.tasks(d, s, 9_999)]
    assert len(tasks) == 4260 and len({t.id for t in tasks}) == 4260
    assert len(suite.families) >= 400
    wrong = [t.id for t in tasks if not suite.check(t, (), f"ANSWER: {_own(suite, t.id)}").passed]
    assert wrong == []
    assert not suite.check(tasks[0], (), "").passed
    with pytest.raises(UserError, match="no 'nothing'"):
        suite.tasks("nothing", "test", 1)


def _own(suite: SraBench, id: str) -> str:
    return " ".join(suite._records[id.rpartition("/")[2]].answer.split())
