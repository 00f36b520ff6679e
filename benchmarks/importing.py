"""How fast session logs come in, how large they lie in the store, and how fast they are stored and read back.

    python benchmarks/importing.py [--data FOLDER] [--copies N] [--json FILE]

FOLDER holds real logs (default: `transcripts` below BENCHMARK_DATA or below ../shared/data). Each figure is the median
of 5 rounds. Import includes reading, redaction and building trajectories. Figures in `cpu_s` count the time of this
process alone, which other programs disturb less.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prowess.core.trajectory import Trajectory
from prowess.guard.redact import redact_value
from prowess.trajectories.atif import from_atif, to_atif
from prowess.trajectories.importers import import_path
from prowess.trajectories.signals import lessons
from prowess.trajectories.store import TrajectoryStore

ROUNDS = 5


def median_seconds(work: Callable[[], Any], clock: Callable[[], float] = time.perf_counter) -> float:
    times: list[float] = []
    for _ in range(ROUNDS):
        start = clock()
        work()
        times.append(clock() - start)
    return statistics.median(times)


def load(data: Path) -> tuple[list[Trajectory], int, int]:
    found = list(import_path(data))
    reports = {item.report.path: item.report for item in found}
    trajectories = [item.trajectory for item in found if item.trajectory is not None]
    return trajectories, len(reports), sum(report.bytes for report in reports.values())


def measure(data: Path, copies: int) -> dict[str, Any]:
    trajectories, files, size = load(data)
    imported = median_seconds(lambda: load(data))
    many = [
        t.model_copy(update={"id": f"{t.id}-{n}"})
        for n in range(max(1, copies // len(trajectories)))
        for t in trajectories
    ]
    # What the loop stores is shorter than a session of a person: a task, a few steps, a score, no foreign records.
    short = [
        t.model_copy(
            update={
                "id": f"{n}-{i}",
                "steps": tuple(s.model_copy(update={"extra": {}}) for s in t.steps[:6]),
                "extra": {},
            }
        )
        for n in range(20)
        for i, t in enumerate(trajectories)
    ]
    with tempfile.TemporaryDirectory() as folder:
        store = TrajectoryStore(Path(folder, "long.db"))
        start = time.perf_counter()
        store.put_all(many)
        long_put = len(many) / (time.perf_counter() - start)
        store.close()
        stored = Path(folder, "long.db").stat().st_size
        small = TrajectoryStore(Path(folder, "short.db"))
        start, cpu = time.perf_counter(), time.process_time()
        small.put_all(short)
        short_put, short_put_cpu = len(short) / (time.perf_counter() - start), len(short) / (time.process_time() - cpu)
        start = time.perf_counter()
        for trajectory in short[:200]:
            small.put(trajectory.model_copy(update={"id": trajectory.id + "x"}))
        single_put = 200 / (time.perf_counter() - start)
        small.close()
        short_stored = Path(folder, "short.db").stat().st_size
        reopened = TrajectoryStore(Path(folder, "long.db"))
        start = time.perf_counter()
        rows = reopened.find(limit=100)
        first_find = time.perf_counter() - start
        get = median_seconds(lambda: [reopened.get(row.id) for row in rows]) / len(rows)
        reopened.close()
    text = "\n".join(step.message for t in trajectories for step in t.steps)
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "files": files,
        "trajectories": len(trajectories),
        "megabytes": size / 1e6,
        "rounds": ROUNDS,
        "import_mb_per_s": size / 1e6 / imported,
        "import_mb_per_cpu_s": size / 1e6 / median_seconds(lambda: load(data), time.process_time),
        "redact_text_mb_per_s": len(text.encode()) / 1e6 / median_seconds(lambda: redact_value(text)),
        "stored_bytes_per_session": stored / len(many),
        "stored_mb_per_10000_sessions": stored / len(many) * 10_000 / 1e6,
        "short_json_kb": sum(len(t.model_dump_json()) for t in short) / len(short) / 1e3,
        "stored_mb_per_10000_short": short_stored / (len(short) + 200) * 10_000 / 1e6,
        "put_sessions_per_s": long_put,
        "put_short_per_s": short_put,
        "put_short_per_cpu_s": short_put_cpu,
        "put_one_by_one_per_s": single_put,
        "open_and_find_100_ms": first_find * 1000,
        "get_ms": get * 1000,
        "atif_round_trips_per_s": len(trajectories)
        / median_seconds(lambda: [from_atif(to_atif(t)) for t in trajectories]),
        "signals_sessions_per_s": len(trajectories) / median_seconds(lambda: lessons(trajectories)),
    }


def default_data() -> Path:
    root = Path(os.environ.get("BENCHMARK_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    return root / "transcripts"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=default_data())
    parser.add_argument("--copies", type=int, default=1000, help="how many sessions to store")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not args.data.is_dir():
        print(f"no logs at {args.data}: set BENCHMARK_DATA or give --data", file=sys.stderr)
        return 2
    result = measure(args.data, args.copies)
    width = max(map(len, result))
    for name, value in result.items():
        print(f"{name:<{width}}  {value:,.2f}" if isinstance(value, float) else f"{name:<{width}}  {value}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
