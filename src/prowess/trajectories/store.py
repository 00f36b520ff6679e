"""Where imported sessions are kept: one SQLite file, safe with many processes and with kill -9.

Importers have taken secrets out of what comes here; runs of our own lie in `prowess.trajectories.runstore`.

A light row per trajectory answers questions without touching the steps; the steps lie in a second table, compressed
and with a digest, so that damage is noticed and stays where it is. The file is opened at the first use.
"""

import hashlib
import json
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, cast

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, from_json

from prowess.core.errors import UserError
from prowess.core.trajectory import Trajectory
from prowess.trajectories.plain import MAX_DEPTH, plain

SCHEMA = 1
WAIT = 30.0
"""Seconds to wait for another process that writes."""
LEVEL = 2
"""Of zlib: on real sessions four times smaller at 150 MB/s; decision 0050."""
BATCH = 256
"""Trajectories per transaction in `put_all`."""
PAGE = 4096
"""Rows that are held at once while all are read."""

_TABLES = """
CREATE TABLE IF NOT EXISTS trajectory (
    id TEXT PRIMARY KEY, task_id TEXT, agent TEXT NOT NULL, model TEXT NOT NULL, seed INTEGER NOT NULL, snapshot TEXT,
    status TEXT NOT NULL, passed INTEGER, value REAL,
    steps INTEGER NOT NULL, tokens INTEGER NOT NULL, usd REAL NOT NULL,
    offered TEXT NOT NULL, loaded TEXT NOT NULL, used TEXT NOT NULL, digest TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS trajectory_task ON trajectory (task_id);
CREATE INDEX IF NOT EXISTS trajectory_snapshot ON trajectory (snapshot);
CREATE TABLE IF NOT EXISTS payload (id TEXT PRIMARY KEY, data BLOB NOT NULL);
"""
_COLUMNS = (
    "id, task_id, agent, model, seed, snapshot, status, passed, value, "
    "steps, tokens, usd, offered, loaded, used, digest"
)
_USE = (
    "SELECT rowid, task_id, agent, model, seed, status, passed, offered, loaded, used FROM trajectory"
    " WHERE rowid > ? ORDER BY rowid LIMIT ?"
)
_INSERT = f"INSERT OR REPLACE INTO trajectory ({_COLUMNS}) VALUES ({', '.join('?' * 16)})"


