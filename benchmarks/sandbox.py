"""What the sandboxes hold and cost: the twelve escapes on each, as root and as a plain user, and the time to start.

Every attempt is a real program that succeeds where nothing confines it. Time
to start is the median of `--runs` runs of `python -I -c 'print(1)'`, in turns with the same run unconfined, over the
interface that the agents use: work folder, run, reading back, clean up.

    python benchmarks/sandbox.py                 # all that this user can try
    sudo python benchmarks/sandbox.py            # root, and the same as a plain user

As root, a second process with user id 65534 repeats everything, with the system's Python where it cannot run this one.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio

from prowess.core.errors import SandboxError
from prowess.sandbox import ESCAPES, Limits, Sandbox, probe
from prowess.sandbox.abilities import abilities
from prowess.sandbox.finding import makers
from prowess.sandbox.process import run_tree

TINY = ["-I", "-c", "print(1)"]
NOBODY = 65534


async def timed(sandbox: Sandbox) -> float:
    began = time.perf_counter()
    assert (await sandbox.run(["python", *TINY], limits=Limits(seconds=10))).stdout == "1\n"
    return time.perf_counter() - began


async def watched(sandbox: Any) -> float:
    began = time.perf_counter()
    assert (await sandbox.watch(["python", *TINY], limits=Limits(seconds=10))).result.stdout == "1\n"
    return time.perf_counter() - began


async def bare() -> float:
    """The same without a sandbox: own folder, output captured by the same code."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found = await run_tree([sys.executable, *TINY], env={}, cwd=Path(folder), seconds=10, output_bytes=65_536)
    assert found.stdout == "1\n"
    return time.perf_counter() - began


async def start_up(sandbox: Sandbox, runs: int) -> dict[str, float]:
    """Milliseconds: medians of both kinds, taken in turns, and the 95th percentile of the confined one."""
    plain, confined, seen = list[float](), list[float](), list[float]()
    for _ in range(runs):
        plain.append(1000 * await bare())
        confined.append(1000 * await timed(sandbox))
        if hasattr(sandbox, "watch"):
            seen.append(1000 * await watched(sandbox))
    p95 = sorted(confined)[int(0.95 * (runs - 1))]
    found = {"bare": statistics.median(plain), "p50": statistics.median(confined), "p95": p95}
    found["over"] = found["p50"] - found["bare"]
    return {**found, "watched": statistics.median(seen)} if seen else found


async def measure(make: Callable[[], Sandbox], runs: int) -> dict[str, Any]:
    sandbox = make()
    await timed(sandbox)
    found = {p.name: p for p in await probe(sandbox)}
    open_ = [name for name in ESCAPES if name not in found or not found[name].passed]
    return {
        "sandbox": sandbox.name,
        "user": "root" if os.geteuid() == 0 else "plain",
        "closed": len(ESCAPES) - len(open_),
        "of": len(ESCAPES),
        "open": open_,
        "works": all(p.passed for p in found.values() if p.name not in ESCAPES),
        "ms": await start_up(sandbox, runs),
    }


def all_here(runs: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for make in makers():
        if make.__name__ == "_bubblewrap" and os.geteuid() == 0:
            continue  # the last resort for root, where limits on processes do not hold
        try:
            rows.append(anyio.run(measure, make, runs))
        except SandboxError as error:
            rows.append({"sandbox": make.__name__.strip("_"), "error": str(error)})
    return rows


def readable_python() -> tuple[str, dict[str, str]]:
    """An interpreter that everybody may run, with the packages of this one."""
    paths = os.pathsep.join(p for p in sys.path if p)
    same = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, same):
        try:
            asked = [python, "-c", "import prowess, pydantic"]
            done = subprocess.run(
                asked, user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, check=False, cwd="/",
                env={"PYTHONPATH": paths},
            )  # fmt: skip
        except OSError:
            continue
        if done.returncode == 0:
            return python, {"PYTHONPATH": paths}
    return sys.executable, {}


def as_plain_user(runs: int) -> list[dict[str, Any]]:
    python, more = readable_python()
    command = [python, __file__, "--runs", str(runs), "--json"]
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        done = subprocess.run(
            command, user=NOBODY, group=NOBODY, extra_groups=[], cwd=folder, capture_output=True, text=True,
            env={**os.environ, **more, "HOME": folder, "TMPDIR": folder}, check=False, timeout=600,
        )  # fmt: skip
    if done.returncode != 0:
        return [{"sandbox": "all", "user": "plain", "error": done.stderr.strip()[-300:]}]
    return json.loads(done.stdout)["rows"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=31)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = all_here(options.runs)
    if os.geteuid() == 0:
        rows += as_plain_user(options.runs)
    machine = {"system": platform.platform(), "python": platform.python_version(), "cores": os.cpu_count()}
    if options.json:
        print(json.dumps({"machine": machine, "abilities": abilities(), "rows": rows}))
        return
    print(f"{machine['system']}, Python {machine['python']}, {machine['cores']} cores; {abilities()}\n")
    print("| sandbox | user | escapes closed | bare p50 | sandbox p50 | p95 | over bare | watched p50 |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        if "error" in row:
            print(f"| {row['sandbox']} | {row.get('user', '')} | {row['error']} | | | | | |")
            continue
        ms = row["ms"]
        left = f" (open: {', '.join(row['open'])})" if row["open"] else ""
        print(
            f"| {row['sandbox']} | {row['user']} | {row['closed']} of {row['of']}{left} | {ms['bare']:.1f} ms "
            f"| {ms['p50']:.1f} ms | {ms['p95']:.1f} ms | {ms['over']:.1f} ms | {ms.get('watched', 0):.1f} ms |"
        )


if __name__ == "__main__":
    main()
