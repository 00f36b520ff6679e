"""One set of SQL for two databases: PostgreSQL for a team, SQLite for a hub of one (decision 0265).

    with db.writing() as rows:
        rows.run("INSERT INTO account (name) VALUES (?)", name)

Statements keep to what both understand, with `?` for values; the one difference is `Rows.skip_locked`. Calls block:
the server makes them in threads.
"""

import re
import sqlite3
import threading
from collections.abc import Generator, Iterable, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from prowess.core.errors import BoundaryError, UserError
from prowess.serve.hub.schema import STEPS

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg_pool import ConnectionPool

Value = str | bytes | int | float | None
Row = tuple[Any, ...]
WAIT: Final = 20.0
"""Seconds to wait for a connection, or for another process that writes."""
CONNECTIONS: Final = 8
"""To PostgreSQL, of one process at most."""
_UNSTORABLE: Final = re.compile(r"[\0\ud800-\udfff]").search
"""NUL, which PostgreSQL has no place for, and halves of surrogate pairs, which have no UTF-8."""
_LOCK: Final = 0x70726F7765737320
"""Of PostgreSQL's advisory lock around changes of the schema."""


class DatabaseError(BoundaryError):
    """The database could not be asked; the same call may work later."""

    def __init__(self, error: Exception) -> None:
        super().__init__(f"the hub's database did not answer: {str(error).strip()}", retryable=True)


class Rows(Protocol):
    """One transaction."""

    @property
    def skip_locked(self) -> str:
        """Ends a `SELECT` whose rows no other worker shall get, too; nothing where one transaction writes at a time."""
        ...

    def all(self, sql: str, *values: Value) -> list[Row]: ...

    def one(self, sql: str, *values: Value) -> Row | None: ...

    def run(self, sql: str, *values: Value) -> int:
        """Returns how many rows it changed."""
        ...

    def many(self, sql: str, values: Iterable[Sequence[Value]]) -> None: ...


class Database(Protocol):
    """Where a hub keeps everything but the skills themselves."""

    @property
    def name(self) -> str: ...

    def reading(self) -> AbstractContextManager[Rows]: ...

    def writing(self) -> AbstractContextManager[Rows]:
        """A transaction: when the block ends it is on the disk, and when it raises nothing has happened."""
        ...

    def close(self) -> None: ...


def open_database(url: str) -> Database:
    """The database at `url`, with its tables made or brought up to date.

    Args:
        url: `postgresql://…` as libpq reads it, or the path of a SQLite file.

    Raises:
        UserError: it was written by a newer prowess, or the driver is not installed.
        DatabaseError: it does not answer.
    """
    db = _Postgres(url) if url.startswith(("postgresql:", "postgres:")) else _Sqlite(Path(url))
    try:
        with db.writing() as rows:
            _upgrade(rows, isinstance(db, _Postgres))
    except BaseException:
        db.close()
        raise
    return db


def _upgrade(rows: Rows, postgres: bool) -> None:
    if postgres:
        rows.all("SELECT pg_advisory_xact_lock(?)", _LOCK)
    rows.run("CREATE TABLE IF NOT EXISTS schema_step (number BIGINT PRIMARY KEY)")
    done = rows.one("SELECT max(number) FROM schema_step")
    number = (done[0] if done else None) or 0
    if number > len(STEPS):
        raise UserError("the hub's database was written by a newer prowess", "upgrade prowess on this machine")
    for step in range(number, len(STEPS)):
        for statement in STEPS[step]:
            rows.run(statement)
        rows.run("INSERT INTO schema_step (number) VALUES (?)", step + 1)


def checked(values: Sequence[Value]) -> Sequence[Value]:
    """The values, if both databases can hold them.

    Raises:
        UserError: a text holds what no text column takes, or a number is too large.
    """
    for value in values:
        if isinstance(value, str) and _UNSTORABLE(value):
            raise UserError("a text holds a character that cannot be stored", "take control characters out of it")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise UserError(f"the number {value} is too large", "numbers have 64 bits")
    return values


class _SqliteRows:
    skip_locked = ""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def all(self, sql: str, *values: Value) -> list[Row]:
        return self._db.execute(sql, checked(values)).fetchall()

    def one(self, sql: str, *values: Value) -> Row | None:
        return self._db.execute(sql, checked(values)).fetchone()

    def run(self, sql: str, *values: Value) -> int:
        return self._db.execute(sql, checked(values)).rowcount

    def many(self, sql: str, values: Iterable[Sequence[Value]]) -> None:
        self._db.executemany(sql, map(checked, values))


class _Sqlite:
    """One file; one connection, held by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self.name = "sqlite"
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=WAIT, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
        except (OSError, sqlite3.Error) as error:
            raise UserError(f"{path} cannot be used as a hub's database: {error}", "name another file") from error

    @contextmanager
    def reading(self) -> Generator[Rows]:
        with self._transaction("BEGIN") as rows:
            yield rows

    @contextmanager
    def writing(self) -> Generator[Rows]:
        with self._transaction("BEGIN IMMEDIATE") as rows:
            yield rows

    @contextmanager
    def _transaction(self, begin: str) -> Generator[Rows]:
        with self._lock:
            try:
                self._db.execute(begin)
                try:
                    yield _SqliteRows(self._db)
                    self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:  # else an interrupt came behind the commit
                        self._db.execute("ROLLBACK")
                    raise
            except sqlite3.OperationalError as error:
                raise DatabaseError(error) from error

    def close(self) -> None:
        self._db.close()


class _PostgresRows:
    skip_locked = "FOR UPDATE SKIP LOCKED"

    def __init__(self, db: "Connection[Row]") -> None:
        self._db = db

    def all(self, sql: str, *values: Value) -> list[Row]:
        return self._db.execute(_percent(sql), checked(values)).fetchall()

    def one(self, sql: str, *values: Value) -> Row | None:
        return self._db.execute(_percent(sql), checked(values)).fetchone()

    def run(self, sql: str, *values: Value) -> int:
        return self._db.execute(_percent(sql), checked(values) or None).rowcount

    def many(self, sql: str, values: Iterable[Sequence[Value]]) -> None:
        with self._db.cursor() as cursor:
            cursor.executemany(_percent(sql), map(checked, values))


def _percent(sql: str) -> bytes:
    """The statement with psycopg's sign for a value; no statement of ours holds a `?` or `%` of another meaning."""
    return sql.replace("?", "%s").encode()


class _Postgres:
    """A pool of connections."""

    def __init__(self, url: str) -> None:
        self.name = "postgresql"
        try:
            import psycopg
            import psycopg_pool
        except ImportError as error:
            raise UserError("PostgreSQL's driver is not installed", "run `pip install 'prowess[hub]'`") from error
        self._broken = (psycopg.OperationalError, psycopg_pool.PoolTimeout, psycopg_pool.PoolClosed)
        self._pool: ConnectionPool[Connection[Row]] = psycopg_pool.ConnectionPool(
            url, min_size=1, max_size=CONNECTIONS, timeout=WAIT, open=True,
            check=psycopg_pool.ConnectionPool.check_connection
        )  # fmt: skip

    @contextmanager
    def writing(self) -> Generator[Rows]:
        try:
            with self._pool.connection() as db:
                yield _PostgresRows(db)
        except self._broken as error:
            raise DatabaseError(error) from error

    reading = writing

    def close(self) -> None:
        self._pool.close()
