"""The curator of SkillOS (2605.06614): after each task it inserts, updates or deletes skills, or leaves them be."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from prowess.agents.models.meter import Meter, Metered
from prowess.agents.models.structured import Unreadable, ask
from prowess.agents.prompting import preload
from prowess.core.base import Frozen, digest
from prowess.core.errors import ModelError
from prowess.core.lesson import Lesson, Reference
from prowess.core.model import Message, Request
from prowess.core.patch import CreateSkill, DeleteSkill, Operation, Patch
from prowess.core.skill import Skill, Snapshot
from prowess.core.text import last_lines
from prowess.evolve.protocols import Context, Episode
from prowess.library.skillmd import validate

SYSTEM = """You curate a small repository of skills that helps an agent with office tasks.
After each task you decide on one change: insert a skill, update one, delete one, or none.
A skill is short Markdown: when to use it, the steps, code that worked, pitfalls.
Write nothing that holds for this one task only, and nothing that the trajectory does not show.
One skill holds one idea. Names are lowercase words joined by hyphens."""


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
        task, trajectory = episode
        last = len(trajectory.steps) - 1
        said = last_lines(trajectory.steps[last].message, self.characters) if trajectory.steps else "nothing"
        score = trajectory.score
        wrong = "\n".join(f"- {c.message}" for c in score.failures) if score else ""
        outcome = "It passed." if trajectory.passed else f"It failed:\n{wrong}"
        return Lesson(
            kind="success" if trajectory.passed else "memory",
            text=f"Task: {task.prompt}\n\nThe agent answered:\n{said}\n\n{last_lines(outcome, self.characters)}",
            family=task.family,
            skill=trajectory.loaded[0] if trajectory.loaded else None,
            references=(Reference(trajectory=trajectory.id, first_step=max(0, last), last_step=max(0, last)),),
        )


@dataclass(frozen=True, slots=True)
class Curator:
    """Proposer: one call per lesson. An answer that is no valid change is counted and changes nothing."""

    max_tokens: int = 600

    async def patches(self, lessons: Sequence[Lesson], library: Snapshot, context: Context) -> tuple[Patch, ...]:
        patches: list[Patch] = []
        for lesson in lessons:
            request = Request(
                messages=(
                    Message(role="system", content=SYSTEM),
                    Message(role="user", content=f"{_shown(library, lesson)}\n\n{lesson.text}"),
                ),
                max_tokens=self.max_tokens,
                seed=context.seed,
            )
            try:
                shown = lesson.skill if lesson.skill in library.names else None
                curation = await self._curation(request, callable_now(shown), context)
                operations = operations_of(curation, library)
            except (ModelError, ValueError) as error:
                context.tell("propose", f"the curator's answer was unusable: {error}", unusable=True)
                failed = digest([request.digest, str(error)])
                context.store.put("unusable", failed, str(error).encode())
                continue
            if operations:
                context.tell("propose", f"{curation.operation} {curation.skill_name}")
                patches.append(
                    Patch(
                        base=library.digest,
                        operations=operations,
                        reason=f"{curation.operation} {curation.skill_name}",
                        lessons=(lesson.id,),
                        author="skillos",
                    )
                )
        return tuple(patches)

    async def _curation(self, request: Request, schema: dict[str, JsonValue], context: Context) -> Curation:
        """The curator's call, stored with what it cost; one that cannot be read costs too."""
        key = digest(["curate/2", request.digest, digest(schema), context.model.name])
        stored = context.store.get("curation", key)
        if stored is not None:
            return Curation.model_validate_json(stored)
        model = Metered(context.model, Meter())
        try:
            curation = await ask(model, request, Curation, schema)
        except Unreadable as error:
            context.store.put("unreadable", key, error.raw.encode(), model.spent)
            raise
        context.store.put("curation", key, curation.model_dump_json().encode(), model.spent)
        return curation


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


def _shown(library: Snapshot, lesson: Lesson) -> str:
    """The skills that the executor was shown, in full, and the names of the others."""
    shown = library.get(lesson.skill) if lesson.skill else None
    names = ", ".join(library.names) or "none yet"
    return f"Skills in the repository: {names}" + (f"\n{preload((shown,))}" if shown else "")
