"""SRA-Bench: questions that need a known skill, from five data sets (arXiv 2604.24594; oneal2000/SR-Agents, MIT).

Each question names the skills that answer it. Their ids tell the data set, so they are never shown: skills are called
by a hash. The data come without the skills' texts. Where the corpus has been downloaded (`sra/corpus.json`) it is used;
else a *stand-in* is made of each skill: four questions of the evidence split with their answers, the first of which
describes it. A stand-in tests retrieval and the harness; it is no substitute for the corpus in figures about answers.
"""

import json
import math
import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter, ValidationError

from prowess.core.errors import UserError
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import Check, File, Score, Split, Task

DATA = Path("../shared/data")
DATASETS: Final = ("champ", "logicbench", "medcalcbench", "theoremqa", "toolqa")
SPLITS: tuple[Split, ...] = ("evidence", "gate", "test")
STAND_IN = "stand-in"
_EXAMPLES = 4
_QUESTION = 1_200
_FORMS: Final = {
    "champ": "End with a line ANSWER: and the answer.",
    "logicbench": "End with a line ANSWER: and yes, no, or the choice, such as choice_2.",
    "medcalcbench": "End with a line ANSWER: and the number or date alone.",
    "theoremqa": "End with a line ANSWER: and the number, list, True, False or option alone.",
    "toolqa": "End with a line ANSWER: and the answer alone.",
}
_ANSWER = re.compile(r"ANSWER[\s:*`]{0,6}(.+)", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d[\d,]*\.?\d*(?:[eE][+-]?\d+)?|-?\.\d+")
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
    def split(self) -> Split:
        return SPLITS[int(sha256(self.instance_id.encode()).hexdigest()[:8], 16) % 3]

    @property
    def answer(self) -> str:
        return str(self.eval_data.get("answer", "")).strip()


class _Text(BaseModel):
    """A skill of the corpus, as upstream writes it."""

    skill_id: str
    name: str = ""
    description: str = ""
    content: str = ""


class SraBench:
    """The data sets under `<root>/sra`. A family is a skill; the name of a data set stands for all of its families.

    Raises:
        UserError: the data are not there or are not what they should be.
    """

    name = "sra"

    def __init__(self, root: Path = DATA) -> None:
        self._folder = root / "sra"
        self._records = {r.instance_id: r for r in _records(self._folder)}

    @property
    def families(self) -> tuple[str, ...]:
        return tuple(sorted({r.skill_annotations[0] for r in self._records.values()}))

    def variants(self, family: str) -> tuple[str, ...]:
        return ("base",)

    def tasks(self, family: str, split: Split, n: int, variant: str = "base", start: int = 0) -> tuple[Task, ...]:
        """Questions number `start` to `start + n - 1` of a skill or a data set, fewer where there are no more.

        Raises:
            UserError: no such family or variant.
        """
        if variant != "base" or not (family in DATASETS or family in self.families):
            raise UserError(
                f"sra has no {family!r} of variant {variant!r}", f"choose a skill's id or one of {', '.join(DATASETS)}"
            )
        mine = [r for r in self._records.values() if r.split == split and family in (r.dataset, r.skill_annotations[0])]
        return tuple(self._task(r) for r in mine[start : start + n])

    def check(self, task: Task, outputs: tuple[File, ...], answer: str = "") -> Score:
        """Compare the last `ANSWER:` line, or the last line, with the answer; files are not looked at."""
        record = self._records.get(task.id.rpartition("/")[2])
        if record is None:
            raise UserError(f"sra has no task {task.id!r}", "use the data that the task came from")
        right = is_right(record, said(answer))
        message = "" if right else "the answer is not right"
        return Score(
            value=float(right),
            passed=right,
            checks=(Check(name="answer", passed=right, message=message),),
            verifier=f"suite:{self.name}",
            trusted=True,
        )

    def oracle(self, task: Task) -> tuple[File, ...] | None:
        return None

    def human_skill(self, family: str) -> Skill | None:
        """The benchmark's own skill, where its corpus is there."""
        skill = self.library().get(named(family))
        return None if skill is None or STAND_IN in skill.metadata.values() else skill

    def library(self) -> Snapshot:
        """All skills that any question needs, and with the corpus all others; stand-ins where a text is missing."""
        texts = _corpus(self._folder)
        evidence: dict[str, list[Record]] = {}
        for record in self._records.values():
            for id in record.skill_annotations:
                evidence.setdefault(id, [])
                if record.split == "evidence":
                    evidence[id].append(record)
        made = [_stand_in(id, questions) for id, questions in evidence.items() if id not in texts]
        return Snapshot.of([*(_skill(text) for text in texts.values()), *made])

    def _task(self, record: Record) -> Task:
        gold = [named(id) for id in record.skill_annotations]
        return Task(
            id=f"{record.skill_annotations[0]}/base/{record.instance_id}",
            suite=self.name,
            family=record.skill_annotations[0],
            split=record.split,
            seed=0,
            prompt=f"{record.question.strip()}\n\n{_FORMS[record.dataset]}",
            meta={"dataset": record.dataset, "gold": list(gold), "question": record.question},
        )


def named(id: str) -> str:
    """The name under which a skill is shown: its id would tell the data set."""
    return f"skill-{sha256(id.encode()).hexdigest()[:8]}"


def said(text: str) -> str:
    """The answer in a message: after the last `ANSWER:`, else its last line."""
    found = _ANSWER.findall(text)
    lines = found or [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip("*`. \t") if lines else ""


def is_right(record: Record, answer: str) -> bool:
    """Whether `answer` is the one of the data set, by that set's own kind of comparison."""
    gold, data = record.answer, record.eval_data
    if record.dataset == "medcalcbench":
        low, high = _number(data.get("lower_limit")), _number(data.get("upper_limit"))
        if data.get("output_type") == "date" or low is None or high is None:
            return _numbers(answer) == _numbers(gold)
        given = _number(answer)
        return given is not None and min(low, high) <= given <= max(low, high)
    if record.dataset == "theoremqa":
        return _theorem(answer, gold, str(data.get("answer_type", "")))
    if record.dataset == "champ" and _numbers(gold):
        return _numbers(answer) == _numbers(gold)
    one, two = _plain(answer), _plain(gold)
    return one == two or (
        _number(answer) is not None and _number(answer) == _number(gold) and not re.search("[a-z]", two)
    )


def _theorem(answer: str, gold: str, kind: str) -> bool:
    if kind == "bool":
        return _plain(answer) in ({"true", "yes", "1"} if _plain(gold) == "true" else {"false", "no", "0"})
    if kind == "option":
        return re.sub(r"\W", "", answer.casefold()) == re.sub(r"\W", "", gold.casefold())
    given, wanted = _numbers(answer), _numbers(gold)
    if kind == "float":
        return bool(given) and bool(wanted) and abs(given[-1] - wanted[-1]) <= _TOLERANCE * abs(wanted[-1])
    if kind == "integer":
        return bool(given) and bool(wanted) and given[-1] == wanted[-1]
    return len(given) == len(wanted) > 0 and all(
        abs(a - b) <= _TOLERANCE * abs(b) for a, b in zip(given, wanted, strict=True)
    )


def _numbers(text: str) -> list[float]:
    found = [_number(part) for part in _NUMBER.findall(text.replace("−", "-"))]
    return [value for value in found if value is not None]


def _number(value: object) -> float | None:
    """The number that a text is, with signs of money, percent and thousands; None when it is none."""
    try:
        number = float(str(value).strip().strip("$%€ ").replace(",", ""))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


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


@lru_cache(maxsize=4)
def _records(folder: Path) -> tuple[Record, ...]:
    found: list[Record] = []
    for name in DATASETS:
        path = folder / f"{name}.json"
        try:
            found += TypeAdapter(list[Record]).validate_python(json.loads(path.read_bytes()))
        except OSError:
            raise UserError(
                f"SRA-Bench is not at {folder}", "download it and give the folder that holds `sra/` as root"
            ) from None
        except (ValueError, ValidationError) as error:
            raise UserError(f"{path} is not the data set: {error}", "fetch the data set again") from None
    odd = [r.instance_id for r in found if not r.skill_annotations or r.dataset not in DATASETS or "/" in r.instance_id]
    if odd:
        raise UserError(f"{folder} has an entry {odd[0]!r} that cannot be used", "fetch the data set again")
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
