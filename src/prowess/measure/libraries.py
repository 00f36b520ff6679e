"""Whole libraries: does it help, which of its skills do, and how did that come about?

One set of trials answers all of it. The library as a whole is compared with no skills (or with another library) on
held-out tasks. Each skill is compared on those tasks on which the library shows it, which costs no further trial; its
p-value is adjusted for how many skills are looked at. Earlier states of the library are tried on the same tasks: where
two states show the agent the same, they share the trial, so a whole history costs little more than its end.

What a skill adds beside others that are shown at the same time is a question of attribution and not answered here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from prowess.core.base import Frozen
from prowess.core.bulk import no_collection
from prowess.core.cost import Cost
from prowess.core.evidence import Evidence, Outcome, Trial
from prowess.core.skill import Snapshot
from prowess.core.task import Task
from prowess.measure.calibration import calibrate, with_noise
from prowess.measure.compare import compare, compare_values
from prowess.measure.gates import Provider
from prowess.measure.judge import Judge, agreement, judge_trials
from prowess.measure.stats.agreement import Agreement
from prowess.measure.stats.multiple import benjamini_hochberg, holm
from prowess.measure.stats.proportions import wilson
from prowess.measure.trials import Arm, Bench, run_trials

Adjustment = Literal["holm", "benjamini-hochberg"]
ADJUST: dict[Adjustment, Callable[[Sequence[float]], tuple[float, ...]]] = {
    "holm": holm,
    "benjamini-hochberg": benjamini_hochberg,
}
ALPHA = 0.05


class SkillEffect(Frozen):
    """What one skill does on the tasks on which the library shows it."""

    skill: str
    evidence: Evidence | None
    """None where no task shows the skill. Its own outcome is that of the one comparison, before adjusting."""
    adjusted_p: float
    """Adjusted for all skills that were compared; 1 where nothing was."""
    outcome: Outcome
    """By the adjusted p-value."""
    learned_for: Cost = Cost()
    """What the trials of its changes cost, by the ledger."""


class State(Frozen):
    """The library after one of its changes, on the same held-out tasks: a point of the learning curve."""

    label: str
    snapshot: str
    passed: int
    n: int
    low: float
    high: float
    """Wilson's interval of the share passed, at 0.95."""
    spent: Cost
    """What the ledger's trials had cost up to here."""


class Bound(Frozen):
    """What the right answers themselves reach under the checks."""

    n: int
    passed: int
    broken: tuple[str, ...]
    """Tasks whose right answer fails: nothing can be learned from a verdict on them."""


class Measurement(Frozen):
    """What was found out about a library on one suite with one agent and model."""

    suite: str
    families: tuple[str, ...]
    agent: str
    seeds: tuple[int, ...]
    library: str
    """Digest of the snapshot that was measured."""
    against: str | None
    """Digest of the snapshot that it was compared with; None for no skills."""
    evidence: Evidence
    skills: tuple[SkillEffect, ...]
    adjustment: Adjustment
    alpha: float = ALPHA
    oracle: Bound | None
    """None where the suite has no right answers to hand in."""
    states: tuple[State, ...] = ()
    agreement: Agreement | None = None
    """Of a judge model with the checks; None where only one of the two judged."""


class Past(NamedTuple):
    """An earlier state of the library."""

    label: str
    snapshot: Snapshot
    spent: Cost


