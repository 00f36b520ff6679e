"""From trials to evidence: two arms, paired on task and seed, at a size fixed beforehand."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from prowess.core.bulk import no_collection
from prowess.core.cost import total
from prowess.core.errors import UserError
from prowess.core.evidence import Evidence, Outcome, Trial
from prowess.measure.stats.graded import bootstrap_interval, permutation_test
from prowess.measure.stats.paired import mcnemar_exact, tango_interval

TEST = "exact McNemar, two-sided"


@dataclass(frozen=True)
class Pairs:
    """Complete pairs of (baseline, treatment) trials, in the order of the baseline, and how many were incomplete."""

    complete: tuple[tuple[Trial, Trial], ...]
    missing: int
    graded: bool = False
    """Whether a pair is decided by the graded values instead of by who passed."""

    @cached_property
    def scores(self) -> tuple[tuple[float, float], ...]:
        """What is compared: the values of graded trials, else 1 for passed and 0 for failed."""
        if self.graded:
            return tuple((old.value or 0.0, new.value or 0.0) for old, new in self.complete)
        return tuple((float(bool(old.passed)), float(bool(new.passed))) for old, new in self.complete)

    @cached_property
    def wins(self) -> int:
        return sum(new > old for old, new in self.scores)

    @cached_property
    def losses(self) -> int:
        return sum(new < old for old, new in self.scores)

    @property
    def harms(self) -> tuple[tuple[str, str], ...]:
        """(task id, trajectory id of the treatment) of every pair that got worse."""
        return tuple(
            (trial.task_id, trial.trajectory)
            for (_, trial), (old, new) in zip(self.complete, self.scores, strict=True)
            if new < old
        )


def pair(trials: Iterable[Trial], baseline: str, treatment: str) -> Pairs:
    """Pair two arms on task and seed; a pair with a side that is absent or missing counts as missing.

    Raises:
        UserError: the two arms are the same; neither has a trial; a trial stands twice with different results; a value
            is NaN or outside of 0 to 1; trials ran under different conditions (suite, agent, settings, model).
    """
    if baseline == treatment:
        raise UserError(f"both arms are {baseline!r}", "name two arms; an A/A run needs a name for each side")
    old: dict[tuple[str, int], Trial] = {}
    new: dict[tuple[str, int], Trial] = {}
    for trial in trials:
        if trial.arm == treatment:
            side = new
        elif trial.arm == baseline:
            side = old
        else:
            continue
        if trial.value is not None and not 0.0 <= trial.value <= 1.0:
            raise UserError(
                f"the value of {trial.task_id!r} (arm {trial.arm!r}, seed {trial.seed}) is {trial.value!r}",
                "a graded score lies between 0 and 1; leave it out where there is none",
            )
        before = side.setdefault((trial.task_id, trial.seed), trial)
        if before is not trial and before != trial:
            raise UserError(
                f"task {trial.task_id!r}, seed {trial.seed} has two results in arm {trial.arm!r}",
                "give each task and seed once; repeat a task under another seed",
            )
    require_alike(chain(old.values(), new.values()))
    if not old and not new:
        raise UserError(f"no trial of {baseline!r} or {treatment!r} was given", "run the trials first")
    both = [(trial, new[key]) for key, trial in old.items() if key in new]
    complete = tuple((o, n) for o, n in both if o.passed is not None and n.passed is not None)
    return Pairs(complete, len(old) + len(new) - len(both) - len(complete))


def require_alike(trials: Iterable[Trial]) -> str:
    """The conditions that all `trials` share; empty where none names any.

    Raises:
        UserError: some ran under other conditions than the rest, so a difference would not be that of the arms.
    """
    found = {trial.conditions: trial.arm for trial in trials if trial.conditions}
    if len(found) > 1:
        listed = "; ".join(f"{arm!r} on {conditions}" for conditions, arm in sorted(found.items()))
        raise UserError(
            f"trials of one comparison ran under different conditions: {listed}",
            "run all arms with one suite, agent, budget and model",
        )
    return next(iter(found), "")


@no_collection()
def compare(
    trials: Sequence[Trial], baseline: str, treatment: str, alpha: float = 0.05, level: float = 0.95
) -> Evidence:
    """Evidence on whether `treatment` passes more often than `baseline`: exact McNemar test, Tango's interval.

    For a number of pairs that was fixed before looking; `prowess.measure.sequential` is for looking as one goes.
    The outcome follows the test: better or worse when p <= alpha, else not enough evidence (also with no pairs at all).

    Raises:
        UserError: see `pair`.
    """
    pairs = pair(trials, baseline, treatment)
    wins, losses, n = pairs.wins, pairs.losses, len(pairs.complete)
    tested = Tested(mcnemar_exact(wins, losses), tango_interval(wins, losses, n, level), level, TEST)
    return evidence_of(pairs, baseline, treatment, tested, alpha)


@no_collection()
def compare_values(
    trials: Sequence[Trial],
    baseline: str,
    treatment: str,
    alpha: float = 0.05,
    level: float = 0.95,
    *,
    seed: int = 0,
) -> Evidence:
    """Evidence on graded scores: paired permutation test and BCa bootstrap interval of the mean difference.

    A win is a pair with the higher value under the treatment; the rates are mean values. `seed` draws the resamples.

    Raises:
        UserError: see `pair`.
    """
    pairs = pair(trials, baseline, treatment)
    graded = [(old, new) for old, new in pairs.complete if old.value is not None and new.value is not None]
    missing = pairs.missing + len(pairs.complete) - len(graded)
    pairs = Pairs(tuple(graded), missing, graded=True)
    differences = [new - old for old, new in pairs.scores]
    p, interval = permutation_test(differences, seed=seed), bootstrap_interval(differences, level, seed=seed)
    tested = Tested(p, interval, level, "paired permutation of graded scores, two-sided")
    return evidence_of(pairs, baseline, treatment, tested, alpha)


@dataclass(frozen=True, slots=True)
class Tested:
    """What a test found on pairs: two-sided p-value, interval of the effect at `level`, and the name of the test."""

    p: float
    interval: tuple[float, float]
    level: float
    test: str


def evidence_of(pairs: Pairs, baseline: str, treatment: str, tested: Tested, alpha: float) -> Evidence:
    """The record of a comparison; its outcome is that of the test at `alpha`."""
    n = len(pairs.complete)
    sides = [trial for both in pairs.complete for trial in both]
    baseline_rate = sum(old for old, _ in pairs.scores) / n if n else 0.0
    treatment_rate = sum(new for _, new in pairs.scores) / n if n else 0.0
    effect = treatment_rate - baseline_rate
    outcome: Outcome = "not enough evidence"
    if tested.p <= alpha and effect != 0:
        outcome = "better" if effect > 0 else "worse"
    return Evidence(
        baseline=baseline,
        treatment=treatment,
        n=n,
        missing=pairs.missing,
        wins=pairs.wins,
        ties=n - pairs.wins - pairs.losses,
        losses=pairs.losses,
        baseline_rate=baseline_rate,
        treatment_rate=treatment_rate,
        effect=effect,
        low=tested.interval[0],
        high=tested.interval[1],
        level=tested.level,
        p=tested.p,
        test=tested.test,
        outcome=outcome,
        harms=pairs.harms,
        judged_by=tuple(sorted({t.judged_by for t in sides if t.judged_by})),
        cost=total([t.cost for t in sides]),
        trials=tuple(sides),
    )
