"""Tending a library: audits, retirement and growth between the rounds of the loop. The rules are in `measure`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from prowess.core.base import digest
from prowess.core.evidence import Verdict
from prowess.core.lesson import Lesson
from prowess.core.patch import Patch
from prowess.core.skill import Snapshot
from prowess.core.task import Task
from prowess.core.upkeep import Audit, KeptTask
from prowess.evolve.protocols import Analyst, Context, Episode, Proposer, Tending
from prowess.library.archive import removal
from prowess.library.patching import apply
from prowess.measure.compare import compare
from prowess.measure.gates import Gate, GateContext, Provider, cascade
from prowess.measure.lifecycle import Outcome, Rules, gaps, rarely_used, standing_of
from prowess.measure.trials import Arm, Bench, run_trials

Retire = Literal["contribution", "usage", "all", "none"]
"""`contribution` is SLIM's rule; the others are what it is compared with: usage counts, withdraw all, keep all."""


async def audit(library: Snapshot, name: str, tasks: Sequence[Task], provider: Provider, context: Context) -> Audit:
    """Run `tasks` with the skill `name` and without it; trials that are paid for already cost nothing.

    Raises:
        UserError: there are no tasks.
        BudgetExceeded: a limit was reached; the same call resumes.
    """
    others = library.without(name)
    arms = (
        Arm("without", lambda task: provider.view(task, others)),
        Arm("with", lambda task: provider.view(task, library)),
    )
    trials = await run_trials(tasks, arms, (context.seed,), Bench.of(context))
    skill = library.get(name)
    return Audit(
        skill=name,
        digest=skill.digest if skill else "",
        others=others.digest,
        agent=context.agent.name,
        suite=context.suite.name,
        tasks=digest([[task.digest for task in tasks], context.seed]),
        evidence=compare(trials, "without", "with").model_copy(update={"trials": ()}),
    )


def shown_on(library: Snapshot, name: str, tasks: Sequence[Task], provider: Provider) -> tuple[Task, ...]:
    """Those of `tasks` on which the agent is shown the skill `name`."""
    return tuple(t for t in tasks if any(s.name == name for s in provider.view(t, library).skills))


async def prove_removal(
    library: Snapshot, name: str, why: str, gates: Sequence[Gate], context: Context, kept: Sequence[KeptTask] = ()
) -> tuple[Patch, tuple[Verdict, ...]]:
    """The patch that archives the skill `name`, and what `gates` say of it.

    Raises:
        UserError: there is no such skill.
        BudgetExceeded: a limit was reached; the same call resumes.
    """
    patch = removal(library, name, why, "lifecycle")
    about = replace(GateContext.of(context), kept=tuple(kept))
    return patch, await cascade(gates, apply(patch, library), library, patch, about)


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """Maintainer: retires what does not contribute, and has new skills made where none helps.

    Audits use the tasks of the round, which are of the split `evidence`. What they nominate is a patch like any other:
    with `TrialsGate` it must be proven on the split `gate` that its removal loses nothing.
    """

    provider: Provider
    rules: Rules = Rules()  # noqa: RUF009 (frozen)
    retire: Retire = "contribution"
    audited: int = 4
    """Skills audited per round, those shown on most of its tasks first."""
    analyst: Analyst | None = None
    """With `proposer`, what makes a skill of the failures of a family; without them the library does not grow."""
    proposer: Proposer | None = None

    async def tend(
        self, library: Snapshot, rounds: Sequence[Sequence[Episode]], audits: Sequence[Audit], context: Context
    ) -> Tending:
        new = await self._audits(library, rounds[-1], context)
        known = (*audits, *new)
        lessons, grown = await self._grown(library, rounds, known, context)
        retired = [removal(library, name, why, "lifecycle") for name, why in self._due(library, rounds, known, context)]
        return Tending((*retired, *grown), lessons, new)

    async def _audits(self, library: Snapshot, episodes: Sequence[Episode], context: Context) -> tuple[Audit, ...]:
        if self.retire != "contribution":
            return ()
        tasks = [task for task, _ in episodes]
        shown = {name: shown_on(library, name, tasks, self.provider) for name in library.names}
        most = sorted((name for name in shown if shown[name]), key=lambda name: -len(shown[name]))
        found: list[Audit] = []
        for name in most[: self.audited]:
            found.append(await audit(library, name, shown[name], self.provider, context))
            e = found[-1].evidence
            context.tell("tend", f"{name} contributes {100 * e.effect:+.0f} points on {e.n} tasks", skill=name)
        return tuple(found)

    def _due(
        self, library: Snapshot, rounds: Sequence[Sequence[Episode]], audits: Sequence[Audit], context: Context
    ) -> list[tuple[str, str]]:
        """Names of skills to retire, each with the reason."""
        if self.retire == "all":
            return [(name, f"withdraws {name}, as all skills") for name in library.names]
        if self.retire == "usage":
            used = [trajectory.used for episodes in rounds for _, trajectory in episodes]
            rare = [name for name in library.names if rarely_used(used, name, self.rules)]
            return [(name, f"retires {name}: used less than {self.rules.uses} times") for name in rare]
        if self.retire == "none":
            return []
        found: list[tuple[str, str]] = []
        for skill in library.skills:
            standing = standing_of(skill, audits, self.rules, context.agent.name)
            if standing.stage(self.rules) == "retire":
                found.append((skill.name, f"retires {skill.name}: {standing.why(self.rules)}"))
        return found

    async def _grown(
        self, library: Snapshot, rounds: Sequence[Sequence[Episode]], audits: Sequence[Audit], context: Context
    ) -> tuple[tuple[Lesson, ...], tuple[Patch, ...]]:
        """Lessons and patches for families that fail with no skill that helps.

        Only tasks for which the library has the same to show as it had then count: the others it has answered since.
        """
        if self.analyst is None or self.proposer is None:
            return (), ()
        episodes = [
            episode
            for round_ in rounds
            for episode in round_
            if episode.trajectory.passed is not None
            and episode.trajectory.offered == tuple(s.name for s in self.provider.view(episode.task, library).skills)
        ]
        outcomes = [Outcome(t.family, bool(trajectory.passed), trajectory.offered) for t, trajectory in episodes]
        standings = {s.name: standing_of(s, audits, self.rules, context.agent.name).average for s in library.skills}
        averages = {name: average for name, average in standings.items() if average is not None}
        failed: list[Episode] = []
        for family in gaps(outcomes, averages, self.rules):
            context.tell("tend", f"{family} fails, and no skill helps with it", family=family)
            own = [e for e in episodes if e.task.family == family and not e.trajectory.passed]
            failed += own[-self.rules.examples :]
        if not failed:
            return (), ()
        lessons = await self.analyst.lessons(failed, library, context)
        return lessons, await self.proposer.patches(lessons, library, context)
