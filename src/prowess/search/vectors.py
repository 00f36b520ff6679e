"""Vectors of skills in SQLite, and the search for those nearest to a query: exact up to `EXACT`, beyond by usearch."""

import sqlite3
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from prowess.core.errors import UserError

TABLE: Final = "CREATE TABLE vectors (id INTEGER PRIMARY KEY, vector BLOB NOT NULL);"
EXACT: Final = 100_000
"""Vectors up to which every one is compared: some milliseconds, nothing to build, nothing to miss."""
_SPARE: Final = 4
"""How many more neighbours an approximate search asks for, to leave room for what a filter takes out."""

Rows = NDArray[np.float32]


class Vectors:
    """The vectors of one index, in memory from the first question on. The caller holds the transaction."""

    def __init__(self, db: sqlite3.Connection, dimensions: int, path: Path | None) -> None:
        self._db = db
        self._dimensions = dimensions
        self._graph_file = graph_file(path)
        self.reload()

    def reload(self) -> None:
        """Forgets what is in memory."""
        self._ids = np.zeros(0, np.int64)
        self._rows: Rows | None = None
        self._used = 0
        self._graph: Any = None

    def add(self, first: int, rows: Rows) -> None:
        """Keeps a row for each id from `first` on."""
        data = rows.astype("<f2")
        self._db.executemany(
            "INSERT INTO vectors VALUES (?, ?)", [(first + i, row.tobytes()) for i, row in enumerate(data)]
        )
        if self._graph is not None:
            self._graph.add(np.arange(first, first + len(rows)), data.astype(np.float32))
            return
        end = self._used + len(rows)
        if self._rows is None or end > len(self._rows):
            self.reload()
            return
        self._ids[self._used : end] = np.arange(first, first + len(rows))
        self._rows[self._used : end] = data
        self._used = end

    def remove(self, ids: Sequence[int]) -> None:
        """Drops rows for good. Those in memory stay until the next loading: the caller never allows their ids."""
        self._db.executemany("DELETE FROM vectors WHERE id = ?", [(id,) for id in ids])

    def __getitem__(self, ids: Sequence[int]) -> Rows:
        """The rows of `ids`; zeros where there is none."""
        found = np.zeros((len(ids), self._dimensions), np.float32)
        for place, id in enumerate(ids):
            row = self._db.execute("SELECT vector FROM vectors WHERE id = ?", (id,)).fetchone()
            if row is not None:
                found[place] = np.frombuffer(row[0], "<f2")
        return found

    def nearest(self, query: Rows, limit: int, allowed: NDArray[np.bool_] | None) -> list[tuple[int, float]]:
        """Ids with the greatest inner product with `query`, best first.

        Raises:
            UserError: there are more than `EXACT`, and usearch is not installed.
        """
        if self._rows is None and self._graph is None:
            self._load()
        if self._graph is not None:
            found = self._graph.search(query, min(limit * _SPARE, len(self._graph)))
            ids, scores = np.asarray(found.keys, np.int64), 1 - np.asarray(found.distances, np.float32)
        else:
            assert self._rows is not None
            ids, scores = self._ids[: self._used], self._rows[: self._used] @ query
        if allowed is not None:
            scores, ids = scores[allowed[ids]], ids[allowed[ids]]
        if len(ids) > limit:
            top = np.argpartition(scores, -limit)[-limit:]
            ids, scores = ids[top], scores[top]
        order = np.lexsort((ids, -scores))
        return list(zip(ids[order].tolist(), scores[order].tolist(), strict=True))

    def _load(self) -> None:
        count = self._db.execute("SELECT count(*) FROM vectors").fetchone()[0]
        if count > EXACT:
            self._graph = self._approximate(count)
            return
        pairs = self._db.execute("SELECT id, vector FROM vectors ORDER BY id").fetchall()
        self._used = len(pairs)
        room = self._used + 64 + self._used // 8  # so that adding one does not copy all
        self._ids = np.zeros(room, np.int64)
        self._ids[: self._used] = [id for id, _ in pairs]
        self._rows = np.zeros((room, self._dimensions), np.float32, order="F")  # by columns: half the time of a product
        data = np.frombuffer(b"".join(vector for _, vector in pairs), "<f2")
        self._rows[: self._used] = data.reshape(self._used, self._dimensions)

    def _approximate(self, count: int) -> Any:
        """A graph of neighbours (Y. Malkov and D. Yashunin, IEEE TPAMI 42 (2020) 824), from its file if there is one.

        Building takes some seconds for each 10^5. What came since the file was written is added; what was removed stays
        in it, and is never allowed.
        """
        try:
            usearch: Any = import_module("usearch.index")
        except ImportError as error:
            raise UserError(
                f"search by meaning among more than {EXACT} skills needs the package usearch",
                "pip install 'prowess[search]', or search by words",
            ) from error
        graph, last = _opened(usearch, self._graph_file, self._dimensions)
        rows = self._db.execute("SELECT id, vector FROM vectors WHERE id > ? ORDER BY id", (last,))
        added = 0
        while batch := rows.fetchmany(50_000):
            data = np.frombuffer(b"".join(vector for _, vector in batch), "<f2").reshape(len(batch), -1)
            graph.add(np.array([id for id, _ in batch], np.int64), data.astype(np.float32))
            added += len(batch)
        if self._graph_file is not None and added > count // 100:
            scratch = self._graph_file.with_suffix(".new")
            graph.save(str(scratch))
            scratch.replace(self._graph_file)
        return graph


def graph_file(path: Path | None) -> Path | None:
    """Where the graph of the index at `path` lies."""
    return None if path is None else Path(f"{path}-graph")


def _opened(usearch: Any, path: Path | None, dimensions: int) -> tuple[Any, int]:
    """The graph at `path` and the highest id in it; an empty one where there is none, or it cannot be read."""
    made = {"ndim": dimensions, "metric": "ip", "dtype": "i8"}
    if path is not None and path.exists():
        graph = usearch.Index(**made)
        try:
            graph.load(str(path))
        except Exception:  # the package raises nothing more special
            return usearch.Index(**made), 0
        if graph.ndim == dimensions and len(graph):
            return graph, int(np.asarray(graph.keys).max())
    return usearch.Index(**made), 0
