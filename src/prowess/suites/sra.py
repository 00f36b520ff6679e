"""SRA-Bench: questions that need a known skill, from five data sets (arXiv 2604.24594; oneal2000/SR-Agents, MIT).

Each question names the skills that answer it. Their ids tell the data set, so they are never shown: skills are called
by a hash. The data come without the skills' texts. Where the corpus has been downloaded (`sra/corpus.json`) it is used;
else a *stand-in* is made of each skill: four questions of the evidence split with their answers, the first of which
describes it. A stand-in tests retrieval and the harness; it is no substitute for the corpus in figures about answers.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import date, datetime
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Final

from pydantic import BaseModel, TypeAdapter, ValidationError

from prowess.core.errors import UserError
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import File, Split
from prowess.suites.answers import FORM, items, number, numbers, said
from prowess.suites.data import DataSet, broken
from prowess.suites.questions import Downloaded, Question

DATASETS: Final = ("champ", "logicbench", "medcalcbench", "theoremqa", "toolqa")
SPLITS: tuple[Split, ...] = ("evidence", "gate", "test")
STAND_IN = "stand-in"
_EXAMPLES = 4
_QUESTION = 1_200
_FORMS: Final = {
    "champ": "the answer.",
    "logicbench": "yes, no, or the choice, such as choice_2.",
    "medcalcbench": "the number or date alone.",
    "theoremqa": "the number, list, True, False or option alone.",
    "toolqa": "the answer alone.",
}
_CHOICE: Final = re.compile(r"\W*(?:(?:choice|option)?[_ ]?([1-5])\b|(yes|true|no|false)\b(?!\s*\w))")
_OPTION: Final = re.compile(r"\(([a-f])\)|^\W*(?:option\W*)?([a-f])(?=[).:]|\W*$)")
_TOLERANCE = 0.04
"""Of floats in TheoremQA, relative."""


class Record(BaseModel):
    """One question."""

    instance_id: str
    dataset: str
    question: str
    skill_annotations: list[str]
    eval_data: dict[str, Any]

    @property
    def answer(self) -> str:
        return str(self.eval_data.get("answer", "")).strip()

    @property
    def scenario(self) -> str:
        """What the question is about: all but its last paragraph, where it has several."""
        return self.question.rpartition("\n\n")[0] or self.question


class _Text(BaseModel):
    """A skill of the corpus, as upstream writes it."""

    skill_id: str
    name: str = ""
    description: str = ""
    content: str = ""


class SraBench(Downloaded):
    """All five data sets. A family is a skill; the name of a data set stands for all of its families.

    Splits follow a hash of each question, so that they do not know of skills: what is found, loaded and used is counted
    over a data set. To learn skills, take one of the three suites below.
    """

    name = "sra"
    about = "questions of five data sets, with the skills that each needs"
    licence = "MIT; MedCalcBench CC BY-SA 4.0"
    needs = DataSet(
        name="SRA-Bench",
        folder="sra",
        origin="https://github.com/oneal2000/SR-Agents",
        marker="theoremqa.json",
        within=("", "data/bench/instances"),
    )
    datasets: ClassVar[tuple[str, ...]] = DATASETS

    def __init__(self, root: Path | None = None) -> None:
        super().__init__(root)
        self._records = {r.instance_id: r for name in self.datasets for r in _records(self.folder / f"{name}.json")}

    def questions(self) -> tuple[Question, ...]:
        splits = self.splits(tuple(self._records.values()))
        return tuple(_question(self._records[id], split) for id, split in splits.items())

    def splits(self, records: tuple[Record, ...]) -> dict[str, Split]:
        """Which questions are used, and for what."""
        return {r.instance_id: SPLITS[_drawn(r.instance_id) % 3] for r in records}

    def wrong(self, question: Question, outputs: tuple[File, ...], answer: str) -> str:
        return "" if is_right(self._records[question.id], said(answer)) else "the answer is not right"

    def covers(self, family: str) -> bool:
        return family in self.datasets or family in self.families

    def belongs(self, question: Question, family: str) -> bool:
        return family in (question.family, question.meta["dataset"])

    def choice(self) -> str:
        return f"choose a skill's id or one of {', '.join(self.datasets)}"

    def human_skill(self, family: str) -> Skill | None:
        """The benchmark's own skill, where its corpus is there."""
        text = _corpus(self.folder).get(family)
        return None if text is None else _skill(text)

    def library(self) -> Snapshot:
        """All skills that any question needs, and with the corpus all others; stand-ins where a text is missing."""
        texts = _corpus(self.folder)
        evidence: dict[str, list[Record]] = {}
        for question in self.by_id.values():
            record = self._records[question.id]
            for id in record.skill_annotations:
                evidence.setdefault(id, [])
                if question.split == "evidence":
                    evidence[id].append(record)
        made = [_stand_in(id, questions) for id, questions in evidence.items() if id not in texts]
        return Snapshot.of([*(_skill(text) for text in texts.values()), *made])


