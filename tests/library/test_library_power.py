"""Signals, sleep, clocks that jump and losses of power: small forms of rows C3 and C4 of benchmarks/durability.py."""

import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import durability
import durability_power as power
import durability_time as times

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


@pytest.fixture
def memory() -> Iterator[Path]:
    shared = Path("/dev/shm")
    path = Path(tempfile.mkdtemp(dir=shared if shared.is_dir() else None))
    yield path
    shutil.rmtree(path)


# Power


@needs_strace
def test_no_loss_of_power_loses_what_was_acknowledged(memory: Path) -> None:
    rng = random.Random(0)
    disk = power.record(durability.seed(memory / "seed"), memory, durability.flush_in_turn)
    told = [event.step for event in disk.events if isinstance(event, power.Told)]
    assert told == list(durability.STEPS) and len(disk.events) >= 300
    states, wrong = power.lost(disk, sorted(rng.sample(range(len(disk.events) + 1), 12)), memory, rng)
    assert states == 24 and not wrong


@needs_strace
def test_work_that_does_not_flush_is_caught(memory: Path) -> None:
    disk = power.record(durability.seed(memory / "seed"), memory, lambda paths: None)
    _, wrong = power.lost(disk, [len(disk.events)], memory, random.Random(0))
    assert wrong


def left(disk: power.Disk, target: Path, all_of_it: bool = False) -> dict[str, bytes]:
    disk.after(len(disk.events), lambda sure, made: made if all_of_it else sure, target)
    found = {path.relative_to(target).as_posix(): path.read_bytes() for path in target.rglob("*") if path.is_file()}
    shutil.rmtree(target)
    return found


def test_what_a_disk_holds_when_the_power_goes(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "old").write_bytes(b"old")
    disk, target = power.Disk(root), tmp_path / "left"
    disk.make(f"{root}/new")
    disk.write(f"{root}/new", 0, b"n" * 2_000)
    assert left(disk, target) == {"old": b"old"}, "nothing was flushed"
    assert left(disk, target, all_of_it=True) == {"old": b"old", "new": b"n" * 512}, "the last write is torn"
    disk.flush(str(root))
    assert left(disk, target) == {"old": b"old", "new": b""}, "the name, and not what stands in it"
    disk.flush(f"{root}/new")
    disk.move(f"{root}/new", f"{root}/old")
    assert left(disk, target) == {"old": b"old", "new": b"n" * 2_000}
    disk.flush(str(root))
    assert left(disk, target) == {"old": b"n" * 2_000}
    disk.make(f"{root}/folder", folder=True)
    disk.make(f"{root}/folder/inner")
    disk.flush(f"{root}/folder")
    assert left(disk, target) == {"old": b"n" * 2_000}, "a folder that was not flushed above is not there"
    disk.write(f"{root}/old", 3, None)
    disk.write("/elsewhere/file", 0, b"x")
    disk.flush(f"{root}/old")
    disk.flush(str(root))
    assert left(disk, target) == {"old": b"nnn", "folder/inner": b""}


# Signals, sleep, clocks


@needs_strace
def test_a_signal_leaves_the_old_state_or_the_new(memory: Path) -> None:
    points, wrong = times.signals(memory, random.Random(0), 4)
    assert points > 4 and not wrong


def test_a_run_that_was_told_to_end_goes_on_where_it_was(memory: Path) -> None:
    assert not times.resumed(memory, random.Random(0), 3)


def test_writers_may_stand_still(memory: Path) -> None:
    stops, wrong = times.stopped(memory, random.Random(0), 3, 20)
    assert stops and not wrong


def test_no_lease_is_held_twice_though_clocks_jump(memory: Path) -> None:
    faults, wrong = times.leases(memory, random.Random(0), 4, 60)
    assert faults and not wrong


def test_leases_held_twice_are_seen() -> None:
    deed = times.Deed
    first = [deed("take", "j", 1, 0, 1), deed("take", "j", 2, 2, 3)]
    late = [*first, deed("renew", "j", 1, 4, 5), deed("end", "j", 1, 6, 7), deed("end", "j", 2, 8, 9)]
    wrong = times.doubled(late, {"j": "done", "k": "running", "l": "done"})
    assert wrong == {
        "renew under a lease that was lost": 1, "end under a lease that was lost": 1, "ended twice": 1,
        "never ended": 1, "ended, and nobody ended it": 1,
    }  # fmt: skip
    assert not times.doubled([*first, deed("end", "j", 2, 4, 5)], {"j": "done"})
