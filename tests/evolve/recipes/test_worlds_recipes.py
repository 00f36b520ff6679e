"""SDG and LMA3 in a world of lamps: what the world confirms is learned, what a model makes up is not."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lamps import LampSuite
from recipe_parts import GARBAGE

from prowess.agents.acting import ActingAgent
from prowess.core.cost import Cost
from prowess.core.errors import UserError
from prowess.core.model import Request, Response
from prowess.core.skill import Snapshot
from prowess.core.task import Task
from prowess.evolve.goals import Goal, general, particular, reach, reaches, replayed, shortened, skill_of, world_of
from prowess.evolve.loop import Evolved, evolve
from prowess.evolve.method import Setup
from prowess.evolve.prompts import prompts
from prowess.evolve.protocols import Context, Event
from prowess.evolve.recipes import build
from prowess.library.skillmd import validate
from prowess.sandbox import find_sandbox
from prowess.suites.workbench import Workbench
from prowess.trajectories.runstore import RunStore


@pytest.fixture(scope="module")
def lamps() -> Iterator[LampSuite]:
    suite = LampSuite()
    yield suite
    suite.close()


@dataclass
class Actor:
    """Switches what its skills tell, in the order of the lamps; without one it plays with the third lamp.

    Questions of a recipe are answered by `says`.
    """

    recipe: str
    says: dict[str, Any]
    name: str = "scripted:actor"
    asked: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    async def complete(self, request: Request) -> Response:
        system, told = request.messages[0].content, request.messages[-1].content
        known = prompts("common") | prompts(self.recipe)
        question = next((q for q, p in known.items() if p.system == system), None)
        if question is None:
            lamp = told.partition("Lamps: ")[2].splitlines()[0].split().index("off")
            said: Any = {"action": f"switch {lamp}" if "1. switch A" in system else "switch 2"}
        else:
            self.asked.append((question, told))
            said = self.says[question]
            said = said(told) if callable(said) else said
        text = said if isinstance(said, str) else json.dumps(said)
        return Response(text=text, model=self.name, cost=Cost(calls=1))

    def questions(self, name: str) -> list[str]:
        return [told for question, told in self.asked if question == name]


def played(suite: LampSuite, out: Path, spec: str, model: Actor, evidence: int = 4) -> tuple[Evolved, list[Event]]:
    events: list[Event] = []
    setup = Setup(suite, find_sandbox(), ("row",), evidence=evidence, gate=2)
    agent = ActingAgent(model, suite)
    context = Context(suite, agent, model, RunStore(out / "run.db"), report=events.append)
    return anyio.run(evolve, build(spec, setup), Snapshot(), context), events


# --- sdg ---------------------------------------------------------------------


def lamp(number: int, *actions: str) -> dict[str, Any]:
    return {"goal": f"lamp {number} is on", "holds": [f"on({number})"], "actions": [*actions]}


HYPOTHESES: dict[str, Any] = {"subgoals": {"subgoals": [lamp(0, "switch 2"), lamp(1), lamp(2)]}}
FLYING = {"goal": "the lamp is flying", "holds": ["flying(lamp)"], "actions": ["switch 0"]}


def test_sub_goals_that_the_world_confirms_become_one_skill_with_a_parameter(lamps: LampSuite, tmp_path: Path) -> None:
    """The model's own actions for the first lamp are wrong; the search finds the right one, and it serves all lamps."""
    model = Actor("sdg", HYPOTHESES)
    found, _ = played(lamps, tmp_path, "sdg", model)
    (skill,) = found.snapshot.skills
    assert skill.name == "do-lamp-a-is-on" and "1. switch A" in skill.body and "`on(A)`" in skill.body
    assert [point.passed for point in found.curve] == [False, False, True, True]
    assert "switch all lamps on" in model.questions("subgoals")[0] and "on(2)" in model.questions("subgoals")[1]


def test_unverified_sub_goals_are_believed_and_mislead(lamps: LampSuite, tmp_path: Path) -> None:
    says = {"subgoals": {"subgoals": [lamp(0, "switch 2"), FLYING]}}
    found, _ = played(lamps, tmp_path / "a", "sdg.unverified", Actor("sdg", says))
    assert found.snapshot.names == ("do-lamp-a-is-on", "do-the-a-is-flying")
    assert not any(point.passed for point in found.curve)
    verified, _ = played(lamps, tmp_path / "b", "sdg", Actor("sdg", says))
    assert verified.snapshot.names == ("do-lamp-a-is-on",) and verified.curve[-1].passed


def test_what_one_world_alone_confirms_is_no_skill(lamps: LampSuite, tmp_path: Path) -> None:
    found, events = played(lamps, tmp_path, "sdg", Actor("sdg", HYPOTHESES), evidence=1)
    assert not found.snapshot.skills and any("other seeds" in event.message for event in events)


# --- lma3 --------------------------------------------------------------------


