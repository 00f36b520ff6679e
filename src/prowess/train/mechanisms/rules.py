"""Families of tasks with a hidden rule each; a skill is the rule, written into the prompt.

The prompt `C?bda` asks family C about `bda`. Its rule is two letters, say `xp`; the right answer puts them around the
first letter: `xbp`. With the rule in the prompt, `xp|C?bda`, the answer is easy; without, it is one guess in
`len(rule_letters) ** 2` until it is known by heart. Serves SKILL0 (2604.02268), Skill-SD (2604.10674) and SLIM
(2605.10923).
"""

import random
from dataclasses import dataclass, field

from prowess.core.task import Split, Task
from prowess.train.mechanisms.base import Drawn, Example, make, split_of

FAMILIES = "ABCDEFGHIJKL"


@dataclass(frozen=True)
class Rules:
    """The mechanism. `world` chooses the rules; warm starts know other families, so no rule is given away."""

    world: int = 0
    families: int = 6
    letters: str = "abcdefgh"
    rule_letters: str = "stuvwxyz"
    rules: dict[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        rng = random.Random(f"rules/{self.world}")
        pairs = [a + b for a in self.rule_letters for b in self.rule_letters]
        object.__setattr__(
            self, "rules", dict(zip(FAMILIES[: self.families], rng.sample(pairs, self.families), strict=True))
        )

    @property
    def name(self) -> str:
        return "rules"

    @property
    def longest(self) -> int:
        return 4

    def tasks(self, split: Split, n: int, *, level: int = 1, seed: int = 0, family: str = "") -> list[Task]:
        """Tasks of all families in turn, or of one. There is one level."""

        def draw(rng: random.Random) -> Drawn:
            of = family or rng.choice(list(self.rules))
            return Drawn(f"{of}?{''.join(rng.choice(self.letters) for _ in range(3))}", {"family": of})

        return make(self.name, split, n, draw, family=family or "mixed", level=level, seed=seed)

    def skill(self, family: str) -> str:
        """The text of a family's skill."""
        return self.rules[family]

    def shown(self, task: Task, skill: str = "") -> str:
        """The prompt, with a skill before it where there is one."""
        return f"{skill}|{task.prompt}" if skill else task.prompt

    def check(self, task: Task, answer: str) -> float:
        return float(answer == self.oracle(task))

    def valid(self, answer: str) -> bool:
        """Whether an answer is an action at all: three letters, the outer ones such as rules are made of."""
        return len(answer) == 3 and answer[0] in self.rule_letters and answer[2] in self.rule_letters

    def oracle(self, task: Task) -> str:
        rule = self.rules[str(task.meta["family"])]
        return f"{rule[0]}{task.prompt.partition('?')[2][0]}{rule[1]}"

    def warm_start(self, n: int, *, seed: int = 0) -> list[Example]:
        """Using a rule that is shown, with families and rules drawn afresh each time; and answers of the right form
        where none is shown."""
        rng = random.Random(f"rules/warm/{seed}")
        found: list[Example] = []
        while len(found) < n:
            rule = "".join(rng.choice(self.rule_letters) for _ in range(2))
            text = "".join(rng.choice(self.letters) for _ in range(3))
            prompt = f"{rng.choice(FAMILIES)}?{text}"
            if split_of(prompt) != "evidence":
                continue
            answer = f"{rule[0]}{text[0]}{rule[1]}"
            found.append(Example(f"{rule}|{prompt}" if rng.random() < 0.7 else prompt, answer))
        return found
