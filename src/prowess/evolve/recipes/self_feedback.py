"""Self-feedback of SkillLearnBench (2604.20087, b2): a skill is written, tried on its task and revised, twice.

As in the paper: written from one task, then K = 2 times: the agent does that task with it, and the author revises it
by its own look at the trace. No verifier speaks, so it can drift, as the paper found. Ours: revisions are edits of
lines; the four gates that run no agent. Reconstructed: the words of the questions.

Without the paper's idea (`unreviewed`) it is `one_shot`, its baseline. With what the paper finds missing
(`verified`), the checks' messages are told.
"""

from prowess.evolve.consolidate import Unmerged
from prowess.evolve.drafting import Drafting
from prowess.evolve.editing import Editing, Writing
from prowess.evolve.method import FREE_GATES, Ablation, Method, Setup
from prowess.evolve.prompts import prompts
from prowess.evolve.protocols import Analyst, Recipe
from prowess.evolve.providers import BestMatches
from prowess.evolve.recipes import one_shot
from prowess.evolve.reflect import Reflect, TaskTexts
from prowess.evolve.selectors import Last
from prowess.evolve.sources import Late, Stream

K = 2
"""Revisions."""


def revised(name: str, setup: Setup, analyst: Analyst, times: int) -> Recipe:
    """A skill from the text of one task of each family, then so many revisions by what `analyst` finds."""
    tasks, common = one_shot.first_tasks(setup), prompts("common")
    return Recipe(
        name=name,
        source=Late(Stream(tasks * times, per_round=len(tasks))),
        provider=BestMatches(),
        analyst=TaskTexts(tasks, analyst),
        proposer=Writing(Drafting(common["write"], name), Editing(common["edit"], name)),
        consolidator=Unmerged(),
        gates=FREE_GATES,
        selector=Last(),
        rounds=1 + times,
    )


def recipe(setup: Setup, times: int = K, verified: bool = False) -> Recipe:
    review = Reflect(prompts("self_feedback")["review"], on="all")
    verify = Reflect(prompts("common")["reflect"])
    return revised("self_feedback", setup, verify if verified else review, times)


METHOD = Method(
    "a skill is written, tried on its task and revised by its author's own look, twice",
    recipe,
    paper="SkillLearnBench, self-feedback (2604.20087)",
    cost="low",
    baseline="one_shot",
    ablations=(
        Ablation("unreviewed", "feedback", lambda setup: recipe(setup, times=0)),
        Ablation(
            "verified", "its own look: the checks' messages in its place", lambda setup: recipe(setup, verified=True)
        ),
    ),
    needs="an author that sees by itself what is wrong with an answer",
)
