"""Chooses the numbers of search on tuning queries alone, by the mean MRR over datasets.

    python benchmarks/tuning.py [--data FOLDER] [--rounds N]       words: coordinate descent
    python benchmarks/tuning.py --fusion FOLDER [--data FOLDER]    words and the encoder in FOLDER: weights, and ranks

Every kind of dataset counts alike: the five of SRA-Bench together as much as each of the others. What it finds is
written by hand into `prowess.search.scoring`, `background` and `routers`; held-out queries are for
`benchmarks/retrieval.py`.
"""

import argparse
import math
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from corpora import Dataset, data_folder, datasets

from prowess.core.skill import Skill
from prowess.search.background import shares
from prowess.search.encoders import Encoder, open_encoder
from prowess.search.index import SearchIndex
from prowess.search.routers import CANDIDATES, encoded, fused
from prowess.search.scoring import texts
from prowess.search.words import words

FIELDS = ("name", "description", "body")


@dataclass(frozen=True, slots=True)
class Numbers:
    name: float = 3.0
    description: float = 1.5
    body: float = 1.0
    name_b: float = 0.3
    description_b: float = 0.5
    body_b: float = 0.6
    name_length: float = 3
    description_length: float = 15
    body_length: float = 125
    k1: float = 1.6
    background: float = 50
    rare: float = 0.001
    clip: float = 0.0
    """1 for idf cut off at zero, 0 for the form that is never negative."""
    repeat: float = 0.5
    """Weight of the logarithm of how often a word is in the query."""


CHOICES: dict[str, tuple[float, ...]] = {
    "clip": (0, 1),
    "background": (5, 20, 50, 100, 200, 400),
    "rare": (0.0003, 0.001, 0.003),
    "repeat": (0, 0.5, 1),
    "k1": (0.6, 0.9, 1.2, 1.6, 2.2),
    "name": (0.5, 1, 2, 3, 5),
    "description": (0.5, 1, 1.5, 2, 3),
    "name_b": (0, 0.3, 0.6),
    "description_b": (0, 0.25, 0.5, 0.75),
    "body_b": (0.3, 0.45, 0.6, 0.75, 0.9),
    "description_length": (15, 30, 60),
    "body_length": (60, 90, 125, 250, 500, 1000),
}


class Corpus:
    """Counts of a dataset's skills, as arrays a term."""

    def __init__(self, skills: tuple[Skill, ...]) -> None:
        self.names = [skill.name for skill in skills]
        self.lengths = np.zeros((len(FIELDS), len(skills)))
        found: defaultdict[str, list[tuple[int, int, int]]] = defaultdict(list)
        for owner, skill in enumerate(skills):
            for place, field in enumerate(FIELDS):
                counts = words().count(texts(skill)[field])
                self.lengths[place, owner] = counts.total()
                for term, times in counts.items():
                    found[term].append((owner, place, times))
        self.terms: dict[str, Any] = {}
        for term, rows in found.items():
            owners = sorted({owner for owner, _, _ in rows})
            places = {owner: i for i, owner in enumerate(owners)}
            table = np.zeros((len(FIELDS), len(owners)))
            for owner, place, times in rows:
                table[place, places[owner]] = times
            self.terms[term] = np.array(owners), table

    def rank(self, query: dict[str, int], n: Numbers, gold: frozenset[str]) -> float:
        """Reciprocal rank of the first gold skill."""
        scores = np.zeros(len(self.names))
        for term, times in query.items():
            if term not in self.terms:
                continue
            owners, table = self.terms[term]
            skills = len(self.names) + n.background
            seen = len(owners) + n.background * shares().get(term, n.rare)
            odds = (skills - seen + 0.5) / (seen + 0.5)
            idf = max(0.0, math.log(odds)) if n.clip else math.log1p(odds)
            total = np.zeros(len(owners))
            for place, field in enumerate(FIELDS):
                b, length = getattr(n, f"{field}_b"), getattr(n, f"{field}_length")
                total += getattr(n, field) * table[place] / (1 - b + b * self.lengths[place, owners] / length)
            scores[owners] += idf * (1 + n.repeat * math.log(times)) * total / (n.k1 + total)
        return first([self.names[i] for i in np.argsort(-scores, kind="stable")], gold)


def mean_mrr(found: list[tuple[Dataset, Corpus, list[Any]]], numbers: Numbers) -> tuple[float, dict[str, float]]:
    each = {
        dataset.name: float(np.mean([corpus.rank(counts, numbers, gold) for counts, gold in queries]))
        for dataset, corpus, queries in found
    }
    kinds: defaultdict[str, list[float]] = defaultdict(list)
    for name, value in each.items():
        kinds[name.partition("-")[0]].append(value)
    return float(np.mean([np.mean(values) for values in kinds.values()])), each


def fusion(found: list[Dataset], encoder: Encoder, limit: int) -> None:
    """Prints the MRR of words and vectors by weight of the vectors, and by reciprocal rank."""
    weights = (0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 1.0)
    table: defaultdict[str, list[float]] = defaultdict(list)
    for dataset in found:
        index = SearchIndex(None, encoder)
        index.update((skill, "1") for skill in dataset.skills)
        got: defaultdict[str, list[float]] = defaultdict(list)
        for query in [q for q in dataset.of("tune") if q.gold][:limit]:
            words_, near = index.search(query.text, CANDIDATES), index.nearest(encoded(query.text, index), CANDIDATES)
            for weight in weights:
                hits = fused([(1 - weight, words_), (weight, near)], CANDIDATES)
                got[f"{weight}"].append(first([hit.name for hit in hits], query.gold))
            ranks: Counter[str] = Counter()
            for side in (words_, near):
                for place, hit in enumerate(side, 1):
                    ranks[hit.name] += 1 / (60 + place)  # type: ignore[assignment]
            got["ranks"].append(first([name for name, _ in ranks.most_common()], query.gold))
        for name, values in got.items():
            table[name].append(float(np.mean(values)))
        print(dataset.name, {name: round(values[-1], 3) for name, values in table.items()}, flush=True)
    print("mean", {name: round(float(np.mean(values)), 3) for name, values in table.items()})


def first(names: list[str], gold: frozenset[str]) -> float:
    return next((1 / place for place, name in enumerate(names, 1) if name in gold), 0.0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=data_folder())
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--limit", type=int, default=60)
    parser.add_argument("--fusion", default="")
    args = parser.parse_args()
    if args.fusion:
        fusion(datasets(args.data), open_encoder(args.fusion, args.data), args.limit)
        return 0
    known: dict[int, Corpus] = {}
    found: list[tuple[Dataset, Corpus, list[Any]]] = []
    for dataset in datasets(args.data):
        if id(dataset.skills) not in known:  # the sets of SRA share one
            known[id(dataset.skills)] = Corpus(dataset.skills)
        corpus = known[id(dataset.skills)]
        queries = [(words().count(q.text), q.gold) for q in dataset.of("tune") if q.gold][: args.limit]
        found.append((dataset, corpus, queries))
    best = Numbers()
    most, each = mean_mrr(found, best)
    print(f"{most:.4f}", best, {k: round(v, 3) for k, v in each.items()}, flush=True)
    chance = random.Random(0)
    for _ in range(args.rounds):
        for name in chance.sample(list(CHOICES), len(CHOICES)):
            for value in CHOICES[name]:
                tried = replace(best, **{name: value})
                mean, each = mean_mrr(found, tried)
                if mean > most + 0.0005:
                    best, most = tried, mean
                    print(f"{most:.4f} {name} = {value}", {k: round(v, 3) for k, v in each.items()}, flush=True)
    print(best)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