class _Learnable(SraBench):
    """One data set, to learn on some questions of a skill and be tested on others: each split has its share of each.

    Questions about the same scenario stay together, for they give each other away; skills with few questions are left
    out.
    """

    fewest: ClassVar[int] = 6
    """Questions of a skill."""

    def splits(self, records: tuple[Record, ...]) -> dict[str, Split]:
        scenarios: dict[tuple[str, str], list[str]] = {}
        for r in records:
            scenarios.setdefault((r.skill_annotations[0], r.scenario), []).append(r.instance_id)
        counts: dict[str, Counter[Split]] = {}
        found: dict[str, Split] = {}
        for (skill, _), ids in sorted(scenarios.items(), key=lambda s: (-len(s[1]), _drawn(s[0][1]))):
            count = counts.setdefault(skill, Counter())
            split = min(SPLITS, key=lambda s: count[s])
            count[split] += len(ids)
            found |= dict.fromkeys(ids, split)
        return {
            r.instance_id: found[r.instance_id]
            for r in records
            if counts[r.skill_annotations[0]].total() >= self.fewest
        }


class LogicBench(_Learnable):
    """Nineteen rules of inference, forty questions each (arXiv 2404.15522)."""

    name = "logicbench"
    about = "questions of logic, by rule of inference"
    licence = "MIT"
    datasets = ("logicbench",)


class MedCalcBench(_Learnable):
    """Fifty-five medical calculators, twenty patients each (arXiv 2406.12036)."""

    name = "medcalcbench"
    about = "medical calculators on patients' notes"
    licence = "CC BY-SA 4.0"
    datasets = ("medcalcbench",)


class TheoremQA(_Learnable):
    """Theorems of mathematics, physics, finance and informatics (arXiv 2305.12524)."""

    name = "theoremqa"
    about = "questions of science, by theorem"
    licence = "MIT"
    datasets = ("theoremqa",)


def named(id: str) -> str:
    """The name under which a skill is shown: its id would tell the data set."""
    return f"skill-{sha256(id.encode()).hexdigest()[:8]}"


def is_right(record: Record, answer: str) -> bool:
    """Whether `answer` is the one of the data set, by that set's own kind of comparison."""
    gold, data = record.answer, record.eval_data
    if not answer:
        return False  # one question has no right answer
    match record.dataset:
        case "logicbench":
            return _choice(answer) == _choice(gold)
        case "medcalcbench":
            return _calculated(answer, gold, str(data.get("output_type", "")), data)
        case "theoremqa":
            return _theorem(answer, gold, str(data.get("answer_type", "")))
        case "champ" if numbers(gold):
            return numbers(answer) == numbers(gold)
        case _:
            one, two = _plain(answer), _plain(gold)
            return one == two or (
                not re.search("[a-z]", two) and number(answer) is not None and number(answer) == number(gold)
            )


def _choice(text: str) -> str:
    """`choice_2`, `yes` or `no`, as it begins an answer; else what was said."""
    found = _CHOICE.match(text.casefold())
    if found is None:
        return _plain(text)
    return f"choice_{found[1]}" if found[1] else "yes" if found[2] in ("yes", "true") else "no"


