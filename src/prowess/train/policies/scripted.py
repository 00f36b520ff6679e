"""A policy that is a function from a prompt's text to an answer: executors that never learn, opponents, tests."""

import random
from collections.abc import Callable, Sequence

from prowess.train.parts import Ids
from prowess.train.policies.tokens import Characters
from prowess.train.samples import Completion

Script = Callable[[str, random.Random], str]


class ScriptedPolicy:
    """Says what `script` says. Log-probabilities are 0: as far as anybody can tell it was sure."""

    version = 0
    trainable = False

    def __init__(self, name: str, script: Script) -> None:
        self.name, self.script = name, script
        self.tokens = Characters()

    def sample(
        self, prompts: Sequence[Ids], *, copies: int = 1, longest: int, temperature: float = 1.0, seed: int
    ) -> list[Completion]:
        del temperature
        rng = random.Random(seed)
        found: list[Completion] = []
        for prompt in prompts:
            for _ in range(copies):
                ids = self.tokens.answer(self.script(self.tokens.decode(prompt), rng))
                found.append(Completion(ids[:longest], [0.0] * min(longest, len(ids)), len(ids) <= longest))
        return found

    def score(self, rows: Sequence[Ids]) -> list[list[float]]:
        return [[0.0] * len(row) for row in rows]
