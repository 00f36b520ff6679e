"""reasoning-gym: more than a hundred generators of puzzles, with exact scorers and curricula (arXiv 2505.24760).

Nothing is played here: a task is a question, and its answer one message, or what a program prints. A family is a
generator; the variants `level-0` and up are the steps of its curriculum, `base` its defaults.

Some of the package's scorers evaluate what they are given as a program. Answers are hostile, so for those generators
only what is plain data, or a short formula, reaches the scorer.
"""

import ast
import json
import re
from functools import lru_cache
from importlib import import_module
from math import prod
from typing import Any, Final

from prowess.core.errors import UserError, WorldError
from prowess.core.skill import Skill
from prowess.core.task import Check, File, Score, Split, Task
from prowess.suites.worlds.host import CALL_SECONDS, Pool, in_child
from prowess.suites.worlds.needs import Needs
from prowess.suites.worlds.skills import written
from prowess.suites.worlds.suite import OFFSETS

LEFT_OUT: Final = frozenset({"composite", "boxnet", "rush_hour"})
"""A mixture of the others; and generators that name no right answer."""
FORM: Final = "Give the answer alone, between <answer> and </answer>."
MOST_LEVELS: Final = 4
_SLOW: Final = {"jugs": 2}
"""Steps after which drawing one task takes half a minute."""
_GOLD: Final = {
    "graph_color": "possible_answer",
    "propositional_logic": "example_answer",
    "rubiks_cube": "example_correct_answer",
}
"""Where generators with many right answers keep one."""
_ANSWER: Final = re.compile(r"<answer>(.*?)</answer>", re.DOTALL | re.IGNORECASE)
_LONGEST: Final = 50_000
_EVALUATED: Final = frozenset({"binary_matrix", "n_queens", "spiral_matrix", "string_insertion"})
_FORMULAS: Final = frozenset(
    {"countdown", "intermediate_integration", "polynomial_multiplication", "puzzle24", "simple_integration"}
)
_PLAIN: Final = re.compile(r"[\w\s,+-]*", re.ASCII)
_FORMULA: Final = re.compile(
    r"(?:[A-Za-z](?![A-Za-z_])|(?:sin|cos|tan|sec|csc|cot|asin|acos|atan|sinh|cosh|tanh|exp|log|ln|sqrt|pi|Abs|Integral)(?![A-Za-z_])"
    r"|\d{1,12}(?:\.\d{1,12})?(?!\d)|\*\*(?:\d{1,2}(?!\w)|[a-z](?!\w)|\(-?\d{1,2}(?:/\d{1,2})?\))(?!\s*\*\*)|\*(?!\*)"
    r"|[-+/(),=\s])*"
)
"""Numbers, single letters, known functions, and powers by small numbers."""
_POWER: Final = re.compile(r"\)\s*\*\*\s*\(?-?(\d+)")
_MOST_POWER: Final = 1_000
"""Of all powers of brackets together, which would pile up."""


class ReasoningGym:
    """The generators. Task number `i` of a split has seed `3 i` plus the offset of the split.

    Raises:
        UserError: the package is not installed.
    """

    name = "reasoning-gym"
    about = "a hundred generators of puzzles, with curricula"
    licence = "Apache-2.0"
    needs = Needs(module="reasoning_gym", extra="reasoning-gym")

    def __init__(self) -> None:
        self._generators = Pool(in_child(f"{__name__}:Generators", self.needs.python()), 4)
        self._asked = lru_cache(maxsize=4_096)(self._ask)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), ()

    @property
    def families(self) -> tuple[str, ...]:
        return tuple(self._asked("families"))

    def variants(self, family: str) -> tuple[str, ...]:
        return ("base", *(f"level-{i}" for i in range(self._asked("levels", family))))

    def tasks(self, family: str, split: Split, n: int, variant: str = "base", start: int = 0) -> tuple[Task, ...]:
        """Questions number `start` to `start + n - 1`; there is no end to them.

        Raises:
            UserError: no such family or variant, or a negative number.
        """
        if family not in self.families:
            raise UserError(f"{self.name} has no family {family!r}", f"choose one of {', '.join(self.families)}")
        if variant not in self.variants(family):
            raise UserError(
                f"family {family!r} has no variant {variant!r}", f"choose one of {', '.join(self.variants(family))}"
            )
        if start < 0 or n < 0:
            raise UserError(f"tasks {start} to {start + n - 1} cannot be drawn", "give start and n of zero or more")
        return tuple(self._task(family, variant, split, 3 * i + OFFSETS[split]) for i in range(start, start + n))

    def check(self, task: Task, outputs: tuple[File, ...], answer: str = "") -> Score:
        """The package's own score of the message, or of the file that an oracle hands in."""
        said = answer or next((f.text for f in outputs), "")
        value = self._value(task, answered(said, self._question(task.family, task.variant, task.seed)["gold"]))
        passed = value >= 1
        return Score(
            value=value,
            passed=passed,
            checks=(Check(name="answer", passed=passed, message="" if passed else "the answer is not right"),),
            verifier=f"suite:{self.name}",
            trusted=True,
        )

    def oracle(self, task: Task) -> tuple[File, ...]:
        gold = self._question(task.family, task.variant, task.seed)["gold"]
        return (File(path="answer.txt", data=f"<answer>{gold}</answer>".encode()),)

    def human_skill(self, family: str) -> Skill | None:
        return written(self.name, family)

    def close(self) -> None:
        """End the generators that are kept warm."""
        self._generators.close()

    def _ask(self, method: str, *arguments: Any, seconds: float = CALL_SECONDS) -> Any:
        """What the generators say. Raises `WorldError` where they fail."""
        seat = self._generators.extra()
        try:
            return seat.call_now("call", method, *arguments, seconds=seconds)
        finally:
            self._generators.give(seat, extra=True)

    def _question(self, family: str, variant: str, seed: int) -> dict[str, str]:
        return self._asked("question", family, variant, seed)

    def _value(self, task: Task, answer: str) -> float:
        if not answer or len(answer) > _LONGEST or not harmless(task.family, answer):
            return 0.0
        try:
            return float(self._ask("scored", task.family, task.variant, task.seed, answer))
        except WorldError:
            if task.family in _FORMULAS:
                return 0.0  # a formula that cannot be simplified in that time is no answer
            raise

    def _task(self, family: str, variant: str, split: Split, seed: int) -> Task:
        question = self._question(family, variant, seed)["question"].strip()
        return Task(
            id=f"{family}/{variant}/{seed}",
            suite=self.name,
            family=family,
            variant=variant,
            split=split,
            seed=seed,
            prompt=f"{question}\n\n{FORM}",
            source=self.needs.source,
        )


