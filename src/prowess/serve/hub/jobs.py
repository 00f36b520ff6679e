"""The work that a hub does in the background, as a queue in its database.

A worker takes the oldest waiting job with a lease. It renews the lease while it works; when it dies the lease runs out
and another worker takes the job again, so a job may run more than once, but it ends once: only the worker that holds
the lease can end it. What jobs do must therefore be idempotent, as patches of a library are.
"""

import time
from collections.abc import Sequence
from typing import Final, Literal

from prowess.core.base import Frozen
from prowess.guard.redact import redact
from prowess.serve.hub.accounts import Clock, NotFound, new_id, note
from prowess.serve.hub.database import Database, Row
from prowess.trajectories.plain import plain_text

Kind = Literal["learn", "validate", "vouch", "tidy"]
State = Literal["waiting", "running", "done", "failed"]
LEASE: Final = 60.0
"""Seconds after which the job of a worker that does not say anything is taken by another."""
SKEW: Final = 10
"""Leases ahead: one that ends later than this was given under a clock that has been set back since, and has run out.
Clocks of several machines may differ by less."""
TRIES: Final = 3
"""Workers that may die on a job before it counts as failed."""
_COLUMNS: Final = "id, project, kind, given, account, state, made, tries, worker, ended, said"


class Job(Frozen):
    """One piece of work."""

    id: str
    project: str
    kind: Kind
    given: str
    """What it is about: the id of a proposal for `validate`, of a change for `vouch`."""
    account: str
    """Who asked for it."""
    state: State
    made: float
    tries: int
    worker: str | None = None
    ended: float | None = None
    said: str = ""
    """The last thing told of it, or why it failed."""


class Jobs:
    """The queue."""

    def __init__(self, db: Database, clock: Clock = time.time) -> None:
        self._db, self._clock = db, clock

    def ask(self, project: str, kind: Kind, account: str, given: str = "") -> Job:
        """Queues a job; where the same one waits already, that one."""
        with self._db.writing() as rows:
            rows.run(
                f"INSERT INTO job ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, 'waiting', ?, 0, NULL, NULL, '')"
                " ON CONFLICT (project, kind, given) WHERE state = 'waiting' DO NOTHING",
                new_id(), project, kind, given, account, self._clock(),
            )  # fmt: skip
            found = rows.one(
                # Ids sort by a clock that may have been set back; what waits, or has just been taken, comes first.
                f"SELECT {_COLUMNS} FROM job WHERE project = ? AND kind = ? AND given = ?"
                " ORDER BY CASE state WHEN 'waiting' THEN 0 WHEN 'running' THEN 1 ELSE 2 END, id DESC LIMIT 1",
                project, kind, given,
            )  # fmt: skip
        assert found is not None  # this transaction has seen it
        return _job(found)

    def take(self, worker: str, kinds: Sequence[Kind] = ("learn", "validate", "vouch", "tidy")) -> Job | None:
        """The oldest job that waits, or whose worker has died, now this worker's; None when there is none."""
        now, marks = self._clock(), ", ".join("?" * len(kinds))
        over = now, now + SKEW * LEASE
        with self._db.writing() as rows:
            rows.run(
                "UPDATE job SET state = 'failed', ended = ?, said = 'its workers died' "
                f"WHERE {_ENDED} AND tries >= ?", now, *over, TRIES,
            )  # fmt: skip
            # A job whose twin waits is not put back among the waiting: it runs again as it is.
            found = rows.one(
                f"SELECT id FROM job WHERE kind IN ({marks})"
                f" AND (state = 'waiting' OR ({_ENDED})) ORDER BY made, id LIMIT 1 {rows.skip_locked}", *kinds, *over,
            )  # fmt: skip
            if found is None:
                return None
            taken = rows.one(
                "UPDATE job SET state = 'running', worker = ?, lease = ?, tries = tries + 1 WHERE id = ?"
                f" RETURNING {_COLUMNS}", worker, now + LEASE, found[0],
            )  # fmt: skip
        return _job(taken) if taken else None

    def renew(self, job: Job, said: str = "") -> bool:
        """Says that the worker is at it, and what it does; False when the job is no longer its own."""
        said = _storable(said)
        sql = "UPDATE job SET lease = ?, said = CASE WHEN ? = '' THEN said ELSE ? END"
        with self._db.writing() as rows:
            return bool(rows.run(f"{sql} {_MINE}", self._clock() + LEASE, said, said, *_mine(job)))

    def end(self, job: Job, state: Literal["done", "failed"], said: str) -> bool:
        """Ends a job; False when another worker has taken it meanwhile, whose result counts."""
        now, said = self._clock(), _storable(said)
        with self._db.writing() as rows:
            sql = f"UPDATE job SET state = ?, ended = ?, said = ? {_MINE}"
            ended = bool(rows.run(sql, state, now, said, *_mine(job)))
            if ended:
                note(rows, now, job.account, f"job {state}", f"{job.kind} {job.given} {job.id}", job.project)
        return ended

    def get(self, project: str, id: str) -> Job:
        """Raises NotFound."""
        with self._db.reading() as rows:
            found = rows.one(f"SELECT {_COLUMNS} FROM job WHERE project = ? AND id = ?", project, id)
        if found is None:
            raise NotFound(f"there is no job {id!r}")
        return _job(found)

    def list(self, project: str, limit: int = 50) -> "list[Job]":
        """The newest first."""
        with self._db.reading() as rows:
            found = rows.all(f"SELECT {_COLUMNS} FROM job WHERE project = ? ORDER BY id DESC LIMIT ?", project, limit)
        return [_job(row) for row in found]


_ENDED: Final = "state = 'running' AND (lease < ? OR lease > ?)"
_MINE: Final = "WHERE id = ? AND state = 'running' AND worker = ? AND tries = ?"


def _storable(said: str) -> str:
    """What gates and errors say may quote anything: without secrets, and so that every column takes it."""
    return redact(plain_text(said).replace("\0", ""))[:2000]


def _mine(job: Job) -> tuple[str, str, int]:
    return job.id, job.worker or "", job.tries


def _job(row: Row) -> Job:
    id, project, kind, given, account, state, made, tries, worker, ended, said = row
    return Job(
        id=id, project=project, kind=kind, given=given, account=account, state=state, made=made, tries=tries,
        worker=worker, ended=ended, said=said,
    )  # fmt: skip
