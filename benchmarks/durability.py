"""What the stores survive: rows C1 to C4, W1, R1 and K1 of the fault matrix, each with its target and what was found.

C1  Killed (`SIGKILL`) at the entry of every system call that changes the disk, one run each, while a change is learned,
    proposed, accepted and undone: session stored, trial stored, proposal, change, use counts, undo.
C2  Calls failing instead: no space, input/output error, read-only, too many open files; once, or from then on.
C3  Signals, sleep, and clocks that jump by a day: see `durability_time`.
C4  A loss of power at every instant: see `durability_power`.
W1  Sixteen processes on one library: proposals, changes, undos, sessions, rebuilds of the index, reads. Every
    acknowledged write must be in the ledger, in an order that agrees with the clock; every read must be a state that
    the library was in while it was read.
R1  A run of 400 episodes, killed at 25 points drawn at random, resumed each time: equal result, nothing paid twice but
    what was in flight.
K1  1,000 mutations of stored files: a byte flipped, cut off, emptied, deleted, a stranger added. Detected, or without
    any effect on an answer; then mended, and usable.

C1 to C4 need `strace`, which stops or records the calls from outside: our code has no hooks for it.

    python benchmarks/durability.py                      # the table in docs/durability.md
    python benchmarks/durability.py --only C1 --seed 3
"""

import argparse
import hashlib
import json
import os
import platform
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import anyio

from prowess.core.cost import Cost
from prowess.core.errors import ProwessError, UserError
from prowess.core.patch import AppendToSection, CreateSkill, Patch, Replace, WriteFile
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import File, Score, Task
from prowess.core.trajectory import Step, Trajectory
from prowess.core.view import View
from prowess.library import Library, disk, mending, store
from prowess.measure.trials import Arm, Bench, run_trials
from prowess.trajectories import salvage
from prowess.trajectories.runstore import RunStore
from prowess.trajectories.store import TrajectoryStore

KILLED_AT = ("write", "pwrite64", "fsync", "fdatasync", "rename", "renameat2", "unlink", "rmdir", "mkdir", "ftruncate",
             "openat")  # fmt: skip
FAILED = {"ENOSPC": ("write", "pwrite64", "fsync", "mkdir", "rename"), "EIO": ("write", "pwrite64", "fsync", "read"),
          "EROFS": ("mkdir", "rename", "unlink"), "EMFILE": ("openat",)}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    id: str
    target: str
    measured: str
    met: bool


def skill(name: str, lines: int = 1) -> Skill:
    steps = "".join(f"{n}. Step {n}.\n" for n in range(1, lines + 1))
    return Skill(name=name, description=f"About {name}.", body=f"# Steps\n\n{steps}\n# End\n\nStop.\n")


def session(n: str) -> Trajectory:
    steps = (Step(source="user", message=f"Sum the ledger {n}."), Step(source="agent", message="x" * 600))
    return Trajectory(id=f"session-{n}", agent="code/1", model="scripted", offered=("a",), loaded=("a",), steps=steps)


# What is interrupted.


def learn(path: Path, told: Callable[[str], object]) -> None:
    """One pass from sessions to a changed library; safe to repeat. `told` gets each step that was acknowledged."""
    with TrajectoryStore(path / "trajectories.db") as sessions:
        sessions.put_all([session("1"), session("2")])
        told("session")
    trials = RunStore(path / "trials.db")
    trials.put("trajectory", "k1", b"{}", Cost(calls=1))
    trials.close()
    told("trial")
    library = Library.open(path / "library")
    done = {c.patch_id: c for c in library.log()}
    first, second = patches(library)
    library.propose(first, by="bench")
    told("proposed")
    if first.id not in done:
        library.accept(first.id)
    told("accepted")
    library.record_use([session("1"), session("2")])
    told("used")
    change = done.get(second.id) or library.apply(second)
    told("applied")
    if change.id not in {c.undoes for c in library.log()}:
        library.undo(change.id)
    told("undone")


