"""Strings under constraints that a program can check; answers may satisfy some of them.

The prompt lists constraints: `1c nd #a2 <5`: the first letter is c, no d, exactly two a, shorter than five. Quality is
the share satisfied, so that a poor answer can be improved step by step. Serves SEIF and ExIt (2509.04575).
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from prowess.core.task import Split, Task
from prowess.train.mechanisms.base import Drawn, Example, make, split_of

Test = Callable[[str, str], bool]
"""From the argument and the string to whether it holds."""


def _number(argument: str) -> int:
    return int(argument) if argument.isdigit() else -1


KINDS: dict[str, Test] = {
    "1": lambda a, s: s[:1] == a,
    "2": lambda a, s: s[1:2] == a,
    "3": lambda a, s: s[2:3] == a,
    "!": lambda a, s: s[-1:] == a,
    "n": lambda a, s: a not in s,
    "h": lambda a, s: a in s,
    "#": lambda a, s: s.count(a[:1]) == _number(a[1:]),
    "<": lambda a, s: len(s) < _number(a),
    ">": lambda a, s: len(s) > _number(a),
    "d": lambda a, s: a * 2 in s,
    "o": lambda a, s: a[:1] in s and a[1:] in s and s.index(a[:1]) < s.index(a[1:]),
    "u": lambda a, s: len(set(s)) == _number(a),
}
"""Twelve kinds: a letter at a place (first, second, third, last), absent, present, so often; length below, above; a
letter twice in a row; one before the other; so many different ones."""


def holds(constraint: str, text: str) -> bool:
    """Whether `text` satisfies a constraint; unknown ones never hold."""
    test = KINDS.get(constraint[:1])
    return bool(text) and test is not None and test(constraint[1:], text)


@dataclass(frozen=True)
class Constraints:
    """The mechanism. Level `n` asks for `n` constraints that some hidden string satisfies together."""

    letters: str = "abcdef"
    longest_text: int = 8

    @property
    def name(self) -> str:
        return "constraints"

    @property
    def longest(self) -> int:
        return self.longest_text + 1

    def tasks(self, split: Split, n: int, *, level: int = 3, seed: int = 0) -> list[Task]:
        def draw(rng: random.Random) -> Drawn:
            hidden = self.text(rng)
            return Drawn(" ".join(self.true_of(hidden, level, rng)) + "=", {"hidden": hidden})

        return make(self.name, split, n, draw, family="strings", level=level, seed=seed)

    def check(self, task: Task, answer: str) -> float:
        asked = task.prompt.rstrip("=").split()
        return sum(holds(c, answer) for c in asked) / len(asked) if self.valid(answer) else 0.0

    def valid(self, answer: str) -> bool:
        """Whether an answer is a string of this world at all."""
        return 0 < len(answer) <= self.longest_text and set(answer) <= set(self.letters)

    def oracle(self, task: Task) -> str:
        return str(task.meta["hidden"])

    def warm_start(self, n: int, *, seed: int = 0) -> list[Example]:
        """Answers to a single constraint, right ones; and to several, such that each but one holds."""
        rng = random.Random(f"constraints/warm/{seed}")
        found: list[Example] = []
        while len(found) < n:
            hidden = self.text(rng)
            asked = self.true_of(hidden, rng.randint(1, 3), rng)
            prompt = " ".join(asked) + "="
            if split_of(prompt) != "evidence":
                continue
            answer = hidden if len(asked) == 1 else self.edited(hidden, rng)
            found.append(Example(prompt, answer))
        return found

    def text(self, rng: random.Random) -> str:
        """A random string."""
        return "".join(rng.choice(self.letters) for _ in range(rng.randint(3, self.longest_text)))

    def edited(self, text: str, rng: random.Random) -> str:
        """The string with one letter changed."""
        at = rng.randrange(len(text))
        return text[:at] + rng.choice(self.letters) + text[at + 1 :]

    def true_of(self, text: str, n: int, rng: random.Random) -> list[str]:
        """`n` constraints of different kinds that hold of a string of at least three letters."""
        absent = [c for c in self.letters if c not in text]
        counted, order = rng.choice(text), sorted({text.index(c) for c in text})
        doubled = [c for c in self.letters if c * 2 in text]
        true = {
            "1": text[0], "2": text[1], "3": text[2], "!": text[-1], "h": rng.choice(text),
            "#": f"{counted}{text.count(counted)}", "<": str(rng.randint(len(text) + 1, self.longest_text + 1)),
            ">": str(rng.randint(1, len(text) - 1)), "u": str(len(set(text))),
        }  # fmt: skip
        if absent:
            true["n"] = rng.choice(absent)
        if doubled:
            true["d"] = rng.choice(doubled)
        if len(order) > 1:
            first, second = sorted(rng.sample(order, 2))
            true["o"] = text[first] + text[second]
        return [kind + true[kind] for kind in rng.sample(sorted(true), min(n, len(true)))]
