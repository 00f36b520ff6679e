"""The `answer` agent: questions that need no files and no programs, with skills in the prompt or on request.

The two plain engines of SRA (arXiv 2604.24594): *direct* is a view with preloaded bodies, *progressive disclosure* a
view of names and descriptions from which the model loads by number. Its third engine, ReAct, is `ToolsAgent`.
"""

import re

from prowess.agents.prompting import preload, skill_content, used_skills
from prowess.agents.record import trajectory_of
from prowess.core.base import digest
from prowess.core.errors import BoundaryError
from prowess.core.model import Message, Model, Request
from prowess.core.skill import Skill
from prowess.core.task import Task
from prowess.core.trajectory import Observation, Step, Trajectory
from prowess.core.view import View

SYSTEM = "You answer questions. Think first, briefly; the last line is your answer, in the form that is asked for."
SKILLS = "These skills may help; use what fits."
CATALOGUE = (
    "You may read skills before you answer. To read one, answer with nothing but LOAD_SKILL: and its number. "
    "Read none when you need none."
)
UNKNOWN = "There is no such skill, or you have read it. Answer the question."
_LOAD = re.compile(r"LOAD_SKILL\W{0,3}(\d{1,4})")


class AnswerAgent:
    """Answers in one message, after up to `rounds` skills were loaded where they are disclosed progressively."""

    def __init__(self, model: Model, *, rounds: int = 10, max_tokens: int = 900, temperature: float = 0.0) -> None:
        self.model = model
        self.rounds = rounds
        self.max_tokens = max_tokens
        self.temperature = temperature

    @property
    def name(self) -> str:
        texts = digest([SYSTEM, SKILLS, CATALOGUE, UNKNOWN])[:8]
        return (
            f"answer/1 rounds={self.rounds} tokens={self.max_tokens} temperature={self.temperature} "
            f"texts={texts} model={self.model.name}"
        )

    async def run(self, task: Task, view: View, seed: int) -> Trajectory:
        system = _system(view)
        messages = [Message(role="system", content=system), Message(role="user", content=task.prompt)]
        steps = [Step(source="system", message=system), Step(source="user", message=task.prompt)]
        loaded = [s.name for s in view.skills] if view.disclosure == "preload" else []
        error: str | None = None
        try:
            for _ in range(self.rounds + 1):
                request = Request(
                    messages=tuple(messages), max_tokens=self.max_tokens, temperature=self.temperature, seed=seed
                )
                response = await self.model.complete(request)
                wanted = _LOAD.search(response.text) if view.disclosure == "progressive" and view.skills else None
                said = None if wanted is None else _load(view.skills, int(wanted[1]), loaded)
                steps.append(
                    Step(
                        source="agent", message=response.text, model=response.model, cost=response.cost,
                        observations=() if said is None else (Observation(content=said, is_error=said == UNKNOWN),),
                    )
                )  # fmt: skip
                if said is None:
                    break
                messages += [Message(role="assistant", content=response.text), Message(role="user", content=said)]
        except BoundaryError as failure:
            error = f"{type(failure).__name__}: {failure}"
        own = "\n".join(step.message for step in steps[2:])
        at_hand = tuple(s for s in view.skills if s.name in loaded)
        return trajectory_of(
            self.name, self.model.name, task, view, seed,
            loaded=tuple(loaded), used=used_skills(at_hand, own), steps=tuple(steps), outputs=(), error=error,
        )  # fmt: skip


def _system(view: View) -> str:
    if not view.skills:
        return SYSTEM
    if view.disclosure == "preload":
        return f"{SYSTEM}\n{SKILLS}\n{preload(view.skills)}"
    listed = (f"{i}. {s.name}: {' '.join(s.description.split())}" for i, s in enumerate(view.skills, 1))
    return f"{SYSTEM}\n{CATALOGUE}\n" + "\n".join(listed)


def _load(skills: tuple[Skill, ...], number: int, loaded: list[str]) -> str:
    """The content of the skill with this number in the catalogue, which counts as loaded from now on."""
    if not 1 <= number <= len(skills) or skills[number - 1].name in loaded:
        return UNKNOWN
    loaded.append(skills[number - 1].name)
    return skill_content(skills[number - 1])
