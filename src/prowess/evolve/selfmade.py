"""Tasks that a model makes, with a rubric or a checker program.

Whoever makes a task and judges it can please itself. So these tasks are of a suite of their own whose scores are never
trusted: they may teach, and no verdict, no regression check and no reported figure rests on them.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import cast

from pydantic import JsonValue

from prowess.agents.models.meter import Meter, Metered
from prowess.agents.record import final_message
from prowess.core.base import Frozen, digest
from prowess.core.errors import SandboxError
from prowess.core.skill import Snapshot
from prowess.core.task import Check, File, Score, Task
from prowess.core.text import last_lines
from prowess.evolve.asking import answer, fields, text, texts
from prowess.evolve.prompts import Prompt
from prowess.evolve.protocols import Context, Episode
from prowess.measure.judge import Judge
from prowess.sandbox import Sandbox
from prowess.search.likeness import cosine, lexical
from prowess.suites.selfmade import NAME

CRITERIA = 4
"""Statements of a rubric at most: a task passes when all hold, and a small model's fifth is mostly a repetition."""
REPEATED = 0.95
"""Cosine of the words of two tasks from which they are one."""
CHECKER, ANSWER = ".checker.py", "answer.txt"
"""Where a checker program finds itself and the final message, beside the task's files and those that were written."""


class Made(Frozen):
    """A task as a model writes it, with a rubric, a checker, or both."""

    task: str
    rubric: tuple[str, ...] = ()
    """Statements that are true or false of the work."""
    checker: str = ""
    """A Python program that ends without an error where the work is right."""


def made_schema(checker: bool = False) -> dict[str, JsonValue]:
    """What a model may answer when it is asked for a task: with a rubric, or with a `checker`."""
    if checker:
        return fields(task=text(20, 600), checker=text(20, 1_500))
    return fields(task=text(20, 600), rubric=texts(1, CRITERIA, text(8, 160)))


async def make(
    context: Context, prompt: Prompt, values: dict[str, str], family: str, number: int, like: Task | None = None
) -> Task | None:
    """One task in the words of the model; None where it said nothing usable, which is counted.

    Args:
        context: Its model makes the task.
        prompt: Asks for the task; a `Made` with a rubric is wanted, or with a checker where `like` is given.
        values: What the prompt is filled in with.
        family: What the task belongs to, so that its lessons find their skill.
        number: Tells the tasks of a family apart, and is the seed of the question.
        like: A task of a real suite whose files and outputs the new one shares.
    """

    def task(made: Made) -> Task:
        if len(made.task.split()) < 4:
            raise ValueError("a task needs some words")
        if not made.rubric and not made.checker.strip():
            raise ValueError("a task needs a rubric or a checker")
        meta: dict[str, JsonValue] = {"rubric": list(made.rubric[:CRITERIA]), "checker": made.checker}
        return Task(
            id=f"{NAME}/{family}/{number}",
            suite=NAME,
            family=family,
            split="evidence",
            seed=number,
            prompt=made.task.strip(),
            files=like.files if like else (),
            outputs=like.outputs if like else (),
            meta=meta,
        )

    request = prompt.request(values, seed=context.seed * 1000 + number)
    return await answer(context, "task", request, Made, task, made_schema(like is not None))


@dataclass(frozen=True, slots=True)
class SelfMade:
    """Source: `per_round` tasks a round about each document, made one by one so that each is shown those before it."""

    prompt: Prompt
    """About the `$document`, tasks `$made` so far, and `$advice`."""
    documents: tuple[tuple[str, str], ...]
    """Family and text."""
    per_round: int = 5
    advise: Callable[[Context], Awaitable[str]] | None = None
    """What the maker has learned from how its tasks went."""

    async def tasks(self, round_: int, library: Snapshot, context: Context) -> tuple[Task, ...]:
        advice = await self.advise(context) if self.advise is not None else "none"
        before = [task for task, _ in context.past.episodes]
        found: list[Task] = []
        for family, document in self.documents:
            for number in range(round_ * self.per_round, (round_ + 1) * self.per_round):
                values = {"document": document, "made": listed([*before, *found], family), "advice": advice}
                task = await make(context, self.prompt, values, family, number)
                if task is not None and not _repeated(task, [*before, *found]):
                    found.append(task)
        context.tell("explore", f"{len(found)} tasks made", tasks=len(found))
        return tuple(found)


