"""Posting lists in SQLite, in segments that are merged as they grow.

A few skills that came last lie as they are (`fresh`). When they become many they go into a segment: one row a term, its
ids ascending. Eight segments of about one size are merged into the next larger size, so that adding costs little, a
query reads few rows, and every list is ascending when its rows are put together in order (J. Bentley and J. Saxe,
Journal of Algorithms 1 (1980) 301; the same in Lucene). The caller holds the transaction.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final

import numpy as np

from prowess.search.scoring import Ids, Postings, Spread

TABLES: Final = """
CREATE TABLE fresh (id INTEGER PRIMARY KEY, terms TEXT NOT NULL);
CREATE TABLE segments (first INTEGER PRIMARY KEY, size INTEGER NOT NULL);
CREATE TABLE postings (term TEXT NOT NULL, segment INTEGER NOT NULL, ids BLOB NOT NULL, impacts BLOB NOT NULL);
CREATE UNIQUE INDEX postings_term ON postings (term, segment);
"""
FRESH: Final = 64
"""Skills that may lie outside of segments."""
FAN: Final = 8
"""Segments of one size that are merged into one."""
_CACHE: Final = 512 << 20
"""Bytes of posting lists kept in memory."""


class Segments:
    """The posting lists of one index."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._lists: dict[str, Postings | Spread | None] = {}
        """Those asked for last are at the end."""
        self._bytes = 0
        self.fresh: dict[int, dict[str, int]] = {}
        """Impact of each term, by skill."""
        self._held: Counter[str] = Counter()
        """How many of these hold each term."""
        self.reload()

    def reload(self) -> None:
        """Forgets what is in memory; another connection has written, or a transaction was rolled back."""
        self._forget()
        self.fresh = {id: json.loads(terms) for id, terms in self._db.execute("SELECT id, terms FROM fresh")}
        self._held = Counter(term for terms in self.fresh.values() for term in terms)

    def __getitem__(self, term: str) -> Postings | Spread | None:
        """The skills in segments that hold `term`, the removed ones included; None for none."""
        if term in self._lists:
            found = self._lists[term] = self._lists.pop(term)
            return found
        rows = self._db.execute("SELECT ids, impacts FROM postings WHERE term = ? ORDER BY segment", (term,))
        joined = _joined(rows.fetchall())
        found = None if joined is None else joined.laid_out()
        self._lists[term] = found
        self._bytes += _memory(found)
        while self._bytes > _CACHE and len(self._lists) > 1:
            self._bytes -= _memory(self._lists.pop(next(iter(self._lists))))
        return found

    def count(self, term: str) -> int:
        """How many skills hold `term`, removed ones in segments included."""
        found = self[term]
        return self._held[term] + (0 if found is None else found.size)

    def add(self, lists: Mapping[str, Postings], first: int, count: int, dead: Ids) -> None:
        """Takes in the posting lists of `count` skills that are numbered from `first`, above all that are there.

        Args:
            dead: Ids that merging may leave out.
        """
        if len(self.fresh) + count > FRESH:
            self._flush()
        if count > FRESH:
            self._insert(first, count, ((t, p.ids + np.uint32(first), p.impacts) for t, p in lists.items()))
        else:
            new: dict[int, dict[str, int]] = {first + i: {} for i in range(count)}
            for term, (ids, impacts) in lists.items():
                for id, impact in zip(ids.tolist(), impacts.tolist(), strict=True):
                    new[first + id][term] = impact
            self._db.executemany("INSERT INTO fresh VALUES (?, ?)", [(i, json.dumps(t)) for i, t in new.items()])
            self.fresh |= new
            for terms in new.values():
                self._held.update(terms.keys())
        self._merge(dead)

    def remove(self, ids: Sequence[int]) -> None:
        """Takes skills out of what is fresh. In segments they stay until these are merged: the caller skips them."""
        self._db.executemany("DELETE FROM fresh WHERE id = ?", [(id,) for id in ids])
        for id in ids:
            self._held.subtract(self.fresh.pop(id, {}).keys())

    def _flush(self) -> None:
        if not self.fresh:
            return
        lists: dict[str, tuple[list[int], list[int]]] = {}
        for id, terms in sorted(self.fresh.items()):
            for term, impact in terms.items():
                ids, impacts = lists.setdefault(term, ([], []))
                ids.append(id)
                impacts.append(impact)
        rows = ((t, np.array(i, np.uint32), np.array(w, np.uint8)) for t, (i, w) in lists.items())
        self._insert(min(self.fresh), len(self.fresh), rows)
        self._db.execute("DELETE FROM fresh")
        self.fresh, self._held = {}, Counter()

    def _insert(self, first: int, size: int, lists: "Iterator[tuple[str, Ids, np.ndarray]]") -> None:
        self._db.execute("INSERT INTO segments VALUES (?, ?)", (first, size))
        self._db.executemany(
            "INSERT INTO postings VALUES (?, ?, ?, ?)",
            ((term, first, ids.tobytes(), impacts.tobytes()) for term, ids, impacts in lists),
        )
        self._forget()

    def _merge(self, dead: Ids) -> None:
        """Merges the newest segments for as long as `FAN` of them have about one size."""
        while True:
            segments = self._db.execute("SELECT first, size FROM segments ORDER BY first DESC").fetchall()
            same = [first for first, size in segments[:FAN] if _level(size) <= _level(segments[0][1])]
            if len(same) < FAN:
                return
            self._join(same, sum(size for _, size in segments[:FAN]), dead)

    def _join(self, segments: list[int], size: int, dead: Ids) -> None:
        target = min(segments)
        marks = ", ".join("?" * len(segments))
        rows = self._db.execute(
            f"SELECT term, ids, impacts FROM postings WHERE segment IN ({marks}) ORDER BY term, segment", segments
        )
        self._db.execute("CREATE TEMP TABLE joined (term TEXT, ids BLOB, impacts BLOB)")
        self._db.executemany("INSERT INTO joined VALUES (?, ?, ?)", _joined_rows(rows, dead))
        self._db.execute(f"DELETE FROM postings WHERE segment IN ({marks})", segments)
        self._db.execute("INSERT INTO postings SELECT term, ?, ids, impacts FROM joined", (target,))
        self._db.execute("DROP TABLE joined")
        self._db.execute(f"DELETE FROM segments WHERE first IN ({marks})", segments)
        self._db.execute("INSERT INTO segments VALUES (?, ?)", (target, size))
        self._forget()

    def _forget(self) -> None:
        self._lists, self._bytes = {}, 0


def _memory(found: Postings | Spread | None) -> int:
    return 100 + (0 if found is None else found.nbytes)


def _level(size: int) -> int:
    """Rank of a segment's size, in powers of `FAN`."""
    return (size - 1).bit_length() // (FAN.bit_length() - 1)


def _joined(rows: Sequence[tuple[bytes, bytes]]) -> Postings | None:
    if not rows:
        return None
    ids = rows[0][0] if len(rows) == 1 else b"".join(row[0] for row in rows)
    impacts = rows[0][1] if len(rows) == 1 else b"".join(row[1] for row in rows)
    return Postings(np.frombuffer(ids, "<u4"), np.frombuffer(impacts, np.uint8))


def _joined_rows(rows: sqlite3.Cursor, dead: Ids) -> Iterator[tuple[str, bytes, bytes]]:
    for term, group in groupby(rows, key=lambda row: row[0]):
        found = _joined([(ids, impacts) for _, ids, impacts in group])
        if found is None:
            continue
        ids, impacts = found
        if len(dead):
            alive = ~np.isin(ids, dead)
            ids, impacts = ids[alive], impacts[alive]
        if len(ids):
            yield term, ids.tobytes(), impacts.tobytes()
