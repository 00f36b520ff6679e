"""The store keeps what it said it kept: against repetition, damage, other processes and kill -9."""

import multiprocessing
import os
import re
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prowess.core.errors import UserError
from prowess.core.model import ToolCall
from prowess.core.task import File, Score
from prowess.core.trajectory import Observation, Step, Trajectory
from prowess.trajectories.store import CorruptTrajectory, TrajectoryStore


def trajectory(id: str = "t1", **changes: object) -> Trajectory:
    fields: dict[str, object] = {
        "id": id,
        "task_id": "ledger/base/1",
        "agent": "code/1",
        "model": "m",
        "snapshot": "s1",
        "loaded": ("totals",),
        "steps": (
            Step(
                source="agent",
                message="héllo",
                tool_calls=(ToolCall(id="c", name="Bash", arguments={"command": "ls"}),),
                observations=(Observation(content="a\x00b", call_id="c", is_error=True),),
            ),
        ),
        "outputs": (File(path="a.bin", data=bytes(range(256))),),
    }
    return Trajectory.model_validate(fields | changes)


def test_what_was_put_comes_back(tmp_path: Path) -> None:
    with TrajectoryStore(tmp_path / "deep" / "er" / "t.db") as store:
        assert store.put(trajectory())
        assert store.get("t1") == trajectory()
        assert "t1" in store and "t2" not in store and len(store) == 1


def test_nothing_is_opened_before_the_first_use(tmp_path: Path) -> None:
    TrajectoryStore(tmp_path / "t.db").close()
    assert list(tmp_path.iterdir()) == []


def test_putting_twice_counts_once(tmp_path: Path) -> None:
    store = TrajectoryStore(tmp_path / "t.db")
    assert store.put_all([trajectory(), trajectory(), trajectory("t2")]) == 2
    assert not store.put(trajectory())
    assert [row.id for row in store.find()] == ["t1", "t2"]


def test_a_score_given_later_replaces_and_a_missing_run_does_not(tmp_path: Path) -> None:
    store = TrajectoryStore(tmp_path / "t.db")
    store.put(trajectory(status="missing", error="429"))
    scored = trajectory(score=Score(value=1, passed=True, verifier="suite:workbench", trusted=True))
    assert store.put(scored)
    assert not store.put(trajectory(status="missing"))
    assert store.get("t1") == scored
    assert store.find()[0].passed is True and store.find()[0].value == 1


def test_find_filters_and_limits(tmp_path: Path) -> None:
    store = TrajectoryStore(tmp_path / "t.db")
    store.put_all([trajectory(f"t{i}", task_id=f"k{i % 3}", agent=f"a{i % 2}", snapshot=None) for i in range(12)])
    assert [r.id for r in store.find(task_id="k1")] == ["t1", "t4", "t7", "t10"]
    assert [r.id for r in store.find(task_id="k1", agent="a0")] == ["t4", "t10"]
    assert [r.id for r in store.find(limit=2)] == ["t0", "t1"]
    assert store.find(snapshot="s1") == []
    row = store.find(limit=1)[0]
    assert (row.loaded, row.steps, row.passed, row.status) == (("totals",), 1, None, "completed")


def test_an_unknown_id_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'nope'"):
        TrajectoryStore(tmp_path / "t.db").get("nope")


def nested(depth: int) -> object:
    value: object = "core"
    for _ in range(depth):
        value = {"a": value}
    return value


def test_text_that_json_cannot_hold_is_kept_as_near_as_possible(tmp_path: Path) -> None:
    store = TrajectoryStore(tmp_path / "t.db")
    store.put(trajectory(error="a\ud800b", extra={"deep": nested(220), "big": 10**4500}))
    back = store.get("t1")
    assert back.error == "a�b"
    assert "core" in repr(back.extra["deep"]) and back.extra["big"] == hex(10**4500)


@given(text=st.text(st.characters(codec=None)), data=st.binary(max_size=50), seed=st.integers(0, 2**62))
@settings(max_examples=40, deadline=None)
def test_any_text_can_be_put_and_got(
    tmp_path_factory: pytest.TempPathFactory, text: str, data: bytes, seed: int
) -> None:
    with TrajectoryStore(tmp_path_factory.mktemp("any") / "t.db") as store:
        one = trajectory(error=text, seed=seed, outputs=(File(path="x", data=data),))
        store.put(one)
        back = store.get("t1")
        assert back == one.model_copy(update={"error": re.sub("[\ud800-\udfff]", "�", text)})


