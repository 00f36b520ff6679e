"""One-shot of SkillLearnBench (2604.20087, b1): a skill is written from the text of one task, and nothing is run.

As in the paper: the task's text alone, one answer, no feedback, no gate that measures. Ours: one skill a family
instead of up to five, written in small steps that a grammar bounds; the four gates that run no agent. Reconstructed:
the words of the question; the paper hands the task to a coding agent.

It is the baseline of `self_feedback` and `skill_creator`; its own (`unread`) leaves out what it has, the task's text:
the model is told the name of the kind of task, so that one sees what its own knowledge is worth.
"""

from prowess.core.task import Task
from prowess.evolve.consolidate import Unmerged
from prowess.evolve.drafting import Drafting
from prowess.evolve.method import FREE_GATES, Ablation, Method, Setup
from prowess.evolve.prompts import prompts
from prowess.evolve.protocols import Recipe
from prowess.evolve.providers import BestMatches
from prowess.evolve.recipes.human import Given
from prowess.evolve.reflect import TaskTexts
from prowess.evolve.selectors import Last
from prowess.evolve.sources import Stream


def first_tasks(setup: Setup) -> tuple[Task, ...]:
    """The one task of each family that a skill is made from."""
    return tuple(t for family in setup.families for t in setup.tasks(family, "evidence", setup.evidence)[:1])


def recipe(setup: Setup, read: bool = True) -> Recipe:
    tasks = first_tasks(setup)
    told = tasks if read else tuple(t.model_copy(update={"prompt": f"A {t.family} task."}) for t in tasks)
    return Recipe(
        name="one_shot",
        source=Stream((), per_round=1),
        provider=BestMatches(),
        analyst=TaskTexts(told, Given(())),
        proposer=Drafting(prompts("common")["write"], "one_shot"),
        consolidator=Unmerged(),
        gates=FREE_GATES,
        selector=Last(),
    )


METHOD = Method(
    "a skill is written from the text of one task, and nothing is run",
    recipe,
    paper="SkillLearnBench, one-shot (2604.20087)",
    cost="low",
    ablations=(Ablation("unread", "the task's text: only its kind is named", lambda setup: recipe(setup, read=False)),),
    needs="a model that knows the work: what only this house does is not in the task's text",
)
