"""Damaged stores of sessions and trials: rows that lie are noticed, files that broke give up what can be read."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from prowess.core.cost import Cost
from prowess.core.evidence import Trial
from prowess.core.trajectory import Step, Trajectory
from prowess.trajectories.runstore import RunStore
from prowess.trajectories.salvage import examine_sessions, examine_trials, mend_sessions, mend_trials
from prowess.trajectories.store import TrajectoryStore

N = 60


def session(n: int) -> Trajectory:
    return Trajectory(id=f"t{n:03d}", agent="code/1", model="m", steps=(Step(source="user", message="x" * 900),))


@pytest.fixture
def sessions(tmp_path: Path) -> Path:
    path = tmp_path / "trajectories.db"
    with TrajectoryStore(path) as store:
        store.put_all(session(n) for n in range(N))
    return path


@pytest.fixture
def trials(tmp_path: Path) -> Path:
    path = tmp_path / "trials.db"
    with closing(RunStore(path)) as store:
        for n in range(N):
            store.put("trajectory", f"k{n:03d}", b'{"n": %d}' % n * 40, Cost(calls=1))
            trial = Trial(task_id=f"t{n}", arm="a", seed=0, passed=True, trajectory=f"k{n:03d}", conditions="c")
            store.index(trial, task="task", view="view")
    return path


def change(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(sql)
        db.commit()


def test_sound_and_absent_files_have_no_faults(sessions: Path, trials: Path, tmp_path: Path) -> None:
    assert examine_sessions(sessions) == examine_trials(trials) == []
    assert examine_sessions(tmp_path / "no.db") == examine_trials(tmp_path / "no.db") == []


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE trajectory SET passed = 1 WHERE id = 't005'",
        "UPDATE trajectory SET model = 'other' WHERE id = 't005'",
        "UPDATE payload SET data = substr(data, 1, 20) WHERE id = 't005'",
        "DELETE FROM payload WHERE id = 't005'",
        "DELETE FROM trajectory WHERE id = 't005'",
    ],
)
def test_a_session_that_is_not_what_was_stored_is_forgotten(sessions: Path, sql: str) -> None:
    change(sessions, sql)
    (fault,) = examine_sessions(sessions)
    assert "t005" in fault.what
    assert mend_sessions(sessions) == []
    with TrajectoryStore(sessions) as store:
        assert len(store) == N - 1 and "t005" not in store
        assert store.put(session(5))


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE done SET cost = '{}' WHERE key = 'k005'",
        "UPDATE done SET kind = 'other' WHERE key = 'k005'",
        "UPDATE done SET value = x'00' WHERE key = 'k005'",
        "UPDATE trial SET passed = 0 WHERE key = 'k005'",
        "UPDATE trial SET trial = replace(trial, 'true', 'false') WHERE key = 'k005'",
        "UPDATE trial SET view = 'another' WHERE key = 'k005'",
    ],
)
def test_a_trial_that_is_not_what_was_stored_counts_as_absent(trials: Path, sql: str) -> None:
    change(trials, sql)
    (fault,) = examine_trials(trials)
    assert "k005" in fault.what
    with closing(RunStore(trials)) as store:
        if "done" in sql:
            assert store.get("trajectory", "k005") is None
        elif "passed" not in sql:
            assert "k005" not in store.trials({"k005": "a"})
    assert mend_trials(trials) == []
    with closing(RunStore(trials)) as store:
        assert len([*store.keys("trajectory")]) + len(store.trials({f"k{n:03d}": "a" for n in range(N)})) == 2 * N - 1


@pytest.mark.parametrize("which", ["sessions", "trials"])
def test_a_file_that_sqlite_cannot_read_gives_up_what_it_can(which: str, sessions: Path, trials: Path) -> None:
    path = sessions if which == "sessions" else trials
    examine, mend = (examine_sessions, mend_sessions) if which == "sessions" else (examine_trials, mend_trials)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 4096] = b"\xff" * 4096
    path.write_bytes(data)
    (fault,) = examine(path)
    assert "aside" in fault.mend
    assert mend(path) == []
    assert len(list(path.parent.glob(f"{path.name}.damaged-*"))) == 1
    if which == "sessions":
        with TrajectoryStore(path) as store:
            kept = len(store)
            assert store.put(session(999))
    else:
        with closing(RunStore(path)) as store:
            kept = len([*store.keys("trajectory")])
    assert N // 3 < kept < N


@pytest.mark.parametrize("junk", [b"no database at all" * 300, b""])
def test_a_file_of_junk_is_moved_aside(sessions: Path, trials: Path, junk: bytes) -> None:
    for path, mend in ((sessions, mend_sessions), (trials, mend_trials)):
        path.write_bytes(junk)
        assert mend(path) == []
    with TrajectoryStore(sessions) as store:
        assert len(store) == 0 and store.put(session(1))


def test_a_store_from_before_there_were_digests_is_read(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with closing(RunStore(path)) as store:
        store.put("k", "a", b"value", Cost(calls=2))
    for table in ("done", "trial"):
        change(path, f"ALTER TABLE {table} DROP COLUMN sum")
    with closing(RunStore(path)) as store:
        assert store.get("k", "a") == b"value"
        store.put("k", "b", b"new", Cost())
        assert store.get("k", "b") == b"new" and store.check() == []