def patches(library: Library) -> tuple[Patch, Patch]:
    base = library.log()[-1].after
    first = (
        CreateSkill(skill=skill("created")),
        WriteFile(name="a", file="references/more.md", content="More.\n"),
        Replace(name="a", old="1. Step 1.", new="1. Read [more](references/more.md)."),
    )
    second = (AppendToSection(name="b", section="Steps", content="2. Another.\n"),)
    return Patch(base=base, operations=first, reason="first"), Patch(base=base, operations=second, reason="second")


def seed(path: Path) -> Path:
    library = Library.open(path / "library", create=True)
    new = tuple(CreateSkill(skill=skill(name)) for name in ("a", "b", "c"))
    library.apply(Patch(base=Snapshot().digest, operations=new, reason="seed"))
    return path


STEPS = ("session", "trial", "proposed", "accepted", "used", "applied", "undone")


def look(path: Path, acked: set[str]) -> list[str]:
    """What is wrong after an interruption, given what was acknowledged before it."""
    wrong: list[str] = []
    with TrajectoryStore(path / "trajectories.db") as sessions:
        if sessions.check():
            wrong.append("torn session")
        if "session" in acked and len(sessions) != 2:
            wrong.append("lost session")
    trials = RunStore(path / "trials.db")
    if trials.check():
        wrong.append("torn trial")
    if "trial" in acked and trials.get("trajectory", "k1") != b"{}":
        wrong.append("lost trial")
    trials.close()
    library = Library.open(path / "library")
    wrong += library.check() + [f"{n}: {p}" for n, p in library.problems().items()]
    first, second = patches(library)
    by_patch = {c.patch_id: c for c in library.log()}
    names = library.snapshot().names
    if ("created" in names) != (first.id in by_patch):
        wrong.append("folder and ledger differ")
    for step, patch in (("accepted", first), ("applied", second)):
        if step in acked and patch.id not in by_patch:
            wrong.append(f"lost change ({step})")
    known = {p.id for p in library.proposals()} | set(by_patch)
    if "proposed" in acked and first.id not in known:
        wrong.append("lost proposal")
    if "used" in acked and library.uses().get("a") is None:
        wrong.append("lost use counts")
    if any(newer.before != older.after for newer, older in pairwise(library.log())):
        wrong.append("broken chain")
    return wrong


# Interrupting it.


def flush_in_turn(paths: Iterable[Path]) -> None:
    """As `disk.flush`, without its threads: strace counts the calls of each thread apart."""
    for path in paths:
        disk._flush_one(path)  # pyright: ignore[reportPrivateUsage]


