"""The curator of SkillOS (2605.06614): after each task it inserts, updates or deletes skills, or leaves them be."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from prowess.agents.prompting import preload
from prowess.core.base import Frozen
from prowess.core.lesson import Lesson
from prowess.core.patch import CreateSkill, DeleteSkill, Operation, Patch
from prowess.core.skill import Skill, Snapshot
from prowess.evolve.asking import answer
from prowess.evolve.prompts import Prompt
from prowess.evolve.protocols import Context, Episode
from prowess.evolve.reflect import outcome, reference_to, transcript
from prowess.library.skillmd import validate


class Curation(Frozen):
    """One call of the curator."""

    operation: Literal["insert", "update", "delete", "none"]
    skill_name: str = ""
    description: str = ""
    content: str = ""


def callable_now(shown: str | None) -> dict[str, JsonValue]:
    """JSON schema of the calls that make sense: insert or none, and update or delete of the skill that was `shown`.

    Left free, a small model mostly updates skills that are not there, or describes until its tokens run out.
    """
    name: dict[str, JsonValue] = {"type": "string", "pattern": "^[a-z]{2,12}(-[a-z]{2,12}){1,4}$"}
    same: dict[str, JsonValue] = {"const": shown}
    description: dict[str, JsonValue] = {"type": "string", "minLength": 20, "maxLength": 200}
    content: dict[str, JsonValue] = {"type": "string", "minLength": 40}
    calls = [_call("insert", skill_name=name, description=description, content=content), _call("none")]
    if shown is not None:
        calls += [
            _call("update", skill_name=same, description=description, content=content),
            _call("delete", skill_name=same),
        ]
    return {"anyOf": calls}


def _call(operation: str, **fields: JsonValue) -> JsonValue:
    properties: dict[str, JsonValue] = {"operation": {"const": operation}, **fields}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


@dataclass(frozen=True, slots=True)
class Transcript:
    """Analyst: hands each episode on as one lesson, as SkillOS shows the curator whole trajectories."""

    characters: int = 1500
    """Of the last program or message, and of what came back."""

    async def lessons(self, episodes: Sequence[Episode], library: Snapshot, context: Context) -> tuple[Lesson, ...]:
        return tuple(self._lesson(episode) for episode in episodes if episode.trajectory.status == "completed")

    def _lesson(self, episode: Episode) -> Lesson:
        task, run = episode
        said, told = transcript(run, self.characters), outcome(run, self.characters)
        return Lesson(
            kind="success" if run.passed else "memory",
            text=f"Task: {task.prompt}\n\nThe agent answered:\n{said}\n\n{told}",
            family=task.family,
            skill=run.loaded[0] if run.loaded else None,
            references=(reference_to(run),),
        )


@dataclass(frozen=True, slots=True)
class Curator:
    """Proposer: one call per lesson. An answer that is no valid change is counted and changes nothing."""

    prompt: Prompt
    """About `$names`, the skills there are; `$shown`, the one that the agent was shown; and the `$lesson`."""
    insert_only: bool = False

    async def patches(self, lessons: Sequence[Lesson], library: Snapshot, context: Context) -> tuple[Patch, ...]:
        found = [await self._patch(lesson, library, context) for lesson in lessons]
        return tuple(patch for patch in found if patch is not None)

    async def _patch(self, lesson: Lesson, library: Snapshot, context: Context) -> Patch | None:
        shown = library.get(lesson.skill) if lesson.skill else None
        values = {
            "names": ", ".join(library.names) or "none yet",
            "shown": preload((shown,)) if shown else "",
            "lesson": lesson.text,
        }
        curated = await answer(
            context,
            "curation",
            self.prompt.request(values, seed=context.seed),
            Curation,
            lambda curation: (curation, operations_of(curation, library)),
            callable_now(shown.name if shown and not self.insert_only else None),
        )
        if curated is None or not curated[1]:
            return None
        curation, operations = curated
        reason = f"{curation.operation} {curation.skill_name}"
        context.tell("propose", reason)
        return Patch(base=library.digest, operations=operations, reason=reason, lessons=(lesson.id,), author="skillos")


def operations_of(curation: Curation, library: Snapshot) -> tuple[Operation, ...]:
    """The curator's call as operations on the library; none for `none`.

    Raises:
        ValueError: the call names a skill that is not there, or makes an invalid one.
    """
    name = curation.skill_name.strip().lower().replace("_", "-").replace(" ", "-")
    there = library.get(name)
    if curation.operation == "none":
        return ()
    if curation.operation in ("update", "delete") and there is None:
        raise ValueError(f"no skill is called {name!r}")
    if curation.operation == "delete":
        return (DeleteSkill(name=name),)
    skill = Skill(
        name=name,
        description=curation.description.strip() or (there.description if there else ""),
        body=curation.content.strip() + "\n",
    )
    if problems := validate(skill):
        raise ValueError("; ".join(problems))
    if there is not None and there.body == skill.body and there.description == skill.description:
        return ()
    return (*([DeleteSkill(name=name)] if there else []), CreateSkill(skill=skill))
