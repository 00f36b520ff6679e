"""The evolve loop: one function.

Each round collects episodes on the evidence split, turns them into lessons, lessons into patches, and passes every
patch through the recipe's gates; what is accepted changes the snapshot that the next patch and the next round see, and
leaves behind tasks that later patches must keep solved. Then the recipe's maintainer, if it has one, tends the library.
A recipe that keeps several snapshots alive says with `branch` from which one the next round starts.
The loop keeps no state of its own: all that was paid for lies in `Context.store` under content keys, so running it
again after a stop replays the finished stages and goes on from there. `docs/design.md` §4.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from prowess.agents.models.meter import AllowanceSpent
from prowess.core.cost import total
from prowess.core.errors import PatchConflict
from prowess.core.evidence import Verdict
from prowess.core.lesson import Lesson
from prowess.core.patch import Patch
from prowess.core.skill import Snapshot
from prowess.core.task import Task
from prowess.core.trajectory import Trajectory
from prowess.core.upkeep import Audit, KeptTask
from prowess.evolve.protocols import Context, Episode, Past, Recipe
from prowess.evolve.record import Decision, Point
from prowess.guard.redact import redact_patch
from prowess.library.patching import apply, difference, rebase, touched
from prowess.measure.gates import ApprovalGate, Gate, GateContext, accepted, cascade, changed
from prowess.measure.pool import map_each
from prowess.measure.regression import kept_task
from prowess.measure.trials import run_trial
from prowess.suites.selfmade import NAME as SELFMADE

Settle = Callable[[Decision, tuple[KeptTask, ...]], str | None]
"""Called with each decision, and the tasks that an accepted one leaves behind, to make it so in a library on disk. Must
be idempotent; returns the id of the change, if it made one."""
CHECKS = 2
"""Regression checks that an accepted patch leaves behind at most."""
TRIES = 3
"""Tasks that are tried for them at most; those that a gate has run already cost nothing."""


class Evolved(NamedTuple):
    """What the loop leaves behind."""

    snapshot: Snapshot
    decisions: tuple[Decision, ...]
    curve: tuple[Point, ...]
    episodes: tuple[Episode, ...]
    audits: tuple[Audit, ...] = ()
    """Those that this run made."""
    ended: str = ""
    """Why learning ended early; empty where it did not."""


async def evolve(
    recipe: Recipe,
    start: Snapshot,
    context: Context,
    settle: Settle = lambda decision, kept: None,
    *,
    kept: Sequence[KeptTask] = (),
    audits: Sequence[Audit] = (),
) -> Evolved:
    """Run `recipe` from the snapshot `start`.

    Args:
        recipe: The parts.
        start: The library that the run begins with.
        context: Suite, executor, model and store.
        settle: Writes decisions to disk.
        kept: Tasks that earlier changes of the library left behind.
        audits: Those that were made before, oldest first.

    An allowance that is spent ends learning: what was accepted until then is the result.

    Raises:
        BudgetExceeded: A limit was reached; calling again with a larger one resumes.
    """
    run = _Run(recipe, context, settle, start, kept=list(kept), audits=list(audits))
    ended = ""
    try:
        await run.learn()
    except AllowanceSpent as spent:
        ended = spent.message
        context.tell("apply", f"learning ends here: {ended}")
    made = tuple(run.audits[len(audits) :])
    return Evolved(run.library, tuple(run.decisions), tuple(run.curve), run.context.past.episodes, made, ended)


@dataclass(slots=True)
class _Run:
    """Where a run stands: the library, what it must keep solved, what was seen and what was decided."""

    recipe: Recipe
    base: Context
    settle: Settle
    library: Snapshot
    kept: list[KeptTask]
    evidence: dict[str, Task] = field(default_factory=dict[str, Task])
    rounds: list[tuple[Episode, ...]] = field(default_factory=list[tuple[Episode, ...]])
    decisions: list[Decision] = field(default_factory=list[Decision])
    audits: list[Audit] = field(default_factory=list[Audit])
    curve: list[Point] = field(default_factory=list[Point])

    async def learn(self) -> None:
        """All rounds, and the choice among what they left behind."""
        recipe, snapshots = self.recipe, [self.library]
        for round_ in range(recipe.rounds):
            if recipe.branch is not None and round_:
                self.move(round_, await recipe.branch.choose(snapshots, self.context))
            tasks = await recipe.source.tasks(round_, self.library, self.context)
            if not tasks and round_:
                break
            self.saw(round_, await _collect(recipe, tasks, self.library, self.base))
            lessons = await recipe.analyst.lessons(self.rounds[-1], self.library, self.context)
            proposed = await recipe.proposer.patches(lessons, self.library, self.context)
            await self.decide(round_, await recipe.consolidator.merge(proposed, self.library, self.context), lessons)
            if recipe.maintainer is not None:
                tending = await recipe.maintainer.tend(self.library, self.rounds, tuple(self.audits), self.context)
                self.audits += tending.audits
                await self.decide(round_, tending.patches, tending.lessons)
            snapshots.append(self.library)
        self.move(recipe.rounds, await recipe.selector.choose(snapshots, self.context))

    @property
    def context(self) -> Context:
        return replace(self.base, past=Past(tuple(self.rounds), tuple(self.decisions)))

    def saw(self, round_: int, episodes: Sequence[Episode]) -> None:
        self.rounds.append(tuple(episodes))
        self.curve += [_point(len(self.curve) + i, round_, episode) for i, episode in enumerate(episodes)]
        self.evidence |= {task.id: task for task, _ in episodes}

    def move(self, round_: int, chosen: Snapshot) -> None:
        """Make `chosen`, one of the snapshots that the run has been at, the library, on disk as well."""
        if chosen.digest == self.library.digest:
            return
        patch = Patch(
            base=self.library.digest,
            operations=difference(self.library, chosen),
            reason=f"goes back to an earlier library (round {round_})",  # so that each move is a patch of its own
            author=self.recipe.name,
        )
        verdict = Verdict(gate="selector", status="pass", note="chosen among the libraries of this run")
        decision = Decision(round=round_, patch=patch, verdicts=(verdict,), accepted=True)
        self.library = chosen
        self.decisions.append(decision.model_copy(update={"change": self.settle(decision, ())}))

    async def decide(self, round_: int, patches: Sequence[Patch], lessons: Sequence[Lesson]) -> None:
        """Pass patches, all made against the library as it is now, through the gates, one after the other."""
        base = self.library
        for offered in patches:
            behind = tuple(lesson for lesson in lessons if lesson.id in offered.lessons)
            families = tuple(dict.fromkeys(lesson.family for lesson in behind if lesson.family is not None))
            patch, candidate, verdicts = await self._judge(offered, base, families)
            decision = Decision(
                round=round_, patch=patch, lessons=behind, verdicts=verdicts, accepted=accepted(verdicts)
            )
            said = f"{verdicts[-1].gate}: {verdicts[-1].note or 'passed'}"
            self.base.tell(
                "gate",
                f"{patch.reason}: {'accepted' if decision.accepted else 'rejected'} ({said})",
                patch=patch.id,
                accepted=decision.accepted,
                cost=total([v.cost for v in verdicts]).model_dump(),
            )
            left: tuple[KeptTask, ...] = ()
            if decision.accepted:
                left = await self._checks(candidate, families)
                self.library = candidate
                self.kept += left
            self.decisions.append(decision.model_copy(update={"change": self.settle(decision, left)}))

    async def _judge(
        self, patch: Patch, base: Snapshot, families: tuple[str, ...]
    ) -> tuple[Patch, Snapshot, tuple[Verdict, ...]]:
        """The patch as it fits the library now, the library with it, and the gates' answers."""
        patch = redact_patch(patch)
        gates: tuple[Gate, ...] = self.recipe.gates
        if self.base.foreign & {*touched(patch)} and not any(isinstance(g, ApprovalGate) for g in gates):
            gates = (*gates, ApprovalGate())
        context = replace(
            GateContext.of(
                self.base,
                tuple(self.evidence.values()),
                lambda p: self.base.tell("gate", f"trial {p.done} of the next {p.total}"),
                lambda text: self.base.tell("gate", text),
            ),
            families=families,
            kept=tuple(self.kept),
        )
        try:
            patch = rebase(patch, self.library, base).patch
            candidate = apply(patch, self.library)
            return patch, candidate, await cascade(gates, candidate, self.library, patch, context)
        except PatchConflict as conflict:
            return patch, self.library, (Verdict(gate="fits", status="fail", note=conflict.message),)

    async def _checks(self, candidate: Snapshot, families: tuple[str, ...]) -> tuple[KeptTask, ...]:
        """Tasks that the agent passes with what has just been accepted, for later patches to keep solved."""
        new = {skill.digest for skill in changed(candidate, self.library)}
        found: list[KeptTask] = []
        tried = 0
        of_suite = tuple(task for task in reversed(self.evidence.values()) if task.suite != SELFMADE)
        for task in self.recipe.checks or of_suite:
            view = self.recipe.provider.view(task, candidate)
            if (families and task.family not in families) or not new & {s.digest for s in view.skills}:
                continue
            c = self.base
            check = kept_task(task, view, await run_trial(task, view, c.seed, c.agent, c.suite, c.store))
            found += [check] if check is not None else []
            tried += 1
            if tried == TRIES or len(found) == CHECKS:
                break
        return tuple(found)


