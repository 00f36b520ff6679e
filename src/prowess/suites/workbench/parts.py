"""What a family of small office tasks is made of, and how one instance is drawn.

A family declares its house rules as data. From them follow the right answer, every wrong answer that breaks exactly
one rule, the messages of the checks and the human skill, so that these can never disagree. `judge` looks at answers.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random
from string import Template
from typing import Any, Generic, Literal, TypeVar

from prowess.core.task import File
from prowess.suites.workbench.forms import Found, Value

Verb = Literal[
    "read",
    "extract",
    "retrieve",
    "normalize",
    "filter",
    "align",
    "compute",
    "compare",
    "detect",
    "update",
    "validate",
    "output",
]
"""The words of a task flow, after the benchmark SkillFlow (arXiv 2604.17308)."""

Row = Mapping[str, str]
"""One input row: what the field is for (never the name of its column) to its text."""

Rows = tuple[tuple[Value, ...], ...]
"""An answer: rows in the right order, values free of any notation."""


@dataclass(frozen=True, slots=True)
class House:
    """Base of the rules of one office; each family adds its fields, each variant is one value."""


H = TypeVar("H", bound=House)


@dataclass(frozen=True, slots=True)
class Case:
    """One instance: files and prompt for the agent, and the same facts as data for the answer."""

    job: str
    """What to do, naming every input file and the output file. House rules are not told."""
    names: Mapping[str, str]
    """Names that differ between instances, by what they are for; `target` is the output path."""
    tables: Mapping[str, tuple[Row, ...]]
    files: tuple[File, ...]

    @property
    def target(self) -> str:
        return self.names["target"]

    @property
    def rows(self) -> tuple[Row, ...]:
        """The only, or main, table."""
        return self.tables["rows"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One house rule, as one check.

    `form` and `order` rules look at the output by `seen`. `value` rules have none: the judge finds them out by
    comparing the values with those of every combination of broken rules.
    """

    kind: Literal["form", "value", "order"]
    name: str
    text: str
    """The rule in words; the message of the failed check and a line of the human skill."""
    off: Mapping[str, Any]
    """Fields of the house with which this rule alone is broken."""
    seen: Callable[[Found], bool] | None = None


@dataclass(frozen=True, slots=True)
class Family(Generic[H]):
    """One kind of task; a module defines it as a value."""

    name: str
    """Also the name of the human skill."""
    title: str
    description: str
    """What the human skill does, and when to use it."""
    self_check: str
    """Last lines of the human skill: how to see that the output is right."""
    flow: tuple[Verb, ...]
    houses: Mapping[str, H]
    """Variants, `base` first."""
    make: Callable[[Random], Case]
    """Draws inputs; knows nothing of the house."""
    answer: Callable[[Case, H], Rows]
    write: Callable[[Rows, H], bytes]
    read: Callable[[bytes, H], Found]
    """Lenient and safe; raises `Unreadable`."""
    rules: Callable[[H], tuple[Rule, ...]]
    program: Callable[[Case, H], str]
    """A short program that does the task; the snippet of the human skill is one for an instance outside all splits."""
    keys: int = 1
    """How many leading columns identify a row."""


SEPARATORS = {";": "semicolons", ",": "commas", "\t": "tabs", "|": "vertical bars"}


def separator_rule(separator: str) -> Rule:
    """Fields of a delimited output; the house has a field `separator`."""
    return Rule(
        kind="form",
        name="separator",
        text=f"fields must be separated by {SEPARATORS[separator]} ({separator!r}), without spaces around them",
        off={"separator": "," if separator != "," else ";"},
        seen=lambda found: (
            found.marks.get("separator") == separator
            and all(cell == cell.strip() for row in found.cells for cell in row)
        ),
    )


def header_rule(header: tuple[str, ...], separator: str) -> Rule:
    """First line of a delimited output; the house has a field `header`."""
    return Rule(
        kind="form",
        name="header",
        text=f"the first line must be exactly {separator.join(header)!r}",
        off={"header": tuple(name.title() + "s" for name in header)},
        seen=lambda found: found.header == header,
    )


