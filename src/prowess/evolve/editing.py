"""Edits of a skill in the words of a model, each naming a line that is there.

Anchors that a model must quote are what small models miss most. Here the lines are shown with numbers, the grammar
offers these numbers and no other, and the program makes exact patches of them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from prowess.core.base import Frozen
from prowess.core.lesson import Lesson
from prowess.core.patch import Patch, Replace
from prowess.core.skill import Skill, Snapshot
from prowess.evolve.asking import answer, fields, text, texts
from prowess.evolve.drafting import listed
from prowess.evolve.prompts import Prompt
from prowess.evolve.protocols import Context, Proposer
from prowess.evolve.statistics import is_first, lessons_by_skill

MOST = 4
"""Edits of one skill in one patch, unless a recipe says otherwise."""


class Edit(Frozen):
    """One edit: a new line after line `line`, another text in its place, or its end."""

    action: Literal["add", "replace", "delete"]
    line: int
    text: str = ""


class Edits(Frozen):
    edits: tuple[Edit, ...]


def shown(skill: Skill) -> str:
    """The lines of the body that hold text, each with its number."""
    return "\n".join(f"{i}: {line}" for i, line in lines_of(skill))


def schema(skill: Skill, most: int = MOST) -> dict[str, JsonValue]:
    """The grammar of at most `most` edits of `skill`; none are allowed too."""
    line: dict[str, JsonValue] = {"enum": [i for i, _ in lines_of(skill)]}
    writes = fields(action={"enum": ["add", "replace"]}, line=line, text=text(4, 300))
    deletes = fields(action={"const": "delete"}, line=line)
    return fields(edits=texts(0, most, {"anyOf": [writes, deletes]}))


def operations_of(edits: Sequence[Edit], skill: Skill, most: int = MOST) -> tuple[Replace, ...]:
    """The edits as operations that can be done one after the other, the last line of the skill first.

    Raises:
        ValueError: a line is not there, is edited twice, or an edit changes nothing.
    """
    there = dict(lines_of(skill))
    if len(edits) > most or len({edit.line for edit in edits}) < len(edits):
        raise ValueError(f"more than {most} edits, or two of one line")
    lines = skill.body.split("\n")
    found: list[Replace] = []
    for edit in sorted(edits, key=lambda e: -e.line):
        if edit.line not in there:
            raise ValueError(f"there is no line {edit.line}")
        old = lines[edit.line - 1]
        said = edit.text.strip("\n")
        new = {"add": [old, said], "replace": [said], "delete": []}[edit.action]
        if new == [old] or (edit.action != "delete" and not said.strip()):
            raise ValueError(f"the edit of line {edit.line} changes nothing")
        found.append(_replace(skill.name, lines, edit.line - 1, new))
        lines[edit.line - 1 : edit.line] = new
    return tuple(found)


def _replace(name: str, lines: list[str], at: int, new: list[str]) -> Replace:
    """Line `at` becomes the lines `new`; as much is quoted around it as makes the place the only one."""
    whole = "\n".join(lines)
    first, last = at, at
    while whole.find(old := "\n".join(lines[first : last + 1])) != whole.rfind(old):
        first, last = max(0, first - 1), min(len(lines) - 1, last + 1)
    if not new and last + 1 < len(lines):  # the line's own break goes with it
        last += 1
        old = "\n".join(lines[first : last + 1])
    return Replace(name=name, old=old, new="\n".join([*lines[first:at], *new, *lines[at + 1 : last + 1]]))


def lines_of(skill: Skill) -> list[tuple[int, str]]:
    """The lines of the body that hold text, with their numbers."""
    return [(i, line) for i, line in enumerate(skill.body.split("\n"), 1) if line.strip()]


@dataclass(frozen=True, slots=True)
class Editing:
    """Proposer: one patch for each skill of the library that lessons are about."""

    prompt: Prompt
    """About `$skill`, its lines with numbers, and `$lessons`; `$refused` are reasons of patches that were refused."""
    author: str
    most: int = MOST
    groups: Callable[[Sequence[Lesson]], Mapping[str, tuple[Lesson, ...]]] = lessons_by_skill
    """Each group is one patch, of the skill that its lessons are about."""
    remembers: bool = True
    """Whether the model is shown what was refused before."""

    async def patches(self, lessons: Sequence[Lesson], library: Snapshot, context: Context) -> tuple[Patch, ...]:
        found: list[Patch] = []
        for group in self.groups([x for x in lessons if x.blame == "skill"]).values():
            skill = library.get(group[0].skill or "")
            if skill is not None and (patch := await self.patch(skill, group, library, context)) is not None:
                found.append(patch)
        return tuple(found)

    async def patch(self, skill: Skill, lessons: Sequence[Lesson], library: Snapshot, context: Context) -> Patch | None:
        """Edits of `skill` that the model draws from `lessons`; None where it wants none, or none can be made."""
        values = {"skill": shown(skill), "lessons": listed(lessons), "refused": self._refused(skill, context)}
        operations = await answer(
            context,
            "edits",
            self.prompt.request(values, seed=context.seed),
            Edits,
            lambda edits: operations_of(edits.edits, skill, self.most),
            schema(skill, self.most),
        )
        if not operations:
            return None
        reason = f"{skill.name}: {len(operations)} edits from {len(lessons)} lessons"
        context.tell("propose", reason, skill=skill.name)
        ids = tuple(lesson.id for lesson in lessons)
        return Patch(base=library.digest, operations=operations, reason=reason, lessons=ids, author=self.author)

    def _refused(self, skill: Skill, context: Context) -> str:
        return refused(skill.name, context) if self.remembers else "none"


def refused(skill: str, context: Context, most: int = 4) -> str:
    """What the last refused edits of a skill would have written, one a line, so that nobody proposes it again."""
    texts = [
        " ".join(op.new.split())[:200]
        for decision in context.past.decisions
        if not decision.accepted
        for op in decision.patch.operations
        if isinstance(op, Replace) and op.name == skill and op.new.strip()
    ]
    return "\n".join(f"- {text}" for text in texts[-most:]) or "none"


@dataclass(frozen=True, slots=True)
class AtFirst:
    """Proposer: in the first round `first`, from then on `then`."""

    first: Proposer
    then: Proposer

    async def patches(self, lessons: Sequence[Lesson], library: Snapshot, context: Context) -> tuple[Patch, ...]:
        return await (self.first if is_first(context) else self.then).patches(lessons, library, context)


@dataclass(frozen=True, slots=True)
class Writing:
    """Proposer: lessons about a skill that is there go to `edit`, all others to `draft`."""

    draft: Proposer
    edit: Proposer

    async def patches(self, lessons: Sequence[Lesson], library: Snapshot, context: Context) -> tuple[Patch, ...]:
        known = [lesson for lesson in lessons if lesson.skill in library.names]
        other = [lesson for lesson in lessons if lesson.skill not in library.names]
        return (
            *(await self.edit.patches(known, library, context) if known else ()),
            *(await self.draft.patches(other, library, context) if other else ()),
        )
