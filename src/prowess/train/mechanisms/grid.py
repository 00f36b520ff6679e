"""A room on a grid: fetch the key, open the door. One reward, at the very end.

The prompt shows what one sees: `k+1-2 d-1+3 -|nesw`: where the key and the door lie from here (right, down), whether
the key is held, and the moves that are possible now. Answers are one letter: a move, or `t` to take or open here.
Serves SPEAR (2509.22601), A3T (2403.14589), WebEvolver (2504.21024), GiGPO (2505.10978).
"""

import random
from dataclasses import dataclass

from prowess.core.task import Split, Task
from prowess.train.mechanisms.base import Drawn, Example, Heard, make

MOVES = {"n": (0, -1), "e": (1, 0), "s": (0, 1), "w": (-1, 0)}


@dataclass(frozen=True, slots=True)
class Place:
    """Where things are."""

    x: int
    y: int
    key: tuple[int, int]
    door: tuple[int, int]
    held: bool = False


@dataclass(frozen=True)
class Grid:
    """The mechanism. Level `n` is a square room of `n + 2` fields a side; an episode lasts twice what it needs."""

    @property
    def name(self) -> str:
        return "grid"

    @property
    def longest(self) -> int:
        return 2

    def tasks(self, split: Split, n: int, *, level: int = 1, seed: int = 0) -> list[Task]:
        side = level + 2

        def draw(rng: random.Random) -> Drawn:
            fields = [(x, y) for x in range(side) for y in range(side)]
            start, key, door = rng.sample(fields, 3)
            place = Place(*start, key, door)
            return Drawn(f"{side} {see(place, side)}", {"side": side, "start": [*start, *key, *door]})

        return make(self.name, split, n, draw, family="room", level=level, seed=seed)

    def env(self, task: Task) -> "GridEnv":
        return GridEnv(task)

    def check(self, task: Task, answer: str) -> float:
        """An answer is here a whole plan: one letter for each step."""
        env = GridEnv(task)
        env.reset()
        total = 0.0
        for letter in answer[: env.budget]:
            heard = env.step(letter)
            total += heard.reward
            if heard.done:
                break
        return total

    def oracle(self, task: Task) -> str:
        env = GridEnv(task)
        plan = ""
        while not env.done:
            plan += best(env.place)
            env.step(plan[-1])
        return plan

    def warm_start(self, n: int, *, seed: int = 0) -> list[Example]:
        """Moves that are possible, chosen at random: the format and nothing else."""
        rng = random.Random(f"grid/warm/{seed}")
        found: list[Example] = []
        while len(found) < n:
            side = rng.randint(3, 6)
            fields = [(x, y) for x in range(side) for y in range(side)]
            start, key, door = rng.sample(fields, 3)
            place = Place(*start, key, door, held=rng.random() < 0.5)
            said = see(place, side)
            found.append(Example(said, rng.choice(said.partition("|")[2])))
        return found


class GridEnv:
    """One walk. An impossible action changes nothing, and costs its step."""

    def __init__(self, task: Task) -> None:
        self.side = int(str(task.meta["side"]))
        where = task.meta["start"]
        x, y, kx, ky, dx, dy = (int(str(v)) for v in where) if isinstance(where, list) else (0, 0, 1, 0, 0, 1)
        self.place = Place(x, y, (kx, ky), (dx, dy))
        self.budget = 2 * (abs(x - kx) + abs(y - ky) + abs(kx - dx) + abs(ky - dy) + 2)
        self.steps, self.done = 0, False

    def reset(self) -> str:
        return see(self.place, self.side)

    def step(self, action: str) -> Heard:
        self.steps += 1
        valid = action in possible(self.place, self.side) and len(action) == 1
        opened = valid and action == "t" and self.place.held
        if valid:
            self.place = moved(self.place, action)
        self.done = opened or self.steps >= self.budget
        return Heard(
            see(self.place, self.side),
            float(opened),
            self.done,
            {"success": opened, "valid": valid, "steps": self.steps},
        )


def see(place: Place, side: int) -> str:
    """What one sees from here."""
    key = "" if place.held else f"k{place.key[0] - place.x:+d}{place.key[1] - place.y:+d} "
    door = f"d{place.door[0] - place.x:+d}{place.door[1] - place.y:+d}"
    return f"{key}{door}{'*' if place.held else ''}|{possible(place, side)}"


def possible(place: Place, side: int) -> str:
    """The actions that do something here."""
    moves = "".join(m for m, (x, y) in MOVES.items() if 0 <= place.x + x < side and 0 <= place.y + y < side)
    here = (place.x, place.y)
    return moves + ("t" if here == (place.door if place.held else place.key) else "")


def moved(place: Place, action: str) -> Place:
    """Where things are after a possible action."""
    if action == "t":
        return Place(place.x, place.y, place.key, place.door, held=True)
    x, y = MOVES[action]
    return Place(place.x + x, place.y + y, place.key, place.door, place.held)


def best(place: Place) -> str:
    """An action of a shortest way."""
    x, y = place.door if place.held else place.key
    if x != place.x:
        return "e" if x > place.x else "w"
    if y != place.y:
        return "s" if y > place.y else "n"
    return "t"
