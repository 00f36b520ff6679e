"""Guessing a hidden number with hints, as a teacher who knows the answer would give them.

The prompt `?0-31:` names the range; each wrong guess is answered by `<` (the number is lower) or `>`. In other words
for the same hints, `d` and `u`, a policy can be tested on a vocabulary it was not trained on. Serves learning from
language feedback (2602.16066) and anything that needs turns which build on one another.
"""

import random
from dataclasses import dataclass

from prowess.core.task import Split, Task
from prowess.train.mechanisms.base import Drawn, Example, Heard, make, split_of

WORDS = {"signs": ("<", ">"), "letters": ("d", "u")}


@dataclass(frozen=True)
class Guess:
    """The mechanism. Level `n` has `4 * 2 ** n` numbers."""

    @property
    def name(self) -> str:
        return "guess"

    @property
    def longest(self) -> int:
        return 4

    def tasks(self, split: Split, n: int, *, level: int = 2, seed: int = 0) -> list[Task]:
        size = 4 * 2**level

        def draw(rng: random.Random) -> Drawn:
            start = rng.randrange(100 - size)
            return Drawn(f"?{start}-{start + size - 1}:", {"hidden": start + rng.randrange(size)})

        return make(self.name, split, n, draw, family="numbers", level=level, seed=seed)

    def env(self, task: Task, *, turns: int = 8, words: str = "signs") -> "GuessEnv":
        return GuessEnv(task, turns, WORDS[words])

    def check(self, task: Task, answer: str) -> float:
        return float(answer == str(task.meta["hidden"]))

    def oracle(self, task: Task) -> str:
        return str(task.meta["hidden"])

    def warm_start(self, n: int, *, seed: int = 0) -> list[Example]:
        """Any number of the range: the format, and no use of hints."""
        rng = random.Random(f"guess/warm/{seed}")
        found: list[Example] = []
        while len(found) < n:
            size = 4 * 2 ** rng.randint(1, 3)
            start = rng.randrange(100 - size)
            prompt = f"?{start}-{start + size - 1}:"
            if split_of(prompt) == "evidence":
                found.append(Example(prompt, str(start + rng.randrange(size))))
        return found


class GuessEnv:
    """One game. What is no number gets the hint `!`."""

    def __init__(self, task: Task, turns: int, words: tuple[str, str]) -> None:
        self.task, self.left, self.words = task, turns, words
        self.hidden = int(str(task.meta["hidden"]))
        self.turn = 0

    def reset(self) -> str:
        return self.task.prompt

    def step(self, action: str) -> Heard:
        self.turn += 1
        self.left -= 1
        right = action == str(self.hidden)
        if right or self.left == 0:
            return Heard("", float(right), True, {"success": right, "solved": self.turn - 1 if right else None})
        number = int(action) if action.isascii() and action.isdigit() and len(action) < 5 else None
        hint = "!" if number is None else self.words[0] if self.hidden < number else self.words[1]
        return Heard(hint)
