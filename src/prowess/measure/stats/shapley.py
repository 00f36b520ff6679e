"""Shapley values: each player's fair share of what all of them achieve together.

    φ_i = mean over all orders of [ v(those before i, and i) - v(those before i) ]

It is the one division that adds up to v(all) - v(none), treats alike players alike, gives nothing to a player who never
matters, and is additive over games (L. S. Shapley, Contributions to the Theory of Games II (1953) 307). Leaving one out
looks at the last place of every order only: of two players that do the same work it says that neither matters.

A coalition is a set of players as the bits of a number. Few players: all coalitions. Many: orders drawn at random
(J. Castro, D. Gómez, J. Tejada, Computers & OR 36 (2009) 1726), each with its reverse, so that every player stands
before every other in exactly one of the two (R. Mitchell et al., JMLR 23 (2022) 43, on antithetic permutations).
"""

import random
from collections.abc import Callable, Sequence
from math import factorial

Value = Callable[[int], float]
"""What a coalition achieves."""
Order = tuple[int, ...]


def exact(players: int, value: Value) -> tuple[float, ...]:
    """The Shapley values from all 2^players coalitions, each valued once."""
    values = [value(coalition) for coalition in range(1 << players)]
    weights = [factorial(size) * factorial(players - 1 - size) / factorial(players) for size in range(players)]
    shares = [0.0] * players
    for coalition, worth in enumerate(values):
        size = coalition.bit_count()
        for i in range(players):
            if coalition >> i & 1:
                shares[i] += weights[size - 1] * worth
            else:
                shares[i] -= weights[size] * worth
    return tuple(shares)


def along(orders: Sequence[Order], value: Value) -> tuple[float, ...]:
    """Mean over `orders` of what each player adds to those before it; sums to v(all) - v(none) whatever the orders."""
    shares = [0.0] * len(orders[0])
    for order in orders:
        coalition, before = 0, value(0)
        for player in order:
            coalition |= 1 << player
            after = value(coalition)
            shares[player] += (after - before) / len(orders)
            before = after
    return tuple(shares)


def prefixes(order: Order) -> list[int]:
    """The coalitions that `along` asks for, from none to all."""
    found = [0]
    for player in order:
        found.append(found[-1] | 1 << player)
    return found


def antithetic(players: int, draw: random.Random) -> tuple[Order, Order]:
    """A random order and its reverse."""
    order = tuple(draw.sample(range(players), players))
    return order, order[::-1]
