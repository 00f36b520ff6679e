"""TextWorld: generated text adventures: cooking by a recipe, looking for a coin, hunting treasure (arXiv 1806.11532).

A family is a challenge of the package, a variant its size. Cooking has splits of its own, which differ in foods and in
how they are prepared; elsewhere a seed belongs to one split. A game is compiled when it is first played, in seconds,
and kept. The package brings hundreds of megabytes of others with it, so it lives in an environment of its own.
"""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple

from prowess.core.task import Split, Task
from prowess.suites.worlds.engine import Outcome, Scene, Start
from prowess.suites.worlds.needs import Needs
from prowess.suites.worlds.suite import OFFSETS, WorldSuite


class _Shape(NamedTuple):
    """How big a game is."""

    options: tuple[str, ...]
    """As the package's own program `tw-make` takes them."""
    steps: int


CHALLENGES: Final[dict[str, dict[str, _Shape]]] = {
    "cooking": {
        "base": _Shape(("--recipe=2", "--take=2", "--open", "--cook", "--cut", "--go=6"), 100),
        "small": _Shape(("--recipe=1", "--take=1", "--open", "--cook", "--go=1"), 50),
        "large": _Shape(("--recipe=3", "--take=3", "--open", "--cook", "--cut", "--drop", "--go=9"), 150),
    },
    "coin": {
        "base": _Shape(("--level=10",), 60),
        "medium": _Shape(("--level=110",), 60),
        "hard": _Shape(("--level=210",), 60),
    },
    "treasure": {
        "base": _Shape(("--level=5",), 60),
        "medium": _Shape(("--level=15",), 80),
        "hard": _Shape(("--level=25",), 100),
    },
}
_NAMES: Final = {"cooking": "tw-cooking", "coin": "tw-coin_collector", "treasure": "tw-treasure_hunter"}
_SPLITS: Final[Mapping[Split, str]] = {"evidence": "train", "gate": "valid", "test": "test"}

PROMPT: Final = "You play a text game. Actions are short commands, such as `open fridge` or `go north`."


class TextWorld(WorldSuite):
    """The three challenges. Task number `i` of a split has seed `3 i` plus the offset of the split."""

    name = "textworld"
    about = "generated text adventures: cooking, coin, treasure"
    licence = "MIT"
    engine = "prowess.suites.worlds.textworld:Adventure"
    needs = Needs(
        module="textworld", extra="textworld",
        apart=("textworld>=1.7,<1.8", "pydantic>=2.11", "platformdirs>=4.3"),
    )  # fmt: skip
    can = frozenset({"actions", "gold", "save", "predicates"})
    apart = True

    @property
    def families(self) -> tuple[str, ...]:
        return tuple(CHALLENGES)

    def variants(self, family: str) -> tuple[str, ...]:
        return tuple(CHALLENGES.get(family, ()))

    def tasks(self, family: str, split: Split, n: int, variant: str = "base", start: int = 0) -> tuple[Task, ...]:
        """Tasks number `start` to `start + n - 1`; there is no end to them."""
        self.known(family, variant, n, start)
        shape = CHALLENGES[family][variant]
        own = (f"--split={_SPLITS[split]}",) if family == "cooking" else ()
        return tuple(
            self.drawn(
                family, variant, split, seed, PROMPT,
                {
                    "challenge": _NAMES[family],
                    "options": [*shape.options, *own, *([f"--recipe-seed={seed + 1}"] if own else [])],
                    "seed": seed + 1,
                },
                shape.steps,
            )
            for seed in (3 * i + OFFSETS[split] for i in range(start, start + n))
        )  # fmt: skip


class Adventure:
    """One game at a time, compiled and interpreted by the package's own programs."""

    def __init__(self) -> None:
        self._textworld = import_module("textworld")
        self._env: Any = None
        self._state: Any = None
        self._states: list[tuple[Any, Any]] = []

    def reset(self, start: Start) -> Scene:
        infos = self._textworld.EnvInfos(
            admissible_commands=True, objective=True, score=True, max_score=True, won=True, lost=True, facts=True,
            feedback=True,
        )  # fmt: skip
        self._env = self._textworld.start(str(game(start)), infos)
        self._state = self._env.reset()
        self._states = []
        return self._scene(goal=" ".join(str(self._state["objective"]).split()))

    def step(self, action: str) -> Scene:
        known = action in self._state["admissible_commands"]
        self._state, _, _ = self._env.step(action)
        said = str(self._state["feedback"]).lower()
        return self._scene(understood=known or not any(words in said for words in _PUZZLED))

    def score(self) -> Outcome:
        won, most = bool(self._state["won"]), float(self._state["max_score"] or 1)
        value = 1.0 if won else float(self._state.get("score") or 0) / most
        return Outcome(value, won, "" if won else "the game was not won")

    def gold(self, start: Start) -> Sequence[str]:
        infos = self._textworld.EnvInfos(policy_commands=True, extras=["walkthrough"])
        state = self._textworld.start(str(game(start)), infos).reset()
        return [str(command) for command in state.get("extra.walkthrough") or state["policy_commands"]]

    def save(self) -> str:
        self._states.append((self._env.copy(), self._state))
        return str(len(self._states) - 1)

    def restore(self, state: str) -> Scene:
        env, self._state = self._states[int(state)]
        self._env = env.copy()
        return self._scene()

    def predicates(self) -> Sequence[str]:
        return sorted(f"{fact.name}({','.join(fact.names)})" for fact in self._state["facts"])

    def close(self) -> None:
        if self._env is not None:
            self._env.close()

    def _scene(self, *, goal: str = "", understood: bool = True) -> Scene:
        state = self._state
        over = bool(state["won"] or state["lost"])
        text = str(state["feedback"])
        if goal and _BANNER in text:
            text = text.rpartition(_BANNER)[2]
        actions = tuple(state["admissible_commands"])
        return Scene(text.strip().removesuffix(">").strip(), actions, over, goal, understood)


_PUZZLED: Final = ("that's not a verb", "can't see any such thing", "didn't understand", "only understood")
_BANNER: Final = "$$$$$$$ \n\n"


def game(start: Start) -> Path:
    """The compiled game of a start: from the cache, or made now. A stop leaves a whole game or none."""
    from prowess.settings import load

    key = sha256(json.dumps(start, sort_keys=True).encode()).hexdigest()[:24]
    folder = load().settings.cache / "worlds" / "textworld-games"
    done = folder / key / "game.z8"
    if done.exists():
        return done
    folder.mkdir(parents=True, exist_ok=True)
    textworld, challenges = import_module("textworld"), import_module("textworld.challenges")
    _, make, arguments = challenges.CHALLENGES[start["challenge"]]
    with tempfile.TemporaryDirectory(dir=folder) as made:
        options = textworld.GameOptions()
        options.seeds = int(start["seed"])
        options.path, options.file_ext, options.force_recompile = str(Path(made, "new", "game")), ".z8", True
        built = make(vars(arguments().parse_args(list(start["options"]))), options)
        textworld.generator.compile_game(built, options)
        try:
            os.rename(Path(made, "new"), folder / key)
        except OSError:  # somebody else was first
            if not done.exists():
                raise
    return done
