"""How good rankings are: the measures that the benchmarks of search share."""

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

K = 10
RESAMPLES = 1000


def scores(found: list[str], gold: frozenset[str]) -> dict[str, float]:
    hits = [name in gold for name in found[:K]]
    first = hits.index(True) + 1 if True in hits else 0
    gain = sum(1 / math.log2(place + 2) for place, hit in enumerate(hits) if hit)
    ideal = sum(1 / math.log2(place + 2) for place in range(min(len(gold), K)))
    return {
        **{f"recall@{k}": sum(hits[:k]) / len(gold) for k in (1, 5, 10)},
        "hit@1": float(first == 1),
        "mrr": 1 / first if first else 0.0,
        "ndcg@10": gain / ideal,
    }


def interval(values: Sequence[float], clusters: Sequence[str], seed: int = 0) -> tuple[float, float]:
    """95 % percentile bootstrap of the mean over subjects."""
    groups: defaultdict[str, list[float]] = defaultdict(list)
    for value, cluster in zip(values, clusters, strict=True):
        groups[cluster].append(value)
    totals = np.array([(sum(g), len(g)) for g in groups.values()])
    chance = np.random.default_rng(seed)
    drawn = totals[chance.integers(0, len(totals), (RESAMPLES, len(totals)))].sum(axis=1)
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [0.025, 0.975])
    return float(low), float(high)
