"""What tests of parts and recipes share: episodes made by hand, and a place to ask a scripted model."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import anyio
from evolve_parts import SUITE, by_another_office, fenced, right, run, task_in

from prowess.agents.code import CodeAgent
from prowess.agents.models.scripted import Answers, ScriptedModel
from prowess.core.cost import Cost
from prowess.core.lesson import Lesson, Reference
from prowess.core.model import Request, Response
from prowess.core.patch import CreateSkill, Patch
from prowess.core.skill import Skill
from prowess.core.task import Check, Score, Task
from prowess.core.trajectory import Step, Trajectory
from prowess.evolve.drafting import Draft, skill_of
from prowess.evolve.prompts import Prompt, prompts
from prowess.evolve.protocols import Context, Episode, Event
from prowess.evolve.record import RunRecord
from prowess.evolve.run import Plan
from prowess.library import Library
from prowess.sandbox import find_sandbox
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


@dataclass
class Played:
    """An office worker and an analyst, played: what agent and recipe ask, answered without a model.

    A task is done right where a skill in the prompt holds `rule`, or the search has drawn its third program, and by
    another office's rules everywhere else. A question of the recipe is answered by `says`: by name, what to answer, or
    how. What the answers say is the script's; what becomes of them is what tests are about.
    """

    recipe: str
    says: dict[str, Any]
    rule: str = "by the rules of this house"
    families: tuple[str, ...] = ("ledger-totals",)
    name: str = "scripted:played"
    asked: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Questions of the recipe, by name, each with its last message."""

    async def complete(self, request: Request) -> Response:
        question = self._question(request)
        if question is None:
            text = fenced(self._program(request))
        else:
            told = request.messages[-1].content
            self.asked.append((question, told))
            answer = self.says[question]
            answer = answer(told) if callable(answer) else answer
            text = answer if isinstance(answer, str) else json.dumps(answer)
        return Response(text=text, model=self.name, cost=Cost(calls=1, prompt_tokens=10, completion_tokens=10))

    def questions(self, name: str) -> list[str]:
        """What was asked under a name."""
        return [told for question, told in self.asked if question == name]

    def _question(self, request: Request) -> str | None:
        known = prompts("common") | prompts(self.recipe.partition(".")[0])
        return next((q for q, p in known.items() if p.system == request.messages[0].content), None)

    def _program(self, request: Request) -> str:
        task = task_in(request, self.families)
        sampled = request.temperature > 0 and request.seed % 3 == 0
        return right(task) if sampled or self.rule in request.messages[0].content else by_another_office(task)


RULE = "Do every line by the rules of this house."
DRAFTED: dict[str, Any] = {
    "name": "ledger-totals",
    "description": SUITE.human_skill("ledger-totals").description,
    "steps": [RULE],
    "code": "",
    "pitfalls": [],
}
"""A skill that helps, as a model would draft it."""
USELESS = DRAFTED | {"steps": ["Do it well, with care."]}
LEARNED = {"cause": "it went by other rules", "blame": "skill", "lesson": RULE}
SOME = Plan("none", families=("ledger-totals",), evidence=4, gate=6, test=1, samples=3, human=False, calibrate=False)
"""A plan for most recipes."""
FEW = replace(SOME, evidence=2, gate=6, test=1)


def learned(recipe: str, out: Path, model: Played, plan: Plan = SOME, **more: Any) -> RunRecord:
    """`recipe` run to its end."""
    return run(replace(plan, recipe=recipe, **more), model, out)


def garbled(
    recipe: str,
    out: Path,
    good: dict[str, Any],
    plan: Plan = FEW,
    start: dict[str, Any] | None = None,
    model: type[Played] = Played,
) -> None:
    """Every question answered with garbage in turn, and then all of them: the run ends, and learns nothing by it."""
    for number, question in enumerate((*good, None)):
        garbage = {q: GARBAGE[(number + i) % len(GARBAGE)] for i, q in enumerate(good)}
        says = garbage if question is None else good | {question: garbage[question]}
        library = seeded(out / str(number) / "library", start) if start else None
        record = run(replace(plan, recipe=recipe), model(recipe, says), out / str(number), library)
        assert all(decision.verdicts for decision in record.decisions)
        if question is None:
            assert not [d for d in record.decisions if d.accepted and d.patch.author == recipe], record.decisions


def edited(text: str, line: int = 3) -> dict[str, Any]:
    """The answer to a question for edits: one line more."""
    return {"edits": [{"action": "add", "line": line, "text": text}]}


def seeded(path: Path, draft: dict[str, Any]) -> Library:
    """A library that holds one skill of ours."""
    library = Library.open(path, create=True)
    skill = skill_of(Draft.model_validate(draft))
    base = library.snapshot().digest
    library.apply(Patch(base=base, operations=(CreateSkill(skill=skill),), reason="was there before", author="test"))
    return library
