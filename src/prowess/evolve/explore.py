"""Exploration: search for one program that passes a failed task, by small steps that the checks confirm.

This is the error analyst of Trace2Skill (2603.25158, §3.2), which proves its diagnosis by a fix that passes the
evaluator, made small enough for a 1.5B model. Asked for a whole program under five rules, such a model writes the same
wrong one again and again; asked to change a program so that it meets *one* requirement, it often can. So the search
has three moves, each after one worked example of another trade (docs/decisions/0081):

- *write* a program from the task and all the rules that checks have named so far;
- *repair* one that does not run, from its traceback;
- *change* one that runs so that it meets one requirement, named by one failing check.

Programs to repair or change are drawn from those that no other one beats in every check (the Pareto front of GEPA,
2507.19457): the program with the most checks passed is often not the one that a single change completes.
"""

import ast
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from prowess.agents.code import END_OF_PROGRAM, messages_for, problem_of, run_program
from prowess.agents.preview import preview
from prowess.agents.prompting import extract_program
from prowess.core.base import digest
from prowess.core.cost import total
from prowess.core.errors import BoundaryError, ModelError
from prowess.core.lesson import Lesson, Reference
from prowess.core.model import Message, Request
from prowess.core.skill import Snapshot
from prowess.core.task import Score, Task
from prowess.core.text import first_lines
from prowess.core.trajectory import Observation, Step, Trajectory
from prowess.core.view import View
from prowess.evolve.examples import COOKBOOK, EXAMPLE, EXAMPLE_CHANGE, EXAMPLE_REPAIR
from prowess.evolve.protocols import Context, Episode
from prowess.sandbox import Sandbox
from prowess.trajectories.runstore import keep

FAILURES = 3
"""Failures of model or sandbox that end a search: what is down will not come back for the next sample."""
SYSTEM = (
    "You are a careful Python programmer. Answer with the whole program in one ```python block and nothing else.\n\n"
    + COOKBOOK
)
NEARLY = 2
"""Failing checks of a program that is nearly done: from here single changes get further than writing anew."""
_RULES = TypeAdapter(list[tuple[str, str, int]])


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
    def passes(self) -> frozenset[str]:
        """Names of the checks that it passes; none when it does not run."""
        return frozenset() if self.problem else frozenset(c.name for c in self.score.checks if c.passed)

    @property
    def fitness(self) -> tuple[float, float]:
        """A program that runs is better than one that does not, then the share of checks passed."""
        return (0.0 if self.problem else 1.0, self.score.value)