def _calculated(answer: str, gold: str, kind: str, data: dict[str, Any]) -> bool:
    if kind == "date":
        day = _day(gold)
        return _day(answer) == day if day else numbers(answer) == numbers(gold)
    given, wanted = number(answer), number(gold)
    if given is None or wanted is None:
        return False
    if kind == "integer":
        return round(given) == round(wanted)
    low, high = number(str(data.get("lower_limit"))), number(str(data.get("upper_limit")))
    return low is not None and high is not None and min(low, high) <= given <= max(low, high)


def _day(text: str) -> date | None:
    for form in ("%m/%d/%Y", "%Y-%m-%d", "%B %d, %Y"):
        with suppress(ValueError):
            return datetime.strptime(text.strip(" ."), form).date()
    return None


def _theorem(answer: str, gold: str, kind: str) -> bool:
    if kind == "bool":
        return _choice(answer) == _choice(gold)
    if kind == "option":
        return _option(answer) == _option(gold)
    if kind.startswith("list"):
        given, wanted = sorted(items(answer)), sorted(items(gold))
        return len(given) == len(wanted) > 0 and all(map(_close, given, wanted))
    one, two = number(answer), number(gold)
    return one is not None and two is not None and _close(one / 100 if "%" in answer else one, two)


def _close(given: float, wanted: float) -> bool:
    """Whole numbers by rounding, others within four per cent."""
    if wanted.is_integer():
        return round(given) == wanted
    return abs(given - wanted) <= _TOLERANCE * abs(wanted)


def _option(text: str) -> str:
    """The letter of an option: in brackets, or alone."""
    found = _OPTION.search(text.casefold())
    return (found[1] or found[2]) if found else ""


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[^\w.%$:/-]+", " ", text.casefold()).split()).strip(". ")


def _stand_in(id: str, questions: Sequence[Record]) -> Skill:
    examples = [
        f"## Example {i}\n\n{r.question.strip()[:_QUESTION]}\n\nAnswer: {r.answer}\n"
        for i, r in enumerate(questions[:_EXAMPLES], 1)
    ]
    first = " ".join(questions[0].question.split()) if questions else ""
    return Skill(
        name=named(id),
        description=f"Use for questions such as: {first}"[:1024] if first else "A skill without an example.",
        body="# Examples\n\n" + "\n".join(examples),
        metadata={"prowess.made": STAND_IN},
    )


def _skill(text: _Text) -> Skill:
    about = f"{text.name}: {text.description}" if text.name else text.description
    return Skill(
        name=named(text.skill_id), description=" ".join(about.split())[:1024], body=f"{text.content.strip()}\n"
    )


def _question(record: Record, split: Split) -> Question:
    return Question(
        id=record.instance_id,
        family=record.skill_annotations[0],
        split=split,
        prompt=f"{record.question.strip()}\n\n{FORM} {_FORMS[record.dataset]}",
        gold=f"ANSWER: {' '.join(record.answer.split())}",
        meta={
            "dataset": record.dataset,
            "gold": [named(id) for id in record.skill_annotations],
            "question": record.question,
        },
    )


def _drawn(id: str) -> int:
    return int(sha256(id.encode()).hexdigest()[:8], 16)


@lru_cache(maxsize=8)
def _records(path: Path) -> tuple[Record, ...]:
    try:
        found = TypeAdapter(list[Record]).validate_python(json.loads(path.read_bytes()))
    except (OSError, ValueError, ValidationError) as error:
        raise broken(path, error) from None
    odd = [r.instance_id for r in found if not r.skill_annotations or r.dataset != path.stem or "/" in r.instance_id]
    if odd:
        raise broken(path, f"the entry {odd[0]!r} cannot be used")
    return tuple(found)


@lru_cache(maxsize=2)
def _corpus(folder: Path) -> dict[str, _Text]:
    """Skill texts by id from `corpus.json`, a list or one object a line; none when it is not there."""
    path = folder / "corpus.json"
    if not path.is_file():
        return {}
    try:
        text = path.read_text("utf-8")
        rows = json.loads(text) if text.lstrip().startswith("[") else [json.loads(x) for x in text.splitlines() if x]
        texts = TypeAdapter(list[_Text]).validate_python(rows)
    except (OSError, ValueError, ValidationError) as error:
        raise UserError(f"{path} is not the corpus: {error}", "fetch it again, or take it away") from None
    return {t.skill_id: t for t in texts}
