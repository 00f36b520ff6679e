"""How well skills hold the words of a query: BM25 over weighted fields, as arrays.

A term's weight in a skill (its *impact*) depends on that skill alone: fields are normalised by fixed typical lengths,
not by averages over the library. So a skill is indexed once, in one byte a term, whatever is added or removed around
it; what a term tells (`prowess.search.background`) is looked up when a query comes.

Source: S. Robertson, H. Zaragoza, M. Taylor, CIKM 2004 (BM25 with weighted fields); impacts in one byte as in V. Anh,
O. de Kretser, A. Moffat, SIGIR 2001.
"""

from array import array
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prowess.core.skill import Skill
from prowess.search.words import words

Ids = NDArray[np.uint32]
Impacts = NDArray[np.uint8]


class Field(NamedTuple):
    weight: float
    length: float
    """Words beyond which a field is discounted, and below which it gains."""
    b: float
    """How much longer fields are discounted, 0 to 1."""


FIELDS: Final = {
    "name": Field(3.0, 3, 0.3),
    "description": Field(1.5, 15, 0.5),
    "body": Field(1.0, 125, 0.6),
}
"""Chosen, as is `K1`, on tuning queries by `benchmarks/tuning.py`."""
K1: Final = 1.6
"""Where repetition stops to count."""
SCALE: Final = (K1 + 1) / 255
"""Of one unit of impact."""
BODY_CAP: Final = 200_000
"""Characters of a skill's texts that are indexed."""
ADD_CAP: Final = 100_000
"""Entries of posting lists that one query adds up before it turns to its best candidates."""
_COMMON: Final = 8
"""Skills for each one that holds a term, up to which its list is spread out."""
POOL: Final = 500
"""Candidates for which the commonest terms are looked up."""


class Postings(NamedTuple):
    """The skills that hold one term, ascending, and how much."""

    ids: Ids
    impacts: Impacts

    @property
    def size(self) -> int:
        """How many skills these are."""
        return len(self.ids)

    @property
    def nbytes(self) -> int:
        return self.ids.nbytes + self.impacts.nbytes

    def add(self, scores: NDArray[np.float32], weight: np.float32) -> None:
        """Adds `weight` times the impacts to the scores of all skills."""
        scores[self.ids] += self.impacts * weight

    def at(self, ids: Ids) -> Impacts:
        """The impacts in these skills, 0 where the term is not."""
        places = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        return np.where(self.ids[places] == ids, self.impacts[places], np.uint8(0))

    def laid_out(self) -> "Postings | Spread":
        """The same, spread out if the term is common."""
        end = int(self.ids[-1]) + 2
        if len(self.ids) * _COMMON < end:
            return self
        dense = np.zeros(end, np.uint8)
        dense[self.ids] = self.impacts
        return Spread(dense, len(self.ids))


class Spread(NamedTuple):
    """The same of a common term, by id: less memory, and quicker to look up and to add."""

    dense: Impacts
    """0 for skills without the term, and at the end."""
    size: int

    @property
    def ids(self) -> Ids:
        return np.flatnonzero(self.dense).astype(np.uint32)

    @property
    def nbytes(self) -> int:
        return self.dense.nbytes

    def add(self, scores: NDArray[np.float32], weight: np.float32) -> None:
        end = min(len(scores), len(self.dense))
        scores[:end] += self.dense[:end] * weight

    def at(self, ids: Ids) -> Impacts:
        return self.dense.take(ids, mode="clip")


def texts(skill: Skill) -> dict[str, str]:
    """What of a skill is indexed, by field: text files count as body."""
    files = [file.text for file in skill.files if file.path.endswith((".md", ".txt"))]
    body = "\n".join([skill.body, *files]) if files else skill.body
    return {"name": skill.name, "description": skill.description, "body": body[:BODY_CAP]}


