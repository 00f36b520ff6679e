"""Tools as skills: functions with tests, written, tried and mended (Yunjue, 2601.18226; SkillFoundry, 2604.03964).

A tool is a script of one function, a test of it, and a text with its call. It is tried in an environment of its own: a
sandbox folder that holds its files and nothing else. What it imports must be at hand there, and is declared.
"""

import ast
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from prowess.agents.prompting import extract_program
from prowess.core.base import Frozen
from prowess.core.lesson import Lesson
from prowess.core.patch import CreateSkill, Patch
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import File
from prowess.evolve.asking import answer, fields, text
from prowess.evolve.consolidate import Alike, Unmerged, created
from prowess.evolve.drafting import put
from prowess.evolve.prompts import Prompt
from prowess.evolve.protocols import Context, Past
from prowess.evolve.requests import Wanted, wanted
from prowess.evolve.selftest import failing, tests_of
from prowess.evolve.statistics import utilities
from prowess.evolve.tiers import modules_of
from prowess.library.skillmd import validate
from prowess.sandbox import Sandbox

TRIES = 3
AT_HAND = frozenset({"openpyxl"})
"""Packages of the sandbox beyond the standard library."""
FAILED = 2
"""Runs that loaded a tool and failed, with none that passed, after which it is written anew."""


class _Written(Frozen):
    code: str
    test: str


SCHEMA: dict[str, JsonValue] = fields(code=text(20, 2_500), test=text(20, 1_500))


async def develop(
    context: Context,
    prompt: Prompt,
    asked: Wanted,
    sandbox: Sandbox,
    *,
    material: str = "",
    problem: str = "none yet",
    tests: Mapping[str, File] | None = None,
    seed: int = 0,
) -> Skill | None:
    """A tool that passes its tests, written in up to `TRIES` tries; None where none does.

    Args:
        context: Its model writes.
        prompt: About `$function`, the head that is wanted, `$description`, `$material` and the `$problem` of the last.
        asked: What the tool is to do.
        sandbox: Where it is tried.
        material: What is known of the job: a passage of a document, tools that are to become one.
        problem: What was wrong with a version before.
        tests: Further tests that it must pass, by path: those of versions before.
        seed: Tells questions apart that are otherwise equal.
    """
    head = f"def {function_of(asked.name)}({', '.join(asked.arguments)}):"
    for attempt in range(TRIES):
        values = {"function": head, "description": asked.description, "material": material, "problem": problem}
        request = prompt.request(values, seed=context.seed * 1000 + seed * 10 + attempt)
        skill = await answer(context, "tool", request, _Written, lambda w: tool_of(asked, w.code, w.test), SCHEMA)
        if skill is None:
            continue
        wrong = await failing(skill, {f.path: f for f in tests_of(skill)} | dict(tests or {}), sandbox)
        if wrong is None:
            return skill
        context.tell("propose", f"{asked.name}, try {attempt + 1}: {wrong}", skill=asked.name)
        problem = wrong
    return None


def function_of(name: str) -> str:
    return name.replace("-", "_")


def tool_of(asked: Wanted, code: str, test: str) -> Skill:
    """A tool's folder.

    Raises:
        ValueError: the code does not define the function, needs what is not at hand, or makes no valid skill.
    """
    function = function_of(asked.name)
    code, test = (extract_program(part) or part for part in (code, test))
    if f"def {function}(" not in code:
        raise ValueError(f"the code does not define {function}")
    foreign = [m for m in modules_of(code) if m not in sys.stdlib_module_names]
    if lacking := [m for m in foreign if m not in AT_HAND]:
        raise ValueError(f"the code imports {', '.join(lacking)}, which is not at hand")
    call = ", ".join(f'{argument}="{argument.upper()}"' for argument in asked.arguments)
    body = (
        f"# {asked.name.replace('-', ' ').capitalize()}\n\n{' '.join(asked.description.split())}\n\n"
        f"[scripts/{function}.py](scripts/{function}.py) does it. Put the values of the task in place of "
        f'the words in capitals:\n\n```python\nimport sys\n\nsys.path.insert(0, "skills/{asked.name}/scripts")\n'
        f"from {function} import {function}\n\nprint({function}({call}))\n```\n"
    )
    skill = Skill(
        name=asked.name,
        description=" ".join(asked.description.split()),
        body=body,
        compatibility=f"Python with {', '.join(foreign)}" if foreign else None,
        files=(
            File(path=f"scripts/{function}.py", data=f"{code.strip()}\n".encode("utf-8", "replace")),
            File(path=f"tests/test_{function}.py", data=f"{test.strip()}\n".encode("utf-8", "replace")),
        ),
    )
    if problems := validate(skill):
        raise ValueError("; ".join(problems))
    return skill


