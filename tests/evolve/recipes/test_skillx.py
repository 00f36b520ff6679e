"""SkillX: what worked becomes a plan, functions and notes; each tier alone does less; then it makes its own tasks."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from evolve_parts import fenced, right, task_in
from recipe_parts import DRAFTED, RULE, SOME, Played, World, always, episode, garbled, learned

from prowess.core.model import Request
from prowess.core.skill import Snapshot
from prowess.evolve.tiers import Shortest, by_tool, modules_of, risky, tools_of, without_names

CODE = f"import csv\n\nsource = 'FILE'\n# {RULE}\nfor row in csv.DictReader(open(source)):\n    print(row)\n"
CHECKER = "assert open('answer.txt').read().strip() or open(__import__('glob').glob('sums*')[0]).read(), 'nothing'"


def note(told: str) -> dict[str, Any]:
    tool = told.splitlines()[0].removeprefix("Tool: ")
    return DRAFTED | {
        "name": f"using-{tool}",
        "description": f"How {tool} is used in a program.",
        "steps": ["Read it."],
    }


def together(told: str) -> dict[str, Any]:
    """Texts of one skill from two tasks as one."""
    name = told.split('name="')[1].split('"', maxsplit=1)[0]
    about = SAYS["functional"]["description"] if name == "ledger-rows" else f"How {name} is done, step by step."
    return DRAFTED | {"name": name, "description": about, "steps": [RULE if RULE in told else "Read it."]}


SAYS: dict[str, Any] = {
    "plan": {"steps": [{"goal": "Read the ledger row by row.", "tools": ["csv"]}]},
    "functional": {"option": "add", "name": "ledger-rows", "description": DRAFTED["description"], "code": CODE},
    "reuse": {"good": True},
    "atomic": note,
    "merge": together,
    "expand": {"task": "Count the rows of the ledger and write them down.", "checker": CHECKER},
}


@dataclass
class Lucky(Played):
    """Without a skill it does a task right in the third of its rollouts only; its own tasks it does somehow."""

    def _program(self, request: Request) -> str:
        if "Count the rows" in request.messages[-1].content:
            return "print('done')\n"
        return right(task_in(request, self.families)) if request.seed == 2 else super()._program(request)


def test_successes_become_three_tiers_and_the_function_is_what_helps(tmp_path: Path) -> None:
    model = Lucky("skillx", SAYS)
    record = learned("skillx", tmp_path, model, evidence=2)
    assert record.after.names == ("ledger-rows", "ledger-totals-plan", "using-decimal")
    assert "journal" not in record.after.skills[1].body and "`" not in record.after.skills[1].description
    assert record.comparisons[0].evidence.treatment_rate == 1.0 and record.comparisons[0].evidence.baseline_rate == 0.0
    assert [point.passed for point in record.curve].count(None) == 4 * 2  # its own tasks, four times each
    assert len(model.questions("plan")) == 2 + 2  # what it did of its own tasks teaches, too
    assert "import csv" in model.questions("plan")[0]


@pytest.mark.parametrize(
    ("ablation", "names", "rate"),
    [
        ("plans", ("ledger-totals-plan",), 0.0),
        ("functional", ("ledger-rows",), 1.0),
        ("atomic", ("using-csv", "using-decimal"), 0.0),
    ],
)
def test_each_tier_alone(tmp_path: Path, ablation: str, names: tuple[str, ...], rate: float) -> None:
    record = learned(f"skillx.{ablation}", tmp_path, Lucky("skillx", SAYS), evidence=1)
    proposed = {op.skill.name for d in record.decisions for op in d.patch.operations if op.op == "create_skill"}
    assert proposed == {*names} and record.after.names == (names if rate else ())
    assert not rate or record.comparisons[0].evidence.treatment_rate == rate


def test_without_expansion_no_task_is_made(tmp_path: Path) -> None:
    model = Lucky("skillx", SAYS)
    record = learned("skillx.unexpanded", tmp_path, model, evidence=1)
    assert not model.questions("expand") and len(record.curve) == 4


def test_failures_teach_nothing(tmp_path: Path) -> None:
    model = Played("skillx", SAYS)
    record = learned("skillx.unexpanded", tmp_path, model, evidence=1)
    assert not model.asked and not record.decisions


def test_what_is_not_reusable_or_no_code_is_filtered(tmp_path: Path) -> None:
    for number, wrong in enumerate(
        ({"reuse": {"good": False}}, {"functional": SAYS["functional"] | {"code": "def ("}})
    ):
        record = learned("skillx.functional", tmp_path / str(number), Lucky("skillx", SAYS | wrong), evidence=1)
        assert not record.decisions


def test_garbage_teaches_nothing(tmp_path: Path) -> None:
    garbled("skillx", tmp_path, SAYS, replace(SOME, evidence=1, gate=2, test=1), model=Lucky)


def test_the_shortest_success_of_a_task_is_shown_whole(tmp_path: Path) -> None:
    long, short = (episode(True, i, said=fenced(f"import csv\n{'x = 1' * i}\n")) for i in (3, 1))
    world = World(tmp_path, always("-"))
    (found,) = world.run(lambda: Shortest().lessons([long, short, episode(False)], Snapshot(), world.context))
    assert found.references[0].trajectory == short.trajectory.id and found.payload == "csv"


def test_tools_that_fail_are_the_ones_to_dwell_on() -> None:
    runs = [
        episode(True, 1, said=fenced("import csv\n")),
        episode(False, 2, said=fenced("import csv, re\n")),
        episode(False, 3, said=fenced("from json import dumps\n")),
        episode(None, 4, said=fenced("import os\n")),
    ]
    assert risky(by_tool(runs)) == ("json", "re", "csv")
    assert tools_of(episode(True, said="no program").trajectory) == () and modules_of("def (") == ()
    assert without_names("Add `net` to `b`.") == "Add … to …." and without_names("odd ` one") == "odd ` one"
