"""The curator of SkillOS: what its calls become, and what they cost."""

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from evolve_parts import SMALL, SUITE, WeakModel, fenced, noted, run
from hypothesis import given, settings
from hypothesis import strategies as st

from prowess.agents.code import CodeAgent
from prowess.agents.models.scripted import ScriptedModel
from prowess.core.cost import Cost
from prowess.core.errors import ModelError
from prowess.core.model import Request, Response
from prowess.core.patch import CreateSkill, DeleteSkill, Patch
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import Check, Score
from prowess.core.trajectory import Step, Trajectory
from prowess.evolve.curate import Curation, Curator, Transcript, operations_of
from prowess.evolve.prompts import prompts
from prowess.evolve.protocols import Context, Episode, Event
from prowess.library import Library
from prowess.library.patching import apply
from prowess.sandbox import find_sandbox
from prowess.trajectories.runstore import RunStore

SUMS = Skill(name="sums", description="Adds up. Use for totals.", body="# Sums\n\nRound half up.\n")
LIBRARY = Snapshot.of([SUMS])
(TASK,) = SUITE.tasks("ledger-totals", "evidence", 1)


def call(operation: Any, name: str = "sums", description: str = "", content: str = "") -> Curation:
    return Curation(operation=operation, skill_name=name, description=description, content=content)


@pytest.mark.parametrize(
    ("curation", "operations"),
    [
        (call("none"), []),
        (call("none", name="anything at all", content="text"), []),
        (call("delete"), [DeleteSkill]),
        (call("update", content="# Sums\n\nRound down."), [DeleteSkill, CreateSkill]),
        (call("update", description="Other.", content=SUMS.body), [DeleteSkill, CreateSkill]),
        (call("update", content=SUMS.body), []),  # says what is there already
        (call("insert", "Late Fees", "Fees. Use for late ones.", "Ten euros."), [CreateSkill]),
        (call("insert", "late_fees", "Fees. Use for late ones.", "Ten euros."), [CreateSkill]),
        (call("insert", "sums", "Adds.", "Round up."), [DeleteSkill, CreateSkill]),
    ],
)
def test_a_call_becomes_operations(curation: Curation, operations: list[type]) -> None:
    found = operations_of(curation, LIBRARY)
    assert [type(operation) for operation in found] == operations
    after = apply(Patch(base=LIBRARY.digest, operations=found, reason="r"), LIBRARY)
    if curation.operation in ("insert", "update") and found:
        changed = after.get(curation.skill_name.lower().replace(" ", "-").replace("_", "-"))
        assert changed is not None and changed.body == curation.content.strip() + "\n"
        assert changed.description == (curation.description or SUMS.description)
    assert len(after.skills) == 1 + (curation.skill_name.lower().startswith("late")) - (curation.operation == "delete")


@pytest.mark.parametrize(
    ("curation", "says"),
    [
        (call("delete", "nobody"), "no skill is called 'nobody'"),
        (call("update", "nobody", "d", "c"), "no skill is called 'nobody'"),
        (call("insert", "../../etc", "d", "c"), "name"),
        (call("insert", "", "d", "c"), "name"),
        (call("insert", "fees", "", "c"), "description"),
        (call("insert", "fees", "x" * 2000, "c"), "description"),
    ],
)
def test_a_call_that_cannot_be_carried_out_is_refused(curation: Curation, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        operations_of(curation, LIBRARY)


WORDS = st.text(max_size=20) | st.sampled_from(["sums", "Sums ", "sums/..", "-", "a" * 80, "name: x", "---\nname: y"])


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["insert", "update", "delete", "none"]), WORDS, WORDS, WORDS)
def test_any_call_gives_a_valid_library_or_is_refused(operation: str, name: str, about: str, content: str) -> None:
    try:
        found = operations_of(call(operation, name, about, content), LIBRARY)
    except ValueError:
        return
    after = apply(Patch(base=LIBRARY.digest, operations=found, reason="r"), LIBRARY)
    assert len({*after.names, "sums"}) <= 2
    for skill in after.skills:
        assert skill.name and "/" not in skill.name and skill.description


def episode(passed: bool, **more: Any) -> Episode:
    checks = (Check(name="order", passed=passed, message="" if passed else "lines must be ordered"),)
    score = Score(value=float(passed), passed=passed, checks=checks, verifier="suite:workbench", trusted=True)
    steps = (Step(source="user", message="do it"), Step(source="agent", message="a program"))
    values: dict[str, Any] = {"steps": steps, "score": score, **more}
    return Episode(TASK, Trajectory(id=f"t-{passed}", task_id=TASK.id, agent="code/1", model="m", **values))


