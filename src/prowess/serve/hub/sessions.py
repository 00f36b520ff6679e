"""The sessions that members give to a project. Secrets are taken out before anything is stored.

A session belongs to the account that gave it, whatever it claims of itself, and its score is nobody's proof: the hub
measures for itself. Its id here is made from the account and its own id, so that nobody can take another's place.
"""

import asyncio
import hashlib
import json
import tempfile
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, cast

from anyio import to_thread
from pydantic_core import from_json

from prowess.core.base import Frozen, digest
from prowess.core.errors import UserError
from prowess.core.trajectory import Trajectory
from prowess.guard.redact import redact_trajectory
from prowess.guard.taint import owned_by
from prowess.serve.hub.accounts import Clock, NotFound
from prowess.serve.hub.database import Database, Row, Value, checked
from prowess.trajectories.atif import from_atif
from prowess.trajectories.importers import FORMATS, import_path
from prowess.trajectories.plain import Json
from prowess.trajectories.store import Use

LEVEL: Final = 2
"""Of zlib, as for trajectories elsewhere (decision 0050)."""
PAGE: Final = 256
_LIGHT: Final = (
    "id, account, received, agent, model, task_id, status, passed, steps, tokens, usd, seconds, offered, loaded, used"
)
_INSERT: Final = (
    f"INSERT INTO session (project, {_LIGHT}, digest, data) VALUES ({', '.join('?' * 18)})"
    " ON CONFLICT (project, id) DO UPDATE SET received = excluded.received, status = excluded.status,"
    " steps = excluded.steps, tokens = excluded.tokens, usd = excluded.usd, seconds = excluded.seconds,"
    " offered = excluded.offered, loaded = excluded.loaded, used = excluded.used, digest = excluded.digest,"
    " data = excluded.data WHERE session.digest <> excluded.digest AND session.account = excluded.account"
)


class Session(Frozen):
    """What is known of a session without opening it."""

    id: str
    account: str
    received: float
    agent: str
    model: str
    task_id: str | None
    status: str
    passed: bool | None
    steps: int
    tokens: int
    usd: float
    seconds: float
    offered: tuple[str, ...]
    loaded: tuple[str, ...]
    used: tuple[str, ...]


class Spent(Frozen):
    """What sessions cost, by model."""

    model: str
    sessions: int
    tokens: int
    usd: float
    seconds: float


def read_sessions(body: bytes, format: str, account: str) -> list[Trajectory]:
    """The sessions in an upload, as this account's, redacted.

    Args:
        format: `atif` for one ATIF document; else a format that `prowess import` reads.

    Raises:
        UserError: it is none of that format.
    """
    if format not in FORMATS:
        raise UserError(f"there is no format {format!r}", f"use one of {', '.join(FORMATS)}")
    found = [_atif(body)] if format == "atif" else list(_imported(body, format, account))
    if not found:
        raise UserError(f"no session of the format {format} is in what was sent", "send the whole file")
    return [_owned(trajectory, account) for trajectory in found]


def _atif(body: bytes) -> Trajectory:
    try:
        document = from_json(body)
    except (ValueError, RecursionError) as error:
        raise UserError(f"this is no JSON: {error}", "send one ATIF document") from error
    if not isinstance(document, dict):
        raise UserError("an ATIF document is a JSON object", "send one")
    return redact_trajectory(from_atif(cast(Json, document)))[0]


def _imported(body: bytes, format: str, account: str) -> Iterator[Trajectory]:
    """By the importers, which read files and redact."""
    with tempfile.TemporaryDirectory(prefix="prowess-hub-") as folder:
        file = Path(folder, "upload.json" if format == "chat" and body[:1] == b"[" else "upload.jsonl")
        file.write_bytes(body)
        for imported in import_path(file, format=format, principal=account):
            if imported.trajectory is not None:
                yield imported.trajectory


def _owned(trajectory: Trajectory, account: str) -> Trajectory:
    score = trajectory.score
    return owned_by(trajectory, account).model_copy(
        update={
            "id": digest([account, trajectory.id])[:32],
            "score": None if score is None else score.model_copy(update={"trusted": False}),
        }
    )


