"""Texts as vectors of their words, so that how alike two skills are is one number, without a model.

Weighted words (1 + log of the count, times what the word tells) hashed into a fixed number of dimensions with signs, so
that collisions cancel on average (Weinberger et al., ICML 2009). Good for texts on one subject to lie near each other;
paraphrases without a common word do not. The `encode` of an encoder can take its place.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final
from zlib import crc32

import numpy as np

from prowess.core.skill import Skill
from prowess.search.background import rarity
from prowess.search.encoders import Vectors, unit
from prowess.search.words import words

Embed = Callable[[Sequence[str]], Vectors]
"""One vector of length 1 for each text; the zero vector for a text without words."""

DIMENSIONS: Final = 1024
TEXT_CAP: Final = 20_000
"""Characters of one text that count."""
_BEGINNING: Final = 3_000


def lexical(texts: Sequence[str]) -> Vectors:
    """Hashed, weighted words of each text; what a word tells depends on the texts, and on the background."""
    counted = [words().count(text[:TEXT_CAP]) for text in texts]
    found = Counter(term for count in counted for term in count)
    telling = {term: rarity(term, n, len(texts)) for term, n in found.items()}
    rows = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
    for row, count in zip(rows, counted, strict=True):
        for term, times in count.items():
            place, sign = _place(term)
            row[place] += sign * (1 + math.log(times)) * telling[term]
    return unit(rows)


def topics(rows: Vectors, dimensions: int = 24) -> Vectors:
    """The same texts by the directions in which they differ most, so that like subjects meet without equal words.

    Latent semantic analysis (Deerwester et al., JASIS 41 (1990) 391), by subspace iteration from a fixed start.
    """
    start = np.random.default_rng(0).standard_normal((len(rows), dimensions)).astype(np.float32)
    basis = _orthonormal(np.einsum("nd,nk->dk", rows, start))
    for _ in range(3):
        basis = _orthonormal(np.einsum("nd,nk->dk", rows, np.einsum("nd,dk->nk", rows, basis)))
    return unit(np.einsum("nd,dk->nk", rows, basis))


def cosines(rows: Vectors, direction: Vectors) -> Vectors:
    """Of each row with `direction`, both of length 1."""
    # Products this small go through einsum and not BLAS: its threads wait for each other far longer than they work
    # where other programs use the processor (measured: a hundred times).
    return np.einsum("nd,d->n", rows, direction)


def centre(rows: Vectors) -> Vectors:
    """The direction in which `rows` point together."""
    return unit(np.asarray(np.mean(rows, axis=0), dtype=np.float32)[None, :])[0]


def cosine(a: Vectors, b: Vectors) -> float:
    """Of two vectors of length 1."""
    return float(cosines(a[None, :], b)[0])


def _orthonormal(columns: Vectors) -> Vectors:
    """The same span by columns of length 1 at right angles (Gram-Schmidt, each column twice for its rounding)."""
    basis = np.zeros_like(columns)
    for k in range(columns.shape[1]):
        column = columns[:, k]
        for _ in range(2):
            column = column - np.einsum("dk,k->d", basis, np.einsum("dk,d->k", basis, column))
        length = float(np.linalg.norm(column))
        basis[:, k] = column / length if length > 1e-6 else 0
    return basis


def about(skill: Skill) -> str:
    """What an agent sees of a skill: its name, and its description."""
    return f"{skill.name} {skill.description}"


def subject(skill: Skill) -> str:
    """What a skill deals with: what an agent sees of it, and how its text begins."""
    return f"{about(skill)} {skill.body[:_BEGINNING]}"


@lru_cache(maxsize=200_000)
def _place(term: str) -> tuple[int, int]:
    code = crc32(term.encode("utf-8", "replace"))
    return code % DIMENSIONS, 1 if code & 0x8000_0000 else -1
