"""Trace2Skill (2603.25158): lessons from each trajectory against a frozen snapshot, merged, and gated.

As in the paper: trajectories of the training tasks; an error analyst that proves its diagnosis by a fix which passes
the evaluator; every proposal made against the same frozen snapshot; prevalence decides the order. Ours: the analyst
searches by single confirmed changes and the proposer distils the proven fix, both without model-written edits, since a
1.5B model writes none that fit; and no patch is kept without paired trials, nor one that harms other families, where
the paper picks the best of three seeds on the training tasks.

Without the paper's idea (`sequential`), each trajectory is analysed against the library as those before it left it.
Without our proof (`ungated`), only the gates that run no agent remain.
"""

from prowess.evolve.consolidate import Unmerged
from prowess.evolve.distil import Distil
from prowess.evolve.explore import Explore
from prowess.evolve.method import Ablation, Method, Setup
from prowess.evolve.protocols import Recipe
from prowess.evolve.providers import BestMatches
from prowess.evolve.selectors import Last
from prowess.evolve.sources import Stream
from prowess.evolve.unseen import UnseenGate
from prowess.measure.gates import FormatGate, LintGate, ScanGate, TrialsGate
from prowess.measure.permission import PermissionGate
from prowess.measure.regression import CachedOutputsGate
from prowess.measure.stats.design import Design


def recipe(setup: Setup, per_round: int | None = None, gated: bool = True) -> Recipe:
    evidence = [setup.tasks(family, "evidence", setup.evidence) for family in setup.families]
    explored = tuple(task for tasks in evidence for task in tasks[:2])  # the second where the first gave no program
    unseen = tuple(task for tasks in evidence for task in tasks[2:])
    provider = BestMatches()
    per_round = per_round or len(explored)
    proof = (
        CachedOutputsGate(provider, setup.sandbox),
        UnseenGate(unseen, provider=provider, seed=setup.seed),
        setup.regression(provider),
        TrialsGate(setup.all_tasks("gate", setup.gate), provider, design=Design(max_pairs=setup.gate, batch=3)),
    )
    return Recipe(
        name="trace2skill",
        source=Stream(explored, per_round),
        provider=provider,
        analyst=Explore(setup.sandbox, samples=setup.samples),
        proposer=Distil(setup.sandbox, {task.id: task for task in explored}),
        consolidator=Unmerged(),
        gates=(
            FormatGate(),
            ScanGate(),
            PermissionGate(),
            LintGate(),
            *(proof if gated else ()),
        ),
        selector=Last(),
        rounds=-(-len(explored) // per_round),
        checks=unseen,
    )


METHOD = Method(
    "lessons from each trajectory against a frozen library, then gated patches",
    recipe,
    paper="Trace2Skill (2603.25158)",
    cost="high",
    ablations=(
        Ablation("sequential", "the frozen snapshot: task after task", lambda setup: recipe(setup, per_round=1)),
        Ablation("ungated", "the proof by trials (our own addition)", lambda setup: recipe(setup, gated=False)),
    ),
)
