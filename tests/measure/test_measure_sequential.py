"""The sequential test: its error at any stopping time, its interval, its plan, and whole comparisons."""

import itertools
import math
import subprocess
import sys

import anyio
import numpy as np
import pytest
import scipy.integrate
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from measure_parts import DiceAgent, MemoryStore, bench, skill, tasks

from prowess.core.errors import BudgetExceeded, UserError
from prowess.core.skill import Snapshot
from prowess.core.task import Task
from prowess.core.trajectory import Trajectory
from prowess.core.view import View
from prowess.measure.sequential import Decided, blocks_in_order, plan, run_until_decided
from prowess.measure.stats.design import (
    Design,
    chance_left,
    detectable_effect,
    expect,
    fewest_pairs,
    stop,
)
from prowess.measure.stats.sequential import (
    _log_wealth,  # pyright: ignore[reportPrivateUsage]
    _quadrature,  # pyright: ignore[reportPrivateUsage]
    anytime_interval,
    anytime_p,
    e_value,
    log_e_value,
    non_inferiority_p,
)
from prowess.measure.trials import Arm

few = st.integers(0, 40)


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (6, 0), (3, 4), (11, 1)])
def test_e_value_is_the_mixture_that_it_says(wins: int, losses: int) -> None:
    prior = scipy.stats.beta(0.25, 0.25)
    mixture = scipy.integrate.quad(
        lambda t: (2 * t**4) ** wins * (2 * (1 - t**4)) ** losses * prior.pdf(t**4) * 4 * t**3, 0, 1, limit=200
    )[0]  # t**4 takes the pole of the density at zero away
    assert e_value(wins, losses) == pytest.approx(mixture, rel=1e-3)


def test_six_straight_wins_decide_and_five_do_not() -> None:
    assert e_value(6, 0) >= 20 > e_value(5, 0) and fewest_pairs(0.05) == 6
    assert e_value(0, 6) == e_value(6, 0)


@given(few, few)
def test_a_fair_bet_gains_nothing_on_average(wins: int, losses: int) -> None:
    after = (e_value(wins + 1, losses) + e_value(wins, losses + 1)) / 2
    assert after == pytest.approx(e_value(wins, losses), rel=1e-9)


@pytest.mark.parametrize("flip_rate", [0.05, 0.2, 0.6, 1.0])
def test_false_verdicts_stay_below_alpha_however_often_one_looks(flip_rate: float) -> None:
    alike = expect(Design(200, futility=0.0, batch=1), flip_rate / 2, flip_rate / 2)
    assert alike.better == pytest.approx(alike.worse)
    assert alike.better + alike.worse <= 0.05


def test_huge_counts_do_not_overflow() -> None:
    assert e_value(5_000, 0) == math.inf and anytime_p(log_e_value(5_000, 0)) == 0.0


@given(few, few, few)
@settings(max_examples=60, deadline=None)
def test_interval_leaves_zero_out_exactly_when_the_test_rejects(wins: int, losses: int, ties: int) -> None:
    n = wins + losses + ties
    low, high = anytime_interval(wins, losses, n)
    assert -1 <= low <= high <= 1
    if n:
        assert low <= (wins - losses) / n <= high
        assert (low > 0 or high < 0) == (e_value(wins, losses) >= 20)
    assert anytime_interval(losses, wins, n) == pytest.approx((-high, -low), abs=1e-6)


@pytest.mark.parametrize(("wins", "losses", "n"), [(6, 0, 20), (4, 9, 50), (0, 0, 12), (300, 200, 5_000)])
def test_wealth_crosses_its_limit_once_on_either_side(wins: int, losses: int, n: int) -> None:
    grid = np.linspace(-0.999, 0.999, 400)
    inside = np.array([_log_wealth(float(d), wins, losses, n) < math.log(20) for d in grid])
    assert np.count_nonzero(np.diff(inside)) <= 2
    low, high = anytime_interval(wins, losses, n)
    assert np.array_equal(inside, (grid > low) & (grid < high))


