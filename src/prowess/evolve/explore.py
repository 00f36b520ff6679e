"""Exploration: search for one program that passes a failed task, by small steps that the checks confirm.

This is the error analyst of Trace2Skill (2603.25158, §3.2), which proves its diagnosis by a fix that passes the
evaluator, made small enough for a 1.5B model. Asked for a whole program under five rules, such a model writes the same
wrong one again and again; asked to change a program so that it meets *one* requirement, it often can. So the search
keeps the best program so far, asks for one change at a time, named by one failing check, and keeps what passes more
checks. Between changes it writes afresh from all the rules that the checks have named, after one worked example of
another trade that shows how rules become lines of code; without it the model leaves rules out (docs/decisions/0081).
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from prowess.agents.code import END_OF_PROGRAM, messages_for, problem_of, run_program
from prowess.agents.preview import preview
from prowess.agents.prompting import cut, extract_program
from prowess.agents.sandbox import Sandbox
from prowess.core.base import digest
from prowess.core.cost import total
from prowess.core.errors import BoundaryError, ModelError
from prowess.core.lesson import Lesson, Reference
from prowess.core.model import Message, Request
from prowess.core.skill import Snapshot
from prowess.core.task import Score, Task
from prowess.core.trajectory import Observation, Step, Trajectory
from prowess.core.view import View
from prowess.evolve.parts import Context, Episode

FAILURES = 3
"""Failures of model or sandbox that end a search: what is down will not come back for the next sample."""
SYSTEM = "You are a careful Python programmer. Answer with the whole program in one ```python block and nothing else."
_RULES = TypeAdapter(list[tuple[str, str, int]])
EXAMPLE = (
    """`loans_may.csv` lists the books that a library lent. Count the days per `reader` and write one line per \
reader to `fines_may.csv`.

Rules, each of which the program must follow:
- rows whose kind is STAFF must not be counted; all others are
- days above 30 count double
- the first line must be exactly 'reader|days|fine'
- fields must be separated by pipes ('|')
- the fine is 0.15 per day, written with three decimals and a comma instead of the decimal point
- lines must be ordered by days, largest first; equal days by reader

Files:
loans_may.csv:
kind,reader,taken,days
GUEST,R17,2024-05-02,12
STAFF,R20,2024-05-02,41""",
    """```python
import csv

totals = {}
for row in csv.DictReader(open("loans_may.csv", encoding="utf-8")):
    # rows whose kind is STAFF must not be counted
    if row["kind"] == "STAFF":
        continue
    days = int(row["days"])
    # days above 30 count double
    if days > 30:
        days += days - 30
    totals[row["reader"]] = totals.get(row["reader"], 0) + days

# ordered by days, largest first; equal days by reader
lines = sorted(totals.items(), key=lambda item: (-item[1], item[0]))

with open("fines_may.csv", "w", encoding="utf-8") as out:
    # the first line, fields separated by pipes
    out.write("reader|days|fine\\n")
    for reader, days in lines:
        # the fine is 0.15 per day, written with three decimals and a comma instead of the decimal point
        fine = f"{days * 0.15:.3f}".replace(".", ",")
        out.write(f"{reader}|{days}|{fine}\\n")
```""",
)
"""A task of no suite with its program: what a small model needs to see before it turns rules into code."""
_MENDED = '.replace(".", ",")'
EXAMPLE_CHANGE = (
    EXAMPLE[1].replace(_MENDED, "")
    + """

Its output begins:
reader|days|fine
R17|34|5.100

Requirement: the fine is written with three decimals and a comma instead of the decimal point
The output does not meet it. Change the program so that it does and keep everything else.""",
    EXAMPLE[1],
)
"""The same task once more: a program that misses one requirement, and the one that meets it."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A program and what the checks say of it."""

    program: str
    score: Score
    problem: str | None
    """Why it did not run to its end; None when it did."""
    output: str
    """The first lines of what it wrote."""

    @property
    def fitness(self) -> tuple[float, float]:
        """A program that runs is better than one that does not, then the share of checks passed."""
        return (0.0 if self.problem else 1.0, self.score.value)


