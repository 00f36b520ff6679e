"""Analysts that ask a model one question about each episode: what went wrong, who is to blame, what holds beyond it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from prowess.agents.prompting import preload
from prowess.core.base import Frozen
from prowess.core.lesson import Blame, Lesson, Reference
from prowess.core.skill import Snapshot
from prowess.core.task import Task
from prowess.core.text import last_lines
from prowess.core.trajectory import Trajectory
from prowess.evolve.asking import answer, fields, text
from prowess.evolve.prompts import Prompt
from prowess.evolve.protocols import Analyst, Context, Episode
from prowess.evolve.statistics import did, is_first
from prowess.measure.pool import for_each


def transcript(trajectory: Trajectory, characters: int = 1_500) -> str:
    """The last program or message of a run, as much of it as fits."""
    return last_lines(trajectory.steps[-1].message, characters) if trajectory.steps else "nothing"


def outcome(trajectory: Trajectory, characters: int = 1_500) -> str:
    """What the checks said."""
    score = trajectory.score
    if score is None:
        return "Nobody could say whether it passed."
    wrong = "\n".join(f"- {check.message}" for check in score.failures)
    return "It passed." if score.passed else last_lines(f"It failed:\n{wrong}", characters)


def reference_to(trajectory: Trajectory) -> Reference:
    """The last step of a run."""
    last = max(0, len(trajectory.steps) - 1)
    return Reference(trajectory=trajectory.id, first_step=last, last_step=last)


@dataclass(frozen=True, slots=True)
class Together:
    """Analyst: what each of several finds, in their order."""

    analysts: tuple[Analyst, ...]

    async def lessons(self, episodes: Sequence[Episode], library: Snapshot, context: Context) -> tuple[Lesson, ...]:
        return tuple([lesson for one in self.analysts for lesson in await one.lessons(episodes, library, context)])


@dataclass(frozen=True, slots=True)
class TaskTexts:
    """Analyst: in the first round the text of each task as a lesson; from then on what `then` learns."""

    tasks: tuple[Task, ...]
    then: Analyst

    async def lessons(self, episodes: Sequence[Episode], library: Snapshot, context: Context) -> tuple[Lesson, ...]:
        if not is_first(context):
            return await self.then.lessons(episodes, library, context)
        return tuple(Lesson(kind="goal", text=task.prompt, family=task.family, references=()) for task in self.tasks)


class Reflection(Frozen):
    """What a model is asked for."""

    cause: str
    blame: Blame
    skill: str | None = None
    lesson: str


def schema(loaded: Sequence[str]) -> dict[str, JsonValue]:
    """The grammar of a reflection; where several skills were shown, the model says which one it is about."""
    blame: JsonValue = {"enum": ["skill", "agent", "environment"]}
    which: dict[str, JsonValue] = {"skill": {"enum": list(loaded)}} if len(loaded) > 1 else {}
    return fields(cause=text(8, 300), blame=blame, **which, lesson=text(8, 300))


@dataclass(frozen=True, slots=True)
class Reflect:
    """Analyst: one question an episode, all of them against the same frozen library.

    A lesson of a failure is a `memory` with the blame that the model gives, that of a success a `success`.
    """

    prompt: Prompt
    """About `$task`, `$shown` (the skills it was shown), `$transcript`, `$outcome` and `$material`."""
    on: Literal["failures", "successes", "all"] = "failures"
    material: Callable[[Task], str] = lambda task: ""
    """What a teacher knows of a task and the agent does not, such as a human-written skill."""
    characters: int = 1_500

    async def lessons(self, episodes: Sequence[Episode], library: Snapshot, context: Context) -> tuple[Lesson, ...]:
        wanted = {"failures": (False,), "successes": (True,), "all": (True, False)}[self.on]
        chosen = [episode for episode in episodes if did(episode) in wanted]
        found: dict[int, Lesson] = {}

        async def one(number: int) -> None:
            lesson = await self._lesson(chosen[number], library, context)
            if lesson is not None:
                found[number] = lesson

        await for_each(range(len(chosen)), one, context.concurrency)
        return tuple(found[number] for number in sorted(found))

    async def _lesson(self, episode: Episode, library: Snapshot, context: Context) -> Lesson | None:
        task, trajectory = episode
        loaded = [skill for name in trajectory.loaded if (skill := library.get(name)) is not None]
        values = {
            "task": task.prompt,
            "shown": preload(tuple(loaded)) if loaded else "No skill was shown.",
            "transcript": transcript(trajectory, self.characters),
            "outcome": outcome(trajectory, self.characters),
            "material": self.material(task),
        }
        names = [skill.name for skill in loaded]
        request = self.prompt.request(values, seed=context.seed)
        said = await answer(context, "reflection", request, Reflection, lambda reflection: reflection, schema(names))
        if said is None:
            return None
        return Lesson(
            kind="success" if did(episode) else "memory",
            text=f"{' '.join(said.lesson.split())} (because {' '.join(said.cause.split())})",
            family=task.family,
            skill=said.skill if said.skill in names else next(iter(names), None),
            blame=said.blame,
            references=(reference_to(trajectory),),
        )
