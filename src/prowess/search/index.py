"""The index of a library: which skills hold the words of a query, and which come near it in meaning.

It is a SQLite file beside the library's own, and holds nothing that cannot be made anew from the skills; so another
version of it, or a damaged one, is made anew without asking. Changes are transactions: a killed process leaves an index
that answers, and the next one goes on. Without a path it lives in memory, for a snapshot.
"""

import json
import math
import sqlite3
from collections.abc import Collection, Generator, Iterable, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from threading import RLock
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prowess.core.errors import UserError
from prowess.core.skill import Skill, Snapshot
from prowess.search.background import rarity
from prowess.search.encoders import Encoder
from prowess.search.filters import Filter, admits, facets
from prowess.search.scoring import SCALE, best, impacts
from prowess.search.segments import TABLES, Segments
from prowess.search.vectors import TABLE, Vectors, graph_file
from prowess.search.words import words

VERSION: Final = 1
"""Of the tables, the words and the weights: raise it when any of them changes."""
BATCH: Final = 1 << 15
"""Skills that are indexed in one transaction."""
QUERY_CAP: Final = 20_000
"""Characters of a query that are looked at."""
EVERYTHING: Final = Filter()
_TABLES: Final = f"""
CREATE TABLE skills (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, stamp TEXT NOT NULL,
    facets TEXT NOT NULL);
CREATE TABLE dead (id INTEGER PRIMARY KEY);
CREATE TABLE meta (encoder TEXT NOT NULL, source TEXT NOT NULL);
{TABLES}
{TABLE}
PRAGMA user_version = {VERSION};
"""
_REPEATED: Final = 0.5
"""Weight of the logarithm of how often a word stands in a query (chosen by `benchmarks/tuning.py`)."""
_MASKS: Final = 64
"""Filters whose skills are remembered."""
_PAGE: Final = 1 << 14
"""Bytes; posting lists are long, and a list read for the first time is read page by page."""
_BRIEF: Final = 500
"""Characters of a body that an encoder sees: what a skill is for stands at its beginning."""


class Hit(NamedTuple):
    """A skill that was found."""

    name: str
    score: float
    """Higher is better; comparable within one answer only."""


