"""From text to terms: words without case, accents and English endings; Chinese and Japanese in pairs of characters.

The stemmer is SQLite's (Porter's of 1980, with the folding of `unicode61`): it is in every Python, and compiled. A word
is stemmed once and remembered, so that reading a text costs little more than splitting it.
"""

import re
import sqlite3
from collections import Counter
from collections.abc import Iterable
from functools import cache
from threading import Lock
from typing import Final, cast

_SPLIT: Final = bytes(c if c >= 128 or chr(c).isalnum() else 32 for c in range(256))
"""Every ASCII character that is no letter or digit parts words; what other characters do is decided once a word."""
_SIGNS: Final = re.compile(rb"\xc2[\x80-\xbf]|\xe2[\x80-\xaf][\x80-\xbf]|\xf0\x9f[\x80-\xbf]{2}")
"""The same for the commonest other signs in UTF-8 (dashes, quotes, bullets, arrows, emoji), only to save time."""
_PIECES: Final = re.compile(r"[^\W_]+")
_IDEOGRAPHS: Final = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")
_WORD_CAP: Final = 40
"""Characters of a longer word that count: beyond this it is a digest or a key, and one query could fill the memory."""
_KNOWN_CAP: Final = 500_000


class Words:
    """Turns words into terms, and remembers. Threads may share it."""

    def __init__(self) -> None:
        self._known: dict[bytes, str | tuple[str, ...]] = {}
        self._lock = Lock()
        self._db = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        stemmer = "tokenize = 'porter unicode61 remove_diacritics 2'"
        self._db.execute(f"CREATE VIRTUAL TABLE words USING fts5(word, columnsize = 0, {stemmer})")
        self._db.execute("CREATE VIRTUAL TABLE stems USING fts5vocab(words, instance)")

    def count(self, text: str) -> Counter[str]:
        """How often each term is in `text`."""
        found: Counter[str] = Counter()
        for term, times in zip(*self.terms(text), strict=True):
            found[term] += times
        return found

    def terms(self, text: str) -> tuple[list[str], list[int]]:
        """Terms in `text` and how often each is there. Words with one stem come apart, to be added up by the caller."""
        data = text.lower().encode("utf-8", "replace").translate(_SPLIT)
        raw = Counter((data if data.isascii() else _SIGNS.sub(b" ", data)).split())
        known = self._known
        try:
            found = list(map(known.__getitem__, raw))
        except KeyError:
            known = self._learn(raw)
            found = list(map(known.__getitem__, raw))
        if tuple not in set(map(type, found)):
            return cast("list[str]", found), list(raw.values())
        pairs = [(t, n) for f, n in zip(found, raw.values(), strict=True) for t in ((f,) if isinstance(f, str) else f)]
        return [t for t, _ in pairs], [n for _, n in pairs]

    def spelt(self, text: str) -> dict[str, str]:
        """The shortest word of `text` for each of its terms: terms are stems, and no words for people."""
        found: dict[str, str] = {}
        for word in set(_PIECES.findall(text.lower())):
            terms = self.terms(word)[0]
            for term in terms:
                shown = word if len(terms) == 1 else term
                if term not in found or (len(shown), shown) < (len(found[term]), found[term]):
                    found[term] = shown
        return found

    def _learn(self, words: Iterable[bytes]) -> dict[bytes, str | tuple[str, ...]]:
        with self._lock:
            if len(self._known) > _KNOWN_CAP:
                self._known = {}
            new = [word for word in words if word not in self._known]
            pieces = {word: _pieces(word.decode()) for word in new}
            stems = self._stems({piece for found in pieces.values() for piece in found})
            for word in new:
                terms = tuple(s for p in pieces[word] for s in stems[p])
                self._known[word] = terms[0] if len(terms) == 1 else terms
            return self._known

    def _stems(self, words: Iterable[str]) -> dict[str, list[str]]:
        """Terms of each word: one, but for words that SQLite splits or has no letters for."""
        rows = list(enumerate(words, 1))
        found: dict[str, list[str]] = {word: [] for _, word in rows}
        self._db.execute("BEGIN")
        try:
            self._db.executemany("INSERT INTO words (rowid, word) VALUES (?, ?)", rows)
            for row, term in self._db.execute("SELECT doc, term FROM stems ORDER BY doc, offset"):
                found[rows[row - 1][1]].append(term)
        finally:
            self._db.execute("ROLLBACK")
        return found


def _pieces(word: str) -> list[str]:
    """The words in a stretch without ASCII signs or blanks."""
    if word.isascii():
        return [word[:_WORD_CAP]]
    found: list[str] = []
    for piece in _PIECES.findall(word):
        at = 0
        for run in _IDEOGRAPHS.finditer(piece):
            found.append(piece[at : run.start()])
            text = run.group()
            found += [text[i : i + 2] for i in range(max(1, len(text) - 1))]
            at = run.end()
        found.append(piece[at:])
    return [piece[:_WORD_CAP] for piece in found if piece]


@cache
def words() -> Words:
    """The one that this process shares."""
    return Words()
