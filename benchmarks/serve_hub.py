"""How much a hub bears: reading, searching and giving sessions over HTTP on loopback, and a soak with killed workers.

    python benchmarks/serve_hub.py                        # the table, on a throwaway PostgreSQL, else on SQLite
    python benchmarks/serve_hub.py --database sqlite
    python benchmarks/serve_hub.py --soak 30              # minutes at half the load; a process is killed each minute

The clients run on the same machine and take their share of it. Every request names its token. The 5,000 skills are
made up and stand as if somebody had vouched for each, which would take hours by the front door; all else is as served.
In the soak every acknowledged session is looked up afterwards.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import shutil
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import uvloop
from pydantic_core import to_json

from prowess.core.model import ToolCall
from prowess.core.trajectory import Observation, Step, Trajectory
from prowess.evolve.run import machine
from prowess.serve import access
from prowess.serve.guarded import listening
from prowess.serve.hub import server
from prowess.serve.hub.service import Hub
from prowess.trajectories.atif import to_atif

SKILLS = 5_000
TEXT = """
ledger invoice payment account total currency rounding report table column sheet office rule date format email
customer order stock reorder supplier price tax rate late fee reminder room booking conflict calendar timesheet
hours overtime budget plan server log error summary config merge file path address list catalogue product unit
"""
WORDS = TEXT.split()


def skill(n: int, draw: random.Random) -> tuple[str, dict[str, bytes]]:
    words = draw.sample(WORDS, 8)
    body = "\n".join(f"- {' '.join(draw.choices(WORDS, k=12))}." for _ in range(20))
    about = f"Does {' '.join(words)}. Use for {words[2]}."
    name = f"{words[0]}-{words[1]}-{n}"
    text = f"---\nname: {name}\ndescription: {about}\n---\n\n{body}\n"
    return name, {"SKILL.md": text.encode()}


def session(n: int) -> bytes:
    steps = [Step(source="user", message=f"Please sum the ledger of office {n} and write totals per account.")]
    for i in range(5):
        call = ToolCall(id=f"c{i}", name="bash", arguments={"command": f"python3 totals.py --part {i}"})
        rows = "\n".join(f"{a},{a * 3.5}" for a in range(20))
        seen = Observation(content=f"account,total\n{rows}", call_id=f"c{i}")
        steps.append(Step(source="agent", message=f"I read part {i}.", tool_calls=(call,), observations=(seen,)))
    return to_json(to_atif(Trajectory(id=f"s{n}", agent="code/1", model="m", steps=tuple(steps))))


# The hub


def serve_open(plan: server.Plan, opened: object) -> None:
    """One serving process in which every skill counts as vouched for."""
    access.barred = lambda library, keyring: lambda name, tree: ""  # type: ignore[assignment]
    server.serve_one(plan, opened)  # type: ignore[arg-type]


def hub_process(plan: server.Plan, port: "multiprocessing.Queue[int]") -> None:
    opened = listening("127.0.0.1", 0)
    port.put(opened.getsockname()[1])
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    server.keep([partial(serve_open, plan, opened)] * plan.workers, stop, lambda: None)


class Cluster:
    """A PostgreSQL that ends with the benchmark, with its usual promises to the disk."""

    def __init__(self) -> None:
        programs = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)
        if programs is None:
            raise SystemExit("no PostgreSQL on this machine: --database sqlite, or a URL")
        self.folder = Path(tempfile.mkdtemp(prefix="prowess-pg-"))
        user = "nobody" if os.geteuid() == 0 else None
        if user:
            shutil.chown(self.folder, user)
        kept = {"user": user, "cwd": self.folder, "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}}
        data = self.folder / "data"
        options = ["--auth=trust", "--username=prowess", "--encoding=UTF8", "--no-locale"]
        subprocess.run([programs / "initdb", "-D", data, *options], check=True, capture_output=True, **kept)  # type: ignore[call-overload]
        settings = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={self.folder}"]
        self.server = subprocess.Popen(
            [programs / "postgres", "-D", data, *settings],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **kept,  # type: ignore[call-overload]
        )
        self.url = f"postgresql://prowess@/postgres?host={self.folder}"
        time.sleep(3)

    def close(self) -> None:
        self.server.terminate()
        self.server.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)


# The clients


@dataclass
class Told:
    """What the clients of one load saw."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    errors: int = 0
    lost: int = 0
    """Connections that ended without an answer."""
    acknowledged: list[str] = field(default_factory=list)

    def row(self, name: str, target: str) -> str:
        ordered = sorted(self.latencies) or [0.0]
        at = lambda q: 1000 * ordered[min(len(ordered) - 1, int(q * len(ordered)))]  # noqa: E731
        rate = len(self.latencies) / self.seconds
        return f"| {name} | {rate:,.0f}/s | {at(0.5):.1f} | {at(0.99):.1f} | {self.errors + self.lost} | {target} |"


async def client(port: int, make: Callable[[], bytes], until: float, told: Told, pause: float, keep_ids: bool) -> None:
    """One connection that asks again as soon as it has its answer, or after `pause` seconds."""
    reader = writer = None
    while time.monotonic() < until:
        started = time.monotonic()
        try:
            if writer is None or reader is None:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(make())
            head = await reader.readuntil(b"\r\n\r\n")
            size = int(next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))[15:])
            body = await reader.readexactly(size)
        except (OSError, asyncio.IncompleteReadError):
            told.lost += 1
            reader = writer = None
            await asyncio.sleep(0.05)
            continue
        told.latencies.append(time.monotonic() - started)
        if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201")):
            told.errors += 1
        elif keep_ids:
            told.acknowledged += json.loads(body)["ids"]
        if pause:
            await asyncio.sleep(max(0.0, pause - (time.monotonic() - started)))
    if writer is not None:
        writer.close()


