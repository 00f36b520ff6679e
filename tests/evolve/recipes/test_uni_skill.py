"""Uni-Skill: asks for what is missing, and makes it in the manner of the nearest demonstrations."""

from pathlib import Path
from typing import Any

from evolve_parts import SUITE
from recipe_parts import DRAFTED, RULE, USELESS, Played, garbled, learned

from prowess.evolve.method import Setup
from prowess.evolve.recipes.uni_skill import demonstrations
from prowess.sandbox import find_sandbox

REQUEST = {"missing": {"name": "sum-ledger", "description": DRAFTED["description"], "arguments": ["path"]}}
SAYS: dict[str, Any] = {"request": REQUEST, "make": DRAFTED | {"name": "sum-ledger"}}


def test_a_failed_task_requests_a_skill_and_comes_again_with_it(tmp_path: Path) -> None:
    model = Played("uni_skill", SAYS)
    record = learned("uni_skill", tmp_path, model)
    assert [point.passed for point in record.curve] == [False, True, True]
    assert record.after.names == ("sum-ledger",) and RULE in record.after.skills[0].body
    assert record.comparisons[0].evidence.treatment_rate == 1.0
    (asked,) = model.questions("make")
    shown = asked.partition("Demonstrations:")[2]
    assert shown.count("<skill_content") == 3 and 'name="ledger-totals"' not in shown
    assert record.decisions[0].lessons[0].kind == "request"


def test_a_fixed_set_learns_nothing(tmp_path: Path) -> None:
    model = Played("uni_skill", SAYS)
    record = learned("uni_skill.fixed-set", tmp_path, model)
    assert not record.decisions and not model.asked and not any(point.passed for point in record.curve)


def test_without_the_tree_other_demonstrations_are_shown(tmp_path: Path) -> None:
    with_tree, flat = Played("uni_skill", SAYS), Played("uni_skill", SAYS)
    learned("uni_skill", tmp_path / "tree", with_tree)
    learned("uni_skill.flat", tmp_path / "flat", flat)
    assert with_tree.questions("make") != flat.questions("make")


def test_a_skill_that_fails_unseen_tasks_is_refused_and_asked_for_again(tmp_path: Path) -> None:
    model = Played("uni_skill", SAYS | {"make": USELESS | {"name": "sum-ledger"}})
    record = learned("uni_skill", tmp_path, model)
    assert record.decisions and not any(d.accepted for d in record.decisions)
    assert {d.verdicts[-1].gate for d in record.decisions} == {"unseen"}


def test_garbage_teaches_nothing(tmp_path: Path) -> None:
    garbled("uni_skill", tmp_path, SAYS)


def test_no_demonstration_is_of_a_family_of_the_run() -> None:
    setup = Setup(SUITE, find_sandbox(), ("ledger-totals", "address-list"))
    names = {skill.name for skill in demonstrations(setup)}
    assert names and not names & {"ledger-totals", "address-list"}
