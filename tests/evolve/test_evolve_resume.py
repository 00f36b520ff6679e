"""A run that is killed anywhere goes on where it was: nothing is paid twice, nothing is applied twice."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from prowess.evolve.record import RunRecord
from prowess.library import Library

SCRIPT = Path(__file__).with_name("killed_run.py")
OF_THE_CLOCK = {"started", "seconds", "resumed"}


def sit(out: Path, point: str = "never", n: int = 0) -> bool:
    """One sitting; whether it was killed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, str(SCRIPT), str(out), point, str(n)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


def told(out: Path) -> dict[str, Any]:
    """The record, without what may differ between two sittings of the same run."""
    record = RunRecord.model_validate_json((out / "record.json").read_bytes()).model_dump()
    for decision in record["decisions"]:
        assert (decision.pop("change") is not None) == decision["accepted"]  # ids of changes hold the time
    return {key: value for key, value in record.items() if key not in OF_THE_CLOCK}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was left alone."""
    out = tmp_path_factory.mktemp("whole")
    assert not sit(out)
    return out


# Each is a run that is killed at every point of a list, one sitting after the other, and then left alone. A point that
# a sitting does not reach ends the run early, so the counts stay below what is left of it.
KILLS = {
    "calls in flight": [("call", n) for n in (1, 2, 3, 6, 5)],
    "stores and the library": [("put", 3), ("stored", 2), ("stored", 4), ("apply", 1), ("applied", 1), ("put", 4)],
}


@pytest.mark.parametrize("kills", KILLS.values(), ids=KILLS)
def test_a_killed_run_ends_as_one_left_alone(kills: list[tuple[str, int]], whole: Path, tmp_path: Path) -> None:
    for point, n in kills:
        assert sit(tmp_path, point, n), f"the run ended before {point} {n}"
        assert not (tmp_path / "record.json").exists()
    assert not sit(tmp_path)
    assert told(tmp_path) == told(whole)

    calls = Counter((tmp_path / "paid").read_text().split())
    assert set(calls) == set((whole / "paid").read_text().split())
    assert calls.total() - len(calls) <= len(kills), "more was paid twice than was in flight"
    if not any(point == "call" for point, _ in kills):
        assert max(calls.values()) == 1

    library = Library.open(tmp_path / "library")
    record = RunRecord.model_validate_json((tmp_path / "record.json").read_bytes())
    assert [change.id for change in library.log()] == [d.change for d in record.decisions if d.accepted]
    assert library.snapshot() == record.after and library.check() == []
    assert record.resumed == len(kills)
