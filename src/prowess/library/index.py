"""The index of a library: an SQLite database of what the ledger says, for quick answers.

It holds nothing of its own but use statistics. Whenever it is missing, damaged or behind, it is made anew from the
ledger, so a fault in it never costs a change.
"""

import os
import sqlite3
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from prowess.core.base import digest
from prowess.core.errors import UserError
from prowess.core.lesson import Lesson
from prowess.library.records import Audited, Change, Entry, Proposal, Refusal, Rejection, Stated, Use, Version

_SCHEMA: Final = """
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
_DERIVED: Final = ("head", "changes", "versions", "lessons", "lesson_trajectories", "lesson_entries", "proposals",
                   "kept", "notes", "entries")  # fmt: skip
"""All tables that the ledger alone decides."""

Row = tuple[str, str, int, int, int, int | None, str]
"""Trajectory, skill, offered, loaded, used, passed, and when that was first told."""


class Index:
    """Queries and updates within one connection. Callers hold the library's lock for as long as it is open."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    @classmethod
    @contextmanager
    def in_memory(cls) -> "Generator[Index]":
        """An empty index that is gone at the end."""
        db = sqlite3.connect(":memory:", isolation_level=None)
        try:
            db.executescript(_SCHEMA)
            yield cls(db)
        finally:
            db.close()

    @classmethod
    @contextmanager
    def using(cls, kept: "Kept") -> "Generator[Index]":
        """One transaction on a kept connection, committed at the end.

        Raises:
            sqlite3.DatabaseError: the file is no database or is damaged; the caller makes it anew.
            UserError: the disk is full or the file cannot be written.
        """
        try:
            with kept.connection() as db:
                db.execute("BEGIN")
                yield cls(db)
                db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise UserError(
                f"the index of the library at {kept.path.parent.parent} cannot be used: {error}",
                "make room on the disk or give yourself write access; no skill or change is lost",
            ) from error

    def head(self) -> tuple[int, str]:
        """Number and digest of the last ledger entry that the index knows; (0, "") for none."""
        row = self._db.execute("SELECT number, digest FROM head").fetchone()
        return (row[0], row[1]) if row else (0, "")

    def add(self, record: Entry, digest: str) -> None:
        """Takes in the ledger entry `record`, whose bytes have `digest`."""
        if isinstance(record, Change):
            self._add_change(record)
        elif isinstance(record, Proposal):
            self._db.execute(
                "INSERT OR REPLACE INTO proposals VALUES (?, ?, ?, NULL)",
                (record.id, record.number, record.model_dump_json()),
            )
        elif isinstance(record, Rejection):
            self._db.execute("UPDATE proposals SET rejected = ? WHERE id = ?", (record.reason, record.proposal))
        else:
            self._db.execute(
                "INSERT OR IGNORE INTO notes VALUES (?, ?, ?, ?)",
                (record.number, record.record, key_of(record), record.model_dump_json()),
            )
        if isinstance(record, Change | Proposal | Refusal):
            self._add_lessons(record)
        # The other kinds have their body elsewhere.
        body = record.model_dump_json() if isinstance(record, Rejection) else None
        self._db.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", (record.number, digest, body))
        self._db.execute("INSERT OR REPLACE INTO head VALUES (1, ?, ?)", (record.number, digest))

    def pass_over(self, number: int) -> None:
        """Notes that the ledger entry `number` cannot be read, so that the index is not taken to be behind."""
        self._db.execute("INSERT OR REPLACE INTO head VALUES (1, ?, '')", (number,))

    def entry(self, number: int) -> tuple[str, str] | None:
        """Digest and JSON of a ledger entry, from which its file can be made anew; None where it is not known."""
        return self._db.execute(
            "SELECT digest, coalesce(body, (SELECT body FROM changes c WHERE c.number = e.number),"
            " (SELECT body FROM proposals p WHERE p.number = e.number),"
            " (SELECT body FROM notes n WHERE n.number = e.number)) AS found"
            " FROM entries e WHERE number = ? AND found IS NOT NULL",
            (number,),
        ).fetchone()

    def derived(self) -> dict[str, list[tuple[object, ...]]]:
        """The rows of every table that the ledger decides; equal ledgers give equal rows."""
        return {t: sorted(self._db.execute(f"SELECT * FROM {t}").fetchall(), key=repr) for t in _DERIVED}

    def _add_change(self, change: Change) -> None:
        for name, (old, new) in change.trees.items():
            self._db.execute(
                "INSERT INTO versions VALUES (?, ?, ?, ?)",
                (change.number, name, new, self._authored_by(change, name, old)),
            )
        self._db.execute(
            "INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                change.number, change.id, change.kind, change.patch_id, change.undoes,
                change.before, change.after, change.model_dump_json(),
            ),
        )  # fmt: skip
        self._db.executemany("INSERT OR IGNORE INTO kept VALUES (?, ?)", [(change.number, sha) for sha in change.kept])

    def _add_lessons(self, record: Change | Proposal | Refusal) -> None:
        lessons = {lesson.id: lesson for lesson in record.lessons}
        self._db.executemany(
            "INSERT OR IGNORE INTO lessons VALUES (?, ?)",
            [(id, lesson.model_dump_json()) for id, lesson in lessons.items()],
        )
        self._db.executemany(
            "INSERT OR IGNORE INTO lesson_trajectories VALUES (?, ?)",
            [(r.trajectory, id) for id, lesson in lessons.items() for r in lesson.references],
        )
        ids = {*lessons, *(record.patch.lessons if record.patch else ())}
        self._db.executemany("INSERT INTO lesson_entries VALUES (?, ?)", [(id, record.number) for id in ids])

    def _authored_by(self, change: Change, name: str, old: str | None) -> bool:
        """A skill is ours from its creation by a patch until its folder vanishes; undo brings back what it was."""
        if old is None and change.kind != "undo":
            return change.kind == "apply"
        row = self._db.execute(
            "SELECT authored FROM versions WHERE name = ? AND tree IS NOT NULL ORDER BY number DESC LIMIT 1", (name,)
        ).fetchone()
        return bool(row and row[0])

    def trees(self, number: int | None = None) -> dict[str, tuple[str, bool]]:
        """Skill name to content digest and authorship, after ledger entry `number`; now when None."""
        rows = self._db.execute(
            "SELECT v.name, v.tree, v.authored FROM versions v JOIN (SELECT name, max(number) AS number FROM versions"
            " WHERE number <= ? GROUP BY name) l ON v.name = l.name AND v.number = l.number WHERE v.tree IS NOT NULL",
            (2**62 if number is None else number,),
        )
        return {name: (tree, bool(authored)) for name, tree, authored in rows}

    def numbers_at(self, digest: str) -> dict[str, int]:
        """Snapshot digests that begin with `digest`, each with a ledger entry after which the library was at it."""
        pattern = digest.replace("%", "").replace("_", "") + "%"
        before = self._db.execute("SELECT before, number - 1 FROM changes WHERE before LIKE ?", (pattern,)).fetchall()
        after = self._db.execute("SELECT after, number FROM changes WHERE after LIKE ?", (pattern,)).fetchall()
        return dict([*before, *after])

    def last(self) -> Change | None:
        row = self._db.execute("SELECT body FROM changes ORDER BY number DESC LIMIT 1").fetchone()
        return Change.model_validate_json(row[0]) if row else None

    def change(self, id: str) -> Change | None:
        row = self._db.execute("SELECT body FROM changes WHERE id = ?", (id,)).fetchone()
        return Change.model_validate_json(row[0]) if row else None

    def changes(self, name: str | None = None, lesson: str | None = None, limit: int | None = None) -> list[Change]:
        """Newest first."""
        query, args = "SELECT body FROM changes WHERE 1", list[str | int]()
        if name is not None:
            query += " AND number IN (SELECT number FROM versions WHERE name = ?)"
            args.append(name)
        if lesson is not None:
            query += " AND number IN (SELECT number FROM lesson_entries WHERE lesson = ?)"
            args.append(lesson)
        query += " ORDER BY number DESC LIMIT ?"
        args.append(-1 if limit is None else limit)
        return [Change.model_validate_json(body) for (body,) in self._db.execute(query, args)]

    def in_force(self) -> list[str]:
        """Ids of all changes that no later change in force undoes, newest first."""
        undone: set[str] = set()
        found: list[str] = []
        for id, undoes in self._db.execute("SELECT id, undoes FROM changes ORDER BY number DESC"):
            if id not in undone:
                found.append(id)
                if undoes:
                    undone.add(undoes)
        return found

    def applied(self, patch_id: str) -> Change | None:
        """The change by which the patch was applied, if it is still in force."""
        rows = self._db.execute(
            "SELECT id FROM changes WHERE patch_id = ? ORDER BY number DESC", (patch_id,)
        ).fetchall()
        if not rows:
            return None
        valid = set(self.in_force())
        return next((self.change(id) for (id,) in rows if id in valid), None)

    def versions(self, name: str) -> list[Version]:
        """Newest first."""
        rows = self._db.execute(
            "SELECT v.tree, v.authored, c.body FROM versions v JOIN changes c ON c.number = v.number"
            " WHERE v.name = ? ORDER BY v.number DESC",
            (name,),
        ).fetchall()
        found: list[Version] = []
        for tree, authored, body in rows:
            change = Change.model_validate_json(body)
            found.append(
                Version(
                    name=name, tree=tree, authored=bool(authored), change=change.id, number=change.number,
                    when=change.when, kind=change.kind, by=change.by,
                )
            )  # fmt: skip
        return found

    # Where lines come from and lessons go to: nothing here reads more of the ledger than it returns.

    def last_state(self, name: str, before: int) -> tuple[int, str | None] | None:
        """Number and content digest of the last recorded state of a skill before ledger entry `before`."""
        return self._db.execute(
            "SELECT number, tree FROM versions WHERE name = ? AND number < ? ORDER BY number DESC LIMIT 1",
            (name, before),
        ).fetchone()

    def tree_at(self, name: str, number: int) -> str | None:
        """Content digest of a skill in the very entry `number`; None where that entry deleted it."""
        row = self._db.execute("SELECT tree FROM versions WHERE name = ? AND number = ?", (name, number)).fetchone()
        return row[0] if row else None

    def touched_with(self, name: str, number: int) -> list[str]:
        """The other skills that ledger entry `number` changed."""
        rows = self._db.execute(
            "SELECT name FROM versions WHERE number = ? AND name != ? ORDER BY name", (number, name)
        )
        return [other for (other,) in rows]

    def touched_later(self, name: str, number: int) -> set[str]:
        """Skills that an entry after `number` wrote together with a change of `name`: where its lines may have gone."""
        rows = self._db.execute(
            "SELECT DISTINCT w.name FROM versions v JOIN versions w ON w.number = v.number"
            " WHERE v.name = ? AND v.number > ? AND w.tree IS NOT NULL",
            (name, number),
        )
        return {other for (other,) in rows}

    def heirs(self, name: str, number: int) -> list[tuple[str, int]]:
        """Skills that an entry after `number` wrote together with a change of `name`, with the first such entry."""
        return self._db.execute(
            "SELECT w.name, min(w.number) FROM versions v JOIN versions w ON w.number = v.number"
            " WHERE v.name = ? AND v.number > ? AND w.tree IS NOT NULL GROUP BY w.name",
            (name, number),
        ).fetchall()

    def undone_by(self, number: int) -> int | None:
        """Number of the change that the undo at ledger entry `number` reverts; None where that is no undo."""
        row = self._db.execute(
            "SELECT u.number FROM changes c JOIN changes u ON u.id = c.undoes WHERE c.number = ?", (number,)
        ).fetchone()
        return row[0] if row else None

    def is_in_force(self, id: str) -> bool:
        """Whether no change in force undoes this one."""
        later = self._db.execute(
            "WITH RECURSIVE undo (number, id, undoes) AS (SELECT number, id, undoes FROM changes WHERE undoes = ?"
            " UNION SELECT c.number, c.id, c.undoes FROM changes c JOIN undo u ON c.undoes = u.id)"
            " SELECT id, undoes FROM undo ORDER BY number DESC",
            (id,),
        )
        undone: set[str] = set()
        for undo, undoes in later:
            if undo not in undone:
                undone.add(undoes)
        return id not in undone

    def change_at(self, number: int) -> Change | None:
        row = self._db.execute("SELECT body FROM changes WHERE number = ?", (number,)).fetchone()
        return Change.model_validate_json(row[0]) if row else None

    def trajectories(self, prefix: str, limit: int = 2) -> list[str]:
        """Ids that begin so, of trajectories that any lesson refers to."""
        rows = self._db.execute(
            "SELECT DISTINCT trajectory FROM lesson_trajectories WHERE trajectory >= ? AND trajectory < ? LIMIT ?",
            (prefix, prefix + chr(0x10FFFF), limit),
        )
        return [id for (id,) in rows]

    def lessons_from(self, trajectory: str) -> list[Lesson]:
        """Every lesson that refers to the trajectory, by id."""
        rows = self._db.execute(
            "SELECT l.body FROM lesson_trajectories t JOIN lessons l ON l.id = t.lesson WHERE t.trajectory = ?"
            " ORDER BY l.id",
            (trajectory,),
        )
        return [Lesson.model_validate_json(body) for (body,) in rows]

    def proposals_for(self, lesson: str) -> list[tuple[Proposal, str | None]]:
        """Proposals that the lesson justified and that were never applied, each with the reason of its rejection."""
        rows = self._db.execute(
            "SELECT p.body, p.rejected FROM lesson_entries e JOIN proposals p ON p.number = e.number WHERE e.lesson = ?"
            " AND NOT EXISTS (SELECT 1 FROM changes c WHERE c.patch_id = p.id AND c.number > p.number)"
            " ORDER BY p.number",
            (lesson,),
        )
        return [(Proposal.model_validate_json(body), rejected) for body, rejected in rows]

    def refusals_for(self, lesson: str) -> list[Refusal]:
        """Patches that the lesson justified and a gate refused, oldest first."""
        rows = self._db.execute(
            "SELECT n.body FROM lesson_entries e JOIN notes n ON n.number = e.number WHERE e.lesson = ?"
            " ORDER BY n.number",
            (lesson,),
        )
        return [Refusal.model_validate_json(body) for (body,) in rows]

    def all_trees(self) -> set[str]:
        """Every content digest that any version points to."""
        return {tree for (tree,) in self._db.execute("SELECT DISTINCT tree FROM versions WHERE tree IS NOT NULL")}

    def names_of(self, trees: set[str]) -> dict[str, list[str]]:
        """For each of these content digests, the skills that ever had it."""
        found: dict[str, list[str]] = {}
        for tree, name in self._db.execute("SELECT DISTINCT tree, name FROM versions WHERE tree IS NOT NULL"):
            if tree in trees:
                found.setdefault(tree, []).append(name)
        return found

    def lesson(self, id: str) -> Lesson | None:
        """The one whose id begins with `id`; None where there is none, or several."""
        rows = self._db.execute("SELECT body FROM lessons WHERE substr(id, 1, ?) = ? LIMIT 2", (len(id), id)).fetchall()
        return Lesson.model_validate_json(rows[0][0]) if len(rows) == 1 else None

    def proposals(self) -> list[Proposal]:
        """Those that wait, oldest first."""
        rows = self._db.execute(
            "SELECT body FROM proposals p WHERE rejected IS NULL AND NOT EXISTS"
            " (SELECT 1 FROM changes c WHERE c.patch_id = p.id AND c.number > p.number) ORDER BY number"
        )
        return [Proposal.model_validate_json(body) for (body,) in rows]

    def rejected(self) -> list[tuple[Proposal, str]]:
        """Those that a person refused, oldest first, each with the reason."""
        rows = self._db.execute("SELECT body, rejected FROM proposals WHERE rejected IS NOT NULL ORDER BY number")
        return [(Proposal.model_validate_json(body), reason) for body, reason in rows]

    def proposal(self, id: str) -> tuple[Proposal, str | None] | None:
        """A proposal, waiting or not, and the reason of its rejection; None in place of that when it has none."""
        row = self._db.execute("SELECT body, rejected FROM proposals WHERE id = ?", (id,)).fetchone()
        return (Proposal.model_validate_json(row[0]), row[1]) if row else None

    def removed(self) -> list[str]:
        """Names of skills whose last version is that they are not there."""
        rows = self._db.execute(
            "SELECT v.name FROM versions v JOIN (SELECT name, max(number) AS number FROM versions GROUP BY name) l"
            " ON v.name = l.name AND v.number = l.number WHERE v.tree IS NULL ORDER BY v.name"
        )
        return [name for (name,) in rows]

    def kept(self) -> list[str]:
        """Blobs of the kept tasks of all changes in force, newest first."""
        valid = set(self.in_force())
        rows = self._db.execute(
            "SELECT c.id, k.sha FROM kept k JOIN changes c ON c.number = k.number ORDER BY k.number DESC, k.sha"
        )
        return [sha for id, sha in rows if id in valid]

    def notes(self, kind: Literal["audited", "refusal", "stated"]) -> list[str]:
        """Bodies of all entries of that kind, oldest first."""
        rows = self._db.execute("SELECT body FROM notes WHERE kind = ? ORDER BY number", (kind,))
        return [body for (body,) in rows]

    def note(self, kind: Literal["audited", "refusal"], key: str) -> str | None:
        """The body of the entry of that kind with the key `key_of`."""
        row = self._db.execute("SELECT body FROM notes WHERE kind = ? AND key = ?", (kind, key)).fetchone()
        return row[0] if row else None

    def damage(self) -> list[str]:
        """What SQLite itself finds wrong; empty when all is well."""
        return [text for (text,) in self._db.execute("PRAGMA integrity_check(10)") if text != "ok"]

    def damaged_uses(self) -> int:
        """How many rows of use statistics hold what was never written."""
        return self._db.execute(
            "SELECT count(*) FROM uses WHERE typeof(trajectory) != 'text' OR typeof(skill) != 'text'"
            " OR offered NOT IN (0, 1) OR loaded NOT IN (0, 1) OR used NOT IN (0, 1) OR passed NOT IN (0, 1)"
        ).fetchone()[0]

    def add_uses(self, rows: list[Row]) -> None:
        """Counts each pair of trajectory and skill once, however often it is told."""
        self._db.executemany(
            "INSERT INTO uses VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET offered = excluded.offered,"
            " loaded = excluded.loaded, used = excluded.used, passed = excluded.passed",
            rows,
        )

    def use_rows(self) -> list[Row]:
        return self._db.execute("SELECT * FROM uses").fetchall()

    def uses(self) -> list[Use]:
        rows = self._db.execute(
            "SELECT skill, sum(offered), sum(loaded), sum(used), sum(used AND passed = 1), sum(used AND passed = 0),"
            " max(iif(offered, at, '')), max(iif(loaded, at, '')), max(iif(used, at, '')),"
            " max(iif(used AND passed = 1, at, '')) FROM uses GROUP BY skill ORDER BY skill"
        )
        return [
            Use(
                skill=s, offered=o, loaded=lo, used=u, passed=p or 0, failed=f or 0,
                last_offered=at[0], last_loaded=at[1], last_used=at[2], last_passed=at[3],
            )
            for s, o, lo, u, p, f, *at in rows
        ]  # fmt: skip


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
            db.executescript(_SCHEMA)
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


def key_of(note: Audited | Refusal | Stated) -> str:
    """What makes an entry the same as an earlier one, so that a killed caller may simply tell it again.

    Statements name the ledger's head, so no two are alike.
    """
    if isinstance(note, Audited):
        return note.audit.id
    if isinstance(note, Stated):
        return digest(note.payload)
    return digest([note.patch.id, [(v.gate, v.status, v.note) for v in note.verdicts]])