def relabeled(told: str) -> dict[str, Any]:
    """Every lamp that is on after a step; and what was not there."""
    lines = [line for line in told.splitlines() if ": Lamps:" in line and line[0].isdecimal()]
    goals = [
        {"goal": f"turn lamp {number} on", "step": step}
        for step, line in enumerate(lines, 1)
        for number, state in enumerate(line.split("Lamps: ")[1].split())
        if state == "on" and f"switch {number}:" in line
    ]
    return {"goals": [*goals[:5], {"goal": "become a lamp", "step": 1}]}


def imagined(told: str) -> dict[str, Any]:
    mastered = [line.removeprefix("- ") for line in told.splitlines() if line.startswith("- ")]
    return {"goal": "turn some lamps on", "parts": mastered[:2]}


AUTOTELIC: dict[str, Any] = {
    "relabel": relabeled,
    "imagine": imagined,
    "reached": lambda told: {"reached": "become" not in told.splitlines()[0]},
}


def test_goals_that_were_reached_become_a_repertoire(lamps: LampSuite, tmp_path: Path) -> None:
    model = Actor("lma3", AUTOTELIC)
    found, events = played(lamps, tmp_path, "lma3", model, evidence=2)
    assert {"do-turn-lamp-a-on"} <= {*found.snapshot.names} and not any("become" in n for n in found.snapshot.names)
    skill = found.snapshot.get("do-turn-lamp-a-on")
    assert skill is not None and "1. switch A\n\n" in skill.body  # the shortest, whatever was done before
    assert any(event.message.startswith("a goal of its own") for event in events)


def test_without_a_generator_no_goal_is_set(lamps: LampSuite, tmp_path: Path) -> None:
    model = Actor("lma3", AUTOTELIC)
    played(lamps, tmp_path, "lma3.no-generator", model, evidence=1)
    assert model.questions("relabel") and not model.questions("imagine")


# --- both --------------------------------------------------------------------


@pytest.mark.parametrize(("name", "says"), [("sdg", HYPOTHESES), ("lma3", AUTOTELIC)])
def test_garbage_teaches_nothing(lamps: LampSuite, tmp_path: Path, name: str, says: dict[str, Any]) -> None:
    for number, garbage in enumerate(GARBAGE):
        for question in says:
            out = tmp_path / f"{number}{question}"
            found, _ = played(lamps, out, name, Actor(name, says | {question: garbage}), evidence=1)
            assert question == "imagine" or not found.snapshot.skills


@pytest.mark.parametrize("name", ["sdg", "lma3"])
def test_a_suite_that_is_no_world_is_refused_with_advice(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="workbench"):
        world_of(Workbench())


# --- goals -------------------------------------------------------------------


def first(suite: LampSuite) -> Task:
    return suite.tasks("row", "evidence", 1)[0]


def test_a_goal_is_reached_searched_and_shortened_by_its_facts(lamps: LampSuite) -> None:
    task = first(lamps)
    both = Goal(text="lamps 0 and 1", holds=("on(0)", "on(1)"))

    async def found(budget: int) -> tuple[str, ...] | None:
        async with lamps.episode(task) as episode:
            await episode.reset()
            way = await reach(episode, both, ("switch 2",), budget)
            assert episode.actions == (way or ())  # it stays where it got, else where it was
            return way

    assert anyio.run(found, 100) == ("switch 0", "switch 1") and anyio.run(found, 2) is None
    detour = both.model_copy(update={"actions": ("switch 2", "switch 0", "make tea", "switch 1", "switch 2")})
    assert anyio.run(reaches, lamps, task, detour)
    short = anyio.run(shortened, lamps, task, detour)
    assert short is not None and short.actions == ("switch 0", "switch 1")
    assert anyio.run(shortened, lamps, task, both) is None
    seen = anyio.run(replayed, lamps, task, ["switch 0", "switch 1", "switch 2", "switch 0"])
    assert [step.action for step in seen] == ["", "switch 0", "switch 1", "switch 2"]  # over, when all are on


def test_parameters_are_what_text_and_facts_share() -> None:
    goal = Goal(
        text="put the red ball into box 1",
        holds=("in(red ball, box 1)", "open(lid)"),
        actions=("take red ball", "go to box 1"),
    )
    kind = general(goal)
    assert kind.text == "put the A into B" and kind.holds == ("in(A, B)", "open(lid)") and kind.actions[0] == "take A"
    other = Goal(text="put the key into box 12", holds=("in(key, box 12)",))
    assert particular(kind, other).actions == ("take key", "go to box 12")
    assert general(Goal(text="look", holds=("at(home)",))).text == "look"


WORDS = st.text(max_size=12) | st.sampled_from(["A", "red ball", "a(b", ")", "---", "\u202e", "```"])


@settings(max_examples=150, deadline=None)
@given(WORDS, st.lists(WORDS.map(lambda w: f"on({w})"), max_size=3), st.lists(WORDS, max_size=3))
def test_any_goal_is_a_valid_skill_or_none(text: str, holds: list[str], actions: list[str]) -> None:
    goal = general(Goal(text=text, holds=tuple(holds), actions=tuple(actions)))
    skill = skill_of(goal, "a world")
    assert skill is None or not validate(skill)
