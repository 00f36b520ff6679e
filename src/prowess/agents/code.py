"""The `code` agent: one Python program per task, run in the sandbox, mended with its own traceback."""

import inspect
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from prowess.agents.preview import preview
from prowess.agents.prompting import (
    catalogue,
    extract_program,
    preload,
    shown_at_once,
    skill_content,
    skill_files,
    used_skills,
)
from prowess.agents.record import trajectory_of
from prowess.core.base import digest
from prowess.core.errors import BoundaryError
from prowess.core.model import Message, Model, Request, Response
from prowess.core.skill import Skill
from prowess.core.task import File, Score, Task
from prowess.core.text import last_lines
from prowess.core.trajectory import Observation, Step, Trajectory
from prowess.core.view import View
from prowess.guard.redact import redact
from prowess.guard.runtime import TRIALS, Runtime
from prowess.sandbox import Limits, Result, Sandbox
from prowess.sandbox.rooms import at

Feedback = Callable[[tuple[File, ...], str], Score | Awaitable[Score]]
"""Judges (output files, answer); `functools.partial(suite.check, task)` is one."""

PROGRAM = ".program.py"
SYSTEM = "You write one Python 3.11 program per task. Answer with a single ```python block and nothing else."
SKILLS = "Skills, proven on such tasks. Where one fits, follow it to the letter and adapt its code."
ASK = "To read a skill before you write, answer only: load_skill NAME"
REMINDER = "Does the skill {} fit? Then answer with its program, changed only where the names of this task differ."
INSTRUCTIONS = "Use the standard library or openpyxl. Read and write files in the current folder."
END_OF_PROGRAM = "```\n"
"""Where answers are stopped: small models go on to explain what they wrote. An opening fence names its language."""
RETRY_TEMPERATURE = 0.7
NO_PROGRAM = "Your answer held no Python program. Answer with one complete ```python block."
_ASKED = re.compile(r"^\W*load_skill\W+([\w-]+)", re.MULTILINE)
_FEEDBACK = 700
"""Characters of a traceback that are fed back: its last frames and the message."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One answer of the model and what became of it."""

    response: Response
    program: str | None
    result: Result | None
    problem: str | None
    """What went wrong in words for the model; None when the program ran and wrote all outputs."""

    @property
    def outputs(self) -> tuple[File, ...]:
        return self.result.files if self.result else ()

    @property
    def answer(self) -> str:
        """What the program printed: the answer of tasks that ask for no file."""
        return self.result.stdout.strip() if self.result else ""


async def run_program(
    program: str,
    task: Task,
    sandbox: Sandbox,
    limits: Limits | None = None,
    skills: tuple[Skill, ...] = (),
    runtime: Runtime = TRIALS,
) -> Result:
    """Run `program` on the files of `task` beside the files of `skills`; the result's files are those that it wrote.

    What it printed comes back without secrets: it is shown to a model and stored.

    Raises:
        SandboxError: the sandbox failed (a failing program is a result).
    """
    handed = {file.path: (skill, file) for skill in skills for file in skill_files(skill, runtime)}
    given = (File(path=PROGRAM, data=program.encode("utf-8", "replace")), *(file for _, file in handed.values()))
    ours = {file.path for file in given}
    result = await at(sandbox, task).run(["python", "-B", "-P", "-s", PROGRAM], (*task.files, *given), limits)
    for path in (*(f.path for f in result.files), *result.removed):
        if path in handed:
            runtime.violated(handed[path][0], f"a run changed its file {path}")
    kept = tuple(f for f in result.files if f.path not in ours)
    said = {"stdout": redact(result.stdout), "stderr": redact(result.stderr)}
    return result.model_copy(update={"files": kept, **said})