class SearchIndex:
    """Skills by name, searchable. Threads may share one; processes may share its file."""

    def __init__(self, path: Path | None = None, encoder: Encoder | None = None) -> None:
        """Opens the index at `path`, made anew if it is damaged or of another version; None for one in memory.

        Args:
            encoder: Makes the vectors for search by meaning; None for search by words alone. Vectors in the file that
                another encoder made are dropped; `stamps` tells that all skills must be indexed again.

        Raises:
            UserError: the file cannot be read or written.
        """
        self.path = path
        self.encoder = encoder
        self._lock = RLock()
        try:
            self._open()
        except sqlite3.OperationalError as error:
            raise _unusable(path, error) from error
        except sqlite3.DatabaseError:
            self._db.close()
            _delete(path)
            self._open()

    @classmethod
    def of(cls, snapshot: Snapshot, encoder: Encoder | None = None) -> "SearchIndex":
        """An index of a snapshot, in memory."""
        index = cls(None, encoder)
        index.update((skill, "") for skill in snapshot.skills)
        return index

    def __len__(self) -> int:
        with self._reading():
            return self._count

    def stamps(self) -> dict[str, str]:
        """Every name, with the stamp that its skill had when it was indexed; empty where its vector is missing."""
        with self._reading():
            if self.encoder is None:
                return dict(self._db.execute("SELECT name, stamp FROM skills"))
            stamp = "iif(vector IS NULL, '', stamp)"
            return dict(self._db.execute(f"SELECT name, {stamp} FROM skills LEFT JOIN vectors USING (id)"))

    @property
    def source(self) -> str:
        """Where the encoder that made the vectors of this index is found; empty for none."""
        with self._reading():
            row = self._db.execute("SELECT source FROM meta").fetchone()
            return row[0] if row else ""

    def close(self) -> None:
        self._db.close()

    # Changing

    def update(self, changed: Iterable[tuple[Skill, str]], removed: Collection[str] = ()) -> int:
        """Indexes skills, each with a stamp that tells whether it has changed since; returns how many.

        A skill takes the place of the one of its name. Every `BATCH` skills are kept for good, so a killed update can
        be repeated with what is missing.

        Raises:
            UserError: the file cannot be written.
        """
        rest, done = iter(changed), 0
        while batch := {_storable(skill.name): (skill, stamp) for skill, stamp in islice(rest, BATCH)}:
            skills = [skill for skill, _ in batch.values()]
            lists = impacts(skills)
            vectors = None if self.encoder is None else self.encoder.encode([gist(skill) for skill in skills])
            with self._writing():
                self._remove(list(batch))
                first = self._size
                self._db.executemany(
                    "INSERT INTO skills VALUES (?, ?, ?, ?)",
                    [
                        (first + i, name, stamp, json.dumps(facets(skill)))
                        for i, (name, (skill, stamp)) in enumerate(batch.items())
                    ],
                )
                self._segments.add(lists, first, len(skills), self._dead)
                if vectors is not None:
                    self._vectors.add(first, vectors)
                self._size += len(skills)
                self._count += len(skills)
            done += len(skills)
        if removed:
            with self._writing():
                self._remove([_storable(name) for name in removed])
        return done

    def clear(self) -> None:
        """Forgets every skill."""
        with self._lock:
            self._db.close()
            _delete(self.path)
            self._open()

    # Asking

    def weights(self, query: str) -> dict[str, float]:
        """What each term of the query tells, in nats; one that stands there often tells a little more."""
        with self._reading():
            counts = words().count(query[:QUERY_CAP])
            ever = self._count + len(
                self._dead
            )  # removed skills still stand in posting lists, so both sides count them
            return {
                term: rarity(term, self._segments.count(term), ever) * (1 + _REPEATED * math.log(n))
                for term, n in counts.items()
            }

    def search(self, query: str, limit: int = 10, only: Filter = EVERYTHING) -> list[Hit]:
        """Skills that hold words of `query`, best first. Any text is a valid query; one without words finds nothing."""
        if limit <= 0:
            return []
        with self._reading():
            weights = self.weights(query)
            lists = [(weight, found) for term, weight in weights.items() if (found := self._segments[term]) is not None]
            allowed = self._allowed(only)
            ids, scores = best(lists, self._size, limit, allowed)
            pairs = list(zip(ids.tolist(), scores.tolist(), strict=True))
            for id, terms in self._segments.fresh.items():
                score = SCALE * sum(weights[term] * terms[term] for term in terms.keys() & weights.keys())
                if score > 0 and (allowed is None or allowed[id]):
                    pairs.append((id, score))
            return self._hits(sorted(pairs, key=lambda pair: -pair[1])[:limit])

    def nearest(self, query: NDArray[np.float32], limit: int = 10, only: Filter = EVERYTHING) -> list[Hit]:
        """Skills whose vectors have the greatest inner product with `query`, best first; none without an encoder.

        Raises:
            UserError: the library is so large that this needs a package that is not installed.
        """
        if limit <= 0 or self.encoder is None:
            return []
        with self._reading():
            return self._hits(self._vectors.nearest(query, limit, self._allowed(only)))

    def vectors(self, names: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of skills, a row each; zeros for those that have none."""
        with self._reading():
            ids = dict(self._select("name", names, "name, id"))
            return self._vectors[[ids.get(name, -1) for name in names]]

    # Inside; the lock is held

    def _open(self) -> None:
        self._db = sqlite3.connect(
            ":memory:" if self.path is None else self.path, timeout=30, isolation_level=None, check_same_thread=False
        )
        self._db.execute(f"PRAGMA page_size={_PAGE}")  # of a new file
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._create()
        self._check_encoder()
        self._segments = Segments(self._db)
        self._vectors = Vectors(self._db, 0 if self.encoder is None else self.encoder.dimensions, self.path)
        self._load()

    def _create(self) -> None:
        """Makes the tables where there are none; of several processes, one does.

        Raises:
            sqlite3.DatabaseError: the tables are of another version.
        """
        version = "PRAGMA user_version"
        if (found := self._db.execute(version).fetchone()[0]) == 0:
            self._db.execute("BEGIN IMMEDIATE")
            if (found := self._db.execute(version).fetchone()[0]) == 0:
                for statement in _TABLES.split(";"):
                    self._db.execute(statement)
                found = VERSION
            self._db.execute("COMMIT")
        if found != VERSION:
            raise sqlite3.DatabaseError(f"version {found} is not {VERSION}")

    def _check_encoder(self) -> None:
        """Vectors that another encoder made are not comparable, so they go."""
        if self.encoder is None:
            return
        wanted = f"{self.encoder.name} {self.encoder.dimensions}"
        known = self._db.execute("SELECT encoder FROM meta").fetchone()
        if known is None or known[0] != wanted:
            if (graph := graph_file(self.path)) is not None:
                graph.unlink(missing_ok=True)
            self._db.executescript("BEGIN IMMEDIATE; DELETE FROM meta; DELETE FROM vectors;")
            self._db.execute("INSERT INTO meta VALUES (?, ?)", (wanted, self.encoder.source))
            self._db.execute("COMMIT")

    def _load(self) -> None:
        """What is kept in memory, read anew."""
        self._segments.reload()
        self._vectors.reload()
        self._dead = np.array([id for (id,) in self._db.execute("SELECT id FROM dead ORDER BY id")], np.uint32)
        row = self._db.execute("SELECT count(*), coalesce(max(id), 0) + 1 FROM skills").fetchone()
        self._count, self._size = int(row[0]), max(int(row[1]), int(self._dead.max(initial=0)) + 1)
        self._masks: dict[Filter, NDArray[np.bool_] | None] = {}
        self._seen = self._db.execute("PRAGMA data_version").fetchone()[0]

    @contextmanager
    def _reading(self) -> Generator[None]:
        """Alone among threads, in one state of the file whatever other processes do, with their changes known."""
        with self._lock:
            if self._db.in_transaction:  # one question is part of another
                yield
                return
            try:
                self._db.execute("BEGIN")
                if self._db.execute("PRAGMA data_version").fetchone()[0] != self._seen:
                    self._load()
                yield
            except sqlite3.DatabaseError as error:
                raise UserError(
                    f"the search index {self.path} is damaged: {error}", "make it anew: `prowess index --rebuild`"
                ) from error
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    @contextmanager
    def _writing(self) -> Generator[None]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                if self._db.execute("PRAGMA data_version").fetchone()[0] != self._seen:
                    self._load()
                self._masks = {}
                yield
                self._db.execute("COMMIT")
            except BaseException as error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                self._load()
                if isinstance(error, sqlite3.OperationalError):
                    raise _unusable(self.path, error) from error
                raise

    def _remove(self, names: Sequence[str]) -> None:
        ids = [id for (id,) in self._select("name", names, "id")]
        self._db.executemany("DELETE FROM skills WHERE id = ?", [(id,) for id in ids])
        self._db.executemany("INSERT INTO dead VALUES (?)", [(id,) for id in ids])
        self._segments.remove(ids)
        self._vectors.remove(ids)
        self._dead = np.append(self._dead, np.array(ids, np.uint32))
        self._count -= len(ids)

    def _allowed(self, only: Filter) -> NDArray[np.bool_] | None:
        """Which ids may be answered; None for all."""
        if only not in self._masks:
            mask: NDArray[np.bool_] | None = None
            if only != EVERYTHING:
                mask = np.zeros(self._size, np.bool_)
                mask[self._admitted(only)] = True
            elif len(self._dead):
                mask = np.ones(self._size, np.bool_)
                mask[self._dead] = False
            if len(self._masks) >= _MASKS:
                self._masks.clear()
            self._masks[only] = mask
        return self._masks[only]

    def _admitted(self, only: Filter) -> list[int]:
        if only.names is None:
            rows = self._db.execute("SELECT id, facets FROM skills")
            return [id for id, stored in rows if admits(only, stored)]
        named = self._select("name", sorted(only.names), "id, facets")
        return [id for id, stored in named if admits(only, stored)]

    def _hits(self, found: Sequence[tuple[int, float]]) -> list[Hit]:
        names = dict(self._select("id", [id for id, _ in found], "id, name"))
        return [Hit(names[id], score) for id, score in found if id in names]

    def _select(self, column: str, values: Sequence[str] | Sequence[int], wanted: str) -> list[Any]:
        """The columns `wanted` of the skills whose `column` is among `values`, however many these are."""
        found: list[Any] = []
        for start in range(0, len(values), 500):
            some = values[start : start + 500]
            marks = ", ".join("?" * len(some))
            found += self._db.execute(f"SELECT {wanted} FROM skills WHERE {column} IN ({marks})", some).fetchall()
        return found


def listed(skills: Iterable[Skill]) -> Snapshot:
    """Skills as an agent sees them before it reads one: by name and description."""
    return Snapshot.of([Skill(name=skill.name, description=skill.description, body="") for skill in skills])


def gist(skill: Skill) -> str:
    """What an encoder sees of a skill."""
    return f"{skill.name.replace('-', ' ')}. {skill.description}\n{skill.body[:_BRIEF]}"


def _storable(name: str) -> str:
    return name.encode("utf-8", "replace").decode()


def _delete(path: Path | None) -> None:
    for suffix in ("", "-wal", "-shm", "-graph") if path is not None else ():
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def _unusable(path: Path | None, error: Exception) -> UserError:
    return UserError(
        f"the search index {path} cannot be used: {error}",
        "make room on the disk or give yourself write access; no skill is lost, and `prowess index` makes it anew",
    )