class CorruptTrajectory(UserError):
    """A stored trajectory does not match its digest. The others are not touched by this."""

    def __init__(self, id: str, path: Path) -> None:
        super().__init__(
            f"trajectory {id!r} in {path} is damaged: its content does not match its digest",
            "run or import it again; `put` replaces the damaged copy",
        )
        self.id = id


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of a stored trajectory without opening it."""

    id: str
    task_id: str | None
    agent: str
    model: str
    seed: int
    snapshot: str | None
    status: str
    passed: bool | None
    """As `Trajectory.passed`: None when missing or not judged by a trusted verifier."""
    value: float | None
    """The score, trusted or not."""
    steps: int
    tokens: int
    usd: float
    offered: tuple[str, ...]
    loaded: tuple[str, ...]
    used: tuple[str, ...]
    digest: str
    """SHA-256 of the stored JSON."""


class Use(NamedTuple):
    """What `skill_use` tells of one trajectory; as in `Row`."""

    task_id: str | None
    agent: str
    model: str
    seed: int
    status: str
    passed: bool | None
    offered: tuple[str, ...]
    loaded: tuple[str, ...]
    used: tuple[str, ...]


class TrajectoryStore:
    """Trajectories by id, in the SQLite file at `path` (made, with its folder, at the first use)."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._connection: sqlite3.Connection | None = None
        self._owner = 0
        self._lock = threading.RLock()
        """Held around every use of the connection, so that threads never share a transaction."""

    def put(self, trajectory: Trajectory) -> bool:
        """Keep a trajectory; when this returns it survives kill -9 and loss of power.

        Storing the same one again changes nothing. Another one with the same id replaces it (a run that was
        scored later, or repeated), except that a missing run never replaces a completed one.

        Returns:
            Whether the store changed.
        """
        return self.put_all([trajectory]) == 1

    def put_all(self, trajectories: Iterable[Trajectory]) -> int:
        """`put` each, in transactions of `BATCH`; much faster than one by one. Returns how many changed the store."""
        changed = 0
        batch: list[tuple[tuple[Any, ...], bytes]] = []
        for trajectory in trajectories:
            batch.append(_encode(trajectory))
            if len(batch) == BATCH:
                changed += self._write(batch)
                batch = []
        return changed + self._write(batch)

    def get(self, id: str) -> Trajectory:
        """The whole trajectory.

        Raises:
            UserError: there is none of this id.
            CorruptTrajectory: its bytes do not match their digest.
        """
        with self._open() as db:
            found = db.execute(
                "SELECT t.digest, p.data FROM trajectory t LEFT JOIN payload p ON p.id = t.id WHERE t.id = ?", (id,)
            ).fetchone()
        if found is None:
            raise UserError(f"no trajectory {id!r} in {self.path}", "list what is there with find()")
        text = _text(*found)
        if text is None:
            raise CorruptTrajectory(id, self.path)
        return Trajectory.model_validate_json(text)

    def find(
        self,
        *,
        task_id: str | None = None,
        snapshot: str | None = None,
        agent: str | None = None,
        limit: int | None = None,
    ) -> list[Row]:
        """Light rows of the trajectories that match every given value, in the order they were stored."""
        wanted = {"task_id": task_id, "snapshot": snapshot, "agent": agent}
        given = {name: value for name, value in wanted.items() if value is not None}
        where = " AND ".join(f"{name} = ?" for name in given)
        sql = f"SELECT {_COLUMNS} FROM trajectory {'WHERE ' + where if where else ''} ORDER BY rowid LIMIT ?"
        with self._open() as db:
            rows = db.execute(sql, [*given.values(), -1 if limit is None else limit]).fetchall()
        return [_row(values) for values in rows]

    def skill_use(self) -> Iterator[Use]:
        """Who was offered, loaded and used which skills, over all trajectories: a fast pass over a few columns."""
        names = lru_cache(maxsize=4096)(_names)  # most sessions share the catalogue of another
        last = -1
        while True:
            with self._open() as db:
                rows: list[Any] = db.execute(_USE, (last, PAGE)).fetchall()
            for row in rows:
                *known, passed, offered, loaded, used = row[1:]
                use = (None if passed is None else bool(passed), names(offered), names(loaded), names(used))
                yield Use._make((*known, *use))
            if len(rows) < PAGE:
                return
            last = rows[-1][0]

    def check(self) -> list[str]:
        """Read everything; the ids of damaged trajectories. Seconds per gigabyte, so not done on opening.

        A trajectory is damaged too when its light row says something else than its content.

        Raises:
            UserError: the file as a whole is damaged.
        """
        damaged: list[str] = []
        with self._open() as db:
            if broken := [line for (line,) in db.execute("PRAGMA integrity_check(1)") if line != "ok"]:
                raise sqlite3.DatabaseError(f"malformed: {broken[0]}")
            rows = f"SELECT {', '.join('t.' + c for c in _COLUMNS.split(', '))}, p.data FROM trajectory t"
            for *row, data in db.execute(f"{rows} LEFT JOIN payload p ON p.id = t.id ORDER BY t.rowid"):
                text = _text(row[-1], data)
                if text is None or not _agrees(row, text):
                    damaged.append(str(row[0]))
            damaged += [i for (i,) in db.execute("SELECT id FROM payload WHERE id NOT IN (SELECT id FROM trajectory)")]
        return damaged

    def forget(self, ids: Iterable[str]) -> None:
        """Deletes trajectories, damaged ones too; when this returns they are gone for good."""
        gone = tuple(ids)
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                for table in ("trajectory", "payload"):
                    db.executemany(f"DELETE FROM {table} WHERE id = ?", [(id,) for id in gone])
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:  # else an interrupt came behind the commit
                    db.execute("ROLLBACK")
                raise

    def __contains__(self, id: str) -> bool:
        with self._open() as db:
            return db.execute("SELECT 1 FROM trajectory WHERE id = ?", (id,)).fetchone() is not None

    def __len__(self) -> int:
        with self._open() as db:
            return db.execute("SELECT count(*) FROM trajectory").fetchone()[0]

    def close(self) -> None:
        """Let go of the file. The next use opens it again."""
        with self._lock:
            if self._connection is not None and self._owner == os.getpid():
                self._connection.close()
            self._connection = None

    def __enter__(self) -> "TrajectoryStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, batch: list[tuple[tuple[Any, ...], bytes]]) -> int:
        changed = 0
        if not batch:
            return changed
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                for row, data in batch:
                    changed += _write_one(db, row, data)
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:  # else an interrupt came behind the commit
                    db.execute("ROLLBACK")
                raise
        return changed

    @contextmanager
    def _open(self) -> Generator[sqlite3.Connection]:
        with self._lock:
            try:
                if self._connection is None or self._owner != os.getpid():
                    # SQLite connections must not cross a fork.
                    self._connection, self._owner = self._connect(), os.getpid()
                yield self._connection
            except sqlite3.Error as error:
                raise _explain(error, self.path) from error

    def _connect(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self.path, timeout=WAIT, isolation_level=None, check_same_thread=False)
        try:
            _use_wal(db)
            # FULL: a run that was paid for is not lost with the power. It costs one fsync per transaction.
            db.execute("PRAGMA synchronous = FULL")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA:
                raise UserError(f"{self.path} was written by a newer prowess", "upgrade prowess to read it")
            if version < SCHEMA:
                db.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {SCHEMA}; COMMIT;")
        except BaseException:
            db.close()
            raise
        return db


