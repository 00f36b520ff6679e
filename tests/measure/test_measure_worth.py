"""The three-way question: helps, harms, no help. Its error, its agreement with the interval, its forecast."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prowess.core.errors import UserError
from prowess.measure.stats.bounded import mean_interval, wealth_table
from prowess.measure.stats.design import Design, answer, expect, is_futile
from prowess.measure.stats.sequential import anytime_interval, e_value

Q = Design(60, batch=4, asks="worth")


def counts(most: int) -> st.SearchStrategy[tuple[int, int, int]]:
    return st.tuples(st.integers(0, most), st.integers(0, most), st.integers(1, most)).filter(
        lambda c: c[0] + c[1] <= c[2]
    )


@settings(max_examples=40, deadline=None)  # the tables are made at the first call
@given(counts(60))
def test_the_answer_is_what_the_interval_says(found: tuple[int, int, int]) -> None:
    wins, losses, n = found
    low, high = anytime_interval(wins, losses, n)
    expected = "helps" if low > 0 else "harms" if high < 0 else "no help" if high < Q.margin else None
    close = min(abs(low), abs(high), abs(high - Q.margin)) < 1e-6
    assert close or answer(Q, n, wins, losses) == expected


def test_by_hand() -> None:
    assert answer(Q, 0, 0, 0) is None
    assert answer(Q, 5, 5, 0) is None and answer(Q, 6, 6, 0) == "helps" and answer(Q, 6, 0, 6) == "harms"
    assert answer(Q, 39, 0, 0) is None and answer(Q, 40, 0, 0) == "no help"
    assert answer(replace(Q, margin=0.2), 18, 0, 0) is None and answer(replace(Q, margin=0.2), 19, 0, 0) == "no help"
    assert answer(Q, 60, 9, 9) is None


@settings(max_examples=30, deadline=None)
@given(counts(40))
def test_interval_of_a_mean_is_that_of_pairs_for_wins_ties_and_losses(found: tuple[int, int, int]) -> None:
    wins, losses, n = found
    values = [1.0] * wins + [-1.0] * losses + [0.0] * (n - wins - losses)
    assert mean_interval(values) == pytest.approx(anytime_interval(wins, losses, n), abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([-1.0, -0.5, -1 / 3, 0.0, 0.5, 1.0]), max_size=40))
def test_interval_of_a_mean_holds_the_mean_and_mirrors(values: list[float]) -> None:
    low, high = mean_interval(values)
    assert -1 <= low <= high <= 1
    if values:
        assert low <= math.fsum(values) / len(values) + 1e-12 and math.fsum(values) / len(values) <= high + 1e-12
    assert mean_interval([-v for v in values]) == pytest.approx((-high, -low), abs=1e-6)


def test_interval_of_a_mean_covers_at_every_look() -> None:
    """The chance that it ever leaves the truth out, within 60 values looked at after each, is at most 5 %."""
    rng = np.random.default_rng(7)
    runs, missed = 80, 0
    for _ in range(runs):
        values = rng.choice([-0.5, 0.0, 0.5, 1.0], 60, p=[0.3, 0.3, 0.2, 0.2])
        truth = -0.5 * 0.3 + 0.5 * 0.2 + 0.2
        seen = (mean_interval(list(values[:n])) for n in (5, 12, 25, 60))
        missed += any(not low <= truth <= high for low, high in seen)
    assert missed <= 0.05 * runs + 2 * math.sqrt(0.05 * 0.95 * runs)


@pytest.mark.parametrize("value", [1.5, -2.0, math.nan])
def test_values_out_of_bounds_are_refused(value: float) -> None:
    with pytest.raises(UserError, match="not between"):
        mean_interval([0.0, value])


def test_wealth_table_is_the_closed_form_at_zero() -> None:
    table = wealth_table(12, 12, 0.0)
    for wins in range(13):
        for losses in range(13 - wins):
            assert table[wins, losses] == pytest.approx(e_value(wins, losses), rel=1e-6)


@pytest.mark.parametrize("flips", [0.0, 0.1, 0.27])
def test_errors_are_bounded_however_often_one_looks(flips: float) -> None:
    """Exact, no simulation: useless parts are rarely called helpful or harmful, useful ones rarely no help."""
    useless = expect(Q, flips / 2, flips / 2)
    assert useless.better + useless.worse <= Q.alpha
    assert expect(Q, flips / 2 + Q.margin, flips / 2).no_help <= Q.alpha
    assert expect(Q, flips / 2 + 0.3, flips / 2).no_help <= 0.001
    harmful = expect(Q, flips / 2, flips / 2 + 0.3)
    assert harmful.worse + harmful.no_help > 0.85 and harmful.better < 0.001


def test_forecast_agrees_with_simulation() -> None:
    rng = np.random.default_rng(1)
    win, loss, runs = 0.25, 0.05, 1500
    ends: list[tuple[str | None, int]] = []
    for _ in range(runs):
        draws = rng.choice([1, -1, 0], Q.max_pairs, p=[win, loss, 1 - win - loss])
        for n in range(Q.batch, Q.max_pairs + 1, Q.batch):
            found = n, int((draws[:n] == 1).sum()), int((draws[:n] == -1).sum())
            if answer(Q, *found) or is_futile(Q, *found) or n == Q.max_pairs:
                ends.append((answer(Q, *found), n))
                break
    expected = expect(Q, win, loss)
    for name, chance in (("helps", expected.better), ("no help", expected.no_help), ("harms", expected.worse)):
        assert sum(end == name for end, _ in ends) / runs == pytest.approx(chance, abs=0.04)
    assert sum(n for _, n in ends) / runs == pytest.approx(expected.pairs, rel=0.05)


def test_futility_stops_what_would_not_be_decided_and_costs_no_error() -> None:
    patient = replace(Q, futility=0.0)
    assert not any(is_futile(patient, n, 0, 0) for n in range(60))
    assert is_futile(Q, 52, 8, 8) and not is_futile(Q, 60, 8, 8)
    assert expect(Q, 0.13, 0.13).pairs < 0.7 * expect(patient, 0.13, 0.13).pairs


@pytest.mark.parametrize(
    "bad",
    [
        {"margin": 0.0},
        {"margin": 0.6},
        {"max_pairs": 5},
        {"max_pairs": 201},
        {"alpha": 0.0},
        {"futility": 1.0},
        {"batch": 0},
    ],
)
def test_questions_that_make_no_sense_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(UserError):
        replace(Q, **bad)  # pyright: ignore[reportArgumentType]
