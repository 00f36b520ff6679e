"""GSM8K: word problems of school arithmetic in two to eight steps (arXiv 2110.14168; openai/grade-school-math, MIT).

A family is the number of steps that the worked answer calculates, so that it can be seen for which length a skill
holds. Evidence and gate are halves of the official training set, the test is the official one.
"""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ValidationError

from prowess.core.task import File, Split
from prowess.suites.answers import FORM, number, said
from prowess.suites.data import DataSet, broken
from prowess.suites.questions import Downloaded, Question

TESTS: Final = ("test.jsonl", "test-first-700.jsonl")
"""The official test, or the part of it that is here."""
LONG: Final = 7
"""Steps from which problems are one family."""
TOLERANCE: Final = 1e-6
"""Relative: all answers are whole numbers, but a program may print 17.999999999999996."""


class Record(BaseModel):
    """One line of the data."""

    question: str
    answer: str
    """The working, with calculations in `<<...>>`, and the number after `####`."""


class Gsm8k(Downloaded):
    name = "gsm8k"
    about = "word problems of school arithmetic"
    licence = "MIT"
    needs = DataSet(
        name="GSM8K",
        folder="gsm8k",
        origin="https://github.com/openai/grade-school-math",
        marker="train.jsonl",
        within=("", "grade_school_math/data"),
    )

    def questions(self) -> tuple[Question, ...]:
        return _questions(self.folder)

    def wrong(self, question: Question, outputs: tuple[File, ...], answer: str) -> str:
        given, gold = number(said(answer)), number(said(question.gold))
        if given is None:
            return "the answer states no number, or several"
        right = gold is not None and abs(given - gold) <= TOLERANCE * max(abs(gold), 1)
        return "" if right else "the number is not right"


@lru_cache(maxsize=4)
def _questions(folder: Path) -> tuple[Question, ...]:
    test = next((name for name in TESTS if (folder / name).is_file()), TESTS[0])
    return (*_read(folder / "train.jsonl"), *_read(folder / test))


def _read(path: Path) -> Iterator[Question]:
    kind = path.stem.partition("-")[0]
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise broken(path, error) from None
    for i, line in enumerate(lines):
        try:
            record = Record.model_validate(json.loads(line))
        except (ValueError, ValidationError) as error:
            raise broken(path, f"line {i + 1}: {error}") from None
        working, mark, gold = record.answer.rpartition("####")
        if not mark or number(gold) is None:
            raise broken(path, f"line {i + 1} names no number after ####")
        yield Question(
            id=f"{kind}-{i}",
            family=_family(working),
            split="test" if kind == "test" else _half(record.question),
            prompt=f"{record.question.strip()}\n\n{FORM} the number alone.",
            gold=f"ANSWER: {gold.strip()}",
        )


def _family(working: str) -> str:
    steps = max(len(re.findall("<<", working)), 1)
    return f"steps-{steps}" if steps < LONG else f"steps-{LONG}-up"


def _half(question: str) -> Split:
    return "gate" if int(sha256(question.encode()).hexdigest()[:8], 16) % 2 else "evidence"
