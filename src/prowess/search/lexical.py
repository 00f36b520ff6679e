"""Lexical search over a snapshot: names weigh most, then descriptions, then bodies and text files.

Ranking is BM25 over fields, by SQLite's FTS5 (Robertson et al., Okapi at TREC-3), in memory. It finds words and their
English stems, not meanings, and takes an unspaced run of Chinese or Japanese for one word.
"""

import re
import sqlite3
from dataclasses import dataclass
from threading import Lock
from typing import Final

from prowess.core.skill import Skill, Snapshot

_WEIGHTS: Final = (8.0, 4.0, 1.0)
"""Of name, description and body. A name says most per word; bodies mention much that they are not about."""
_WORDS_CAP: Final = 32
_BODY_CAP: Final = 200_000


@dataclass(frozen=True, slots=True)
class Hit:
    """A skill that holds words of the query."""

    name: str
    score: float
    """Higher is better; comparable within one answer only."""
    snippet: str
    """The best stretch of text, on one line, with the words found in square brackets."""


class LexicalIndex:
    """The words of one snapshot. Make it once where many queries follow; threads may share it."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._db = sqlite3.connect(":memory:", check_same_thread=False)
        self._lock = Lock()
        self._db.execute(
            "CREATE VIRTUAL TABLE skills USING fts5"
            "(name UNINDEXED, title, description, body, tokenize = 'porter unicode61 remove_diacritics 2')"
        )
        self._db.executemany("INSERT INTO skills VALUES (?, ?, ?, ?)", [_row(skill) for skill in snapshot.skills])

    def search(self, query: str, limit: int = 10) -> list[Hit]:
        """Skills that hold at least one word of `query`, best first; equal scores by name.

        Any text is a valid query: signs are not operators. A query without words finds nothing.
        """
        words = list(dict.fromkeys(re.findall(r"\w+", _clean(query).casefold())))[:_WORDS_CAP]
        # Words hold no quotes, so quoting them makes every one a plain term.
        match = " OR ".join(f'"{word}"' for word in words)
        if not match or limit <= 0:
            return []
        with self._lock:
            rows = self._db.execute(
                "SELECT name, -bm25(skills, 0.0, ?, ?, ?) AS score, snippet(skills, -1, '[', ']', '…', 16) FROM skills"
                " WHERE skills MATCH ? ORDER BY score DESC, name LIMIT ?",
                (*_WEIGHTS, match, limit),
            ).fetchall()
        return [Hit(name, float(score), " ".join(str(snippet).split())) for name, score, snippet in rows]


def search(snapshot: Snapshot, query: str, limit: int = 10) -> list[Hit]:
    """One query, as `LexicalIndex.search`."""
    return LexicalIndex(snapshot).search(query, limit)


def _row(skill: Skill) -> tuple[str, str, str, str]:
    texts = [skill.body, *(file.text for file in skill.files if file.path.endswith((".md", ".txt")))]
    clean = [_clean(text) for text in (skill.name, skill.name.replace("-", " "), skill.description, "\n".join(texts))]
    return clean[0], clean[1], clean[2], clean[3][:_BODY_CAP]


def _clean(text: str) -> str:
    """Text that SQLite can store: no NUL, no lone surrogates."""
    return text.replace("\0", " ").encode("utf-8", "replace").decode()
