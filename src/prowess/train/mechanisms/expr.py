"""Arithmetic modulo a small number, by heart or with a calculator.

The prompt `3+5*2=` is worked out from the left, without precedence: (3 + 5) * 2 modulo `modulus`. An answer is the
result, `=2`, or says every step: `3+5:1 1*2:2 =2`. With the tool, `C3+5` in an episode asks the calculator for a step.
Serves Agent0 (2511.16043), CoMAS (2510.08529), SELF (2310.00533), Tailored Learning (2310.13332), SCoRe (2409.12917).
"""

import random
from dataclasses import dataclass

from prowess.core.task import Split, Task
from prowess.train.mechanisms.base import Drawn, Example, Heard, make, split_of

OPERATIONS = "+-*"


@dataclass(frozen=True)
class Expressions:
    """The mechanism. Level `n` has `n` operations."""

    modulus: int = 7

    @property
    def name(self) -> str:
        return "expr"

    @property
    def longest(self) -> int:
        return self.answer_length(6)

    def answer_length(self, level: int) -> int:
        """Characters of an answer that says every step, its end included."""
        return 6 * level + 3

    def tasks(self, split: Split, n: int, *, level: int = 2, seed: int = 0) -> list[Task]:
        def draw(rng: random.Random) -> Drawn:
            return Drawn(self.expression(rng, level), {"level": level})

        return make(self.name, split, n, draw, family="chains", level=level, seed=seed)

    def expression(self, rng: random.Random, level: int) -> str:
        """A random expression with its equals sign."""
        text = str(rng.randrange(self.modulus))
        return text + "".join(f"{rng.choice(OPERATIONS)}{rng.randrange(self.modulus)}" for _ in range(level)) + "="

    def calculate(self, step: str) -> str:
        """The result of one operation, `3+5`; empty for what is none."""
        if len(step) != 3 or step[1] not in OPERATIONS or not (step[0] + step[2]).isdigit():
            return ""
        left, right = int(step[0]), int(step[2])
        value = left + right if step[1] == "+" else left - right if step[1] == "-" else left * right
        return str(value % self.modulus)

    def check(self, task: Task, answer: str) -> float:
        return float(answer.rpartition("=")[2] == self.oracle(task).rpartition("=")[2] and "=" in answer)

    def oracle(self, task: Task) -> str:
        return self.steps(task.prompt)

    def steps(self, prompt: str) -> str:
        """The answer that says every step."""
        rest, value, said = prompt[1:-1], prompt[0], list[str]()
        for i in range(0, len(rest), 2):
            step = value + rest[i : i + 2]
            value = self.calculate(step)
            said.append(f"{step}:{value}")
        return " ".join([*said, f"={value}"])

    def env(self, task: Task) -> "CalculatorEnv":
        return CalculatorEnv(self, task)

    def warm_start(self, n: int, *, seed: int = 0) -> list[Example]:
        """Single operations, and two of them step by step; deeper ones are not shown."""
        rng = random.Random(f"expr/warm/{seed}")
        found: list[Example] = []
        while len(found) < n:
            prompt = self.expression(rng, rng.choice((1, 2)))
            if len(prompt) == 4 or split_of(prompt) == "evidence":
                found.append(Example(prompt, self.steps(prompt)))
        return found


class CalculatorEnv:
    """One question with a calculator: `C3+5` is answered by `:1 `; `=1` ends it."""

    def __init__(self, world: Expressions, task: Task, turns: int = 6) -> None:
        self.world, self.task, self.left, self.uses = world, task, turns, 0

    def reset(self) -> str:
        return self.task.prompt

    def step(self, action: str) -> Heard:
        self.left -= 1
        if action.startswith("C") and self.left > 0:
            self.uses += 1
            return Heard(f":{self.world.calculate(action[1:])} ")
        right = self.world.check(self.task, action)
        return Heard("", right, True, {"success": right == 1.0, "uses": self.uses})
