"""What rules of the lifecycle keep, lose and cost: ours, keep all, withdraw all, retire by usage, SLIM's alone.

Simulated libraries, where the truth is known: three skills that help (+10, +20, +40 points), three useless, two harmful
(-15, -30). Pairs of trials flip by chance as often as an A/A run says. In each of twelve rounds a skill is shown on a
few tasks; how often it is shown is drawn per skill and has nothing to do with whether it helps. Audits run those tasks
without the skill too. What a rule nominates leaves at once, or, with proof, only when up to sixty other pairs rule out
a loss of `--margin`.

With `--pretend`, the same question on the real loop: workbench, sandbox, the recipe `lifecycle` and its options, with
the played model of `pretend.py`, which does a task right when it is shown the right skill.

    python benchmarks/lifecycle.py                      # 400 libraries
    python benchmarks/lifecycle.py --libraries 1000     # the figures in docs/lifecycle.md
    python benchmarks/lifecycle.py --pretend --tasks 6 --gate 18
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import numpy.typing as npt

from prowess.core.skill import Skill, Snapshot
from prowess.evolve.run import agent_of, machine
from prowess.measure.contribution import Standing
from prowess.measure.lifecycle import Rules
from prowess.measure.stats.design import Design, stop
from prowess.measure.stats.proportions import clopper_pearson

EFFECTS = {"+40": 0.4, "+20": 0.2, "+10": 0.1, "useless": 0.0, "harmful -15": -0.15, "harmful -30": -0.3}
LIBRARY = ("+40", "+20", "+10", "useless", "useless", "useless", "harmful -15", "harmful -30")
ROUNDS = 12
SHOWN = (1, 9)
"""Tasks per round that show a skill: least and most, drawn evenly."""
USED_UP = Rules(exposure=60, uses=20)
"""The baseline: of the last sixty tasks that could have shown it, used in fewer than twenty."""


@dataclass(frozen=True)
class Kind:
    """One skill of one library: its true effect, and what the rules get to see of it."""

    effect: float
    audits: list[tuple[float, int]]
    used: int
    """Tasks of the last `USED_UP.exposure` in which it was used."""
    proof: "npt.NDArray[np.int8]"
    """Outcomes of pairs on other tasks: 1 won without the skill, -1 lost, 0 tied."""


def pairs(effect: float, n: int, flip_rate: float, rng: np.random.Generator) -> "npt.NDArray[np.int8]":
    """With minus without, on `n` tasks: 1, 0 or -1; half of the flips each way, and the effect on top."""
    rolled = rng.random(n)
    win, loss = flip_rate / 2 + max(effect, 0), flip_rate / 2 + max(-effect, 0)
    return (rolled < win).astype(np.int8) - (rolled > 1 - loss).astype(np.int8)


def drawn(name: str, flip_rate: float, rng: np.random.Generator) -> Kind:
    effect = EFFECTS[name]
    each = int(rng.integers(SHOWN[0], SHOWN[1] + 1))
    audits = [(float(pairs(effect, each, flip_rate, rng).mean()), each) for _ in range(ROUNDS)]
    window = rng.random(USED_UP.exposure) < each / (SHOWN[1] + 1)
    return Kind(effect, audits, int(window.sum()), -pairs(effect, 60, flip_rate, rng))


@dataclass(frozen=True)
class Left:
    """Whether a skill left, and how many trials were paid to find out."""

    gone: bool
    trials: int


Rule = Callable[[Kind], Left]


def slim(kind: Kind) -> Left:
    """SLIM's rule alone: what it nominates leaves."""
    now, trials = Standing(), 0
    for effect, n in kind.audits:
        now, trials = now.after(effect, n, Rules()), trials + n
        if now.stage(Rules()) == "retire":
            return Left(True, trials)
    return Left(False, trials)