@dataclass(frozen=True, slots=True)
class Developer:
    """Proposer: a tool for each request; and one written anew for each that has failed and never helped."""

    prompt: Prompt
    sandbox: Sandbox
    author: str
    repairs: bool = True

    async def patches(self, lessons: Sequence[Lesson], library: Snapshot, context: Context) -> tuple[Patch, ...]:
        found: list[Patch] = []
        for number, lesson in enumerate(lesson for lesson in lessons if lesson.kind == "request"):
            skill = await develop(context, self.prompt, wanted(lesson), self.sandbox, seed=number)
            found += self._patch(skill, (lesson.id,), library)
        for number, name in enumerate(failed(library, context.past) if self.repairs else (), len(lessons)):
            found += self._patch(await self._anew(name, library, context, number), (), library)
        return tuple(found)

    async def _anew(self, name: str, library: Snapshot, context: Context, number: int) -> Skill | None:
        """The tool with another inside: same function, same arguments, and the tests of the one before."""
        there = library.get(name)
        script = there.file(f"scripts/{function_of(name)}.py") if there else None
        if there is None or script is None:
            return None
        asked = Wanted(name=name, description=there.description, arguments=_arguments(script.text, function_of(name)))
        problem = "every task in which it was used failed"
        before = {file.path: file for file in tests_of(there)}
        material = f"It was written so far:\n{script.text}"
        return await develop(
            context, self.prompt, asked, self.sandbox, material=material, problem=problem, tests=before, seed=number
        )

    def _patch(self, skill: Skill | None, lessons: tuple[str, ...], library: Snapshot) -> list[Patch]:
        operations = put(library, skill) if skill is not None else ()
        if skill is None or not operations:
            return []
        reason = f"{skill.name}: a tool that passes its tests"
        return [Patch(base=library.digest, operations=operations, reason=reason, lessons=lessons, author=self.author)]


def failed(library: Snapshot, past: Past) -> tuple[str, ...]:
    """Tools that were loaded in runs that failed, and in none that passed."""
    used = utilities(past.episodes)
    return tuple(
        name
        for name in library.names
        if (use := used.get(name)) is not None and use.passed == 0 and use.failed >= FAILED
    )


def _arguments(code: str, function: str) -> tuple[str, ...]:
    try:
        nodes = [*ast.walk(ast.parse(code))]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    found = next((n for n in nodes if isinstance(n, ast.FunctionDef) and n.name == function), None)
    return tuple(argument.arg for argument in found.args.args) if found is not None else ()


@dataclass(frozen=True, slots=True)
class OneTool:
    """Consolidator: tools of a batch that one function could replace become one (Yunjue's clusters).

    Where names are the same words in another order, the smallest file wins; else the model writes one tool for all of
    them, which must pass its own tests. Where it cannot, all stay.
    """

    prompt: Prompt
    sandbox: Sandbox
    author: str
    alike: float = 0.5
    """Cosine of descriptions from which tools belong together."""

    async def merge(self, patches: Sequence[Patch], library: Snapshot, context: Context) -> tuple[Patch, ...]:
        found: list[Patch] = []
        for number, group in enumerate(Alike(self.alike)(patches)):
            tools = [(patch, skill) for patch in group if (skill := created(patch)) is not None]
            one = await self._one([skill for _, skill in tools], context, number) if len(tools) > 1 else None
            if one is None:
                found += group
                continue
            lessons = tuple(dict.fromkeys(lesson for patch in group for lesson in patch.lessons))
            reason = f"{one.name}: one tool in place of {', '.join(skill.name for _, skill in tools)}"
            operations = put(library, one) or (CreateSkill(skill=one),)
            found.append(
                Patch(base=library.digest, operations=operations, reason=reason, lessons=lessons, author=self.author)
            )
        if curve := egl(context.past):
            context.tell("propose", f"{curve[-1]:.2f} tools made for each use of one so far", egl=curve[-1])
        return await Unmerged().merge(found, library, context)

    async def _one(self, tools: Sequence[Skill], context: Context, number: int) -> Skill | None:
        if len({frozenset(tool.name.split("-")) for tool in tools}) == 1:
            return min(tools, key=lambda tool: (sum(len(file.data) for file in tool.files), tool.name))
        scripts = [f for tool in tools for f in tool.files if f.path.startswith("scripts/")]
        heads = [_arguments(f.text, f.path[len("scripts/") : -len(".py")]) for f in scripts]
        asked = Wanted(
            name=min((tool.name for tool in tools), key=lambda name: (len(name), name)),
            description=tools[0].description,
            arguments=max(heads, key=len, default=())[:5],
        )
        material = "It replaces these:\n" + "\n\n".join(file.text for file in scripts)
        return await develop(context, self.prompt, asked, self.sandbox, material=material[:6_000], seed=500 + number)


def egl(past: Past) -> tuple[float, ...]:
    """Evolution generality loss after each round: tools made so far for each use of one so far, at most 1.

    It falls as the library has what its tasks need, and needs no labels (Yunjue, 2601.18226).
    """
    made, uses = set[str](), 0
    curve: list[float] = []
    for round_, episodes in enumerate(past.rounds):
        uses += sum(len(episode.trajectory.loaded) for episode in episodes)
        made |= {
            operation.skill.name
            for decision in past.decisions
            if decision.accepted and decision.round < round_
            for operation in decision.patch.operations
            if isinstance(operation, CreateSkill)
        }
        curve.append(min(1.0, len(made) / uses) if uses else 1.0)
    return tuple(curve)