def _use_wal(db: sqlite3.Connection) -> None:
    # Several processes that make the file at the same instant may get "locked" at once, without the usual wait.
    deadline = time.monotonic() + WAIT
    while True:
        try:
            if db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _write_one(db: sqlite3.Connection, row: tuple[Any, ...], data: bytes) -> bool:
    id, status, digest = row[0], row[6], row[15]
    old = db.execute(
        "SELECT t.digest, t.status, p.data FROM trajectory t LEFT JOIN payload p ON p.id = t.id WHERE t.id = ?", (id,)
    ).fetchone()
    if old is not None:
        unwanted = old[0] == digest or (status == "missing" and old[1] == "completed")
        if unwanted and _text(old[0], old[2]) is not None:
            return False
    db.execute(_INSERT, row)
    db.execute("INSERT OR REPLACE INTO payload (id, data) VALUES (?, ?)", (id, data))
    return True


def _encode(trajectory: Trajectory) -> tuple[tuple[Any, ...], bytes]:
    try:
        text = trajectory.model_dump_json().encode()
        if text.count(b"{") + text.count(b"[") > MAX_DEPTH:
            from_json(text)  # may be nested deeper than it could be read back
    except (PydanticSerializationError, ValueError):
        # Lone surrogates or nesting that no reader would accept: change just that.
        trajectory = Trajectory.model_validate(plain(trajectory.model_dump()))
        text = trajectory.model_dump_json().encode()
    data = zlib.compress(text, LEVEL)
    t = trajectory
    row = (
        t.id,
        t.task_id,
        t.agent,
        t.model,
        t.seed,
        t.snapshot,
        t.status,
        t.passed,
        t.score.value if t.score else None,
        len(t.steps),
        t.cost.tokens,
        t.cost.usd,
        json.dumps(t.offered),
        json.dumps(t.loaded),
        json.dumps(t.used),
        hashlib.sha256(text).hexdigest(),
    )
    return row, data


def _agrees(row: list[Any], text: bytes) -> bool:
    """Whether the light row is the one of this content."""
    try:
        return list(_encode(Trajectory.model_validate_json(text))[0])[:-1] == row[:-1]
    except ValidationError:
        return False


def _text(digest: str, data: object) -> bytes | None:
    """The JSON behind a payload, or None when it is damaged or gone."""
    if not isinstance(data, bytes):
        return None
    try:
        text = zlib.decompress(data)
    except zlib.error:
        return None
    return text if hashlib.sha256(text).hexdigest() == digest else None


def _row(values: tuple[Any, ...]) -> Row:
    row = Row(*values)
    return replace(
        row,
        passed=None if row.passed is None else bool(row.passed),
        offered=_names(row.offered),
        loaded=_names(row.loaded),
        used=_names(row.used),
    )


def _names(text: object) -> tuple[str, ...]:
    return tuple(cast(list[str], json.loads(str(text))))


def _explain(error: sqlite3.Error, path: Path) -> UserError:
    text = str(error)
    if "not a database" in text or "malformed" in text:
        return UserError(f"{path} is not a usable trajectory store: {text}", "move it away; a new one will be made")
    if "locked" in text:
        return UserError(f"{path} is in use: no turn to write within {WAIT:.0f} s", "end the other process, then retry")
    if "full" in text:
        return UserError(f"no room to write {path}: {text}", "free some disk space, then run the same command again")
    return UserError(f"cannot use {path}: {text}", "check that the folder exists and is writable")
