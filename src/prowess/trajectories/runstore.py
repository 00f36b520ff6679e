"""What a run has paid for, by content key, so that the same command after any stop goes on where it was.

One SQLite file holds a value per (kind, key): trajectories, analyses, finished comparisons. A key is the digest of
everything that the value depends on, so a value is never stale and is written once. Values are compressed JSON.

Beside the values stands an index of trials, a short row for each finished trajectory, so that a verdict over a hundred
thousand trials opens none of them. The index is derived: whoever finds a trajectory without its row writes it.

Every row carries a digest of itself. One that does not match counts as absent, so that damage on the disk costs a run
again and never changes a result.
"""

import hashlib
import json
import sqlite3
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from pydantic import TypeAdapter, ValidationError

from prowess.core.bulk import no_collection
from prowess.core.cost import Cost, total
from prowess.core.errors import UserError
from prowess.core.evidence import Trial
from prowess.core.trajectory import Trajectory
from prowess.guard.redact import redact_trajectory

_TRIALS = """CREATE TABLE IF NOT EXISTS trial (
    key TEXT PRIMARY KEY, conditions TEXT NOT NULL, task TEXT NOT NULL, view TEXT NOT NULL, seed INTEGER NOT NULL,
    passed INTEGER, trial TEXT NOT NULL, sum TEXT) WITHOUT ROWID"""
_TWINS = "CREATE INDEX IF NOT EXISTS trial_twins ON trial (conditions, task, view, seed, passed)"
_REPEATS = """WITH tried AS (
    SELECT conditions, task, view, passed, ROW_NUMBER() OVER (PARTITION BY conditions, task, view ORDER BY seed) AS nth
    FROM trial WHERE passed IS NOT NULL AND conditions != '')
SELECT a.conditions, COUNT(*), SUM(a.passed != b.passed)
FROM tried a JOIN tried b USING (conditions, task, view) WHERE a.nth = 1 AND b.nth = 2 GROUP BY a.conditions"""
_ASKED_AT_ONCE = 500
"""Keys in one query."""
_TRIAL_LIST = TypeAdapter(list[Trial])


class Repeats(NamedTuple):
    """How often the same task under the same view gave another result under another seed."""

    pairs: int
    flips: int


class Spent(NamedTuple):
    """Cost of all values of one kind."""

    kind: str
    values: int
    cost: Cost


class Keeps(Protocol):
    """What `keep` needs of a store."""

    def put(self, kind: str, key: str, value: bytes, cost: Cost = ...) -> None: ...