def test_interval_holds_at_all_times_together() -> None:
    draw = np.random.default_rng(11)
    missed = 0
    for _ in range(80):
        steps = draw.choice([1, -1, 0], size=60, p=[0.35, 0.1, 0.55])
        for n in range(4, 61, 4):
            low, high = anytime_interval(int((steps[:n] == 1).sum()), int((steps[:n] == -1).sum()), n)
            if not low <= 0.25 <= high:
                missed += 1
                break
    assert missed <= 6, "at most 5 % of paths may ever leave the truth out"


@pytest.mark.parametrize("size", [1, 2, 3, 17, 256])
def test_quadrature_has_the_moments_of_its_prior(size: int) -> None:
    nodes, weights = _quadrature(size)
    for k in range(min(2 * size, 12)):
        assert float(weights @ nodes**k) == pytest.approx(scipy.stats.beta(0.25, 0.25).moment(k) if k else 1.0)


def test_non_inferiority_needs_about_what_the_best_test_needs() -> None:
    needed = next(n for n in range(1, 99) if non_inferiority_p(0, 0, n, 0.1) <= 0.05)
    assert 29 <= needed <= 40
    assert non_inferiority_p(0, 0, 0, 0.1) == 1.0
    assert non_inferiority_p(0, 6, 40, 0.1) > 0.5
    assert non_inferiority_p(3, 3, 200, 0.1) < 0.01, "equal noise on both sides is no loss"


@pytest.mark.parametrize(("win", "loss"), [(0.0, 0.1), (0.1, 0.2), (0.3, 0.4)])
def test_non_inferiority_rarely_clears_what_is_worse_by_the_margin(win: float, loss: float) -> None:
    n = 40
    cleared = sum(
        scipy.stats.multinomial.pmf([w, k, n - w - k], n, [win, loss, 1 - win - loss])
        for w, k in itertools.product(range(n + 1), repeat=2)
        if w + k <= n and non_inferiority_p(w, k, n, 0.1) <= 0.05
    )
    assert cleared <= 0.05


# --- the plan


@pytest.mark.parametrize(("win", "loss"), [(0.1, 0.1), (0.6, 0.05), (0.0, 0.5), (0.0, 0.0), (1.0, 0.0)])
def test_expectation_against_simulation(win: float, loss: float) -> None:
    design = Design(24, batch=4)
    draw = np.random.default_rng(2)
    endings: dict[str, int] = {"better": 0, "worse": 0, "futile": 0, "spent": 0}
    pairs = 0
    for _ in range(1_000):
        steps = draw.choice([1, -1, 0], size=24, p=[win, loss, 1 - win - loss])
        for n in range(4, 25, 4):
            ending = stop(design, n, int((steps[:n] == 1).sum()), int((steps[:n] == -1).sum()))
            ending = ending or ("spent" if n == 24 else None)
            if ending:
                endings[ending] += 1
                pairs += n
                break
    expected = expect(design, win, loss)
    assert expected.better + expected.worse + expected.futile + expected.spent == pytest.approx(1)
    for name, count in endings.items():
        assert count / 1_000 == pytest.approx(getattr(expected, name), abs=0.05)
    assert pairs / 1_000 == pytest.approx(expected.pairs, abs=0.6)


def test_futility_saves_pairs_and_costs_little_power() -> None:
    with_it, without = (expect(Design(20, futility=f), 0.5, 0.05) for f in (0.02, 0.0))
    assert without.better - with_it.better < 0.03
    assert expect(Design(20), 0.05, 0.05).pairs < 10 < expect(Design(20, futility=0), 0.05, 0.05).pairs


def test_prediction_is_certain_only_when_it_is() -> None:
    design = Design(12)
    assert chance_left(design, 6, 6, 0) == 1.0
    assert chance_left(design, 7, 0, 0) == 0.0, "five pairs are left and six are needed"
    assert chance_left(design, 6, 0, 6) == 0.0
    assert 0 < chance_left(design, 0, 0, 0) < chance_left(design, 4, 4, 0) < 1


