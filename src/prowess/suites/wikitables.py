"""WikiTableQuestions: about tables of Wikipedia (arXiv 1508.00305; ppasupat/WikiTableQuestions, CC BY-SA 4.0).

The splits are the official ones: evidence and gate are training and development part of the first random split, the
test asks about tables that neither has seen. The set has no families; here they follow the wording of a question.

An answer is a set of values, compared like upstream's evaluator 1.0.2 does: texts without case, accents, footnotes and
details in brackets; numbers as numbers; dates field by field. What number or date a right value is was worked out
upstream (`tagged/data`); where those files are missing, plain numbers are read here.
"""

import csv
import io
import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from prowess.core.task import File, Split, Task
from prowess.suites.answers import FORM, said
from prowess.suites.data import DataSet, broken
from prowess.suites.questions import Downloaded, Question

PARTS: Final[tuple[tuple[Split, str], ...]] = (
    ("evidence", "random-split-1-train"),
    ("gate", "random-split-1-dev"),
    ("test", "pristine-unseen-tables"),
)
TAGGED: Final = ("training", "pristine-unseen-tables")
TABLE: Final = "table.csv"
FAMILIES: Final = {
    "difference": r"\b(?:difference|how (?:many|much) (?:\w+ )?(?:more|less|fewer|longer|older))\b",
    "count": r"\b(?:how many|number of|amount of)\b",
    "total": r"\b(?:total|combined|altogether|sum|average|how much|how long)\b",
    "neighbour": r"\b(?:next|after|before|previous|previously|prior|follow\w*|preced\w*|above|below)\b",
    "superlative": r"\b(?:most|least|first|last|best|worst|only|fewest|top|bottom|\w{2,}(?<!inter)est)\b",
    "choice": r"\bor\b",
    "lookup": "",
}
"""What a question asks for, by its words; the first that fits."""
MOST: Final = 1_000
"""Values of an answer that are looked at."""
_VALUE: Final = 500


class Value(NamedTuple):
    """One value of an answer."""

    text: str
    """Normalized."""
    number: float | None = None
    date: tuple[int, int, int] | None = None
    """Year, month and day; -1 for what is not said."""

    def agrees(self, given: "Value") -> bool:
        if self.text == given.text:
            return True
        if self.number is not None and given.number is not None:
            return abs(self.number - given.number) < 1e-6
        return self.date is not None and self.date == given.date


class WikiTableQuestions(Downloaded):
    name = "wikitablequestions"
    about = "questions about tables of Wikipedia"
    licence = "CC BY-SA 4.0"
    needs = DataSet(
        name="WikiTableQuestions",
        folder="wikitablequestions",
        origin="https://github.com/ppasupat/WikiTableQuestions",
        marker="data/pristine-unseen-tables.tsv",
    )

    def __init__(self, root: Path | None = None) -> None:
        super().__init__(root)
        self._gold = _gold(self.folder)

    def questions(self) -> tuple[Question, ...]:
        return _questions(self.folder)

    def task(self, question: Question) -> Task:
        path = self.folder / str(question.meta["table"])
        return super().task(question).model_copy(update={"files": (File(path=TABLE, data=_table(path)),)})

    def wrong(self, question: Question, outputs: tuple[File, ...], answer: str) -> str:
        given = values_of([part[:_VALUE] for part in said(answer).split("|")[:MOST]])
        gold = values_of(*self._gold[question.id])
        if len(given) != len(gold):
            return f"the answer has {len(given)} different values, which is not their number"
        return "" if all(any(g.agrees(v) for v in given) for g in gold) else "the values are not right"


def values_of(texts: Sequence[str], meanings: Sequence[str] = ()) -> set[Value]:
    """The values that are written as `texts`, each once; `meanings` say them as plain numbers and dates."""
    found: dict[object, Value] = {}
    for text, meaning in zip(texts, meanings or texts, strict=True):
        value = _value(text, meaning or text)
        found.setdefault(value.number if value.number is not None else value.date or value.text, value)
    return set(found.values())


def _value(text: str, meaning: str) -> Value:
    if (amount := _number(meaning)) is not None:
        return Value(normal(text), amount)
    date = _date(meaning)
    if date is not None and date[1:] == (-1, -1):
        return Value(normal(text), float(date[0]))
    return Value(normal(text), None, date)