def proven(margin: float, nominate: Callable[[Kind], Left] = slim) -> Rule:
    """Ours: nominated by a rule, proven by pairs on other tasks."""

    @cache
    def decided(n: int, wins: int, losses: int) -> str | None:
        return stop(Design(max_pairs=60, asks="no loss", margin=margin), n, wins, losses)

    def rule(kind: Kind) -> Left:
        nominated = nominate(kind)
        if not nominated.gone:
            return nominated
        for n in range(2, 61, 2):
            ending = decided(n, int((kind.proof[:n] > 0).sum()), int((kind.proof[:n] < 0).sum()))
            if ending is not None or n == 60:
                return Left(ending == "no loss", nominated.trials + 2 * n)
        raise AssertionError

    return rule


def rules(margin: float) -> dict[str, Rule]:
    return {
        "keep all": lambda kind: Left(False, 0),
        "withdraw all": lambda kind: Left(True, 0),
        "retire by usage": lambda kind: Left(kind.used < USED_UP.uses, 0),
        "SLIM's rule alone": slim,
        "prowess: SLIM's rule, then proof": proven(margin),
        "prowess: usage, then proof": proven(margin, lambda kind: Left(kind.used < USED_UP.uses, 0)),
        "prowess: everything to the proof": proven(margin, lambda kind: Left(True, 0)),
    }


def simulate(libraries: int, flip_rate: float, margin: float, seed: int) -> list[dict[str, Any]]:
    """One row per rule, all on the same libraries."""
    rng = np.random.default_rng([seed, round(1000 * flip_rate)])
    world = [[(name, drawn(name, flip_rate, rng)) for name in LIBRARY] for _ in range(libraries)]
    rows: list[dict[str, Any]] = []
    for title, rule in rules(margin).items():
        left = [[(name, kind, rule(kind)) for name, kind in library] for library in world]
        flat = [entry for library in left for entry in library]
        gone = {name: [result.gone for n, _, result in flat if n == name] for name in EFFECTS}
        worth = [sum(kind.effect for _, kind, result in library if not result.gone) for library in left]
        needed = [result.gone for _, kind, result in flat if kind.effect >= margin]
        rows.append(
            {
                "rule": title,
                "gone": {name: sum(found) / len(found) for name, found in gone.items()},
                "needed_lost": interval(sum(needed), len(needed)),
                "precision": interval(
                    sum(r.gone and k.effect <= 0 for _, k, r in flat), max(1, sum(r.gone for _, _, r in flat))
                ),
                "skills": sum(not r.gone for _, _, r in flat) / libraries,
                "worth": 100 * float(np.mean(worth)) / len(LIBRARY),
                "worth_se": 100 * float(np.std(worth, ddof=1)) / np.sqrt(libraries) / len(LIBRARY),
                "trials": sum(r.trials for _, _, r in flat) / libraries,
            }
        )
    return rows


def interval(k: int, n: int) -> tuple[float, float, float]:
    return k / n, *clopper_pearson(k, n)


def show(rows: list[dict[str, Any]]) -> None:
    print("| rule | " + " | ".join(EFFECTS) + " | needed skills lost | worth | skills | trials |")
    print("|---" * (len(EFFECTS) + 5) + "|")
    for r in rows:
        gone = " | ".join(f"{share:.1%}" for share in r["gone"].values())
        lost, low, high = r["needed_lost"]
        worth = f"{r['worth']:+.2f} ± {1.96 * r['worth_se']:.2f}"
        print(
            f"| {r['rule']} | {gone} | {lost:.2%} [{low:.2%}, {high:.2%}] | {worth}"
            f" | {r['skills']:.1f} | {r['trials']:.0f} |"
        )


# The same question on the real loop

FAMILIES = ("ledger-totals", "room-conflicts", "address-list")


def start() -> Snapshot:
    """One skill that helps, one that stands in the way of another, one that is shown and does nothing."""
    from prowess.suites.workbench import Workbench

    suite = Workbench()
    ledger, rooms = suite.human_skill(FAMILIES[0]), suite.human_skill(FAMILIES[1])
    (job,) = {t.prompt.splitlines()[0] for t in suite.tasks(FAMILIES[1], "evidence", 1)}
    in_the_way = Skill(
        name="meeting-notes", description=f"{rooms.description} {job}", body="# Meetings\n\nLook at every room twice.\n"
    )
    useless = Skill(
        name="letters", description="Cleans and unifies an address list. Use when a task asks to clean addresses.",
        body="# Letters\n\nAddresses should look neat.\n",
    )  # fmt: skip
    return Snapshot.of([ledger, rooms, in_the_way, useless])


