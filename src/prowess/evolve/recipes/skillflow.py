"""SkillFlow (2604.17308), its protocol of lifelong learning: after each task of a family, one patch of its skills.

As in the paper: families one after the other, the library empty at the start, the first task without a skill; after
each task the same model gets its trajectory and what the verifier said, check by check and never the answer, and
makes one patch; the next task sees it. No gate that measures: the benchmark shows that a bad early skill misleads all
later tasks, and that the winners keep about one skill a family. Ours: a patch is a draft where no skill was shown,
and edits of the one that was, under a grammar, where the paper's writes files; skills of all families share one
library, and search keeps them apart. Reconstructed: nothing.

Without skills (`raw-history`) the agent is shown the trajectories themselves, the paper's control.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from prowess.core.lesson import Lesson
from prowess.core.patch import Patch
from prowess.core.skill import Skill, Snapshot
from prowess.core.text import last_lines
from prowess.evolve.consolidate import Unmerged
from prowess.evolve.curate import Transcript
from prowess.evolve.drafting import Drafting, put
from prowess.evolve.editing import Editing, Writing
from prowess.evolve.method import FREE_GATES, Ablation, Method, Setup
from prowess.evolve.prompts import prompts
from prowess.evolve.protocols import Context, Recipe
from prowess.evolve.providers import BestMatches
from prowess.evolve.selectors import Last
from prowess.evolve.sources import Stream
from prowess.evolve.statistics import lessons_by_family

HISTORY = 6_000
"""Characters of raw history that an agent is shown, the latest."""


@dataclass(frozen=True, slots=True)
class RawHistory:
    """Proposer: what happened, as it happened, under the name of the family."""

    async def patches(self, lessons: Sequence[Lesson], library: Snapshot, context: Context) -> tuple[Patch, ...]:
        found: list[Patch] = []
        for family, group in lessons_by_family(lessons).items():
            name = f"{family}-history"
            there = library.get(name)
            happened = "\n\n".join(_quoted(lesson.text) for lesson in group)
            about = f"What was done on {family.replace('-', ' ')} tasks before"
            heading = f"# {about}\n"
            before = there.body.removeprefix(heading) if there else ""
            body = heading + last_lines(f"{before}\n{happened}", HISTORY) + "\n"
            skill = Skill(name=name, description=f"{about}. Use for such tasks.", body=body)
            ids = tuple(lesson.id for lesson in group)
            reason = f"{name}: {len(group)} more"
            found.append(
                Patch(
                    base=library.digest, operations=put(library, skill), reason=reason, lessons=ids, author="skillflow"
                )
            )
        return tuple(found)


def _quoted(text: str) -> str:
    """As a block of its own, whose lines are no headings and no fences."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def recipe(setup: Setup, raw: bool = False) -> Recipe:
    stream, common = setup.all_tasks("evidence", setup.evidence), prompts("common")
    write = Writing(Drafting(common["draft"], "skillflow"), Editing(common["edit"], "skillflow"))
    return Recipe(
        name="skillflow",
        source=Stream(stream, per_round=1),
        provider=BestMatches(),
        analyst=Transcript(),
        proposer=RawHistory() if raw else write,
        consolidator=Unmerged(),
        gates=FREE_GATES,
        selector=Last(),
        rounds=len(stream),
    )


METHOD = Method(
    "families in order; after each task the model patches its skills from trajectory and rubric",
    recipe,
    paper="SkillFlow (2604.17308)",
    cost="low",
    ablations=(Ablation("raw-history", "skills: trajectories in their place", lambda setup: recipe(setup, raw=True)),),
    needs="an author that repairs a skill from one trajectory",
)
