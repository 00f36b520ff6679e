"""Offered, loaded, used, helped."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prowess.core.task import Score
from prowess.core.trajectory import Trajectory
from prowess.measure.funnel import funnel, of_trials
from prowess.measure.stats.paired import mcnemar_exact
from prowess.measure.stats.proportions import wilson
from prowess.trajectories.runstore import RunStore
from prowess.trajectories.store import PAGE, TrajectoryStore, Use


def use(
    offered: str = "",
    loaded: str = "",
    used: str = "",
    passed: bool | None = None,
    task: str | None = None,
    seed: int = 0,
) -> Use:
    return Use(
        task,
        "tools/1",
        "m",
        seed,
        "completed",
        passed,
        tuple(offered.split()),
        tuple(loaded.split()),
        tuple(used.split()),
    )


def test_each_step_has_the_one_before_as_its_denominator() -> None:
    sessions = [use("a b", "a", "a"), use("a b", "a"), use("a"), use(), use("b")._replace(status="missing")]
    found = funnel(sessions)
    assert (found.sessions, found.missing) == (5, 1)
    a, b = found.skills
    assert (a.skill, a.offered.k, a.offered.of, a.loaded.k, a.loaded.of, a.used.k, a.used.of) == ("a", 3, 4, 2, 3, 1, 2)
    assert (a.loaded.low, a.loaded.high) == wilson(2, 3)
    assert (b.loaded.k, b.used.of, b.used.share) == (0, 0, None)
    assert a.helped is None


def test_helped_comes_from_pairs_of_trials() -> None:
    sessions: list[Use] = []
    for i in range(12):
        sessions.append(use(passed=i < 3, task=f"t{i}"))
        sessions.append(use("a b", "a", "a", passed=i >= 1, task=f"t{i}"))
    sessions.append(use("a", "a", "a", passed=True, task="t0", seed=9))  # no partner
    sessions.append(use("a", "a", "a", passed=True))  # a session, no task
    (a, b) = funnel(sessions).skills
    assert a.helped is not None and b.helped is None, "b was offered and never used"
    assert (a.helped.wins, a.helped.ties, a.helped.losses, a.helped.pairs) == (9, 2, 1, 12)
    assert a.helped.p == mcnemar_exact(9, 1) and a.helped.effect == pytest.approx(8 / 12)


names = st.lists(st.sampled_from("abc"), max_size=3).map(" ".join)


@settings(deadline=None)
@given(st.lists(st.tuples(names, names, names, st.none() | st.booleans(), st.sampled_from(["t", None])), max_size=20))
def test_steps_never_grow(rows: list[tuple[str, str, str, bool | None, str | None]]) -> None:
    found = funnel([use(*row) for row in rows])
    for s in found.skills:
        assert s.offered.of == len(rows) and s.offered.k == s.loaded.of and s.loaded.k == s.used.of
        assert s.used.k <= s.loaded.k <= s.offered.k <= len(rows)
        assert s.loaded.k == sum(s.skill in f"{row[1]} {row[2]}".split() for row in rows)


def trajectory(i: int, **more: object) -> Trajectory:
    return Trajectory.model_validate(
        {"id": f"{i}", "agent": "tools/1", "model": "m", "task_id": f"t{i}", "offered": ["a"], "loaded": ["a"], **more}
    )


def test_stores_of_both_kinds_tell_the_same(tmp_path: Path) -> None:
    score = Score(value=1, passed=True, verifier="suite:x", trusted=True)
    runs = [
        trajectory(0, used=["a"], score=score),
        trajectory(1, score=score.model_copy(update={"trusted": False})),
        trajectory(2, status="missing", error="down", score=score),
        trajectory(3, offered=[], loaded=[]),
    ]
    store, trials = TrajectoryStore(tmp_path / "t.db"), RunStore(tmp_path / "r.db")
    store.put_all(runs)
    for run in runs:
        trials.put("trajectory", run.id, run.model_dump_json().encode())
    assert sorted(store.skill_use()) == sorted(of_trials(trials))
    assert [u.passed for u in store.skill_use()] == [True, None, None, None]
    assert [u.used for u in store.skill_use()] == [("a",), (), (), ()]


def test_all_pages_of_a_store_are_read_while_others_write(tmp_path: Path) -> None:
    store = TrajectoryStore(tmp_path / "t.db")
    store.put_all(trajectory(i) for i in range(PAGE + 10))
    seen = 0
    for _ in store.skill_use():
        if seen == 5:
            store.put(trajectory(10**6))
        seen += 1
    assert seen == PAGE + 11
