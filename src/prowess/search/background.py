"""How common each word is in skills at large, so that one skill alone can be searched as sensibly as a million.

All skills share words ("input", "step", "file"), which say nothing about which one fits. A small library cannot tell:
of its one skill, every word is in all of it. So document frequencies are smoothed with those of a background, which
counts for as much as `WEIGHT` skills of the library. `background.tsv` is made by `benchmarks/background.py`.
"""

import math
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Final

WEIGHT: Final = 50.0
"""Skills of the library that the background counts for (chosen on tuning queries: `benchmarks/tuning.py`)."""
_RARE: Final = 0.001
"""Share of skills that a word is taken to be in when the background has not got it."""


@cache
def shares() -> dict[str, float]:
    """Term to the share of skills that have it; only of the commoner terms."""
    lines = files("prowess.search").joinpath("background.tsv").read_text("utf-8").splitlines()
    return {term: float(share) for term, share in (line.split("\t") for line in lines if not line.startswith("#"))}


def rarity(term: str, found: int, skills: int) -> float:
    """What a term tells, in nats, when `found` of `skills` have it: idf of BM25, smoothed with the background.

    Source: S. Robertson and H. Zaragoza, Foundations and Trends in Information Retrieval 3 (2009) 333, in the form
    that is never negative.
    """
    seen = found + WEIGHT * shares().get(term, _RARE)
    return math.log1p((skills + WEIGHT - seen + 0.5) / (seen + 0.5))


def tells(terms: Iterable[str]) -> float:
    """What a text of these terms tells, in nats, by the background alone; one that stands there twice counts once."""
    return sum(rarity(term, 0, 0) for term in set(terms))
