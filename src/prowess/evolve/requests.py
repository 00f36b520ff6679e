"""Which skill or tool was missing: the manager of Yunjue (2601.18226), the planner of Uni-Skill (2603.02623)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from prowess.agents.prompting import catalogue
from prowess.core.base import Frozen
from prowess.core.lesson import Lesson
from prowess.core.skill import Snapshot
from prowess.evolve.asking import answer, fields, text, texts
from prowess.evolve.drafting import NAME
from prowess.evolve.prompts import Prompt
from prowess.evolve.protocols import Context, Episode
from prowess.evolve.reflect import outcome, reference_to, transcript
from prowess.evolve.statistics import did


class Wanted(Frozen):
    """A skill or tool that is not there; the payload of a lesson of the kind `request`."""

    name: str
    description: str
    arguments: tuple[str, ...] = ()
    """At most five, so that a tool stays general."""


class _Said(Frozen):
    use: str = ""
    """A skill that is there and should do."""
    missing: Wanted | None = None


def schema(library: Snapshot) -> dict[str, JsonValue]:
    """The grammar of the answer: one of the skills that are there, or a request."""
    argument: dict[str, JsonValue] = {"type": "string", "pattern": "^[a-z][a-z_]{1,23}$"}
    name: JsonValue = {"type": "string", "pattern": NAME}
    missing = fields(name=name, description=text(20, 240), arguments=texts(0, 5, argument))
    there: list[JsonValue] = [fields(use={"enum": list(library.names)})] if library.names else []
    return {"anyOf": [*there, fields(missing=missing)]}


def wanted(lesson: Lesson) -> Wanted:
    """What a lesson of the kind `request` asks for."""
    return Wanted.model_validate_json(lesson.payload)


@dataclass(frozen=True, slots=True)
class Requests:
    """Analyst: of each failed episode, which skill it should have used; a lesson where there is none.

    Requests of one name are one lesson, with all their references.
    """

    prompt: Prompt
    """About `$task`, `$transcript`, `$outcome` and `$skills`, the catalogue."""

    async def lessons(self, episodes: Sequence[Episode], library: Snapshot, context: Context) -> tuple[Lesson, ...]:
        found: dict[str, Lesson] = {}
        for episode in episodes:
            if did(episode) is not False:
                continue
            lesson = await self._lesson(episode, library, context)
            if lesson is None:
                continue
            name = wanted(lesson).name
            before = found.get(name)
            references = (*(before.references if before else ()), *lesson.references)
            found[name] = (before or lesson).model_copy(update={"references": references})
        return tuple(found.values())

    async def _lesson(self, episode: Episode, library: Snapshot, context: Context) -> Lesson | None:
        task, trajectory = episode
        values = {
            "task": task.prompt,
            "transcript": transcript(trajectory),
            "outcome": outcome(trajectory),
            "skills": catalogue(library.skills) if library.skills else "none yet",
        }
        request = self.prompt.request(values, seed=context.seed)
        said = await answer(context, "request", request, _Said, lambda said: said, schema(library))
        if said is None or said.missing is None or said.missing.name in library.names:
            return None
        return Lesson(
            kind="request",
            text=f"{said.missing.name}: {' '.join(said.missing.description.split())}",
            family=task.family,
            references=(reference_to(trajectory),),
            payload=json.dumps(said.missing.model_dump(mode="json"), sort_keys=True),
        )
