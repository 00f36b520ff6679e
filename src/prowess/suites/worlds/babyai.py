"""BabyAI as text: small rooms, a compositional language of missions, unlimited levels (arXiv 1810.08272; `minigrid`).

The player sees the 7 x 7 cells before it as distances, as in BabyAI-Text (arXiv 2302.02662): "a red ball 2 forward and
1 left". A family is a level, a variant its size; the package's own bot plays the gold actions.
"""

import contextlib
import copy
import io
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Final

from prowess.core.task import Split, Task
from prowess.suites.worlds.engine import Outcome, Scene, Start
from prowess.suites.worlds.needs import Needs
from prowess.suites.worlds.suite import OFFSETS, WorldSuite

MOVES: Final = ("turn left", "turn right", "go forward", "pick up", "drop", "toggle")
_VIEW: Final = 7
_SPLIT_SEEDS: Final = 3

LEVELS: Final[dict[str, dict[str, int]]] = {
    "GoToObj": {"base": 64, "S4": 16, "S6": 36},
    "GoToLocal": {"base": 64, "S5N2": 25, "S6N4": 36, "S8N7": 64},
    "GoToRedBall": {"base": 64},
    "GoToDoor": {"base": 441},
    "GoToObjMaze": {"base": 576, "S4R2": 64, "S5": 225},
    "GoTo": {"base": 576},
    "GoToSeq": {"base": 2304, "S5R2": 400},
    "PickupLoc": {"base": 64},
    "PickupDist": {"base": 49},
    "PickupAbove": {"base": 288},
    "Pickup": {"base": 576},
    "UnblockPickup": {"base": 576},
    "PutNextLocal": {"base": 128, "S5N3": 50, "S6N4": 72},
    "PutNext": {"base": 128, "S5N2": 200, "S6N3": 288},
    "Open": {"base": 576},
    "OpenDoor": {"base": 576},
    "OpenRedDoor": {"base": 50},
    "OpenTwoDoors": {"base": 720},
    "Unlock": {"base": 576},
    "UnlockLocal": {"base": 576},
    "UnlockPickup": {"base": 72},
    "BlockedUnlockPickup": {"base": 576},
    "FindObj": {"base": 500, "S6": 720},
    "KeyCorridor": {"base": 1080, "S3R1": 270, "S3R3": 270},
    "OneRoom": {"base": 64, "S16": 256},
    "MoveTwoAcross": {"base": 400},
    "Synth": {"base": 1152, "S5R2": 300},
    "SynthLoc": {"base": 1152},
    "MiniBossLevel": {"base": 600},
    "BossLevel": {"base": 2880},
}
"""Level -> size -> steps that the package allows at most. Without the levels that its bot cannot solve."""
_SMALLEST: Final = {"PutNext": "S4N1", "FindObj": "S5", "OneRoom": "S8", "MoveTwoAcross": "S5N2"}
"""What `base` means where no level goes without a size."""
_SECOND: Final = {("GoToObj", "S6")}
"""Registered as a second version."""

PROMPT: Final = (
    "You stand in a grid of rooms. You see up to six cells ahead "
    "and three to each side; walls hide what lies behind them. `toggle` opens or closes a door or box just ahead (a "
    "locked door needs its key in hand), `pick up` takes an object just ahead, `drop` puts it down just ahead."
)


class BabyAI(WorldSuite):
    """Levels of BabyAI. Task number `i` of a split has seed `3 i` plus the offset of the split."""

    name = "babyai"
    about = "missions in a grid of rooms, as text"
    licence = "MIT"
    engine = "prowess.suites.worlds.babyai:Grid"
    needs = Needs(module="minigrid", extra="babyai")
    can = frozenset({"actions", "gold", "save", "predicates"})

    @property
    def families(self) -> tuple[str, ...]:
        return tuple(LEVELS)

    def variants(self, family: str) -> tuple[str, ...]:
        return tuple(LEVELS.get(family, ()))

    def tasks(self, family: str, split: Split, n: int, variant: str = "base", start: int = 0) -> tuple[Task, ...]:
        """Tasks number `start` to `start + n - 1`; there is no end to them."""
        self.known(family, variant, n, start)
        seeds = [_SPLIT_SEEDS * i + OFFSETS[split] for i in range(start, start + n)]
        level, steps = level_id(family, variant), LEVELS[family][variant]
        return tuple(
            self.drawn(family, variant, split, seed, PROMPT, {"level": level, "seed": seed}, steps) for seed in seeds
        )


def level_id(family: str, variant: str) -> str:
    """How the package calls a level."""
    size = _SMALLEST.get(family, "") if variant == "base" else variant
    return f"BabyAI-{family}{size}-v{1 if (family, variant) in _SECOND else 0}"