@dataclass(frozen=True, slots=True)
class Explore:
    """Analyst: searches a passing program for failed tasks, one family after the other.

    Gives a `program` lesson for each program found, and a `cause` lesson for each rule that its search met. A search
    begins with the rules that earlier ones of its family met. A family ends with its first `programs` programs; the
    tasks after that are left for the gate.
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
        known: dict[str, dict[str, str]] = {}
        for task, trajectory in episodes:
            if passed.get(task.family, 0) >= self.programs or trajectory.status == "missing":
                continue
            rules = known.setdefault(task.family, {})
            try:
                search = await self._search(task, trajectory, rules, library, context)
            except BoundaryError as error:
                context.tell("explore", f"{task.id}: not searched, {error}", task=task.id, missing=True)
                continue
            rules |= {name: rule for name, rule, _ in _RULES.validate_python(search.extra["rules"])}
            lessons = _lessons(task, search, trajectory)
            passed[task.family] = passed.get(task.family, 0) + bool(search.passed)
            found += lessons
        return tuple(found)

    async def _search(
        self, task: Task, start: Trajectory, known: dict[str, str], library: Snapshot, context: Context
    ) -> Trajectory:
        settings = [self.samples, self.temperature, self.max_tokens, SYSTEM, EXAMPLE, EXAMPLE_CHANGE, EXAMPLE_REPAIR]
        key = digest(["explore/2", task.digest, start.id, context.model.name, context.seed, known, settings])
        stored = context.store.get("exploration", key)
        if stored is not None:
            return Trajectory.model_validate_json(stored)
        search = _Search(self, task, context, random.Random(f"{context.seed}/{task.id}"), dict(known))
        trajectory = await search.run(start, key, library)
        if search.failures and not trajectory.passed:
            # a search that lacked answers says little; the next sitting makes it again, with the answers that it had
            raise ModelError(f"{search.failures} of its programs could not be had: {search.said}", retryable=True)
        return keep(context.store, "exploration", key, trajectory)


@dataclass(slots=True)
class _Search:
    """The state of one search."""

    settings: Explore
    task: Task
    context: Context
    draw: random.Random
    known: dict[str, str]
    """Rules that the search begins with, by name."""
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
            prompt = self._next(sample)
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
            agent="explore/2",
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

    def _next(self, sample: int) -> tuple[Message, ...]:
        """What to ask for next: every other program is written anew, as long as no front program is nearly done."""
        front = self._front()
        nearly = [tried for tried in front if len(tried.score.failures) <= NEARLY]
        if nearly and sample % 3:
            return self._change(self.draw.choice(nearly))
        if sample % 2 or not self.seen:
            return self._write()
        if front:
            return self._change(self.draw.choice(front))
        return self._repair(list(self.seen.values())[-1])

    def _front(self) -> list[Tried]:
        """Programs that run, and of which no other passes the same checks and more."""
        running = [tried for tried in self.seen.values() if tried.problem is None]
        return [tried for tried in running if not any(tried.passes < other.passes for other in running)]

    def _write(self) -> tuple[Message, ...]:
        """The task with every rule that is known by now."""
        _, user = messages_for(self.task, View(snapshot=Snapshot().digest))
        told = user.content
        if known := self.known | {name: rule for name, (rule, _) in self.rules.items()}:
            told_in = list(known.values())
            self.draw.shuffle(told_in)  # another order gives another program, where a second sample would be the same
            rules = "\n".join(f"- {rule}" for rule in told_in)
            prompt, files, looks = told.partition("\nFiles:\n")
            told = f"{prompt}\n\nRules, each of which the program must follow:\n{rules}\n{files}{looks}"
        return _after(EXAMPLE, told)

    def _repair(self, tried: Tried) -> tuple[Message, ...]:
        """A program that does not run, and why."""
        looks = preview(self.task.files, 600)
        files = f"\n\nFiles:\n{looks}" if looks else ""
        return _after(
            EXAMPLE_REPAIR,
            f"```python\n{tried.program}```\n\nIt failed:\n{tried.problem}{files}\n\n"
            "Mend the program so that it runs and keep everything else.",
        )

    def _change(self, tried: Tried) -> tuple[Message, ...]:
        """One requirement, the program, and nothing else: the shortest prompt that a small model can act on."""
        check = self.draw.choice(tried.score.failures)
        return _after(
            EXAMPLE_CHANGE,
            f"```python\n{_bare(tried.program)}```\n\nIts output begins:\n{tried.output}\n\n"
            f"Requirement: {check.message}\n"
            "The output does not meet it. Change the program so that it does and keep everything else.",
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
            tried = Tried(program, score, problem_of(self.task, result), looks or first_lines(result.stdout, 240))
            self.seen[program] = tried
            if tried.problem is None:
                for check in score.failures:
                    if check.rule:
                        self.rules.setdefault(check.name, (check.rule, len(self.steps)))
        return self.seen[program]


def _bare(program: str) -> str:
    """`program` without comments: a small model takes the comment that states a requirement for code that meets it."""
    try:
        return ast.unparse(ast.parse(program)) + "\n"
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return program


def _after(example: tuple[str, str], asked: str) -> tuple[Message, ...]:
    """A request that follows a worked example."""
    return (
        Message(role="system", content=SYSTEM),
        Message(role="user", content=example[0]),
        Message(role="assistant", content=example[1]),
        Message(role="user", content=asked),
    )


def _lessons(task: Task, search: Trajectory, start: Trajectory) -> list[Lesson]:
    """A cause for each rule that some program of the search broke, with the step that shows it, and the program."""
    lessons = [
        Lesson(
            kind="cause",
            text=rule,
            family=task.family,
            skill=start.loaded[0] if start.loaded else None,
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
                skill=start.loaded[0] if start.loaded else None,
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
