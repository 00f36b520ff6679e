"""What tests of parts and recipes share: episodes made by hand, and a place to ask a scripted model."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import anyio
from evolve_parts import SUITE

from prowess.agents.code import CodeAgent
from prowess.agents.models.scripted import Answers, ScriptedModel
from prowess.agents.sandbox import find_sandbox
from prowess.core.lesson import Lesson, Reference
from prowess.core.model import Request
from prowess.core.skill import Skill
from prowess.core.task import Check, Score, Task
from prowess.core.trajectory import Step, Trajectory
from prowess.evolve.prompts import Prompt
from prowess.evolve.protocols import Context, Episode, Event
from prowess.trajectories.runstore import RunStore

T = TypeVar("T")
SUMS = Skill(name="sums", description="Adds up. Use for totals.", body="# Sums\n\nRound half up.\n\nSort by name.\n")
(TASK,) = SUITE.tasks("ledger-totals", "evidence", 1)
GARBAGE = (
    "I would rather not.",
    "{}",
    "[]",
    '{"edits": 3}',
    "null",
    "\ud800",
    "",
    '{"name": "../../etc"}',
    "```json\n{",
)
"""Answers that no question wants."""


def episode(passed: bool | None, number: int = 0, task: Task = TASK, said: str = "a program", **more: Any) -> Episode:
    """One run of `task`; `passed` None for a run that failed from outside."""
    checks = (Check(name="order", passed=bool(passed), message="" if passed else "lines must be ordered"),)
    score = Score(value=float(bool(passed)), passed=bool(passed), checks=checks, verifier="suite", trusted=True)
    values: dict[str, Any] = {
        "steps": (Step(source="user", message="do it"), Step(source="agent", message=said)),
        "score": score if passed is not None else None,
        "status": "missing" if passed is None else "completed",
    }
    run = Trajectory(id=f"t{number}-{passed}", task_id=task.id, agent="code/1", model="m", **(values | more))
    return Episode(task, run)


def lesson(text: str = "Lines are ordered by name.", **more: Any) -> Lesson:
    values: dict[str, Any] = {"kind": "memory", "family": "ledger-totals", "references": (Reference(trajectory="t"),)}
    return Lesson(text=text, **(values | more))


def prompt(user: str) -> Prompt:
    return Prompt("test/question", "You are asked.", user)


class World:
    """A context with a scripted model, and what it was told."""

    def __init__(self, out: Path, answers: Answers | ScriptedModel) -> None:
        self.model = answers if isinstance(answers, ScriptedModel) else ScriptedModel(answers)
        self.events: list[Event] = []
        store = RunStore(out / "run.db")
        agent = CodeAgent(self.model, find_sandbox())
        self.context = Context(SUITE, agent, self.model, store, concurrency=2, report=self.events.append)

    def run(self, part: Callable[[], Awaitable[T]]) -> T:
        async def main() -> T:
            return await part()

        return anyio.run(main)

    @property
    def asked(self) -> list[str]:
        """The last message of every request."""
        return [request.messages[-1].content for request in self.model.requests]

    @property
    def unusable(self) -> int:
        return sum("unusable" in event.data for event in self.events)


def always(answer: Any) -> Callable[[Request], str]:
    """The same answer to everything."""
    return lambda request: answer if isinstance(answer, str) else json.dumps(answer)
