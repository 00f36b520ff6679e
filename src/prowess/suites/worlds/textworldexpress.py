"""TextWorldExpress: eight small games in one fast engine (arXiv 2208.01174; package `textworld-express`, Apache-2.0).

Cooking by a recipe, putting things where they belong, looking for a coin, reading a map, arithmetic, sorting, and two
games of following orders. A family is a game, the variant `small` a house of few rooms; the splits are the engine's own
folds (train, dev, test), each of 1,000 seeds. The engine runs on Java.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, Final, NamedTuple

from prowess.core.task import Split, Task
from prowess.suites.worlds.engine import Outcome, Scene, Start
from prowess.suites.worlds.java import OnJava
from prowess.suites.worlds.needs import Needs
from prowess.suites.worlds.suite import WorldSuite

FOLDS: Final[Mapping[Split, tuple[str, int]]] = {
    "evidence": ("train", 0),
    "gate": ("dev", 10_000),
    "test": ("test", 20_000),
}
"""Name of the engine's fold, and its first seed."""
SEEDS: Final = 1_000
"""Of each fold."""


class _Shape(NamedTuple):
    """How big a game is."""

    parameters: str
    """In the engine's words; "" for its defaults."""
    steps: int


_HOUSE: Final = "includeDoors=0,limitInventorySize=0"
GAMES: Final[dict[str, dict[str, _Shape]]] = {
    "cookingworld": {
        "base": _Shape("", 150),
        "small": _Shape(f"numLocations=3,numIngredients=2,numDistractorItems=4,{_HOUSE}", 60),
    },
    "twc": {"base": _Shape("", 80), "small": _Shape(f"numLocations=2,numItemsToPutAway=2,{_HOUSE}", 40)},
    "coin": {
        "base": _Shape("", 80),
        "small": _Shape("numLocations=5,includeDoors=0,numDistractorItems=0,limitInventorySize=0", 40),
    },
    "mapreader": {
        "base": _Shape("", 50),
        "small": _Shape("numLocations=5,maxDistanceApart=3,includeDoors=0,maxDistractorItemsPerLocation=0", 30),
    },
    "arithmetic": {"base": _Shape("", 20)},
    "sorting": {"base": _Shape("", 30)},
    "simonsays": {"base": _Shape("", 15)},
    "peckingorder": {"base": _Shape("", 30)},
}
_PLACE: Final = re.compile(r"^You are in (?:an? |the )?([\w' -]+?)\.", re.MULTILINE)
_CARRIED: Final = re.compile(r"^ +(?! |Your inventory)(?:an? |some |the )?([\w' -]+?)(?:,.*|\.)?$", re.MULTILINE)
_STATES: Final = ("Open", "Cut", "Chopped", "Sliced", "Diced", "Fried", "Roasted", "Grilled", "Eaten")

PROMPT: Final = "You play a text game. Actions are short commands, such as `open fridge` or `move north`."


class TextWorldExpress(WorldSuite):
    """The eight games. Task number `i` of a split is seed `i` of the fold; each split has 1,000."""

    name = "textworld-express"
    about = "eight small text games, fast"
    licence = "Apache-2.0"
    engine = "prowess.suites.worlds.textworldexpress:Game"
    needs = Needs(module="textworld_express", extra="textworld-express", java=True)
    can = frozenset({"actions", "gold", "save", "predicates"})

    @property
    def families(self) -> tuple[str, ...]:
        return tuple(GAMES)

    def variants(self, family: str) -> tuple[str, ...]:
        return tuple(GAMES.get(family, ()))

    def tasks(self, family: str, split: Split, n: int, variant: str = "base", start: int = 0) -> tuple[Task, ...]:
        self.known(family, variant, n, start)
        fold, first = FOLDS[split]
        shape = GAMES[family][variant]
        return tuple(
            self.drawn(
                family, variant, split, seed, PROMPT,
                {"game": family, "parameters": shape.parameters, "fold": fold, "seed": seed}, shape.steps,
            )
            for seed in range(first + start, first + min(start + n, SEEDS))
        )  # fmt: skip


class Game(OnJava):
    """One game at a time, on a Java machine of its own."""

    def __init__(self) -> None:
        package = import_module("textworld_express")
        self._env = package.TextWorldExpressEnv(envStepLimit=1_000_000)  # steps are counted by the suite
        self._loaded: tuple[str, str] | None = None
        self._start: Start = {}
        self._info: dict[str, Any] = {}
        self._actions: list[str] = []

    def reset(self, start: Start) -> Scene:
        return self._reset(start, gold=False)

    def step(self, action: str) -> Scene:
        _, _, _, self._info = self._env.step(action)
        self._actions.append(action)
        return self._scene(understood=not self._info["observation"].startswith("Unknown action"))

    def score(self) -> Outcome:
        passed = bool(self._info["tasksuccess"])
        return Outcome(float(self._info["score"]), passed, "" if passed else "the game was not won")

    def gold(self, start: Start) -> Sequence[str]:
        self._reset(start, gold=True)
        return [str(action) for action in self._env.getGoldActionSequence()]

    def save(self) -> str:
        """The engine has no states to copy; its games are quick to play again."""
        return json.dumps(self._actions)

    def restore(self, state: str) -> Scene:
        scene = self._reset(self._start, gold=False)
        for action in json.loads(state):
            scene = self.step(action)
        return scene

    def predicates(self) -> Sequence[str]:
        tree = self._env.getObjectTree()
        if not tree:
            return sorted(_told(self._info))
        facts = {f"at(agent,{tree['player_location']})"} if tree["player_location"] else set[str]()
        facts |= {f"carrying({name})" for name in tree["inventory"]}
        for name, thing in (*tree["inventory"].items(), *tree["locations"].items()):
            facts |= set(_facts(name, thing))
        return sorted(facts)

    def _reset(self, start: Start, *, gold: bool) -> Scene:
        wanted = (start["game"], start["parameters"])
        if wanted != self._loaded:
            self._env.load(*wanted)
            self._loaded = wanted
        _, self._info = self._env.reset(seed=start["seed"], gameFold=start["fold"], generateGoldPath=gold)
        self._start, self._actions = start, []
        return self._scene(goal=str(self._info["taskDescription"]))

    def _scene(self, *, goal: str = "", understood: bool = True) -> Scene:
        info = self._info
        over = bool(info["tasksuccess"] or info["taskfailure"])
        return Scene(_text(info), tuple(sorted(set(info["validActions"]))), over, goal, understood)


def _text(info: Mapping[str, Any]) -> str:
    """What came of the action, and what else is there to be seen: the engine gives both at no step's cost."""
    said = str(info["observation"]).strip()
    more = (str(info[name]).strip() for name in ("look", "inventory"))
    return "\n\n".join([said, *(text for text in more if text and text != said)])


def _told(info: Mapping[str, Any]) -> Iterator[str]:
    """Where the player is and what is carried, read from the text: only the cooking game tells of its objects."""
    if place := _PLACE.search(str(info["look"])):
        yield f"at(agent,{place[1]})"
    for thing in _CARRIED.findall(str(info["inventory"])):
        yield f"carrying({thing})"


def _facts(name: str, thing: Mapping[str, Any]) -> Iterator[str]:
    for state in _STATES:
        if thing[f"is{state}"] and (state != "Open" or thing["isOpenable"]):
            yield f"{state.lower()}({name})"
    for inner, held in thing["contents"].items():
        yield f"in({inner},{name})"
        yield from _facts(inner, held)
