"""Distilling: from a program that passed to a skill with house rules, a script, and the call that runs it.

No model is asked. A small model follows a call with six arguments far better than five rules in prose or a program
that it must copy (docs/decisions/0080), and a script is what the Agent Skills format has `scripts/` for.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from prowess.agents.code import problem_of, run_program
from prowess.core.errors import SandboxError
from prowess.core.lesson import Lesson
from prowess.core.patch import CreateSkill, DeleteSkill, Patch
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import File, Task
from prowess.evolve.hoist import hoist
from prowess.evolve.protocols import Context
from prowess.sandbox import Sandbox

SIBLINGS = 8
"""Tasks of the family that tell a name of the task from a rule of the house; they are drawn, not run."""


@dataclass(frozen=True, slots=True)
class Distil:
    """Proposer: one patch per family and program, that creates the family's skill or puts a better one in its place."""

    sandbox: Sandbox
    tasks: dict[str, Task]
    """The evidence tasks, by id, that programs were written for."""

    async def patches(self, lessons: Sequence[Lesson], library: Snapshot, context: Context) -> tuple[Patch, ...]:
        patches: list[Patch] = []
        for lesson in lessons:
            if lesson.kind != "program" or lesson.family is None:
                continue
            causes = [other for other in lessons if other.kind == "cause" and other.family == lesson.family]
            task = self._task_of(lesson, context)
            try:
                skill = await self._skill(lesson, causes, task, context)
            except SandboxError as error:
                context.tell("propose", f"no skill from {task.id}: {error}", missing=True)
                continue
            context.tell("propose", f"skill {skill.name} from a program that passed {task.id}", skill=skill.name)
            patches.append(
                Patch(
                    base=library.digest,
                    operations=(
                        *([DeleteSkill(name=skill.name)] if library.get(skill.name) else []),
                        CreateSkill(skill=skill),
                    ),
                    reason=f"{skill.name}: a program that passed, as a skill",
                    lessons=(lesson.id, *(cause.id for cause in causes)),
                    author="distil",
                )
            )
        return tuple(patches)

    def _task_of(self, lesson: Lesson, context: Context) -> Task:
        from prowess.core.trajectory import Trajectory

        for reference in lesson.references:
            stored = context.store.get("exploration", reference.trajectory)
            if stored is not None:
                return self.tasks[str(Trajectory.model_validate_json(stored).task_id)]
        raise KeyError(f"no exploration behind lesson {lesson.id}")

    async def _skill(self, lesson: Lesson, causes: Sequence[Lesson], task: Task, context: Context) -> Skill:
        name = re.sub(r"[^a-z0-9]+", "-", f"{task.family}-{task.variant}".lower().removesuffix("-base")).strip("-")
        function = name.replace("-", "_")
        siblings = [t for t in context.suite.tasks(task.family, "evidence", SIBLINGS, task.variant) if t.id != task.id]
        files: tuple[File, ...] = ()
        program = lesson.payload
        script = hoist(program, function, task, siblings)
        if script is not None:
            file = File(path=f"scripts/{function}.py", data=script.source.encode())
            call = script.call(f"skills/{name}/scripts")
            if await self._still_passes(call, name, file, task, context):
                files, program = (file,), script.call(f"skills/{name}/scripts", blank=True)
        return Skill(
            name=name,
            description=description(task),
            body=body(task, [cause.text for cause in causes], program, files[0].path if files else None),
            files=files,
        )

    async def _still_passes(self, call: str, name: str, file: File, task: Task, context: Context) -> bool:
        """Whether the script does for its own task what the program did; a rewrite is not trusted unseen."""
        skill = Skill(name=name, description="-", body="-", files=(file,))
        result = await run_program(call, task, self.sandbox, skills=(skill,))
        score = context.suite.check(task, result.files, result.stdout.strip())
        return problem_of(task, result) is None and score.passed


def description(task: Task) -> str:
    """What the skill is for and when, in the words of the task, without its names: what search goes by."""
    title = task.family.replace("-", " ")
    job = re.sub(r"\s*\([^()]*`[^()]*\)", "", task.prompt.splitlines()[0])
    job = re.sub(r"\s+", " ", re.sub(r"`[^`]*`", "…", job)).strip()
    return f"Does {title} tasks by the house rules. Use for tasks like: {job}"[:1024]


def body(task: Task, rules: Sequence[str], program: str, script: str | None) -> str:
    """SKILL.md's text: rules for people, the call for the model."""
    title = task.family.replace("-", " ").capitalize()
    parts = [f"# {title}\n"]
    if rules:
        parts.append("## House rules\n\n" + "\n".join(f"- {rule[:1].upper()}{rule[1:]}." for rule in rules) + "\n")
    told = (
        f"[{script}]({script}) follows the house rules. Answer with exactly this program; in place of each description "
        "in capitals put the name that the task or the first lines of its files have for it."
        if script
        else "This program follows the house rules. Change its names to those of the task at hand, and nothing else."
    )
    parts.append(f"## Program\n\n{told}\n\n```python\n{program.strip()}\n```\n")
    return "\n".join(parts)
