"""Row C4 of the fault matrix, for `benchmarks/durability.py`: what a loss of power leaves behind.

strace records everything that `learn` does to the disk, with its bytes. From the record any instant can be rebuilt as
a disk may have it when the power goes: of each file the bytes that were flushed, and of those written later only a
first part, the last write cut at a sector; of each folder the entries that were flushed, and of later changes only the
first ones. A rename is all or nothing, and no flush of one file or folder takes another one with it. That is less than
any file system in use keeps.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import durability

SECTOR = 512
PROMISED = frozenset(durability.STEPS) - {"trial", "used"}
"""Steps that survive a loss of power once they are acknowledged; the last trials and use statistics may go."""


@dataclass(frozen=True)
class Write:
    """Bytes in a file; `data` of None cuts it at `at` or fills it with zeros up to there."""

    node: int
    at: int
    data: bytes | None


@dataclass(frozen=True)
class Named:
    """Entries that change together: folder, name, and the file or folder that stands there; None for none."""

    entries: tuple[tuple[int, str, int | None], ...]


@dataclass(frozen=True)
class Flushed:
    node: int


@dataclass(frozen=True)
class Told:
    """A step was acknowledged."""

    step: str


Event = Write | Named | Flushed | Told


@dataclass
class Disk:
    """The files below `root` as a process sees them, and everything that happened to them since."""

    root: Path
    folders: dict[int, dict[str, int]] = field(default_factory=dict[int, dict[str, int]])
    """Entries by folder; 0 is the root."""
    sizes: dict[int, int] = field(default_factory=dict[int, int])
    first: dict[int, bytes] = field(default_factory=dict[int, bytes])
    """Contents of the files that were there in the beginning."""
    before: dict[int, dict[str, int]] = field(default_factory=dict[int, dict[str, int]])
    events: list[Event] = field(default_factory=list[Event])

    def __post_init__(self) -> None:
        self._read(self.root, 0)
        self.before = {node: dict(entries) for node, entries in self.folders.items()}

    def _read(self, path: Path, node: int) -> None:
        self.folders[node] = {}
        for child in sorted(path.iterdir()):
            new = self._new()
            self.folders[node][child.name] = new
            if child.is_dir():
                self._read(child, new)
            else:
                self.first[new] = child.read_bytes()
                self.sizes[new] = len(self.first[new])

    def _new(self) -> int:
        return 1 + max([0, *self.folders, *self.sizes])

    def place(self, path: str) -> tuple[int, str] | None:
        """Folder and name of an absolute path; None where it is not below the root."""
        if path == str(self.root) or not path.startswith(f"{self.root}/"):
            return None
        *parents, name = path[len(str(self.root)) + 1 :].split("/")
        node = 0
        for parent in parents:
            found = self.folders[node].get(parent)
            if found not in self.folders:
                return None
            node = found
        return node, name

    def node(self, path: str) -> int | None:
        if path == str(self.root):
            return 0
        at = self.place(path)
        return None if at is None else self.folders[at[0]].get(at[1])

    # What can happen

    def make(self, path: str, folder: bool = False) -> None:
        if (at := self.place(path)) is not None:
            new = self._new()
            if folder:
                self.folders[new] = {}
            else:
                self.sizes[new] = 0
            self._name((*at, new))

    def remove(self, path: str) -> None:
        if (at := self.place(path)) is not None:
            self._name((*at, None))

    def move(self, old: str, new: str, swap: bool = False) -> None:
        left, right = self.place(old), self.place(new)
        if left is not None and right is not None:
            self._name((*left, self.node(new) if swap else None), (*right, self.node(old)))

    def write(self, path: str, at: int | None, data: bytes | None) -> None:
        """`at` of None stands for the end."""
        if (node := self.node(path)) is not None:
            at = self.sizes[node] if at is None else at
            self.sizes[node] = at if data is None else max(self.sizes[node], at + len(data))
            self.events.append(Write(node, at, data))

    def flush(self, path: str) -> None:
        if (node := self.node(path)) is not None:
            self.events.append(Flushed(node))

    def _name(self, *entries: tuple[int, str, int | None]) -> None:
        for folder, name, node in entries:
            if node is None:
                self.folders[folder].pop(name, None)
            else:
                self.folders[folder][name] = node
        self.events.append(Named(entries))

    # What may be left

    def after(self, instant: int, kept: Callable[[int, int], int], target: Path) -> None:
        """Builds at `target` what the disk may hold when the power goes after the first `instant` events.

        Args:
            kept: Given how many changes of a file or folder were flushed and how many were made, how many are there.
        """
        events = self.events[:instant]
        changes: dict[int, list[int]] = {}
        flushed: dict[int, int] = {}
        for number, event in enumerate(events):
            if isinstance(event, Write):
                changes.setdefault(event.node, []).append(number)
            elif isinstance(event, Named):
                for folder in {folder for folder, _, _ in event.entries}:
                    changes.setdefault(folder, []).append(number)
            elif isinstance(event, Flushed):
                flushed[event.node] = len(changes.get(event.node, ()))
        there = {n: set(made[: kept(flushed.get(n, 0), len(made))]) for n, made in changes.items()}
        folders = {node: dict(entries) for node, entries in self.before.items()}
        files = {node: bytearray(data) for node, data in self.first.items()}
        for number, event in enumerate(events):
            if isinstance(event, Named) and any(number in there[folder] for folder, _, _ in event.entries):
                for folder, name, node in event.entries:
                    entries = folders.setdefault(folder, {})
                    entries.pop(name, None)
                    if node is not None:
                        entries[name] = node
            elif isinstance(event, Write) and number in there[event.node]:
                torn = number == max(there[event.node]) and len(there[event.node]) > flushed.get(event.node, 0)
                _change(files.setdefault(event.node, bytearray()), event, torn)
        self._build(target, 0, folders, files)

    def _build(self, path: Path, node: int, folders: dict[int, dict[str, int]], files: dict[int, bytearray]) -> None:
        path.mkdir()
        for name, child in folders.get(node, {}).items():
            if child in self.folders:
                self._build(path / name, child, folders, files)
            else:
                (path / name).write_bytes(files.get(child, b""))


def _change(file: bytearray, event: Write, torn: bool) -> None:
    """Does to `file` what the event says; torn, only the first sectors of it are there."""
    if event.data is None:
        del file[event.at :]
        file.extend(bytes(event.at - len(file)))
        return
    data = event.data[: len(event.data) // 2 // SECTOR * SECTOR] if torn else event.data
    file.extend(bytes(max(0, event.at - len(file))))
    file[event.at : event.at + len(data)] = data


# The record

_CALL = re.compile(r"(\w+)\((.*)\)\s+= (-?\d+)")
_PATH = r"(?:\d+|AT_FDCWD)<([^>]*)>"
_TEXT = r'"((?:\\x[0-9a-f]{2})*)"'
_AT = re.compile(rf"(?:{_PATH}, )?{_TEXT}")
_ON = re.compile(r"(\d+)<([^>]*)>")
CALLS = ("openat", "write", "pwrite64", "writev", "ftruncate", "fsync", "fdatasync", "rename", "renameat", "renameat2",
         "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "lseek")  # fmt: skip


def _clear(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", "")) if text.startswith("\\x") else text.encode()


def replay(lines: Iterable[str], disk: Disk) -> None:
    """Everything that the calls of a record did to `disk`."""
    places: dict[str, int | None] = {}
    for line in lines:
        if (match := _CALL.match(line)) is None or match[3].startswith("-"):
            continue
        call, given, result = match.groups()
        on = _ON.match(given)
        path = _clear(on[2]).decode() if on else ""
        match call:
            case "openat":
                (name,) = list(_paths(given))
                if "O_CREAT" in given and disk.node(name) is None:
                    disk.make(name)
                if "O_TRUNC" in given:
                    disk.write(name, 0, None)
                places[result] = None if "O_APPEND" in given else 0
            case "lseek" if on:
                places[on[1]] = int(result)
            case "write" if on:
                data, at = _data(given)[: int(result)], places.get(on[1])
                disk.write(path, at, data)
                places[on[1]] = None if at is None else at + len(data)
            case "pwrite64" if on:
                disk.write(path, int(given.rsplit(", ", 1)[1]), _data(given)[: int(result)])
            case "writev":
                if (step := _data(given).decode("utf-8", "replace").strip()) in durability.STEPS:
                    disk.events.append(Told(step))
            case "ftruncate":
                disk.write(path, int(given.rsplit(", ", 1)[1]), None)
            case "fsync" | "fdatasync":
                disk.flush(path)
            case "mkdir" | "mkdirat":
                disk.make(next(_paths(given)), folder=True)
            case "unlink" | "unlinkat" | "rmdir":
                disk.remove(next(_paths(given)))
            case "rename" | "renameat" | "renameat2":
                old, new = _paths(given)
                disk.move(old, new, swap="RENAME_EXCHANGE" in given)
            case _:
                pass


def _paths(given: str) -> Iterator[str]:
    for match in _AT.finditer(given):
        yield os.path.join(_clear(match[1] or "").decode(), _clear(match[2]).decode())


def _data(given: str) -> bytes:
    found = re.search(_TEXT, given)
    return _clear(found[1]) if found else b""


def record(start: Path, base: Path, flush: Callable[[Iterable[Path]], None]) -> Disk:
    """What `learn` does to a copy of `start`, with `flush` in place of the one that waits for the disk."""
    path, log = base / "recorded", base / "calls"
    shutil.copytree(start, path)
    disk = Disk(path)
    child = os.fork()
    if child == 0:
        durability.store.flush = durability.disk.flush = flush
        telling = os.open(os.devnull, os.O_WRONLY)
        os.kill(os.getpid(), signal.SIGSTOP)
        durability.learn(path, lambda step: os.writev(telling, [f"{step}\n".encode()]))
        os._exit(0)
    os.waitpid(child, os.WUNTRACED)
    traced = ["strace", "-qq", "-xx", "-y", "-s", "100000000", "-o", str(log), "-e", f"trace={','.join(CALLS)}"]
    tracer = subprocess.Popen([*traced, "-p", str(child)])
    while "TracerPid:\t0" in Path(f"/proc/{child}/status").read_text():
        time.sleep(0.002)
    os.kill(child, signal.SIGCONT)
    if os.waitpid(child, 0)[1]:
        raise SystemExit("the work to be recorded did not come to its end")
    tracer.wait()
    with log.open() as lines:
        replay(lines, disk)
    return disk


def lost(disk: Disk, instants: Iterable[int], base: Path, rng: random.Random) -> tuple[int, Counter[str]]:
    """States of the disk that were looked at, and what was wrong in them: nothing flushed late is there, or a part."""
    wrong, states = Counter[str](), 0
    for instant in instants:
        told = {event.step for event in disk.events[:instant] if isinstance(event, Told)}
        for kept in (lambda sure, made: sure, rng.randint):
            path = base / "left"
            disk.after(instant, kept, path)
            durability.after(path, told & PROMISED, wrong, [])
            shutil.rmtree(path)
            states += 1
    return states, wrong


def c4(base: Path, rng: random.Random) -> durability.Row:
    disk = record(durability.seed(base / "seed"), base, durability.flush_in_turn)
    states, wrong = lost(disk, range(len(disk.events) + 1), base, rng)
    measured = f"{len(disk.events)} instants, {states} states, {durability.violations(wrong)}"
    return durability.Row("C4", ">= 300 instants, 0 violations", measured, len(disk.events) >= 300 and not wrong)