async def load(
    port: int, make: Callable[[], bytes], seconds: float, connections: int, rate: float = 0.0, keep_ids: bool = False
) -> Told:
    told = Told()
    started = time.monotonic()
    pause = connections / rate if rate else 0.0
    await asyncio.gather(*(client(port, make, started + seconds, told, pause, keep_ids) for _ in range(connections)))
    told.seconds = time.monotonic() - started
    return told


def request(method: str, path: str, token: str, body: bytes = b"") -> bytes:
    head = (
        f"{method} {path} HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer {token}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid and b"spawn_main" in (stat.parent / "cmdline").read_bytes():
                found.append(int(stat.parent.name))
        except OSError:
            continue
    return sorted(found)


def megabytes(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        return 0.0


async def soak(
    port: int, token: str, supervisor: int, minutes: float, draw: random.Random, get: Callable[[], bytes]
) -> Told:
    """Half the load; each minute one serving process is killed. Prints the memory of the others."""
    number = iter(range(10**9, 2 * 10**9))
    seconds, at = minutes * 60, "/api/projects/red/sessions"
    giving = asyncio.create_task(
        load(port, lambda: request("POST", at, token, session(next(number))), seconds, 32, 500, keep_ids=True)
    )
    reading = asyncio.create_task(load(port, get, seconds, 16, 1500))
    sizes: dict[int, list[float]] = {}
    ends = time.monotonic() + seconds
    while time.monotonic() < ends - 5:
        await asyncio.sleep(min(60, ends - time.monotonic()))
        serving = children(supervisor)
        for pid in serving:
            sizes.setdefault(pid, []).append(megabytes(pid))
        if time.monotonic() < ends - 5:
            victim = draw.choice(serving)
            os.kill(victim, signal.SIGKILL)
            print(
                f"killed one of {len(serving)}; memory {[round(megabytes(p)) for p in serving if p != victim]} MB",
                flush=True,
            )
    slopes = [(s[-1] - s[0]) / (len(s) - 1) for s in sizes.values() if len(s) > 2]
    if slopes:
        print(f"memory grows by {statistics.median(slopes):.2f} MB a minute (median of {len(slopes)} processes)")
    read = await reading
    print(read.row("GET beside it", ""))
    return await giving


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--database", default="", help="sqlite, a URL, or nothing for a throwaway PostgreSQL")
    parse.add_argument("--seconds", type=float, default=20.0, help="of each load")
    parse.add_argument("--soak", type=float, default=0.0, metavar="MINUTES")
    parse.add_argument("--workers", type=int, default=2)
    parse.add_argument("--seed", type=int, default=0)
    args = parse.parse_args()
    cluster = None if args.database else Cluster()
    database = cluster.url if cluster else "" if args.database == "sqlite" else args.database
    folder = Path(tempfile.mkdtemp(prefix="prowess-hub-"))
    try:
        measure(args, folder, database)
    finally:
        if cluster is not None:
            cluster.close()
        shutil.rmtree(folder, ignore_errors=True)


def measure(args: argparse.Namespace, folder: Path, database: str) -> None:
    draw = random.Random(args.seed)
    hub, names = filled(folder, database, draw)
    token = hub.accounts.issue("bob")[1]
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    process = context.Process(target=hub_process, args=(server.Plan(folder, database, args.workers), told))
    process.start()
    try:
        assert process.pid is not None
        port, at, number = told.get(timeout=60), "/api/projects/red", iter(range(10**9))

        def get() -> bytes:
            return request("GET", f"{at}/skills/{draw.choice(names)}", token)

        def search() -> bytes:
            return request("GET", f"{at}/search?q={'+'.join(draw.choices(WORDS, k=6))}", token)

        def give() -> bytes:
            return request("POST", f"{at}/sessions", token, session(next(number)))

        uvloop.run(load(port, search, 30, 4))  # so that both processes have read the library
        print(f"{machine()}, {hub.db.name}, {args.workers} serving processes, {SKILLS:,} skills", flush=True)
        if args.soak:
            done = uvloop.run(soak(port, token, process.pid, args.soak, draw, get))
            with hub.db.reading() as rows:
                kept = {row[0] for row in rows.all("SELECT id FROM session")}
            missing = [id for id in done.acknowledged if id not in kept]
            print(done.row("sessions given", ""))
            print(f"{len(done.acknowledged):,} acknowledged, {len(missing)} of them lost")
            return
        print("| load | rate | p50 ms | p99 ms | errors | target |\n|---|---|---|---|---|---|")
        for name, make, connections, rate, target in (
            ("GET a skill, closed loop", get, 32, 0, "3,000/s"),
            ("GET a skill at 3,000/s", get, 32, 3000, "p99 25 ms"),
            ("search, closed loop", search, 16, 0, "300/s"),
            ("search at 300/s", search, 16, 300, "p99 100 ms"),
            ("give a session, closed loop", give, 32, 0, "1,000/s"),
            ("give a session at 1,000/s", give, 32, 1000, "p99 150 ms"),
        ):
            print(uvloop.run(load(port, make, args.seconds, connections, rate)).row(name, target), flush=True)
    finally:
        process.terminate()
        process.join(60)
        hub.close()


def filled(folder: Path, database: str, draw: random.Random) -> tuple[Hub, list[str]]:
    """A hub with the skills, and their names."""
    hub = Hub.open(folder, database)
    for name in ("alice", "bob"):
        hub.accounts.add(name)
    hub.accounts.add_project("red", "alice")
    hub.accounts.join("red", "bob", "member")
    trees = {name: tree for n in range(SKILLS) for name, tree in [skill(n, draw)]}
    hub.project("red").library.bring(trees)
    return hub, list(trees)


if __name__ == "__main__":
    main()
