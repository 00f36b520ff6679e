"""SkillOpt (2605.23904): the text of a skill is trained like weights, in bounded steps that must improve.

As in the paper: a step takes a minibatch of eight runs, reflects on them together, and makes at most L = 4 edits (the
learning rate); a step is kept only when it is strictly better on validation tasks, a tie is refused; what was refused
is kept in a buffer and shown, so that it is not tried again; several epochs over the same tasks. Ours: edits name
lines under a grammar; where there is no skill yet, the first step drafts one; validation takes gate tasks.
Reconstructed: the words of the questions. Left out: the slow update of an epoch and the optimiser's own meta-skill.

Without the paper's ideas: `forgetful` does not show what was refused; `loose` keeps ties; `boundless` edits at will.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from prowess.core.base import Frozen
from prowess.core.lesson import Lesson
from prowess.core.skill import Snapshot
from prowess.core.text import one_line
from prowess.evolve.asking import answer, fields, text, texts
from prowess.evolve.consolidate import Unmerged
from prowess.evolve.drafting import Drafting
from prowess.evolve.editing import Editing, Writing
from prowess.evolve.method import FREE_GATES, Ablation, Method, Setup
from prowess.evolve.prompts import Prompt, prompts
from prowess.evolve.protocols import Context, Episode, Recipe
from prowess.evolve.providers import BestMatches
from prowess.evolve.reflect import outcome, reference_to
from prowess.evolve.selectors import Best
from prowess.evolve.sources import Stream
from prowess.evolve.statistics import by_family, by_skill, did
from prowess.evolve.strict import StrictGate

BATCH = 8
"""Runs in a minibatch."""
EDITS = 4
"""Of a step at most: the learning rate."""
EPOCHS = 2
VALIDATION = 8
"""Gate tasks of each family that a step must do better on."""


class _Rules(Frozen):
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Minibatch:
    """Analyst: one question about the runs of a skill together, or those of a family where no skill was shown."""

    prompt: Prompt
    """About `$skill` and `$runs`."""
    size: int = BATCH

    async def lessons(self, episodes: Sequence[Episode], library: Snapshot, context: Context) -> tuple[Lesson, ...]:
        known = [episode for episode in episodes if did(episode) is not None]
        batches = [
            group[start : start + self.size]
            for name, shown in by_skill(known).items()
            for group in ([shown] if name else by_family(shown).values())
            for start in range(0, len(group), self.size)
        ]
        found = [lesson for batch in batches for lesson in await self._lessons(batch, library, context)]
        return tuple(found)

    async def _lessons(self, batch: Sequence[Episode], library: Snapshot, context: Context) -> list[Lesson]:
        if all(did(episode) for episode in batch):
            return []  # nothing to gain
        names = batch[0].trajectory.loaded
        skill = library.get(names[0]) if names else None
        runs = "\n".join(f"- {one_line(e.task.prompt, 200)} {one_line(outcome(e.trajectory), 300)}" for e in batch)
        values = {"skill": skill.body if skill else "There is none yet.", "runs": runs}
        request = self.prompt.request(values, seed=context.seed)
        schema = fields(rules=texts(0, 3, text(8, 240)))
        rules = await answer(context, "reflection", request, _Rules, lambda said: said.rules, schema)
        references = tuple(reference_to(episode.trajectory) for episode in batch)
        return [
            Lesson(
                kind="memory",
                text=" ".join(rule.split()),
                family=batch[0].task.family,
                skill=skill.name if skill else None,
                references=references,
            )
            for rule in rules or ()
        ]


def recipe(setup: Setup, remembers: bool = True, ties: bool = False, edits: int = EDITS) -> Recipe:
    tasks = setup.all_tasks("evidence", setup.evidence)
    stream, batch = tasks * EPOCHS, min(BATCH, len(tasks))
    validation = setup.all_tasks("gate", min(setup.gate, VALIDATION))
    provider, common = BestMatches(), prompts("common")
    return Recipe(
        name="skillopt",
        source=Stream(stream, per_round=batch),
        provider=provider,
        analyst=Minibatch(prompts("skillopt")["reflect"]),
        proposer=Writing(
            Drafting(common["draft"], "skillopt"),
            Editing(common["edit"], "skillopt", most=edits, remembers=remembers),
        ),
        consolidator=Unmerged(),
        gates=(*FREE_GATES, StrictGate(provider, validation, ties=ties, seed=setup.seed)),
        selector=Best(validation, provider),
        rounds=-(-len(stream) // batch),
    )


METHOD = Method(
    "the text of a skill is trained like weights: minibatches, few edits a step, strict improvement",
    recipe,
    paper="SkillOpt (2605.23904)",
    cost="medium",
    ablations=(
        Ablation("forgetful", "the buffer of refused edits", lambda setup: recipe(setup, remembers=False)),
        Ablation("loose", "strictness: a tie is kept", lambda setup: recipe(setup, ties=True)),
        Ablation("boundless", "the bound on edits a step", lambda setup: recipe(setup, edits=64)),
    ),
    needs="an editor that turns failures into rules",
)
