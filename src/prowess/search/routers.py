"""Which skill fits a query: several answers to one question, under one protocol.

`Lexical` goes by words, `Dense` by vectors, `Hybrid` by both, `Learned` by both and by what has worked. A router that
asks a model is in `prowess.agents.rerank`; a learned one is trained in `prowess.search.training`.
"""

import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from prowess.core.errors import UserError
from prowess.search.encoders import Encoder
from prowess.search.filters import Filter
from prowess.search.index import EVERYTHING, Hit, SearchIndex

CANDIDATES: Final = 100
"""Skills that each side of a fusion puts forward."""
MEANING: Final = 0.2
"""Weight of vectors in `Hybrid`; words have the rest (chosen on tuning queries: `benchmarks/tuning.py`)."""


class Router(Protocol):
    """Ranks the skills of an index for a query."""

    @property
    def name(self) -> str: ...

    async def rank(self, query: str, skills: SearchIndex, limit: int = 10, only: Filter = EVERYTHING) -> list[Hit]:
        """The `limit` best skills, best first; scores compare within one answer only."""
        ...


class Ready(ABC):
    """A router that waits for nobody: what serves many at once asks it without an event loop."""

    __slots__ = ()

    @abstractmethod
    def ranked(self, query: str, skills: SearchIndex, limit: int = 10, only: Filter = EVERYTHING) -> list[Hit]:
        """As `rank`."""

    async def rank(self, query: str, skills: SearchIndex, limit: int = 10, only: Filter = EVERYTHING) -> list[Hit]:
        return self.ranked(query, skills, limit, only)


@dataclass(frozen=True, slots=True)
class Lexical(Ready):
    """By words alone: BM25 over weighted fields."""

    name: str = "lexical"

    def ranked(self, query: str, skills: SearchIndex, limit: int = 10, only: Filter = EVERYTHING) -> list[Hit]:
        return skills.search(query, limit, only)


@dataclass(frozen=True, slots=True)
class Dense(Ready):
    """By vectors alone."""

    name: str = "dense"

    def ranked(self, query: str, skills: SearchIndex, limit: int = 10, only: Filter = EVERYTHING) -> list[Hit]:
        return skills.nearest(encoded(query, skills), limit, only)


@dataclass(frozen=True, slots=True)
class Hybrid(Ready):
    """By words and vectors: each side's scores, from 0 for the last of its candidates to 1 for its first, weighted.

    Weighted scores beat reciprocal ranks (G. Cormack, C. Clarke, S. Büttcher, SIGIR 2009) on the tuning queries: words
    that point to one skill alone are lost when only its rank counts.
    """

    meaning: float = MEANING
    name: str = "hybrid"

    def ranked(self, query: str, skills: SearchIndex, limit: int = 10, only: Filter = EVERYTHING) -> list[Hit]:
        words = skills.search(query, CANDIDATES, only)
        near = skills.nearest(encoded(query, skills), CANDIDATES, only)
        return fused([(1 - self.meaning, words), (self.meaning, near)], limit)


@dataclass(frozen=True, slots=True)
class Learned(Ready):
    """By words and by vectors, after a linear map that was trained on which skills helped with which queries.

    Memento-Skills (arXiv 2603.18743) trains the encoder itself; here it stays frozen and the map of the query is
    learned, so that training takes seconds on a CPU and the index stays as it is.
    """

    map: NDArray[np.float32]
    """Of query vectors, square."""
    words: float
    """Weight of the lexical score, which is 1 for the best of a query."""
    encoder: str
    """Name of the encoder that it was trained with."""
    name: str = "learned"

    def ranked(self, query: str, skills: SearchIndex, limit: int = 10, only: Filter = EVERYTHING) -> list[Hit]:
        known = "" if skills.encoder is None else skills.encoder.name
        if known != self.encoder:
            raise UserError(
                f"the learned router was trained with {self.encoder!r}, the index has vectors of {known!r}",
                "train it anew with `prowess router train`, or give the index that encoder",
            )
        mapped = self.map @ encoded(query, skills)
        found = {hit.name: 0.0 for hit in skills.nearest(mapped, CANDIDATES, only)}
        lexical = skills.search(query, CANDIDATES, only)
        top = lexical[0].score if lexical else 1.0
        found |= {hit.name: hit.score / top for hit in lexical}
        names = list(found)
        scores = skills.vectors(names) @ mapped + self.words * np.array([found[name] for name in names], np.float32)
        order = np.argsort(-scores, kind="stable")[:limit]
        return [Hit(names[i], float(scores[i])) for i in order.tolist()]


Best = Lexical | Hybrid | Learned


def best_ready(
    skills: SearchIndex, learned: Path | None = None, note: Callable[[str], None] = lambda said: None
) -> Best:
    """The learned router at `learned` where it fits the index, else words and vectors, else words.

    Args:
        note: Told why a learned router is not used.
    """
    if skills.encoder is None:
        return Lexical()
    if learned is not None and learned.exists():
        try:
            router = load(learned)
        except UserError as error:
            note(f"search without what was learned: {error.message}")
        else:
            if router.encoder == skills.encoder.name:
                return router
    return Hybrid()


def save(router: Learned, path: Path) -> None:
    """Puts a learned router at `path`, at once: a reader sees the old one or the new one."""
    scratch = path.with_suffix(".new")
    with scratch.open("wb") as file:
        np.savez(file, map=router.map, words=np.float32(router.words), encoder=np.array(router.encoder))
    scratch.replace(path)


def load(path: Path) -> Learned:
    """The learned router at `path`; nothing in the file is executed.

    Raises:
        UserError: there is none, or the file is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            found = Learned(file["map"].astype(np.float32), float(file["words"]), str(file["encoder"]))
        if found.map.ndim != 2 or found.map.shape[0] != found.map.shape[1] or not np.isfinite(found.map).all():
            raise ValueError(f"its map has the shape {found.map.shape}, or numbers that are none")
    except FileNotFoundError as error:
        raise UserError(f"there is no learned router at {path}", "make one with `prowess router train`") from error
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"the learned router at {path} cannot be read: {error}", "train it anew") from error
    return found


def encoded(query: str, skills: SearchIndex) -> NDArray[np.float32]:
    """The vector of a query.

    Raises:
        UserError: the index has no encoder.
    """
    encoder: Encoder | None = skills.encoder
    if encoder is None:
        raise UserError("this index knows words alone", "give it vectors: `prowess index --encoder static`")
    return encoder.encode([query])[0]


def fused(sides: Sequence[tuple[float, Sequence[Hit]]], limit: int) -> list[Hit]:
    """Several rankings as one: weighted sums of scores, scaled to 0 for the last of each side and 1 for the first."""
    total: dict[str, float] = {}
    for weight, hits in sides:
        low, high = (hits[-1].score, hits[0].score) if hits else (0.0, 1.0)
        for hit in hits:
            share = (hit.score - low) / (high - low) if high > low else 1.0
            total[hit.name] = total.get(hit.name, 0.0) + weight * share
    order = sorted(total, key=lambda name: -total[name])
    return [Hit(name, total[name]) for name in order[:limit]]
