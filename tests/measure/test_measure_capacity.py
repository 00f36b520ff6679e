"""Capacity: the curve is found again where it is known, libraries hold what they must, ways are paired."""

import json
import random

import anyio
import pytest

from prowess.agents.models.scripted import ScriptedModel
from prowess.core.cost import Cost
from prowess.core.errors import ModelError, UserError
from prowess.core.model import Request
from prowess.core.skill import Skill
from prowess.measure.capacity import Case, Way, compare_ways, groups, probe
from prowess.measure.scaling import Group, fit
from prowess.measure.selection import ByModel, ByTree, ByWords, Choice, WordsByTree


def simulated(alpha: float, kappa: float, gamma: float, each: int = 400) -> list[Group]:
    draw = random.Random(3)
    found: list[Group] = []
    for size in (5, 10, 20, 40, 80, 160, 320):
        chance = alpha / (1 + (size / kappa) ** gamma)
        found += [Group(size, sum(draw.random() < chance for _ in range(10)), 10) for _ in range(each // 10)]
    return found


@pytest.mark.parametrize(("alpha", "kappa", "gamma"), [(0.95, 60.0, 2.0), (0.9, 150.0, 4.0), (0.8, 20.0, 1.0)])
def test_a_known_curve_is_found_again(alpha: float, kappa: float, gamma: float) -> None:
    curve = fit(simulated(alpha, kappa, gamma), resamples=60)
    # One draw in twenty lies outside of a 95 % interval; a tenth more is room enough for three fixed draws.
    assert 0.9 * curve.kappa.low <= kappa <= 1.1 * curve.kappa.high
    assert 0.9 * curve.gamma.low <= gamma <= 1.1 * curve.gamma.high
    assert 0.9 * curve.alpha.low <= alpha <= 1.1 * curve.alpha.high
    assert curve.r2 > 0.95 and curve.falls
    assert curve.at(kappa) == pytest.approx(alpha / 2, abs=0.08)


def test_no_fall_is_not_taken_for_a_capacity() -> None:
    assert not fit([Group(n, 10, 10) for n in (5, 10, 20, 40)], resamples=20).falls
    with pytest.raises(UserError, match="2 sizes"):
        fit([Group(5, 1, 1), Group(6, 1, 1)])


POOL = [
    Skill(name=f"{kind}-{kind[0]}{i:02}", description=f"Handles {kind} {kind[0]}{i:02}.", body=f"{kind}\n")
    for kind in ("ledger", "poster", "garden", "video")
    for i in range(15)
]
CASES = [Case(f"please handle {s.name.replace('-', ' ')}", frozenset({s.name})) for s in POOL]


class Spy:
    """Chooses nothing and remembers what it was shown."""

    name = "spy"

    def __init__(self) -> None:
        self.seen: list[tuple[str, tuple[str, ...]]] = []

    async def choose(self, query: str, options: tuple[Skill, ...]) -> Choice:
        self.seen.append((query, tuple(s.name for s in options)))
        return Choice(None)


def test_libraries_have_the_right_size_and_hold_what_is_asked_for() -> None:
    flat, close = Spy(), Spy()
    both = Case("either ledger", frozenset({"ledger-l00", "ledger-l01"}))
    ways = (Way("flat", flat), Way("close", close, look_alikes=2))
    choices = anyio.run(lambda: probe([*CASES, both], POOL, ways, sizes=[4, 12, 40], libraries=6, queries=4))
    assert len(flat.seen) == len(close.seen) == 6 * (1 + 4 + 4)
    golds = {(c.way, c.size, c.library, c.query): c.gold for c in choices}
    assert {k[1:] for k in golds if k[0] == "flat"} == {k[1:] for k in golds if k[0] == "close"}
    for c, (query, names) in zip([c for c in choices if c.way == "close"], close.seen, strict=True):
        assert len(names) == c.size == len(set(names)) and c.gold in names and c.query == query
        kind = c.gold.rpartition("-")[0]
        assert sum(name.startswith(kind) for name in names) >= 3, "two look-alikes came along"
        if query == both.query:
            assert len({"ledger-l00", "ledger-l01"} & set(names)) == 1, "only one right answer is there"
    assert all(c.right is False for c in choices)
    assert sum(g.asked for g in groups(choices, "flat")) == len(flat.seen)


def test_the_same_seed_asks_the_same() -> None:
    async def go(seed: int) -> list[tuple[str, str]]:
        found = await probe(CASES, POOL, (Way("w", ByWords()),), sizes=[10], libraries=2, seed=seed, concurrency=3)
        return [(c.query, str(c.chosen)) for c in found]

    assert anyio.run(go, 1) == anyio.run(go, 1) != anyio.run(go, 2)


def test_look_alikes_cost_a_selector_that_sees_subjects_only() -> None:
    """It knows the kind and takes the first of it, so each look-alike halves its chance."""

    class Kinds:
        name = "kinds"

        async def choose(self, query: str, options: tuple[Skill, ...]) -> Choice:
            kind = next(w for w in query.split() if w in {"ledger", "poster", "garden", "video"})
            return Choice(next((s.name for s in options if s.name.startswith(kind)), None))

    ways = (Way("flat", Kinds()), Way("close", Kinds(), look_alikes=3))
    choices = anyio.run(lambda: probe(CASES, POOL, ways, sizes=[16], libraries=20, queries=3))
    (difference,) = compare_ways(choices, "flat", "close")
    assert difference.effect < -0.2 and difference.high < 0 and difference.p < 0.01


def test_a_model_chooses_from_names_it_was_shown() -> None:
    options = tuple(POOL[:5])
    names = {s.name for s in options}
    answers = [
        json.dumps({"skill": "ledger-l03"}),
        'I think {"skill": "none"}',
        "ledger-l02",
        json.dumps({"skill": "made-up"}),
    ]
    model = ScriptedModel(answers)

    async def go() -> list[str | None]:
        return [(await ByModel(model).choose("x", options)).skill for _ in answers]

    assert anyio.run(go) == ["ledger-l03", None, "ledger-l02", None]
    request = model.requests[0]
    assert request.json_schema is not None
    assert set(request.json_schema["properties"]["skill"]["enum"]) == names | {"none"}  # type: ignore[index,call-overload]
    assert model.requests[0].messages[0] == model.requests[1].messages[0], "one prefix for all requests"


def test_a_model_goes_through_categories() -> None:
    """It picks the category that lists the skill, then the skill; the catalogue is never shown whole."""

    def answer(request: Request) -> str:
        wanted = request.messages[1].content.removeprefix("Request: ")
        shown = request.messages[0].content
        assert shown.count("<skill>") <= 30
        for entry in shown.split("<skill>")[1:]:
            if wanted in entry.replace(",", " ").replace("<", " ").split() or f"<name>{wanted}<" in entry:
                return json.dumps({"skill": entry.split("<name>")[1].split("</name>")[0]})
        return json.dumps({"skill": "none"})

    model = ScriptedModel(answer)
    selector = ByTree(ByModel(model))
    found = [anyio.run(selector.choose, s.name, tuple(POOL)).skill for s in POOL[::7]]
    assert found == [s.name for s in POOL[::7]]
    assert len(model.requests) == 2 * len(found)
    assert selector.name.startswith("tree:model:")


def test_words_go_through_categories_too() -> None:
    found = [anyio.run(WordsByTree().choose, c.query, tuple(POOL)).skill for c in CASES[::7]]
    assert found == [s.name for s in POOL[::7]]
    assert anyio.run(WordsByTree().choose, "zzz", tuple(POOL)).skill is None


def test_a_missing_answer_is_no_wrong_one() -> None:
    def fail(_: Request) -> str:
        raise ModelError("down")

    choices = anyio.run(
        lambda: probe(CASES, POOL, (Way("m", ByModel(ScriptedModel(fail))),), sizes=[5], libraries=1, queries=2)
    )
    assert [c.right for c in choices] == [None, None] and groups(choices, "m") == []
    assert choices[0].cost == Cost()


def test_bad_input_is_refused() -> None:
    def go(cases, pool, sizes):
        return anyio.run(lambda: probe(cases, pool, (Way("w", ByWords()),), sizes=sizes))

    with pytest.raises(UserError, match="no request"):
        go([Case("x", frozenset({"absent"}))], POOL, [5])
    with pytest.raises(UserError, match="out of 60"):
        go(CASES, POOL, [5, 61])
    with pytest.raises(UserError, match="out of 60"):
        go(CASES, POOL, [])
