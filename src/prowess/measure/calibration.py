"""A/A runs: how much of what looks like an effect is noise on this suite, with this agent and model."""

from collections.abc import Sequence
from dataclasses import dataclass

from prowess.core.errors import UserError
from prowess.core.evidence import Evidence, Trial
from prowess.core.task import Task
from prowess.measure.compare import compare
from prowess.measure.stats.design import Design, expect
from prowess.measure.stats.power import balanced
from prowess.measure.stats.proportions import clopper_pearson
from prowess.measure.trials import Arm, Bench, run_trials


@dataclass(frozen=True, slots=True)
class Calibration:
    """What an A/A run showed: the same arm against itself, under other seeds."""

    n: int
    """Pairs in which both sides finished."""
    flips: int
    """Pairs whose two sides differ although nothing else does."""
    flip_rate: float
    low: float
    high: float
    """Exact interval of the flip rate, at 0.95."""
    false_verdicts: float
    """Chance that `design` says better or worse of two alike arms at this flip rate."""
    false_accepts: float
    """Chance that it says better."""
    evidence: Evidence
    """The A/A comparison itself at its full size; "better" or "worse" here is a false alarm, due once in 20 at 0.05."""


async def calibrate(
    tasks: Sequence[Task],
    arm: Arm,
    seeds: Sequence[int],
    bench: Bench,
    *,
    design: Design | None = None,
    order_seed: int = 0,
) -> Calibration:
    """Run `arm` twice on every task, under `seeds` and under as many fresh seeds, and see how often the two differ.

    An agent that repeats itself exactly has a flip rate of zero by construction; its noise then lies in the choice of
    tasks alone.

    Raises:
        UserError: no pair finished on both sides.
        BudgetExceeded: a limit was reached; the same call resumes.
    """
    fresh = max(seeds, default=0) + 1 - min(seeds, default=0)
    twins = {seed + fresh: seed for seed in seeds}
    trials = await run_trials(tasks, (arm,), (*seeds, *twins), bench, order_seed)
    return calibration_of(trials, arm.name, twins, design)


def calibration_of(
    trials: Sequence[Trial], arm: str, twins: dict[int, int], design: Design | None = None
) -> Calibration:
    """The calibration of `design` by finished trials of one arm; `twins` maps each second seed to its first."""
    other = f"{arm} again"
    sides = [
        trial.model_copy(update={"arm": other, "seed": twins[trial.seed]}) if trial.seed in twins else trial
        for trial in trials
    ]
    evidence = compare(sides, arm, other)
    if evidence.n == 0:
        raise UserError("no pair of the A/A run finished on both sides", "see why the runs are missing, then try again")
    flips = evidence.wins + evidence.losses
    low, high = clopper_pearson(flips, evidence.n)
    rate = flips / evidence.n
    expected = expect(design or Design(), rate / 2, rate / 2)
    return Calibration(
        n=evidence.n,
        flips=flips,
        flip_rate=rate,
        low=low,
        high=high,
        false_verdicts=expected.better + expected.worse,
        false_accepts=expected.better,
        evidence=evidence,
    )


def naive_false_accepts(flip_rate: float, n: int) -> float:
    """Chance that the rule "accept when the new arm passes more of `n` tasks" accepts an arm that is like the old.

    (1 - P(as many wins as losses)) / 2, by symmetry, with wins and losses at half of the flip rate each.
    """
    return (1 - balanced(n, flip_rate)) / 2