def answered(said: str, gold: str) -> str:
    """The answer in a message: what stands between the tags; else all of it, or its last line where one is wanted."""
    if found := _ANSWER.findall(said[-_LONGEST:]):
        return found[-1].strip()
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return said.strip() if "\n" in gold or not lines else lines[-1]


def harmless(family: str, answer: str) -> bool:
    """Whether a scorer that evaluates its answers may see this one."""
    if family in _EVALUATED:
        return _PLAIN.fullmatch(answer) is not None or _literal(answer)
    if family in _FORMULAS:
        short = len(answer) <= 2_000 and _FORMULA.fullmatch(answer) is not None
        return short and prod(map(int, _POWER.findall(answer))) <= _MOST_POWER
    return True


def _literal(text: str) -> bool:
    """Whether a text is Python data, without a name, a call or an operator in it."""
    try:
        ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return False
    return True


class Generators:
    """The package, in a process of its own: its hashes are fixed there, on which some generators depend."""

    def families(self) -> list[str]:
        return sorted(set(import_module("reasoning_gym.factory").DATASETS) - LEFT_OUT)

    def levels(self, family: str) -> int:
        return _levels(family)

    def question(self, family: str, variant: str, seed: int) -> dict[str, str]:
        """A question, and a right answer."""
        entry = _entry(family, variant, seed)[1]
        gold = entry["metadata"].get(_GOLD[family]) if family in _GOLD else entry["answer"]
        return {"question": str(entry["question"]), "gold": gold if isinstance(gold, str) else json.dumps(gold)}

    def scored(self, family: str, variant: str, seed: int, answer: str) -> float:
        """The value of an answer, 0 to 1; 0 for what a scorer cannot take."""
        generator, entry = _entry(family, variant, seed)
        try:
            value = float(generator.score_answer(answer, entry))
        except Exception:  # scorers are many, and none was made for every text
            return 0.0
        return min(max(value, 0.0), 1.0)

    def close(self) -> None:
        """Nothing is open."""


@lru_cache(maxsize=256)
def _entry(family: str, variant: str, seed: int) -> tuple[Any, dict[str, Any]]:
    """A generator for one question, and that question."""
    settings: dict[str, Any] = {"seed": seed, "size": 1}
    package = import_module("reasoning_gym.factory")
    if variant == "base":
        generator = package.create_dataset(family, **settings)
    else:
        generator = _at_level(family, int(variant.removeprefix("level-")), settings)
    return generator, generator[0]


def _at_level(family: str, level: int, settings: dict[str, Any]) -> Any:
    """A generator with every attribute of its curriculum at a level, or at its last one."""
    package = import_module("reasoning_gym.factory")
    curriculum = package.create_curriculum(family)
    for name, attribute in curriculum.attributes.items():
        curriculum.set_attr_level(name, min(level, len(attribute.levels) - 1))
    return package.DATASETS[family][0](config=curriculum.generate_configuration(settings))


@lru_cache(maxsize=256)
def _levels(family: str) -> int:
    """Steps of a generator's curriculum that it can take itself, at most `MOST_LEVELS`; 0 where there is none."""
    package = import_module("reasoning_gym.factory")
    if family not in package.CURRICULA:
        return 0
    attributes = package.create_curriculum(family).attributes.values()
    most = min(max((len(a.levels) for a in attributes), default=0), _SLOW.get(family, MOST_LEVELS))
    for level in range(most):
        try:
            _at_level(family, level, {"seed": 0, "size": 1})
        except (AssertionError, ValueError):  # some curricula go beyond what their generators accept
            return level
    return most