def damage(path: Path, sql: str) -> None:
    db = sqlite3.connect(path)
    db.execute(sql)
    db.commit()
    db.close()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE payload SET data = substr(data, 1, length(data) - 3) WHERE id = 't1'",
        "UPDATE payload SET data = x'' WHERE id = 't1'",
        "UPDATE payload SET data = (SELECT data FROM payload WHERE id = 't2') WHERE id = 't1'",
        "UPDATE payload SET data = 'text' WHERE id = 't1'",
        "DELETE FROM payload WHERE id = 't1'",
    ],
)
def test_damage_is_noticed_and_stays_where_it_is(tmp_path: Path, sql: str) -> None:
    store = TrajectoryStore(tmp_path / "t.db")
    store.put_all([trajectory("t1"), trajectory("t2")])
    store.close()
    damage(tmp_path / "t.db", sql)
    with pytest.raises(CorruptTrajectory, match="t1"):
        store.get("t1")
    assert store.check() == ["t1"]
    assert store.get("t2") == trajectory("t2")
    assert store.put(trajectory("t1")), "putting it again mends it"
    assert store.check() == [] and store.get("t1") == trajectory("t1")


def test_a_file_of_something_else_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    path.write_text("precious notes, not a database " * 100)
    with pytest.raises(UserError, match="not a usable trajectory store"):
        TrajectoryStore(path).put(trajectory())
    assert path.read_text().startswith("precious")


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    store = TrajectoryStore(tmp_path / "t.db")
    store.put(trajectory())
    store.close()
    damage(tmp_path / "t.db", "PRAGMA user_version = 99")
    with pytest.raises(UserError, match="newer"):
        store.get("t1")


def test_a_failure_in_mid_batch_leaves_nothing_half_done(tmp_path: Path) -> None:
    store = TrajectoryStore(tmp_path / "t.db")
    store.put(trajectory("t0"))
    damage(
        tmp_path / "t.db",
        "CREATE TRIGGER boom BEFORE INSERT ON payload WHEN new.id = 't2' BEGIN SELECT RAISE(ABORT, 'boom'); END",
    )
    with pytest.raises(UserError, match="boom"):
        store.put_all([trajectory("t1"), trajectory("t2")])
    assert [r.id for r in store.find()] == ["t0"]
    assert store.put(trajectory("t3"))


def write_some(path: Path, worker: int) -> None:
    store = TrajectoryStore(path)
    for i in range(20):
        store.put(trajectory(f"w{worker}-{i}"))
        store.put(trajectory(f"shared-{i}"))
    store.close()


def test_many_processes_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=write_some, args=(path, n)) for n in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 6
    store = TrajectoryStore(path)
    assert len(store) == 6 * 20 + 20
    assert store.check() == []


def test_an_open_store_survives_a_fork(tmp_path: Path) -> None:
    store = TrajectoryStore(tmp_path / "t.db")
    store.put(trajectory("before"))
    child = multiprocessing.get_context("fork").Process(target=store.put, args=(trajectory("child"),))
    child.start()
    child.join(30)
    assert child.exitcode == 0
    store.put(trajectory("after"))
    assert {r.id for r in store.find()} == {"before", "child", "after"}


WRITER = """
    import sys
    from prowess.core.trajectory import Step, Trajectory
    from prowess.trajectories.store import TrajectoryStore
    store = TrajectoryStore(sys.argv[1])
    for i in range(100_000):
        id = f"{sys.argv[2]}-{i}"
        store.put(Trajectory(id=id, agent="a", model="m", steps=(Step(source="agent", message=id * 200),)))
        print(id, flush=True)
"""


def test_nothing_acknowledged_is_lost_to_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    acknowledged: list[str] = []
    for round in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WRITER), str(path), str(round)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        acknowledged.append(writer.stdout.readline().strip())
        time.sleep(0.05 + 0.03 * round)
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged += [line.strip() for line in writer.stdout if line.endswith("\n")]
        writer.wait(10)
    store = TrajectoryStore(path)
    assert len(acknowledged) > 3
    for id in acknowledged:
        assert store.get(id).steps[0].message == id * 200
    assert store.check() == []
    assert store.put(trajectory("works again"))
