"""Row C3 of the fault matrix, for `benchmarks/durability.py`: signals, sleep, and clocks that jump.

Signals: SIGINT and SIGTERM at system calls of `learn`, as C1 does with SIGKILL; and a long run that is sent one or the
other at random points and resumed. Sleep: writers of one library are stopped (`SIGSTOP`) at random and go on later.
Clocks: workers of a hub's queue, each with a clock of its own that jumps by up to a day in either direction; they are
stopped for longer than a lease lasts, and killed. A lease lasts a tenth of a second here, a minute on a hub.
"""

import json
import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import durability
from durability import KILLED_AT, Row

from prowess.core.patch import CreateSkill, Patch
from prowess.core.skill import Snapshot
from prowess.library import Library
from prowess.serve.hub import jobs as queue
from prowess.serve.hub.accounts import Accounts
from prowess.serve.hub.database import open_database
from prowess.trajectories.store import TrajectoryStore

DAY = 86_400.0
LEASE = 0.1


def signals(base: Path, rng: random.Random, each: int) -> tuple[int, Counter[str]]:
    """`learn` with a signal at `each` of its system calls that change the disk, for each signal."""
    start = durability.seed(base / "seed")
    calls = durability.counted(start, base)
    places = [(call, nth) for call in KILLED_AT for nth in range(1, calls[call] + 1)]
    wrong, points = Counter[str](), 0
    # A shell that starts this in the background has children ignore SIGINT.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        for name in ("INT", "TERM"):
            for call, nth in sorted(rng.sample(places, min(each, len(places)))):
                path = base / "run"
                shutil.copytree(start, path)
                status, acked, told = durability.interrupted(path, f"{call}:signal={name}:when={nth}")
                # A run that came to its end made fewer such calls, and was sent no signal.
                points += status != 0
                if told and "KeyboardInterrupt" not in told:
                    wrong[f"SIG{name} became another error: {told[:100]}"] += 1
                durability.after(path, acked, wrong, [])
                shutil.rmtree(path)
    finally:
        signal.signal(signal.SIGINT, before)
    return points, wrong


def resumed(base: Path, rng: random.Random, times: int) -> Counter[str]:
    """A run of 400 episodes that is told to end `times` times, and resumed."""
    for name in ("whole", "ended"):
        (base / name).mkdir()
    expected = durability.run_400(base / "whole", 0)
    for n in range(times):
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.close(2)  # what Python says of the signal
            try:
                most = durability.EPISODES // times
                durability.run_400(base / "ended", rng.randint(1, most), signal.SIGTERM if n % 2 else signal.SIGINT)
            finally:
                os._exit(1)
        os.waitpid(child, 0)
    wrong = Counter[str]()
    wrong["another result"] += durability.run_400(base / "ended", 0) != expected
    bill = (base / "ended" / "bill").read_text().splitlines()
    wrong["paid twice"] += len(bill) - len(set(bill)) > times
    return +wrong


def stopped(base: Path, rng: random.Random, workers: int, ops: int) -> tuple[int, Counter[str]]:
    """Writers of one library, of which one after the other stands still for a while."""
    library = Library.open(base / "library", create=True)
    new = tuple(CreateSkill(skill=durability.skill(f"shared-{n}")) for n in range(8))
    library.apply(Patch(base=Snapshot().digest, operations=new, reason="seed"))
    TrajectoryStore(base / "trajectories.db").check()
    durability.library_base(base)
    children: list[int] = []
    for worker in range(workers):
        child = os.fork()
        if child == 0:
            try:
                done = durability.work(base, worker, ops, 11)
                (base / f"out-{worker}").write_text(json.dumps([vars(op) for op in done]))
            finally:
                os._exit(0)
        children.append(child)
    stops = _haunted(children, rng, kill=0)
    history = [durability.Op(**row) for out in base.glob("out-*") for row in json.loads(out.read_text())]
    wrong = durability.anomalies(base, history)
    wrong["operations are missing"] += len(history) != workers * ops
    return stops, +wrong


def _haunted(children: list[int], rng: random.Random, kill: float, longest: float = 0.6) -> int:
    """Stops one of the processes after the other until all have ended, or kills it; how often."""
    left, done = set(children), 0
    while left:
        time.sleep(rng.uniform(0.02, 0.1))
        left -= {child for child in left if os.waitpid(child, os.WNOHANG)[0]}
        if not left:
            return done
        victim = rng.choice(sorted(left))
        done += 1
        if rng.random() < kill and len(left) > 1:
            os.kill(victim, signal.SIGKILL)
            continue
        os.kill(victim, signal.SIGSTOP)
        time.sleep(rng.uniform(0, longest))
        os.kill(victim, signal.SIGCONT)
    return done