async def _collect(recipe: Recipe, tasks: Sequence[Task], library: Snapshot, context: Context) -> list[Episode]:
    """The episodes of one round: each task as often as the recipe says, under seeds of its own."""
    wanted = [(task, context.seed + number) for task in tasks for number in range(recipe.rollouts)]

    async def one(chosen: tuple[Task, int]) -> Episode:
        task, seed = chosen
        view = recipe.provider.view(task, library)
        suite = context.suite_of(task)
        trajectory = await run_trial(task, view, seed, context.agent, suite, context.store)
        if suite is not context.suite and trajectory.status == "completed":
            trajectory = await _scored(recipe, Episode(task, trajectory), context)
        context.tell("explore", f"{task.id}: {_word(trajectory.passed)}", task=task.id, passed=trajectory.passed)
        return Episode(task, trajectory)

    return await map_each(wanted, one, context.concurrency)


async def _scored(recipe: Recipe, episode: Episode, context: Context) -> Trajectory:
    """The run of a task that a model made, with the score of the recipe's verifier, which is never trusted."""
    score = await recipe.verifier.score(episode, context) if recipe.verifier is not None else None
    untrusted = score.model_copy(update={"trusted": False}) if score is not None else None
    return episode.trajectory.model_copy(update={"score": untrusted})


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
