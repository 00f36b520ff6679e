"""The embedded engine: its queue, its dialect, and the real thing with the smallest model."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from prowess.agents.models import open_model
from prowess.agents.models.embedded import (
    OVERTAKEN_LIMIT,
    EmbeddedModel,
    calls_in_text,
    choose,
    prefix,
    response,
    shared,
)
from prowess.agents.models.processors import idle_processors
from prowess.agents.models.pull import find
from prowess.agents.models.structured import ask
from prowess.core.errors import ModelError, UserError
from prowess.core.model import Message, Model, Request, Response, Tool, ToolCall

SMALLEST = "smollm2-135m"


def said(text: str, **more: Any) -> Request:
    return Request.model_validate({"messages": (Message(role="user", content=text),), "max_tokens": 12} | more)


@given(st.text("ab", max_size=30), st.text("ab", max_size=30))
def test_shared_is_the_common_beginning(a: str, b: str) -> None:
    length = shared(a, b)
    assert (a[:length] == b[:length] and a[length : length + 1] != b[length : length + 1]) or a == b == a[:length]


@given(st.lists(st.tuples(st.text("ab", max_size=5), st.integers(0, OVERTAKEN_LIMIT - 1)), min_size=1), st.text("ab"))
def test_the_request_that_shares_most_runs_next(waiting: list[tuple[str, int]], last: str) -> None:
    index = choose(last, waiting)
    most = max(shared(last, text) for text, _ in waiting)
    assert shared(last, waiting[index][0]) == most
    assert all(shared(last, text) < most for text, _ in waiting[:index])  # the oldest of equals


def test_nobody_waits_for_ever() -> None:
    assert choose("same prompt", [("other", OVERTAKEN_LIMIT), ("same prompt", 0)]) == 0


def test_tools_come_first_in_what_the_engine_reads() -> None:
    tool = Tool(name="t", description="d", parameters={})
    assert prefix(said("hi", tools=(tool,))).startswith("{")
    assert shared(prefix(said("one two")), prefix(said("one three"))) > len("one ")


END: dict[str, Any] = {"choices": [{"delta": {}, "finish_reason": "stop"}]}


def text_chunk(text: str) -> dict[str, Any]:
    return {"choices": [{"delta": {"content": text}}]}


def test_pieces_of_an_answer_are_put_together() -> None:
    timings = {"cache_n": 20, "prompt_n": 5, "predicted_n": 2, "prompt_ms": 100.0, "predicted_ms": 400.0}
    got = response([text_chunk("Hel"), text_chunk("lo"), END, {"choices": [], "timings": timings}], said("hi"), "m")
    assert (got.text, got.finish_reason) == ("Hello", "stop")
    cost = got.cost
    assert (cost.prompt_tokens, cost.cached_tokens, cost.completion_tokens, cost.seconds) == (25, 20, 2, 0.5)


def test_pieces_of_a_tool_call_are_put_together() -> None:
    def piece(**function: str) -> dict[str, Any]:
        return {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": function}]}}]}

    end = {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}
    got = response([piece(name="read", arguments='{"pa'), piece(arguments='th": "a"}'), end], said("hi"), "m")
    assert got.tool_calls == (ToolCall(id="call-0", name="read", arguments={"path": "a"}),)
    assert got.finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("chunks", "message"),
    [
        ([{"error": {"message": "too long"}}], "too long"),
        ([text_chunk("Hel")], "before the answer's end"),
        ([], "before the answer's end"),
    ],
)
def test_an_answer_without_an_end_is_an_error(chunks: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        response(chunks, said("hi"), "m")


@pytest.mark.parametrize(
    ("text", "called"),
    [
        ('{"name": "read", "arguments": {"path": "a"}}', True),
        ('```json\n{"name": "read", "arguments": {"path": "a"}}\n```', True),
        ('{"name": "delete", "arguments": {}}', False),
        ('{"name": "read", "arguments": "a"}', False),
        ('{"name": "read"}', False),
        ("[1]", False),
        ("I shall read it.", False),
    ],
)
def test_a_call_written_as_plain_json_counts_if_it_names_a_tool(text: str, called: bool) -> None:
    assert [c.name for c in calls_in_text(text, {"read"})] == (["read"] if called else [])


def test_a_missing_file_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model file"):
        EmbeddedModel(tmp_path / "none.gguf", "m")


def test_a_file_that_is_no_model_is_an_error_for_every_request(tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + b"\0" * 1000)
    model = EmbeddedModel(tmp_path / "bad.gguf", "m", threads=1)
    for _ in range(2):
        with pytest.raises(ModelError, match=r"cannot load bad\.gguf"):
            anyio.run(model.complete, said("hi"))


def test_idle_processors_are_between_one_and_all() -> None:
    assert 1 <= idle_processors(0.01) <= (os.cpu_count() or 1)


# --- the real engine -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model() -> Model:
    try:
        find(SMALLEST)
    except UserError as error:
        pytest.skip(str(error))
    return open_model(f"embedded:{SMALLEST}", threads=1, context=2048)


def run(model: Model, request: Request) -> Response:
    return anyio.run(model.complete, request)


@pytest.mark.model
def test_it_answers_the_same_again(model: Model) -> None:
    one, two = run(model, said("Name a colour.")), run(model, said("Name a colour."))
    assert one.text == two.text != ""
    assert one.finish_reason == "length" and one.cost.completion_tokens == 12
    assert two.cost.prompt_tokens == one.cost.prompt_tokens > two.cost.cached_tokens > 0
    assert 0 < two.cost.seconds < 60 and two.cost.usd == 0


@pytest.mark.model
def test_a_seed_makes_samples_repeatable(model: Model) -> None:
    texts = [run(model, said("Tell me a story.", temperature=1.0, seed=seed)).text for seed in (1, 1, 2, 3)]
    assert texts[0] == texts[1]
    assert len(set(texts)) > 1


@pytest.mark.model
def test_a_schema_cannot_be_broken(model: Model) -> None:
    class Sums(BaseModel):
        total: int
        currency: str

    found = anyio.run(ask, model, said("Make something up.", max_tokens=80, temperature=1.0), Sums)
    assert isinstance(found.total, int)


@pytest.mark.model
def test_stop_texts_end_an_answer(model: Model) -> None:
    free = run(model, said("Count: one, two, three,", max_tokens=30)).text
    word = next(word for word in free.split()[1:] if free.find(word) > 0)
    cut = run(model, said("Count: one, two, three,", max_tokens=30, stop=(word,)))
    assert cut.text == free[: free.find(word)] and cut.finish_reason == "stop"


@pytest.mark.model
def test_requests_that_share_a_beginning_read_it_once(model: Model) -> None:
    rules = "Always be polite, brief and exact. " * 25
    others = "Quite different words, never seen before. " * 20
    got: dict[str, Response] = {}

    async def one(text: str) -> None:
        got[text] = await model.complete(said(text, max_tokens=2))

    async def all_at_once() -> None:
        async with anyio.create_task_group() as group:
            for i in range(4):  # interleaved as they come; the queue brings like to like
                group.start_soon(one, f"{rules} Say {i}.")
                group.start_soon(one, f"{others} Say {i}.")

    anyio.run(all_at_once)
    fresh = [r.cost.prompt_tokens - r.cost.cached_tokens for r in got.values()]
    assert len(fresh) == 8
    assert sum(count > 100 for count in fresh) <= 2  # each beginning was read in full once at most


@pytest.mark.model
def test_cancelling_stops_the_engine(model: Model) -> None:
    async def cancelled() -> float:
        start = time.monotonic()
        with anyio.move_on_after(0.3):
            await model.complete(said("Write a very long story.", max_tokens=1500))
        await model.complete(said("Say hi.", max_tokens=2))
        return time.monotonic() - start

    run(model, said("Say hi.", max_tokens=2))
    # 1500 tokens take far longer than 15 s with one thread only on a very slow machine, but never less than 3 s
    full = 1500 * run(model, said("Write a very long story.", max_tokens=30)).cost.seconds / 30
    assert anyio.run(cancelled) < full / 2


@pytest.mark.model
def test_time_is_bounded(model: Model) -> None:
    slow = EmbeddedModel(find(SMALLEST).path, "m", threads=1, context=2048, timeout=0.2)
    with pytest.raises(ModelError, match=r"longer than 0\.2 s") as raised:
        run(slow, said("Write a very long story.", max_tokens=1500))
    assert raised.value.retryable


@pytest.mark.model
def test_a_prompt_that_is_too_long_is_an_error(model: Model) -> None:
    with pytest.raises(ModelError, match="exceeds the available context"):
        run(model, said("hello " * 3000))


@pytest.mark.model
def test_logprobs_come_when_asked_for(model: Model) -> None:
    asking = EmbeddedModel(find(SMALLEST).path, "m", threads=1, context=2048, logprobs=True)
    got = run(asking, said("Name a colour.", max_tokens=5))
    assert got.logprobs is not None and len(got.logprobs) == 5 and max(got.logprobs) <= 0
    assert run(model, said("Name a colour.", max_tokens=5)).logprobs is None


PREAMBLE = f"""
import anyio, threading
from prowess.agents.models import open_model
from prowess.agents.models.embedded import close_all
from prowess.core.errors import ModelError
from prowess.core.model import Message, Request
def request(tokens):
    return Request(messages=(Message(role="user", content="Write a very long story."),), max_tokens=tokens)
def opened():
    return open_model("embedded:{SMALLEST}", threads=1, context=2048)
def ask(tokens):
    try:
        return anyio.run(model.complete, request(tokens)).finish_reason
    except ModelError as error:
        return str(error)
model = opened()
"""


def in_a_process(code: str) -> str:
    """What the program prints; it must end well and say nothing else."""
    done = subprocess.run(
        [sys.executable, "-c", PREAMBLE + code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.model
def test_the_process_ends_quietly_in_mid_answer(model: Model) -> None:
    start = time.monotonic()
    said = in_a_process("threading.Thread(target=ask, args=(1500,), daemon=True).start(); threading.Event().wait(1.5)")
    assert said == ""
    assert time.monotonic() - start < 30


@pytest.mark.model
def test_a_closed_engine_says_so_and_another_can_be_opened(model: Model) -> None:
    said = in_a_process("""
print(ask(1))
close_all()
print(ask(1))
print(any("engine" in thread.name for thread in threading.enumerate()))
model = opened()
print(ask(1))
""")
    assert said.splitlines() == ["length", "the embedded engine was closed", "False", "length"]
