"""Skill-creator of SkillLearnBench (2604.20087, b4): analyse, investigate, write, validate.

As in the paper: a staged pipeline from one task, after the skill that Anthropic publishes for creating skills: what
is asked for, then what the files are like, then the text, then a validator whose complaints are mended; no run of the
agent. Ours: two small questions for the first two stages, lines of what they say go to the writer; the validator is
our lint, in up to three rounds. Reconstructed: what each stage asks.

Without the paper's idea (`one-stage`) it is `one_shot`, its baseline; `unvalidated` leaves out the last stage.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from prowess.agents.preview import preview
from prowess.core.base import Frozen
from prowess.core.lesson import Lesson
from prowess.core.skill import Snapshot
from prowess.core.task import Task
from prowess.evolve.asking import answer, fields, text, texts
from prowess.evolve.consolidate import Unmerged
from prowess.evolve.drafting import Drafting
from prowess.evolve.mend import Mended
from prowess.evolve.method import FREE_GATES, Ablation, Method, Setup
from prowess.evolve.prompts import prompts
from prowess.evolve.protocols import Context, Episode, Recipe
from prowess.evolve.providers import BestMatches
from prowess.evolve.recipes import one_shot
from prowess.evolve.recipes.human import Given
from prowess.evolve.reflect import TaskTexts, Together
from prowess.evolve.selectors import Last
from prowess.evolve.sources import Stream

ASK = prompts("skill_creator")
_LINE = text(8, 200)


class _Analysis(Frozen):
    goal: str
    takes: str
    gives: str
    checks: tuple[str, ...]


class _Facts(Frozen):
    facts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Investigation:
    """Analyst: what the tasks ask for and what their files are like, as lines for the writer. Nothing is run."""

    tasks: tuple[Task, ...]

    async def lessons(self, episodes: Sequence[Episode], library: Snapshot, context: Context) -> tuple[Lesson, ...]:
        found: list[Lesson] = []
        for task in self.tasks:
            lines = [*await _analysed(task, context), *await _investigated(task, context)]
            found += [Lesson(kind="goal", text=line, family=task.family, references=()) for line in lines]
        return tuple(found)


async def _analysed(task: Task, context: Context) -> tuple[str, ...]:
    request = ASK["analyse"].request({"about": task.family, "task": task.prompt}, seed=context.seed)
    schema = fields(goal=_LINE, takes=_LINE, gives=_LINE, checks=texts(1, 4, _LINE))
    said = await answer(context, "analysis", request, _Analysis, lambda said: said, schema)
    if said is None:
        return ()
    return (said.goal, f"It takes: {said.takes}", f"It gives: {said.gives}", *(f"Check: {c}" for c in said.checks))


async def _investigated(task: Task, context: Context) -> tuple[str, ...]:
    values = {"task": task.prompt, "files": preview(task.files) or "none"}
    request = ASK["investigate"].request(values, seed=context.seed)
    said = await answer(
        context, "investigation", request, _Facts, lambda said: said.facts, fields(facts=texts(1, 5, _LINE))
    )
    return said or ()


def recipe(setup: Setup, staged: bool = True, validated: bool = True) -> Recipe:
    tasks, common = one_shot.first_tasks(setup), prompts("common")
    texts_only = TaskTexts(tasks, Given(()))
    return Recipe(
        name="skill_creator",
        source=Stream((), per_round=1),
        provider=BestMatches(),
        analyst=Together((texts_only, Investigation(tasks))) if staged else texts_only,
        proposer=Drafting(common["write"], "skill_creator"),
        consolidator=Mended(Unmerged(), common["fix"]) if staged and validated else Unmerged(),
        gates=FREE_GATES,
        selector=Last(),
    )


METHOD = Method(
    "a skill is made from one task in stages: analyse, investigate, write, validate",
    recipe,
    paper="SkillLearnBench, skill-creator (2604.20087)",
    cost="low",
    baseline="one_shot",
    ablations=(
        Ablation("one-stage", "analysis, investigation and validation", lambda setup: recipe(setup, staged=False)),
        Ablation("unvalidated", "validation", lambda setup: recipe(setup, validated=False)),
    ),
    needs="a model that knows the work: what only this house does is not in the task's text",
)
