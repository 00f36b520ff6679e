"""Memento-Skills (2603.18743): read a skill, act, and where it fails write: patch the skill or discover a new one.

As in the paper (its released code has none of this): each task up to K = 3 times; the router's best skill, and a new
one where none fits; of a failure, which skill is to blame and why; the utility of a skill is its share of successes,
and one with a low utility (below a half) after two runs at least is written anew, another patched in place; a unit
test decides, and what does not pass is rolled back. Ours: the unit test is the verifier's: with the change more of
the tasks seen so far pass than without it, and nothing that earlier changes solved is lost; scripts run their own
tests, too. A run counts once in a utility. Reconstructed: both thresholds, and the words of the questions. Left out:
the memory of tips, whose lines the skill holds, and the trained router.

Without the paper's ideas: `read-only` never writes; `untested` takes a change without its test; `patch-only` has no
discovery by utility.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from prowess.core.lesson import Lesson
from prowess.core.patch import Patch
from prowess.core.skill import Snapshot
from prowess.evolve.consolidate import Unmerged
from prowess.evolve.drafting import Drafting, drafted, listed, put
from prowess.evolve.editing import Editing, Writing
from prowess.evolve.method import FREE_GATES, Ablation, Method, Setup
from prowess.evolve.prompts import prompts
from prowess.evolve.protocols import Context, Episode, Past, Proposer, Recipe
from prowess.evolve.providers import BestMatches
from prowess.evolve.recipes.human import Given
from prowess.evolve.reflect import Reflect
from prowess.evolve.selectors import Last
from prowess.evolve.selftest import SelfTestGate
from prowess.evolve.sources import Retry
from prowess.evolve.statistics import NO_SKILL, Utility, lessons_by_skill, utilities
from prowess.evolve.strict import StrictGate
from prowess.library.patching import touched

TRIES = 3
LOW = 0.5
"""Utility below which a skill is written anew."""
RUNS = 2
"""That a utility must rest on."""


@dataclass(frozen=True, slots=True)
class Rewriting:
    """Proposer: lessons about skills of low utility give a skill written anew; all others go to `patch`."""

    patch: Proposer
    low: float = LOW

    async def patches(self, lessons: Sequence[Lesson], library: Snapshot, context: Context) -> tuple[Patch, ...]:
        found, rest = list[Patch](), list[Lesson]()
        for name, group in lessons_by_skill([x for x in lessons if x.blame == "skill"]).items():
            utility = utilities(since_changed(name, context.past)).get(name, Utility())
            if name == NO_SKILL or utility.n < RUNS or utility.share >= self.low:
                rest += group
                continue
            values = {"about": group[0].family or "", "skills": ", ".join(library.names), "lessons": listed(group)}
            skill = await drafted(context, prompts("common")["draft"], values, name=name)
            if skill is not None and (operations := put(library, skill)):
                reason = f"{name}: written anew, {utility.passed} of {utility.n} runs passed"
                ids = tuple(lesson.id for lesson in group)
                found.append(
                    Patch(base=library.digest, operations=operations, reason=reason, lessons=ids, author="memento")
                )
        return (*found, *await self.patch.patches(rest, library, context))


def since_changed(skill: str, past: Past) -> tuple[Episode, ...]:
    """The episodes since `skill` was last changed: a new version does not answer for the runs of the one before."""
    changes = [d.round for d in past.decisions if d.accepted and skill in touched(d.patch)]
    return tuple(episode for round_ in past.rounds[max(changes, default=-1) + 1 :] for episode in round_)


def recipe(setup: Setup, writes: bool = True, tested: bool = True, low: float = LOW) -> Recipe:
    stream, provider, common = setup.all_tasks("evidence", setup.evidence), BestMatches(), prompts("common")
    write = Writing(Drafting(common["draft"], "memento"), Editing(common["edit"], "memento"))
    test = (SelfTestGate(setup.sandbox), StrictGate(provider, name="unit-test", seed=setup.seed))
    return Recipe(
        name="memento",
        source=Retry(stream, per_round=1, tries=TRIES),
        provider=provider,
        analyst=Reflect(common["reflect"]) if writes else Given(()),
        proposer=Rewriting(write, low) if writes else Given(()),
        consolidator=Unmerged(),
        gates=(*FREE_GATES, *((*test, setup.regression(provider)) if tested else ())),
        selector=Last(),
        rounds=len(stream) * TRIES,
    )


METHOD = Method(
    "each task up to three times; a failure patches the skill to blame, or discovers a new one, under a unit test",
    recipe,
    paper="Memento-Skills (2603.18743)",
    cost="medium",
    ablations=(
        Ablation("read-only", "the write phase", lambda setup: recipe(setup, writes=False)),
        Ablation("untested", "the unit test", lambda setup: recipe(setup, tested=False)),
        Ablation("patch-only", "discovery by utility", lambda setup: recipe(setup, low=0.0)),
    ),
    needs="an analyst that states the rule behind a failed check",
)