def impacts(skills: Iterable[Skill]) -> dict[str, Postings]:
    """Posting lists of `skills`, which are numbered from 0."""
    numbers: dict[str, int] = {}
    terms, times, lengths, shares = array("I"), array("I"), array("I"), array("f")
    for skill in skills:
        for name, text in texts(skill).items():
            field, (found, often) = FIELDS[name], words().terms(text)
            try:
                terms.extend(map(numbers.__getitem__, found))
            except KeyError:
                del terms[len(times) :]
                terms.extend([numbers.setdefault(term, len(numbers)) for term in found])
            times.extend(often)
            lengths.append(len(found))
            shares.append(field.weight / (1 - field.b + field.b * sum(often) / field.length))
    sizes = np.asarray(lengths)
    owners = np.repeat(np.arange(len(sizes), dtype=np.uint64) // len(FIELDS), sizes)
    weights = np.asarray(times, np.float32) * np.repeat(np.asarray(shares), sizes)
    return _lists(list(numbers), np.asarray(terms), owners, weights)


def _lists(names: list[str], terms: Any, owners: Any, weights: Any) -> dict[str, Postings]:
    """Entries sorted by term and skill, the fields of one skill added up."""
    if not names:
        return {}
    keys = terms.astype(np.uint64) << np.uint64(32) | owners
    order = np.argsort(keys)
    keys = keys[order]
    first = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
    weights, keys = np.add.reduceat(weights[order], first), keys[first]
    packed = np.clip(np.rint(weights / (K1 + weights) * 255), 1, 255).astype(np.uint8)
    ids = (keys & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    ends = np.searchsorted(keys, np.arange(len(names) + 1, dtype=np.uint64) << np.uint64(32))
    return {name: Postings(ids[ends[i] : ends[i + 1]], packed[ends[i] : ends[i + 1]]) for i, name in enumerate(names)}


def best(
    lists: Sequence[tuple[float, Postings | Spread]], size: int, limit: int, allowed: NDArray[np.bool_] | None = None
) -> tuple[Ids, NDArray[np.float32]]:
    """The `limit` ids below `size` with the highest sums of weight times impact, best first; equal ones by id.

    Rare terms are added up for all skills; once that took `ADD_CAP` steps, the commoner terms are looked up only for
    the `POOL` best so far. In small libraries the answer is exact; in large ones, what it can miss is a skill that is
    carried by common words alone.

    Args:
        lists: For each term what it tells, and its posting list.
        allowed: Ids that may be answered; None for all.
    """
    ordered = sorted(lists, key=lambda pair: pair[1].size)
    scores = np.zeros(size, np.float32)
    spent, at = 0, 0
    while at < len(ordered) and (spent == 0 or spent + ordered[at][1].size <= ADD_CAP):
        weight, postings = ordered[at]
        postings.add(scores, np.float32(weight * SCALE))
        spent += postings.size
        at += 1
    if allowed is not None:
        scores[~allowed] = 0
    pool = _top(scores, max(limit, POOL) if at < len(ordered) else limit, [p for _, p in ordered[:at]])
    found = scores[pool]
    for weight, postings in ordered[at:]:
        found += postings.at(pool) * np.float32(weight * SCALE)
    order = np.lexsort((pool, -found))[:limit]
    return pool[order], found[order]


def _top(scores: NDArray[np.float32], limit: int, seen: Sequence[Postings | Spread]) -> Ids:
    """At least the `limit` highest positive scores (all that tie with the last included), in no order.

    A bound comes from the skills of the rarest terms, so that the whole array is compared once and never sorted.
    """
    bound = np.float32(0)
    sample: list[Ids] = []
    for postings in seen:
        sample.append(postings.ids)
        if sum(map(len, sample)) >= 4 * limit:
            together = np.sort(np.concatenate(sample))  # `np.unique` takes several times as long
            some = scores[together[np.flatnonzero(np.r_[True, together[1:] != together[:-1]])]]
            if len(some) >= limit:
                bound = np.partition(some, -limit)[-limit]
                break
    found = np.flatnonzero(scores >= bound if bound > 0 else scores > 0)
    if len(found) > limit:
        cut = np.partition(scores[found], -limit)[-limit]
        found = found[scores[found] >= cut]
    return found.astype(np.uint32)
