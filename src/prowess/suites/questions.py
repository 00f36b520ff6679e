"""Suites of questions: finite sets with right answers, where the answer is a message, or what a program prints."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from pydantic import JsonValue

from prowess.core.errors import UserError
from prowess.core.skill import Skill
from prowess.core.task import Check, File, Score, Split, Task
from prowess.suites.data import DataSet
from prowess.suites.worlds.skills import written

ANSWER = "answer.txt"
"""What an oracle hands in, whose message is lost."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question of a set."""

    id: str
    """Without a slash; unique in its set."""
    family: str
    split: Split
    prompt: str
    gold: str
    """A message that is right."""
    meta: dict[str, JsonValue] = field(default_factory=dict[str, JsonValue])


class Questions(ABC):
    """What such suites have in common. A set says what it has, and whether an answer is right."""

    name: ClassVar[str]
    about: ClassVar[str]
    """What it is, in a few words."""
    licence: ClassVar[str]
    """Of the data."""

    @abstractmethod
    def questions(self) -> Iterable[Question]:
        """All of them, always in the same order. Asked for once."""

    @abstractmethod
    def wrong(self, question: Question, outputs: tuple[File, ...], answer: str) -> str:
        """What is wrong with an answer, without giving the right one away; empty where it is right."""

    @property
    def source(self) -> str:
        """The package that judges, as `Task.source` has it; none where prompt and files hold all that matters."""
        return ""

    @cached_property
    def by_id(self) -> dict[str, Question]:
        return {q.id: q for q in self.questions()}

    @cached_property
    def families(self) -> tuple[str, ...]:
        return tuple(sorted({q.family for q in self.by_id.values()}))

    def variants(self, family: str) -> tuple[str, ...]:
        return ("base",)

    def tasks(self, family: str, split: Split, n: int, variant: str = "base", start: int = 0) -> tuple[Task, ...]:
        """Questions number `start` to `start + n - 1`, fewer where there are no more.

        Raises:
            UserError: no such family or variant, or a negative number.
        """
        if variant != "base" or not self.covers(family):
            raise UserError(f"{self.name} has no {family!r} of variant {variant!r}", self.choice())
        if start < 0 or n < 0:
            raise UserError(f"tasks {start} to {start + n - 1} cannot be drawn", "give start and n of zero or more")
        chosen = [q for q in self.by_id.values() if q.split == split and self.belongs(q, family)]
        return tuple(self.task(q) for q in chosen[start : start + n])

    def covers(self, family: str) -> bool:
        """Whether `tasks` knows the family."""
        return family in self.families

    def belongs(self, question: Question, family: str) -> bool:
        return question.family == family

    def choice(self) -> str:
        return f"choose one of {', '.join(self.families[:30])}"

    def task(self, question: Question) -> Task:
        """The question as it is put to an agent."""
        return Task(
            id=f"{question.family}/base/{question.id}",
            suite=self.name,
            family=question.family,
            split=question.split,
            seed=0,
            prompt=question.prompt,
            source=self.source,
            meta=question.meta,
        )

    def check(self, task: Task, outputs: tuple[File, ...], answer: str = "") -> Score:
        """Judge the message, or the file `answer.txt` where there is none."""
        said = answer or next((file.text for file in outputs if file.path == ANSWER), "")
        message = self.wrong(self.asked(task), outputs, said)
        return Score(
            value=0.0 if message else 1.0,
            passed=not message,
            checks=(Check(name="answer", passed=not message, message=message),),
            verifier=f"suite:{self.name}",
            trusted=True,
        )

    def oracle(self, task: Task) -> tuple[File, ...]:
        return (File(path=ANSWER, data=self.asked(task).gold.encode()),)

    def human_skill(self, family: str) -> Skill | None:
        return written(self.name, family)

    def asked(self, task: Task) -> Question:
        question = self.by_id.get(task.id.rpartition("/")[2])
        if task.suite != self.name or question is None:
            raise UserError(f"{self.name} has no task {task.id!r}", "use the data that the task came from")
        return question


class Downloaded(Questions):
    """Questions read from a data set.

    Raises:
        UserError: the data are not there.
    """

    needs: ClassVar[DataSet]

    def __init__(self, root: Path | None = None) -> None:
        self.folder = self.needs.find(root)
