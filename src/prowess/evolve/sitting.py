"""How long a run took and how often it was stopped, over all its sittings, whichever way they ended."""

import time
from datetime import UTC, datetime

from prowess.trajectories.runstore import RunStore

LAP = 5.0
"""Seconds between two notes of the time: what a killed sitting loses of it at most."""


class Sitting:
    """One sitting of a run. Opening a run that is finished already is none."""

    def __init__(self, store: RunStore, run_id: str) -> None:
        self._store = store
        self._run = run_id
        self._begun = datetime.now(UTC).isoformat()
        self._last = time.monotonic()
        self._counts = store.get("finished", run_id) is None
        if self._counts:
            store.put(f"sitting {run_id}", self._begun, b"")

    def lap(self, least: float = LAP) -> None:
        """Note the time since the last lap, unless that is less than `least` seconds ago."""
        now = time.monotonic()
        if self._counts and now - self._last >= least:
            self._store.put(f"seconds {self._run}", f"{self._begun}/{now:.6f}", str(now - self._last).encode())
            self._last = now

    def finish(self) -> None:
        """The run has reached its end."""
        self.lap(0)
        self._store.put("finished", self._run, b"")

    @property
    def started(self) -> str:
        """When the first sitting began, ISO 8601."""
        return min(self._store.keys(f"sitting {self._run}"), default=self._begun)[:19] + "+00:00"

    @property
    def seconds(self) -> float:
        """Wall time of all sittings so far."""
        kind = f"seconds {self._run}"
        return sum(float(self._store.get(kind, key) or b"0") for key in self._store.keys(kind))

    @property
    def stops(self) -> int:
        """How often the run was stopped and taken up again."""
        return max(0, len(list(self._store.keys(f"sitting {self._run}"))) - 1)
