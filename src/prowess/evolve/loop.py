"""The evolve loop: one function.

Each round collects episodes on the evidence split, turns them into lessons, lessons into patches, and passes every
patch through the recipe's gates; what is accepted changes the snapshot that the next patch and the next round see.
The loop keeps no state of its own: all that was paid for lies in `Context.store` under content keys, so running it
again after a stop replays the finished stages and goes on from there. `docs/design.md` §4.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from prowess.agents.executor import LocalExecutor
from prowess.core.cost import total
from prowess.core.errors import PatchConflict
from prowess.core.evidence import Verdict
from prowess.core.lesson import Lesson
from prowess.core.patch import Patch
from prowess.core.skill import Snapshot
from prowess.core.task import Task
from prowess.evolve.parts import Context, Episode, Recipe
from prowess.evolve.record import Decision, Point
from prowess.library.patching import apply, rebase
from prowess.measure.gates import GateContext, accepted, cascade
from prowess.measure.trials import run_trial

Apply = Callable[[Decision], str | None]
"""Called once per accepted decision to change a library on disk; must be idempotent; returns the change's id."""


class Evolved(NamedTuple):
    """What the loop leaves behind."""

    snapshot: Snapshot
    decisions: tuple[Decision, ...]
    curve: tuple[Point, ...]
    episodes: tuple[Episode, ...]


async def evolve(
    recipe: Recipe, start: Snapshot, context: Context, on_accept: Apply = lambda decision: None
) -> Evolved:
    """Run `recipe` from the snapshot `start`.

    Args:
        recipe: The parts.
        start: The library that the run begins with.
        context: Suite, executor, model and store.
        on_accept: Writes an accepted patch to disk.

    Raises:
        BudgetExceeded: A limit was reached; calling again with a larger one resumes.
    """
    library = start
    snapshots = [start]
    decisions: list[Decision] = []
    history: list[Episode] = []
    evidence: dict[str, Task] = {}
    curve: list[Point] = []
    for round_ in range(recipe.rounds):
        tasks = recipe.source.tasks(round_, library, history)
        if not tasks and round_:
            break
        episodes = await _collect(recipe, tasks, library, context)
        curve += [_point(len(curve) + i, round_, episode) for i, episode in enumerate(episodes)]
        history += episodes
        evidence |= {task.id: task for task in tasks}
        gate_context = GateContext.of(
            context,
            tuple(evidence.values()),
            lambda p: context.tell("gate", f"trial {p.done} of the next {p.total}"),
            lambda text: context.tell("gate", text),
        )
        lessons = await recipe.analyst.lessons(episodes, library, context)
        proposed = await recipe.proposer.patches(lessons, library, context)
        merged = await recipe.consolidator.merge(proposed, library, context)
        tending = recipe.maintainer.patches(library, history) if recipe.maintainer else ()
        base = library
        for patch in (*merged, *tending):
            decision, library = await _decide(recipe, round_, patch, lessons, base, library, context, gate_context)
            if decision.accepted:
                decision = decision.model_copy(update={"change": on_accept(decision)})
            decisions.append(decision)
        snapshots.append(library)
    return Evolved(recipe.selector.choose(snapshots), tuple(decisions), tuple(curve), tuple(history))


async def _collect(recipe: Recipe, tasks: Sequence[Task], library: Snapshot, context: Context) -> list[Episode]:
    async def one(task: Task) -> Episode:
        view = recipe.provider.view(task, library)
        trajectory = await run_trial(task, view, context.seed, context.agent, context.suite, context.store)
        context.tell("explore", f"{task.id}: {_word(trajectory.passed)}", task=task.id, passed=trajectory.passed)
        return Episode(task, trajectory)

    done = await LocalExecutor().map(one, tasks, context.concurrency)
    return [episode for episode in done if isinstance(episode, Episode)]


async def _decide(
    recipe: Recipe,
    round_: int,
    patch: Patch,
    lessons: Sequence[Lesson],
    base: Snapshot,
    library: Snapshot,
    context: Context,
    gates: GateContext,
) -> tuple[Decision, Snapshot]:
    """Pass one patch through the gates. A patch made against an older snapshot of the round is rebased first."""
    behind = tuple(lesson for lesson in lessons if lesson.id in patch.lessons)
    families = tuple(dict.fromkeys(lesson.family for lesson in behind if lesson.family is not None))
    try:
        patch = rebase(patch, library, base).patch
        candidate = apply(patch, library)
        verdicts = await cascade(recipe.gates, candidate, library, patch, replace(gates, families=families))
    except PatchConflict as conflict:
        candidate = library
        verdicts = (Verdict(gate="fits", status="fail", note=conflict.message),)
    ok = accepted(verdicts)
    context.tell(
        "gate",
        f"{patch.reason}: {'accepted' if ok else 'rejected'} ({verdicts[-1].gate}: {verdicts[-1].note or 'passed'})",
        patch=patch.id,
        accepted=ok,
        cost=total([v.cost for v in verdicts]).model_dump(),
    )
    return Decision(
        round=round_, patch=patch, lessons=behind, verdicts=verdicts, accepted=ok
    ), candidate if ok else library


def _point(position: int, round_: int, episode: Episode) -> Point:
    task, trajectory = episode
    return Point(
        position=position,
        round=round_,
        task_id=task.id,
        family=task.family,
        passed=trajectory.passed,
        offered=trajectory.offered,
        trajectory=trajectory.id,
    )


def _word(passed: bool | None) -> str:
    return {True: "passed", False: "failed", None: "missing"}[passed]
