"""Trace2Skill (2603.25158): lessons from each trajectory against a frozen snapshot, merged, and gated.

As in the paper: trajectories of the training tasks; an error analyst that proves its diagnosis by a fix which passes
the evaluator; a success analyst; every proposal made from one trajectory against the same frozen snapshot; edits
merged by levels, five at a time, what has most support first; edits that miss their place translated, broken patches
fixed in up to three rounds. Deepening, where the library has a skill that the agent was shown, edits it; creation,
where it has none, writes one. `deepen` begins with the skills that people wrote.

Ours: the analyst searches by single confirmed changes; a new skill is distilled from the proven fix by program, since
a 1.5B model writes none that fits; edits name lines by number, so that none misses its place but by another edit;
merging counts support where the paper asks a model to weigh it; and no patch is kept without paired trials, nor one
that harms other families, where the paper picks the best of three seeds on the training tasks.

Reconstructed: nothing; the released code was read. Left out: files in `references/`.

Without the paper's idea (`sequential`), each trajectory is analysed against the library as those before it left it.
Without our proof (`ungated`), only the gates that run no agent remain.
"""

from collections.abc import Sequence

from prowess.core.lesson import Lesson
from prowess.evolve.consolidate import Reduce
from prowess.evolve.distil import Distil
from prowess.evolve.editing import AtFirst, Editing, Writing
from prowess.evolve.explore import Explore
from prowess.evolve.mend import Mended
from prowess.evolve.method import FREE_GATES, Ablation, Method, Setup
from prowess.evolve.prompts import prompts
from prowess.evolve.protocols import Recipe
from prowess.evolve.providers import BestMatches
from prowess.evolve.recipes.human import Given
from prowess.evolve.reflect import Reflect, Together
from prowess.evolve.selectors import Last
from prowess.evolve.sources import Late, Stream
from prowess.evolve.unseen import UnseenGate
from prowess.measure.regression import CachedOutputsGate


def recipe(setup: Setup, per_round: int | None = None, gated: bool = True, deepen: bool = False) -> Recipe:
    evidence = [setup.tasks(family, "evidence", setup.evidence) for family in setup.families]
    explored = tuple(task for tasks in evidence for task in tasks[:2])  # the second where the first gave no program
    unseen = tuple(task for tasks in evidence for task in tasks[2:])
    provider, ask, common = BestMatches(), prompts("trace2skill"), prompts("common")
    per_round = per_round or len(explored)
    stream = Stream(explored, per_round)
    write = Writing(
        Distil(setup.sandbox, {task.id: task for task in explored}),
        Editing(common["edit"], "trace2skill", groups=by_record),
    )
    proof = (
        CachedOutputsGate(provider, setup.sandbox),
        UnseenGate(unseen, provider, seed=setup.seed),
        setup.regression(provider),
        setup.trials(provider),
    )
    return Recipe(
        name="trace2skill",
        source=Late(stream) if deepen else stream,
        provider=provider,
        analyst=Together((Explore(setup.sandbox, samples=setup.samples), Reflect(ask["success"], on="successes"))),
        proposer=AtFirst(Given(setup.human_skills()), write) if deepen else write,
        consolidator=Mended(Reduce(common["merge"]), common["fix"], ask["translate"]),
        gates=(*FREE_GATES, *(proof if gated else ())),
        selector=Last(),
        rounds=-(-len(explored) // per_round) + deepen,
        checks=unseen,
    )


def by_record(lessons: Sequence[Lesson]) -> dict[str, tuple[Lesson, ...]]:
    """Lessons of one trajectory on one skill; a program is left out, for its causes say what it does."""
    found: dict[str, tuple[Lesson, ...]] = {}
    for lesson in lessons:
        if lesson.kind != "program":
            record = f"{lesson.skill}/{lesson.references[0].trajectory}"
            found[record] = (*found.get(record, ()), lesson)
    return found


METHOD = Method(
    "lessons from each trajectory against a frozen library, then gated patches",
    recipe,
    paper="Trace2Skill (2603.25158)",
    cost="high",
    ablations=(
        Ablation("sequential", "the frozen snapshot: task after task", lambda setup: recipe(setup, per_round=1)),
        Ablation("ungated", "the proof by trials (our own addition)", lambda setup: recipe(setup, gated=False)),
        Ablation("deepen", "an empty start: begins with skills by people", lambda setup: recipe(setup, deepen=True)),
    ),
)
