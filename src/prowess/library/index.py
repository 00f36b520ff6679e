"""The index of a library: an SQLite database of what the ledger says, for quick answers.

It holds nothing of its own but use statistics. Whenever it is missing, damaged or behind, it is made anew from the
ledger, so a fault in it never costs a change.
"""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final, Literal

from prowess.core.base import digest
from prowess.core.errors import UserError
from prowess.core.lesson import Lesson
from prowess.library.ancestry import Ancestry
from prowess.library.database import SCHEMA, Kept
from prowess.library.records import Audited, Change, Entry, Proposal, Refusal, Rejection, Stated, Use, Version

_DERIVED: Final = ("head", "changes", "versions", "lessons", "lesson_trajectories", "lesson_entries", "proposals",
                   "kept", "notes", "entries")  # fmt: skip
"""All tables that the ledger alone decides."""

Row = tuple[str, str, int, int, int, int | None, str]
"""Trajectory, skill, offered, loaded, used, passed, and when that was first told."""


class Index(Ancestry):
    """Queries and updates within one connection. Callers hold the library's lock for as long as it is open."""

    @classmethod
    @contextmanager
    def in_memory(cls) -> "Generator[Index]":
        """An empty index that is gone at the end."""
        db = sqlite3.connect(":memory:", isolation_level=None)
        try:
            db.executescript(SCHEMA)
            yield cls(db)
        finally:
            db.close()

    @classmethod
    @contextmanager
    def using(cls, kept: Kept) -> "Generator[Index]":
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


def key_of(note: Audited | Refusal | Stated) -> str:
    """What makes an entry the same as an earlier one, so that a killed caller may simply tell it again.

    Statements name the ledger's head, so no two are alike.
    """
    if isinstance(note, Audited):
        return note.audit.id
    if isinstance(note, Stated):
        return digest(note.payload)
    return digest([note.patch.id, [(v.gate, v.status, v.note) for v in note.verdicts]])