class Sessions:
    """The sessions of all projects; every call names one."""

    def __init__(self, db: Database, clock: Clock = time.time) -> None:
        self._db, self._clock = db, clock

    def put(self, given: Iterable[tuple[str, str, Trajectory]]) -> None:
        """Keeps sessions (project, account, trajectory); when this returns they survive kill -9.

        One that is there already is replaced, if it is its account's own.

        Raises:
            UserError: no database could hold one of them; then none is kept.
        """
        self.write([self.row(*each) for each in given])

    def row(self, project: str, account: str, trajectory: Trajectory) -> Sequence[Value]:
        """A session as `write` takes it; raises UserError where no database could hold it."""
        return checked(_row(project, account, self._clock(), trajectory))

    def write(self, made: Iterable[Sequence[Value]]) -> None:
        """Keeps rows of `row` in one transaction."""
        with self._db.writing() as rows:
            # In one order everywhere, so that two processes never wait for each other in a circle.
            rows.many(_INSERT, sorted(made, key=lambda row: (row[0], row[1])))

    def list(
        self,
        project: str,
        account: str | None = None,
        *,
        before: float = 1e12,
        limit: int = 50,
        task: str | None = None,
    ) -> "list[Session]":
        """Of a project, the newest first; of one account where it is given."""
        where, values = "project = ? AND received < ?", [project, before]
        for column, value in (("account", account), ("task_id", task)):
            if value is not None:
                where, values = f"{where} AND {column} = ?", [*values, value]
        sql = f"SELECT {_LIGHT} FROM session WHERE {where} ORDER BY received DESC, id LIMIT ?"
        with self._db.reading() as rows:
            return [_session(row) for row in rows.all(sql, *values, limit)]

    def get(self, project: str, id: str) -> tuple[Session, Trajectory]:
        """Raises NotFound; UserError where its bytes are damaged."""
        sql = f"SELECT {_LIGHT}, digest, data FROM session WHERE project = ? AND id = ?"
        with self._db.reading() as rows:
            found = rows.one(sql, project, id)
        if found is None:
            raise NotFound(f"there is no session {id!r}")
        return _session(found[:-2]), _opened(id, found[-2], found[-1])

    def all(self, project: str) -> Iterator[Trajectory]:
        """Every session of a project, by id, a page at a time."""
        after = ""
        sql = "SELECT id, digest, data FROM session WHERE project = ? AND id > ? ORDER BY id LIMIT ?"
        while True:
            with self._db.reading() as rows:
                page = rows.all(sql, project, after, PAGE)
            yield from (_opened(*row) for row in page)
            if len(page) < PAGE:
                return
            after = page[-1][0]

    def use(self, project: str) -> Iterator[Use]:
        """Who was offered, loaded and used which skills, for the funnel. Scores of clients prove nothing."""
        sql = "SELECT task_id, agent, model, status, offered, loaded, used FROM session WHERE project = ?"
        with self._db.reading() as rows:
            found = rows.all(sql, project)
        for task, agent, model, status, *names in found:
            yield Use(task, agent, model, 0, status, None, *(tuple(json.loads(text)) for text in names))

    def spent(self, project: str) -> "list[Spent]":
        sql = (
            "SELECT model, count(*), sum(tokens), sum(usd), sum(seconds) FROM session WHERE project = ?"
            " GROUP BY model ORDER BY sum(usd) DESC, sum(tokens) DESC"
        )
        with self._db.reading() as rows:
            return [
                Spent(model=m, sessions=int(n), tokens=int(t), usd=float(u), seconds=float(s))
                for m, n, t, u, s in rows.all(sql, project)
            ]

    def delete(self, project: str, ids: Sequence[str]) -> int:
        """Returns how many there were."""
        with self._db.writing() as rows:
            return sum(rows.run("DELETE FROM session WHERE project = ? AND id = ?", project, id) for id in ids)

    def ids(self, project: str, account: str) -> "list[str]":
        """Every session of an account."""
        with self._db.reading() as rows:
            sql = "SELECT id FROM session WHERE project = ? AND account = ?"
            return [row[0] for row in rows.all(sql, project, account)]

    def older(self, project: str, days: float) -> "list[str]":
        """Sessions received more than so many days ago."""
        with self._db.reading() as rows:
            sql = "SELECT id FROM session WHERE project = ? AND received < ?"
            return [row[0] for row in rows.all(sql, project, self._clock() - days * 86400)]


class Inbox:
    """Sessions on their way to the disk: what comes while one transaction is written goes into the next, together.

    Belongs to one event loop. A transaction costs a wait for the disk, whatever is in it; so many clients at once are
    served at the pace of the processor, not of the disk.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._waiting: list[tuple[Sequence[Value], asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def put(self, project: str, account: str, given: Iterable[Trajectory]) -> None:
        """As `Sessions.put`."""
        made = [self._sessions.row(project, account, each) for each in given]
        loop = asyncio.get_running_loop()
        done = [loop.create_future() for _ in made]
        self._waiting += zip(made, done, strict=True)
        if self._writer is None or self._writer.done():
            self._writer = loop.create_task(self._write())
        await asyncio.gather(*done)

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            error: Exception | None = None
            try:
                await to_thread.run_sync(self._sessions.write, [row for row, _ in batch])
            except Exception as found:
                error = found
            for _, done in batch:
                if done.done():  # whoever waited was cancelled
                    continue
                done.set_result(None) if error is None else done.set_exception(error)


def _row(project: str, account: str, now: float, t: Trajectory) -> tuple[Value, ...]:
    text = t.model_dump_json().encode()
    passed = None if t.score is None else int(t.score.passed)
    cost = t.cost
    return (
        project, t.id, account, now, t.agent, t.model, t.task_id, t.status, passed, len(t.steps), cost.tokens, cost.usd,
        cost.seconds, json.dumps(t.offered), json.dumps(t.loaded), json.dumps(t.used), hashlib.sha256(text).hexdigest(),
        zlib.compress(text, LEVEL),
    )  # fmt: skip


def _opened(id: str, digest_: str, data: bytes) -> Trajectory:
    try:
        text = zlib.decompress(data)
    except zlib.error:
        text = b""
    if hashlib.sha256(text).hexdigest() != digest_:
        raise UserError(f"session {id!r} is damaged in the database", "delete it, and have it sent again")
    return Trajectory.model_validate_json(text)


def _session(row: Row) -> Session:
    values: list[Any] = list(row)
    names = [tuple(json.loads(text)) for text in values[12:15]]
    id, account, received, agent, model, task, status, passed, steps, tokens, usd, seconds = values[:12]
    return Session(
        id=id, account=account, received=received, agent=agent, model=model, task_id=task, status=status,
        passed=None if passed is None else bool(passed), steps=steps, tokens=tokens, usd=usd, seconds=seconds,
        offered=names[0], loaded=names[1], used=names[2],
    )  # fmt: skip
