"""Skills on three tiers from what worked (SkillX, 2604.04804): plans, functional skills, notes on single tools.

Only successes are looked at, of each task the shortest. A plan says which sub-goals follow each other; a functional
skill is the code of one sub-goal with its names as parameters; a note says how one tool is used.
"""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from prowess.agents.prompting import extract_program, parses
from prowess.core.base import Frozen
from prowess.core.lesson import Lesson
from prowess.core.patch import Patch
from prowess.core.skill import Skill, Snapshot
from prowess.core.trajectory import Trajectory
from prowess.evolve.asking import answer, fields, text, texts
from prowess.evolve.drafting import NAME, drafted, numbered, put
from prowess.evolve.prompts import Prompt
from prowess.evolve.protocols import Context, Episode
from prowess.evolve.reflect import reference_to, transcript
from prowess.evolve.statistics import did
from prowess.library.skillmd import validate

Tier = Literal["plan", "functional", "atomic"]
TIERS: tuple[Tier, ...] = ("plan", "functional", "atomic")
STEPS = 5
"""Sub-goals of a plan at most."""


def tools_of(trajectory: Trajectory) -> tuple[str, ...]:
    """The tools that a run used: those that it called, else the modules that its last program imports."""
    called = [call.name for step in trajectory.steps for call in step.tool_calls]
    programs = [extract_program(step.message) for step in trajectory.steps if step.source == "agent"]
    program = next((p for p in reversed(programs) if p), "")
    return tuple(dict.fromkeys(called or modules_of(program)))


def modules_of(program: str) -> tuple[str, ...]:
    """Modules that a program imports, in order; none where it does not parse."""
    try:
        nodes = [*ast.walk(ast.parse(program))]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    found = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    found += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return tuple(dict.fromkeys(name.partition(".")[0] for name in found))


@dataclass(frozen=True, slots=True)
class Shortest:
    """Analyst: of each task's successes the shortest, whole, as one lesson with the tools that it used as payload."""

    characters: int = 3_000

    async def lessons(self, episodes: Sequence[Episode], library: Snapshot, context: Context) -> tuple[Lesson, ...]:
        best: dict[str, Episode] = {}
        for episode in episodes:
            if did(episode) and (episode.task.id not in best or _length(episode) < _length(best[episode.task.id])):
                best[episode.task.id] = episode
        return tuple(
            Lesson(
                kind="success",
                text=f"Task: {task.prompt.splitlines()[0]}\n\n{transcript(run, self.characters)}",
                family=task.family,
                references=(reference_to(run),),
                payload=" ".join(tools_of(run)),
            )
            for task, run in best.values()
        )


def _length(episode: Episode) -> tuple[int, int]:
    steps = episode.trajectory.steps
    return len(steps), sum(len(step.message) for step in steps)


class Goal(Frozen):
    """One sub-goal of a plan."""

    goal: str
    tools: tuple[str, ...] = ()


class _Plan(Frozen):
    steps: tuple[Goal, ...]


class _Function(Frozen):
    option: Literal["add", "modify", "keep"]
    name: str = ""
    description: str = ""
    code: str = ""


class _Good(Frozen):
    good: bool


def _plan_schema(tools: Sequence[str]) -> dict[str, JsonValue]:
    named = texts(0, 4, {"enum": [*tools]}) if tools else texts(0, 0, text(0, 1))
    return fields(steps=texts(1, STEPS, fields(goal=text(8, 160), tools=named)))


def _function_schema(library: Snapshot) -> dict[str, JsonValue]:
    said: dict[str, JsonValue] = {"description": text(20, 240), "code": text(20, 1_500)}
    calls: list[JsonValue] = [
        fields(option={"const": "add"}, name={"type": "string", "pattern": NAME}, **said),
        fields(option={"const": "keep"}),
    ]
    if library.names:
        calls.append(fields(option={"const": "modify"}, name={"enum": [*library.names]}, **said))
    return {"anyOf": calls}