def keep(store: Keeps, kind: str, key: str, run: Trajectory) -> Trajectory:
    """Store a run that prowess made itself. All of them go this way, so that no store holds a secret.

    Returns:
        The run as it is stored: who goes on with it sees what one sees who resumes.
    """
    kept, _ = redact_trajectory(run)
    store.put(kind, key, kept.model_dump_json().encode(), kept.cost)
    return kept


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
                " at TEXT DEFAULT CURRENT_TIMESTAMP, sum TEXT, PRIMARY KEY (kind, key)) WITHOUT ROWID"
            )
            self._db.execute(_TRIALS)
            for table in ("done", "trial"):
                if "sum" not in {row[1] for row in self._db.execute(f"PRAGMA table_info({table})")}:
                    self._db.execute(f"ALTER TABLE {table} ADD COLUMN sum TEXT")  # from before there were digests
            self._db.execute(_TWINS)
        except (sqlite3.Error, OSError) as error:
            raise UserError(
                f"cannot open the run store {path}: {error}", "check the path and the free space"
            ) from error

    def get(self, kind: str, key: str) -> bytes | None:
        """The value, or None if it was never finished."""
        with self._lock:
            row = self._db.execute("SELECT value, cost, sum FROM done WHERE kind=? AND key=?", (kind, key)).fetchone()
        # What is damaged on the disk is made again rather than trusted.
        return None if row is None or not _sound(row[2], kind, key, row[1], row[0]) else _unpacked(row[0])

    def put(self, kind: str, key: str, value: bytes, cost: Cost = Cost()) -> None:  # noqa: B008
        """Store a finished value. The first writer wins, so that nothing counts twice.

        Raises:
            UserError: the disk is full or not writable; what was stored before is kept.
        """
        packed, spent = zlib.compress(value, 3), cost.model_dump_json()
        self._write(
            "INSERT INTO done (kind, key, value, cost, sum) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (kind, key, packed, spent, _sum(kind, key, spent, packed)),
        )

    def index(self, trial: Trial, *, task: str, view: str) -> None:
        """Enter a finished trial under the id of its trajectory; `task` and `view` are digests of content.

        Raises:
            UserError: the disk is full or not writable.
        """
        passed = None if trial.passed is None else int(trial.passed)
        text = trial.model_dump_json(exclude={"arm"}, exclude_defaults=True)
        self._write(
            "INSERT OR REPLACE INTO trial (key, conditions, task, view, seed, passed, trial, sum)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                trial.trajectory, trial.conditions, task, view, trial.seed, passed, text,
                _trial_sum(trial.trajectory, task, view, text),
            ),
        )  # fmt: skip

    def trials(self, arms: Mapping[str, str]) -> dict[str, Trial]:
        """Of the trials with the ids in `arms` those in the index, each for the arm that stands there.

        A row that cannot be read counts as absent.
        """
        found: dict[str, Trial] = {}
        begun = {arm: f'{{"arm":{json.dumps(arm)},' for arm in set(arms.values())}
        wanted = sorted(arms)  # as they lie on disk
        with no_collection():
            for start in range(0, len(wanted), _ASKED_AT_ONCE):
                some = wanted[start : start + _ASKED_AT_ONCE]
                marks = ",".join("?" * len(some))
                with self._lock:
                    rows = self._db.execute(
                        f"SELECT key, task, view, trial, sum FROM trial WHERE key IN ({marks})", some
                    ).fetchall()
                sound = [
                    (key, text) for key, task, view, text, sum_ in rows if sum_ == _trial_sum(key, task, view, text)
                ]
                read = _all_trials([begun[arms[key]] + text[1:] for key, text in sound])
                found.update((key, trial) for (key, _), trial in zip(sound, read, strict=True) if trial is not None)
        return found

    def repeats(self) -> dict[str, Repeats]:
        """For each set of conditions: tasks that were tried twice under one view, by their first two seeds."""
        with self._lock:
            rows = self._db.execute(_REPEATS).fetchall()
        return {conditions: Repeats(pairs, flips) for conditions, pairs, flips in rows}

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

    def check(self) -> list[str]:
        """What is damaged: lines of SQLite's own check, else the keys of rows. Reads everything, so it takes time."""
        with self._lock:
            try:
                found = [line for (line,) in self._db.execute("PRAGMA integrity_check(10)") if line != "ok"]
                return found or [*self._bad_values(), *self._bad_trials()]
            except sqlite3.Error as error:
                return [str(error)]

    def forget_damaged(self) -> None:
        """Deletes the rows that `check` names; what they held is run again when it is asked for."""
        with self._lock:
            self._db.executemany("DELETE FROM done WHERE kind = ? AND key = ?", [*map(_pair, self._bad_values())])
            self._db.executemany("DELETE FROM trial WHERE key = ?", [_pair(bad)[1:] for bad in self._bad_trials()])

    def _bad_values(self) -> list[str]:
        rows = self._db.execute("SELECT kind, key, cost, value, sum FROM done")
        return [f"{kind} {key}" for kind, key, cost, value, sum_ in rows if not _whole(kind, key, cost, value, sum_)]

    def _bad_trials(self) -> list[str]:
        """Rows that are not what was written, or whose columns say something else than the trial in them."""
        rows = self._db.execute("SELECT key, task, view, trial, sum, conditions, seed, passed FROM trial")
        bad: list[str] = []
        for key, task, view, text, sum_, *columns in rows:
            trial = _trial('{"arm":"",' + text[1:]) if sum_ == _trial_sum(key, task, view, text) else None
            told = None if trial is None or trial.passed is None else int(trial.passed)
            if trial is None or columns != [trial.conditions, trial.seed, told]:
                bad.append(f"trial {key}")
        return bad

    def _write(self, statement: str, values: tuple[Any, ...]) -> None:
        try:
            with self._lock:
                self._db.execute(statement, values)
        except sqlite3.Error as error:
            raise UserError(
                f"cannot write to the run store {self.path}: {error}",
                "free some space, then run the same command: it resumes",
            ) from error

    def close(self) -> None:
        self._db.close()


def _all_trials(texts: Sequence[str]) -> Sequence[Trial | None]:
    """Read at once, which takes two thirds of the time; one by one where something cannot be read."""
    try:
        return _TRIAL_LIST.validate_json(f"[{','.join(texts)}]")
    except ValidationError:
        return [_trial(text) for text in texts]


def _trial(text: str) -> Trial | None:
    try:
        return Trial.model_validate_json(text)
    except ValidationError:
        return None


def _sum(*parts: str | bytes) -> str:
    """Digest of a row."""
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        whole.update(b"%d:" % len(data) + data)
    return whole.hexdigest()[:32]


def _trial_sum(key: object, task: object, view: object, text: object) -> str:
    """Digest of a row of the index, of which very many are read at once."""
    return hashlib.sha256(f"{key} {task} {view} {text}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _sound(sum_: object, *parts: Any) -> bool:
    """Whether a row is what was written; one from before there were digests counts as sound."""
    try:
        return sum_ == _sum(*parts) or sum_ is None
    except TypeError:  # a column is neither text nor bytes
        return False


def _unpacked(value: bytes) -> bytes | None:
    try:
        return zlib.decompress(value)
    except zlib.error:
        return None


def _whole(kind: object, key: object, cost: object, value: object, sum_: object) -> bool:
    return _sound(sum_, kind, key, cost, value) and isinstance(value, bytes) and _unpacked(value) is not None


def _pair(bad: str) -> tuple[str, ...]:
    kind, _, key = bad.partition(" ")
    return kind, key