def problem_of(task: Task, result: Result) -> str | None:
    """What is wrong with a run as far as that can be seen without the task's checks."""
    if result.timed_out:
        return f"The program was stopped after {result.seconds:.0f} seconds."
    if result.exit_code != 0:
        return "The program failed:\n" + traceback_end(
            result.stderr or result.stdout or f"exit code {result.exit_code}"
        )
    present = {file.path for file in result.files} | {f.path for f in task.files if f.path not in result.removed}
    missing = [path for path in task.outputs if path not in present]
    if missing:
        said = last_lines(result.stdout, 200)
        return f"The program did not write {', '.join(missing)}." + (f" It printed:\n{said}" if said else "")
    if not task.outputs and not result.stdout.strip():
        return "The program printed no answer."
    return None


def traceback_end(text: str) -> str:
    """The frames of the program itself and the message, without frames of libraries and markers."""
    lines: list[str] = []
    keep = True
    for line in text.strip().splitlines():
        if match := re.match(r'  File "([^"]+)", line (\d+)', line):
            keep = match[1].endswith(PROGRAM)
            if keep:
                lines.append(f"line {match[2]}:")
        elif line.startswith("Traceback ") or (keep and set(line.strip()) <= {"^", "~"}):
            continue
        elif keep or not line.startswith("  "):
            keep = True
            lines.append(line[:300].strip())
    return last_lines("\n".join(lines), _FEEDBACK)


def failures_of(score: Score) -> str:
    """Failing checks in words for the model."""
    said = [check.message or f"check {check.name!r} failed" for check in score.failures] or ["the result is wrong"]
    listed = "\n".join(f"- {line}" for line in said)
    return f"The program ran, but its result is not right:\n{last_lines(listed, _FEEDBACK)}"


def messages_for(task: Task, view: View, runtime: Runtime = TRIALS) -> tuple[Message, ...]:
    """System text and skills first, which trials share, then the task: their common prefix is read once."""
    system = SYSTEM
    if view.disclosure == "preload" and (bodies := preload(view.skills, runtime)):
        system += f"\n{SKILLS}\n{bodies}"
    elif view.disclosure == "progressive" and (listed := catalogue(view.skills, runtime)):
        system += f"\n{listed}\n{ASK}"
    answer = "" if task.outputs else "\nPrint the answer, and only the answer."
    looks = preview(task.files)
    files = f"\nFiles:\n{looks}" if looks else ""
    return (
        Message(role="system", content=system),
        Message(role="user", content=f"{INSTRUCTIONS}\n{task.prompt.strip()}{answer}{files}{_reminder(view, runtime)}"),
    )


def _reminder(view: View, runtime: Runtime) -> str:
    """The last words before the answer; a small model forgets a skill that stands far above the task."""
    shown = shown_at_once(view, runtime)
    return f"\n\n{REMINDER.format(' or '.join(skill.name for skill in shown))}" if shown else ""


