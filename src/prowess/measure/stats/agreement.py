"""How far two judges agree beyond chance."""

import math
from dataclasses import dataclass
from statistics import NormalDist

from prowess.measure.stats.special import check_counts, check_share


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of `n` cases judged by both, `agreed` had equal answers."""

    n: int
    agreed: int
    kappa: float | None
    """1 for full agreement, 0 for no more than chance; None where one answer is the only one ever given."""
    low: float
    high: float
    """Interval of kappa; (-1, 1) where kappa is None."""


def cohen_kappa(both: int, only_first: int, only_second: int, neither: int, level: float = 0.95) -> Agreement:
    """Cohen's kappa of two judges who say yes or no, from the four counts.

    (po - pe) / (1 - pe), with po the share of equal answers and pe the share expected if the two answered
    independently at their own rates. Interval by the large-sample standard error.
    Sources: J. Cohen, Educ. Psychol. Meas. 20 (1960) 37; J. L. Fleiss, J. Cohen and B. S. Everitt, Psychol. Bull. 72
    (1969) 323.
    """
    check_counts(both=both, only_first=only_first, only_second=only_second, neither=neither)
    check_share(level=level)
    n = both + only_first + only_second + neither
    if n == 0:
        return Agreement(0, 0, None, -1.0, 1.0)
    cells = [[both / n, only_first / n], [only_second / n, neither / n]]
    rows = [sum(row) for row in cells]
    columns = [cells[0][j] + cells[1][j] for j in (0, 1)]
    observed = cells[0][0] + cells[1][1]
    expected = rows[0] * columns[0] + rows[1] * columns[1]
    agreed = both + neither
    if math.isclose(expected, 1.0):
        return Agreement(n, agreed, None, -1.0, 1.0)
    kappa = (observed - expected) / (1 - expected)
    spread = sum(cells[i][i] * (1 - (rows[i] + columns[i]) * (1 - kappa)) ** 2 for i in (0, 1))
    spread += (1 - kappa) ** 2 * sum(cells[i][1 - i] * (columns[i] + rows[1 - i]) ** 2 for i in (0, 1))
    spread -= (kappa - expected * (1 - kappa)) ** 2
    error = math.sqrt(max(0.0, spread) / n) / (1 - expected)
    half = NormalDist().inv_cdf((1 + level) / 2) * error
    return Agreement(n, agreed, kappa, max(-1.0, kappa - half), min(1.0, kappa + half))
