"""Recipes side by side: what each learns, what that is worth on held-out tasks, and what it costs.

Every recipe and seed is one run in a folder of its own, with the same model, agent, tasks and budget, so the same
command resumes after any stop. Answers are shared between the runs: a trial that two recipes have in common is paid
once, and counted in full for each.

    python benchmarks/recipes.py --suite workbench --recipes none,human,trace2skill,skillos \\
        --families ledger-totals,address-list --seeds 0,1,2 --model embedded
    python benchmarks/recipes.py --model pretend --families ledger-totals --seeds 0    # a dry run, no model
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from prowess.agents.models import open_model
from prowess.agents.models.cache import Cached
from prowess.agents.models.meter import Budget, Metered
from prowess.core.cost import Cost, total
from prowess.core.errors import UserError
from prowess.core.evidence import Trial
from prowess.core.model import Model
from prowess.evolve.protocols import Event
from prowess.evolve.recipes import names
from prowess.evolve.record import RunRecord
from prowess.evolve.run import Plan, machine, run_plan
from prowess.library import Library
from prowess.measure.stats.proportions import clopper_pearson


@dataclass(frozen=True)
class Held:
    """What one run did on the held-out tasks, with what it had learned."""

    seed: int
    trials: tuple[Trial, ...]
    learning: Cost
    kept: int
    tried: int
    """Patches that were decided on."""


def held(record: RunRecord) -> Held:
    """The held-out trials of what `record` learned; those without skills where it learned nothing.

    Learning is all that the run has cost but for its held-out trials.
    """
    whole = [c.evidence for c in record.comparisons if c.family is None and not c.shifted]
    trials = {trial.trajectory: trial for evidence in whole for trial in evidence.trials}
    arm = "with" if record.after.skills else "without"
    ours = {(t.task_id, t.seed): t for evidence in whole for t in evidence.trials if t.arm == arm}
    return Held(
        seed=record.seed,
        trials=tuple(ours.values()),
        learning=minus(total([s.cost for s in record.costs]), total([t.cost for t in trials.values()])),
        kept=len(record.after.skills) - len(record.before.skills),
        tried=len(record.decisions),
    )


def minus(cost: Cost, other: Cost) -> Cost:
    values = {name: getattr(cost, name) - getattr(other, name) for name in Cost.model_fields}
    return Cost(**{name: max(value, 0) for name, value in values.items()})  # sums of fractions may differ by a hair


def row(recipe: str, runs: list[Held]) -> dict[str, Any]:
    """One line of the table.

    Each seed has tasks of its own. Where a suite ran out of them and two seeds share a task, it is no further task: the
    interval rests on the number of tasks, with a task counted by the share of its seeds that passed.
    """
    by_task: dict[str, list[bool]] = {}
    for trial in (trial for run in runs for trial in run.trials if trial.passed is not None):
        by_task.setdefault(trial.task_id, []).append(bool(trial.passed))
    shares = [sum(passed) / len(passed) for passed in by_task.values()]
    low, high = clopper_pearson(round(sum(shares)), len(shares)) if shares else (0.0, 1.0)
    trials = [trial for run in runs for trial in run.trials]
    spent, learning = total([trial.cost for trial in trials]), total([run.learning for run in runs])
    each = max(1, len(trials))
    return {
        "recipe": recipe,
        "seeds": [run.seed for run in runs],
        "tasks": len(shares),
        "passed": sum(len([p for p in passed if p]) for passed in by_task.values()),
        "trials": sum(map(len, by_task.values())),
        "missing": sum(trial.passed is None for trial in trials),
        "success": sum(shares) / len(shares) if shares else None,
        "low": low,
        "high": high,
        "by_seed": [sum(bool(t.passed) for t in run.trials) for run in runs],
        "tokens_per_task": spent.tokens / each,
        "model_seconds_per_task": spent.seconds / each,
        "usd_per_task": spent.usd / each,
        "skills_kept": [run.kept for run in runs],
        "patches_tried": [run.tried for run in runs],
        "learning": {
            name: value / len(runs)
            for name, value in (
                ("calls", learning.calls),
                ("tokens", learning.tokens),
                ("model_seconds", learning.seconds),
                ("usd", learning.usd),
            )
        },
    }


def table(rows: list[dict[str, Any]]) -> str:
    head = ("recipe", "held-out success", "95% interval", "n", "tokens", "seconds", "usd", "skills kept", "learning")
    lines = [
        head,
        ("", "", "of tasks", "", "a task", "a task", "a task", "by seed", "calls, tokens, seconds, usd a run"),
    ]
    for r in rows:
        spent = r["learning"]
        lost = f" ({r['missing']} missing)" if r["missing"] else ""
        lines.append(
            (
                r["recipe"],
                "-" if r["success"] is None else f"{r['passed']}/{r['trials']} = {r['success']:.0%}{lost}",
                "-" if r["success"] is None else f"{r['low']:.0%} to {r['high']:.0%}",
                str(r["tasks"]),
                f"{r['tokens_per_task']:.0f}",
                f"{r['model_seconds_per_task']:.1f}",
                f"{r['usd_per_task']:.4f}",
                " ".join(f"{kept}/{tried}" for kept, tried in zip(r["skills_kept"], r["patches_tried"], strict=True)),
                f"{spent['calls']:.0f}, {spent['tokens']:.0f}, {spent['model_seconds']:.0f}, {spent['usd']:.3f}",
            )
        )
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def opened(spec: str, families: tuple[str, ...]) -> Model:
    if spec == "pretend":
        from pretend import SUITE, PretendModel

        return PretendModel(families or SUITE.families)
    return open_model(spec)


async def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    families = tuple(name for name in options.families.split(",") if name)
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    paid = Metered(opened(options.model, families), Budget(usd=options.budget_usd))
    model = Cached(paid, out / "answers.db", as_paid=True)
    rows: list[dict[str, Any]] = []
    for recipe in options.recipes.split(","):
        runs: list[Held] = []
        for seed in (int(text) for text in options.seeds.split(",")):
            plan = Plan(
                recipe,
                options.suite,
                families,
                evidence=options.evidence,
                gate=options.gate,
                test=options.test,
                samples=options.samples,
                seed=seed,
                calibrate=False,  # a comparison of recipes needs no A/A run for each of them
            )
            folder = out / f"{recipe}-{seed}"
            library = Library.open(folder / "library", create=True)

            def told(event: Event, name: str = folder.name) -> None:
                print(f"{name}: {event.stage}: {event.message}", file=sys.stderr)

            record = await run_plan(
                plan, model=model, out=folder, library=library, concurrency=options.concurrency, report=told
            )
            (folder / "record.json").write_text(record.model_dump_json(indent=1))
            runs.append(held(record))
        rows.append(row(recipe, runs))
        print(table(rows), end="\n\n", file=sys.stderr)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Recipes side by side on held-out tasks.")
    parser.add_argument("--suite", default="workbench")
    parser.add_argument("--recipes", default=",".join(names()), help=f"of {', '.join(names())} (all)")
    parser.add_argument("--families", default="", help="separated by commas (all of the suite)")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--model", default="embedded", help="as for prowess, or `pretend` for a dry run (embedded)")
    parser.add_argument("--evidence", type=int, default=6, help="evidence tasks per family (6)")
    parser.add_argument("--gate", type=int, default=12, help="gate tasks per family (12)")
    parser.add_argument("--test", type=int, default=8, help="held-out tasks per family (8)")
    parser.add_argument("--samples", type=int, default=16, help="programs that a search may sample (16)")
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--budget-usd", type=float, help="stop before more than this is spent by this call")
    parser.add_argument("--out", type=Path, default=Path("runs/recipes"), help="folder of the runs (runs/recipes)")
    options = parser.parse_args()
    try:
        rows = anyio.run(run, options)
    except UserError as error:
        print(error, file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    figures = {
        "machine": machine(),
        "model": options.model,
        "suite": options.suite,
        "families": options.families,
        "settings": {name: getattr(options, name) for name in ("evidence", "gate", "test", "samples", "seeds")},
        "rows": rows,
    }
    (options.out / "recipes.json").write_text(json.dumps(figures, indent=1) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
