"""A machine that writes letters, and programs that may define a shortcut: skills at their smallest.

Two tasks of a chain share a hidden three-letter macro. A program writes the target letter by letter, and may define the
shortcut `M` by `[abc]`, which also runs it; `M` alone runs it again. The first target holds the macro twice and fits
either way. The second holds it three times and fits only if `M` is known from the first: programs are cut at
`limit` tokens. Serves SAGE (2512.17102) and Evolving-RL (2605.10663).
"""

import random
from dataclasses import dataclass
from typing import NamedTuple

from prowess.core.task import Split, Task
from prowess.train.mechanisms.base import Drawn, Example, make, split_of

SIZE = 3


class Run(NamedTuple):
    """What a program did."""

    wrote: str
    valid: bool
    """False for a program that breaks the grammar or calls what it does not know."""
    defined: str
    """The macro that this program defined; empty for none."""
    called: bool
    """Whether it called a macro that it had not defined itself."""


def run(program: str, known: str, letters: str) -> Run:
    """Execute a program, given the macro known before it (empty for none). Never raises."""
    wrote, defined, called, i = "", "", False, 0
    while i < len(program):
        char = program[i]
        if char == "[":
            end = program.find("]", i)
            body = program[i + 1 : end] if end > 0 else ""
            if len(body) != SIZE or any(c not in letters for c in body) or defined:
                return Run(wrote, False, "", called)
            defined, wrote, i = body, wrote + body, end
        elif char == "M" and (defined or known):
            wrote += defined or known
            called = called or not defined
        elif char in letters:
            wrote += char
        else:
            return Run(wrote, False, "", called)
        i += 1
    return Run(wrote, bool(program), defined, called)


@dataclass(frozen=True)
class Macro:
    """The mechanism. Level 1 is the first task of a chain, level 2 the second."""

    letters: str = "abcdef"
    limits: tuple[int, int] = (8, 6)
    """Most tokens of a program for the first and the second task, its end not counted."""

    @property
    def name(self) -> str:
        return "macro"

    @property
    def longest(self) -> int:
        return max(self.limits) + 1

    def tasks(self, split: Split, n: int, *, level: int = 1, seed: int = 0) -> list[Task]:
        """First tasks of chains, which carry their second one along; or the second ones."""

        def draw(rng: random.Random) -> Drawn:
            seconds, macro = list[str](), ""
            while not seconds:  # a macro has few targets, and they may all lie in other splits
                macro = "".join(rng.sample(self.letters, SIZE))
                seconds = [t for t in self._targets(macro, 3) if split_of(t) == split]
            return Drawn(self._target(rng, macro, 2), {"macro": macro, "second": rng.choice(seconds)})

        firsts = make(self.name, split, n, draw, family="chain", level=1, seed=seed)
        return firsts if level == 1 else [self.second(first) for first in firsts]

    def second(self, first: Task) -> Task:
        """The task that follows in the chain."""
        return first.model_copy(
            update={
                "id": first.id.replace("level-1", "level-2"), "variant": "level-2", "prompt": str(first.meta["second"])
            }
        )  # fmt: skip

    def shown(self, task: Task, known: str) -> str:
        """The prompt, with the library before it: `M=abc;` or nothing."""
        return f"M={known};{task.prompt}>" if known else f"{task.prompt}>"

    def limit(self, task: Task) -> int:
        """Most tokens of a program for this task."""
        return self.limits[0 if task.variant == "level-1" else 1]

    def check(self, task: Task, answer: str, known: str = "") -> float:
        did = run(answer, known, self.letters)
        return float(did.valid and did.wrote == task.prompt and len(answer) <= self.limit(task))

    def oracle(self, task: Task) -> str:
        """Of a first task; a second one's oracle needs `M` to be known."""
        macro = str(task.meta["macro"])
        if task.variant == "level-2":
            return task.prompt.replace(macro, "M")
        return task.prompt.replace(macro, "M").replace("M", f"[{macro}]", 1)

    def warm_start(self, n: int, *, seed: int = 0) -> list[Example]:
        """Writing out (mostly), defining (seldom), and calling what is known (sometimes): all that the grammar allows,
        with no hint that defining pays."""
        rng = random.Random(f"macro/warm/{seed}")
        found: list[Example] = []
        while len(found) < n:
            macro = "".join(rng.sample(self.letters, SIZE))
            times = rng.choice((2, 3))
            target = self._target(rng, macro, times)
            if split_of(target) != "evidence":
                continue
            short = target.replace(macro, "M")
            kind = rng.random()
            if kind < 0.3:  # the library knows the macro, and the answer uses it
                found.append(Example(f"M={macro};{target}>", short))
            elif kind < 0.4:  # the library knows it, and the answer does not
                found.append(Example(f"M={macro};{target}>", target))
            elif kind < 0.55 and times == 2:
                found.append(Example(f"{target}>", short.replace("M", f"[{macro}]", 1)))
            else:
                found.append(Example(f"{target}>", target))
        return found

    def _target(self, rng: random.Random, macro: str, times: int) -> str:
        return rng.choice(self._targets(macro, times))

    def _targets(self, macro: str, times: int) -> list[str]:
        """The macro so often, and one other letter somewhere between: all there are."""
        others = [c for c in self.letters if c not in macro]
        return [macro * i + c + macro * (times - i) for i in range(times + 1) for c in others]