async def loop(out: Path, tasks: int, gate: int) -> list[dict[str, Any]]:
    from pretend import PretendModel

    from prowess.agents.models.cache import Cached
    from prowess.evolve.lifecycle import Retire
    from prowess.evolve.loop import evolve
    from prowess.evolve.method import Setup
    from prowess.evolve.protocols import Context
    from prowess.evolve.providers import BestMatches
    from prowess.evolve.recipes import lifecycle
    from prowess.measure.trials import Arm, Bench, run_trials
    from prowess.sandbox import find_sandbox
    from prowess.suites.workbench import Workbench
    from prowess.trajectories.runstore import RunStore

    suite, sandbox, provider = Workbench(), find_sandbox(), BestMatches()
    setup = Setup(suite, sandbox, FAMILIES, evidence=tasks, gate=gate, samples=4)
    model = Cached(PretendModel(FAMILIES, max(tasks, gate, 24)), out / "answers.db", as_paid=True)
    store, agent = RunStore(out / "run.db"), agent_of(model, sandbox, suite)
    options: dict[str, tuple[Retire, bool]] = {
        "keep all": ("none", False), "withdraw all": ("all", False), "retire by usage": ("usage", False),
        "SLIM's rule alone": ("contribution", False), "prowess": ("contribution", True),
    }  # fmt: skip
    held_out, rows = setup.all_tasks("test", 12), list[dict[str, Any]]()
    for title, (retire, proof) in options.items():
        context = Context(suite, agent, model, store, concurrency=2)
        recipe = lifecycle.recipe(setup, retire, proof)
        evolved = await evolve(recipe, start(), context)
        library = evolved.snapshot

        def view(task: Any, library: Snapshot = library) -> Any:
            return provider.view(task, library)

        trials = await run_trials(held_out, (Arm("with", view),), (0,), Bench.of(context))
        passed = sum(bool(t.passed) for t in trials)
        rows.append({"rule": title, "passed": passed, "n": len(trials), "skills": list(library.names)})
        print(f"{title}: {passed} of {len(trials)} held-out tasks, skills: {', '.join(library.names) or 'none'}")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Lifecycle rules on simulated libraries, or on the real loop.")
    parser.add_argument("--libraries", type=int, default=400, help="simulated libraries (400)")
    parser.add_argument("--flip-rates", type=float, nargs="+", default=[0.05, 0.27], help="A/A flip rates")
    parser.add_argument("--margin", type=float, default=0.2, help="loss that a removal must rule out (0.2)")
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--pretend", action="store_true", help="the recipe on the workbench, with a played model")
    parser.add_argument("--tasks", type=int, default=8, help="with --pretend: evidence tasks of each family (8)")
    parser.add_argument("--gate", type=int, default=20, help="with --pretend: gate tasks of each family (20)")
    parser.add_argument("--out", type=Path, help="with --pretend: folder of the stores")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.pretend:
        out = options.out or Path(tempfile.mkdtemp())
        out.mkdir(parents=True, exist_ok=True)
        rows = anyio.run(loop, out, options.tasks, options.gate)
        if options.json:
            print(json.dumps({"machine": machine(), "rows": rows}, indent=1))
        return
    found = {r: simulate(options.libraries, r, options.margin, options.seed) for r in options.flip_rates}
    if options.json:
        print(json.dumps({"libraries": options.libraries, "seed": options.seed, "by_flip_rate": found}, indent=1))
        return
    for rate, rows in found.items():
        print(f"\nA/A flip rate {rate:.0%}, {options.libraries} libraries, margin {options.margin:g}\n")
        show(rows)


if __name__ == "__main__":
    main()
