"""What was used for which request, from files and from stored trajectories."""

from pathlib import Path

import pytest

from prowess.core.errors import UserError
from prowess.core.task import Score
from prowess.core.trajectory import Step, Trajectory
from prowess.search.experience import Experience, read_experience, stored_experience
from prowess.trajectories.store import TrajectoryStore


def test_lines_become_experience_and_the_wrong_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"query": "a", "skill": "s"}\n\n{"query": "b", "skill": "s", "helped": false}\n')
    assert read_experience(path) == [Experience("a", "s", True), Experience("b", "s", False)]
    path.write_text('{"query": "a", "skill": "s"}\n{"query": 1, "skill": "s"}')
    with pytest.raises(UserError, match="line 2"):
        read_experience(path)
    with pytest.raises(UserError, match="cannot be read"):
        read_experience(tmp_path / "absent")


def test_stored_runs_teach_by_what_they_used(tmp_path: Path) -> None:
    def run(id: str, used: tuple[str, ...], passed: bool | None, *said: str) -> Trajectory:
        score = None if passed is None else Score(value=float(passed), passed=passed, verifier="suite:x", trusted=True)
        steps = (Step(source="system", message="rules"), *(Step(source="user", message=text) for text in said))
        return Trajectory(id=id, agent="a/1", model="m", used=used, steps=steps, score=score)

    with TrajectoryStore(tmp_path / "t.db") as store:
        store.put_all(
            [
                run("1", ("s", "t"), True, "first", "second"),
                run("2", ("s",), None, " ", "later"),
                run("3", (), True, "nothing was used"),
                run("4", ("s",), False),
            ]
        )
        found = list(stored_experience(store))
    assert found == [Experience("first", "s", True), Experience("first", "t", True), Experience("later", "s", None)]
