"""Scripted answers, budgets, the cache and cassettes."""

import subprocess
import sys
import time
from pathlib import Path

import anyio
import pytest

from prowess.agents.models import open_model
from prowess.agents.models.cache import Cached
from prowess.agents.models.calls import Paid
from prowess.agents.models.meter import Budget, Meter, Metered
from prowess.agents.models.recorder import Recorder, Replayer
from prowess.agents.models.scripted import ScriptedModel
from prowess.core.cost import Cost
from prowess.core.errors import BudgetExceeded, ModelError, UserError
from prowess.core.model import Message, Model, Request, Response

PRICE = Cost(calls=1, prompt_tokens=10, cached_tokens=4, completion_tokens=5, seconds=2.0, usd=0.5)


def said(text: str, **more: object) -> Request:
    return Request.model_validate({"messages": (Message(role="user", content=text),), "max_tokens": 20} | more)


def paid(request: Request) -> Response:
    return Response(text=request.messages[-1].content.upper(), model="m", cost=PRICE)


def ask(model: Model, text: str = "hi", **more: object) -> Response:
    return anyio.run(model.complete, said(text, **more))


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys, prowess.agents.models as m; m.open_model; "
        "bad = {'openai', 'anthropic', 'xllamacpp', 'platformdirs'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


@pytest.mark.parametrize("spec", ["", "gpt", "nope:x", "openai", "openai:", "scripted:", "embedded:nope"])
def test_an_unusable_spec_is_a_user_error(spec: str) -> None:
    with pytest.raises(UserError):
        open_model(spec)


def test_scripted_answers_in_order_and_then_ends(tmp_path: Path) -> None:
    file = tmp_path / "answers.json"
    file.write_text('["one", "two"]')
    model = open_model(f"scripted:{file}")
    assert [ask(model).text, ask(model).text] == ["one", "two"]
    with pytest.raises(ModelError, match="no more answers"):
        ask(model)
    assert model.name == ScriptedModel(["one", "two"]).name != ScriptedModel(["one"]).name


@pytest.mark.parametrize("text", ["", "{}", "[1]", "["])
def test_a_bad_script_is_a_user_error(text: str, tmp_path: Path) -> None:
    file = tmp_path / "answers.json"
    file.write_text(text)
    with pytest.raises(UserError):
        open_model(f"scripted:{file}")


def test_scripted_takes_microseconds() -> None:
    model = ScriptedModel(lambda request: "ok")
    request = said("hi")

    async def many() -> float:
        start = time.perf_counter()
        for _ in range(1000):
            await model.complete(request)
        return time.perf_counter() - start

    assert min(anyio.run(many) for _ in range(3)) < 0.1  # 100 µs each, on a busy machine too


@pytest.mark.parametrize(
    ("budget", "answered"),
    [
        (Budget(calls=3), 3),
        (Budget(usd=1.2), 3),
        (Budget(seconds=4.0), 2),
        (Budget(tokens=70), 3),  # 15 each, and a call may need 1 + 16 + 20
        (Budget(), 10),
    ],
)
def test_a_budget_stops_before_the_call(budget: Budget, answered: int) -> None:
    seen: list[Cost] = []
    inner = ScriptedModel(paid)
    model = Metered(inner, Meter(budget, progress=seen.append))

    def run() -> None:
        for _ in range(10):
            ask(model)

    if answered < 10:
        with pytest.raises(BudgetExceeded, match="raise the limit"):
            run()
    else:
        run()
    assert len(inner.requests) == answered == model.spent.calls
    assert [cost.calls for cost in seen] == list(range(1, answered + 1))


def test_a_price_known_beforehand_is_reserved() -> None:
    class Priced(ScriptedModel):
        def bound(self, request: Request) -> Cost:
            return Cost(calls=1, usd=0.5)

    inner = Priced(paid)
    model = Metered(inner, Budget(usd=1.2))
    ask(model)
    ask(model)
    with pytest.raises(BudgetExceeded, match="usd: 1 spent"):
        ask(model)
    assert len(inner.requests) == 2


def test_calls_in_flight_cannot_overshoot() -> None:
    class Slow(ScriptedModel):
        async def complete(self, request: Request) -> Response:
            await anyio.sleep(0.01)
            return await super().complete(request)

    inner = Slow(paid)
    model = Metered(inner, Budget(calls=5))
    stopped: list[int] = []

    async def one() -> None:
        try:
            await model.complete(said("hi"))
        except BudgetExceeded:
            stopped.append(1)

    async def all_at_once() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(one)

    anyio.run(all_at_once)
    assert len(inner.requests) == 5 and len(stopped) == 15


