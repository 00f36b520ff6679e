"""Named functions on short strings; a task applies several of them, one after the other.

Each function permutes the letters, then shifts them along a small alphabet. The prompt `GF:abca` asks for G(F(abca));
an answer applies the names from the right, one step at a time: `F>bcab G>cabb.`. No name stands twice in a chain, so
that the last one applied says which is next, whatever the depth. Three kinds of functions share the alphabet of names:
*format* functions, which warm starts show in chains of every depth; *practice* functions, on which training works;
*held-out* functions. Of the last two, warm starts show single steps only.

Serves the compositionality study (2509.25123), and whatever needs deep chains of known steps.
"""

import random
import string
from dataclasses import dataclass, field
from itertools import permutations
from typing import Literal

from prowess.core.errors import UserError
from prowess.core.task import Split, Task
from prowess.train.mechanisms.base import Drawn, Example, make, split_of

Kind = Literal["format", "practice", "heldout"]
NAMES = string.ascii_uppercase + string.digits


@dataclass(frozen=True, slots=True)
class Function:
    """Letter `i` of the result is letter `order[i]` of the argument, moved on by `shift`."""

    order: tuple[int, ...]
    shift: int

    def __call__(self, text: str, letters: str) -> str:
        return "".join(letters[(letters.index(text[i]) + self.shift) % len(letters)] for i in self.order)


@dataclass(frozen=True)
class Strings:
    """The mechanism. `world` chooses the functions; all sizes are the same in every world."""

    world: int = 0
    letters: str = "abcde"
    length: int = 3
    sizes: tuple[int, int, int] = (10, 8, 6)
    """Format, practice and held-out functions."""
    deepest: int = 4
    """Depth of the longest chains of a warm start."""
    functions: dict[str, Function] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        rng = random.Random(f"strings/{self.world}")
        every = [
            Function(order, shift) for order in permutations(range(self.length)) for shift in range(len(self.letters))
        ]
        if sum(self.sizes) > min(len(NAMES), len(every)):
            raise ValueError(f"there are {min(len(NAMES), len(every))} functions, not {sum(self.sizes)}")
        chosen = rng.sample(every, sum(self.sizes))
        object.__setattr__(self, "functions", dict(zip(NAMES, chosen, strict=False)))

    @property
    def name(self) -> str:
        return "strings"

    @property
    def longest(self) -> int:
        return self.answer_length(8)

    def answer_length(self, level: int) -> int:
        """Characters of a right answer, its end included."""
        return level * (self.length + 3) + 1

    def names(self, kind: Kind) -> str:
        """The names of the functions of a kind."""
        first, second, _ = self.sizes
        names = "".join(self.functions)
        return {"format": names[:first], "practice": names[first : first + second], "heldout": names[first + second :]}[
            kind
        ]

    def tasks(self, split: Split, n: int, *, level: int = 1, seed: int = 0, kind: Kind = "practice") -> list[Task]:
        """`level` is the depth of the chain; `UserError` where there are fewer functions."""
        names = self.names(kind)
        if level > len(names):
            raise UserError(f"strings: a chain of {level} among {len(names)} functions", "ask for a shorter one")

        def draw(rng: random.Random) -> Drawn:
            chain = "".join(rng.sample(names, level))
            return Drawn(f"{chain}:{self._text(rng)}", {"level": level})

        return make(self.name, split, n, draw, family=kind, level=level, seed=seed)

    def check(self, task: Task, answer: str) -> float:
        return float(final(answer) == final(self.oracle(task)))

    def oracle(self, task: Task) -> str:
        return self.trace(task.prompt)

    def warm_start(self, n: int, *, seed: int = 0) -> list[Example]:
        """Half single steps of all functions, half chains of format functions."""
        rng = random.Random(f"strings/warm/{self.world}/{seed}")
        found: list[Example] = []
        while len(found) < n:
            if rng.random() < 0.5:
                chain = rng.choice(list(self.functions))
            else:
                chain = "".join(rng.sample(self.names("format"), rng.randint(2, self.deepest)))
            prompt = f"{chain}:{self._text(rng)}"
            if len(chain) == 1 or split_of(prompt) == "evidence":  # every single step must be known
                found.append(Example(prompt, self.trace(prompt)))
        return found

    def _text(self, rng: random.Random) -> str:
        return "".join(rng.choice(self.letters) for _ in range(self.length))

    def trace(self, prompt: str) -> str:
        """The answer that applies the functions one by one."""
        chain, _, text = prompt.partition(":")
        steps: list[str] = []
        for name in reversed(chain):
            text = self.functions[name](text, self.letters)
            steps.append(f"{name}>{text}")
        return " ".join(steps) + "."


def final(answer: str) -> str:
    """The last string of a trace; empty for an answer that does not end well."""
    return answer[:-1].rpartition(">")[2] if answer.endswith(".") and answer.count(".") == 1 else ""
