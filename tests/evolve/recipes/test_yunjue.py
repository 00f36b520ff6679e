"""Yunjue: tools are requested, written until their tests pass, repaired when they never help, and merged."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from evolve_parts import SUITE
from recipe_parts import DRAFTED, RULE, Played, World, always, episode, garbled, learned

from prowess.core.patch import CreateSkill, Patch
from prowess.core.skill import Skill, Snapshot
from prowess.evolve.prompts import prompts
from prowess.evolve.protocols import Past
from prowess.evolve.record import Decision
from prowess.evolve.requests import Wanted
from prowess.evolve.tools import Developer, OneTool, develop, egl, failed, tool_of
from prowess.sandbox import find_sandbox

ASK = prompts("common")["tool"]
WANTED = {"name": "sum-ledger", "description": f"{DRAFTED['description']} {RULE}", "arguments": ["path"]}
CODE = "def sum_ledger(path):\n    return 'sums'\n"
TEST = "from sum_ledger import sum_ledger\n\ndef test_sum():\n    assert sum_ledger('x') == 'sums'\n"
WRITTEN = {"code": CODE, "test": TEST}
SAYS: dict[str, Any] = {"request": {"missing": WANTED}, "tool": WRITTEN}


def test_tools_are_made_from_zero_while_tasks_stream_by(tmp_path: Path) -> None:
    model = Played("yunjue", SAYS)
    record = learned("yunjue", tmp_path, model)
    assert [point.passed for point in record.curve] == [False] * 4 + [True] * 4
    (tool,) = record.after.skills
    assert [file.path for file in tool.files] == ["scripts/sum_ledger.py", "tests/test_sum_ledger.py"]
    assert {v.gate: v.status for v in record.decisions[0].verdicts}["self-test"] == "pass"
    assert record.comparisons[0].evidence.treatment_rate == 1.0 and len(model.questions("tool")) == 1


def test_a_tool_is_mended_with_its_own_traceback_and_given_up_after_three_tries(tmp_path: Path) -> None:
    bad = json.dumps({"code": CODE.replace("sums", "nothing"), "test": TEST})
    world = World(tmp_path / "a", [bad, json.dumps(WRITTEN)])
    asked = Wanted.model_validate(WANTED)
    tool = world.run(lambda: develop(world.context, ASK, asked, find_sandbox()))
    assert tool is not None and "AssertionError" in world.asked[1] and "none yet" in world.asked[0]
    assert "def sum_ledger(path):" in world.asked[0]
    world = World(tmp_path / "b", always(json.loads(bad)))
    assert world.run(lambda: develop(world.context, ASK, asked, find_sandbox())) is None and len(world.asked) == 3


@pytest.mark.parametrize(
    ("code", "says"),
    [("def other():\n    pass\n", "does not define"), (f"import numpy\n{CODE}", "numpy"), ("", "does not define")],
)
def test_a_tool_that_is_something_else_or_needs_more_is_refused(code: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        tool_of(Wanted.model_validate(WANTED), code, TEST)
    declared = tool_of(Wanted.model_validate(WANTED), f"import openpyxl\n{CODE}", TEST)
    assert declared.compatibility == "Python with openpyxl"


def tool(name: str, about: str, more: str = "") -> Skill:
    function = name.replace("-", "_")
    code, test = CODE.replace("sum_ledger", function) + more, TEST.replace("sum_ledger", function)
    return tool_of(Wanted(name=name, description=about, arguments=("path",)), code, test)


def new(skill: Skill, *lessons: str) -> Patch:
    return Patch(base=Snapshot().digest, operations=(CreateSkill(skill=skill),), reason="r", lessons=lessons)


ABOUT = "Sums a ledger per account. Use for totals."
TWINS = (new(tool("sum-ledger", ABOUT, "# long\n"), "a"), new(tool("ledger-sum", ABOUT), "b"))
COUSINS = (new(tool("sum-ledger", ABOUT), "a"), new(tool("total-accounts", ABOUT), "b"))


def merged(out: Path, answers: Any, *patches: Patch) -> tuple[tuple[Patch, ...], World]:
    world = World(out, answers)
    one = OneTool(ASK, find_sandbox(), "yunjue")
    return world.run(lambda: one.merge(patches, Snapshot(), world.context)), world


def test_tools_of_the_same_words_become_the_smallest_and_no_model_is_asked(tmp_path: Path) -> None:
    (patch,), world = merged(tmp_path, [], *TWINS)
    (operation,) = patch.operations
    assert isinstance(operation, CreateSkill) and operation.skill.name == "ledger-sum" and not world.asked
    assert patch.lessons == ("a", "b")


def test_tools_that_one_could_replace_are_written_as_one_or_all_stay(tmp_path: Path) -> None:
    other = new(tool("rename-photos", "Renames photos by date. Use for pictures."), "c")
    found, world = merged(tmp_path / "a", always(WRITTEN), *COUSINS, other)
    assert [patch.lessons for patch in found] == [("a", "b"), ("c",)]
    assert "def total_accounts" in world.asked[0] and len(world.asked) == 1
    found, _ = merged(tmp_path / "b", always("no"), *COUSINS, other)
    assert len(found) == 3


def loaded(name: str, *passed: bool) -> tuple[Any, ...]:
    return tuple(episode(one, number, loaded=(name,)) for number, one in enumerate(passed))


def test_a_tool_that_never_helped_is_written_anew_and_must_pass_its_old_tests(tmp_path: Path) -> None:
    there = tool("sum-ledger", ABOUT)
    library, past = Snapshot.of([there]), Past(rounds=(loaded("sum-ledger", False, False),))
    assert failed(library, past) == ("sum-ledger",)
    assert failed(library, Past(rounds=(loaded("sum-ledger", False, True),))) == ()
    better = CODE.replace("    return", "    path = str(path)\n    return")
    for number, (code, n) in enumerate(((better, 1), (CODE.replace("'sums'", "'other'"), 0))):
        world = World(tmp_path / str(number), always({"code": code, "test": TEST.replace("== 'sums'", "")}))
        context = replace(world.context, past=past)
        found = world.run(lambda c=context: Developer(ASK, find_sandbox(), "me").patches((), library, c))
        assert (
            len(found) == n and "def sum_ledger(path):" in world.asked[0] and "It was written so far" in world.asked[0]
        )


def test_generality_loss_falls_as_tools_are_used_again() -> None:
    made = Decision(round=0, patch=TWINS[0], accepted=True)
    rounds = ((episode(False, 1),), loaded("sum-ledger", True), loaded("sum-ledger", True, True, True))
    assert egl(Past(rounds, (made,))) == (1.0, 1.0, 0.25)
    assert egl(Past(rounds, (made.model_copy(update={"accepted": False}),)))[-1] == 0.0 and egl(Past()) == ()


def test_without_merging_every_tool_is_kept(tmp_path: Path) -> None:
    names = iter(["sum-ledger", "ledger-sum", "sum-the-ledger", "ledger-sum-it"])
    says = SAYS | {
        "request": lambda told: {"missing": WANTED | {"name": next(names)}},
        "tool": lambda told: json.loads(json.dumps(WRITTEN).replace("sum_ledger", told.split("def ")[1].split("(")[0])),
    }
    record = learned("yunjue.unmerged", tmp_path, Played("yunjue", says))
    assert len(record.after.names) == 4 and SUITE.name == "workbench"


def test_garbage_makes_no_tool(tmp_path: Path) -> None:
    garbled("yunjue", tmp_path, SAYS)
