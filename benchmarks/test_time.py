"""What tokens at test time buy: ways of spending them on one and the same model, at equal tokens.

    python benchmarks/test_time.py                    # about five minutes on one core
    python benchmarks/test_time.py --tasks 40 --steps 200   # does it run?

A tiny decoder is taught to apply chains of string functions step by step, with mistakes: a share of the steps shown to
it are wrong, and what follows builds on them; after the mark `?` it begins again. Then every controller answers the
same held-out chains with the same budgets. Judges err in a fifth of the cases; "likely" asks the model itself. Printed:
accuracy with the 95 % interval (Wilson), the tokens really spent, and for self-correction the flips by round.
"""

import argparse
import random
from collections.abc import Sequence
from functools import partial

import torch

from prowess.core.task import Task
from prowess.measure.stats.proportions import wilson
from prowess.train.mechanisms.base import Example
from prowess.train.mechanisms.strings import Strings, final
from prowess.train.policies.load import tiny
from prowess.train.policies.model import ModelPolicy
from prowess.train.search import judges
from prowess.train.search.base import Attempt, Control
from prowess.train.search.control import BestOf, Greedy, vote
from prowess.train.search.correct import Choose, Rewrite, flips
from prowess.train.search.deepening import Deepen
from prowess.train.search.tree import Tree
from prowess.train.study import machine
from prowess.train.trainer import Trainer
from prowess.train.warm import imitation

DEPTH, ERROR, AGAIN, NOISE = 4, 0.15, "?", 0.2
WORLD = Strings(0, letters="abc", sizes=(0, 8, 0))
LONGEST = WORLD.answer_length(DEPTH) + 1


def trace(prompt: str, rng: random.Random) -> str:
    """A chain worked out with mistakes."""
    chain, _, text = prompt.partition(":")
    said: list[str] = []
    for name in reversed(chain):
        text = WORLD.functions[name](text, WORLD.letters)
        if rng.random() < ERROR:
            text = "".join(rng.choices(WORLD.letters, k=WORLD.length))
        said.append(f"{name}>{text}")
    return " ".join(said) + "."


def shown(n: int, seed: int) -> list[Example]:
    rng = random.Random(f"test-time/{seed}")
    found: list[Example] = []
    for i in range(n):
        [task] = WORLD.tasks("evidence", 1, level=rng.randint(1, DEPTH), seed=seed * n + i)
        again = tuple((AGAIN, trace(task.prompt, rng)) for _ in range(rng.randrange(4)))
        found.append(Example(task.prompt, trace(task.prompt, rng), again))
    return found


def progress(task: Task, attempts: Sequence[Attempt], error: float = NOISE) -> list[float]:
    """The share of the steps that are right so far, up to the first mistake; turned round for a share of the
    answers."""
    right = WORLD.oracle(task)[:-1].split(" ")
    found: list[float] = []
    for a in attempts:
        said = a.text.rstrip(".").rstrip().split(" ")
        good = next(
            (i for i, (x, y) in enumerate(zip(said, right, strict=False)) if x != y), min(len(said), len(right))
        )
        wrong = random.Random(f"{task.id}/{a.text}").random() < error
        found.append(1 - good / DEPTH if wrong else good / DEPTH)
    return found


def options(task: Task) -> list[str]:
    """The right answer among three that have a mistake, in an order that says nothing."""
    rng, right = random.Random(f"options/{task.id}"), WORLD.oracle(task)
    found = {right}
    while len(found) < 4:
        found.add(trace(task.prompt, rng))
    return rng.sample(sorted(found), 4)


def controls() -> dict[str, Control]:
    doubt = judges.noisy(WORLD.check, NOISE)
    return {
        "greedy": Greedy(LONGEST),
        "best of N, likely": BestOf(LONGEST, judges.likely),
        "best of N, judge": BestOf(LONGEST, doubt),
        "vote": vote(LONGEST, final),
        "rewrite": Rewrite(LONGEST, AGAIN, rounds=99),
        "choose among four": Choose(options, AGAIN, rounds=99),
        "deepening, judge": Deepen(LONGEST, LONGEST, doubt, AGAIN, gamma=1.5),
        "deepening, vote": Deepen(LONGEST, LONGEST, judges.agreed(final), AGAIN, gamma=1.5),
        "tree, judge of steps": Tree(WORLD.length + 3, LONGEST, " ", progress),
        "tree, fixed width": Tree(WORLD.length + 3, LONGEST, " ", progress, alpha=0.0),
        "best of N, judge of steps": BestOf(LONGEST, progress),
        "best of N, truth": BestOf(LONGEST, judges.oracle(WORLD.check)),
    }


def taught(steps: int) -> ModelPolicy:
    policy = tiny(width=64, layers=3, context=512)
    Trainer({"actor": policy}, imitation(shown), steps=steps).run()
    return policy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--budgets", type=int, nargs="+", default=[110, 220, 440])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    o = parser.parse_args()
    torch.set_num_threads(o.threads)
    policy, tasks = taught(o.steps), WORLD.tasks("test", o.tasks, level=DEPTH, seed=1)
    print(f"{machine()}; {len(tasks)} chains of {DEPTH}, answers of up to {LONGEST} tokens, seed {o.seed}\n")
    print("| controller | " + " | ".join(f"{b} tokens" for b in o.budgets) + " | spent of the last |")
    print("|---" * (len(o.budgets) + 2) + "|", flush=True)
    curves: dict[str, list[str]] = {}
    for name, control in controls().items():
        cells: list[str] = []
        spent = 0.0
        for budget in o.budgets:
            found = control(tasks, policy, budget, o.seed)
            solved = sum(WORLD.check(t, f.answer) == 1.0 for t, f in zip(tasks, found, strict=True))
            low, high = wilson(solved, len(tasks))
            cells.append(f"{solved / len(tasks):.2f} [{low:.2f}, {high:.2f}]")
            spent = sum(f.tokens for f in found) / len(found)
            if name in ("rewrite", "choose among four"):
                rounds = flips(tasks, found, partial(WORLD.check))
                curves[name] = [f"{r.accuracy:.2f} (+{r.mended:.2f} -{r.spoiled:.2f})" for r in rounds[:6]]
        print(f"| {name} | " + " | ".join(cells) + f" | {spent:.0f} |", flush=True)
    for name, rounds in curves.items():
        print(f"\n{name}, round by round (mended, spoiled): " + ", ".join(rounds))


if __name__ == "__main__":
    main()