def keys_rule(keys: tuple[str, ...]) -> Rule:
    """Keys of the objects of a JSON output, of which only the first holds text; the house has a field `keys`."""
    return Rule(
        kind="form",
        name="keys",
        text=f"each object must have exactly the keys {', '.join(keys)}, in this order; numbers stand without quotes",
        off={"keys": tuple(name.upper() + "_" for name in keys)},
        seen=lambda found: (
            found.header == keys and all(found.matches(index, r"-?\d+(\.\d+)?") for index in range(1, len(keys)))
        ),
    )


@dataclass(frozen=True, slots=True)
class Order:
    """An order of rows, in words, as a key over rows of the answer, and as the same key in a program."""

    text: str
    code: str
    key: Callable[[tuple[Any, ...]], Any]


AS_FOUND = Order("first mention in the input", "0", lambda row: 0)


def order_rule(order: Order, what: str = "lines") -> Rule:
    """Order of rows; the house has a field `order`."""
    return Rule(
        kind="order",
        name="order",
        text=f"{what} must be ordered by {order.text}",
        off={"order": AS_FOUND},
        seen=lambda found: found.ordered(order.key),
    )


def broken(house: H, rules: Sequence[Rule]) -> H:
    """`house` with each of `rules` broken."""
    changes: dict[str, Any] = {}
    for rule in rules:
        changes.update(rule.off)
    return replace(house, **changes)


def combinations(rules: Sequence[Rule]) -> Iterator[tuple[Rule, ...]]:
    """All subsets of the value rules, smallest first, so that the simplest explanation comes first."""
    values = [rule for rule in rules if rule.kind == "value"]
    for size in range(len(values) + 1):
        yield from itertools.combinations(values, size)


def draw(family: Family[H], variant: str, seed: int) -> Case:
    """The instance of one seed, drawn again until every rule matters in it.

    Every combination of broken value rules gives other values, and a broken order rule another order: no program
    passes by luck, and from a wrong output the broken rules can be told.
    """
    house = family.houses[variant]
    rules = family.rules(house)
    for attempt in range(200):
        case = family.make(Random(f"{family.name}/{variant}/{seed}/{attempt}"))
        if _telling(family, case, house, rules):
            return case
    raise AssertionError(f"family {family.name!r} gives no telling instance for {variant}/{seed}")


def _telling(family: Family[H], case: Case, house: H, rules: tuple[Rule, ...]) -> bool:
    seen: set[frozenset[tuple[tuple[Value, ...], int]]] = set()
    for subset in combinations(rules):
        rows = frozenset(Counter(family.answer(case, broken(house, subset))).items())
        if rows in seen:
            return False
        seen.add(rows)
    right = family.answer(case, house)
    return all(family.answer(case, broken(house, [rule])) != right for rule in rules if rule.kind == "order")


def prompt(case: Case, variant: str) -> str:
    """The text of the task: the job, and whose house rules hold. How the inputs look, an agent sees for itself."""
    office = "" if variant == "base" else f" of the {variant} office"
    return f"{case.job}\nFollow the house rules{office}.\n"


def fill(text: str, names: Mapping[str, str], **words: str) -> str:
    """A program from its template: `$name` stands for a name of the instance or a word of the house."""
    return Template(text.strip() + "\n").substitute(names, **words)


def quoted(separator: str) -> str:
    """A separator as it stands inside a string literal."""
    return separator.replace("\t", "\\t")


def pick_names(rng: Random, choices: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """One name for each purpose, no two alike."""
    while True:
        names = {purpose: rng.choice(options) for purpose, options in choices.items()}
        if len(set(names.values())) == len(names):
            return names


def input_csv(path: str, rng: Random, names: Mapping[str, str], rows: Sequence[Row], separator: str = ",") -> File:
    """An input table whose columns stand in an order of its own."""
    fields = list(rows[0])
    rng.shuffle(fields)
    lines = [separator.join(names[field] for field in fields)]
    lines += [separator.join(row[field] for field in fields) for row in rows]
    return File(path=path, data=("\n".join(lines) + "\n").encode())


def clock(minutes: int) -> str:
    """A time of the day, as in 07:30."""
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def cents(rng: Random, low: int, high: int) -> Decimal:
    """A random amount with two decimals; bounds in hundredths."""
    return Decimal(rng.randint(low, high)).scaleb(-2)
