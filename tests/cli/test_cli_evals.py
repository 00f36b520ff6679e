"""`prowess evals`: tasks of a suite into a skill's folder and back."""

import json
from pathlib import Path

import pytest
from conftest import Prowess

from prowess.suites import open_suite

TEXT = "---\nname: ledgers\ndescription: Sums ledgers.\n---\nSum.\n"


@pytest.fixture
def skill(tmp_path: Path) -> Path:
    folder = tmp_path / "ledgers"
    folder.mkdir()
    (folder / "SKILL.md").write_text(TEXT)
    return folder


def test_tasks_go_out_and_come_back(prowess: Prowess, skill: Path) -> None:
    assert prowess("evals", "read", str(skill)).code == 1
    done = prowess("evals", "write", str(skill), "-f", "ledger-totals", "-n", "2", "--json")
    assert done.code == 0 and done.data["tasks"] == 2
    file = json.loads((skill / "evals/evals.json").read_text())
    assert file["skill_name"] == "ledgers" and len(file["evals"]) == 2
    suite = open_suite("workbench")
    drawn = suite.tasks("ledger-totals", "evidence", 2)
    found = prowess("evals", "read", str(skill), "--json").data
    assert [task["prompt"] for task in found] == [task.prompt for task in drawn]
    right = suite.oracle(drawn[0])
    assert right is not None and right[0].text[:200] in found[0]["meta"]["expected_output"]
    assert [file["path"] for file in found[0]["files"]] == [file.path for file in drawn[0].files]
    assert drawn[0].outputs[0] in found[0]["meta"]["assertions"][0]
    assert "was written" in prowess("evals", "read", str(skill)).out


def test_what_is_there_is_replaced_only_when_asked(prowess: Prowess, skill: Path) -> None:
    line = ("evals", "write", str(skill), "-f", "ledger-totals", "-n", "1")
    assert prowess(*line).code == 0
    before = (skill / "evals/evals.json").read_bytes()
    assert prowess(*line, "-n", "2").code != 0 and (skill / "evals/evals.json").read_bytes() == before
    assert prowess(*line, "-n", "2", "--yes").code == 0 and (skill / "evals/evals.json").read_bytes() != before


def test_bad_input(prowess: Prowess, skill: Path, tmp_path: Path) -> None:
    assert prowess("evals", "read", str(tmp_path / "none")).code == 2
    assert prowess("evals", "write", str(tmp_path)).code == 2
    assert prowess("evals", "write", str(skill), "-f", "none").code == 2
    (skill / "evals").mkdir()
    (skill / "evals/evals.json").write_text("{")
    assert prowess("evals", "read", str(skill)).code == 2