@dataclass(frozen=True, slots=True)
class Tiers:
    """Proposer: of each success a plan, of each of its steps a functional skill, of each tool left over a note."""

    prompts: Mapping[str, Prompt]
    """`plan`, `functional`, `reuse` and `atomic`."""
    author: str
    tiers: tuple[Tier, ...] = TIERS

    async def patches(self, lessons: Sequence[Lesson], library: Snapshot, context: Context) -> tuple[Patch, ...]:
        found: list[Patch] = []
        for lesson in lessons:
            skills = await self._skills(lesson, library, context)
            found += [
                Patch(
                    base=library.digest,
                    operations=operations,
                    reason=f"{skill.name}: from a success",
                    lessons=(lesson.id,),
                    author=self.author,
                )
                for skill in skills
                if (operations := put(library, skill))
            ]
        return tuple(found)

    async def _skills(self, lesson: Lesson, library: Snapshot, context: Context) -> list[Skill]:
        tools = lesson.payload.split()
        asked = self.prompts["plan"].request({"success": lesson.text, "tools": ", ".join(tools)}, seed=context.seed)
        plan = await answer(context, "plan", asked, _Plan, _sound, _plan_schema(tools))
        if plan is None:
            return []
        functions = [await self._function(goal, lesson, library, context) for goal in plan.steps]
        kept = {skill.name: skill for skill in functions if skill is not None}
        covered = {module for skill in kept.values() for module in modules_of(extract_program(skill.body) or "")}
        notes = [await self._note(tool, lesson, library, context) for tool in tools if tool not in covered]
        return [
            *([_plan_skill(lesson, plan)] if "plan" in self.tiers else []),
            *kept.values(),
            *(note for note in notes if note is not None),
        ]

    async def _function(self, goal: Goal, lesson: Lesson, library: Snapshot, context: Context) -> Skill | None:
        """The code of one step as a skill that its second reader calls reusable; None for a step that needs none."""
        if "functional" not in self.tiers:
            return None
        values = {"goal": goal.goal, "success": lesson.text, "skills": ", ".join(library.names) or "none yet"}
        request = self.prompts["functional"].request(values, seed=context.seed)
        skill = await answer(context, "functional", request, _Function, _function_skill, _function_schema(library))
        if skill is None:
            return None
        request = self.prompts["reuse"].request({"skill": skill.body, "description": skill.description})
        good = await answer(context, "filter", request, _Good, lambda said: said.good, fields(good={"type": "boolean"}))
        return skill if good else None

    async def _note(self, tool: str, lesson: Lesson, library: Snapshot, context: Context) -> Skill | None:
        if "atomic" not in self.tiers or f"using-{_slug(tool)}" in library.names:
            return None
        values = {"tool": tool, "success": lesson.text}
        return await drafted(context, self.prompts["atomic"], values, name=f"using-{_slug(tool)}")


def _sound(plan: _Plan) -> _Plan:
    if not plan.steps or not all(step.goal.strip() for step in plan.steps):
        raise ValueError("a plan without steps")
    return plan


def _plan_skill(lesson: Lesson, plan: _Plan) -> Skill:
    family = _slug(lesson.family or "tasks")
    job = lesson.text.removeprefix("Task: ").splitlines()[0]
    lines = [f"{step.goal}" + (f" ({', '.join(step.tools)})" if step.tools else "") for step in plan.steps]
    return Skill(
        name=f"{family}-plan",
        description=f"The steps of {family.replace('-', ' ')} tasks. Use for tasks like: {without_names(job)}"[:1024],
        body=f"# Plan for {family.replace('-', ' ')}\n\n{numbered(lines)}\n",
    )


def _function_skill(said: _Function) -> Skill | None:
    """The answer as a skill; None for `keep`.

    Raises:
        ValueError: it is no valid skill, or its code is no Python: the check of calls against what there is.
    """
    if said.option == "keep":
        return None
    code = extract_program(said.code) or said.code
    if not parses(code):
        raise ValueError("the code does not parse")
    body = f"# {said.name.replace('-', ' ').capitalize()}\n\n```python\n{code.strip()}\n```\n"
    skill = Skill(name=said.name, description=" ".join(said.description.split()), body=body)
    if problems := validate(skill):
        raise ValueError("; ".join(problems))
    return skill


def without_names(job: str) -> str:
    """A task's first line without what stands in backquotes: names that belong to this one task."""
    return "…".join(job.split("`")[::2]) if job.count("`") % 2 == 0 else job


def _slug(name: str) -> str:
    return "-".join(part for part in "".join(c if c.isalnum() else " " for c in name.lower()).split())[:40] or "x"


def by_tool(episodes: Sequence[Episode]) -> dict[str, tuple[int, int]]:
    """Successes and failures of the runs that used each tool."""
    found: dict[str, tuple[int, int]] = {}
    for episode in episodes:
        passed = did(episode)
        for tool in tools_of(episode.trajectory) if passed is not None else ():
            good, bad = found.get(tool, (0, 0))
            found[tool] = (good + bool(passed), bad + (not passed))
    return found


def risky(used: Mapping[str, tuple[int, int]]) -> tuple[str, ...]:
    """Tools that fail in half of their runs or more, the worst first."""
    rates = {tool: bad / (good + bad) for tool, (good, bad) in used.items()}
    return tuple(tool for tool in sorted(rates, key=lambda t: (-rates[t], t)) if rates[tool] >= 0.5)
