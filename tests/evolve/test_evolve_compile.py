"""Teams: three dialects read, three conditions checked, skills valid, and the original run beside them."""

import json
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prowess.agents.models.scripted import ScriptedModel
from prowess.core.cost import Cost
from prowess.core.errors import Refused, UserError
from prowess.core.model import Request, Response
from prowess.core.task import File, Score, Split, Task
from prowess.core.trajectory import Step, Trajectory
from prowess.core.view import View
from prowess.evolve.compiling import check, compile_team, read_team
from prowess.evolve.compiling.definition import team_of
from prowess.evolve.compiling.team import TeamAgent, against_team
from prowess.library.skillmd import validate
from prowess.measure.trials import Bench
from prowess.trajectories.runstore import RunStore

RIGHT, WRONG = File(path="a", data=b"right"), File(path="a", data=b"wrong")
TASK = Task(id="t", suite="s", family="f", split="test", seed=0, prompt="Report!")
NO_SKILLS = View(snapshot="")


class Answers:
    """Passes when the answer's file says so."""

    name = "answers"
    families = ("f",)

    def variants(self, family: str) -> tuple[str, ...]:
        return ("base",)

    def tasks(self, family: str, split: Split, n: int, variant: str = "base", start: int = 0) -> tuple[Task, ...]:
        return tuple(TASK.model_copy(update={"id": f"f/base/{i}"}) for i in range(n))

    def check(self, task: Task, outputs: tuple[File, ...], answer: str = "") -> Score:
        good = outputs == (RIGHT,)
        return Score(value=float(good), passed=good, verifier="suite:answers", trusted=True)

    def oracle(self, task: Task) -> None:
        return None

    def human_skill(self, family: str) -> None:
        return None


YAML = """
name: Report Team
agents:
  - name: planner
    description: Plans the report.
    instructions: Write an outline of the report. Be short.
    tools: [search]
    handoffs: [writer]
  - name: writer
    instructions: Write the report from the outline.
    handoffs:
      - {to: reviewer, when: a draft is done}
  - name: reviewer
    instructions: Check the report.
    handoffs:
      - {to: writer, when: something is wrong}
      - {to: end, when: all is well}
"""
NESTED = {
    "name": "triage",
    "instructions": "Find out who can help.",
    "handoffs": [
        {"name": "billing", "instructions": "Answer questions on bills.", "tools": [{"name": "look_up"}]},
        {"name": "tech", "handoff_description": "Mends things", "instructions": "Help.", "handoffs": []},
    ],
}
GRAPH = {
    "nodes": [
        {"id": "__start__", "type": "schema"},
        {
            "id": "research",
            "type": "runnable",
            "data": {"id": ["x"], "name": "r"},
            "metadata": {"prompt": "Look it up."},
        },
        {"id": "answer", "metadata": {"instructions": "Answer from what was found."}},
        {"id": "__end__"},
    ],
    "edges": [
        {"source": "__start__", "target": "research"},
        {"source": "research", "target": "research", "conditional": True, "data": "more is needed"},
        {"source": "research", "target": "answer", "conditional": True},
        {"source": "answer", "target": "__end__"},
    ],
}


def yaml_team(tmp_path: Path, text: str = YAML):
    path = tmp_path / "team.yaml"
    path.write_text(text)
    return read_team(path)


def test_our_yaml_becomes_skills(tmp_path: Path) -> None:
    team = yaml_team(tmp_path)
    assert check(team) == ()
    plan, planner, writer, reviewer = compile_team(team)
    assert [plan.name, planner.name, writer.name] == ["report-team", "report-team-planner", "report-team-writer"]
    assert all(validate(s) == [] for s in (plan, planner, writer, reviewer))
    assert planner.description == "Plans the report. Use it first."
    assert (
        "Use it after report-team-planner, or after report-team-reviewer when something is wrong." in writer.description
    )
    assert "- `search`" in planner.body and "Go on with `report-team-writer`." in planner.body
    assert "Go on with end when all is well." in reviewer.body
    steps = [line for line in plan.body.splitlines() if line[:1].isdigit()]
    assert [line.split("`")[1] for line in steps] == [planner.name, writer.name, reviewer.name]