@dataclass(frozen=True, slots=True)
class Judging:
    """A judge model beside the checks, or in their place where the suite has none that can be trusted."""

    judge: Judge
    executor: str
    """Name of the agent's model."""
    allow_same_family: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to find out beside the verdict on the whole library, and how."""

    adjust: Adjustment = "holm"
    graded: bool = False
    """Compare graded scores, and not who passed."""
    calibrate: bool = False
    """Pay for an A/A run of the library too."""
    judging: Judging | None = None
    past: tuple[Past, ...] = ()
    learned_for: Mapping[str, Cost] | None = None
    """What each skill cost to learn, where a ledger knows."""


async def measure_library(
    tasks: Sequence[Task],
    library: Snapshot,
    against: Snapshot | None,
    provider: Provider,
    bench: Bench,
    *,
    seeds: Sequence[int] = (0,),
    wanted: Wanted = Wanted(),
    order_seed: int = 0,
) -> Measurement:
    """Measure `library` on `tasks` of a split that nothing was learned from or decided with.

    The size is fixed beforehand, so the tests are exact at one look.

    Raises:
        UserError: there are no tasks, or the trials cannot be compared (see `compare.pair`).
        Refused: a judge model of the agent's own family would be the sole evidence.
        BudgetExceeded: a limit was reached; the same call resumes.
    """
    baseline = Arm.without() if against is None else _arm("old", against, provider)
    treatment, oracle = _arm("with", library, provider), Arm.oracle()
    past = {f"state {i}": state for i, state in enumerate(wanted.past, 1)}
    arms = [baseline, treatment, oracle, *(_arm(name, state.snapshot, provider) for name, state in past.items())]
    trials = await run_trials(tasks, arms, seeds, bench, order_seed)
    if wanted.calibrate:
        await calibrate(tasks, treatment, seeds, bench, order_seed=order_seed)
    two = [t for t in trials if t.arm in (baseline.name, treatment.name)]
    deciding, agreed = await _judged(two, tasks, wanted.judging, bench)
    evidence = with_noise(_test(wanted.graded)(deciding, baseline.name, treatment.name), bench.store)
    shown = {task.id: tuple(s.name for s in treatment.view_for(task).skills) for task in tasks}
    skills = per_skill(deciding, shown, baseline.name, treatment.name, library.names, wanted.adjust, wanted.graded)
    costs = wanted.learned_for or {}
    return Measurement(
        suite=bench.suite.name,
        families=tuple(dict.fromkeys(task.family for task in tasks)),
        agent=bench.agent.name,
        seeds=tuple(seeds),
        library=library.digest,
        against=None if against is None else against.digest,
        evidence=evidence,
        skills=tuple(_known(skill, evidence, costs.get(skill.skill, Cost())) for skill in skills),
        adjustment=wanted.adjust,
        oracle=_bound([t for t in trials if t.arm == oracle.name]),
        states=tuple(_state(state, [t for t in trials if t.arm == name]) for name, state in past.items()),
        agreement=agreed,
    )


@no_collection()
def per_skill(
    trials: Sequence[Trial],
    shown: Mapping[str, Sequence[str]],
    baseline: str,
    treatment: str,
    names: Sequence[str] = (),
    adjust: Adjustment = "holm",
    graded: bool = False,
    alpha: float = ALPHA,
) -> tuple[SkillEffect, ...]:
    """Each skill on the tasks that show it, with p-values adjusted over all of them.

    Args:
        trials: Of both arms.
        shown: For each task id, the skills that the treatment shows.
        baseline: Name of the arm without, or with the old library.
        treatment: Name of the arm with the library.
        names: Skills to list even where no task shows them.
        adjust: Holm keeps the chance of any false claim, Benjamini-Hochberg the share of false ones among the claims.
        graded: Compare graded scores.
        alpha: Error that the adjustment keeps.
    """
    by_task: dict[str, list[Trial]] = {}
    for trial in trials:
        by_task.setdefault(trial.task_id, []).append(trial)
    own: dict[str, list[Trial]] = {name: [] for name in names}
    for task, skills in shown.items():
        for name in skills:
            own.setdefault(name, []).extend(by_task.get(task, ()))
    test = _test(graded)
    found = {name: test(its, baseline, treatment, alpha) for name, its in own.items() if its}
    adjusted = dict(zip(found, ADJUST[adjust]([e.p for e in found.values()]), strict=True))
    return tuple(_effect(name, found.get(name), adjusted.get(name, 1.0), alpha) for name in sorted(own))


def _effect(name: str, evidence: Evidence | None, p: float, alpha: float) -> SkillEffect:
    outcome: Outcome = "not enough evidence"
    if evidence is not None and p <= alpha and evidence.effect != 0:
        outcome = "better" if evidence.effect > 0 else "worse"
    return SkillEffect(skill=name, evidence=evidence, adjusted_p=p, outcome=outcome)


def _known(skill: SkillEffect, whole: Evidence, cost: Cost) -> SkillEffect:
    """A skill's effect with the noise of the suite and the ledger's cost."""
    evidence = skill.evidence and skill.evidence.model_copy(update={"noise": whole.noise})
    return skill.model_copy(update={"evidence": evidence, "learned_for": cost})


async def _judged(
    trials: Sequence[Trial], tasks: Sequence[Task], judging: Judging | None, bench: Bench
) -> tuple[Sequence[Trial], Agreement | None]:
    """The trials that decide, and how far the judge agrees with the checks where both judged.

    Checks decide where there are any; a judge of the agent's family may then stand beside them: it decides nothing.
    """
    if judging is None:
        return trials, None
    checked = any(trial.passed is not None for trial in trials)
    judged = await judge_trials(
        trials,
        tasks,
        judging.judge,
        bench.store,
        judging.executor,
        allow_same_family=judging.allow_same_family or checked,
        concurrency=bench.concurrency,
    )
    return (trials, agreement(trials, judged)) if checked else (judged, None)


def _test(graded: bool) -> Callable[..., Evidence]:
    return compare_values if graded else compare


def _arm(name: str, snapshot: Snapshot, provider: Provider) -> Arm:
    return Arm(name, lambda task: provider.view(task, snapshot))


def _bound(trials: Sequence[Trial]) -> Bound | None:
    judged = [t for t in trials if t.passed is not None]
    if not judged:
        return None
    broken = dict.fromkeys(t.task_id for t in judged if not t.passed)
    return Bound(n=len(judged), passed=sum(bool(t.passed) for t in judged), broken=tuple(broken))


def _state(past: Past, trials: Sequence[Trial]) -> State:
    judged = [t.passed for t in trials if t.passed is not None]
    low, high = wilson(sum(judged), len(judged))
    return State(
        label=past.label,
        snapshot=past.snapshot.digest,
        passed=sum(judged),
        n=len(judged),
        low=low,
        high=high,
        spent=past.spent,
    )
