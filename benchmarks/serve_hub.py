"""How much a hub bears: reading, searching and giving sessions over HTTP on loopback, and a soak with killed workers.

    python benchmarks/serve_hub.py                        # the table, on a throwaway PostgreSQL: four minutes
    python benchmarks/serve_hub.py --database sqlite
    python benchmarks/serve_hub.py --soak 30              # minutes at half the load; a process is killed each minute

The load comes from a process on the same machine (`http_load.py`) and takes its share of it, which the table states.
Every request names its token. The 5,000 skills are made up and stand as if somebody had vouched for each, which would
take hours by the front door; all else is as served. In the soak every acknowledged session is looked up afterwards.
"""

import argparse
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
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from http_load import MARK, Load, Told, at, crowd
from pydantic_core import to_json

from prowess.core.model import ToolCall
from prowess.core.trajectory import Observation, Step, Trajectory
from prowess.evolve.run import machine
from prowess.serve import access
from prowess.serve.hub import server
from prowess.serve.hub.service import Hub
from prowess.serve.listen import bound
from prowess.trajectories.atif import to_atif

SKILLS = 5_000
CROWD = 10_000
CORES = os.cpu_count() or 1
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


def session(n: int, calls: int) -> bytes:
    """A session with so many calls of tools, as ATIF; its id takes a number when it is sent."""
    steps = [Step(source="user", message=f"Please sum the ledger of office {n} and write totals per account.")]
    for i in range(calls):
        call = ToolCall(id=f"c{i}", name="bash", arguments={"command": f"python3 totals.py --part {i}"})
        rows = "\n".join(f"{a},{a * 3.5}" for a in range(20))
        seen = Observation(content=f"account,total\n{rows}", call_id=f"c{i}")
        steps.append(Step(source="agent", message=f"I read part {i}.", tool_calls=(call,), observations=(seen,)))
    return to_json(to_atif(Trajectory(id=f"s{MARK.decode()}", agent="code/1", model="m", steps=tuple(steps))))


# The hub


def serve_open(plan: server.Plan, port: int) -> None:
    """One serving process in which every skill counts as vouched for."""
    access.barred = lambda library, keyring: lambda name, tree: ""  # type: ignore[assignment]
    server.serve_one(plan, "127.0.0.1", port)


def hub_process(plan: server.Plan, port: "multiprocessing.Queue[int]") -> None:
    with bound("127.0.0.1", 0, shared=True) as kept:
        number = kept.getsockname()[1]
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        port.put(number)
        server.keep([partial(serve_open, plan, number)] * plan.workers, stop, lambda: None)


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
        self.server.send_signal(signal.SIGINT)  # which does not wait for whoever is still connected
        self.server.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)


def query(draw: random.Random) -> str:
    return "+".join(draw.choices(WORDS, k=6))


# What it bears


