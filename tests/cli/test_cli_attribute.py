"""`prowess attribute`: from the library on disk to answers, with the real suite and sandbox."""

import json
from pathlib import Path
from typing import Any

import pytest

from prowess.core.patch import CreateSkill, Patch
from prowess.core.skill import Skill
from prowess.library import Library


@pytest.fixture
def answers(tmp_path: Path) -> str:
    """A model that always answers with a program that does nothing."""
    script = tmp_path / "answers.json"
    script.write_text(json.dumps(["```python\nprint(1)\n```"] * 200))
    return f"scripted:{script}"


def run(prowess: Any, answers: str, *arguments: str) -> Any:
    done = prowess("attribute", *arguments, "-f", "ledger-totals", "-n", "3", "--margin", "40", "-m", answers, "--json")
    if done.code == 2 and "sandbox" in done.err:
        pytest.skip("no sandbox here")
    assert done.code == 0, done.err
    return done.data


def test_a_skill_that_changes_nothing_is_no_help_and_can_be_proposed_for_removal(
    prowess: Any, library: Library, answers: str
) -> None:
    found = run(prowess, answers)
    (one,) = found["contributions"]
    assert (one["part"], one["worth"], one["shown"], one["tasks"]) == ("ledger-totals", "no help", 3, 3)
    assert found["removable"]["parts"] == ["ledger-totals"] and found["proposed"] == []
    waiting = len(library.proposals())
    again = run(prowess, answers, "--propose")
    assert again["contributions"] == found["contributions"]
    (id,) = again["proposed"]
    assert len(library.proposals()) == waiting + 1 and library.snapshot().names == ("ledger-totals",)
    assert "it is no help" in prowess("review").out
    prowess("review", "--accept", id, "--yes")
    assert library.snapshot().names == ()
    prowess("undo", "--yes")
    assert library.snapshot().names == ("ledger-totals",)


def test_lines_of_a_skill_are_named_as_why_names_them(prowess: Any, library: Library, answers: str) -> None:
    (line,) = run(prowess, answers, "ledger-totals")["contributions"]
    skill, _, number = line["part"].partition(":")
    assert prowess("why", f"{skill}:{number}", "--json").data["lines"][0]["text"] == "- Skip void rows."


def test_shapley_and_the_table_for_people(prowess: Any, library: Library, answers: str) -> None:
    other = Skill(name="other", description="Ledgers of the house by account.", body="# Other\n\nText.\n")
    library.apply(Patch(base=library.snapshot().digest, operations=(CreateSkill(skill=other),), reason="x"))
    shares = run(prowess, answers, "--shapley")["shapley"]
    assert [s["part"] for s in shares["shares"]] == ["ledger-totals", "other"] and shares["total"] == 0
    options = ("-f", "ledger-totals", "-n", "3", "--margin", "40", "-m", answers)
    table = prowess("attribute", *options)
    assert "no help" in table.out and "may go" in table.out and "without → with" in table.out
    assert "all coalitions" in prowess("attribute", "--shapley", *options).out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("no-such-skill",), "no skill 'no-such-skill'"),
        (("--margin", "90"), "margin is 0.9"),
        (("--pairs", "3"), "3 pairs can never decide"),
        (("--family", "no-such-family"), "no family"),
        (("--shapley", "--propose"), "--shapley says whose"),
    ],
)
def test_nonsense_is_refused_before_anything_is_paid(
    prowess: Any, library: Library, answers: str, arguments: tuple[str, ...], message: str
) -> None:
    done = prowess("attribute", *arguments, "-m", answers)
    assert done.code == 2 and message in done.err and "→" in done.err


def test_an_empty_library_has_nothing_to_try(prowess: Any, tmp_path: Path, answers: str) -> None:
    Library.open(tmp_path / "data" / "library", create=True)
    done = prowess("attribute", "-m", answers)
    assert done.code == 2 and "empty" in done.err
