"""SkillFoundry: works where skills are missing, on what documents say, and keeps what its tests and trials allow."""

from pathlib import Path
from typing import Any

import pytest
from evolve_parts import SUITE
from recipe_parts import DRAFTED, RULE, USELESS, Played, garbled, learned
from test_yunjue import CODE

from prowess.core.errors import UserError
from prowess.core.task import File
from prowess.evolve.documents import nearest, passages, read_documents
from prowess.evolve.method import Setup
from prowess.evolve.recipes import build
from prowess.sandbox import find_sandbox

TOOL = {
    "code": CODE.replace("sum_ledger(path)", "ledger_totals(source, target)"),
    "test": "from ledger_totals import ledger_totals\n\ndef test_it():\n    assert ledger_totals('a', 'b') == 'sums'\n",
}
SAYS: dict[str, Any] = {"contract": {"rules": [RULE]}, "draft": DRAFTED}


def test_documents_become_packages_with_tests_where_a_skill_is_missing(tmp_path: Path) -> None:
    model = Played("skillfoundry", SAYS | {"tool": TOOL})
    record = learned("skillfoundry", tmp_path, model, gate=9)
    (skill,) = record.after.skills
    assert [f.path for f in skill.files] == ["scripts/ledger_totals.py", "tests/test_ledger_totals.py"]
    assert "## Sources\n\n- ledger-totals.md" in skill.body and "## Script" in skill.body
    assert record.comparisons[0].evidence.treatment_rate == 1.0
    assert len(record.curve) == 2  # the leaf has its skill: no second round
    assert "House rules" in model.questions("contract")[0] and "```" not in model.questions("contract")[0]
    assert record.decisions[0].lessons[0].references[0].quote.startswith("## House rules")


def test_what_does_not_help_is_kept_only_without_validation(tmp_path: Path) -> None:
    says = SAYS | {"draft": USELESS, "tool": TOOL}
    record = learned("skillfoundry", tmp_path / "a", Played("skillfoundry", says), gate=9)
    assert not record.after.skills and len(record.curve) == 4  # the leaf is taken up again
    assert record.decisions[0].verdicts[-1].gate == "trials"
    free = Played("skillfoundry", says)
    assert learned("skillfoundry.unvalidated", tmp_path / "b", free, gate=9).after.names == ("ledger-totals",)
    assert not free.questions("tool")


def test_a_passage_that_says_nothing_makes_no_skill(tmp_path: Path) -> None:
    model = Played("skillfoundry", SAYS | {"contract": {"rules": []}})
    assert not learned("skillfoundry", tmp_path, model).decisions and not model.questions("draft")


def test_garbage_makes_no_package(tmp_path: Path) -> None:
    garbled("skillfoundry", tmp_path, SAYS | {"tool": TOOL})


def test_documents_of_a_repository_are_read_as_passages(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "hidden.md").write_text("# Hidden\n")
    (tmp_path / "README.md").write_text("Intro.\n\n# Totals\nSemicolons.\n\n# Canteen\nLunch at noon.\n")
    (tmp_path / "tool.py").write_text(
        'def add(a, b):\n    """Adds totals."""\n    return a + b\n\ndef other():\n    pass\n'
    )
    (tmp_path / "broken.py").write_text("def (")
    (tmp_path / "data.bin").write_bytes(b"\x00")
    (tmp_path / "link.md").symlink_to(tmp_path / "README.md")
    found = passages(read_documents(tmp_path))
    assert [(p.path, p.text.splitlines()[0]) for p in found] == [
        ("README.md", "Intro."), ("README.md", "# Totals"), ("README.md", "# Canteen"), ("tool.py", "def add(a, b):"),
    ]  # fmt: skip
    assert [p.text.splitlines()[0] for p in nearest("lunch in the canteen", found, 2)] == ["# Canteen"]
    assert nearest("x", (), 3) == ()
    with pytest.raises(UserError, match="no folder"):
        read_documents(tmp_path / "README.md")


def test_given_documents_take_the_place_of_manuals() -> None:
    given = (File(path="a.md", data=b"# Ledger totals\nAll totals are in cents. Journal, account.\n"),)
    setup = Setup(SUITE, find_sandbox(), ("ledger-totals",), documents=given)
    analyst: Any = build("skillfoundry", setup).analyst
    assert [passage.path for passage in analyst.passages] == ["a.md"]


def test_a_run_mines_the_documents_of_its_plan(tmp_path: Path) -> None:
    model = Played("skillfoundry", SAYS | {"contract": {"rules": []}})
    given = (File(path="a.md", data=b"# Ledger totals\nAll totals of accounts are in cents.\n"),)
    learned("skillfoundry", tmp_path, model, documents=given)
    assert "in cents" in model.questions("contract")[0] and "House rules" not in model.questions("contract")[0]