class Grid:
    """One level at a time."""

    def __init__(self) -> None:
        import_module("minigrid")  # registers the levels
        self._make: Callable[..., Any] = import_module("gymnasium").make
        self._env: Any = None
        self._level = ""
        self._states: list[tuple[Any, bool, float]] = []
        self._done = False
        self._reward = 0.0

    def reset(self, start: Start) -> Scene:
        if start["level"] != self._level:
            # the checker and the order of calls are ours to keep; without its wrappers a step takes half the time
            self._env = self._make(start["level"], disable_env_checker=True).unwrapped
            self._level = start["level"]
        with contextlib.redirect_stdout(io.StringIO()):  # the package tells of every level that it draws again
            self._env.reset(seed=start["seed"])
        self._states, self._done, self._reward = [], False, 0.0
        return self._scene(goal=self._env.mission)

    def step(self, action: str) -> Scene:
        move = MOVES.index(action) if action in MOVES else None
        if move is None:
            return self._scene(understood=False)
        _, reward, terminated, truncated, _ = self._env.step(move)
        self._reward, self._done = float(reward), bool(terminated or truncated)
        return self._scene()

    def score(self) -> Outcome:
        reached = self._reward > 0
        return Outcome(float(reached), reached, "" if reached else "the mission is not fulfilled")

    def gold(self, start: Start) -> Sequence[str]:
        self.reset(start)
        bot = import_module("minigrid.utils.baby_ai_bot").BabyAIBot(self._env)
        done: list[str] = []
        move: Any = None
        while not self._done:
            move = bot.replan(move)
            done.append(MOVES[int(move)])
            self.step(done[-1])
        return done

    def save(self) -> str:
        self._states.append((copy.deepcopy(self._env), self._done, self._reward))
        return str(len(self._states) - 1)

    def restore(self, state: str) -> Scene:
        env, self._done, self._reward = self._states[int(state)]
        self._env = copy.deepcopy(env)
        return self._scene()

    def predicates(self) -> Sequence[str]:
        env = self._env
        facts = [f"agent({env.agent_pos[0]},{env.agent_pos[1]},{env.agent_dir})"]
        if env.carrying is not None:
            facts.append(f"carrying({named(env.carrying)})")
        for x in range(env.grid.width):
            for y in range(env.grid.height):
                thing = env.grid.get(x, y)
                if thing is not None and thing.type != "wall":
                    facts.append(f"at({named(thing)},{x},{y})")
                    if thing.type == "door":
                        state = "locked" if thing.is_locked else "open" if thing.is_open else "closed"
                        facts.append(f"{state}({named(thing)},{x},{y})")
        return sorted(facts)

    def close(self) -> None:
        if self._env is not None:
            self._env.close()

    def _scene(self, *, goal: str = "", understood: bool = True) -> Scene:
        return Scene(self._text(), MOVES, self._done, goal, understood)

    def _text(self) -> str:
        env = self._env
        grid, seen = env.gen_obs_grid()
        things: list[str] = []
        for ahead in range(_VIEW):
            for side in range(_VIEW):
                x, y = side, _VIEW - 1 - ahead
                thing = grid.get(x, y)
                if thing is None or not seen[x, y] or thing.type == "wall" or (ahead == 0 and side == _VIEW // 2):
                    continue
                things.append(f"{article(described(thing))} {place(ahead, side - _VIEW // 2)}")
        hand = "nothing" if env.carrying is None else article(named(env.carrying))
        return f"You see: {'; '.join(things) or 'nothing of note'}.\n{_walls(grid, seen)}\nYou carry {hand}."


def named(thing: Any) -> str:
    return f"{thing.color} {thing.type}"


def described(thing: Any) -> str:
    """A thing, and of a door how it stands."""
    if thing.type != "door":
        return named(thing)
    return f"{'locked' if thing.is_locked else 'open' if thing.is_open else 'closed'} {named(thing)}"


def article(name: str) -> str:
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def place(ahead: int, side: int) -> str:
    """Where a cell lies, seen from the player."""
    parts = [f"{ahead} forward"] if ahead else []
    if side:
        parts.append(f"{abs(side)} {'left' if side < 0 else 'right'}")
    return " and ".join(parts)


def _walls(grid: Any, seen: Any) -> str:
    """How far one can go ahead, to the left and to the right before a wall."""
    middle, last = _VIEW // 2, _VIEW - 1
    ahead = next((n for n in range(1, _VIEW) if _wall(grid, seen, middle, last - n)), None)
    left = next((n for n in range(1, middle + 1) if _wall(grid, seen, middle - n, last)), None)
    right = next((n for n in range(1, middle + 1) if _wall(grid, seen, middle + n, last)), None)
    found = [f"{n} {way}" for n, way in ((ahead, "forward"), (left, "left"), (right, "right")) if n is not None]
    return f"Walls: {', '.join(found) or 'none near'}."


def _wall(grid: Any, seen: Any, x: int, y: int) -> bool:
    thing = grid.get(x, y)
    return bool(seen[x, y]) and thing is not None and thing.type == "wall"
