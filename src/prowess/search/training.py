"""Trains the learned router: which skills helped with which queries, told apart from those that did not.

One step of offline reinforcement learning, as in Memento-Skills (arXiv 2603.18743, section on the router): the score of
a skill is its value, the softmax over skills the policy, and the loss the multi-positive InfoNCE

    L = -log( sum over helpers of exp(score) / sum over helpers and others of exp(score) )

with as others the skills that failed on the query and those that the untrained router ranks high without a success.
Score is (A q) . s / T + w * lexical, with frozen vectors q and s; A starts at the identity and is drawn back to it.
Nothing here decides whether the result is used: `prowess.measure.routing` does.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

import numpy as np
from numpy.typing import NDArray

from prowess.core.errors import UserError
from prowess.search.experience import Experience
from prowess.search.index import SearchIndex
from prowess.search.routers import Learned

TEMPERATURE: Final = 0.05
"""What cosines are divided by; the usual value for contrastive training on unit vectors."""
_OTHERS: Final = 48
"""Skills without success that are set against the helpers of one query."""
_STEPS: Final = 400
_BATCH: Final = 64
_RATES: Final = (3e-3, 0.1)
"""Of learning: for the map, and for the weight of words, which moves on another scale."""
_DRAW: Final = 1e-3
"""How strongly the map is drawn to the identity."""
_CHECK: Final = 25
"""Steps between looks at the queries that are kept back to choose when to stop."""
_KEPT_BACK: Final = 0.15
_FEWEST: Final = 10

Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Examples:
    """Queries, each with as many candidates; rows are queries."""

    queries: Rows
    skills: Rows
    """One for each skill that is a candidate anywhere."""
    candidates: NDArray[np.intp]
    """Rows of `skills`."""
    lexical: Rows
    """Scores by words of the candidates, 1 for the best; minus infinity where there are fewer candidates."""
    helped: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.queries)

    def __getitem__(self, rows: NDArray[np.intp]) -> "Examples":
        return Examples(self.queries[rows], self.skills, self.candidates[rows], self.lexical[rows], self.helped[rows])


def train(skills: SearchIndex, log: Iterable[Experience], seed: int = 0) -> Learned:
    """A router for `skills` from what is known of them; equal logs and seeds give equal routers.

    Raises:
        UserError: the index has no vectors, or fewer than ten queries have a skill that helped.
    """
    if skills.encoder is None:
        raise UserError("a learned router needs vectors", "give the index some: `prowess index --encoder static`")
    examples = examples_of(skills, log)
    if len(examples) < _FEWEST:
        raise UserError(
            f"only {len(examples)} queries have a skill in this library that helped; {_FEWEST} are needed",
            "run more tasks, or import more sessions",
        )
    chance = np.random.default_rng(seed)
    order = chance.permutation(len(examples))
    kept_back = examples[order[: max(1, int(_KEPT_BACK * len(order)))]]
    used = examples[order[len(kept_back) :]]
    weights = [np.eye(skills.encoder.dimensions, dtype=np.float32), np.full((1,), 0.3 / TEMPERATURE, np.float32)]
    first, second = [np.zeros_like(w) for w in weights], [np.zeros_like(w) for w in weights]
    best, least = [w.copy() for w in weights], loss(weights, kept_back)
    for step in range(1, _STEPS + 1):
        batch = used[chance.choice(len(used), min(_BATCH, len(used)), replace=False)]
        for place, gradient in enumerate(gradients(weights, batch)):  # Adam (D. Kingma and J. Ba, ICLR 2015)
            first[place] += 0.1 * (gradient - first[place])
            second[place] += 0.001 * (gradient**2 - second[place])
            move = (first[place] / (1 - 0.9**step)) / (np.sqrt(second[place] / (1 - 0.999**step)) + 1e-8)
            weights[place] -= _RATES[place] * move
        if step % _CHECK == 0 and (found := loss(weights, kept_back)) < least:
            best, least = [w.copy() for w in weights], found
    return Learned(map=best[0], words=float(best[1][0]) * TEMPERATURE, encoder=skills.encoder.name)


def examples_of(skills: SearchIndex, log: Iterable[Experience]) -> Examples:
    """The queries with a skill of the index that helped: its helpers, what failed, and what ranks high beside them."""
    helped: defaultdict[str, set[str]] = defaultdict(set)
    failed: defaultdict[str, set[str]] = defaultdict(set)
    known = skills.stamps()
    for entry in log:
        if entry.helped is not None and entry.skill in known:
            (helped if entry.helped else failed)[entry.query].add(entry.skill)
    assert skills.encoder is not None
    queries = sorted(helped)
    rows = skills.encoder.encode(queries)
    numbers: dict[str, int] = {}
    candidates = np.zeros((len(queries), 2 * _OTHERS), np.intp)
    lexical = np.full(candidates.shape, -np.inf, np.float32)
    good = np.zeros(candidates.shape, np.bool_)
    for i, query in enumerate(queries):
        words = skills.search(query, _OTHERS)
        scores = {hit.name: hit.score / words[0].score for hit in words}
        near = [hit.name for hit in skills.nearest(rows[i], _OTHERS)]
        hard = [name for pair in zip_longest([hit.name for hit in words], near) for name in pair if name is not None]
        others = [n for n in dict.fromkeys([*sorted(failed[query]), *hard]) if n not in helped[query]][:_OTHERS]
        names = [*sorted(helped[query])[:_OTHERS], *others]
        candidates[i, : len(names)] = [numbers.setdefault(name, len(numbers)) for name in names]
        lexical[i, : len(names)] = [scores.get(name, 0.0) for name in names]
        good[i, : len(names) - len(others)] = True
    return Examples(rows, skills.vectors(list(numbers)), candidates, lexical, good)


def loss(weights: Sequence[Rows], examples: Examples) -> float:
    """Mean InfoNCE."""
    return float(np.mean(_policies(weights, examples)[2]))


def gradients(weights: Sequence[Rows], examples: Examples) -> tuple[Rows, Rows]:
    """Of the mean loss, and of what draws the map to the identity: for the map, and for the weight of words."""
    everything, good, _ = _policies(weights, examples)
    pull = (everything - good) / len(examples)
    moved = np.einsum("qc,qcd->qd", pull, examples.skills[examples.candidates])
    of_map = moved.T @ examples.queries / TEMPERATURE
    of_words = np.sum(pull * np.where(np.isfinite(examples.lexical), examples.lexical, 0))
    drawn = 2 * _DRAW * (weights[0] - np.eye(len(weights[0]), dtype=np.float32))
    return (of_map + drawn).astype(np.float32), np.array([of_words], np.float32)


def _policies(weights: Sequence[Rows], examples: Examples) -> tuple[Rows, Rows, Rows]:
    """The policy over all candidates, the policy over the helpers alone, and the loss of each query."""
    mapped = examples.queries @ weights[0].T
    logits = np.einsum("qd,qcd->qc", mapped, examples.skills[examples.candidates]) / TEMPERATURE
    there = np.isfinite(examples.lexical)
    logits = np.where(there, logits + weights[1][0] * np.where(there, examples.lexical, 0), -np.inf)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    good = np.where(examples.helped, odds, 0)
    total, of_good = odds.sum(axis=1, keepdims=True), good.sum(axis=1, keepdims=True)
    of_good = np.maximum(of_good, np.finfo(np.float32).tiny)
    return odds / total, good / of_good, (np.log(total) - np.log(of_good))[:, 0]
