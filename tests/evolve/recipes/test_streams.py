"""Methods along a stream: Memento-Skills, SkillForge, SkillClaw, SkillFlow."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from evolve_parts import run
from recipe_parts import (
    DRAFTED,
    FEW,
    LEARNED,
    RULE,
    SOME,
    SUMS,
    USELESS,
    Played,
    edited,
    episode,
    garbled,
    learned,
    seeded,
)

from prowess.core.patch import CreateSkill, Patch
from prowess.evolve.protocols import Past
from prowess.evolve.recipes import memento, skillforge
from prowess.evolve.recipes.skillclaw import dealt
from prowess.evolve.recipes.skillforge import Issue, gravest
from prowess.evolve.record import Decision

OTHER = "Sort them by their names."


def success(record: Any) -> float:
    return record.comparisons[0].evidence.treatment_rate if record.comparisons else 0.0


# --- memento -----------------------------------------------------------------


def test_memento_creates_on_a_miss_and_tries_again(tmp_path: Path) -> None:
    says = {"reflect": LEARNED, "draft": DRAFTED, "edit": {"edits": []}}
    record = learned("memento", tmp_path, Played("memento", says))
    assert [point.passed for point in record.curve] == [False, True, True, True, True]
    assert record.curve[0].task_id == record.curve[1].task_id, "the failed task comes again"
    assert success(record) == 1.0


def test_memento_never_writes_when_it_is_read_only(tmp_path: Path) -> None:
    record = learned("memento.read-only", tmp_path, Played("memento", {}))
    assert not record.decisions and len(record.curve) == SOME.evidence * 3


def test_a_change_that_its_unit_test_does_not_pass_is_rolled_back(tmp_path: Path) -> None:
    says = {"reflect": LEARNED, "draft": USELESS, "edit": edited(OTHER)}
    tested = learned("memento", tmp_path / "a", Played("memento", says))
    untested = learned("memento.untested", tmp_path / "b", Played("memento", says))
    assert {d.verdicts[-1].gate for d in tested.decisions} == {"unit-test"} and not tested.after.skills
    assert untested.decisions[0].accepted and success(untested) == 0.0


def test_a_skill_of_low_utility_is_written_anew_and_not_patched(tmp_path: Path) -> None:
    says = {"reflect": LEARNED, "draft": DRAFTED, "edit": edited(OTHER)}
    records = {}
    for spec in ("memento", "memento.patch-only"):
        library = seeded(tmp_path / spec / "library", USELESS)
        records[spec] = run(replace(SOME, recipe=spec), Played("memento", says), tmp_path / spec, library)
    assert any("written anew, 0 of" in d.patch.reason and d.accepted for d in records["memento"].decisions)
    assert (success(records["memento"]), success(records["memento.patch-only"])) == (1.0, 0.0)


def test_a_new_version_does_not_answer_for_the_one_before() -> None:
    draft = Patch(base="", operations=(CreateSkill(skill=SUMS),), reason="r")
    decision = Decision(round=1, patch=draft, lessons=(), verdicts=(), accepted=True)
    rounds = tuple((episode(False, i, loaded=("sums",)),) for i in range(4))
    assert memento.since_changed("sums", Past(rounds, (decision,))) == (rounds[2][0], rounds[3][0])
    assert len(memento.since_changed("other", Past(rounds, (decision,)))) == 4


# --- skillforge --------------------------------------------------------------

MINED = {"issue": "Totals by account.", "path": [RULE], "do": [], "dont": ["Do not round twice."]}


def analysed(told: str) -> Any:
    return {"issue": "missing", "severity": "high", "what": RULE} if "Respect: knowledge" in told else {"issue": "none"}


FORGE: dict[str, Any] = {
    "mine": MINED,
    "draft": lambda told: DRAFTED if RULE in told else USELESS,
    "write": USELESS,
    "analyse": {"issue": "none"},
    "diagnose": {"line": 3, "kind": "insufficient", "change": RULE},
    "edit": {"edits": []},
}


def test_the_domain_creator_mines_past_work_and_the_generic_one_does_not(tmp_path: Path) -> None:
    domain = learned("skillforge", tmp_path / "a", Played("skillforge", FORGE))
    generic = learned("skillforge.generic", tmp_path / "b", Played("skillforge", FORGE))
    assert (success(domain), success(generic)) == (1.0, 0.0)
    assert [point.passed for point in domain.curve] == [False] * 4 + [True] * 12


def test_the_plan_names_a_place_and_without_it_the_optimiser_does_not_know(tmp_path: Path) -> None:
    says = FORGE | {
        "mine": MINED | {"path": ["Add up."]},
        "analyse": lambda told: analysed(told) | ({"what": "It falls short."} if "knowledge" in told else {}),
        "edit": lambda told: edited(RULE) if f"line 3: {RULE}" in told else {"edits": []},
    }
    played = Played("skillforge", says)
    whole = learned("skillforge", tmp_path / "a", played)
    undiagnosed = learned("skillforge.undiagnosed", tmp_path / "b", Played("skillforge", says))
    assert (success(whole), success(undiagnosed)) == (1.0, 0.0)
    assert "seen 4 times: knowledge, missing" in played.questions("diagnose")[0]
    dimensions = {told.partition("\n")[0] for told in played.questions("analyse")}
    assert dimensions == {f"Respect: {name}" for name in skillforge.DIMENSIONS}


def test_the_gravest_issue_comes_first_then_the_commonest_then_as_dimensions_stand() -> None:
    def issue(dimension: str, name: str, severity: int) -> Issue:
        return Issue(dimension, name, severity, f"{dimension} {name}", episode(False))

    issues = [issue("style", "wrong-form", 2)] * 3 + [issue("tool", "repeated", 2)] + [issue("knowledge", "missing", 2)]
    found = gravest([*issues, issue("clarification", "over-asking", 3)])
    assert [g[0].dimension for g in found] == ["clarification", "style", "knowledge", "tool"]


# --- skillclaw ---------------------------------------------------------------

CLAW: dict[str, Any] = {
    "summarise": LEARNED,
    "decide": lambda told: {"decision": "create_skill" if "There is none." in told else "skip"},
    "draft": DRAFTED,
    "edit": edited(OTHER),
}
DAYS = replace(SOME, evidence=6, gate=9)


def test_sessions_of_all_users_become_one_shared_skill(tmp_path: Path) -> None:
    played = Played("skillclaw", CLAW)
    record = learned("skillclaw", tmp_path, played, DAYS)
    assert [point.passed for point in record.curve] == [False] * 3 + [True] * 3
    assert played.questions("decide")[0].count("- failed") == 3 and success(record) == 1.0
    assert {lesson.kind for d in record.decisions for lesson in d.lessons} == {"memory"}


def test_a_single_user_learns_from_own_sessions_only(tmp_path: Path) -> None:
    played = Played("skillclaw", CLAW)
    record = learned("skillclaw.single-user", tmp_path, played, DAYS)
    assert len(record.curve) == 2 and played.questions("decide")[0].count("- failed") == 1


def test_what_does_not_help_is_shared_only_where_nothing_is_validated(tmp_path: Path) -> None:
    says = CLAW | {"draft": USELESS}
    validated = learned("skillclaw", tmp_path / "a", Played("skillclaw", says), DAYS)
    at_once = learned("skillclaw.unvalidated", tmp_path / "b", Played("skillclaw", says), DAYS)
    assert validated.decisions[0].verdicts[-1].gate == "trials" and not validated.after.skills and at_once.after.skills


@pytest.mark.parametrize(
    ("decision", "op"),
    [
        ({"decision": "improve_skill"}, "replace"),
        (
            {"decision": "optimize_description", "description": "Ledgers by house rules. Use for totals."},
            "set_description",
        ),
        ({"decision": "create_skill"}, "delete_skill"),  # of the same name: it is put in its place
        ({"decision": "skip"}, None),
    ],
)
def test_each_decision_becomes_its_patch(tmp_path: Path, decision: dict[str, Any], op: str | None) -> None:
    library = seeded(tmp_path / "library", USELESS)
    played = Played("skillclaw", CLAW | {"decide": decision})
    record = run(replace(DAYS, recipe="skillclaw.unvalidated"), played, tmp_path, library)
    assert (record.decisions[0].patch.operations[0].op if record.decisions else None) == op


def test_what_only_the_agent_did_wrong_edits_nothing(tmp_path: Path) -> None:
    library = seeded(tmp_path / "library", USELESS)
    says = CLAW | {"decide": {"decision": "improve_skill"}, "summarise": LEARNED | {"blame": "agent"}}
    played = Played("skillclaw", says)
    assert not run(replace(FEW, recipe="skillclaw.unvalidated"), played, tmp_path, library).decisions
    assert played.questions("decide") and not played.questions("edit")


def test_tasks_are_dealt_in_turn() -> None:
    from test_evolve_registry import SETUP

    hands = dealt(SETUP, 3)
    assert len({t.id for hand in hands for t in hand}) == 12 and {len(hand) for hand in hands} == {4}
    assert all({t.family for t in hand} == {*SETUP.families} for hand in hands)


# --- skillflow ---------------------------------------------------------------


def test_each_task_of_a_family_leaves_a_patch_for_the_next(tmp_path: Path) -> None:
    says = {"draft": USELESS, "edit": lambda told: edited(RULE) if "must be" in told else {"edits": []}}
    played = Played("skillflow", says)
    record = learned("skillflow", tmp_path, played)
    assert [point.passed for point in record.curve] == [False, False, True, True]
    assert [point.offered for point in record.curve] == [(), *[("ledger-totals",)] * 3]
    assert "It passed." in played.questions("edit")[-1], "successes are shown too"


def test_raw_history_shows_what_happened_and_writes_no_skill(tmp_path: Path) -> None:
    played = Played("skillflow", {})
    record = learned("skillflow.raw-history", tmp_path, played)
    (skill,) = record.after.skills
    assert skill.name == "ledger-totals-history" and "must be" in skill.body and not played.asked
    assert success(record) == 0.0


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        ("memento", {"reflect": LEARNED, "draft": DRAFTED}),
        ("skillforge", FORGE | {"analyse": analysed}),
        ("skillclaw", CLAW | {"decide": {"decision": "create_skill"}}),
        ("skillflow", {"draft": DRAFTED, "edit": edited(OTHER)}),
    ],
)
def test_garbage_teaches_nothing(tmp_path: Path, recipe: str, says: dict[str, Any]) -> None:
    garbled(recipe, tmp_path, says)
