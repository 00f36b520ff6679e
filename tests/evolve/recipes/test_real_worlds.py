"""SDG and LMA3 in worlds that nobody here wrote: what the model supposes is scripted, what is confirmed is not."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from prowess.agents.acting import ActingAgent
from prowess.core.cost import Cost
from prowess.core.errors import UserError
from prowess.core.model import Request, Response
from prowess.core.skill import Snapshot
from prowess.evolve.loop import Evolved, evolve
from prowess.evolve.method import Setup
from prowess.evolve.prompts import prompts
from prowess.evolve.protocols import Context, Event
from prowess.evolve.recipes import build, sdg
from prowess.sandbox import find_sandbox
from prowess.suites import open_suite
from prowess.suites.worlds.suite import WorldSuite
from prowess.trajectories.runstore import RunStore

TAKE = re.compile(r"(?m)^(?:\d+\. )?take ([\w ]+)")


def world(name: str) -> Iterator[WorldSuite]:
    try:
        suite = open_suite(name)
    except UserError as error:
        pytest.skip(error.message)
    assert isinstance(suite, WorldSuite)
    yield suite
    suite.close()


@pytest.fixture(scope="module")
def games() -> Iterator[WorldSuite]:
    yield from world("textworld-express")


@pytest.fixture(scope="module")
def rooms() -> Iterator[WorldSuite]:
    yield from world("babyai")


class Player:
    """Takes what it can, once, and then waits; answers a recipe's questions by rules about taking things."""

    name = "scripted:player"

    def __init__(self, recipe: str) -> None:
        self.known = prompts("common") | prompts(recipe)

    async def complete(self, request: Request) -> Response:
        system, told = request.messages[0].content, request.messages[-1].content
        question = next((q for q, p in self.known.items() if p.system == system), None)
        said = self._acts(told) if question is None else getattr(self, question)(told)
        return Response(text=json.dumps(said), model=self.name, cost=Cost(calls=1))

    def _acts(self, told: str) -> dict[str, str]:
        things = TAKE.findall(told)
        return {"action": f"take {things[0]}" if things else "inventory"}

    def subgoals(self, told: str) -> dict[str, Any]:
        """To carry each thing in reach, by an action that does not do it; and what no world confirms."""
        goals = [
            {"goal": f"carry the {t}", "holds": [f"carrying({t})"], "actions": ["inventory"]} for t in _things(told)
        ]
        return {"subgoals": [*goals[:3], {"goal": "fly home", "holds": ["flying(agent)"], "actions": ["inventory"]}]}

    def relabel(self, told: str) -> dict[str, Any]:
        steps = re.findall(r"(?m)^(\d+)\. take ([\w ]+):", told)
        goals = [{"goal": f"take the {thing}", "step": int(step)} for step, thing in steps]
        return {"goals": [*goals[:4], {"goal": "fly home", "step": 1}]}

    def imagine(self, told: str) -> dict[str, Any]:
        mastered = re.findall(r"(?m)^- (.+)$", told)
        return {"goal": "take it all", "parts": mastered[:2]}

    def reached(self, told: str) -> dict[str, bool]:
        return {"reached": "fly home" not in told.splitlines()[0]}


def _things(told: str) -> list[str]:
    found = TAKE.findall(told) or re.findall(r"at\(((?:red|green|blue|purple|yellow|grey) (?:ball|box|key)),", told)
    return list(dict.fromkeys(thing.strip() for thing in found))


def learned(suite: Any, recipe: str, family: str, out: Path, evidence: int = 3) -> tuple[Evolved, list[Event]]:
    events: list[Event] = []
    setup = Setup(suite, find_sandbox(), (family,), evidence=evidence, gate=2)
    model = Player(recipe)
    agent = ActingAgent(model, suite, steps=3)
    context = Context(suite, agent, model, RunStore(out / "run.db"), report=events.append)
    return anyio.run(evolve, build(recipe, setup), Snapshot(), context), events


def test_sdg_learns_in_a_game_what_holds_on_other_seeds(
    games: WorldSuite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sdg, "BUDGET", 12)
    found, events = learned(games, "sdg", "arithmetic", tmp_path)
    assert any("fly home: not reached" in event.message for event in events)
    assert [skill.name for skill in found.snapshot.skills] == ["do-carry-the-a"]
    assert "1. take A" in found.snapshot.skills[0].body


def test_lma3_masters_goals_of_its_own_in_a_game(games: WorldSuite, tmp_path: Path) -> None:
    found, events = learned(games, "lma3", "arithmetic", tmp_path, 1)
    assert {"do-take-the-a"} <= set(found.snapshot.names) and not any("fly" in name for name in found.snapshot.names)
    assert any(event.message.startswith("a goal of its own") for event in events)


def test_every_game_with_places_tells_its_facts(games: Any) -> None:
    async def facts(family: str) -> tuple[set[str], set[str]]:
        """At the start, and after the first thing was taken."""
        async with games.episode(games.tasks(family, "evidence", 1)[0]) as playing:
            scene = await playing.reset()
            before = set(await playing.facts.predicates())
            takes = [action for action in scene.actions if action.startswith("take ")]
            if takes:
                await playing.step(takes[0])
            return before, set(await playing.facts.predicates())

    for family in games.families:
        before, after = anyio.run(facts, family)
        assert family == "simonsays" or any(fact.startswith("at(agent,") for fact in before), family
        assert not any("inventory" in fact for fact in before | after)
        if family in ("arithmetic", "sorting", "peckingorder"):
            assert any(fact.startswith("carrying(") for fact in after - before), family


def test_sdg_keeps_nothing_that_only_one_room_confirms(
    rooms: WorldSuite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To pick something up takes other steps in each room, so a list of them is no skill there."""
    monkeypatch.setattr(sdg, "BUDGET", 150)
    found, events = learned(rooms, "sdg", "PickupLoc", tmp_path)
    said = [event.message for event in events]
    assert any(": reached" in message for message in said), said
    assert any("does not hold on other seeds" in message for message in said) and not found.snapshot.skills
