"""Which families of the workbench measure skills: hard without one, clearly easier with the human one.

A family is admitted when success without a skill is at most one half and the human skill is better by an exact
one-sided McNemar test over the same tasks and seeds (p <= 0.05, so at least five tasks that only the skill wins).

    python benchmarks/workbench_admission.py --n 6 --out admission.json
"""

import argparse
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import anyio

from prowess.agents.code import CodeAgent
from prowess.agents.models import open_model
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import Split, Task
from prowess.core.trajectory import Trajectory
from prowess.core.view import View
from prowess.measure.stats.paired import mcnemar_exact
from prowess.measure.stats.proportions import clopper_pearson
from prowess.sandbox import find_sandbox
from prowess.suites.workbench import Workbench

SUITE = Workbench()


def view_of(skill: Skill | None) -> View:
    snapshot = Snapshot.of([skill] if skill else [])
    return View(snapshot=snapshot.digest, skills=snapshot.skills)


async def arm(agent: CodeAgent, tasks: tuple[Task, ...], view: View, seed: int, streams: int) -> dict[str, Any]:
    """Runs one arm over all tasks, `streams` at a time."""
    done: dict[str, Trajectory] = {}
    limiter = anyio.CapacityLimiter(streams)

    async def one(task: Task) -> None:
        async with limiter:
            done[task.id] = await agent.run(task, view, seed)

    began = time.perf_counter()
    async with anyio.create_task_group() as group:
        for task in tasks:
            group.start_soon(one, task)
    runs: list[dict[str, Any]] = []
    for task in tasks:
        trajectory = done[task.id]
        score = SUITE.check(task, trajectory.outputs)
        runs.append(
            {
                "task": task.id,
                "status": trajectory.status,
                "passed": score.passed if trajectory.status == "completed" else None,
                "failed_checks": [check.name for check in score.failures],
                "error": trajectory.error,
                "program": next((s.message for s in reversed(trajectory.steps) if s.source == "agent"), ""),
                "tokens": trajectory.cost.tokens,
                "completion_tokens": trajectory.cost.completion_tokens,
                "model_seconds": round(trajectory.cost.seconds, 1),
            }
        )
    counted = [run for run in runs if run["passed"] is not None]
    passed = sum(run["passed"] for run in counted)
    low, high = clopper_pearson(passed, len(counted))
    return {
        "n": len(counted),
        "missing": len(runs) - len(counted),
        "passed": passed,
        "rate": passed / len(counted) if counted else None,
        "low": low,
        "high": high,
        "tokens": sum(run["tokens"] for run in runs),
        "seconds": round(time.perf_counter() - began, 1),
        "runs": runs,
    }


def compared(without: dict[str, Any], human: dict[str, Any]) -> dict[str, Any]:
    """The paired comparison, and whether the family is admitted."""
    pairs = [
        (one["passed"], other["passed"])
        for one, other in zip(without["runs"], human["runs"], strict=True)
        if one["passed"] is not None and other["passed"] is not None
    ]
    wins, losses = pairs.count((False, True)), pairs.count((True, False))
    p = mcnemar_exact(wins, losses, "greater")
    hard = without["n"] > 0 and without["rate"] <= 0.5
    return {"pairs": len(pairs), "wins": wins, "losses": losses, "p": p, "admitted": hard and p <= 0.05}


def line(family: str, result: dict[str, Any]) -> str:
    cells = [f"{family:<20}"]
    for name in ("without", "human"):
        a = result[name]
        interval = f"[{a['low']:.2f}, {a['high']:.2f}]"
        cells.append(f"{a['passed']:>2}/{a['n']:<2} {interval} {a['tokens']:>6} tok {a['seconds']:>6.1f} s")
    return "  ".join([*cells, f"p {result['p']:.3f}", "admitted" if result["admitted"] else "not admitted"])


async def main(options: argparse.Namespace) -> None:
    agent = CodeAgent(open_model(options.model), find_sandbox(), attempts=options.attempts)
    report: dict[str, Any] = {
        "agent": agent.name,
        "n": options.n,
        "seed": options.seed,
        "split": options.split,
        "variant": options.variant,
        "level": 0.95,
        "interval": "Clopper-Pearson",
        "test": "exact McNemar, one-sided",
        "machine": {
            "system": platform.platform(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        },
        "families": {},
    }
    print(f"{'family':<20}  {'without a skill':<40}  {'human skill':<40}")
    for family in options.families or SUITE.families:
        tasks = SUITE.tasks(family, options.split, options.n, options.variant, start=options.start)
        result: dict[str, Any] = {}
        for name, skill in (("without", None), ("human", SUITE.human_skill(family))):
            result[name] = await arm(agent, tasks, view_of(skill), options.seed, options.streams)
        result |= compared(result["without"], result["human"])
        report["families"][family] = result
        print(line(family, result), flush=True)
        if options.out:
            options.out.write_text(json.dumps(report, indent=1))
    yes = [family for family, result in report["families"].items() if result["admitted"]]
    print(f"admitted: {len(yes)} of {len(report['families'])}: {', '.join(yes) or 'none'}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures which families of the workbench are admitted.")
    parser.add_argument("families", nargs="*", help="families to measure; all by default")
    parser.add_argument("--n", type=int, default=6, help="tasks a family")
    parser.add_argument("--start", type=int, default=0, help="number of the first task")
    parser.add_argument("--seed", type=int, default=0, help="seed of the model")
    parser.add_argument("--split", choices=Split.__args__, default="test")
    parser.add_argument("--variant", default="base")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--attempts", type=int, default=2, help="programs per task; a crash is fed back")
    parser.add_argument("--streams", type=int, default=1, help="tasks at a time")
    parser.add_argument("--out", type=Path, help="file for the whole result as JSON, written after each family")
    return parser.parse_args()


if __name__ == "__main__":
    anyio.run(main, parse())
