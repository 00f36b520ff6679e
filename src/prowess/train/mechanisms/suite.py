"""The mechanism `rules` as a suite of prowess, with its agent: skills, trials and a library, for a model of any size.

Families are `rule-a`, `rule-b` and so on; the skill of a family has its name, and the two letters of its rule as its
text.
"""

from prowess.agents.prompting import used_skills
from prowess.agents.record import trajectory_of
from prowess.core.errors import BoundaryError
from prowess.core.model import Message, Model, Request
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import Check, File, Score, Split, Task
from prowess.core.trajectory import Step, Trajectory
from prowess.core.view import View
from prowess.train.mechanisms.rules import Rules

DISTINCT = 8
"""Draws for each task asked for, before the family counts as exhausted."""


class RulesSuite:
    """Tasks of `Rules`, each prompt once."""

    name = "rules"

    def __init__(self, world: Rules | None = None) -> None:
        self.world = world or Rules()
        self.families = tuple(f"rule-{letter.lower()}" for letter in self.world.rules)

    def variants(self, family: str) -> tuple[str, ...]:
        return ("base",)

    def tasks(self, family: str, split: Split, n: int, variant: str = "base", start: int = 0) -> tuple[Task, ...]:
        letter = family[-1].upper()
        apart: dict[str, Task] = {}
        for task in self.world.tasks(split, DISTINCT * (start + n), family=letter):
            apart.setdefault(task.prompt, task)
        found = list(apart.values())[start : start + n]
        return tuple(task.model_copy(update={"family": family}) for task in found)

    def check(self, task: Task, outputs: tuple[File, ...], answer: str = "") -> Score:
        right = self.world.check(task, answer.strip()) == 1.0
        said = Check(name="rule", passed=right, message="" if right else "the rule of the family was not kept")
        return Score(value=float(right), passed=right, checks=(said,), verifier="suite:rules", trusted=True)

    def oracle(self, task: Task) -> tuple[File, ...] | None:
        return None

    def human_skill(self, family: str) -> Skill:
        return Skill(
            name=family, description=f"The rule of family {family[-1].upper()}.",
            body=self.world.skill(family[-1].upper()) + "\n",
        )  # fmt: skip


class ByFamily:
    """Shows the skill that has the name of the task's family, if there is one."""

    def view(self, task: Task, library: Snapshot) -> View:
        skill = library.get(task.family)
        return View(snapshot=library.digest, skills=(skill,) if skill else ())


class BareAgent:
    """Shows the texts of the skills, a bar, and the task, and nothing else; the answer is the message."""

    def __init__(self, model: Model) -> None:
        self.model = model

    @property
    def name(self) -> str:
        return f"bare/1 model={self.model.name}"

    async def run(self, task: Task, view: View, seed: int) -> Trajectory:
        prompt = "|".join([*(skill.body.strip() for skill in view.skills), task.prompt])
        steps, error = [Step(source="user", message=prompt)], None
        try:
            response = await self.model.complete(Request(messages=(Message(role="user", content=prompt),), seed=seed))
            steps.append(
                Step(source="agent", message=response.text, model=response.model, cost=response.cost)
            )  # fmt: skip
        except BoundaryError as failure:
            error = f"{type(failure).__name__}: {failure}"
        return trajectory_of(
            self.name, self.model.name, task, view, seed, loaded=tuple(s.name for s in view.skills),
            used=used_skills(view.skills, steps[-1].message), steps=tuple(steps), outputs=(), error=error,
        )  # fmt: skip