def listed(tasks: Sequence[Task], family: str) -> str:
    """The tasks of a family that a model made, as lines; the last ones, so that a prompt does not grow for ever."""
    lines = [f"- {task.prompt.splitlines()[0]}" for task in tasks if task.suite == NAME and task.family == family]
    return "\n".join(lines[-8:]) or "none yet"


def _repeated(task: Task, before: Sequence[Task]) -> bool:
    """Whether the maker says what it said before, in nearly the same words."""
    told = [other.prompt for other in before if other.suite == NAME and other.family == task.family]
    rows = lexical([task.prompt, *told])
    return any(cosine(rows[0], row) >= REPEATED for row in rows[1:])


def rubric_of(task: Task) -> tuple[str, ...]:
    """The statements that a task is judged by; none for tasks of a real suite."""
    found = task.meta.get("rubric")
    return tuple(str(one) for one in cast("list[object]", found)) if isinstance(found, list) else ()


@dataclass(frozen=True, slots=True)
class Grader:
    """Verifier: says how well a task was done that a model made, by its checker, else by its rubric."""

    sandbox: Sandbox

    async def score(self, episode: Episode, context: Context) -> Score | None:
        """The judgement, stored with its cost; None where none can be had."""
        checker = str(episode.task.meta.get("checker", ""))
        if checker.strip():
            return await _checked(checker, episode, self.sandbox)
        criteria = rubric_of(episode.task)
        return await judge(episode, criteria, context) if criteria else None


async def judge(episode: Episode, criteria: tuple[str, ...], context: Context) -> Score | None:
    """What the model says of the work, statement by statement; stored, paid once, and never trusted."""
    task, trajectory = episode
    model = Metered(context.model, Meter())
    judging = Judge(model, criteria)
    key = digest([trajectory.id, judging.digest])
    stored = context.store.get("score", key)
    if stored is not None:
        return Score.model_validate_json(stored)
    score = await judging.grade(task, trajectory)
    if score is None:
        context.store.put("unusable", key, b"no judgement", model.spent)
        context.tell("analyse", f"{task.id}: no judgement could be had", unusable=True)
        return None
    context.store.put("score", key, score.model_dump_json().encode(), model.spent)
    return score


async def _checked(checker: str, episode: Episode, sandbox: Sandbox) -> Score | None:
    """What the checker says, unless it lets an empty answer pass too: then it checks nothing, and says nothing."""
    task, trajectory = episode
    try:
        right = await _runs(checker, (*task.files, *trajectory.outputs), final_message(trajectory), sandbox)
        if right == "" and await _runs(checker, task.files, "", sandbox) == "":
            return None
    except SandboxError:
        return None
    check = Check(name="checker", passed=not right, message=right)
    return Score(value=float(not right), passed=not right, checks=(check,), verifier=f"{NAME}:checker", trusted=False)


async def _runs(checker: str, files: Sequence[File], said: str, sandbox: Sandbox) -> str:
    """What is wrong by the checker; empty for nothing."""
    beside = {file.path: file for file in files}
    beside[ANSWER] = File(path=ANSWER, data=said.encode("utf-8", "replace"))
    beside[CHECKER] = File(path=CHECKER, data=checker.encode("utf-8", "replace"))
    result = await sandbox.run(["python", "-B", "-P", "-s", CHECKER], tuple(beside.values()))
    return "" if result.ok else last_lines(result.stderr or result.stdout or "it does not pass", 300)
