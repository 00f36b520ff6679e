"""Texts as vectors of their words, so that how alike two skills are is one number, without a model.

Weighted words (1 + log of the count, times idf) hashed into a fixed number of dimensions with signs, so that collisions
cancel on average (Weinberger et al., ICML 2009). Good for texts on one subject to lie near each other; paraphrases
without a common word do not. Anything that gives one vector per text can take its place.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

from prowess.core.skill import Skill

Vectors = npt.NDArray[np.float32]
Embed = Callable[[Sequence[str]], Vectors]
"""One vector of length 1 for each text; the zero vector for a text without words."""

DIMENSIONS: Final = 1024
TEXT_CAP: Final = 20_000
"""Characters of one text that count."""
_BEGINNING: Final = 3_000
_WORD: Final = re.compile(r"[^\W_]{2,40}")
_EMPTY: Final = {
    "an", "and", "any", "are", "as", "at", "be", "been", "being", "but", "by", "can", "could", "do", "does", "each",
    "etc", "every", "for", "from", "has", "have", "how", "if", "in", "into", "is", "it", "its", "may", "more", "most",
    "must", "need", "needs", "no", "not", "of", "on", "or", "other", "should", "skill", "so", "such", "than", "that",
    "the", "their", "them", "then", "there", "these", "they", "this", "those", "through", "to", "use", "used", "user",
    "using", "via", "was", "were", "what", "when", "where", "which", "while", "will", "with", "without", "you", "your",
}  # fmt: skip
"""Words without a subject, and those that descriptions of skills all begin with."""


def lexical(texts: Sequence[str]) -> Vectors:
    """Hashed, weighted words of each text; idf is that of the texts themselves."""
    counted = [Counter(words(text)) for text in texts]
    found = Counter(word for count in counted for word in count)
    # The form of idf that is never negative, and near zero for words that all texts have.
    rarity = {word: math.log1p((len(texts) - n + 0.5) / (n + 0.5)) for word, n in found.items()}
    rows = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
    for row, count in zip(rows, counted, strict=True):
        for word, times in count.items():
            place, sign = _place(word)
            row[place] += sign * (1 + math.log(times)) * rarity[word]
    return unit(rows)


def unit(rows: npt.NDArray[Any]) -> Vectors:
    """Rows of length 1; a row of zeros stays one."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, lengths, out=np.zeros_like(rows, dtype=np.float32), where=lengths > 0)


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


def words(text: str) -> list[str]:
    """Lower-case words of two letters and more without those that every text has; a plural is its singular."""
    return [_singular(word) for word in _WORD.findall(text[:TEXT_CAP].casefold()) if word not in _EMPTY]


def about(skill: Skill) -> str:
    """What an agent sees of a skill: its name, and its description."""
    return f"{skill.name.replace('-', ' ')} {skill.name} {skill.description}"


def subject(skill: Skill) -> str:
    """What a skill deals with: what an agent sees of it, and how its text begins."""
    return f"{about(skill)} {skill.body[:_BEGINNING]}"


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


@lru_cache(maxsize=200_000)
def _place(word: str) -> tuple[int, int]:
    code = crc32(word.encode("utf-8", "replace"))
    return code % DIMENSIONS, 1 if code & 0x8000_0000 else -1
