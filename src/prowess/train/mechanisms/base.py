"""What a mechanism task is: a small world in which one effect of one paper can be seen, in minutes and on one core.

Prompts and answers are short texts, so that a tiny decoder over characters and a real language model play the same
tasks. All draws are seeded. Splits are kept apart by content: a prompt belongs to one split, whatever the seed.
"""

import hashlib
import random
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from prowess.core.errors import UserError
from prowess.core.task import Split, Task


class Example(NamedTuple):
    """A demonstration for warm starts."""

    prompt: str
    answer: str
    more: tuple[tuple[str, str], ...] = ()
    """Further turns: what the environment says, and the answer to it."""


class Heard(NamedTuple):
    """What an environment says to an action."""

    text: str
    reward: float = 0.0
    done: bool = False
    info: dict[str, Any] = {}


class Env(Protocol):
    """One episode. Actions are texts of a model: anything may come."""

    def reset(self) -> str: ...

    def step(self, action: str) -> Heard: ...


class Mechanism(Protocol):
    """A family of tasks with checks, demonstrations and an oracle."""

    @property
    def name(self) -> str: ...

    @property
    def longest(self) -> int:
        """Characters that a right answer needs at most, at the deepest level."""
        ...

    def tasks(self, split: Split, n: int, *, level: int = 1, seed: int = 0) -> list[Task]:
        """`n` tasks; equal arguments give equal tasks."""
        ...

    def check(self, task: Task, answer: str) -> float:
        """How good an answer is, 0 to 1. Never raises on a bad one."""
        ...

    def oracle(self, task: Task) -> str:
        """An answer that checks as 1."""
        ...

    def warm_start(self, n: int, *, seed: int = 0) -> list[Example]:
        """Demonstrations that stand in for pretraining: the format, the atomic skills, and the pattern of behaviour on
        symbols that the tasks do not use. They hold no prompt of the splits `gate` and `test` beyond atomic ones."""
        ...


class Drawn(NamedTuple):
    """What a draw gives; `make` turns it into a task."""

    prompt: str
    meta: dict[str, Any]


def split_of(prompt: str) -> Split:
    """The split that a prompt belongs to: six eighths evidence, an eighth gate, an eighth test."""
    eighth = hashlib.sha256(prompt.encode()).digest()[0] % 8
    return "evidence" if eighth < 6 else "gate" if eighth == 6 else "test"


def make(
    suite: str, split: Split, n: int, draw: Callable[[random.Random], Drawn], *, family: str, level: int = 1,
    seed: int = 0,
) -> list[Task]:  # fmt: skip
    """`n` tasks of a split, drawn until their prompts belong to it.

    Raises:
        UserError: the world is so small that hardly any of its prompts do.
    """
    rng = random.Random(f"{suite}/{family}/{split}/{level}/{seed}")
    found: list[Task] = []
    tries = 0
    while len(found) < n:
        prompt, meta = draw(rng)
        tries += 1
        if tries > 1000 * (len(found) + 1):
            raise UserError(f"{suite}, {family}, level {level} has no prompt of split {split!r}", "take a larger world")
        if split_of(prompt) == split:
            i = len(found)
            found.append(
                Task(
                    id=f"{family}/level-{level}/{split}-{seed}-{i}", suite=suite, family=family,
                    variant=f"level-{level}", split=split, seed=i, prompt=prompt, meta=meta,
                )
            )  # fmt: skip
    return found