@dataclass(frozen=True)
class Deed:
    """What a worker did to a job, with the machine's own clock before and after."""

    what: str
    job: str
    tries: int
    began: float
    ended: float


def leases(base: Path, rng: random.Random, workers: int, work: int) -> tuple[int, Counter[str]]:
    """A queue of `work` jobs under clocks that jump, workers that stand still, and some that die."""
    db = open_database(str(base / "hub.db"))
    accounts = Accounts(db)
    accounts.add("alice", admin=True)
    accounts.add_project("red", "alice")
    for n in range(work):
        queue.Jobs(db).ask("red", "vouch", "alice", str(n))
    db.close()
    children: list[int] = []
    for worker in range(workers):
        child = os.fork()
        if child == 0:
            try:
                _worked(base, f"w{worker}", random.Random(f"{rng.random()} {worker}"))
            finally:
                os._exit(0)
        children.append(child)
    faults = _haunted(children, rng, kill=0.1, longest=3 * LEASE)
    _worked(base, "last", None)  # whoever is still there ends what the dead have left
    deeds = [Deed(*json.loads(line)) for out in base.glob("deeds-*") for line in out.read_text().splitlines()]
    db = open_database(str(base / "hub.db"))
    states = {job.id: job.state for job in queue.Jobs(db).list("red", work)}
    db.close()
    return faults, doubled(deeds, states)


def _worked(base: Path, name: str, rng: random.Random | None) -> None:
    """Takes jobs until the queue stays empty; writes down what was allowed. Without `rng` its clock is right."""
    queue.LEASE = LEASE  # pyright: ignore[reportAttributeAccessIssue]
    off, patience = 0.0, 8 if rng else 8 * queue.SKEW
    db = open_database(str(base / "hub.db"))
    jobs = queue.Jobs(db, lambda: time.time() + off)
    out = (base / f"deeds-{name}").open("a", buffering=1)

    def told(what: str, job: queue.Job, act: Callable[[], object]) -> bool:
        began = time.monotonic()
        allowed = bool(act())
        if allowed:
            out.write(json.dumps([what, job.id, job.tries, began, time.monotonic()]) + "\n")
        return allowed

    idle = 0
    while idle < patience and (rng or not all(job.ended for job in jobs.list("red", 10_000))):
        if rng and rng.random() < 0.1:
            off = rng.choice((0.0, rng.uniform(-DAY, DAY)))
        began = time.monotonic()
        job = jobs.take(name)
        if job is None:
            idle += 1
            time.sleep(LEASE / 2)
            continue
        idle = 0
        out.write(json.dumps(["take", job.id, job.tries, began, time.monotonic()]) + "\n")
        for _ in range(rng.randrange(3) if rng else 0):
            time.sleep(rng.uniform(0, LEASE) if rng else 0)
            if not told("renew", job, lambda job=job: jobs.renew(job)):
                break
        told("end", job, lambda job=job: jobs.end(job, "done", ""))
    db.close()


def doubled(deeds: list[Deed], states: dict[str, str]) -> Counter[str]:
    """Leases that two held at one time, and jobs that did not end just once."""
    wrong = Counter[str]()
    takes = Counter((deed.job, deed.tries) for deed in deeds if deed.what == "take")
    wrong["a lease given twice"] += sum(n - 1 for n in takes.values())
    for deed in deeds:
        if deed.what != "take":
            later = (d for d in deeds if d.what == "take" and d.job == deed.job and d.tries > deed.tries)
            wrong[f"{deed.what} under a lease that was lost"] += any(d.ended < deed.began for d in later)
    ends = Counter(deed.job for deed in deeds if deed.what == "end")
    wrong["ended twice"] += sum(n - 1 for n in ends.values())
    wrong["never ended"] += sum(state not in ("done", "failed") for state in states.values())
    wrong["ended, and nobody ended it"] += sum(state == "done" and job not in ends for job, state in states.items())
    return +wrong


def c3(base: Path, rng: random.Random, each: int = 60, times: int = 10, workers: int = 8) -> Row:
    parts = ("signals", "resumed", "stopped", "leases")
    for part in parts:
        (base / part).mkdir()
    points, wrong = signals(base / "signals", rng, each)
    wrong += resumed(base / "resumed", rng, times)
    stops, more = stopped(base / "stopped", rng, workers, 20 * times)
    faults, double = leases(base / "leases", rng, workers, 100 * times)
    wrong += more + double
    measured = (
        f"{points} signals, {times} ends of a run, {stops} sleeping writers, {faults} workers asleep or killed while "
        f"clocks jumped; {durability.violations(wrong)}"
    )
    return Row("C3", "0 violations, no lease held twice, every episode once", measured, not wrong)
