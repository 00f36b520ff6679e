"""What a run has paid for, by content key, so that the same command after any stop goes on where it was.

One SQLite file holds a value per (kind, key): trajectories, analyses, finished comparisons. A key is the digest of
everything that the value depends on, so a value is never stale and is written once. Values are compressed JSON.
"""

import sqlite3
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from prowess.core.cost import Cost, total
from prowess.core.errors import UserError


class Spent(NamedTuple):
    """Cost of all values of one kind."""

    kind: str
    values: int
    cost: Cost


class RunStore:
    """A durable map from (kind, key) to bytes. Safe for many threads and processes; survives `kill -9`."""

    def __init__(self, path: Path) -> None:
        """Open or create the store at `path`.

        Raises:
            UserError: the file is not a store, or the disk does not let us write.
        """
        self.path = path
        self._lock = threading.Lock()  # one connection, used from the loop's thread and from worker threads
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")  # survives kill -9; a power cut may cost the last moments
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS done (kind TEXT, key TEXT, value BLOB NOT NULL, cost TEXT NOT NULL,"
                " at TEXT DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (kind, key)) WITHOUT ROWID"
            )
        except (sqlite3.Error, OSError) as error:
            raise UserError(
                f"cannot open the run store {path}: {error}", "check the path and the free space"
            ) from error

    def get(self, kind: str, key: str) -> bytes | None:
        """The value, or None if it was never finished."""
        with self._lock:
            row = self._db.execute("SELECT value FROM done WHERE kind=? AND key=?", (kind, key)).fetchone()
        if row is None:
            return None
        try:
            return zlib.decompress(row[0])
        except zlib.error:
            return None  # damaged on disk: it is made again rather than trusted

    def put(self, kind: str, key: str, value: bytes, cost: Cost = Cost()) -> None:  # noqa: B008
        """Store a finished value. The first writer wins, so that nothing counts twice.

        Raises:
            UserError: the disk is full or not writable; what was stored before is kept.
        """
        try:
            with self._lock:
                self._db.execute(
                    "INSERT INTO done (kind, key, value, cost) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    (kind, key, zlib.compress(value, 3), cost.model_dump_json()),
                )
        except sqlite3.Error as error:
            raise UserError(
                f"cannot write to the run store {self.path}: {error}",
                "free some space, then run the same command: it resumes",
            ) from error

    def keys(self, kind: str) -> Iterator[str]:
        """Keys of one kind, sorted."""
        with self._lock:
            rows = self._db.execute("SELECT key FROM done WHERE kind=? ORDER BY key", (kind,)).fetchall()
        return (row[0] for row in rows)

    def spent(self) -> list[Spent]:
        """What each kind of stage has cost."""
        with self._lock:
            rows = self._db.execute("SELECT kind, cost FROM done ORDER BY kind").fetchall()
        kinds: dict[str, list[Cost]] = {}
        for kind, cost in rows:
            kinds.setdefault(kind, []).append(Cost.model_validate_json(cost))
        return [Spent(kind, len(costs), total(costs)) for kind, costs in kinds.items()]

    def close(self) -> None:
        self._db.close()
