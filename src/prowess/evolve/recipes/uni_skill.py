"""Uni-Skill (2603.02623): a planner asks for the skill that is missing; demonstrations, by verb, help to make it.

As in the paper: where no skill fits, the plan holds a request (name, what it does, arguments) instead of a forced
match; unlabelled demonstrations lie in a hierarchy, class of verb over verb over description; the nearest to the
request, found by walking it, are the examples from which the new skill is made; the skill is tried and kept.

Ours: text in place of robot videos and motions. Demonstrations are the runs that passed, and what people wrote for
*other* families of the suite, none of which a task at hand is of. Requests come after a failed try, and the task comes
again with the new skill. The verbs are our own table of nine classes. A skill is kept when the agent passes unseen
evidence tasks with it, where the paper runs it once.

Reconstructed: the words of all questions, and how near two descriptions are below a verb (their words).

Without the paper's ideas: `fixed-set` takes no request; `flat` finds demonstrations by words alone, without the tree.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from prowess.agents.prompting import code_blocks, preload
from prowess.core.lesson import Lesson
from prowess.core.patch import Patch
from prowess.core.skill import Skill, Snapshot
from prowess.evolve.consolidate import Unmerged
from prowess.evolve.drafting import drafted, put
from prowess.evolve.method import FREE_GATES, Ablation, Method, Setup
from prowess.evolve.prompts import Prompt, prompts
from prowess.evolve.protocols import Context, Recipe
from prowess.evolve.providers import BestMatches
from prowess.evolve.recipes.human import Given
from prowess.evolve.reflect import transcript
from prowess.evolve.requests import Requests, wanted
from prowess.evolve.selectors import Last
from prowess.evolve.sources import Retry
from prowess.evolve.statistics import did
from prowess.evolve.taxonomy import Taxonomy
from prowess.evolve.unseen import UnseenGate

SHOWN = 3
"""Demonstrations that a new skill is made from."""
TRIES = 2


@dataclass(frozen=True, slots=True)
class FromDemonstrations:
    """Proposer: a skill for each request, in the manner of the demonstrations that are nearest to it."""

    prompt: Prompt
    """About the `$request` and `$demonstrations`; `$skills` are names that are taken."""
    folder: tuple[Skill, ...]
    taxonomy: Taxonomy
    author: str

    async def patches(self, lessons: Sequence[Lesson], library: Snapshot, context: Context) -> tuple[Patch, ...]:
        entries = [(skill.description, preload((skill,))) for skill in self.folder]
        entries += [(e.task.prompt, transcript(e.trajectory)) for e in context.past.episodes if did(e)]
        found: list[Patch] = []
        for lesson in lessons:
            near = self.taxonomy.nearest(wanted(lesson).description, entries, SHOWN)
            values = {"request": lesson.text, "demonstrations": "\n\n".join(near) or "none"}
            skill = await drafted(context, self.prompt, values, name=wanted(lesson).name)
            if skill is not None and (operations := put(library, skill)):
                reason = f"{skill.name}: requested, from {len(near)} demonstrations"
                found.append(
                    Patch(
                        base=library.digest,
                        operations=operations,
                        reason=reason,
                        lessons=(lesson.id,),
                        author=self.author,
                    )
                )
        return tuple(found)


def demonstrations(setup: Setup) -> tuple[Skill, ...]:
    """What people wrote for families that the run is not about, as plain text with its code."""
    others = (family for family in setup.suite.families if family not in setup.families)
    written = (setup.suite.human_skill(family) for family in others)
    return tuple(skill.model_copy(update={"files": ()}) for skill in written if skill and code_blocks(skill.body))


def recipe(setup: Setup, requests: bool = True, hierarchy: bool = True) -> Recipe:
    ask, provider = prompts("uni_skill"), BestMatches()
    evidence = [setup.tasks(family, "evidence", setup.evidence) for family in setup.families]
    half = max(1, setup.evidence // 2)
    stream = tuple(task for tasks in evidence for task in tasks[:half])
    unseen = tuple(task for tasks in evidence for task in tasks[half:])
    taxonomy = Taxonomy.verbs() if hierarchy else Taxonomy.domains({})
    return Recipe(
        name="uni_skill",
        source=Retry(stream, len(setup.families), TRIES),
        provider=provider,
        analyst=Requests(ask["request"]) if requests else Given(()),
        proposer=FromDemonstrations(ask["make"], demonstrations(setup), taxonomy, "uni_skill"),
        consolidator=Unmerged(),
        gates=(*FREE_GATES, UnseenGate(unseen, provider, seed=setup.seed)),
        selector=Last(),
        rounds=TRIES * -(-len(stream) // len(setup.families)),
        checks=unseen,
    )


METHOD = Method(
    "requests the skill that is missing, made from the nearest demonstrations of a tree of verbs",
    recipe,
    paper="Uni-Skill (2603.02623)",
    cost="low",
    ablations=(
        Ablation(
            "fixed-set", "requests: the set of skills stays as it is", lambda setup: recipe(setup, requests=False)
        ),
        Ablation("flat", "the hierarchy of verbs", lambda setup: recipe(setup, hierarchy=False)),
    ),
    needs="a writer that adapts a demonstration of another trade",
)
