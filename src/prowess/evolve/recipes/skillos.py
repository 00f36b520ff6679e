"""SkillOS (2605.06614), inference: a curator keeps a skill repository while tasks of related families stream by.

As in the paper: one task at a time, the best matches by BM25 in the executor's prompt, then one call of the curator
with the task, the skills and the trajectory. The paper's gate is a valid call, and nothing else. Ours also refuses what
is dangerous or broken, and what harms other families or what was learned before; whether a skill helps with its own is
not asked. Its own training signal, later tasks of the same group, is what our paired trials measure. The curator is not
trained here, so its words are ours; what it may call is held by a grammar.

Without the paper's ideas: `insert-only` lets the curator add and never mend; `ungrouped` mixes the families' tasks.
"""

from prowess.evolve.consolidate import Unmerged
from prowess.evolve.curate import Curator, Transcript
from prowess.evolve.method import FREE_GATES, Ablation, Method, Setup
from prowess.evolve.prompts import prompts
from prowess.evolve.protocols import Recipe
from prowess.evolve.providers import BestMatches
from prowess.evolve.selectors import Last
from prowess.evolve.sources import Stream


def recipe(setup: Setup, insert_only: bool = False, grouped: bool = True) -> Recipe:
    stream = (setup.all_tasks if grouped else setup.mixed_tasks)("evidence", setup.evidence)
    provider = BestMatches()
    return Recipe(
        name="skillos",
        source=Stream(stream, per_round=1),
        provider=provider,
        analyst=Transcript(),
        proposer=Curator(prompts("skillos")["curate"], insert_only),
        consolidator=Unmerged(),
        gates=(*FREE_GATES, setup.regression(provider)),
        selector=Last(),
        rounds=len(stream),
    )


METHOD = Method(
    "a curator inserts, updates and deletes skills along a stream of tasks",
    recipe,
    paper="SkillOS (2605.06614)",
    cost="low",
    ablations=(
        Ablation("insert-only", "update and delete", lambda setup: recipe(setup, insert_only=True)),
        Ablation("ungrouped", "the order by families", lambda setup: recipe(setup, grouped=False)),
    ),
    needs="a curator that writes a whole skill from one trajectory",
)
