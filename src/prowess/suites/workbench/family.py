"""What a family of small office tasks is made of, and how one instance is drawn.

A family declares its house rules as data. From them follow the right answer, every wrong answer that breaks exactly
one rule, the messages of the checks and the human skill, so that these can never disagree. `judge` looks at answers.
"""

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from random import Random
from string import Template
from typing import Any, Generic, Literal, Protocol, TypeVar

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
class Order:
    """An order of rows, in words, as a key over rows of the answer, and as the same key in a program."""

    text: str
    code: str
    key: Callable[[tuple[Any, ...]], Any]


AS_FOUND = Order("first mention in the input", "0", lambda row: 0)


@dataclass(frozen=True, slots=True)
class House:
    """The rules of one office; each family adds its fields, each variant is one value."""

    order: Order = AS_FOUND


H = TypeVar("H", bound=House)
H_contra = TypeVar("H_contra", bound=House, contravariant=True)


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


class Output(Protocol[H_contra]):
    """The form of a family's output; `prowess.suites.workbench.outputs` has those that several families share."""

    @property
    def rows_are(self) -> str:
        """What its rows are called, in the plural."""
        ...

    def write(self, rows: Rows, house: H_contra) -> bytes: ...

    def read(self, data: bytes, house: H_contra) -> Found:
        """Lenient and safe; raises `Unreadable`."""
        ...

    def rules(self, house: H_contra) -> tuple[Rule, ...]: ...

    def words(self, house: H_contra) -> Mapping[str, str]:
        """What a program that writes it must know, for its template."""
        ...


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
    rows: Callable[[Case, H], Iterable[tuple[Value, ...]]]
    """Those of the answer, in any order; where the house has none, theirs stands."""
    output: Output[H]
    own_rules: Callable[[H], tuple[Rule, ...]]
    """Beside those of the form of the output and of the order of its rows."""
    template: str
    """A short program that does the task; `$name` stands for a name of the instance or a word."""
    words: Callable[[Case, H], Mapping[str, str]] = lambda case, house: {}
    """Beside `order`, those of the form of the output (`header` and the like), and the house's texts and numbers."""
    keys: int = 1
    """How many leading columns identify a row."""
    script: bool = True
    """Whether the human skill has a script to call. Small models begin some programs from habit and never reach the
    call; they adapt a program that begins just so."""
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    """What the form of the human skill says of a name, in capitals, where its own word would mislead."""

    def answer(self, case: Case, house: H) -> Rows:
        """The right rows in the right order."""
        return tuple(sorted(self.rows(case, house), key=house.order.key))

    def rules(self, house: H) -> tuple[Rule, ...]:
        """All house rules, as the checks and the human skill tell them."""
        return (*self.output.rules(house), *self.own_rules(house), order_rule(house.order, self.output.rows_are))

    def program(self, case: Case, house: H) -> str:
        """The program for one instance; the snippet of the human skill is one outside all splits."""
        told = {f.name: str(v) for f in fields(house) if isinstance(v := getattr(house, f.name), str | int)}
        words = {"order": house.order.code, **self.output.words(house), **self.words(case, house)}
        return Template(self.template.strip() + "\n").substitute({**told, **case.names, **words})


def value_rule(name: str, text: str, **off: Any) -> Rule:
    """A rule about values; `off` are fields of the house with which it is broken."""
    return Rule(kind="value", name=name, text=text, off=off)


def order_rule(order: Order, what: str) -> Rule:
    """Order of rows."""
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


def pick_names(rng: Random, choices: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """One name for each purpose, no two alike."""
    while True:
        names = {purpose: rng.choice(options) for purpose, options in choices.items()}
        if len(set(names.values())) == len(names):
            return names


def csv_case(rng: Random, job: str, names: Mapping[str, str], rows: Sequence[Row], separator: str = ",") -> Case:
    """A case whose one input is a delimited table, at `names["source"]`."""
    file = input_csv(names["source"], rng, names, rows, separator)
    return Case(job=job, names=names, tables={"rows": tuple(rows)}, files=(file,))


def input_csv(path: str, rng: Random, names: Mapping[str, str], rows: Sequence[Row], separator: str = ",") -> File:
    """An input table whose columns stand in an order of its own."""
    fields = list(rows[0])
    rng.shuffle(fields)
    lines = [separator.join(names[field] for field in fields)]
    lines += [separator.join(row[field] for field in fields) for row in rows]
    return File(path=path, data=("\n".join(lines) + "\n").encode())


def input_json(path: str, objects: Iterable[Mapping[str, str | int]]) -> File:
    """An input list of objects, one a line."""
    return File(path=path, data=("[" + ",\n ".join(json.dumps(item) for item in objects) + "]\n").encode())


def sums(amounts: Iterable[tuple[str, Decimal | int | str]]) -> dict[str, Decimal]:
    """What is added up for each key, keys in the order of their first mention."""
    found: dict[str, Decimal] = {}
    for key, amount in amounts:
        found[key] = found.get(key, Decimal(0)) + Decimal(amount)
    return found


def clock(minutes: int) -> str:
    """A time of the day, as in 07:30."""
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def cents(rng: Random, low: int, high: int) -> Decimal:
    """A random amount with two decimals; bounds in hundredths."""
    return Decimal(rng.randint(low, high)).scaleb(-2)
