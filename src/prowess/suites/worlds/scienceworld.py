"""ScienceWorld: thirty kinds of elementary science experiments, over long episodes (arXiv 2203.07540; Apache-2.0).

Boiling and melting, circuits, growing plants, heredity, inclined planes. A family is a task of the package, its
variations fall into the package's own splits (train, dev, test); the variant `easy` is its own simplification: doors
and containers stand open, and one may teleport. The simulator runs on Java.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Final

from prowess.core.task import Split, Task
from prowess.suites.worlds.engine import Outcome, Scene, Start
from prowess.suites.worlds.java import OnJava
from prowess.suites.worlds.needs import Needs
from prowess.suites.worlds.suite import SPLITS, WorldSuite

VARIATIONS: Final[Mapping[str, tuple[int, int, int]]] = {
    "boil": (14, 7, 9),
    "change-the-state-of-matter-of": (14, 7, 9),
    "chemistry-mix": (16, 8, 8),
    "chemistry-mix-paint-secondary-color": (18, 9, 9),
    "chemistry-mix-paint-tertiary-color": (18, 9, 9),
    "find-animal": (150, 75, 75),
    "find-living-thing": (150, 75, 75),
    "find-non-living-thing": (150, 75, 75),
    "find-plant": (150, 75, 75),
    "freeze": (14, 7, 9),
    "grow-fruit": (62, 31, 33),
    "grow-plant": (62, 31, 33),
    "identify-life-stages-1": (6, 3, 5),
    "identify-life-stages-2": (4, 2, 4),
    "inclined-plane-determine-angle": (84, 42, 42),
    "inclined-plane-friction-named-surfaces": (692, 346, 348),
    "inclined-plane-friction-unnamed-surfaces": (80, 40, 42),
    "lifespan-longest-lived": (62, 31, 32),
    "lifespan-longest-lived-then-shortest-lived": (62, 31, 32),
    "lifespan-shortest-lived": (62, 31, 32),
    "measure-melting-point-known-substance": (218, 109, 109),
    "measure-melting-point-unknown-substance": (150, 75, 75),
    "melt": (14, 7, 9),
    "mendelian-genetics-known-plant": (60, 30, 30),
    "mendelian-genetics-unknown-plant": (240, 120, 120),
    "power-component": (10, 5, 5),
    "power-component-renewable-vs-nonrenewable-energy": (10, 5, 5),
    "test-conductivity": (450, 225, 225),
    "test-conductivity-of-unknown-substances": (300, 150, 150),
    "use-thermometer": (270, 135, 135),
}
"""How many variations of a task lie in train, dev and test; they are numbered through in this order."""
STEPS: Final = 300
_UNKNOWN: Final = "No known action matches"

PROMPT: Final = (
    "You do an experiment in a house with a workshop, a greenhouse and a foundry. Actions, with things named as you "
    "see them: look around, look at X, look in X, inventory, task, open X, close X, go to PLACE, teleport to PLACE, "
    "pick up X, put down X, move X to Y, pour X in Y, dunk X in Y, mix X, use X on Y, activate X, deactivate X, "
    "connect X to Y, disconnect X, focus on X, read X, eat X, flush X, wait, wait1. Where a name is ambiguous, the "
    "world offers numbers: answer with one. Focus only on what the goal asks for: focusing on something else ends it."
)


class ScienceWorld(WorldSuite):
    """The thirty tasks. Task number `i` of a split is its variation number `i`."""

    name = "scienceworld"
    about = "thirty science experiments over long episodes"
    licence = "Apache-2.0"
    engine = "prowess.suites.worlds.scienceworld:Laboratory"
    needs = Needs(module="scienceworld", extra="scienceworld", java=True)
    can = frozenset({"actions", "gold"})
    seconds = 300.0
    """Gold actions of heredity take the package half a minute on a quiet machine."""

    @property
    def families(self) -> tuple[str, ...]:
        return tuple(VARIATIONS)

    def variants(self, family: str) -> tuple[str, ...]:
        return ("base", "easy")

    def tasks(self, family: str, split: Split, n: int, variant: str = "base", start: int = 0) -> tuple[Task, ...]:
        self.known(family, variant, n, start)
        counts, nth = VARIATIONS[family], SPLITS.index(split)
        first, last = sum(counts[:nth]), sum(counts[: nth + 1])
        simplified = "easy" if variant == "easy" else ""
        return tuple(
            self.drawn(
                family, variant, split, number, PROMPT,
                {"task": family, "variation": number, "simplified": simplified}, STEPS,
            )
            for number in range(min(first + start, last), min(first + start + n, last))
        )  # fmt: skip


class Laboratory(OnJava):
    """One experiment at a time, on a Java machine of its own."""

    def __init__(self) -> None:
        self._env = import_module("scienceworld").ScienceWorldEnv("", envStepLimit=1_000_000)
        self._server = self._env.server

    def reset(self, start: Start) -> Scene:
        self._load(start, gold=False)
        self._server.reset()
        goal = str(self._env.get_task_description()).removeprefix("Task Description:").strip()
        return self._scene(str(self._server.step("look around")), goal)

    def step(self, action: str) -> Scene:
        return self._scene(str(self._server.step(action)))

    def score(self) -> Outcome:
        value = float(self._server.getScore())
        passed = value >= 1
        return Outcome(value, passed, "" if passed else "the experiment was not finished")

    def gold(self, start: Start) -> Sequence[str]:
        self._load(start, gold=True)
        return [str(action) for action in self._env.get_gold_action_sequence()]

    def _load(self, start: Start, *, gold: bool) -> None:
        self._env.load(start["task"], start["variation"], start["simplified"], generateGoldPath=gold)

    def _scene(self, text: str, goal: str = "") -> Scene:
        over = bool(self._server.getCompleted()) or float(self._server.getScore()) < 0
        actions: list[Any] = [] if over else list(self._server.getValidActionObjectCombinations())
        return Scene(text, tuple(sorted(set(map(str, actions)))), over, goal, not text.startswith(_UNKNOWN))
