"""EvoSkill (2603.02766): proposer and builder over a frontier of the k best skill sets.

As in the paper: an executor, a proposer that reads failures and the history of what was tried, and a builder that
turns its idea into a skill; each round starts from a member of the frontier in turn, and what it makes joins when it
beats the weakest elite on validation; the best elite is the result. Ours: a snapshot of the library in the place of a
git branch, three failures a question, k = 3; the builder is a draft or edits under a grammar; validation takes gate
tasks. Reconstructed: the words of the questions, and how parents are drawn.

Without the paper's ideas: `greedy` keeps one elite, `ahistorical` does not tell what was tried before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from prowess.core.base import Frozen
from prowess.core.lesson import Lesson
from prowess.core.skill import Snapshot
from prowess.core.text import one_line
from prowess.evolve.asking import answer, fields, text
from prowess.evolve.consolidate import Unmerged
from prowess.evolve.drafting import Drafting
from prowess.evolve.editing import Editing, Writing
from prowess.evolve.method import FREE_GATES, Ablation, Method, Setup
from prowess.evolve.prompts import Prompt, prompts
from prowess.evolve.protocols import Context, Episode, Recipe
from prowess.evolve.providers import BestMatches
from prowess.evolve.reflect import outcome, reference_to
from prowess.evolve.selectors import Best, Frontier
from prowess.evolve.sources import Stream
from prowess.evolve.statistics import by_family, did

ELITES = 3
FAILURES = 3
"""Runs that the proposer reads at once."""
ROUND = 3
"""Tasks of a round, of one family as far as they go."""
EPOCHS = 2
VALIDATION = 8
"""Gate tasks of each family that the frontier is ranked on."""


class _Idea(Frozen):
    action: Literal["create", "edit"]
    skill: str = ""
    idea: str


@dataclass(frozen=True, slots=True)
class Ideas:
    """Analyst: one idea for the failures of each family, with the skill that it is about."""

    prompt: Prompt
    """About `$skills`, `$runs` and `$history`."""
    told: bool = True
    """Whether the history is told."""

    async def lessons(self, episodes: Sequence[Episode], library: Snapshot, context: Context) -> tuple[Lesson, ...]:
        failed = by_family(episode for episode in episodes if did(episode) is False)
        found = [await self._idea(family, group[:FAILURES], library, context) for family, group in failed.items()]
        return tuple(lesson for lesson in found if lesson is not None)

    async def _idea(self, family: str, failed: Sequence[Episode], library: Snapshot, context: Context) -> Lesson | None:
        runs = (f"- {one_line(e.task.prompt, 200)} {one_line(outcome(e.trajectory), 300)}" for e in failed)
        values = {
            "skills": ", ".join(library.names) or "none yet",
            "runs": "\n".join(runs),
            "history": history(context) if self.told else "nothing",
        }
        request = self.prompt.request(values, seed=context.seed + len(context.past.rounds))
        create = fields(action={"const": "create"}, idea=text(8, 400))
        names: JsonValue = {"enum": list(library.names)}
        edit = fields(action={"const": "edit"}, skill=names, idea=text(8, 400))
        schema: dict[str, JsonValue] = {"anyOf": [create, edit]} if library.names else create
        said = await answer(context, "idea", request, _Idea, lambda idea: idea, schema)
        if said is None:
            return None
        return Lesson(
            kind="memory",
            text=" ".join(said.idea.split()),
            family=family,
            skill=said.skill if said.action == "edit" and said.skill in library.names else None,
            references=tuple(reference_to(episode.trajectory) for episode in failed),
        )


def history(context: Context, most: int = 8) -> str:
    """The ideas tried so far with what became of each, the last ones."""
    tried = [
        f"- {one_line(' '.join(lesson.text for lesson in d.lessons), 200)} ({'kept' if d.accepted else 'refused'})"
        for d in context.past.decisions
        if d.lessons
    ]
    return "\n".join(tried[-most:]) or "nothing"


def recipe(setup: Setup, elites: int = ELITES, told: bool = True) -> Recipe:
    stream = setup.all_tasks("evidence", setup.evidence) * EPOCHS
    validation = setup.all_tasks("gate", min(setup.gate, VALIDATION))
    provider, common = BestMatches(), prompts("common")
    return Recipe(
        name="evoskill",
        source=Stream(stream, per_round=ROUND),
        provider=provider,
        analyst=Ideas(prompts("evoskill")["propose"], told),
        proposer=Writing(Drafting(common["draft"], "evoskill"), Editing(common["edit"], "evoskill")),
        consolidator=Unmerged(),
        gates=FREE_GATES,
        branch=Frontier(validation, provider, elites),
        selector=Best(validation, provider),
        rounds=-(-len(stream) // ROUND),
    )


METHOD = Method(
    "a proposer and a builder over a frontier of the best skill sets",
    recipe,
    paper="EvoSkill (2603.02766)",
    cost="medium",
    ablations=(
        Ablation("greedy", "the frontier: one elite", lambda setup: recipe(setup, elites=1)),
        Ablation("ahistorical", "the history of what was tried", lambda setup: recipe(setup, told=False)),
    ),
    needs="a proposer that states the rule behind failed checks",
)
