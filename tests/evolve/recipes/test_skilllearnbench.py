"""The four methods of SkillLearnBench: one-shot, self-feedback, teacher feedback, skill-creator."""

from pathlib import Path
from typing import Any

import pytest
from recipe_parts import DRAFTED, LEARNED, RULE, USELESS, Played, edited, garbled, learned

from prowess.evolve.recipes import teacher
from prowess.suites.workbench import Workbench

PIECES = {
    "analyse": {"goal": "Totals are written.", "takes": "A ledger.", "gives": "Totals.", "checks": [RULE]},
    "investigate": {"facts": ["Some rows are void."]},
}
SAYS: dict[str, Any] = {
    "write": USELESS,
    "edit": edited(RULE),
    "reflect": LEARNED,
    "review": LEARNED,
    "suggest": LEARNED,
    "fix": edited(RULE),
    **PIECES,
}


def success(record: Any) -> float:
    return record.comparisons[0].evidence.treatment_rate


def test_one_shot_writes_from_the_text_of_one_task_and_runs_none(tmp_path: Path) -> None:
    played = Played("one_shot", SAYS | {"write": DRAFTED})
    record = learned("one_shot", tmp_path, played)
    (told,) = played.questions("write")
    (first,) = Workbench().tasks("ledger-totals", "evidence", 1)
    assert " ".join(first.prompt.split()) in told and record.curve == () and success(record) == 1.0


def test_unread_does_not_see_the_task(tmp_path: Path) -> None:
    played = Played("one_shot", SAYS | {"write": lambda told: DRAFTED if "Files" in told or "`" in told else USELESS})
    assert success(learned("one_shot", tmp_path / "a", played)) == 1.0
    assert success(learned("one_shot.unread", tmp_path / "b", played)) == 0.0


def test_self_feedback_revises_by_its_own_look_at_the_trace(tmp_path: Path) -> None:
    played = Played("self_feedback", SAYS)
    record = learned("self_feedback", tmp_path, played)
    assert [point.passed for point in record.curve] == [False, True] and success(record) == 1.0
    review, _ = played.questions("review")
    assert "must be" not in review, "no verifier speaks"
    assert success(learned("self_feedback.unreviewed", tmp_path / "b", Played("self_feedback", SAYS))) == 0.0


def test_verified_is_told_what_the_checks_say(tmp_path: Path) -> None:
    played = Played("self_feedback", SAYS)
    assert success(learned("self_feedback.verified", tmp_path, played)) == 1.0
    assert "must be" in played.questions("reflect")[0] and not played.questions("review")


def test_a_teacher_who_sees_the_key_helps_and_without_it_nobody_knows(tmp_path: Path) -> None:
    key = Workbench().human_skill("ledger-totals").body.splitlines()[2]
    vague = LEARNED | {"lesson": "Look at the ledger again."}
    says = SAYS | {
        "suggest": lambda told: LEARNED if key in told else vague,
        "reflect": vague,
        "edit": lambda told: edited(RULE) if RULE in told else {"edits": []},
    }
    taught = learned("teacher", tmp_path / "a", Played("teacher", says))
    untaught = learned("teacher.untaught", tmp_path / "b", Played("teacher", says))
    assert (success(taught), success(untaught)) == (1.0, 0.0)


def test_a_suggestion_that_quotes_the_key_is_dropped(tmp_path: Path) -> None:
    key = Workbench().human_skill("ledger-totals").body
    line = max(key.splitlines(), key=lambda line: len(line.split()))
    assert teacher.quotes(f"Write this: {line}", key) and not teacher.quotes("Write rows in the right order.", key)
    assert not teacher.quotes(line, "")
    played = Played("teacher", SAYS | {"suggest": LEARNED | {"lesson": line[:290]}})
    record = learned("teacher", tmp_path, played)
    assert not played.questions("edit") and success(record) == 0.0


def test_stages_give_the_writer_what_one_stage_does_not(tmp_path: Path) -> None:
    write = {"write": lambda told: DRAFTED if "Some rows are void" in told and RULE in told else USELESS}
    staged = learned("skill_creator", tmp_path / "a", Played("skill_creator", SAYS | write))
    single = learned("skill_creator.one-stage", tmp_path / "b", Played("skill_creator", SAYS | write))
    assert (success(staged), success(single)) == (1.0, 0.0)


def test_what_the_validator_finds_is_mended(tmp_path: Path) -> None:
    says = SAYS | {
        "write": DRAFTED | {"steps": [RULE, "Then run scripts/totals.py on it."]},
        "fix": {"edits": [{"action": "delete", "line": 4}]},
    }
    fixed = learned("skill_creator", tmp_path / "a", Played("skill_creator", says))
    broken = learned("skill_creator.unvalidated", tmp_path / "b", Played("skill_creator", says))
    assert success(fixed) == 1.0 and broken.decisions[0].verdicts[-1].gate == "lint"


@pytest.mark.parametrize(
    ("recipe", "questions"),
    [
        ("one_shot", ["write"]),
        ("self_feedback", ["write", "review", "edit"]),
        ("teacher", ["write", "suggest", "edit"]),
        ("skill_creator", ["analyse", "investigate", "write"]),
    ],
)
def test_garbage_teaches_nothing(tmp_path: Path, recipe: str, questions: list[str]) -> None:
    garbled(recipe, tmp_path, {question: SAYS[question] for question in questions})
