"""For which families of the workbench does a model find a passing program by itself, and after how many samples?

    python benchmarks/exploration.py --model embedded --samples 10 --out exploration.json

One search per family and seed, on a task of the split `evidence`; what is found is cached, so a second call resumes.
"""

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import anyio

from prowess.agents.code import CodeAgent
from prowess.agents.models import open_model
from prowess.agents.models.cache import Cached
from prowess.core.skill import Snapshot
from prowess.core.view import View
from prowess.evolve.explore import Explore
from prowess.evolve.protocols import Context, Episode
from prowess.evolve.run import machine
from prowess.measure.trials import run_trial
from prowess.sandbox import find_sandbox
from prowess.suites import open_suite
from prowess.trajectories.runstore import RunStore


@dataclass(frozen=True, slots=True)
class Row:
    family: str
    seed: int
    found: bool
    samples: int
    """Programs sampled until the first that passed, or all of them."""
    rules: int
    """House rules that the checks named on the way."""
    tokens: int
    seconds: float
    """Of the model."""


async def search(family: str, seed: int, samples: int, model: Cached, store: RunStore) -> Row:
    suite, sandbox = open_suite("workbench"), find_sandbox()
    (task,) = suite.tasks(family, "evidence", 1, start=seed)
    agent = CodeAgent(model, sandbox, attempts=1)
    first = await run_trial(task, View(snapshot=Snapshot().digest), 0, agent, suite, store)
    context = Context(suite, agent, model, store, seed=seed)
    lessons = await Explore(sandbox, samples=samples).lessons([Episode(task, first)], Snapshot(), context)
    spent = next((s.cost for s in store.spent() if s.kind == "exploration"), None)
    return Row(
        family=family,
        seed=seed,
        found=any(lesson.kind == "program" for lesson in lessons),
        samples=spent.calls if spent else 0,
        rules=sum(lesson.kind == "cause" for lesson in lessons),
        tokens=spent.completion_tokens if spent else 0,
        seconds=round(spent.seconds, 1) if spent else 0.0,
    )


async def run(arguments: argparse.Namespace) -> list[Row]:
    model = Cached(open_model(arguments.model), arguments.folder / "answers.db", as_paid=True)
    rows: list[Row] = []
    for family in arguments.families or open_suite("workbench").families:
        for seed in arguments.seeds:
            store = RunStore(arguments.folder / f"{family}-{seed}.db")
            rows.append(await search(family, seed, arguments.samples, model, store))
            row = rows[-1]
            word = f"found with sample {row.samples}" if row.found else f"not found in {row.samples} samples"
            print(
                f"{family:20} seed {seed}  {word:26} {row.rules} rules  {row.tokens} tokens  {row.seconds:.0f} s",
                flush=True,
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--folder", type=Path, default=Path("runs/exploration"), help="stores, for resuming")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    started = time.time()
    rows = anyio.run(run, arguments)
    found = sum(row.found for row in rows)
    print(f"\n{found} of {len(rows)} found; model {arguments.model}, {machine()}")
    if arguments.out:
        figures = {
            "model": arguments.model,
            "machine": machine(),
            "n": len(rows),
            "found": found,
            "wall_seconds": round(time.time() - started),
            "rows": [asdict(row) for row in rows],
        }
        arguments.out.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
