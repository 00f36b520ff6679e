"""Questions to the index about where lines come from and lessons go to; none reads more than it returns."""

import sqlite3

from prowess.core.lesson import Lesson
from prowess.library.records import Change, Proposal, Refusal


class Ancestry:
    """Queries within one connection to an index."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

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
