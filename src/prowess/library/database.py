"""The SQLite file of a library's index: its tables, and connections to it that stay open."""

import os
import sqlite3
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS head (only INTEGER PRIMARY KEY CHECK (only = 1), number INTEGER, digest TEXT);
CREATE TABLE IF NOT EXISTS changes (number INTEGER PRIMARY KEY, id TEXT UNIQUE, kind TEXT, patch_id TEXT,
    undoes TEXT, before TEXT, after TEXT, body TEXT);
CREATE INDEX IF NOT EXISTS changes_patch ON changes (patch_id);
CREATE INDEX IF NOT EXISTS changes_undoes ON changes (undoes);
CREATE INDEX IF NOT EXISTS changes_after ON changes (after);
CREATE INDEX IF NOT EXISTS changes_before ON changes (before);
CREATE TABLE IF NOT EXISTS versions (number INTEGER, name TEXT, tree TEXT, authored INTEGER,
    PRIMARY KEY (name, number)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS versions_number ON versions (number);
CREATE TABLE IF NOT EXISTS lessons (id TEXT PRIMARY KEY, body TEXT);
CREATE TABLE IF NOT EXISTS lesson_trajectories (trajectory TEXT, lesson TEXT, PRIMARY KEY (trajectory, lesson))
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lesson_entries (lesson TEXT, number INTEGER, PRIMARY KEY (lesson, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS proposals (id TEXT PRIMARY KEY, number INTEGER, body TEXT, rejected TEXT);
CREATE INDEX IF NOT EXISTS proposals_number ON proposals (number);
CREATE TABLE IF NOT EXISTS uses (trajectory TEXT, skill TEXT, offered INTEGER, loaded INTEGER, used INTEGER,
    passed INTEGER, at TEXT, PRIMARY KEY (trajectory, skill)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS kept (number INTEGER, sha TEXT, PRIMARY KEY (number, sha)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notes (number INTEGER PRIMARY KEY, kind TEXT, key TEXT, body TEXT);
CREATE UNIQUE INDEX IF NOT EXISTS notes_key ON notes (kind, key);
CREATE TABLE IF NOT EXISTS entries (number INTEGER PRIMARY KEY, digest TEXT, body TEXT);
PRAGMA user_version = 4;
"""
_VERSION: Final = 4


class Kept:
    """Connections to one file, one for each thread, kept open between transactions.

    Opening and closing costs several waits for the disk, since SQLite empties its log whenever the last one leaves.
    A connection is made anew after a fork, after any error, and when another file has taken the place of the old one;
    SQLite notices that too, and leaves the new file's log alone when the old connection is closed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()

    @contextmanager
    def connection(self) -> Generator[sqlite3.Connection]:
        """The thread's own connection; a second one where the first is in use already."""
        here: tuple[int, int, sqlite3.Connection] | None = getattr(self._local, "free", None)
        self._local.free = None
        db = None
        if here is not None:
            process, file, db = here
            if process != os.getpid():
                _INHERITED.append(db)  # the parent's: closing it here would meddle with its locks
                db = None
            elif file != _inode(self.path):
                db.close()
                db = None
        if db is None:
            db = _connect(self.path)
        try:
            yield db
        except BaseException:
            db.close()
            raise
        if getattr(self._local, "free", None) is None:
            self._local.free = (os.getpid(), _inode(self.path), db)
        else:
            db.close()

    def close(self) -> None:
        """Lets go of this thread's connection."""
        here: tuple[int, int, sqlite3.Connection] | None = getattr(self._local, "free", None)
        self._local.free = None
        if here is not None and here[0] == os.getpid():
            here[2].close()


_INHERITED: list[sqlite3.Connection] = []


def _inode(path: Path) -> int:
    try:
        return os.stat(path).st_ino
    except OSError:
        return 0


def _connect(path: Path) -> sqlite3.Connection:
    _check_header(path)
    db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        if (version := db.execute("PRAGMA user_version").fetchone()[0]) == 0:
            db.executescript(SCHEMA)
        elif version != _VERSION:
            raise sqlite3.DatabaseError(f"index version {version} is not {_VERSION}")
    except BaseException:
        db.close()
        raise
    return db


def _check_header(path: Path) -> None:
    """Refuses a file that is no database in WAL mode; to change its mode would wait for connections kept open."""
    try:
        with path.open("rb") as file:
            start = file.read(20)
    except FileNotFoundError:
        return
    if start[:16] != b"SQLite format 3\0" or start[18:20] != b"\2\2":
        raise sqlite3.DatabaseError("this is no index")