def request(method: str, path: str, token: str, body: bytes = b"") -> bytes:
    head = (
        f"{method} {path} HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer {token}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@dataclass(frozen=True, slots=True)
class Under:
    """The hub that is measured, and what is asked of it."""

    port: int
    supervisor: int
    """Process id of what starts the serving ones."""
    database: int
    """Process id of the database's; 0 where it is none of ours."""
    gets: list[bytes]
    searches: list[bytes]
    sessions: list[bytes]
    large: list[bytes]

    def row(self, name: str, load: Load, most_ms: float = 0.0) -> str:
        """Runs a load; one line of the table. `most_ms`: the target for the 99th percentile, at the load's rate."""
        before = self.cpu()
        told = load.run()
        hub, database = (100 * (b - a) / (told.seconds * CORES) for a, b in zip(before, self.cpu(), strict=True))
        p99 = at(told.latencies, 0.99)
        target = f"{load.rate:,.0f}/s, p99 {most_ms:.0f} ms" if most_ms else ""
        met = told.rate > 0.97 * load.rate and p99 <= most_ms and not told.failed
        return (
            f"| {name} | {told.rate:,.0f}/s | {at(told.latencies, 0.5):.1f} | {p99:.1f} | {told.failed} "
            f"| {100 * told.share:.0f} % | {hub:.0f} % | {database:.0f} % | {target} "
            f"| {('yes' if met else 'no') if most_ms else ''} |"
        )

    def cpu(self) -> tuple[float, float]:
        """Processor time of the hub's processes and of the database's, in seconds."""
        return tuple(sum(map(seconds_of, children(pid))) for pid in (self.supervisor, self.database))  # type: ignore[return-value]


def table(under: Under, seconds: float) -> None:
    print("| load | rate | p50 ms | p99 ms | errors | load | hub | database | target | met |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    port, kilo = under.port, len(under.sessions[0]) / 1000
    given = f"give a session of {kilo:.1f} kB"
    for name, asked, rate, most_ms in (
        ("GET a skill", under.gets, 3000, 25.0),
        (f"search among {SKILLS:,}", under.searches, 300, 100.0),
        (given, under.sessions, 1000, 150.0),
    ):
        print(under.row(name, Load(port, asked, seconds, rate, first=fresh()), most_ms), flush=True)
    for name, asked in (
        ("GET a skill, as many as go", under.gets),
        ("search, as many as go", under.searches),
        (f"{given}, as many as go", under.sessions),
        (f"give one of {len(under.large[0]) / 1000:.0f} kB, as many as go", under.large),
    ):
        print(under.row(name, Load(port, asked, seconds, first=fresh())), flush=True)


def crowded(under: Under, seconds: float) -> None:
    """What honest clients notice of many that only hold on."""
    told: list[Told] = []
    load = Load(under.port, under.gets, seconds, 1000)
    told.append(load.run())
    with crowd(under.port, CROWD):
        told.append(load.run())
    alone, beside = (at(one.latencies, 0.99) for one in told)
    print(f"\nGET a skill at 1,000/s: p99 {alone:.1f} ms; beside {CROWD:,} clients that never finish their headers"
          f" {beside:.1f} ms, {told[1].failed} errors (target: less than twice)")  # fmt: skip


def soak(under: Under, minutes: float) -> Told:
    """Half the load of each kind of writing and reading; each minute the youngest serving process is killed.

    Prints what was seen, and the memory of the process that lived through it all.
    """
    seconds, port = minutes * 60, under.port
    giving = Load(port, under.sessions, seconds, 500, first=fresh(), keep_ids=True).start()
    reading = Load(port, under.gets, seconds, 1500).start()
    oldest, *_ = children(under.supervisor)
    sizes: list[tuple[float, float]] = []
    started = time.monotonic()
    kills = 0
    while (now := time.monotonic() - started) < seconds - 5:
        sizes.append((now / 60, megabytes(oldest)))
        if int(now / 60) > kills:
            kills += 1
            os.kill(children(under.supervisor)[-1], signal.SIGKILL)
        time.sleep(5)
    given, read = giving.told(), reading.told()
    print("| load | rate | p50 ms | p99 ms | errors | without an answer | load |\n|---|---|---|---|---|---|---|")
    for name, told in (("give a session at 500/s", given), ("GET a skill at 1,500/s", read)):
        print(f"| {name} | {told.rate:,.0f}/s | {at(told.latencies, 0.5):.1f} | {at(told.latencies, 0.99):.1f}"
              f" | {told.errors} | {told.lost} | {100 * told.share:.0f} % |")  # fmt: skip
    settled = [size for size in sizes if size[0] >= min(2.0, minutes / 3)]
    slope = statistics.linear_regression(*zip(*settled, strict=True)).slope if len(settled) > 2 else float("nan")
    print(f"\n{minutes:g} minutes, {kills} processes killed; memory of the one that lived: {settled[0][1]:.0f} MB, then"
          f" {settled[-1][1]:.0f} MB, {slope:+.2f} MB a minute (target: below 1)")  # fmt: skip
    return given


_numbers = iter(range(0, 10**9, 10**7))


def fresh() -> int:
    """The number of the first request of a load, so that no two loads give the same session."""
    return next(_numbers)


def children(pid: int) -> list[int]:
    """Processes that `pid` started, the oldest first; not Python's own helpers."""
    found: list[tuple[int, int]] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid and b"resource_tracker" not in (stat.parent / "cmdline").read_bytes():
                found.append((int(fields[19]), int(stat.parent.name)))
        except OSError:
            continue
    return [pid for _, pid in sorted(found)]


def seconds_of(pid: int) -> float:
    """Processor time of a process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except OSError:
        return 0.0


def megabytes(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        return float("nan")


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
        measure(args, folder, database, cluster.server.pid if cluster else 0)
    finally:
        if cluster is not None:
            cluster.close()
        shutil.rmtree(folder, ignore_errors=True)


def measure(args: argparse.Namespace, folder: Path, database: str, database_pid: int) -> None:
    draw = random.Random(args.seed)
    hub, names = filled(folder, database, draw)
    token = hub.accounts.issue("bob")[1]
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    process = context.Process(target=hub_process, args=(server.Plan(folder, database, args.workers), told))
    process.start()
    try:
        assert process.pid is not None
        at_ = "/api/projects/red"
        under = Under(
            told.get(timeout=60), process.pid, database_pid,
            gets=[request("GET", f"{at_}/skills/{draw.choice(names)}", token) for _ in range(1000)],
            searches=[request("GET", f"{at_}/search?q={query(draw)}", token) for _ in range(1000)],
            sessions=[request("POST", f"{at_}/sessions", token, session(n, 5)) for n in range(200)],
            large=[request("POST", f"{at_}/sessions", token, session(n, 250)) for n in range(10)],
        )  # fmt: skip
        for _ in range(20):  # until both processes have read the library
            if max(Load(under.port, under.searches, 3, connections=16).run().latencies) < 0.5:
                break
        print(f"{machine()}, {hub.db.name}, {args.workers} serving processes, {SKILLS:,} skills, seed {args.seed}; "
              "shares are of all cores\n", flush=True)  # fmt: skip
        if not args.soak:
            table(under, args.seconds)
            crowded(under, args.seconds)
            return
        done = soak(under, args.soak)
        with hub.db.reading() as rows:
            kept = {row[0] for row in rows.all("SELECT id FROM session")}
        missing = [id for id in done.acknowledged if id not in kept]
        print(f"{len(done.acknowledged):,} sessions acknowledged, {len(missing)} of them lost (target: 0)")
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