@dataclass(frozen=True, slots=True)
class Explore:
    """Analyst: searches a passing program for failed tasks, one family after the other.

    Gives a `program` lesson for each program found, and a `cause` lesson for each rule that its search met. A family
    ends with its first `programs` programs; the tasks after that are left for the gate.
    """

    sandbox: Sandbox
    samples: int = 16
    """Programs sampled per task at most."""
    programs: int = 1
    """Programs wanted per family."""
    temperature: float = 0.8
    max_tokens: int = 500

    async def lessons(self, episodes: Sequence[Episode], library: Snapshot, context: Context) -> tuple[Lesson, ...]:
        found: list[Lesson] = []
        passed: dict[str, int] = {}
        for task, trajectory in episodes:
            if passed.get(task.family, 0) >= self.programs or trajectory.status == "missing":
                continue
            try:
                search = await self._search(task, trajectory, library, context)
            except BoundaryError as error:
                context.tell("explore", f"{task.id}: not searched, {error}", task=task.id, missing=True)
                continue
            lessons = _lessons(task, search, trajectory)
            passed[task.family] = passed.get(task.family, 0) + bool(search.passed)
            found += lessons
        return tuple(found)

    async def _search(self, task: Task, start: Trajectory, library: Snapshot, context: Context) -> Trajectory:
        settings = [self.samples, self.temperature, self.max_tokens, SYSTEM, EXAMPLE, EXAMPLE_CHANGE]
        key = digest(["explore/1", task.digest, start.id, context.model.name, context.seed, settings])
        stored = context.store.get("exploration", key)
        if stored is not None:
            return Trajectory.model_validate_json(stored)
        search = _Search(self, task, context, random.Random(f"{context.seed}/{task.id}"))
        trajectory = await search.run(start, key, library)
        if search.failures and not trajectory.passed:
            # a search that lacked answers says little; the next sitting makes it again, with the answers that it had
            raise ModelError(f"{search.failures} of its programs could not be had: {search.said}", retryable=True)
        context.store.put("exploration", key, trajectory.model_dump_json().encode(), trajectory.cost)
        return trajectory


