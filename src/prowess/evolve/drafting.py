"""A new skill in the words of a model: asked for piece by piece under a grammar, put together by program.

A small model that is asked for a whole SKILL.md writes none that is valid. Asked for a name, a sentence and a list of
steps, each bounded, it can.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from prowess.core.base import Frozen
from prowess.core.lesson import Lesson
from prowess.core.patch import CreateSkill, DeleteSkill, Operation, Patch
from prowess.core.skill import Skill, Snapshot
from prowess.evolve.asking import answer, fields, text, texts
from prowess.evolve.prompts import Prompt
from prowess.evolve.protocols import Context
from prowess.evolve.statistics import lessons_by_family
from prowess.library.skillmd import validate

NAME = "^[a-z]{2,12}(-[a-z]{2,12}){1,4}$"


class Draft(Frozen):
    """What a model is asked for."""

    name: str
    description: str
    steps: tuple[str, ...]
    code: str = ""
    """A program that worked, where there is one."""
    pitfalls: tuple[str, ...] = ()


def schema(name: str | None = None, code: bool = True) -> dict[str, JsonValue]:
    """The grammar of a draft; with `name` for a skill that has its name already."""
    line = text(8, 240)
    return fields(
        name={"const": name} if name else {"type": "string", "pattern": NAME},
        description=text(20, 240),
        steps=texts(1, 8, line),
        **({"code": text(0, 2_000)} if code else {}),
        pitfalls=texts(0, 4, line),
    )


def skill_of(draft: Draft) -> Skill:
    """The draft as a skill.

    Raises:
        ValueError: it is no valid skill.
    """
    name = draft.name.strip().lower().replace("_", "-").replace(" ", "-")
    parts = [f"# {name.replace('-', ' ').capitalize()}", numbered(draft.steps)]
    if draft.code.strip():
        fence = "~~~" if "```" in draft.code else "```"
        parts.append(f"## Program\n\n{fence}python\n{draft.code.strip()}\n{fence}")
    if draft.pitfalls:
        parts.append("## Pitfalls\n\n" + "\n".join(f"- {' '.join(line.split())}" for line in draft.pitfalls))
    skill = Skill(name=name, description=" ".join(draft.description.split()), body="\n\n".join(parts) + "\n")
    if problems := validate(skill):
        raise ValueError("; ".join(problems))
    return skill


def numbered(lines: Sequence[str]) -> str:
    """A numbered list; a line that brings its own number loses it."""
    bare = (re.sub(r"^(\d{1,2}[.)]|[-*])\s+", "", " ".join(line.split())) for line in lines)
    return "\n".join(f"{i}. {line}" for i, line in enumerate(bare, 1))


async def drafted(
    context: Context, prompt: Prompt, values: Mapping[str, str], *, name: str | None = None, code: bool = True
) -> Skill | None:
    """A skill by the model, named `name` where that is given; None where no usable one came."""
    request = prompt.request(dict(values), seed=context.seed)
    return await answer(context, "draft", request, Draft, skill_of, schema(name, code))


def put(library: Snapshot, skill: Skill) -> tuple[Operation, ...]:
    """Operations that create `skill`, or put it in place of the one of its name; none where it says nothing new."""
    there = library.get(skill.name)
    if there is not None and there.digest == skill.digest:
        return ()
    return (*([DeleteSkill(name=skill.name)] if there else []), CreateSkill(skill=skill))


@dataclass(frozen=True, slots=True)
class Drafting:
    """Proposer: one new skill for each group of lessons."""

    prompt: Prompt
    """About `$lessons`, one a line, of the group `$about`; `$skills` are the names that are taken."""
    author: str
    groups: Callable[[Sequence[Lesson]], Mapping[str, tuple[Lesson, ...]]] = lessons_by_family
    code: bool = True

    async def patches(self, lessons: Sequence[Lesson], library: Snapshot, context: Context) -> tuple[Patch, ...]:
        found: list[Patch] = []
        for about, group in self.groups([x for x in lessons if x.blame == "skill"]).items():
            values = {"about": about, "lessons": listed(group), "skills": ", ".join(library.names) or "none yet"}
            skill = await drafted(context, self.prompt, values, code=self.code)
            if skill is not None and (operations := put(library, skill)):
                context.tell("propose", f"skill {skill.name}", skill=skill.name)
                ids = tuple(lesson.id for lesson in group)
                reason = f"{skill.name}: drafted from {len(group)} lessons"
                found.append(
                    Patch(base=library.digest, operations=operations, reason=reason, lessons=ids, author=self.author)
                )
        return tuple(found)


def listed(lessons: Sequence[Lesson]) -> str:
    """Lessons as a model is shown them: those of several lines, such as transcripts, keep them."""
    return "\n".join("- " + "\n  ".join(lesson.text.strip().splitlines()) for lesson in lessons)
