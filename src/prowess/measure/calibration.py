"""A/A runs: how much of what looks like an effect is noise on this suite, with this agent and model.

Two trials of the same task under the same view that differ in the seed alone are an A/A pair, whatever they were run
for. So the noise of a suite with an agent and its model needs no record of its own: it is read from the stored trials,
and every verdict carries it. `calibrate` pays for such pairs where there are none yet.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from prowess.core.errors import UserError
from prowess.core.evidence import Evidence, Noise, Trial, Verdict
from prowess.core.task import Task
from prowess.measure.compare import compare, require_alike
from prowess.measure.stats.design import Design, expect
from prowess.measure.stats.power import balanced
from prowess.measure.stats.proportions import clopper_pearson
from prowess.measure.trials import Arm, Bench, Store, run_trials

AGAIN = "again"
"""What the second side of an A/A run is called."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What an A/A run showed: the same arm against itself, under other seeds."""

    noise: Noise
    false_verdicts: float
    """Chance that the design says better or worse of two alike arms at this flip rate."""
    evidence: Evidence
    """The A/A comparison itself at its full size; "better" or "worse" here is a false alarm, due once in 20 at 0.05."""


def noise_of(pairs: int, flips: int, design: Design | None = None) -> Noise | None:
    """The noise that so many flips among so many A/A pairs show; None without a pair."""
    if pairs == 0:
        return None
    low, high = clopper_pearson(flips, pairs)
    chance = flips / pairs / 2
    accepts = expect(design or Design(), chance, chance).better
    return Noise(n=pairs, flips=flips, low=low, high=high, false_accepts=accepts)


def known_noise(store: Store, conditions: str, design: Design | None = None) -> Noise | None:
    """What the stored trials say of the noise under `conditions`; None where no task was tried twice."""
    found = store.repeats().get(conditions)
    return None if found is None else noise_of(found.pairs, found.flips, design)


def noise_on(bench: Bench, design: Design | None = None) -> Noise | None:
    """What the stored trials say of the noise of a bench's suite and agent, before anything is run on it."""
    begun = f"{bench.suite.name}: {bench.agent.name}"
    found = [r for name, r in bench.store.repeats().items() if name == begun or name.startswith(f"{begun}, ")]
    return noise_of(sum(r.pairs for r in found), sum(r.flips for r in found), design)


def with_noise(evidence: Evidence, store: Store) -> Evidence:
    """`evidence` with what is known by now of the noise of its suite, agent and model.

    A step of its own, and not part of a comparison: knowledge of noise grows, and a comparison that is replayed from
    its stored trials must come out the same.
    """
    noise = known_noise(store, require_alike(evidence.trials))
    return evidence.model_copy(update={"noise": noise})


def verdicts_with_noise(verdicts: Sequence[Verdict], store: Store) -> tuple[Verdict, ...]:
    """The same verdicts, their evidence `with_noise`."""
    return tuple(
        v if v.evidence is None else v.model_copy(update={"evidence": with_noise(v.evidence, store)}) for v in verdicts
    )


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
    other = f"{arm} {AGAIN}"
    sides = [
        trial.model_copy(update={"arm": other, "seed": twins[trial.seed]}) if trial.seed in twins else trial
        for trial in trials
    ]
    evidence = compare(sides, arm, other)
    if evidence.n == 0:
        raise UserError("no pair of the A/A run finished on both sides", "see why the runs are missing, then try again")
    noise = noise_of(evidence.n, evidence.wins + evidence.losses, design)
    assert noise is not None  # there is a pair
    expected = expect(design or Design(), noise.flip_rate / 2, noise.flip_rate / 2)
    return Calibration(noise, expected.better + expected.worse, evidence)


def naive_false_accepts(flip_rate: float, n: int) -> float:
    """Chance that the rule "accept when the new arm passes more of `n` tasks" accepts an arm that is like the old.

    (1 - P(as many wins as losses)) / 2, by symmetry, with wins and losses at half of the flip rate each.
    """
    return (1 - balanced(n, flip_rate)) / 2
