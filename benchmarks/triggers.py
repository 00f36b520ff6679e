"""Trigger trials: how fast the harness is, whether it finds what is known, and what real catalogues leave out.

    python benchmarks/triggers.py [--runs N] [--seed N] [--data FOLDER] [--json FILE]

The models are scripted or simulated, with known chances. *Recovery* runs whole trials on an agent that looks around
first, opens other skills first and fails from outside now and then, and compares our recall with that of a harness that
judges by the first tool call and counts failures as refusals. *Coverage* and *verdicts* simulate decisions alone.
*Catalogues* takes real skills from FOLDER (default: `skills` below PROWESS_DATA or below ../shared/data).
"""

import argparse
import json
import os
import platform
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import anyio

from prowess.agents.models.scripted import ScriptedModel
from prowess.core.cost import Cost
from prowess.core.errors import ModelError
from prowess.core.model import Request, Response, ToolCall
from prowess.core.skill import Skill, Snapshot
from prowess.library.skillmd import read
from prowess.measure.funnel import funnel
from prowess.measure.stats.proportions import clustered
from prowess.measure.trials import Bench, stored_trajectory
from prowess.measure.triggers import choosers
from prowess.measure.triggers.catalogue import listing, preset, presets
from prowess.measure.triggers.record import TriggerRecord, measure
from prowess.measure.triggers.results import compare_descriptions
from prowess.measure.triggers.sets import Query
from prowess.measure.triggers.trials import Decision, Unjudged
from prowess.trajectories.runstore import RunStore
from prowess.trajectories.store import TrajectoryStore

RECALL, FALSE, LOOKS_FIRST, OTHER_FIRST, FAILS = 0.8, 0.1, 0.6, 0.2, 0.05


def library(n: int) -> Snapshot:
    body = "Follow these steps.\n" * 100
    return Snapshot.of([Skill(name=f"skill-{i:03}", description=f"Does thing {i}.", body=body) for i in range(n)])


def queries(n: int, skill: str = "skill-001") -> list[Query]:
    return [
        Query(query=f"query {i}", part="held-out", **{"should" if i % 2 else "should_not": (skill,)}) for i in range(n)
    ]


def calls(*moves: tuple[str, dict[str, Any]]) -> Response:
    made = tuple(ToolCall(id=f"{i}", name=name, arguments=given) for i, (name, given) in enumerate(moves))
    return Response(text="", tool_calls=made, finish_reason="tool_calls", model="m", cost=Cost(calls=1))


def chooser(seed: int, fails: float) -> ScriptedModel:
    """Decides each query once, by known chances, and takes its time about it."""

    def answer(request: Request) -> Response | str:
        text = request.messages[1].content
        draw = random.Random(f"{seed} {text} {request.seed}")
        loads = draw.random() < (RECALL if int(text.split()[1]) % 2 else FALSE)
        moves = [calls(("list_files", {}))] if draw.random() < LOOKS_FIRST else []
        moves += [calls(("load_skill", {"name": "skill-002"}))] if draw.random() < OTHER_FIRST else []
        moves += [calls(("load_skill", {"name": "skill-001"}))] if loads else []
        turn = sum(m.role == "assistant" for m in request.messages)
        if turn == 0 and draw.random() < fails:
            raise ModelError("overloaded")
        return moves[turn] if turn < len(moves) else "done"

    return ScriptedModel(answer, f"chooser-{seed}")


def run(
    model: ScriptedModel, asked: list[Query], skills: Snapshot, folder: Path, attempts: int = 3
) -> tuple[TriggerRecord, Bench]:
    agent = choosers.agent("tools", lambda: model)
    bench = Bench(agent=agent, suite=Unjudged(), store=RunStore(folder / "t.db"), concurrency=8, attempts=attempts)

    async def work() -> TriggerRecord:
        return await measure(asked, {"library": skills}, preset("claude-code"), bench)

    return anyio.run(work), bench


