"""Forecasts: what is said before anything is spent must be what then happens."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prowess.core.errors import UserError
from prowess.core.evidence import Noise
from prowess.measure.calibration import noise_of
from prowess.measure.forecast import GUESSED_FLIP_RATE, Assumed, fixed, needed
from prowess.measure.stats.design import MOST_PAIRS, Design, expect, pairs_for
from prowess.measure.stats.power import mcnemar_power


def test_without_an_a_a_run_the_noise_is_a_guess_and_called_one() -> None:
    assumed = Assumed.of(None)
    assert assumed.flip_rate == GUESSED_FLIP_RATE and "guess" in assumed.source
    known = Assumed.of(Noise(n=40, flips=2, low=0.0, high=0.1, false_accepts=0.0))
    assert known.loss == 0.025 and known.source == "A/A: 2 of 40 pairs flipped"
    assert noise_of(0, 0) is None


@given(st.integers(1, 60), st.floats(0, 0.4))
@settings(max_examples=20, deadline=None)
def test_a_size_sees_what_it_says(n: int, flip_rate: float) -> None:
    assumed = Assumed(flip_rate, "")
    seen = fixed(n, assumed)
    if seen.effect is None:
        assert mcnemar_power(n, 1 - assumed.loss, assumed.loss) < 0.8 and "no gain" in str(seen)
    else:
        assert mcnemar_power(n, seen.effect + assumed.loss, assumed.loss) >= 0.8


@pytest.mark.parametrize(("effect", "flip_rate"), [(0.5, 0.0), (0.3, 0.1), (0.25, 0.2)])
def test_the_pairs_needed_are_enough_and_no_more(effect: float, flip_rate: float) -> None:
    need = needed(effect, Assumed(flip_rate, ""))
    loss = flip_rate / 2
    assert mcnemar_power(need.fixed, effect + loss, loss) >= 0.8
    assert need.at_most is not None and need.if_so is not None and need.if_none is not None
    assert expect(Design(need.at_most), effect + loss, loss).better >= 0.8
    assert need.if_none < need.at_most and need.if_so < need.at_most
    smaller = Design(need.at_most - 2)
    assert expect(smaller, effect + loss, loss).better < 0.8


def test_what_200_pairs_cannot_see_has_no_sequential_size() -> None:
    assert pairs_for(0.05, 0.1) is None and needed(0.1, Assumed(0.1, "")).at_most is None
    assert pairs_for(0.99) is not None and MOST_PAIRS == 200


def test_an_effect_beside_too_much_noise_is_refused() -> None:
    with pytest.raises(UserError, match="sum to at most 1"):
        needed(0.9, Assumed(0.5, ""))
