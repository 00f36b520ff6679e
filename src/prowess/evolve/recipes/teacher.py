"""Teacher feedback of SkillLearnBench (2604.20087, b3): the student writes, the agent tries, a teacher suggests.

As in the paper: the student writes a skill from one task; K = 3 times the agent does the task with it, the verifier
judges, and a teacher who sees the human-written skill and the failure makes suggestions; the student, who does not
see it, revises. Suggestions only, no text: what quotes the key is dropped. Ours: one model plays all roles, in
separate calls; eight words in a row of the key count as a quote; a family without a human skill is taught by the
failure alone. Reconstructed: the words of the questions.

Without the paper's idea (`untaught`) the key is withheld, and the checks' messages are all there is. Baseline is
`self_feedback`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from prowess.core.lesson import Lesson
from prowess.core.skill import Snapshot
from prowess.core.task import Task
from prowess.evolve.method import Ablation, Method, Setup
from prowess.evolve.prompts import prompts
from prowess.evolve.protocols import Analyst, Context, Episode, Recipe
from prowess.evolve.recipes.self_feedback import revised
from prowess.evolve.reflect import Reflect

K = 3
"""Revisions."""
QUOTE = 8
"""Words in a row that make a quote."""
CHARACTERS = 3_000
"""Of the key that the teacher is shown."""


@dataclass(frozen=True, slots=True)
class Discreet:
    """Analyst: what `teacher` says, without what quotes the key."""

    teacher: Analyst
    keys: dict[str, str]
    """Family → text."""

    async def lessons(self, episodes: Sequence[Episode], library: Snapshot, context: Context) -> tuple[Lesson, ...]:
        found = await self.teacher.lessons(episodes, library, context)
        kept = tuple(lesson for lesson in found if not quotes(lesson.text, self.keys.get(lesson.family or "", "")))
        if len(kept) < len(found):
            context.tell("analyse", f"{len(found) - len(kept)} suggestions quoted the key", unusable=True)
        return kept


def quotes(text: str, key: str) -> bool:
    """Whether `text` holds so many words of `key` in a row that they are a quote."""
    words, whole = text.split(), f" {' '.join(key.split())} "
    return any(f" {' '.join(words[i : i + QUOTE])} " in whole for i in range(len(words) - QUOTE + 1))


def recipe(setup: Setup, taught: bool = True) -> Recipe:
    human = {family: setup.suite.human_skill(family) for family in setup.families}
    keys = {family: skill.body for family, skill in human.items() if skill is not None}

    def key(task: Task) -> str:
        return keys.get(task.family, "")[:CHARACTERS] or "There is none."

    teacher = Discreet(Reflect(prompts("teacher")["suggest"], material=key), keys)
    return revised("teacher", setup, teacher if taught else Reflect(prompts("common")["reflect"]), K)


METHOD = Method(
    "a teacher who sees the human-written skill and the failure suggests, the student revises, three times",
    recipe,
    paper="SkillLearnBench, teacher feedback (2604.20087)",
    cost="low",
    baseline="self_feedback",
    ablations=(Ablation("untaught", "the teacher's key", lambda setup: recipe(setup, taught=False)),),
    needs="a teacher that can say what is missing without giving it away",
)