@dataclass(slots=True)
class _Search:
    """The state of one search."""

    settings: Explore
    task: Task
    context: Context
    draw: random.Random
    steps: list[Step] = field(default_factory=list[Step])
    rules: dict[str, tuple[str, int]] = field(default_factory=dict[str, tuple[str, int]])
    """Name of each rule that a program broke, with its words and the step that showed it."""
    seen: dict[str, Tried] = field(default_factory=dict[str, Tried])
    failures: int = 0
    """Programs that could not be had, since the model or the sandbox failed."""
    said: str = ""
    """What failed last."""

    async def run(self, start: Trajectory, key: str, library: Snapshot) -> Trajectory:
        best = await self._start(start)
        sample = 0
        while not best.score.passed and sample < self.settings.samples and self.failures < FAILURES:
            sample += 1
            # with several rules broken, writing anew by all that are known gets further than mending one by one
            fresh = best.problem is not None or len(best.score.failures) > 2 or sample % 2 == 0
            prompt = self._fresh() if fresh else self._change(best)
            tried = await self._sample(prompt, sample)
            if tried is not None and tried.fitness > best.fitness:
                best = tried
            self.context.tell(
                "explore",
                f"{self.task.id}: program {sample} of at most {self.settings.samples}, {_state(best.score)}",
                task=self.task.id,
                sample=sample,
                value=best.score.value,
            )
        return Trajectory(
            id=key,
            task_id=self.task.id,
            agent="explore/1",
            model=self.context.model.name,
            seed=self.context.seed,
            snapshot=library.digest,
            steps=tuple(self.steps),
            score=best.score,
            cost=total([step.cost for step in self.steps if step.cost]),
            extra={
                "program": best.program,
                "rules": [[name, rule, step] for name, (rule, step) in self.rules.items()],
            },
        )

    async def _start(self, start: Trajectory) -> Tried:
        """The failed trajectory's last program, or an empty one."""
        for step in reversed(start.steps):
            program = extract_program(step.message) if step.source == "agent" else None
            if program is not None:
                return await self._try(program)
        return await self._try("pass\n")

    def _fresh(self) -> tuple[Message, ...]:
        """The worked example, then the task with every rule that is known by now."""
        system, user = messages_for(self.task, View(snapshot=Snapshot().digest))
        told = user.content
        if self.rules:
            rules = "\n".join(f"- {rule}" for rule, _ in self.rules.values())
            prompt, files, looks = told.partition("\nFiles:\n")
            told = f"{prompt}\n\nRules, each of which the program must follow:\n{rules}\n{files}{looks}"
        return (
            system,
            Message(role="user", content=EXAMPLE[0]),
            Message(role="assistant", content=EXAMPLE[1]),
            Message(role="user", content=told),
        )

    def _change(self, best: Tried) -> tuple[Message, ...]:
        """One requirement, the program, and nothing else: the shortest prompt that a small model can act on."""
        check = self.draw.choice(best.score.failures)
        told = (
            f"```python\n{best.program}```\n\nIts output begins:\n{best.output}\n\nRequirement: {check.message}\n"
            "The output does not meet it. Change the program so that it does and keep everything else."
        )
        return (
            Message(role="system", content=SYSTEM),
            Message(role="user", content=EXAMPLE_CHANGE[0]),
            Message(role="assistant", content=EXAMPLE_CHANGE[1]),
            Message(role="user", content=told),
        )

    async def _sample(self, messages: tuple[Message, ...], sample: int) -> Tried | None:
        request = Request(
            messages=messages,
            max_tokens=self.settings.max_tokens,
            temperature=self.settings.temperature,
            seed=self.context.seed * 1000 + sample,
            stop=(END_OF_PROGRAM,),
        )
        try:
            response = await self.context.model.complete(request)
            program = extract_program(response.text)
            tried = await self._try(program) if program is not None else None
        except BoundaryError as error:
            self.failures, self.said = self.failures + 1, str(error)
            self.steps.append(Step(source="system", message=f"nothing came back: {error}"))
            return None
        said = _said(tried) if tried is not None else "the answer held no program"
        self.steps += [
            Step(source="user", message=messages[-1].content),
            Step(
                source="agent",
                message=response.text,
                observations=(Observation(content=said, is_error=tried is None or not tried.score.passed),),
                model=response.model,
                cost=response.cost,
            ),
        ]
        return tried

    async def _try(self, program: str) -> Tried:
        if program not in self.seen:
            result = await run_program(program, self.task, self.settings.sandbox)
            score = self.context.suite.check(self.task, result.files, result.stdout.strip())
            looks = preview(tuple(f for f in result.files if f.path in self.task.outputs), 240)
            tried = Tried(
                program, score, problem_of(self.task, result), looks or cut(result.stdout, 240, keep_end=False)
            )
            self.seen[program] = tried
            if tried.problem is None:
                for check in score.failures:
                    if check.rule:
                        self.rules.setdefault(check.name, (check.rule, len(self.steps)))
        return self.seen[program]


def _lessons(task: Task, search: Trajectory, start: Trajectory) -> list[Lesson]:
    """A cause for each rule that some program of the search broke, with the step that shows it, and the program."""
    lessons = [
        Lesson(
            kind="cause",
            text=rule,
            family=task.family,
            references=(Reference(trajectory=search.id, first_step=step, last_step=step, quote=rule),),
        )
        for _, rule, step in _RULES.validate_python(search.extra["rules"])
    ]
    if search.passed:
        last = len(search.steps) - 1
        lessons.append(
            Lesson(
                kind="program",
                text=f"This program passed every check of {task.id}.",
                family=task.family,
                references=(
                    Reference(trajectory=search.id, first_step=max(0, last), last_step=max(0, last)),
                    Reference(trajectory=start.id),
                ),
                payload=str(search.extra["program"]),
            )
        )
    return lessons


def _said(tried: Tried) -> str:
    if tried.problem:
        return tried.problem
    if tried.score.passed:
        return "all checks passed"
    return "\n".join(f"- {check.name}: {check.message}" for check in tried.score.failures)


def _state(score: Score) -> str:
    names = ", ".join(check.name for check in score.failures)
    return f"best passes {sum(c.passed for c in score.checks)} of {len(score.checks)} checks" + (
        f", not yet {names}" if names else ""
    )
