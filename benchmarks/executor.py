"""Executors: what a piece of work costs beyond itself, and how throughput scales while models take their time.

Overhead: pieces of work that do nothing. Scaling: pieces that wait as a model would, so many in flight, against the
time that the waiting alone takes. Prints a table; needs `pip install 'prowess[ray]'` for the rows of Ray.

    python benchmarks/executor.py                 # local, and a Ray cluster on this machine
    python benchmarks/executor.py --address auto  # a cluster that runs
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import anyio

from prowess.agents.executor import Executor, Local, OnRay
from prowess.core.errors import UserError
from prowess.evolve.run import machine
from prowess.measure.pool import map_each


async def waits(seconds: float) -> None:
    await anyio.sleep(seconds)


async def timed(executor: Executor, n: int, seconds: float, width: int) -> float:
    begun = time.perf_counter()
    await map_each(range(n), lambda _: executor.run(waits, seconds), width)
    return time.perf_counter() - begun


async def measured(name: str, executor: Executor, widths: list[int], args: argparse.Namespace) -> list[dict[str, Any]]:
    await timed(executor, 4 * max(widths), 0.5, max(widths))  # until every worker has started
    alone = [await timed(executor, args.tasks, 0.0, 1) / args.tasks for _ in range(args.repeats)]
    rows = [{"executor": name, "what": "one after the other", "width": 1, "latency": 0.0, "times": alone}]
    print(line(rows[0]), flush=True)
    for width in widths:
        for latency in args.latencies:
            n = width * args.rounds
            times = [await timed(executor, n, latency, width) / args.rounds for _ in range(args.repeats)]
            rows.append({"executor": name, "what": "in flight", "width": width, "latency": latency, "times": times})
            print(line(rows[-1]), flush=True)
    return rows


def line(row: dict[str, Any]) -> str:
    middle = statistics.median(row["times"])
    spread = f"{1000 * min(row['times']):.2f} to {1000 * max(row['times']):.2f}"
    if row["what"] != "in flight":
        return f"{row['executor']:<6} {row['what']:<20} {1000 * middle:8.2f} ms a task ({spread})"
    overhead = 1000 * (middle - row["latency"]) / row["width"]
    share = row["latency"] / middle
    what = f"{row['width']} in flight, {row['latency']:g} s each"
    return (
        f"{row['executor']:<6} {what:<20} {row['width'] / middle:8.1f} tasks/s, "
        f"{share:.0%} of what waiting allows, {overhead:.2f} ms a task ({spread} a round)"
    )


async def main(args: argparse.Namespace) -> list[dict[str, Any]]:
    rows = await measured("local", Local(max(args.widths)), args.widths, args)
    try:
        on_ray = OnRay(args.address, width=max(args.widths))
    except UserError as absent:
        print(f"ray: {absent}")
        return rows
    rows += await measured("ray", on_ray, args.widths, args)
    on_ray.close()
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", type=int, default=200, help="pieces of work one after the other (200)")
    parser.add_argument("--rounds", type=int, default=10, help="rounds of work in flight (10)")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--widths", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--latencies", type=float, nargs="+", default=[0.1, 1.0], help="seconds of a model (0.1 1)")
    parser.add_argument("--address", default="", help="of a Ray cluster; one on this machine by default")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also as JSON")
    args = parser.parse_args()
    print(machine())
    rows = anyio.run(main, args)
    if args.json:
        args.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")
