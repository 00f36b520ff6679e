"""The two special functions that exact binomial statistics need, without scipy."""

import math

from prowess.core.errors import UserError

_TINY = 1e-300


def beta_cdf(a: float, b: float, x: float) -> float:
    """Regularised incomplete beta function I_x(a, b), for a, b > 0 and 0 <= x <= 1.

    Continued fraction by Lentz's method (Abramowitz and Stegun 26.5.8), on the side where it converges fast.
    """
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1.0 - beta_cdf(b, a, 1.0 - x)
    log_front = (
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x) - math.log(a)
    )
    c, d = 1.0, _away_from_zero(1.0 - (a + b) * x / (a + 1))
    d = 1.0 / d
    fraction = d
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        step = 1.0
        for term in (even, odd):
            d = 1.0 / _away_from_zero(1.0 + term * d)
            c = _away_from_zero(1.0 + term / c)
            step = c * d
            fraction *= step
        if abs(step - 1.0) < 1e-15:
            break
    return min(1.0, math.exp(log_front) * fraction)


def beta_quantile(a: float, b: float, q: float) -> float:
    """The x with I_x(a, b) = q, by bisection to the last bit."""
    low, high = 0.0, 1.0
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if beta_cdf(a, b, middle) < q:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def binomial_cdf(k: int, n: int, p: float) -> float:
    """P(X <= k) for X ~ Binomial(n, p): I_{1-p}(n - k, k + 1)."""
    if k < 0:
        return 0.0
    if k >= n:
        return 1.0
    return beta_cdf(n - k, k + 1, 1.0 - p)


def check_counts(**counts: int) -> None:
    """Refuse negative or fractional counts, by name."""
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise UserError(f"{name} is {value!r}, which is no count", "give a whole number, zero or more")


def check_share(**shares: float) -> None:
    """Refuse what is not strictly between 0 and 1, by name; NaN included."""
    for name, value in shares.items():
        if not 0.0 < value < 1.0:
            raise UserError(f"{name} is {value!r}", "give a number strictly between 0 and 1")


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