def normal(text: str) -> str:
    """A text without what does not count: accents, case, footnotes, details in brackets, quotes, a full stop."""
    text = "".join(c for c in unicodedata.normalize("NFKD", text) if unicodedata.category(c) != "Mn")
    text = re.sub("[‘’´`]", "'", text)
    text = re.sub("[“”]", '"', text)
    text = re.sub("[‐‑‒–—−]", "-", text)
    while True:
        before = text
        text = re.sub(r"(?:(?<!^)\[[^\]]*\]|\[\d+\]|[•♦†‡*#+])*$", "", text.strip())
        text = re.sub(r"(?<!^)(?: \([^)]*\))*$", "", text.strip())
        text = re.sub(r'^"([^"]*)"$', r"\1", text.strip())
        if text == before:
            return " ".join(text.removesuffix(".").split()).lower()


def _number(text: str) -> float | None:
    try:
        amount = float(text)
    except ValueError:
        return None
    if not math.isfinite(amount):
        return None
    return float(round(amount)) if abs(amount - round(amount)) < 1e-6 else amount


def _date(text: str) -> tuple[int, int, int] | None:
    parts = re.fullmatch(r"(\d{1,4}|xx|xxxx)-(\d{1,2}|xx)-(\d{1,2}|xx)", text.strip().lower())
    if parts is None:
        return None
    year, month, day = (-1 if "x" in part else int(part) for part in parts.groups())
    if (year, month, day) == (-1, -1, -1) or not (month == -1 or 1 <= month <= 12) or not (day == -1 or 1 <= day <= 31):
        return None
    return year, month, day


def _meaning(text: str) -> str:
    """A right value as a plain number, where its file of meanings is missing."""
    clean = text.strip().lstrip("$€£").rstrip("%").strip()
    return clean.replace(",", "") if re.fullmatch(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?|-?\d+(?:\.\d+)?", clean) else text


def _family(question: str) -> str:
    return next(family for family, words in FAMILIES.items() if re.search(words, question.lower()))


@lru_cache(maxsize=4)
def _questions(folder: Path) -> tuple[Question, ...]:
    return tuple(
        Question(
            id=row["id"],
            family=_family(row["utterance"]),
            split=split,
            prompt=f"{_plain(row['utterance'])}\n\nThe table is `{TABLE}`, with its head in the first line. "
            f"{FORM} the value as the table writes it, a number or a date as yyyy-mm-dd; several are parted by |.",
            gold="ANSWER: " + " | ".join(" ".join(_plain(v).split()) for v in row["targetValue"].split("|")),
            meta={"table": row["context"]},
        )
        for split, part in PARTS
        for row in _rows(folder / "data" / f"{part}.tsv", "id", "utterance", "context", "targetValue")
    )


@lru_cache(maxsize=4)
def _gold(folder: Path) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """By question: the right values as they are written, and what they mean."""
    found: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
    for _, part in PARTS:
        for row in _rows(folder / "data" / f"{part}.tsv", "id", "targetValue"):
            texts = tuple(_plain(v) for v in row["targetValue"].split("|"))
            found[row["id"]] = texts, tuple(_meaning(text) for text in texts)
    for part in TAGGED:
        path = folder / "tagged" / "data" / f"{part}.tagged"
        if path.is_file():
            for row in _rows(path, "id", "targetValue", "targetCanon"):
                texts = tuple(_plain(v) for v in row["targetValue"].split("|"))
                found[row["id"]] = texts, tuple(_plain(v) for v in row["targetCanon"].split("|"))
    return found


def _rows(path: Path, *wanted: str) -> Iterator[dict[str, str]]:
    try:
        head, *lines = path.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise broken(path, error) from None
    names = head.split("\t")
    if not set(wanted) <= set(names):
        raise broken(path, f"its columns are not {', '.join(wanted)}")
    for i, line in enumerate(lines, 2):
        cells = line.split("\t")
        if line and len(cells) != len(names):
            raise broken(path, f"line {i} has {len(cells)} cells")
        if line:
            yield dict(zip(names, cells, strict=True))


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", lambda m: {"n": "\n", "p": "|"}.get(m[1], m[1]), text)


@lru_cache(maxsize=64)
def _table(path: Path) -> bytes:
    """A table as everyone reads CSV: upstream escapes quotes with a backslash."""
    try:
        rows = list(csv.reader(io.StringIO(path.read_text("utf-8")), escapechar="\\", doublequote=False))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise broken(path, error) from None
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