def test_failed_and_cancelled_calls_are_counted_once() -> None:
    def fail(request: Request) -> str:
        if request.messages[0].content == "paid":
            raise Paid("refused", PRICE)
        raise ModelError("down")

    model = Metered(ScriptedModel(fail), Budget(calls=3))
    for text in ("down", "paid"):
        with pytest.raises(ModelError):
            ask(model, text)
    assert model.spent == Cost(calls=1) + PRICE

    class Stuck(ScriptedModel):
        async def complete(self, request: Request) -> Response:
            await anyio.sleep_forever()
            raise AssertionError

    stuck = Metered(Stuck([]), model.meter)

    async def cancelled() -> None:
        with anyio.move_on_after(0.01):
            await stuck.complete(said("hi"))

    anyio.run(cancelled)
    assert model.spent.calls == 3
    with pytest.raises(BudgetExceeded):
        ask(model)


def test_a_kept_answer_costs_nothing_even_in_another_process(tmp_path: Path) -> None:
    inner = ScriptedModel(paid, name="m")
    first = ask(Cached(inner, tmp_path / "cache"))
    again = Cached(ScriptedModel([], name="m"), tmp_path / "cache")
    second = ask(again)
    assert first.cost == PRICE and second.cost == Cost()
    assert second.model_copy(update={"cost": PRICE}) == first
    assert (again.hits, again.misses, again.saved) == (1, 0, PRICE)


def test_another_seed_or_model_is_asked_anew(tmp_path: Path) -> None:
    inner = ScriptedModel(paid, name="m")
    model = Cached(inner, tmp_path / "cache")
    ask(model)
    ask(model, seed=1)
    other = ScriptedModel(paid, name="n")
    ask(Cached(other, tmp_path / "cache"))
    assert len(inner.requests) == 2 and len(other.requests) == 1


def test_a_kept_answer_comes_when_the_budget_is_spent(tmp_path: Path) -> None:
    model = Cached(Metered(ScriptedModel(paid), Budget(calls=1)), tmp_path / "cache")
    ask(model)
    assert ask(model).text == "HI"
    with pytest.raises(BudgetExceeded):
        ask(model, "other")


def test_equal_requests_in_flight_are_paid_once(tmp_path: Path) -> None:
    class Slow(ScriptedModel):
        async def complete(self, request: Request) -> Response:
            await anyio.sleep(0.02)
            return await super().complete(request)

    inner = Slow(paid)
    model = Cached(inner, tmp_path / "cache")
    texts: list[str] = []

    async def one() -> None:
        texts.append((await model.complete(said("hi"))).text)

    async def all_at_once() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(one)

    anyio.run(all_at_once)
    assert len(inner.requests) == 1 and texts == ["HI"] * 8


def test_a_failure_is_not_kept_and_frees_its_waiters(tmp_path: Path) -> None:
    outcomes = iter([ModelError("down", retryable=True), None])

    def flaky(request: Request) -> Response:
        if (error := next(outcomes)) is not None:
            raise error
        return paid(request)

    model = Cached(ScriptedModel(flaky), tmp_path / "cache")
    with pytest.raises(ModelError):
        ask(model)
    assert ask(model).text == "HI"


def test_a_broken_cache_is_a_user_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"not a database at all" * 100)
    with pytest.raises(UserError, match="move the file away"):
        Cached(ScriptedModel([]), tmp_path / "cache")


def test_a_cassette_plays_back_what_was_recorded(tmp_path: Path) -> None:
    answers = iter(["a", "b"])
    model = Recorder(ScriptedModel(lambda request: next(answers), name="m"), tmp_path / "tape")
    recorded = [ask(model), ask(model)]
    player = Replayer(tmp_path / "tape")
    assert player.name == "m"
    assert [ask(player), ask(player), ask(player)] == [*recorded, recorded[1]]
    with pytest.raises(ModelError, match="no answer to request"):
        ask(player, "never asked")


def test_an_error_is_played_back_too(tmp_path: Path) -> None:
    def fail(request: Request) -> str:
        raise ModelError("down", retryable=True)

    with pytest.raises(ModelError):
        ask(Recorder(ScriptedModel(fail), tmp_path / "tape"))
    with pytest.raises(ModelError, match="down") as raised:
        ask(Replayer(tmp_path / "tape"))
    assert raised.value.retryable


def test_a_torn_line_costs_only_itself(tmp_path: Path) -> None:
    tape = tmp_path / "tape"
    model = Recorder(ScriptedModel(lambda r: r.messages[0].content, name="m"), tape)
    ask(model, "one")
    ask(model, "two")
    whole = tape.read_bytes()
    for cut in range(len(whole) // 2 + 30, len(whole), 97):
        tape.write_bytes(whole[:cut])
        ask(model, "three")
        player = Replayer(tape)
        assert player.skipped == 1
        assert ask(player, "one").text == "one" and ask(player, "three").text == "three"
        with pytest.raises(ModelError):
            ask(player, "two")


def test_no_cassette_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="record a cassette"):
        Replayer(tmp_path / "none")
