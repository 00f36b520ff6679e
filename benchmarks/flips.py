"""An A/A run on a real suite: the same library twice under other seeds. What do rules of acceptance say of the noise?

Nothing differs between the two sides, so every acceptance is false. The pairs are dealt into groups that share none,
and each group is put to each rule: that is what was seen. Beside it stands what the rule does on average at the flip
rate of all pairs, and at the ends of its interval. The same command resumes after any stop.

    python benchmarks/flips.py --model embedded --families ledger-totals,address-list --tasks 60 --out flips
    python benchmarks/flips.py --model pretend --out /dev/shm/flips      # a dry run: a model that is right at random
"""

import argparse
import json
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from pretend import PretendModel, by_another_office

from prowess.agents.code import CodeAgent
from prowess.agents.models import open_model
from prowess.agents.models.cache import Cached
from prowess.agents.models.meter import Budget, Metered
from prowess.core.evidence import Evidence
from prowess.core.model import Model, Request
from prowess.core.skill import Snapshot
from prowess.evolve.providers import BestMatches
from prowess.evolve.run import machine
from prowess.measure.calibration import Calibration, calibrate, naive_false_accepts
from prowess.measure.stats.design import Design, expect, stop
from prowess.measure.stats.proportions import clopper_pearson
from prowess.measure.trials import Arm, Bench, Progress
from prowess.sandbox import find_sandbox
from prowess.suites import open_suite
from prowess.suites.workbench import Workbench
from prowess.trajectories.runstore import RunStore

Sides = Sequence[tuple[bool, bool]]
"""Who passed in each pair."""


class RightAtRandom(PretendModel):
    """Right on a share of the requests, drawn by task and seed."""

    name = "pretend:at-random"
    share = 0.7

    def _program(self, request: Request) -> str:
        task = self._task(request)
        right = random.Random(f"{task.id} {request.seed}").random() < self.share
        return Workbench().program(task) if right else by_another_office(task.family, task.seed)


@dataclass(frozen=True)
class Rule:
    """A rule of acceptance: how many pairs it wants, what it says of a group, and its chance at a flip rate."""

    name: str
    pairs: int
    accepts: Callable[[Sides], bool]
    chance: Callable[[float], float]


def more_passes(n: int) -> Rule:
    return Rule(
        f"new > old on {n} tasks",
        n,
        lambda sides: sum(new for _, new in sides) > sum(old for old, _ in sides),
        lambda rate: naive_false_accepts(rate, n),
    )


def gate(design: Design) -> Rule:
    def accepts(sides: Sides) -> bool:
        wins = losses = 0
        for n, (old, new) in enumerate(sides, 1):
            wins, losses = wins + (new and not old), losses + (old and not new)
            if (n % design.batch == 0 or n == design.max_pairs) and (said := stop(design, n, wins, losses)):
                return said == "better"
        return False

    name = f"prowess, up to {design.max_pairs} pairs"
    return Rule(name, design.max_pairs, accepts, lambda rate: expect(design, rate / 2, rate / 2).better)


RULES = (gate(Design()), more_passes(3), more_passes(10))


def rows(evidence: Evidence, found: Calibration, seed: int) -> list[dict[str, Any]]:
    """For each rule: groups that it accepted, and its chance at the flip rate and at the ends of the interval."""
    sides = [(bool(old.passed), bool(new.passed)) for old, new in zip(*[iter(evidence.trials)] * 2, strict=True)]
    random.Random(seed).shuffle(sides)
    out: list[dict[str, Any]] = []
    for rule in RULES:
        groups = [sides[i : i + rule.pairs] for i in range(0, len(sides) - rule.pairs + 1, rule.pairs)]
        accepted = sum(rule.accepts(group) for group in groups)
        low, high = clopper_pearson(accepted, len(groups))
        noise = found.noise
        out.append(
            {
                "rule": rule.name,
                "groups": len(groups),
                "accepted": accepted,
                "low": low,
                "high": high,
                "expected": rule.chance(noise.flip_rate),
                # the chance of "better" need not grow with the rate, but does wherever rates are below one half
                "expected_low": rule.chance(noise.low),
                "expected_high": rule.chance(min(noise.high, 1.0)),
            }
        )
    return out


def show(found: Calibration, table: list[dict[str, Any]], about: str) -> None:
    noise = found.noise
    print(f"{about}\n")
    print(
        f"A/A: {noise.flips} of {noise.n} pairs flipped, {noise.flip_rate:.1%} [{noise.low:.1%}, {noise.high:.1%}]; "
        f"passed {found.evidence.baseline_rate:.0%} and {found.evidence.treatment_rate:.0%}; "
        f"{found.evidence.missing} missing\n"
    )
    print("| rule | accepted, of groups | share [95 %] | expected at that flip rate [at the ends of its interval] |")
    print("|---|---|---|---|")
    for r in table:
        share = r["accepted"] / r["groups"] if r["groups"] else float("nan")
        print(
            f"| {r['rule']} | {r['accepted']} of {r['groups']} | {share:.0%} [{r['low']:.0%}, {r['high']:.0%}] | "
            f"{r['expected']:.1%} [{r['expected_low']:.1%}, {r['expected_high']:.1%}] |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="A/A flip rate of a suite, and what rules of acceptance make of it.")
    parser.add_argument("--model", default="pretend", help="pretend, or as prowess takes it (embedded, openai:NAME)")
    parser.add_argument("--suite", default="workbench")
    parser.add_argument("--families", default="", help="with commas; all of the suite's by default")
    parser.add_argument("--skills", choices=("human", "none"), default="human", help="what the agent is shown")
    parser.add_argument("--tasks", type=int, default=20, help="of each family")
    parser.add_argument("--temperature", type=float, default=0.0, help="of the agent's first answers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--concurrency", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("flips"), help="folder of the stores; the same resumes")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    suite = open_suite(options.suite)
    families = tuple(options.families.split(",")) if options.families else suite.families
    tasks = tuple(task for family in families for task in suite.tasks(family, "test", options.tasks))
    given = [s for f in families if (s := suite.human_skill(f)) is not None] if options.skills == "human" else []
    library, provider = Snapshot.of(given), BestMatches()
    options.out.mkdir(parents=True, exist_ok=True)
    model: Model = RightAtRandom(families, options.tasks) if options.model == "pretend" else open_model(options.model)
    cached = Cached(Metered(model, Budget()), options.out / "answers.db", as_paid=True)

    def told(progress: Progress) -> None:
        print(f"\rtrial {progress.done} of {progress.total}, {progress.missing} missing", end="", file=sys.stderr)

    bench = Bench(
        agent=CodeAgent(cached, find_sandbox(), temperature=options.temperature), suite=suite,
        store=RunStore(options.out / "trials.db"), concurrency=options.concurrency, on_progress=told,
    )  # fmt: skip

    async def run() -> Calibration:
        arm = Arm("library", lambda task: provider.view(task, library))
        return await calibrate(tasks, arm, (options.seed,), bench, design=Design())

    found = anyio.run(run)
    print(file=sys.stderr)
    table = rows(found.evidence, found, options.seed)
    about = (
        f"{suite.name}, {len(families)} families with {options.tasks} held-out tasks each; skills: {options.skills}; "
        f"{model.name}, temperature {options.temperature:g}, seed {options.seed}; {machine()}"
    )
    if options.json:
        noise = found.noise.model_dump() | {"missing": found.evidence.missing}
        print(json.dumps({"about": about, "noise": noise, "rules": table}, indent=1))
    else:
        show(found, table, about)


if __name__ == "__main__":
    main()