def interrupted(path: Path, inject: str) -> tuple[int, set[str], str]:
    """Exit status of `learn` with a fault injected by strace, what it acknowledged, and the error that it told."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        store.flush = disk.flush = flush_in_turn
        os.kill(os.getpid(), signal.SIGSTOP)
        try:
            # `writev`, so that no injected fault hits the telling itself.
            learn(path, lambda step: os.writev(write, [f"{step}\n".encode()]))
        except ProwessError as error:
            os.writev(write, [f"!{type(error).__name__}: {error}\n".encode()])
            os._exit(3)
        except BaseException as error:
            os.writev(write, [f"?{type(error).__name__}: {error}\n".replace("\n", " ").encode() + b"\n"])
            os._exit(4)
        os._exit(0)
    os.close(write)
    os.waitpid(child, os.WUNTRACED)
    calls = inject.partition(":")[0]
    tracer = subprocess.Popen(
        ["strace", "-qq", "-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={inject}", "-p", str(child)],
        stderr=subprocess.PIPE,
    )
    while "TracerPid:\t0" in Path(f"/proc/{child}/status").read_text():
        if tracer.poll() is not None:
            os.kill(child, signal.SIGKILL)
            raise SystemExit(f"strace: {tracer.stderr.read().decode() if tracer.stderr else ''}")
        time.sleep(0.002)
    os.kill(child, signal.SIGCONT)
    with os.fdopen(read) as lines:
        told = lines.read().splitlines()
    status = os.waitpid(child, 0)[1]
    tracer.wait()
    if tracer.stderr:
        tracer.stderr.close()
    errors = [line for line in told if line[:1] in "!?"]
    return status, {line for line in told if line in STEPS}, errors[0] if errors else ""


def counted(start: Path, base: Path) -> Counter[str]:
    """How often `learn` makes each system call."""
    path = base / "count"
    shutil.copytree(start, path)
    log = base / "calls"
    child = os.fork()
    if child == 0:
        store.flush = disk.flush = flush_in_turn
        os.kill(os.getpid(), signal.SIGSTOP)
        learn(path, lambda step: None)
        os._exit(0)
    os.waitpid(child, os.WUNTRACED)
    tracer = subprocess.Popen(["strace", "-qq", "-o", str(log), "-p", str(child)])
    while "TracerPid:\t0" in Path(f"/proc/{child}/status").read_text():
        time.sleep(0.002)
    os.kill(child, signal.SIGCONT)
    os.waitpid(child, 0)
    tracer.wait()
    shutil.rmtree(path)
    return Counter(line.partition("(")[0] for line in log.read_text().splitlines())


def after(path: Path, acked: set[str], wrong: Counter[str], times: list[float]) -> None:
    """Looks at what is left, then lets the work finish."""
    began = time.perf_counter()
    Library.open(path / "library").snapshot()
    times.append(time.perf_counter() - began)
    for line in look(path, acked):
        wrong[line] += 1
    try:
        learn(path, lambda step: None)
        for line in look(path, set(STEPS)):
            wrong[f"at the end: {line}"] += 1
    except ProwessError as error:
        wrong[f"could not go on: {error}"] += 1


def c1(base: Path, rng: random.Random) -> Row:
    start = seed(base / "seed")
    calls, points = counted(start, base), 0
    wrong, times = Counter[str](), list[float]()
    for call in KILLED_AT:
        for nth in range(1, calls[call] + 1):
            path = base / "run"
            shutil.copytree(start, path)
            status, acked, _ = interrupted(path, f"{call}:signal=KILL:when={nth}")
            points += os.WIFSIGNALED(status)
            after(path, acked, wrong, times)
            shutil.rmtree(path)
    worst = max(times)
    measured = f"{points} points, {violations(wrong)}, slowest recovery {worst:.2f} s"
    return Row("C1", ">= 300 points, 0 violations, recovery < 2 s", measured, points >= 300 and not wrong and worst < 2)


def c2(base: Path, rng: random.Random) -> Row:
    start = seed(base / "seed")
    calls, points, clear = counted(start, base), 0, 0
    wrong, times = Counter[str](), list[float]()
    for error, names in FAILED.items():
        for call in names:
            n = calls[call]
            chosen = range(1, n + 1) if n <= 60 else sorted(rng.sample(range(1, n + 1), 60))
            for nth in chosen:
                for lasting in ("", "+") if error == "ENOSPC" else ("",):
                    path = base / "run"
                    shutil.copytree(start, path)
                    status, acked, told = interrupted(path, f"{call}:error={error}:when={nth}{lasting}")
                    points += 1
                    clear += told.startswith("!")
                    if told.startswith("?") or os.WIFSIGNALED(status):
                        wrong[f"not a clear error: {call} {error}: {told[:150]}"] += 1
                    after(path, acked, wrong, times)
                    shutil.rmtree(path)
    measured = f"{points} points, {clear} clear errors (the rest recovered by themselves), {violations(wrong)}"
    return Row("C2", ">= 300 points, 0 violations", measured, points >= 300 and not wrong)


def c3(base: Path, rng: random.Random) -> Row:
    import durability_time

    return durability_time.c3(base, rng)


def c4(base: Path, rng: random.Random) -> Row:
    import durability_power

    return durability_power.c4(base, rng)


def violations(wrong: Counter[str]) -> str:
    return f"{sum(wrong.values())} violations{_named(wrong)}"


def _named(wrong: Counter[str]) -> str:
    return f" ({'; '.join(f'{k} x {n}' for k, n in wrong.most_common(4))})" if wrong else ""


# W1


@dataclass(frozen=True)
class Op:
    """One operation of one process, with the clock before and after, and what came of it."""

    kind: str
    began: float
    ended: float
    result: str
    error: str = ""


def work(path: Path, worker: int, ops: int, seed_: int) -> list[Op]:
    rng = random.Random(f"{seed_}/{worker}")
    library, done = Library.open(path / "library"), list[Op]()
    sessions = TrajectoryStore(path / "trajectories.db")
    mine: list[Patch] = []
    for n in range(ops):
        kind = rng.choices(
            ("session", "propose", "accept", "apply", "undo", "read", "rebuild"), (25, 10, 10, 10, 5, 39, 1)
        )[0]
        mark, name = f"{worker}-{n}", f"shared-{rng.randrange(8)}"
        line = AppendToSection(name=name, section="Steps", content=f"- {mark}\n")
        patch = Patch(base=library_base(path), operations=(line,), reason=mark)
        began, result, error = time.monotonic(), "", ""
        try:
            match kind:
                case "session":
                    sessions.put(session(mark))
                    result = mark
                case "propose":
                    result = library.propose(patch).id
                    mine.append(patch)
                case "accept" if mine:
                    result = str(library.accept(mine.pop().id).number)
                case "accept" | "apply":
                    result = str(library.apply(patch).number)
                case "undo":
                    result = str(library.undo().number)
                case "rebuild":
                    library.rebuild()
                case _:
                    result = library.snapshot().digest
        except UserError as problem:
            # Undoing what a later change built upon is a conflict, by design; everything else is told.
            error = "" if kind == "undo" and "conflict" in str(problem) else str(problem)
        done.append(Op(kind, began, time.monotonic(), result, error))
    return done


_BASE: dict[Path, str] = {}


def library_base(path: Path) -> str:
    """The first snapshot; patches name it, so that every one is rebased."""
    if path not in _BASE:
        _BASE[path] = Library.open(path / "library").log()[-1].after
    return _BASE[path]


def w1(base: Path, rng: random.Random, workers: int = 16, ops: int = 500) -> Row:
    library = Library.open(base / "library", create=True)
    new = tuple(CreateSkill(skill=skill(f"shared-{n}")) for n in range(8))
    library.apply(Patch(base=Snapshot().digest, operations=new, reason="seed"))
    TrajectoryStore(base / "trajectories.db").check()
    library_base(base)
    children: dict[int, Path] = {}
    for worker in range(workers):
        out = base / f"out-{worker}"
        child = os.fork()
        if child == 0:
            code = 1
            try:
                done = work(base, worker, ops, rng.randrange(1 << 30) if worker < 0 else 7)
                out.write_text(json.dumps([vars(op) for op in done]))
                code = 0
            finally:
                os._exit(code)
        children[child] = out
    failed = sum(os.waitpid(child, 0)[1] != 0 for child in children)
    history = [Op(**row) for out in children.values() if out.exists() for row in json.loads(out.read_text())]
    wrong = anomalies(base, history)
    wrong.update({"a process failed": failed} if failed else {})
    times = sorted(1000 * (op.ended - op.began) for op in history)
    p50, p99 = times[len(times) // 2], times[int(0.99 * (len(times) - 1))]
    target = f"{workers * ops:,} operations, 0 anomalies, p99 < 250 ms"
    found = f"{sum(wrong.values())} anomalies{_named(wrong)}"
    measured = f"{len(history):,} operations, {found}, p50 {p50:.0f} ms, p99 {p99:.0f} ms"
    return Row("W1", target, measured, not wrong and p99 < 250 and len(history) == workers * ops)


def anomalies(base: Path, history: list[Op]) -> Counter[str]:
    """What of the history no single order of the operations explains.

    The ledger gives that order: each write returned its number. It must agree with the clock (a write that ended before
    another began has the smaller number), chain every snapshot to the next, and hold every acknowledged write. A read
    must be the state after a change that was neither replaced before it began nor made after it ended.
    """
    wrong = Counter[str](op.error.split(":")[0][:60] for op in history if op.error)
    library = Library.open(base / "library")
    wrong.update(library.check())
    log = library.log()[::-1]
    wrong["broken chain"] += sum(newer.before != older.after for older, newer in pairwise(log))
    numbers = {change.number for change in log}
    writes = sorted(
        (op for op in history if op.kind in ("accept", "apply", "undo") and op.result), key=lambda o: o.began
    )
    wrong["lost change"] += sum(int(op.result) not in numbers for op in writes)
    doubled = Counter(op.result for op in writes)
    wrong["change acknowledged twice"] += sum(n - 1 for n in doubled.values())
    newest = 0
    ends = sorted((op.ended, int(op.result)) for op in writes)
    at = 0
    for op in writes:
        while at < len(ends) and ends[at][0] < op.began:
            newest, at = max(newest, ends[at][1]), at + 1
        wrong["order against the clock"] += int(op.result) < newest
    # Undoing can bring a state back, so one digest may stand for several.
    states: dict[str, list[int]] = {}
    for change in log:
        states.setdefault(change.after, []).append(change.number)
    started, ended = {int(op.result): op.began for op in writes}, {int(op.result): op.ended for op in writes}
    following = {older.number: newer.number for older, newer in pairwise(log)}

    def current(number: int, op: Op) -> bool:
        """Whether the state after this change was there at some instant of the read."""
        later = following.get(number)
        replaced = later is not None and ended.get(later, op.ended) < op.began
        return started.get(number, 0) <= op.ended and not replaced

    for op in history:
        if op.kind == "read" and not op.error:
            wrong["a state that never was"] += op.result not in states
            wrong["a read of another time"] += not any(current(number, op) for number in states.get(op.result, ()))
    with TrajectoryStore(base / "trajectories.db") as sessions:
        stored = {row.id for row in sessions.find()}
        wrong["torn session"] += len(sessions.check())
    wrong["lost session"] += sum(
        f"session-{op.result}" not in stored for op in history if op.kind == "session" and not op.error
    )
    waiting = {p.id for p in library.proposals()} | {c.patch_id for c in log}
    wrong["lost proposal"] += sum(op.result not in waiting for op in history if op.kind == "propose" and not op.error)
    return +wrong


# R1

EPISODES, KILLS = 400, 25


class Played:
    """An agent whose every run is a line in a file, as a bill would be; it may be sent a signal after its n-th."""

    name = "played/1"

    def __init__(self, bill: Path, kill_after: int, how: signal.Signals) -> None:
        self.bill, self.left, self.how = bill, kill_after, how

    async def run(self, task: Task, view: View, seed: int) -> Trajectory:
        with self.bill.open("a") as file:
            file.write(f"{task.id} {view.digest[:8]}\n")
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.how)
        good = int(hashlib.sha256(f"{task.id}{view.digest}".encode()).hexdigest(), 16) % 3 > 0
        step = Step(source="agent", message="right" if good else "wrong")
        return Trajectory(
            id="", agent=self.name, model="played", snapshot=view.snapshot, steps=(step,), cost=Cost(calls=1)
        )


class Marks:
    """A suite that passes the answer `right`."""

    name, families = "marks", ("f",)

    def check(self, task: Task, outputs: tuple[File, ...], answer: str = "") -> Score:
        passed = answer == "right"
        return Score(value=float(passed), passed=passed, verifier="suite:marks", trusted=True)


def run_400(out: Path, kill_after: int, how: signal.Signals = signal.SIGKILL) -> str:
    """The whole run, resumed where it was; its result as a digest."""
    paid = RunStore(out / "run.db")
    tasks = [
        Task(id=f"f/base/{n}", suite="marks", family="f", split="gate", seed=n, prompt=f"Do {n}.")
        for n in range(EPISODES // 2)
    ]
    bench = Bench(Played(out / "bill", kill_after, how), Marks(), paid, concurrency=1)  # pyright: ignore[reportArgumentType]
    arms = [Arm.without(), Arm.showing("with", Snapshot.of([skill("a")]))]
    trials = anyio.run(run_trials, tasks, arms, (0,), bench)
    library = Library.open(out / "library", create=True)
    won = sum(bool(t.passed) for t in trials if t.arm == "with")
    library.apply(
        Patch(base=Snapshot().digest, operations=(CreateSkill(skill=skill("a", won)),), reason=f"{won} passed")
    )
    cost = sum(t.cost.calls for t in trials)
    told = [[t.task_id, t.arm, t.passed, t.trajectory] for t in trials]
    return hashlib.sha256(json.dumps([told, cost, library.snapshot().digest]).encode()).hexdigest()


def r1(base: Path, rng: random.Random) -> Row:
    (base / "whole").mkdir()
    (base / "killed").mkdir()
    expected, kills = run_400(base / "whole", 0), 0
    while kills < KILLS:
        child = os.fork()
        if child == 0:
            run_400(base / "killed", rng.randint(1, EPISODES // KILLS - 1))
            os._exit(0)
        if not os.WIFSIGNALED(os.waitpid(child, 0)[1]):
            break
        kills += 1
    found = run_400(base / "killed", 0)
    bill = (base / "killed" / "bill").read_text().splitlines()
    again = len(bill) - len(set(bill))
    same = found == expected
    measured = f"{kills} kills, result {'equal' if same else 'DIFFERENT'}, {again} of {EPISODES} runs paid again"
    return Row(
        "R1",
        "25 kills, equal result, <= 1 run paid again per kill",
        measured,
        same and again <= kills and kills == KILLS,
    )


# K1


def answers(path: Path) -> dict[str, object]:
    """Everything that the stores say."""
    library = Library.open(path / "library")
    found: dict[str, object] = {
        "snapshot": library.snapshot().digest,
        "trees": {n: {p: d.hex() for p, d in t.items()} for n, t in library.trees().items()},
        "log": [c.model_dump_json() for c in library.log()],
        "old": [library.at(c.after).digest for c in library.log()],
        "versions": [v.model_dump_json() for n in library.snapshot().names for v in library.versions(n)],
        "proposals": [p.model_dump_json() for p in library.proposals()],
        "rejected": [r for _, r in library.rejected()],
        "uses": {n: u.model_dump_json() for n, u in library.uses().items()},
    }
    with TrajectoryStore(path / "trajectories.db") as sessions:
        rows = sessions.find()
        found["sessions"] = [(r.id, r.passed, r.tokens, sessions.get(r.id).model_dump_json()) for r in rows]
    trials = RunStore(path / "trials.db")
    found["trials"] = [(k, trials.get("trajectory", k)) for k in trials.keys("trajectory")]
    trials.close()
    return found


def faults_of(path: Path) -> int:
    """How many faults are named, those of hand-made edits among them."""
    found = len(mending.examine(path / "library"))
    found += len(salvage.examine_sessions(path / "trajectories.db")) + len(salvage.examine_trials(path / "trials.db"))
    if found == 0:
        found = len(Library.open(path / "library").check())
    return found


def stocked(path: Path) -> Path:
    learn(seed(path), lambda step: None)
    library = Library.open(path / "library")
    refused = Patch(base=library.snapshot().digest, operations=(CreateSkill(skill=skill("no")),), reason="no")
    library.reject(library.propose(refused).id, "not wanted")
    later = AppendToSection(name="c", section="Steps", content="2. Later.\n")
    library.propose(Patch(base=library.snapshot().digest, operations=(later,), reason="later"))
    paid = RunStore(path / "trials.db")
    for n in range(40):
        paid.put("trajectory", f"t{n}", json.dumps({"n": n, "text": "y" * 200}).encode(), Cost(calls=1))
    paid.close()
    with TrajectoryStore(path / "trajectories.db") as sessions:
        sessions.put_all(session(str(n)) for n in range(10, 40))
    for name in ("trajectories.db", "trials.db", "library/.prowess/library.db"):
        db = sqlite3.connect(path / name)
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.close()
    return path


def mutate(path: Path, rng: random.Random) -> str:
    """Damages one stored file; says how."""
    files = sorted(p for p in path.rglob("*") if p.is_file() and p.name not in ("lock", ".gitignore"))
    file = rng.choice(files)
    how = rng.choice(("flip", "flip", "flip", "cut", "empty", "delete", "stranger"))
    data = bytearray(file.read_bytes())
    if how == "flip" and data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        file.write_bytes(data)
    elif how == "cut" and data:
        file.write_bytes(data[: rng.randrange(len(data))])
    elif how == "empty":
        file.write_bytes(b"")
    elif how == "delete":
        file.unlink()
    else:
        how = "stranger"
        file = (
            rng.choice((path / "library/.prowess/ledger", path / "library/.prowess/blobs", path / "library/a"))
            / "x.json"
        )
        file.write_text("not ours")
    return f"{how} {file.relative_to(path).parts[-2] if 'blobs' in file.parts else file.name}"


def k1(base: Path, rng: random.Random, mutations: int = 1000) -> Row:
    start = stocked(base / "stock")
    expected = answers(start)
    assert faults_of(start) == 0
    detected = harmless = unusable = 0
    silent = Counter[str]()
    for _ in range(mutations):
        path = base / "run"
        shutil.copytree(start, path)
        how = mutate(path, rng)
        try:
            found = faults_of(path)
        except UserError:
            found = 1
        if found:
            detected += 1
        else:
            try:
                same = answers(path) == expected
            except UserError:
                same = False
            harmless += same
            silent[how] += not same
        try:
            mending.mend(path / "library")
            salvage.mend_sessions(path / "trajectories.db")
            salvage.mend_trials(path / "trials.db")
            left = Library.open(path / "library")
            left.snapshot()
            left.record_use([session("9")])
            left.apply(Patch(base=left.snapshot().digest, operations=(CreateSkill(skill=skill("new")),), reason="new"))
        except (ProwessError, OSError) as error:
            unusable += 1
            silent[f"unusable after {how}: {str(error)[:80]}"] += 1
        shutil.rmtree(path)
    lost = sum((+silent).values())
    quiet = f"{harmless} without effect on any answer, {lost - unusable} silent"
    measured = f"{detected} detected, {quiet}, {unusable} unusable after mending{_named(+silent)}"
    return Row("K1", f"{mutations:,} mutations, 0 silent, the rest usable", measured, lost == 0)


ROWS: dict[str, Callable[[Path, random.Random], Row]] = {
    "C1": c1,
    "C2": c2,
    "C3": c3,
    "C4": c4,
    "W1": w1,
    "R1": r1,
    "K1": k1,
}


def folders(fast: bool) -> Iterator[Path]:
    shared = Path("/dev/shm")
    while True:
        yield Path(tempfile.mkdtemp(prefix="prowess-bench-", dir=shared if fast and shared.is_dir() else None))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=ROWS, action="append")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if shutil.which("strace") is None and not set(options.only or ROWS) <= {"W1", "R1", "K1"}:
        sys.exit("C1 to C4 need strace")
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores, seed {options.seed}\n")
    print("| row | target | measured | met | seconds |\n|---|---|---|---|---:|")
    for name in options.only or ROWS:
        # Faults that are counted, not timed, are tried in memory; many writers on the disk.
        base = next(folders(fast=name != "W1"))
        began = time.perf_counter()
        try:
            row = ROWS[name](base, random.Random(options.seed))
        finally:
            shutil.rmtree(base)
        took = time.perf_counter() - began
        print(f"| {row.id} | {row.target} | {row.measured} | {'yes' if row.met else 'NO'} | {took:.0f} |", flush=True)


if __name__ == "__main__":
    main()
