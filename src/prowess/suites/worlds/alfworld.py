"""ALFWorld: household tasks in text, on games generated here (arXiv 2010.03768; package `alfworld`, MIT).

The games of the papers are a download of their own. These are others: drawn from the package's logic, grammar, goals
and layouts of 120 rooms, with places of things by chance (`household.py`). So no number from here compares with a
published one, and the name of each task says `generated`. A family is one of the six kinds of task, the variant
`unseen` plays in rooms that the package keeps for tests. The package brings hundreds of megabytes of others with it,
so it lives in an environment of its own.
"""

import os
import random
import tempfile
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

from prowess.core.task import Split, Task
from prowess.suites.worlds.engine import Outcome, Scene, Start
from prowess.suites.worlds.household import KINDS, game
from prowess.suites.worlds.needs import Needs
from prowess.suites.worlds.suite import OFFSETS, WorldSuite

STEPS: Final = 100
EXPERTS: Final = 10
"""The package's expert draws among its choices, and does not always get there: so many of it are tried."""
PROMPT: Final = (
    "You act in a house, in text. Actions: look, inventory, go to X, open X, close X, examine X, take X from Y, "
    "move X to Y, use X, clean X with Y, heat X with Y, cool X with Y, slice X with Y; things are called as you see "
    "them, such as `drawer 2`. You can carry one thing."
)


class ALFWorld(WorldSuite):
    """The six kinds of task. Task number `i` of a split has seed `3 i` plus the offset of the split."""

    name = "alfworld"
    about = "household tasks, on games generated here"
    licence = "MIT"
    engine = "prowess.suites.worlds.alfworld:House"
    needs = Needs(
        module="alfworld", extra="alfworld", apart=("alfworld>=0.4.2,<0.5", "pydantic>=2.11", "platformdirs>=4.3")
    )
    can = frozenset({"actions", "gold", "predicates"})
    apart = True
    seconds = 300.0
    """Gold actions try the package's expert several times, in big kitchens at ten steps a second."""

    @property
    def families(self) -> tuple[str, ...]:
        return tuple(KINDS)

    def variants(self, family: str) -> tuple[str, ...]:
        return ("base", "unseen")

    def tasks(self, family: str, split: Split, n: int, variant: str = "base", start: int = 0) -> tuple[Task, ...]:
        """Tasks number `start` to `start + n - 1`; there is no end to them."""
        self.known(family, variant, n, start)
        return tuple(
            self.drawn(
                family, variant, split, f"generated-{seed}", PROMPT,
                {"kind": family, "unseen": variant == "unseen", "seed": seed}, STEPS,
            )
            for seed in (3 * i + OFFSETS[split] for i in range(start, start + n))
        )  # fmt: skip


class House:
    """One game at a time, on the package's own engine for PDDL."""

    def __init__(self) -> None:
        # Imported, the package makes the folder of its data, which we do not have: give it one that is there.
        os.environ.setdefault("ALFWORLD_DATA", tempfile.gettempdir())
        infos = import_module("textworld").EnvInfos(
            admissible_commands=True, facts=True, feedback=True, won=True, lost=True
        )
        module = import_module("alfworld.agents.environment.alfred_tw_env")
        self._env: Any = module.AlfredDemangler(import_module("textworld.envs").PddlEnv(infos))
        self._start: Start = {}
        self._state: Any = None
        self._wanted: dict[str, str] = {}

    def reset(self, start: Start) -> Scene:
        if start != self._start:
            data, self._wanted = game(start)
            self._env.load(data)
            self._start = dict(start)
        self._state = self._env.reset()
        intro, _, goal = str(self._state["feedback"]).partition("Your task is to:")
        return self._scene(intro.rpartition("=-")[2], goal=goal.strip())

    def step(self, action: str) -> Scene:
        self._state, _, _ = self._env.step(action)
        said = str(self._state["feedback"])
        return self._scene(said, understood=not said.startswith("Nothing happens"))

    def score(self) -> Outcome:
        won = bool(self._state["won"])
        return Outcome(float(won), won, "" if won else "the task was not done")

    def gold(self, start: Start) -> Sequence[str]:
        for seed in range(EXPERTS):
            random.seed(seed)
            self.reset(start)
            done = self._by_expert()
            if done is not None:
                return done
        raise RuntimeError(f"the expert could not do {dict(start)}")

    def predicates(self) -> Sequence[str]:
        return sorted(f"{fact.name}({','.join(fact.names)})" for fact in self._state["facts"])

    def close(self) -> None:
        self._env.close()

    def _by_expert(self) -> list[str] | None:
        """What the package's expert does in the game that was just begun; None where it does not get there."""
        module = import_module("alfworld.agents.expert")
        expert = module.HandCodedTWAgent(max_steps=2 * STEPS)
        expert.policy = expert.get_task_policy(self._wanted)(self._wanted, max_steps=2 * STEPS)
        expert.observe(str(self._state["feedback"]))
        last = "look"
        done: list[str] = [last]
        self.step(last)
        while not self._state["won"]:
            if len(done) >= STEPS:
                return None
            try:
                # It watches for "put" where the game has long said "move", and would believe its hands full.
                action = expert.act(self._state, 0, False, last.replace("move ", "put "))
            except Exception:  # whatever it stumbles over, it has not got there
                return None
            last = action if action in self._state["admissible_commands"] else "look"
            self.step(last)
            done.append(last)
        return done

    def _scene(self, text: str, *, goal: str = "", understood: bool = True) -> Scene:
        over = bool(self._state["won"])
        return Scene(text.strip(), tuple(self._state["admissible_commands"]), over, goal, understood)
