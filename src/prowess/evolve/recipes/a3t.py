"""A3T, ReAct meets ActRe (2403.14589): sampled actions with reasons written afterwards; contrasts teach.

As in the paper: at a failed task some actions are drawn that the agent would not have taken; a second prompt says why
one would take them, and the reason stands before the action as a thought; the run goes on from there; runs that pass
are kept beside the failed one of the same task, round after round.

Ours: what the paper trains weights with, a contrast of the two runs, becomes a lesson and a skill here, and
`prowess.evolve.sampled.exported` writes the same pairs for training. Where the action is a whole program, it is drawn
at temperature 1, and its reason is asked for once it has passed.

Reconstructed: the words of both questions; a quarter of the actions is drawn; three sampled runs a task.

Without the paper's ideas: `successes-only` does not show the failed run; `no-reasons` draws without ActRe.
"""

from prowess.evolve.consolidate import Unmerged
from prowess.evolve.drafting import Drafting
from prowess.evolve.editing import Editing, Writing
from prowess.evolve.method import FREE_GATES, Ablation, Method, Setup
from prowess.evolve.prompts import prompts
from prowess.evolve.protocols import Recipe
from prowess.evolve.providers import BestMatches
from prowess.evolve.sampled import Contrast
from prowess.evolve.selectors import Last
from prowess.evolve.sources import Retry

ROUNDS = 2
"""The paper's are four."""


def recipe(setup: Setup, contrastive: bool = True, reasons: bool = True) -> Recipe:
    ask = prompts("common") | prompts("a3t")
    stream = setup.all_tasks("evidence", setup.evidence)
    return Recipe(
        name="a3t",
        source=Retry(stream, len(stream), ROUNDS),
        provider=BestMatches(),
        analyst=Contrast(setup.sandbox, ask["reason"] if reasons else None, ask["contrast"], pairs=contrastive),
        proposer=Writing(Drafting(ask["draft"], "a3t"), Editing(ask["edit"], "a3t")),
        consolidator=Unmerged(),
        gates=FREE_GATES,
        selector=Last(),
        rounds=ROUNDS,
    )


METHOD = Method(
    "samples actions at failed tasks, explains them afterwards, learns from the contrast",
    recipe,
    paper="A3T, ReAct meets ActRe (2403.14589)",
    cost="medium",
    ablations=(
        Ablation(
            "successes-only", "the failed run beside the passed one", lambda setup: recipe(setup, contrastive=False)
        ),
        Ablation("no-reasons", "the reasons written afterwards", lambda setup: recipe(setup, reasons=False)),
    ),
)
