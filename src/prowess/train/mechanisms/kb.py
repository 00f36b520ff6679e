"""A small world of facts, half of them known by heart: questions of one and two hops, with or without looking up.

A fact says what a relation of an entity is: `ap=f`. A question chains relations: `apq?` asks for q of (p of a). An
answer may search in its own memory first: `S` names a fact to look up, `I` what it says: `SapIf SfqIc =c`. Warm starts
teach the facts of *known* entities only. Serves SSRL (2508.10874) and KnowRL (2510.11407).
"""

import random
from dataclasses import dataclass, field

from prowess.core.task import Split, Task
from prowess.train.mechanisms.base import Drawn, Example, make, split_of


@dataclass(frozen=True)
class Facts:
    """The mechanism. `world` chooses the facts and which entities are known."""

    world: int = 0
    entities: str = "abcdefghijklmnop"
    relations: str = "qrstuv"
    facts: dict[str, str] = field(init=False, repr=False, compare=False)
    known: str = field(init=False, repr=False, compare=False)
    """Entities whose facts warm starts teach."""

    def __post_init__(self) -> None:
        rng = random.Random(f"kb/{self.world}")
        known = "".join(sorted(rng.sample(self.entities, len(self.entities) // 2)))
        facts = {
            e + r: rng.choice(known if e in known else self.entities) for e in self.entities for r in self.relations
        }
        object.__setattr__(self, "facts", facts)
        object.__setattr__(self, "known", known)

    @property
    def name(self) -> str:
        return "kb"

    @property
    def longest(self) -> int:
        return 2 * 6 + 3

    def tasks(self, split: Split, n: int, *, level: int = 1, seed: int = 0, known: bool = True) -> list[Task]:
        """`level` is the number of hops; `known` whether the facts needed are in the warm start."""
        starts = self.known if known else "".join(e for e in self.entities if e not in self.known)

        def draw(rng: random.Random) -> Drawn:
            path = "".join(rng.choice(self.relations) for _ in range(level))
            return Drawn(f"{rng.choice(starts)}{path}?", {"known": known})

        return make(self.name, split, n, draw, family="known" if known else "unknown", level=level, seed=seed)

    def look_up(self, fact: str) -> str:
        """What a real search engine would say; empty for what is no question."""
        return self.facts.get(fact, "")

    def check(self, task: Task, answer: str) -> float:
        return float(answer.rpartition("=")[2] == self.oracle(task).rpartition("=")[2])

    def well_formed(self, answer: str) -> bool:
        """Whether every search has its information, and a single final answer ends it."""
        *searches, last = answer.split(" ")
        return len(last) == 2 and last[0] == "=" and all(len(s) == 5 and s[0] == "S" and s[3] == "I" for s in searches)

    def oracle(self, task: Task) -> str:
        return self._searched(task.prompt)

    def warm_start(self, n: int, *, seed: int = 0) -> list[Example]:
        """Every known fact, asked for and searched for; searches of two hops on half of the known entities, and direct
        answers where no search is shown."""
        rng = random.Random(f"kb/warm/{self.world}/{seed}")
        shown = self.known[: len(self.known) // 2]
        found: list[Example] = []
        while len(found) < n:
            hops = rng.choice((1, 1, 2))
            start = rng.choice(self.known if hops == 1 else shown)
            prompt = f"{start}{''.join(rng.choice(self.relations) for _ in range(hops))}?"
            if hops > 1 and split_of(prompt) != "evidence":
                continue
            searched = self._searched(prompt)
            found.append(Example(prompt, searched if rng.random() < 0.7 else searched[-2:]))
        return found

    def _searched(self, prompt: str) -> str:
        entity, steps = prompt[0], list[str]()
        for relation in prompt[1:-1]:
            value = self.facts[entity + relation]
            steps.append(f"S{entity}{relation}I{value}")
            entity = value
        return " ".join([*steps, f"={entity}"])
