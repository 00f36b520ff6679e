"""Analysts that ask a model one question about each episode: what went wrong, who is to blame, what holds beyond it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from prowess.agents.prompting import preload
from prowess.core.base import Frozen
from prowess.core.lesson import Blame, Lesson, Reference
from prowess.core.skill import Snapshot
from prowess.core.task import Task
from prowess.core.text import last_lines
from prowess.core.trajectory import Trajectory
from prowess.evolve.asking import answer, fields, text
from prowess.evolve.prompts import Prompt
from prowess.evolve.protocols import Context, Episode
from prowess.evolve.statistics import did
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


class Reflection(Frozen):
    """What a model is asked for."""

    cause: str
    blame: Blame
    lesson: str


SCHEMA = fields(cause=text(8, 300), blame={"enum": ["skill", "agent", "environment"]}, lesson=text(8, 300))


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
        request = self.prompt.request(values, seed=context.seed)
        said = await answer(context, "reflection", request, Reflection, lambda reflection: reflection, SCHEMA)
        if said is None:
            return None
        return Lesson(
            kind="success" if did(episode) else "memory",
            text=f"{' '.join(said.lesson.split())} (because {' '.join(said.cause.split())})",
            family=task.family,
            skill=loaded[0].name if loaded else None,
            blame=said.blame,
            references=(reference_to(trajectory),),
        )