def speed(n: int, skills: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        model = ScriptedModel(lambda request: calls(("load_skill", {"name": "skill-001"})), "fast")
        asked, shelf = queries(n), library(skills)
        began, cpu = time.perf_counter(), time.process_time()
        run(model, asked, shelf, Path(folder))
        wall, used = time.perf_counter() - began, time.process_time() - cpu
        began = time.perf_counter()
        run(model, asked, shelf, Path(folder))
        return {
            "trials": n,
            "skills": skills,
            "ms_per_trial": 1000 * wall / n,
            "cpu_ms_per_trial": 1000 * used / n,
            "ms_per_stored_trial": 1000 * (time.perf_counter() - began) / n,
        }


def recovery(n: int, seed: int) -> dict[str, Any]:
    """Recall by our harness, and by one that looks at the first tool call and takes a failure for a refusal."""
    with tempfile.TemporaryDirectory() as folder:
        asked = queries(n)
        record, bench = run(chooser(seed, FAILS), asked, library(10), Path(folder), attempts=1)
        (row,) = record.arms[0].skills
        naive: Counter[bool] = Counter()
        by_key = {q.key: q for q in asked}
        for d in record.decisions:
            if not by_key[d.query].should:
                continue
            done = stored_trajectory(bench.store, d.trajectory)
            first = next((c for s in done.steps for c in s.tool_calls), None) if done is not None else None
            naive[first is not None and first.arguments.get("name") == "skill-001"] += 1
        return {
            "queries": n,
            "true_recall": RECALL,
            "recall": row.recall.model_dump() | {"share": row.recall.share},
            "true_false_triggers": FALSE,
            "false_triggers": row.false_triggers.model_dump() | {"share": row.false_triggers.share},
            "missing": record.arms[0].missing,
            "other_skill_instead": sum(c.runs for c in record.arms[0].confusions if c.loaded == "skill-002"),
            "first_call_harness_recall": naive[True] / naive.total(),
        }


def coverage(runs: int, seed: int) -> list[dict[str, Any]]:
    """How often the 95 % interval holds the truth: needs that differ, wordings of a need alike or not."""
    draw = random.Random(seed)
    rows: list[dict[str, Any]] = []
    for needs, wordings, spread in ((10, 1, 0.0), (20, 1, 0.0), (10, 3, 0.0), (10, 3, 0.3), (20, 3, 0.3), (20, 3, 1.0)):
        interval = cache(partial(clustered, n=needs * wordings, clusters=needs))
        hit, widths = 0, []
        for _ in range(runs):
            k = 0
            for _ in range(needs):
                # spread 0: every run has the same chance; 1: a need always or never triggers
                p = RECALL if draw.random() >= spread else float(draw.random() < RECALL)
                k += sum(draw.random() < p for _ in range(wordings))
            low, high = interval(k)
            hit += low <= RECALL <= high
            widths.append(high - low)
        rows.append(
            {
                "needs": needs,
                "wordings": wordings,
                "alike": spread,
                "coverage": hit / runs,
                "mean_width": statistics.mean(widths),
            }
        )
    return rows


def verdicts(runs: int, seed: int) -> list[dict[str, Any]]:
    """How often a new description is called better or worse, by us and by "more queries right wins"."""
    draw = random.Random(seed)
    shelf = library(3)
    listed = listing(shelf, preset("all"))
    rows: list[dict[str, Any]] = []
    for n in (10, 20, 40):
        asked = queries(n)
        for gain in (0.0, 0.2, 0.4):
            said: Counter[str] = Counter()
            naive = 0
            for _ in range(runs):
                found = [
                    Decision(
                        query=q.key,
                        arm=arm,
                        seed=0,
                        loaded=("skill-001",)
                        if (draw.random() < 0.55 + (gain if arm == "new" else 0)) == bool(q.should)
                        else (),
                        ended="answered",
                        trajectory="",
                    )
                    for q in asked
                    for arm in ("old", "new")
                ]
                e = compare_descriptions(asked, found, "skill-001", {"old": listed, "new": listed}).overall
                said[e.outcome] += 1
                naive += e.wins > e.losses
            rows.append(
                {
                    "held_out_queries": n,
                    "gain": gain,
                    "better": said["better"] / runs,
                    "worse": said["worse"] / runs,
                    "more_right_wins": naive / runs,
                }
            )
    return rows


def catalogues(folder: Path, seed: int) -> list[dict[str, Any]]:
    """What the presets show of libraries of real skills."""
    skills: dict[str, Skill] = {}
    for path in sorted(folder.rglob("SKILL.md")):
        found = read(path.read_text("utf-8", "replace"), None).skill
        if found is not None and 1 <= len(found.description) <= 1024:
            skills.setdefault(found.name, found)
    order = random.Random(seed).sample(sorted(skills), len(skills))
    rows: list[dict[str, Any]] = []
    for n in (10, 25, 50, 100, 200, 400):
        if n > len(order):
            break
        shelf = Snapshot.of([skills[name] for name in order[:n]])
        for name in presets():
            began = time.perf_counter()
            shown = Counter(entry.shown for entry in listing(shelf, preset(name)).entries)
            rows.append({"skills": n, "preset": name, "ms": 1000 * (time.perf_counter() - began), **shown})
    return rows


def funnel_speed(n: int, seed: int) -> dict[str, Any]:
    draw = random.Random(seed)
    names = [f"skill-number-{i}" for i in range(200)]
    shelves = [tuple(draw.sample(names, 30)) for _ in range(500)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "t.db")
        store = TrajectoryStore(path)
        assert len(store) == 0
        with sqlite3.connect(path) as db:
            for i in range(n):
                offered = draw.choice(shelves) if i % 2 else ()
                loaded = [name for name in offered if draw.random() < 0.05]
                used = [name for name in loaded if draw.random() < 0.6]
                row = (f"t{i:06}", f"task{i // 2}", "tools/1", "m", 0, None, "completed", draw.random() < 0.5)
                row += (1.0, 5, 5, 0.0, json.dumps(offered), json.dumps(loaded), json.dumps(used), "d")
                db.execute(f"INSERT INTO trajectory VALUES ({','.join('?' * 16)})", row)
        import resource

        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        seconds, cpu = [], []
        for _ in range(3):
            began, used_cpu = time.perf_counter(), time.process_time()
            found = funnel(store.skill_use())
            seconds.append(time.perf_counter() - began)
            cpu.append(time.process_time() - used_cpu)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        store.close()
        return {
            "trajectories": n,
            "skills": len(found.skills),
            "seconds": statistics.median(seconds),
            "cpu_seconds": statistics.median(cpu),
            "peak_mb": after / 1024,
            "peak_mb_before": before / 1024,
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000, help="simulations of each row")
    parser.add_argument("--trials", type=int, default=400, help="trials run in full")
    parser.add_argument("--trajectories", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    root = Path(os.environ.get("PROWESS_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=root / "skills")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    parts: dict[str, Callable[[], Any]] = {
        "speed": lambda: [speed(args.trials, skills) for skills in (10, 200)],
        "recovery": lambda: recovery(args.trials, args.seed),
        "coverage": lambda: coverage(args.runs, args.seed),
        "verdicts": lambda: verdicts(args.runs, args.seed),
        "funnel": lambda: funnel_speed(args.trajectories, args.seed),
        "catalogues": lambda: catalogues(args.data, args.seed) if args.data.is_dir() else "skipped: no skills there",
    }
    result: dict[str, Any] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "seed": args.seed,
        "runs": args.runs,
    }
    for name in (*result, *parts):
        value = result[name] = parts[name]() if name in parts else result[name]
        for row in value if isinstance(value, list) else [value]:
            cells = row.items() if isinstance(row, dict) else [("", row)]
            said = "  ".join(f"{k} {round(v, 4) if isinstance(v, float) else v}" for k, v in cells)
            print(f"{name:<11} {said}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
