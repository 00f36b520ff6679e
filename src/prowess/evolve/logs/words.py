"""Words of a text, and how alike two bags of words are. Lexical on purpose: every similarity can be explained."""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from prowess.evolve.logs.vocabulary import STOP

Vector = dict[str, float]
"""Weight by word; of length one."""

_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+|[^\W\d_a-zA-Z]+")
_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_LOOKED_UP = 8
"""Words of a vector, heaviest first, by which its candidates are found."""


def words(text: str) -> list[str]:
    """The words of `text` in lower case and without endings, stop words left out.

    Names of code fall apart into their words; a run of Chinese, Japanese or Korean into pairs of signs.
    """
    found: list[str] = []
    for part in _PART.findall(unicodedata.normalize("NFKC", text)):
        if _WIDE.match(part):
            found += [part[i : i + 2] for i in range(max(1, len(part) - 1))]
            continue
        word = part.lower()
        if word not in STOP and (len(word) > 1 or not word.isalnum()) and not (word.isdigit() and len(word) > 4):
            found.append(stem(word))
    return found


def stem(word: str) -> str:
    """`word` without the commonest English endings, so that `replaces` and `replacing` are one word."""
    if len(word) <= 3 or not word.isascii():
        return word
    for ending in ("ations", "ation", "ings", "ing", "edly", "ies", "ied", "ers", "ed", "es", "er", "ly", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word[: -len(ending)] + ("y" if ending in ("ies", "ied") else "")
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "ls":
        word = word[:-1]
    return word[:-1] if len(word) > 4 and word.endswith("e") else word


def rarity(documents: Iterable[Iterable[str]]) -> dict[str, float]:
    """How much a word says: the logarithm of one plus documents over documents that hold it (TF-IDF's second half)."""
    seen: Counter[str] = Counter()
    n = 0
    for document in documents:
        seen.update(set(document))
        n += 1
    return {word: math.log(1 + n / count) for word, count in seen.items()}


def vector(counts: Mapping[str, float], weights: Mapping[str, float]) -> Vector:
    """The TF-IDF vector of a bag of words; words that `weights` lacks count as the rarest. Empty for no words."""
    rarest = max(weights.values(), default=1.0)
    raw = {word: (1 + math.log(max(1.0, n))) * weights.get(word, rarest) for word, n in counts.items()}
    length = math.sqrt(sum(value * value for value in raw.values()))
    return {word: value / length for word, value in raw.items()} if length else {}


def cosine(one: Vector, other: Vector) -> float:
    """0 for nothing shared, 1 for the same mix of words."""
    if len(other) < len(one):
        one, other = other, one
    return sum(weight * other[word] for word, weight in one.items() if word in other)


def cluster(vectors: Sequence[Vector], threshold: float) -> list[list[int]]:
    """Indices of like vectors together, in the order of their first member.

    Each vector joins the cluster whose mean is most like it, if the cosine is `threshold` or more, else it founds one;
    then clusters whose means are that much alike are joined in the same way. Deterministic, nearly linear.
    """
    first = _pass(vectors, [1.0] * len(vectors), threshold)
    means = [_mean([vectors[i] for i in members]) for members in first]
    second = _pass([mean for mean, _ in means], [length for _, length in means], threshold)
    joined = [sorted(i for c in clusters for i in first[c]) for clusters in second]
    return sorted(joined, key=lambda members: members[0])


def _pass(vectors: Sequence[Vector], lengths: Sequence[float], threshold: float) -> list[list[int]]:
    sums: list[Vector] = []
    squares: list[float] = []
    clusters: list[list[int]] = []
    holders: dict[str, list[int]] = {}
    for index, (own, length) in enumerate(zip(vectors, lengths, strict=True)):
        heaviest = sorted(own, key=lambda w: (-own[w], w))[:_LOOKED_UP]
        candidates = {c for word in heaviest for c in holders.get(word, ())}
        best, similarity = -1, 0.0
        for c in sorted(candidates):
            found = cosine(own, sums[c]) / math.sqrt(squares[c])
            if found > similarity + 1e-12:
                best, similarity = c, found
        if best < 0 or similarity < threshold:
            best = len(clusters)
            sums.append({})
            squares.append(0.0)
            clusters.append([])
        dot = cosine(own, sums[best])
        squares[best] += length * length + 2 * length * dot
        total = sums[best]
        for word, weight in own.items():
            if word not in total:
                holders.setdefault(word, []).append(best)
                total[word] = 0.0
            total[word] += length * weight
        clusters[best].append(index)
    return clusters


def _mean(vectors: Sequence[Vector]) -> tuple[Vector, float]:
    """The direction of the sum of `vectors`, and the length of that sum."""
    total: Vector = {}
    for own in vectors:
        for word, weight in own.items():
            total[word] = total.get(word, 0.0) + weight
    length = math.sqrt(sum(weight * weight for weight in total.values()))
    return ({word: weight / length for word, weight in total.items()} if length else {}), length