def test_nested_agents_and_graphs_are_read(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text(json.dumps(NESTED))
    team = read_team(path)
    assert (team.name, team.entry) == ("triage", "triage")
    assert [(h.source, h.target) for h in team.hands] == [("triage", "billing"), ("triage", "tech")]
    assert team.role("billing").tools == ("look_up",)
    graph = team_of(GRAPH, "graph")
    assert graph.entry == "research" and [r.name for r in graph.roles] == ["research", "answer"]
    assert [(h.source, h.target, h.when) for h in graph.hands] == [
        ("research", "research", "more is needed"), ("research", "answer", "it fits"), ("answer", None, ""),
    ]  # fmt: skip
    assert len(compile_team(graph)) == 3
    pipeline = team_of({"agents": [{"name": n, "instructions": n} for n in "abc"]}, "p")
    assert [(h.source, h.target) for h in pipeline.hands] == [("a", "b"), ("b", "c")]


@pytest.mark.parametrize(
    ("more", "condition", "why"),
    [
        ({"protocol": "debate"}, "serialisable communication", "debate"),
        ({"protocol": "vote"}, "serialisable communication", "vote"),
        ({"shared_history": False}, "shared history", "memory of its own"),
        ({"agents": [{"name": "a", "instructions": "x", "private": True}]}, "shared history", "'a'"),
        (
            {"agents": [{"name": "a", "instructions": "x", "model": "m1"},
                        {"name": "b", "instructions": "y", "model": "m2"}]},
            "homogeneous backbone", "m1, m2",
        ),
        (
            {"agents": [{"name": "a", "instructions": "same"}, {"name": "b", "instructions": "same"}]},
            "serialisable communication", "independent samples",
        ),
        (
            {"agents": [{"name": "a", "instructions": "x", "handoffs": [{"to": "b", "input_filter": "drop"}]},
                        {"name": "b", "instructions": "y"}]},
            "shared history", "sees less",
        ),
    ],
)  # fmt: skip
def test_broken_conditions_are_refused_with_the_reason(more: dict, condition: str, why: str) -> None:
    base = {"agents": [{"name": "a", "instructions": "x"}, {"name": "b", "instructions": "y"}]}
    team = team_of(base | more, "t")
    assert any(d.certain and d.condition == condition and why in d.why for d in check(team))
    with pytest.raises(Refused, match=condition):
        compile_team(team)


def test_what_texts_suggest_is_a_doubt_only() -> None:
    agents = [
        {"name": "a", "instructions": "Argue against the other."},
        {"name": "b", "instructions": "Keep it secret."},
    ]
    team = team_of({"agents": agents, "protocol": "parallel"}, "t")
    assert len(check(team)) == 3 and not any(d.certain for d in check(team))
    assert len(compile_team(team)) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1, 2]", "no mapping"),
        ("a: 1", "neither agents nor nodes"),
        ("agents: []", "no agents"),
        ("agents: [{name: a}]", "has no instructions"),
        ("agents: [{instructions: x}]", "has no name"),
        ("agents: [{name: a, instructions: x, handoffs: [b]}]", "no agent of"),
        ("agents: [{name: a, instructions: x}, {name: a, instructions: y}]", "one name"),
        ("agents: [{name: a, instructions: x}]\nentry: z", "starts with 'z'"),
        ("agents: [{name: a, instructions: x}]\nprotocol: magic", "not known"),
        ("agents: &a [1]\nx: *a", "aliases"),
        ("agents: 3\nname: [", "cannot be parsed"),
    ],
)
def test_bad_definitions_say_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        yaml_team(tmp_path, text)


JSON = st.recursive(
    st.none() | st.booleans() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "agents", "instructions", "handoffs", "to", "nodes", "edges"]), inner
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_any_json_is_read_or_refused(value: object) -> None:
    try:
        team = team_of(value, "t")
        compile_team(team)
    except UserError:
        pass


class Worker:
    """Right when its prompt holds the word that the team must bring in, or a skill is shown."""

    name = "worker/1"

    def __init__(self) -> None:
        self.prompts: list[str] = []

    async def run(self, task: Task, view: View, seed: int) -> Trajectory:
        self.prompts.append(task.prompt)
        good = "outline" in task.prompt or bool(view.skills)
        return Trajectory(
            id="x", agent="worker", model="m", snapshot=view.snapshot, steps=(Step(source="agent", message="done"),),
            outputs=(RIGHT if good else WRONG,), cost=Cost(calls=1, prompt_tokens=100),
        )  # fmt: skip


def roles(request: Request) -> str:
    who = request.messages[0].content.split(".")[0]
    return {"You are planner": "an outline", "You are writer": "a draft"}.get(who, "good\nNEXT: end")


def test_the_team_speaks_in_turn_and_the_worker_ends_the_work(tmp_path: Path) -> None:
    model, worker = ScriptedModel(roles), Worker()
    agent = TeamAgent(yaml_team(tmp_path), model, worker)
    done = anyio.run(agent.run, TASK, NO_SKILLS, 0)
    assert [s.message.split(":")[0] for s in done.steps[:-1]] == ["planner", "writer", "reviewer"]
    assert "planner: an outline" in worker.prompts[0] and "You are" not in worker.prompts[0]
    assert done.cost == Cost(calls=4, prompt_tokens=100)
    assert "NEXT:" in model.requests[2].messages[0].content and "NEXT:" not in model.requests[0].messages[0].content


def test_a_team_that_never_ends_is_ended(tmp_path: Path) -> None:
    model = ScriptedModel(lambda request: "again\nNEXT: writer")
    agent = TeamAgent(yaml_team(tmp_path), model, Worker(), turns=5)
    anyio.run(agent.run, TASK, NO_SKILLS, 0)
    assert len(model.requests) == 5


def test_the_last_role_is_played_by_the_worker() -> None:
    worker = Worker()
    agent = TeamAgent(team_of(NESTED, "t"), ScriptedModel(["NEXT: tech"]), worker)
    anyio.run(agent.run, TASK, NO_SKILLS, 0)
    assert worker.prompts[0].endswith("You are tech. Help.")


def test_the_comparison_pairs_both_and_counts_tokens(tmp_path: Path) -> None:
    def answer(request: Request) -> Response:
        return Response(text=roles(request), model="m", cost=Cost(calls=1, prompt_tokens=300))

    team = yaml_team(tmp_path)
    bench = Bench(agent=Worker(), suite=Answers(), store=RunStore(tmp_path / "r.db"), concurrency=2)
    found = anyio.run(
        lambda: against_team(team, compile_team(team), ScriptedModel(answer), Answers().tasks("f", "test", 4), bench)
    )
    assert (found.evidence.baseline, found.evidence.treatment, found.evidence.n) == ("team", "skills", 4)
    assert found.evidence.ties == 4 and found.evidence.baseline_rate == 1.0
    assert found.team.tokens == 4 * 1000 and found.skills.tokens == 4 * 100 and found.tokens == 0.1
