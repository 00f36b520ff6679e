"""Routers agree on one protocol; the learned one learns what worked, and its gradients are right."""

from pathlib import Path

import anyio
import numpy as np
import pytest
from search_parts import Synonyms, skill

from prowess.core.errors import UserError
from prowess.core.skill import Snapshot
from prowess.search.experience import Experience
from prowess.search.index import Hit, SearchIndex
from prowess.search.routers import Dense, Hybrid, Learned, Lexical, Router, fused, load, save
from prowess.search.training import Examples, gradients, loss, train

SHELF = Snapshot.of(
    [
        skill("billing", "Writes a bill for a customer."),
        skill("garage", "Repairs a vehicle."),
        skill("poems", "Writes a poem."),
    ]
)
INDEX = SearchIndex.of(SHELF, Synonyms())


def rank(router: Router, query: str, index: SearchIndex = INDEX, limit: int = 10) -> list[str]:
    return [hit.name for hit in anyio.run(router.rank, query, index, limit)]


def test_words_meaning_and_both() -> None:
    assert rank(Lexical(), "automobile") == []
    assert rank(Dense(), "automobile")[0] == "garage"
    assert rank(Hybrid(), "automobile")[0] == "garage"
    assert rank(Hybrid(), "poem")[0] == "poems"
    assert rank(Hybrid(), "poem", limit=1) == ["poems"]


@pytest.mark.parametrize("router", [Dense(), Hybrid()])
def test_meaning_needs_vectors(router: Router) -> None:
    with pytest.raises(UserError, match="words alone"):
        rank(router, "x", SearchIndex.of(SHELF))


@pytest.mark.parametrize("router", [Lexical(), Dense(), Hybrid()])
def test_an_empty_library(router: Router) -> None:
    assert rank(router, "poem", SearchIndex.of(Snapshot(), Synonyms())) == []


def test_fusion_scales_each_side() -> None:
    words = [Hit("a", 90.0), Hit("b", 80.0), Hit("c", 10.0)]
    meaning = [Hit("b", 0.9), Hit("a", 0.5)]
    assert [hit.name for hit in fused([(0.6, words), (0.4, meaning)], 3)] == ["b", "a", "c"]
    assert fused([(1.0, [])], 3) == [] and fused([(1.0, [Hit("a", 0.0)])], 3) == [Hit("a", 1.0)]


# What has worked


def misleading(count: int = 40) -> tuple[SearchIndex, list[Experience]]:
    """Texts of skills say nothing of the queries that they help with: only the log pairs them."""
    shelf = [skill(f"skill-{i}", f"Tool called t{i} for general work.") for i in range(count)]
    log = [
        Experience(f"please handle topic{i % 10} case{j}x", f"skill-{i % 10}", True)
        for i in range(10)
        for j in range(12)
    ]
    log += [Experience(entry.query, "skill-20", False) for entry in log[:20]]
    return SearchIndex.of(Snapshot.of(shelf), Synonyms(48)), log


def test_it_learns_what_worked() -> None:
    index, log = misleading()
    router = train(index, log, seed=1)
    fresh = [(f"please handle topic{i} casex{j}y", f"skill-{i}") for i in range(10) for j in range(3)]
    before = sum(rank(Hybrid(), query, index, 1) == [name] for query, name in fresh)
    after = sum(rank(router, query, index, 1) == [name] for query, name in fresh)
    assert before <= 8 and after >= 27


def test_equal_seeds_give_equal_routers() -> None:
    index, log = misleading(12)
    one, two = train(index, log, seed=3), train(index, list(reversed(log)), seed=3)
    assert np.allclose(one.map, two.map, atol=1e-5) and one.words == pytest.approx(two.words, abs=1e-5)


def test_gradients_are_those_of_the_loss() -> None:
    chance = np.random.default_rng(0)
    examples = Examples(
        queries=chance.normal(size=(3, 5)) / 5,
        skills=chance.normal(size=(7, 5)) / 5,
        candidates=chance.integers(0, 7, (3, 4)),
        lexical=np.array([[1, 0.5, 0, -np.inf], [1, 0.2, 0.1, 0], [0, 1, 0.3, -np.inf]]),
        helped=np.array([[True, False, False, False], [True, True, False, False], [True, False, False, False]]),
    )
    weights = [np.eye(5), np.array([2.0])]  # the draw to the identity is nought here
    for place, found in enumerate(gradients(weights, examples)):
        for at in np.ndindex(found.shape):
            sides = []
            for step in (1e-5, -1e-5):
                moved = [w.copy() for w in weights]
                moved[place][at] += step
                sides.append(loss(moved, examples))
            assert float(found[at]) == pytest.approx((sides[0] - sides[1]) / 2e-5, abs=1e-5)


def test_too_little_to_learn_from() -> None:
    index, log = misleading(12)
    with pytest.raises(UserError, match="only 0 queries"):
        train(index, [])
    with pytest.raises(UserError, match="only 0 queries"):
        train(index, [Experience(entry.query, "not-in-the-library", True) for entry in log])
    with pytest.raises(UserError, match="needs vectors"):
        train(SearchIndex.of(SHELF), log)


def test_a_router_is_kept_and_told_from_junk(tmp_path: Path) -> None:
    path = tmp_path / "router.npz"
    router = Learned(np.eye(64, dtype=np.float32), 0.3, "synonyms")
    save(router, path)
    again = load(path)
    assert rank(again, "automobile") == rank(router, "automobile") and again.words == pytest.approx(0.3)
    with pytest.raises(UserError, match="there is no learned router"):
        load(tmp_path / "absent.npz")
    for junk in (b"", b"PK\3\4 broken", path.read_bytes()[:200]):
        path.write_bytes(junk)
        with pytest.raises(UserError, match="cannot be read"):
            load(path)
    save(Learned(np.full((2, 3), np.nan, np.float32), 0.3, "synonyms"), path)
    with pytest.raises(UserError, match="cannot be read"):
        load(path)


def test_a_router_of_another_encoder_is_refused() -> None:
    with pytest.raises(UserError, match="was trained with 'other'"):
        rank(Learned(np.eye(64, dtype=np.float32), 0.3, "other"), "x")
