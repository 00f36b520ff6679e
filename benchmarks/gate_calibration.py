"""How often do gates let a bad change in, keep a good one out, and at what price? Simulated: the truth is known.

Each simulated library gets one candidate change: useless, +10 or +30 points, harmful (-15), or mixed (+30 points on
half of the tasks and -30 on the other half). A task has its own chance of success, drawn so that an A/A run flips in
the given share of pairs; a trial is one draw at that chance. Chances end at 0 and 1, so the true mean effects, which
stand in the first row, are smaller than the names, and that of the mixed change is a little above zero. The gates see
trials only. Assumptions that are not ours
to measure stand in `Judges` and `Minibatch`, with what they stand for.

Every share is a mean over all libraries, with its exact interval (Clopper and Pearson) in the JSON. `of fixed` compares
the trials with those of the exact test of fixed size, at the same alpha, that accepts as many +30 candidates.

    python benchmarks/gate_calibration.py                       # 10,000 libraries: the figures in docs/measure.md
    python benchmarks/gate_calibration.py --libraries 1000      # a first look

Exit code 1 where the gate breaks a promise: false accepts above 5 %, harmful changes accepted above 1 %, or more than
half of the trials of the fixed design.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from prowess.measure.stats.design import Design, stop
from prowess.measure.stats.paired import mcnemar_exact
from prowess.measure.stats.proportions import clopper_pearson

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

KINDS = {"useless": 0.0, "helpful +10": 0.10, "helpful +30": 0.30, "harmful -15": -0.15, "mixed ±30": 0.30}
GOOD = ("helpful +10", "helpful +30")
MOST_PAIRS = 80
OURS = "prowess"
"""Rules whose name begins so must keep the promises."""


@dataclass(frozen=True)
class World:
    """Libraries with a candidate each; chances of success without and with it, per library and task."""

    old: Floats
    new: Floats
    rng: np.random.Generator

    def passes(self, n: int) -> tuple[Bools, Bools]:
        """One trial per arm on the first `n` tasks of every library."""
        shape = (len(self.old), n)
        return self.rng.random(shape) < self.old[:, :n], self.rng.random(shape) < self.new[:, :n]

    @property
    def effect(self) -> Floats:
        return (self.new - self.old).mean(axis=1)


def world(kind: str, libraries: int, flip_rate: float, rng: np.random.Generator, mean: float = 0.4) -> World:
    """Chances are Beta(mean·k, (1-mean)·k), with k such that E[2p(1-p)] = 2·mean·(1-mean)·k/(k+1) is the flip rate."""
    most = 2 * mean * (1 - mean)
    k = flip_rate / (most - flip_rate)
    old = rng.beta(mean * k, (1 - mean) * k, (libraries, MOST_PAIRS))
    shift = np.full(old.shape, KINDS[kind])
    if kind.startswith("mixed"):
        shift *= rng.choice([1.0, -1.0], old.shape)
    return World(old, np.clip(old + shift, 0, 1), rng)


Rule = Callable[[World], tuple[Bools, Floats]]
"""Which libraries accept their candidate, and how many trials each spent."""


def sequential(design: Design) -> Rule:
    """Our gate."""
    size = design.max_pairs + 1
    codes = {None: 0, "better": 1, "worse": 2, "futile": 3}
    looks = [n for n in range(1, size) if n % design.batch == 0 or n == design.max_pairs]
    table = np.zeros((size, size, size), dtype=np.int8)
    for n in looks:
        for wins in range(n + 1):
            for losses in range(n + 1 - wins):
                table[n, wins, losses] = codes[stop(design, n, wins, losses)]

    def rule(w: World) -> tuple[Bools, Floats]:
        old, new = w.passes(design.max_pairs)
        wins, losses = np.cumsum(new & ~old, axis=1), np.cumsum(old & ~new, axis=1)
        code = np.zeros(len(old), dtype=np.int8)
        pairs = np.full(len(old), design.max_pairs)
        for n in looks:
            now = np.where(code == 0, table[n, wins[:, n - 1], losses[:, n - 1]], 0)
            pairs = np.where(now > 0, n, pairs)
            code = np.where(now > 0, now, code)
        return code == 1, 2.0 * pairs

    return rule


def fixed(n: int) -> Rule:
    """The exact McNemar test at 0.05, two-sided, on `n` pairs."""
    rejects = np.array(
        [[w > k and w + k <= n and mcnemar_exact(w, k) <= 0.05 for k in range(n + 1)] for w in range(n + 1)]
    )

    def rule(w: World) -> tuple[Bools, Floats]:
        old, new = w.passes(n)
        return rejects[(new & ~old).sum(axis=1), (old & ~new).sum(axis=1)], np.full(len(old), 2.0 * n)

    return rule


def more_passes(n: int) -> Rule:
    """Accept when the candidate passes more of `n` tasks."""

    def rule(w: World) -> tuple[Bools, Floats]:
        old, new = w.passes(n)
        return new.sum(axis=1) > old.sum(axis=1), np.full(len(old), 2.0 * n)

    return rule


@dataclass(frozen=True)
class Judges:
    """Accept when the mean score of three judge models, who read and run nothing, is at least 0.75.

    They are taken to see the true effect, but weakly, under a bias towards plausible text that all three share.
    """

    bias: float = 0.76
    slope: float = 0.3
    shared: float = 0.06
    own: float = 0.08

    def __call__(self, w: World) -> tuple[Bools, Floats]:
        centre = self.bias + self.slope * w.effect + w.rng.normal(0, self.shared, len(w.old))
        scores = centre[:, None] + w.rng.normal(0, self.own, (len(w.old), 3))
        return np.clip(scores, 0, 1).mean(axis=1) >= 0.75, np.zeros(len(w.old))


@dataclass(frozen=True)
class Minibatch:
    """Accept when the sum of graded scores over the minibatch that taught the lesson rises at all.

    A score is the share of five checks that pass, each at the task's chance; having seen the very tasks is worth a few
    points there and nothing elsewhere.
    """

    tasks: int = 4
    checks: int = 5
    seen: float = 0.05

    def __call__(self, w: World) -> tuple[Bools, Floats]:
        new = np.clip(w.new[:, : self.tasks] + self.seen, 0, 1)
        old_sum = w.rng.binomial(self.checks, w.old[:, : self.tasks]).sum(axis=1)
        new_sum = w.rng.binomial(self.checks, new).sum(axis=1)
        return new_sum > old_sum, np.full(len(w.old), 2.0 * self.tasks)


RULES: dict[str, Rule] = {
    "prowess, up to 20 pairs (default)": sequential(Design(20)),
    "prowess, up to 40 pairs": sequential(Design(40)),
    "prowess, up to 60 pairs": sequential(Design(60)),
    "prowess, up to 60 pairs, alpha 0.1": sequential(Design(60, alpha=0.1)),
    "exact test on 20 pairs": fixed(20),
    "exact test on 40 pairs": fixed(40),
    "new > old on 3 tasks": more_passes(3),
    "new > old on 10 tasks": more_passes(10),
    "mean of 3 judges >= 0.75": Judges(),
    "better minibatch sum": Minibatch(),
}


def calibrate(libraries: int, flip_rate: float, seed: int) -> list[dict[str, Any]]:
    """One row per rule: shares accepted by kind, errors over the mix, mean trials spent."""
    rows: list[dict[str, Any]] = []
    each = libraries // len(KINDS)
    sizes = {n: _run(fixed(n), "helpful +30", each, flip_rate, seed)[0].mean() for n in range(6, MOST_PAIRS + 1, 2)}
    for name, rule in RULES.items():
        ran = {kind: _run(rule, kind, each, flip_rate, seed) for kind in KINDS}
        took = {kind: int(accepted.sum()) for kind, (accepted, _) in ran.items()}
        bad = [kind for kind in KINDS if kind not in GOOD]
        trials = float(np.mean([spent.mean() for _, spent in ran.values()]))
        equal = next((n for n, share in sizes.items() if share >= took["helpful +30"] / each), None)
        rows.append(
            {
                "rule": name,
                "accepted": {kind: _share(took[kind], each) for kind in KINDS},
                "false_accepts": _share(sum(took[kind] for kind in bad), each * len(bad)),
                "false_rejects": _share(sum(each - took[kind] for kind in GOOD), each * len(GOOD)),
                "trials": trials,
                "equal_fixed_pairs": equal if name.startswith(OURS) else None,
                "of_fixed": trials / (2 * equal) if equal and name.startswith(OURS) else None,
            }
        )
    return rows


def _run(rule: Rule, kind: str, libraries: int, flip_rate: float, seed: int) -> tuple[Bools, Floats]:
    """What a rule does on worlds that are the same for every rule: its own draws come after theirs."""
    rng = np.random.default_rng([seed, sorted(KINDS).index(kind)])
    return rule(world(kind, libraries, flip_rate, rng))


def _share(count: int, n: int) -> dict[str, float]:
    low, high = clopper_pearson(count, n)
    return {"share": count / n, "low": low, "high": high}


def broken(rows: list[dict[str, Any]]) -> list[str]:
    """Promises that our gate does not keep, in words."""
    found: list[str] = []
    for row in (r for r in rows if r["rule"].startswith(OURS)):
        if row["false_accepts"]["share"] > 0.05:
            found.append(f"{row['rule']}: accepts more than 5 % of what does not help")
        if row["accepted"]["harmful -15"]["share"] > 0.01:
            found.append(f"{row['rule']}: accepts more than 1 % of what harms")
        if row["of_fixed"] is None or row["of_fixed"] > 0.5:
            found.append(f"{row['rule']}: needs more than half of the trials of the fixed design")
    return found


def show(rows: list[dict[str, Any]], flip_rate: float, libraries: int, seed: int) -> None:
    print(f"\nA/A flip rate {flip_rate:.0%}, {libraries:,} libraries, seed {seed}; share of candidates accepted\n")
    print("| rule | " + " | ".join(KINDS) + " | false accepts [95 %] | false rejects | trials | of fixed |")
    print("|---" * (len(KINDS) + 5) + "|")
    rng = np.random.default_rng(seed)
    truth = [world(kind, 2_000, flip_rate, rng).effect.mean() for kind in KINDS]
    print("| *true mean effect, points* | " + " | ".join(f"*{100 * t + 0:+.0f}*" for t in truth) + " | | | | |")
    for row in rows:
        shares = " | ".join(f"{share['share']:.1%}" for share in row["accepted"].values())
        wrong = row["false_accepts"]
        errors = f"{wrong['share']:.1%} [{wrong['low']:.1%}, {wrong['high']:.1%}] | {row['false_rejects']['share']:.0%}"
        of_fixed = "" if row["of_fixed"] is None else f"{row['of_fixed']:.0%}"
        print(f"| {row['rule']} | {shares} | {errors} | {row['trials']:.1f} | {of_fixed} |")


def main() -> None:
    parser = argparse.ArgumentParser(description="False accepts, false rejects and trials spent by gates.")
    parser.add_argument("--libraries", type=int, default=10_000, help="simulated libraries (default 10,000)")
    parser.add_argument("--flip-rates", type=float, nargs="+", default=[0.05, 0.27], help="A/A flip rates, below 0.48")
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    options = parser.parse_args()
    results = {rate: calibrate(options.libraries, rate, options.seed) for rate in options.flip_rates}
    promises = [f"flip rate {rate:.0%}, {text}" for rate, rows in results.items() for text in broken(rows)]
    if options.json:
        found = {"libraries": options.libraries, "seed": options.seed, "by_flip_rate": results, "broken": promises}
        print(json.dumps(found, indent=1))
    else:
        for rate, rows in results.items():
            show(rows, rate, options.libraries, options.seed)
        print("\nNot kept: " + "; ".join(promises) if promises else "\nAll promises are kept.")
    sys.exit(1 if promises else 0)


if __name__ == "__main__":
    main()