class CodeAgent:
    """Writes one program per task and runs it; a crash, time-out or missing output is fed back `attempts - 1` times.

    `feedback` of `run` adds the checks' own messages to what is fed back. It belongs to exploration: a measured run
    never gets it.
    """

    def __init__(
        self,
        model: Model,
        sandbox: Sandbox,
        *,
        attempts: int = 2,
        max_tokens: int = 500,
        temperature: float = 0.0,
        limits: Limits | None = None,
        runtime: Runtime = TRIALS,
    ) -> None:
        self.model = model
        self.sandbox = sandbox
        self.attempts = attempts
        self.max_tokens = max_tokens
        self.temperature = temperature
        self.limits = limits or Limits()
        self.runtime = runtime

    @property
    def name(self) -> str:
        settings = [
            SYSTEM,
            SKILLS,
            ASK,
            REMINDER,
            INSTRUCTIONS,
            NO_PROGRAM,
            END_OF_PROGRAM,
            RETRY_TEMPERATURE,
            self.limits,
        ]
        return (
            f"code/1 attempts={self.attempts} tokens={self.max_tokens} temperature={self.temperature} "
            f"texts={digest(settings)[:8]} model={self.model.name}"
        )

    async def attempt(
        self, task: Task, messages: tuple[Message, ...], seed: int, skills: tuple[Skill, ...] = (), again: bool = False
    ) -> Attempt:
        """One answer to `messages`, taken apart and run beside the files of `skills`.

        `again` says that an answer failed before: a greedy second answer would repeat it, so this one is sampled.

        Raises:
            ModelError: no usable answer came.
            SandboxError: the sandbox failed.
            BudgetExceeded: a limit was reached.
        """
        request = Request(
            messages=messages,
            max_tokens=self.max_tokens,
            temperature=max(self.temperature, RETRY_TEMPERATURE) if again else self.temperature,
            seed=seed,
            stop=(END_OF_PROGRAM,),
        )
        response = await self.model.complete(request)
        program = extract_program(response.text)
        if program is None:
            return Attempt(response, None, None, NO_PROGRAM)
        result = await run_program(program, task, self.sandbox, self.limits, skills, self.runtime)
        return Attempt(response, program, result, problem_of(task, result))

    async def run(self, task: Task, view: View, seed: int, *, feedback: Feedback | None = None) -> Trajectory:
        messages = messages_for(task, view, self.runtime)
        steps = [
            Step(source="system", message=messages[0].content),
            Step(source="user", message=messages[1].content),
        ]
        loaded = [skill.name for skill in shown_at_once(view, self.runtime)]
        outputs: tuple[File, ...] = ()
        answer = ""
        error: str | None = None
        tries = 0
        try:
            while tries < self.attempts:
                at_hand = tuple(s for s in view.skills if s.name in loaded)
                done = await self.attempt(task, messages, seed, at_hand, again=tries > 0)
                asked = self._asked(done, view, loaded)
                if asked is None:
                    tries += 1
                    outputs, answer = done.outputs, done.answer
                    problem = done.problem
                    if problem is None and feedback is not None:
                        problem = await _judge(feedback, outputs, answer)
                    said = problem
                else:
                    loaded.append(asked.name)
                    problem, said = "", skill_content(asked, self.runtime)
                steps.append(_step(done, said, is_error=bool(problem)))
                if said is None:
                    break
                ending = "\nGive the whole corrected program." if problem and done.program else ""
                messages = (
                    *messages,
                    Message(role="assistant", content=done.response.text),
                    Message(role="user", content=said + ending),
                )
        except BoundaryError as failure:
            error = f"{type(failure).__name__}: {failure}"
        answers = "\n".join(step.message for step in steps[2:])
        if answer and not task.outputs:
            # By convention the last message is the answer.
            steps.append(Step(source="agent", message=answer))
        return trajectory_of(
            self.name,
            self.model.name,
            task,
            view,
            seed,
            loaded=tuple(loaded),
            used=used_skills(tuple(s for s in view.skills if s.name in loaded), answers),
            steps=tuple(steps),
            outputs=outputs,
            error=error,
        )

    def _asked(self, done: Attempt, view: View, loaded: list[str]) -> Skill | None:
        """The skill that an answer without a program asks for; one that is loaded already counts as no program."""
        if view.disclosure != "progressive" or done.program is not None:
            return None
        for name in _ASKED.findall(done.response.text):
            skill = next((s for s in view.skills if s.name == name and name not in loaded), None)
            if skill is not None:
                return skill
        return None


def programs_of(trajectory: Trajectory) -> tuple[str, ...]:
    """The programs that a `code` agent wrote, in order; the last one made the outputs."""
    found = (extract_program(step.message) for step in trajectory.steps if step.source == "agent" and step.observations)
    return tuple(program for program in found if program is not None)


async def _judge(feedback: Feedback, outputs: tuple[File, ...], answer: str) -> str | None:
    score = feedback(outputs, answer)
    if inspect.isawaitable(score):
        score = await score
    return None if score.passed else failures_of(score)


def _step(done: Attempt, said: str | None, *, is_error: bool) -> Step:
    content = said if said is not None else last_lines(done.answer, 2_000)
    return Step(
        source="agent",
        message=done.response.text,
        observations=(Observation(content=content, is_error=is_error),),
        model=done.response.model,
        cost=done.response.cost,
    )
