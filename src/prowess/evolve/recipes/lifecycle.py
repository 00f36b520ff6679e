"""Lifecycle of skills (SLIM, 2605.10923) with a frozen model: retain, retire, expand.

As in the paper: audits with and without each skill that is in use, a moving average of its contribution, retirement
after a streak of low averages, a new skill for a family that fails with none that helps. Ours: the rule nominates only,
and a skill leaves when paired trials on unseen tasks rule out a loss; new skills come from the search of `trace2skill`,
where the paper asks a large model; patience and exposure shrink with the stream, which is hundreds of times shorter.

Ablations are what the paper compares with: `keep-all`, `withdraw-all`, and `by-usage`, which goes by counts. With
`proof=False` the rule has the last word, as in the paper.
"""

from prowess.evolve.consolidate import Unmerged
from prowess.evolve.distil import Distil
from prowess.evolve.explore import Explore
from prowess.evolve.lifecycle import Lifecycle, Retire
from prowess.evolve.method import FREE_GATES, Ablation, Method, Setup
from prowess.evolve.protocols import Recipe
from prowess.evolve.providers import BestMatches
from prowess.evolve.recipes.human import Given
from prowess.evolve.selectors import Last
from prowess.evolve.sources import Stream
from prowess.measure.gates import TrialsGate
from prowess.measure.lifecycle import Rules
from prowess.measure.regression import CachedOutputsGate
from prowess.measure.stats.design import Design

PER_ROUND = 2
"""Tasks of each family in one round, so that an audit comes soon and still covers what skills are for."""
MARGIN = 0.2
"""Loss that must be ruled out before a skill leaves: 18 pairs without a difference do it."""


def recipe(setup: Setup, retire: Retire = "contribution", proof: bool = True) -> Recipe:
    by_family = [setup.tasks(family, "evidence", setup.evidence) for family in setup.families]
    starts = range(0, setup.evidence, PER_ROUND)
    stream = tuple(task for start in starts for tasks in by_family for task in tasks[start : start + PER_ROUND])
    provider, nothing = BestMatches(), Given(())
    rules = Rules(exposure=min(30, setup.evidence), failures=min(20, PER_ROUND), examples=PER_ROUND)
    return Recipe(
        name="lifecycle",
        source=Stream(stream, per_round=PER_ROUND * len(setup.families)),
        provider=provider,
        analyst=nothing,
        proposer=nothing,
        consolidator=Unmerged(),
        gates=(
            *FREE_GATES,
            *((CachedOutputsGate(provider, setup.sandbox), setup.regression(provider)) if proof else ()),
            TrialsGate(
                setup.all_tasks("gate", setup.gate),
                provider,
                design=Design(max_pairs=setup.gate, batch=3),
                removal_margin=MARGIN if proof else None,
            ),
        ),
        selector=Last(),
        maintainer=Lifecycle(
            provider,
            rules,
            retire,
            audited=len(setup.families),
            analyst=Explore(setup.sandbox, samples=setup.samples),
            proposer=Distil(setup.sandbox, {task.id: task for task in stream}),
        ),
        rounds=len(starts),
    )


METHOD = Method(
    "audits every skill, retires what does not contribute, grows where tasks fail",
    recipe,
    paper="SLIM, skill lifecycle (2605.10923)",
    cost="high",
    ablations=(
        Ablation("keep-all", "retirement", lambda setup: recipe(setup, retire="none")),
        Ablation("withdraw-all", "skills: all go after each round", lambda setup: recipe(setup, retire="all")),
        Ablation("by-usage", "audits: rarely used skills are retired", lambda setup: recipe(setup, retire="usage")),
    ),
)