def test_forecast_says_what_could_be_seen() -> None:
    forecast = plan(Design(20), flip_rate=0.1)
    assert forecast.effect is not None and forecast.pairs_if_so is not None
    assert expect(Design(20), forecast.effect + 0.05, 0.05).better >= 0.8
    assert forecast.false_verdicts <= 0.05 and forecast.pairs_if_none < 20
    assert "up to 20 pairs show a gain of" in str(forecast)
    assert detectable_effect(Design(6), loss=0.1) is None and "can show no gain" in str(plan(Design(6), 0.2))


@pytest.mark.parametrize(
    "more", [{"max_pairs": 5}, {"max_pairs": 201}, {"alpha": 0.0}, {"alpha": math.nan}, {"futility": 1.0}, {"batch": 0}]
)
def test_impossible_designs_are_refused(more: dict[str, float]) -> None:
    with pytest.raises(UserError):
        Design(**more)  # pyright: ignore


# --- whole comparisons


def decide(
    agent: DiceAgent, store: MemoryStore | None = None, count: int = 30, power: int = 75, **more: int
) -> Decided:

    async def main() -> Decided:
        return await run_until_decided(
            tasks(30),
            (0, 1),
            Arm.without("old"),
            Arm.showing("new", Snapshot.of([skill("s", power)])),
            bench(agent, store),
            design=Design(**{"max_pairs": 24, **more}),
        )

    return anyio.run(main)


def test_a_clear_gain_stops_early_as_better() -> None:
    decided = decide(DiceAgent(base=10))
    assert decided.ending == "better" and decided.evidence.outcome == "better" and decided.evidence.n <= 12
    assert decided.evidence.p == pytest.approx(1 / e_value(decided.evidence.wins, decided.evidence.losses))
    assert decided.evidence.low > 0 and "valid at any time" in decided.evidence.test


def test_a_clear_loss_stops_as_worse_when_not_given_up_before() -> None:
    decided = decide(DiceAgent(base=95), power=-90, futility=0)
    assert decided.ending == "worse" and decided.evidence.outcome == "worse"
    assert len(decided.evidence.harms) == decided.evidence.losses >= 6


def test_no_effect_is_given_up() -> None:
    decided = decide(DiceAgent(base=0), power=0)
    assert decided.ending == "futile" and decided.evidence.outcome == "not enough evidence"
    assert decided.evidence.p == 1.0 and decided.evidence.n < 24


def test_without_futility_all_pairs_are_spent() -> None:
    decided = decide(DiceAgent(base=0), power=0, futility=0)
    assert decided.ending == "spent" and decided.evidence.n == 24


def test_the_same_call_resumes_and_ends_alike() -> None:
    class Poor(DiceAgent):
        async def run(self, task: Task, view: View, seed: int) -> Trajectory:
            if len(self.runs) >= 9:
                raise BudgetExceeded("nine runs")
            return await super().run(task, view, seed)

    whole = DiceAgent(base=10)
    expected = decide(whole)
    store = MemoryStore()
    with pytest.raises(BudgetExceeded):
        decide(Poor(base=10), store)
    rest = DiceAgent(base=10)
    assert decide(rest, store) == expected
    assert len(rest.runs) + 9 == len(whole.runs)


def test_missing_pairs_are_made_up_for() -> None:
    decided = decide(DiceAgent(base=10, fails=lambda task, view, seed: task.seed % 3 == 0))
    assert decided.ending == "better" and decided.evidence.missing > 0
    assert decided.evidence.n == decided.evidence.wins + decided.evidence.ties + decided.evidence.losses


def test_every_task_is_tried_before_any_is_repeated() -> None:
    blocks = blocks_in_order(tasks(5), (7, 8), order_seed=1)
    assert [seed for _, seed in blocks] == [7] * 5 + [8] * 5
    assert {t.id for t, _ in blocks[:5]} == {t.id for t in tasks(5)}
    assert blocks != blocks_in_order(tasks(5), (7, 8), order_seed=2)


def test_measure_imports_without_numpy() -> None:
    code = (
        "import sys, prowess.measure.gates, prowess.measure.calibration, prowess.measure.judge;"
        "sys.exit('numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
