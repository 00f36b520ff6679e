"""Shapley values: by hand, by their axioms, and sampled."""

import itertools
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prowess.measure.stats.shapley import along, antithetic, exact, prefixes

games = st.integers(1, 5).flatmap(
    lambda n: st.lists(st.floats(-1, 1, allow_nan=False), min_size=1 << n, max_size=1 << n).map(lambda v: (n, v))
)
Game = tuple[int, list[float]]


def close(values: Sequence[float]) -> object:
    return pytest.approx(values, abs=1e-9)


def test_gloves_by_hand() -> None:
    """Two left gloves and one right one: a pair is worth 1. The right one has 2/3, each left one 1/6."""
    assert exact(3, lambda c: float(bool(c & 4 and c & 3))) == close((1 / 6, 1 / 6, 2 / 3))


def test_two_that_do_the_same_work_share_it_where_leaving_one_out_gives_neither_anything() -> None:
    def value(coalition: int) -> float:
        return 0.8 * bool(coalition & 3) + 0.1 * bool(coalition & 4)

    assert [value(7) - value(7 & ~(1 << i)) for i in range(3)] == close((0.0, 0.0, 0.1))
    assert exact(3, value) == close((0.4, 0.4, 0.1))


@settings(max_examples=40, deadline=None)
@given(games)
def test_efficiency(game: Game) -> None:
    n, v = game
    assert sum(exact(n, v.__getitem__)) == pytest.approx(v[-1] - v[0], abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(games)
def test_exact_is_the_mean_over_all_orders(game: Game) -> None:
    n, v = game
    orders = list(itertools.permutations(range(n)))
    assert exact(n, v.__getitem__) == close(along(orders, v.__getitem__))


@settings(max_examples=40, deadline=None)
@given(games, st.data())
def test_symmetry_and_dummy(game: Game, data: st.DataObject) -> None:
    """Player 0 and a new player who does the same, in any game; and one who never matters."""
    n, v = game

    def twin(coalition: int) -> float:
        return v[coalition & ((1 << n) - 1) | (coalition >> n & 1)]

    shares = exact(n + 1, twin)
    assert shares[0] == pytest.approx(shares[n], abs=1e-9)
    dummy = data.draw(st.integers(0, n))

    def padded(coalition: int) -> float:
        low = coalition & ((1 << dummy) - 1)
        return v[low | coalition >> (dummy + 1) << dummy]

    assert exact(n + 1, padded)[dummy] == pytest.approx(0, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(games, st.randoms(use_true_random=False))
def test_linearity(game: Game, draw: random.Random) -> None:
    n, v = game
    w = [draw.uniform(-1, 1) for _ in v]
    both = exact(n, [a + b for a, b in zip(v, w, strict=True)].__getitem__)
    parts = zip(exact(n, v.__getitem__), exact(n, w.__getitem__), strict=True)
    assert both == close([a + b for a, b in parts])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1, 1, allow_nan=False), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_leaving_one_out_of_an_additive_game_gives_its_weights_and_so_does_every_order(
    weights: list[float], draw: random.Random
) -> None:
    n = len(weights)

    def value(coalition: int) -> float:
        return sum(w for i, w in enumerate(weights) if coalition >> i & 1)

    everything = (1 << n) - 1
    assert [value(everything) - value(everything & ~(1 << i)) for i in range(n)] == close(weights)
    assert exact(n, value) == close(weights) and along(antithetic(n, draw), value) == close(weights)


@settings(max_examples=40, deadline=None)
@given(games, st.randoms(use_true_random=False))
def test_any_orders_are_efficient(game: Game, draw: random.Random) -> None:
    n, v = game
    assert sum(along(antithetic(n, draw), v.__getitem__)) == pytest.approx(v[-1] - v[0], abs=1e-9)


def test_a_reversed_order_puts_every_player_before_every_other_once() -> None:
    order, back = antithetic(6, random.Random(3))
    for i, j in itertools.permutations(range(6), 2):
        assert (order.index(i) < order.index(j)) != (back.index(i) < back.index(j))
    assert prefixes((2, 0, 1)) == [0, 4, 5, 7]


def test_sampled_orders_come_close_to_the_exact_values_without_bias() -> None:
    """A game with strong interaction: 1 when two of players 0 to 2 are there and player 3 is not."""

    def value(coalition: int) -> float:
        return float((coalition & 7).bit_count() >= 2 and not coalition & 8)

    draw = random.Random(5)
    samples = [along(antithetic(4, draw), value) for _ in range(2000)]
    means = [sum(s[i] for s in samples) / len(samples) for i in range(4)]
    assert means == pytest.approx(exact(4, value), abs=0.03)
