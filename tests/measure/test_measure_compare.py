import math

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from measure_parts import DiceAgent, bench, paired, skill, tasks, trial

from prowess.core.errors import UserError
from prowess.core.skill import Snapshot
from prowess.measure.calibration import calibrate, calibration_of, naive_false_accepts
from prowess.measure.compare import compare, compare_values, pair
from prowess.measure.stats.design import Design
from prowess.measure.stats.paired import mcnemar_exact, tango_interval
from prowess.measure.trials import Arm

few = st.integers(0, 15)


@given(few, few, few, few)
def test_evidence_says_what_the_trials_say(wins: int, losses: int, passed: int, failed: int) -> None:
    n = wins + losses + passed + failed
    if n == 0:
        return
    e = compare(paired(wins, losses, passed, failed), "old", "new")
    assert (e.n, e.wins, e.losses, e.ties, e.missing) == (n, wins, losses, passed + failed, 0)
    assert e.effect == pytest.approx((wins - losses) / n) == pytest.approx(e.treatment_rate - e.baseline_rate)
    assert e.p == mcnemar_exact(wins, losses) and (e.low, e.high) == tango_interval(wins, losses, n)
    assert (e.outcome == "not enough evidence") == (e.p > 0.05)
    if e.outcome != "not enough evidence":
        assert (e.outcome == "better") == (wins > losses)
    assert e.harms == tuple((f"t{i}", f"new-{i}-0") for i in range(wins, wins + losses))
    assert e.judged_by == ("suite:dice",) and e.cost.calls == 2 * n and len(e.trials) == 2 * n


@given(few, few)
def test_swapping_the_arms_mirrors_the_evidence(wins: int, losses: int) -> None:
    trials = paired(wins, losses, 1)
    there, back = compare(trials, "old", "new"), compare(trials, "new", "old")
    assert there.effect == pytest.approx(-back.effect) and there.p == back.p
    mirror = {"better": "worse", "worse": "better", "not enough evidence": "not enough evidence"}
    assert back.outcome == mirror[there.outcome]


def test_missing_sides_make_missing_pairs_and_never_losses() -> None:
    trials = [*paired(3, 0), trial(7, "old", True), trial(7, "new", None), trial(8, "old", True)]
    e = compare(trials, "old", "new")
    assert (e.n, e.missing, e.losses) == (3, 2, 0) and e.harms == ()


def test_all_missing_or_all_tied_is_not_enough_evidence() -> None:
    nothing = compare([trial(1, "old", None), trial(1, "new", True)], "old", "new")
    assert (nothing.n, nothing.missing, nothing.outcome, nothing.p) == (0, 1, "not enough evidence", 1.0)
    assert (nothing.low, nothing.high) == (-1.0, 1.0)
    tied = compare(paired(0, 0, 5, 5), "old", "new")
    assert (tied.outcome, tied.p, tied.effect) == ("not enough evidence", 1.0, 0.0) and tied.low < 0 < tied.high


def test_one_task_is_not_enough_evidence() -> None:
    assert compare(paired(1, 0), "old", "new").outcome == "not enough evidence"


def test_other_arms_are_left_alone_and_equal_repeats_count_once() -> None:
    trials = paired(6, 0)
    e = compare([*trials, *trials, trial(0, "oracle", True)], "old", "new")
    assert e.n == 6 and e.outcome == "better"


@pytest.mark.parametrize(
    ("trials", "arms", "says"),
    [
        ([trial(1, "old", True), trial(1, "old", False), trial(1, "new", True)], ("old", "new"), "two results"),
        ([trial(1, "old", True, value=math.nan), trial(1, "new", True)], ("old", "new"), "value of 't1'"),
        ([trial(1, "old", True, value=1.5), trial(1, "new", True)], ("old", "new"), "value of 't1'"),
        ([trial(1, "other", True)], ("old", "new"), "no trial of 'old' or 'new'"),
        ([], ("old", "new"), "no trial"),
        (paired(1, 1), ("old", "old"), "both arms are 'old'"),
    ],
)
def test_what_cannot_be_compared_is_refused(trials: list, arms: tuple[str, str], says: str) -> None:  # pyright: ignore
    with pytest.raises(UserError, match=says):
        compare(trials, *arms)


def test_graded_scores_see_what_passing_does_not() -> None:
    trials = [
        t
        for i in range(12)
        for t in (trial(i, "old", False, value=0.2 + 0.01 * i), trial(i, "new", False, value=0.5 + 0.02 * i))
    ]
    assert compare(trials, "old", "new").outcome == "not enough evidence"
    e = compare_values(trials, "old", "new")
    assert e.outcome == "better" and e.p == pytest.approx(2 / 2**12) and e.wins == 12
    assert e.effect == pytest.approx(0.3 + 0.01 * 5.5) and 0.3 < e.low < e.effect < e.high < 0.42


def test_graded_comparison_leaves_pairs_without_values_out() -> None:
    trials = [*paired(2, 0), trial(9, "old", True, value=0.9), trial(9, "new", True, value=0.4)]
    e = compare_values(trials, "old", "new")
    assert (e.n, e.missing, e.losses) == (1, 2, 1) and e.harms == (("t9", "new-9-0"),)


def test_pairs_keep_the_order_of_the_trials() -> None:
    pairs = pair(paired(2, 1, 1), "old", "new")
    assert [old.task_id for old, _ in pairs.complete] == ["t0", "t1", "t2", "t3"]


def test_a_a_run_measures_the_noise() -> None:
    agent = DiceAgent(base=50)
    arm = Arm.showing("with", Snapshot.of([skill("s", 10)]))

    async def main():
        return await calibrate(tasks(60), arm, (3, 4), bench(agent), design=Design(20))

    c = anyio.run(main)
    noise = c.noise
    assert noise.n == 120 and len(agent.runs) == 240, "four fresh seeds in all; nothing shared between the sides"
    assert noise.low < 0.48 < noise.high and noise.flip_rate == noise.flips / 120, (
        "two draws at 60 % differ in 48 % of pairs"
    )
    assert c.evidence.baseline == "with" and c.evidence.treatment == "with again"
    assert 0 < noise.false_accepts <= c.false_verdicts <= 0.05


def test_an_agent_that_repeats_itself_never_flips() -> None:
    trials = [trial(i, "a", i % 2 == 0, seed) for i in range(10) for seed in (0, 1)]
    c = calibration_of(trials, "a", {1: 0})
    assert (c.noise.n, c.noise.flips, c.false_verdicts) == (10, 0, 0.0) and 0.2 < c.noise.high < 0.4


def test_a_a_run_of_missing_trials_is_refused() -> None:
    with pytest.raises(UserError, match="no pair of the A/A run"):
        calibration_of([trial(1, "a", None, 0), trial(1, "a", True, 1)], "a", {1: 0})


def test_the_naive_rule_accepts_noise() -> None:
    assert naive_false_accepts(0.27, 3) > 0.2
    assert naive_false_accepts(0.27, 10) > 0.3, "more tasks make it worse, not better"
    assert naive_false_accepts(0.0, 10) == 0.0
