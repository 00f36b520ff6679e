"""From trials to evidence: two arms, paired on task and seed, at a size fixed beforehand."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from prowess.core.cost import total
from prowess.core.errors import UserError
from prowess.core.evidence import Evidence, Outcome, Trial
from prowess.measure.stats.paired import mcnemar_exact, tango_interval


@dataclass(frozen=True, slots=True)
class Pairs:
    """Complete pairs of (baseline, treatment) trials, in the order in which they came, and how many were incomplete."""

    complete: tuple[tuple[Trial, Trial], ...]
    missing: int

    @property
    def wins(self) -> int:
        return sum(bool(new.passed) and not old.passed for old, new in self.complete)

    @property
    def losses(self) -> int:
        return sum(bool(old.passed) and not new.passed for old, new in self.complete)


def pair(trials: Iterable[Trial], baseline: str, treatment: str) -> Pairs:
    """Pair two arms on task and seed; a pair with a side that is absent or missing counts as missing.

    Raises:
        UserError: the two arms are the same; neither has a trial; a trial stands twice with different results; a value
            is NaN or outside of 0 to 1.
    """
    if baseline == treatment:
        raise UserError(f"both arms are {baseline!r}", "name two arms; an A/A run needs a name for each side")
    sides: dict[tuple[str, int], dict[str, Trial]] = {}
    for trial in trials:
        if trial.arm not in (baseline, treatment):
            continue
        if trial.value is not None and not 0.0 <= trial.value <= 1.0:
            raise UserError(
                f"the value of {trial.task_id!r} (arm {trial.arm!r}, seed {trial.seed}) is {trial.value!r}",
                "a graded score lies between 0 and 1; leave it out where there is none",
            )
        side = sides.setdefault((trial.task_id, trial.seed), {})
        if side.setdefault(trial.arm, trial) != trial:
            raise UserError(
                f"task {trial.task_id!r}, seed {trial.seed} has two results in arm {trial.arm!r}",
                "give each task and seed once; repeat a task under another seed",
            )
    if not sides:
        raise UserError(f"no trial of {baseline!r} or {treatment!r} was given", "run the trials first")
    complete = [
        (side[baseline], side[treatment])
        for side in sides.values()
        if baseline in side
        and treatment in side
        and side[baseline].passed is not None
        and side[treatment].passed is not None
    ]
    return Pairs(tuple(complete), len(sides) - len(complete))


def compare(
    trials: Sequence[Trial], baseline: str, treatment: str, alpha: float = 0.05, level: float = 0.95
) -> Evidence:
    """Evidence on whether `treatment` is better than `baseline`: exact McNemar test, Tango's interval.

    For a number of pairs that was fixed before looking; `prowess.measure.sequential` is for looking as one goes.
    The outcome follows the test: better or worse when p <= alpha, else not enough evidence (also with no pairs at all).

    Raises:
        UserError: see `pair`.
    """
    pairs = pair(trials, baseline, treatment)
    p = mcnemar_exact(pairs.wins, pairs.losses)
    return describe(
        pairs,
        baseline,
        treatment,
        p=p,
        alpha=alpha,
        interval=tango_interval(pairs.wins, pairs.losses, len(pairs.complete), level),
        level=level,
        test="exact McNemar, two-sided",
    )


def describe(
    pairs: Pairs,
    baseline: str,
    treatment: str,
    *,
    p: float,
    alpha: float,
    interval: tuple[float, float],
    level: float,
    test: str,
) -> Evidence:
    """Evidence from pairs and the figures of a test that was made on them."""
    n, wins, losses = len(pairs.complete), pairs.wins, pairs.losses
    baseline_rate = sum(bool(old.passed) for old, _ in pairs.complete) / n if n else 0.0
    treatment_rate = sum(bool(new.passed) for _, new in pairs.complete) / n if n else 0.0
    sides = [trial for both in pairs.complete for trial in both]
    outcome: Outcome = "not enough evidence"
    if p <= alpha and wins != losses:
        outcome = "better" if wins > losses else "worse"
    return Evidence(
        baseline=baseline,
        treatment=treatment,
        n=n,
        missing=pairs.missing,
        wins=wins,
        ties=n - wins - losses,
        losses=losses,
        baseline_rate=baseline_rate,
        treatment_rate=treatment_rate,
        effect=(wins - losses) / n if n else 0.0,
        low=interval[0],
        high=interval[1],
        level=level,
        p=p,
        test=test,
        outcome=outcome,
        harms=tuple((new.task_id, new.trajectory) for old, new in pairs.complete if old.passed and not new.passed),
        judged_by=tuple(sorted({t.judged_by for t in sides if t.judged_by})),
        cost=total([t.cost for t in sides]),
        trials=tuple(sides),
    )
