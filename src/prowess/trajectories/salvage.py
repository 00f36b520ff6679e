"""Looking through the SQLite files outside of a library, and putting right what is damaged.

A row that does not match its digest is deleted: it counted as absent anyhow, and is run or imported again. A file that
SQLite itself cannot read is moved aside, and what can still be read of it goes into a new one.
"""

import os
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from prowess.core.errors import UserError
from prowess.library.checking import Fault
from prowess.library.disk import flush
from prowess.trajectories.runstore import RunStore
from prowess.trajectories.store import TrajectoryStore

_FORGET = "forget them; they are run or imported again when they are needed"
_SALVAGE = "move the file aside and keep what can be read"


def examine_sessions(path: Path) -> list[Fault]:
    """What is damaged in the trajectory store at `path`; nothing where there is none."""
    if not path.is_file():
        return []
    try:
        with TrajectoryStore(path) as store:
            damaged = store.check()
    except UserError as error:
        return [Fault(part="sessions", what=error.message, mend=_SALVAGE)]
    names = ", ".join(damaged[:3]) + (", …" if len(damaged) > 3 else "")
    return (
        [Fault(part="sessions", what=f"{len(damaged)} sessions are damaged: {names}", mend=_FORGET)] if damaged else []
    )


def examine_trials(path: Path) -> list[Fault]:
    """What is damaged in the run store at `path`; nothing where there is none."""
    if not path.is_file():
        return []
    try:
        with closing(RunStore(path)) as store:
            damaged = store.check()
    except UserError as error:
        return [Fault(part="trials", what=error.message, mend=_SALVAGE)]
    if not damaged:
        return []
    whole = all(" " in name and len(name.split()) == 2 for name in damaged)
    what = f"{path.name}: {damaged[0]}" + (f" and {len(damaged) - 1} more" if len(damaged) > 1 else "")
    return [Fault(part="trials", what=what, mend=_FORGET if whole else _SALVAGE)]


def mend_sessions(path: Path) -> list[Fault]:
    """Puts the trajectory store right; returns what is still wrong.

    Raises:
        UserError: no room, or no access.
    """
    if any(fault.mend == _SALVAGE for fault in examine_sessions(path)):
        _salvage(path, lambda fresh: len(TrajectoryStore(fresh)), ("trajectory", "payload"))
    with TrajectoryStore(path) as store:
        store.forget(store.check())
    return examine_sessions(path)


def mend_trials(path: Path) -> list[Fault]:
    """As `mend_sessions`, for a run store."""
    if any(fault.mend == _SALVAGE for fault in examine_trials(path)):
        _salvage(path, lambda fresh: RunStore(fresh).close(), ("done", "trial"))
    with closing(RunStore(path)) as store:
        store.forget_damaged()
    return examine_trials(path)


def _salvage(path: Path, make: Callable[[Path], object], tables: tuple[str, ...]) -> None:
    """Moves the file at `path` aside, to `<name>.damaged-…`, and puts what can be read of it into one that `make` made.

    Raises:
        UserError: no room, or no access; the old file is where it was, or beside.
    """
    aside = f"{path}.damaged-{secrets.token_hex(4)}"
    fresh = path.with_name(f"{path.name}.new")
    try:
        for file in _files(fresh):
            file.unlink(missing_ok=True)
        make(fresh)
        with closing(sqlite3.connect(path)) as old, closing(sqlite3.connect(fresh)) as new:
            for table in tables:
                _copy(old, new, table)
            new.commit()
        for file in _files(path):
            with suppress(FileNotFoundError):
                os.rename(file, aside + file.name.removeprefix(path.name))
        for file in _files(fresh):
            with suppress(FileNotFoundError):
                os.rename(file, f"{path}{file.name.removeprefix(fresh.name)}")
        flush([path.parent])
    except (OSError, sqlite3.Error) as error:
        raise UserError(f"{path} could not be put right: {error}", "make room, then repeat") from error


def _files(path: Path) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm")]


def _copy(old: sqlite3.Connection, new: sqlite3.Connection, table: str) -> None:
    """Rows from the first on, up to where the file is damaged, and from the last back to there."""
    columns = ", ".join(row[1] for row in new.execute(f"PRAGMA table_info({table})"))
    keys = ", ".join(row[1] for row in new.execute(f"PRAGMA table_info({table})") if row[5])
    marks = ", ".join("?" * len(columns.split(", ")))
    for way in ("ASC", "DESC"):
        order = ", ".join(f"{key} {way}" for key in keys.split(", "))
        with suppress(sqlite3.Error):
            for row in old.execute(f"SELECT {columns} FROM {table} ORDER BY {order}"):
                with suppress(sqlite3.IntegrityError):
                    new.execute(f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})", row)
