"""What the statistics of one comparison cost, at a usual size and at a large one: no trials, no model.

python benchmarks/stats_speed.py
"""

import argparse
import json
import random
import time
from collections.abc import Callable
from typing import Any

from prowess.evolve.run import machine
from prowess.measure.stats.agreement import cohen_kappa
from prowess.measure.stats.design import Design, expect, pairs_for, stop
from prowess.measure.stats.graded import bootstrap_interval, permutation_test
from prowess.measure.stats.multiple import benjamini_hochberg, holm
from prowess.measure.stats.paired import mcnemar_exact, tango_interval
from prowess.measure.stats.power import minimum_detectable_effect, pairs_needed
from prowess.measure.stats.proportions import clopper_pearson, wilson
from prowess.measure.stats.sequential import anytime_interval, e_value, non_inferiority_p

DRAW = random.Random(1)


def shares(n: int) -> list[float]:
    return [(DRAW.randrange(6) - DRAW.randrange(6)) / 5 for _ in range(n)]


def questions(n: int) -> dict[str, Callable[[], Any]]:
    wins, losses = n // 3, n // 10
    few, ps = shares(n), [DRAW.random() for _ in range(n)]
    return {
        "exact McNemar": lambda: mcnemar_exact(wins, losses),
        "Tango's interval": lambda: tango_interval(wins, losses, n),
        "Clopper-Pearson interval": lambda: clopper_pearson(wins, n),
        "Wilson's interval": lambda: wilson(wins, n),
        "e-value": lambda: e_value(wins, losses),
        "interval valid at any time": lambda: anytime_interval(wins, losses, n),
        "non-inferiority": lambda: non_inferiority_p(wins, losses, n, 0.1),
        "paired permutation test": lambda: permutation_test(few),
        "BCa bootstrap interval": lambda: bootstrap_interval(few),
        "Holm": lambda: holm(ps),
        "Benjamini-Hochberg": lambda: benjamini_hochberg(ps),
        "Cohen's kappa": lambda: cohen_kappa(wins, losses, losses, n - wins - 2 * losses),
        "minimum detectable effect": lambda: minimum_detectable_effect(min(n, 2_000), 0.05),
        "pairs needed": lambda: pairs_needed(0.25, 0.05),
        "a look at the sequential test": lambda: stop(Design(40), 20, 4, 1),
        "plan of a sequential test": lambda: expect(Design(40), 0.2, 0.1),
        "smallest sequential design": lambda: pairs_for(0.3, 0.05),
    }


def median(work: Callable[[], Any], repeats: int) -> float:
    """Processor seconds of one call, the median of `repeats`."""
    work()  # what is kept between calls is made here
    times: list[float] = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return sorted(times)[repeats // 2]


def main() -> None:
    parser = argparse.ArgumentParser(description="Time of the statistics of one comparison.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[40, 2_000])
    parser.add_argument("--repeats", type=int, default=21)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    times = {n: {name: median(f, options.repeats) for name, f in questions(n).items()} for n in options.sizes}
    if options.json:
        print(json.dumps({"machine": machine(), "seconds": times}, indent=1))
        return
    print(f"{machine()}; milliseconds of one call, median of {options.repeats}\n")
    print(
        "| statistic | "
        + " | ".join(f"n = {n:,}" for n in options.sizes)
        + " |\n|---"
        + "|---" * len(options.sizes)
        + "|"
    )
    for name in questions(10):
        print(f"| {name} | " + " | ".join(f"{1000 * times[n][name]:.3f}" for n in options.sizes) + " |")


if __name__ == "__main__":
    main()