class World:
    def __init__(self, out: Path) -> None:
        self.store = RunStore(out / "run.db")
        self.events: list[Event] = []

    def patches(self, model: ScriptedModel, *episodes: Episode) -> tuple[Patch, ...]:
        agent = CodeAgent(model, find_sandbox())
        context = Context(SUITE, agent, model, self.store, report=noted(self.events))

        async def main() -> tuple[Patch, ...]:
            lessons = await Transcript().lessons(episodes, LIBRARY, context)
            return await Curator(prompts("skillos")["curate"]).patches(lessons, LIBRARY, context)

        return anyio.run(main)


def test_the_curator_is_shown_task_answer_outcome_and_skills(tmp_path: Path) -> None:
    model = ScriptedModel(['{"operation": "none"}', '{"operation": "none"}'])
    assert World(tmp_path).patches(model, episode(False, loaded=("sums",)), episode(True)) == ()
    failed, passed = (request.messages[-1].content for request in model.requests)
    assert "a program" in failed and "lines must be ordered" in failed and "Round half up." in failed
    assert "It passed." in passed and "sums" in passed and "Round half up." not in passed
    assert all(request.json_schema is not None for request in model.requests)


def test_what_is_missing_is_not_shown_and_an_empty_session_is_no_crash(tmp_path: Path) -> None:
    model = ScriptedModel(['{"operation": "none"}'])
    missing = Episode(TASK, episode(True).trajectory.model_copy(update={"status": "missing"}))
    assert World(tmp_path).patches(model, missing, episode(False, steps=())) == () and len(model.requests) == 1


def priced(*texts: str) -> ScriptedModel:
    cost = Cost(calls=1, prompt_tokens=100, completion_tokens=10)
    return ScriptedModel([Response(text=text, model="m", cost=cost) for text in texts], name="scripted:m")


def test_a_curation_is_paid_once_and_its_cost_is_kept(tmp_path: Path) -> None:
    answer = json.dumps({"operation": "insert", "skill_name": "fees", "description": "Fees.", "content": "Ten."})
    world = World(tmp_path)
    first = world.patches(priced(answer), episode(False))
    assert [operation.op for operation in first[0].operations] == ["create_skill"] and first[0].author == "skillos"
    assert world.patches(priced(), episode(False)) == first
    assert [(spent.kind, spent.cost.calls) for spent in world.store.spent()] == [("curation", 1)]


def test_unusable_answers_are_counted_with_their_cost_and_change_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert world.patches(priced("I would rather not.", "No."), episode(False)) == ()
    assert world.patches(priced('{"operation": "delete", "skill_name": "nobody"}'), episode(True)) == ()
    assert [event.data["unusable"] for event in world.events] == [True, True]
    spent = {spent.kind: (spent.values, spent.cost.calls) for spent in world.store.spent()}
    assert spent == {"curation": (1, 1), "unusable": (2, 2)}


def test_a_curator_that_is_down_does_not_end_the_run(tmp_path: Path) -> None:
    def down(request: Request) -> Response:
        raise ModelError("gone")

    world = World(tmp_path)
    assert world.patches(ScriptedModel(down), episode(False), episode(True)) == ()
    assert len(world.events) == 2 and "gone" in world.events[0].message


def test_skillos_curates_along_the_stream(tmp_path: Path) -> None:
    """It fails the first task, writes the skill down, and passes from then on."""
    weak = WeakModel()
    about = SUITE.human_skill("ledger-totals").description
    content = f"# Ledger totals\n\nThis worked:\n\n{fenced(SUITE.program(TASK))}"
    insert = {"operation": "insert", "skill_name": "ledger-totals", "description": about, "content": content}

    def answer(request: Request) -> str:
        if request.json_schema is None:
            return fenced(weak.program(request))
        told = request.messages[-1].content
        return json.dumps(insert if "none yet" in told else {"operation": "none"})

    library = Library.open(tmp_path / "library", create=True)
    plan = SMALL.__class__("skillos", families=("ledger-totals",), evidence=4, test=2, human=False)
    record = run(plan, ScriptedModel(answer), tmp_path, library)
    assert [point.passed for point in record.curve] == [False, True, True, True]
    assert [point.offered for point in record.curve] == [(), *[("ledger-totals",)] * 3]
    (decision,) = record.decisions
    assert decision.accepted and decision.round == 0 and library.snapshot() == record.after
    assert record.comparisons[0].evidence.treatment_rate == 1.0
    assert {stage.stage: stage.values for stage in record.costs}["curation"] == 4
