"""Both SDK clients against a local provider that misbehaves on demand."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anyio
import pytest

from prowess.agents.models import calls, open_model
from prowess.agents.models.calls import Paid, pause
from prowess.agents.models.prices import price_of
from prowess.agents.models.schema import strict
from prowess.core.errors import ModelError, UserError
from prowess.core.model import Message, Model, Request, Response, Tool, ToolCall

KEY = "sk-secret-0123456789"
HELLO = Request(messages=(Message(role="system", content="Be brief."), Message(role="user", content="Say hello.")))


@dataclass
class Reply:
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0
    """Bytes of the body that are announced but never sent."""
    drip: float = 0.0
    """Seconds between single bytes."""
    silence: float = 0.0
    """Seconds before anything is sent."""


class Provider:
    """Answers with the scripted replies in order, the last one repeating; keeps what it was sent."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.seen: list[dict[str, Any]] = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sent = self.rfile.read(int(self.headers["content-length"]))
                provider.seen.append(json.loads(sent))
                reply = provider.replies[min(len(provider.seen), len(provider.replies)) - 1]
                body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                time.sleep(reply.silence)
                with contextlib.suppress(OSError):  # the client may have given up
                    self.send_response(reply.status)
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(body) + reply.cut))
                    for name, value in reply.headers.items():
                        self.send_header(name, value)
                    self.end_headers()
                    for i in range(0, len(body), 1 if reply.drip else max(1, len(body))):
                        self.wfile.write(body[i : i + 1] if reply.drip else body)
                        self.wfile.flush()
                        time.sleep(reply.drip)
                self.close_connection = True

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made = Provider()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Retries do not wait; the pauses that they would have made."""
    made: list[float] = []

    async def sleep(seconds: float) -> None:
        made.append(seconds)

    monkeypatch.setattr(calls, "_sleep", sleep)
    return made


@dataclass(frozen=True)
class Dialect:
    spec: str
    path: str
    good: Callable[..., dict[str, Any]]


def openai_answer(text: str | None = "Hello.", **changes: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 40}}
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {"model": "gpt-4o-mini-2024-07-18", "choices": [choice], "usage": usage} | changes


def anthropic_answer(text: str | None = "Hello.", **changes: Any) -> dict[str, Any]:
    usage = {"input_tokens": 60, "output_tokens": 10, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 0}
    content = [{"type": "text", "text": text}] if text else []
    return {"model": "m", "content": content, "stop_reason": "end_turn", "usage": usage} | changes


OPENAI = Dialect("openai:gpt-4o-mini", "/v1", openai_answer)
ANTHROPIC = Dialect("anthropic:claude-haiku-4-5", "", anthropic_answer)
both = pytest.mark.parametrize("dialect", [OPENAI, ANTHROPIC], ids=["openai", "anthropic"])


def client(dialect: Dialect, provider: Provider, timeout: float = 5.0) -> Model:
    return open_model(dialect.spec, base_url=provider.url + dialect.path, api_key=KEY, timeout=timeout)


def ask(model: Model, request: Request = HELLO) -> Response:
    return anyio.run(model.complete, request)


@both
def test_an_answer_comes_with_its_cost(dialect: Dialect, provider: Provider) -> None:
    provider.replies = [Reply(body=dialect.good())]
    got = ask(client(dialect, provider))
    assert (got.text, got.finish_reason) == ("Hello.", "stop")
    assert (got.cost.calls, got.cost.prompt_tokens, got.cost.cached_tokens, got.cost.completion_tokens) == (
        1,
        100,
        40,
        10,
    )
    price = price_of(*dialect.spec.split(":"))
    assert price is not None
    assert got.cost.usd == pytest.approx((60 * price.input + 40 * price.cached + 10 * price.output) / 1e6)
    assert provider.seen[0]["max_tokens"] == 1024


FAULTS = {
    "429": Reply(429, {"error": {"message": "slow down"}}),
    "500": Reply(500, {"error": {"message": "oops"}}),
    "503 with html": Reply(503, b"<html>down</html>"),
    "529": Reply(529, {"error": {"message": "overloaded"}}),
    "empty body": Reply(body=b""),
    "invalid json": Reply(body=b'{"choices": ['),
    "json list": Reply(body=[]),
    "wrong shape": Reply(body={"choices": [], "content": "x"}),
    "nan usage": Reply(body=b'{"choices":[{"message":{"content":"x"}}],"content":[],"usage":{"prompt_tokens":NaN}}'),
    "cut body": Reply(body={"choices": []}, cut=100),
}


@both
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_passing_fault_is_tried_again(
    dialect: Dialect, fault: Reply, provider: Provider, pauses: list[float]
) -> None:
    provider.replies = [fault, fault, Reply(body=dialect.good())]
    got = ask(client(dialect, provider))
    assert got.text == "Hello."
    assert got.cost.calls == 1
    assert len(pauses) == 2 and all(0 <= wait <= 2 for wait in pauses)


@both
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_lasting_fault_ends_after_bounded_tries(
    dialect: Dialect, fault: Reply, provider: Provider, pauses: list[float]
) -> None:
    provider.replies = [fault]
    with pytest.raises(ModelError, match="tried 5 times") as raised:
        ask(client(dialect, provider))
    assert raised.value.retryable
    assert len(provider.seen) == 5


@both
def test_the_pause_that_the_provider_asks_for_is_kept(
    dialect: Dialect, provider: Provider, pauses: list[float]
) -> None:
    provider.replies = [Reply(429, {}, {"retry-after": "7"}), Reply(body=dialect.good())]
    ask(client(dialect, provider))
    assert len(pauses) == 1 and 7 <= pauses[0] <= 7.25


@both
def test_too_long_a_pause_is_not_waited_for(dialect: Dialect, provider: Provider, pauses: list[float]) -> None:
    provider.replies = [Reply(429, {}, {"retry-after": "3600"})]
    with pytest.raises(ModelError, match="3600 s") as raised:
        ask(client(dialect, provider))
    assert raised.value.retryable and pauses == [] and len(provider.seen) == 1


@both
@pytest.mark.parametrize(
    "reply", [Reply(body={}, silence=2.0), Reply(body=b"x" * 1000, drip=0.05)], ids=["mute", "drip"]
)
def test_time_is_bounded(
    dialect: Dialect, reply: Reply, provider: Provider, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "TRIES", 2)
    provider.replies = [reply]
    start = time.monotonic()
    with pytest.raises(ModelError, match=r"within 0\.3 s"):
        ask(client(dialect, provider, timeout=0.3))
    assert time.monotonic() - start < 2.5


@both
def test_nobody_there(dialect: Dialect, provider: Provider, pauses: list[float]) -> None:
    model = client(dialect, provider)
    provider.server.server_close()
    with pytest.raises(ModelError, match="cannot be reached"):
        ask(model)


@both
def test_a_rejected_key_is_said_but_not_shown(dialect: Dialect, provider: Provider) -> None:
    provider.replies = [Reply(401, {"error": {"message": f"bad key {KEY}"}})]
    with pytest.raises(ModelError, match="check the key") as raised:
        ask(client(dialect, provider))
    assert KEY not in str(raised.value) and not raised.value.retryable
    assert len(provider.seen) == 1


@both
def test_a_huge_answer_is_not_read(dialect: Dialect, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "BODY_LIMIT", 1000)
    provider.replies = [Reply(body=dialect.good("x" * 2000))]
    with pytest.raises(ModelError, match="more than an answer can have"):
        ask(client(dialect, provider))


@both
def test_an_empty_answer_is_paid_for_and_useless(dialect: Dialect, provider: Provider) -> None:
    provider.replies = [Reply(body=dialect.good(None))]
    with pytest.raises(Paid, match="with nothing") as raised:
        ask(client(dialect, provider))
    assert raised.value.cost.completion_tokens == 10
    assert len(provider.seen) == 1


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        (OPENAI, openai_answer(choices=[{"message": {"content": None, "refusal": "no"}, "finish_reason": "stop"}])),
        (OPENAI, openai_answer(choices=[{"message": {"content": "He"}, "finish_reason": "content_filter"}])),
        (ANTHROPIC, anthropic_answer(stop_reason="refusal")),
    ],
)
def test_a_refusal_is_an_error_that_was_paid_for(dialect: Dialect, body: dict[str, Any], provider: Provider) -> None:
    provider.replies = [Reply(body=body)]
    with pytest.raises(Paid, match="refused") as raised:
        ask(client(dialect, provider))
    assert not raised.value.retryable and raised.value.cost.prompt_tokens == 100


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        (OPENAI, openai_answer(choices=[{"message": {"content": "He"}, "finish_reason": "length"}])),
        (ANTHROPIC, anthropic_answer("He", stop_reason="max_tokens")),
    ],
)
def test_a_cut_answer_says_so(dialect: Dialect, body: dict[str, Any], provider: Provider) -> None:
    provider.replies = [Reply(body=body)]
    assert ask(client(dialect, provider)).finish_reason == "length"


TOOL = Tool(name="read", description="Read a file.", parameters={"type": "object", "properties": {}})
CALL = ToolCall(id="c1", name="read", arguments={"path": "a.txt"})
AFTER_TOOL = Request(
    messages=(
        Message(role="user", content="Read a.txt."),
        Message(role="assistant", tool_calls=(CALL,)),
        Message(role="tool", content="hi", tool_call_id="c1"),
    ),
    tools=(TOOL,),
    stop=("END",),
)


def test_tools_in_the_dialect_of_openai(provider: Provider) -> None:
    call = {"id": "c2", "type": "function", "function": {"name": "read", "arguments": '{"path": "b.txt"}'}}
    choice = {"message": {"content": None, "tool_calls": [call]}, "finish_reason": "tool_calls"}
    provider.replies = [Reply(body=openai_answer(choices=[choice]))]
    got = ask(client(OPENAI, provider), AFTER_TOOL)
    assert got.tool_calls == (ToolCall(id="c2", name="read", arguments={"path": "b.txt"}),)
    assert got.finish_reason == "tool_calls"
    sent = provider.seen[0]
    assert sent["stop"] == ["END"] and sent["tools"][0]["function"]["name"] == "read"
    assert sent["messages"][1]["tool_calls"][0]["function"] == {"name": "read", "arguments": '{"path": "a.txt"}'}
    assert sent["messages"][2] == {"role": "tool", "content": "hi", "tool_call_id": "c1"}


def test_tool_arguments_that_are_no_object_are_an_error(provider: Provider) -> None:
    call = {"id": "c2", "type": "function", "function": {"name": "read", "arguments": '["b.txt"'}}
    provider.replies = [Reply(body=openai_answer(choices=[{"message": {"tool_calls": [call]}}]))]
    with pytest.raises(ModelError, match="no JSON object"):
        ask(client(OPENAI, provider))


def test_tools_in_the_dialect_of_anthropic(provider: Provider) -> None:
    content = [{"type": "tool_use", "id": "c2", "name": "read", "input": {"path": "b.txt"}}]
    provider.replies = [Reply(body=anthropic_answer(content=content, stop_reason="tool_use"))]
    got = ask(client(ANTHROPIC, provider), AFTER_TOOL)
    assert got.tool_calls == (ToolCall(id="c2", name="read", arguments={"path": "b.txt"}),)
    sent = provider.seen[0]
    assert [turn["role"] for turn in sent["messages"]] == ["user", "assistant", "user"]
    assert sent["messages"][2]["content"][0]["tool_use_id"] == "c1"
    assert sent["stop_sequences"] == ["END"]


SCHEMA: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "integer", "default": 1}}}


def test_a_schema_constrains_openai(provider: Provider) -> None:
    provider.replies = [Reply(body=openai_answer('{"a": 1}'))]
    ask(client(OPENAI, provider), HELLO.model_copy(update={"json_schema": SCHEMA}))
    sent = provider.seen[0]["response_format"]["json_schema"]
    assert sent["strict"] and sent["schema"]["required"] == ["a"] and sent["schema"]["additionalProperties"] is False


def test_a_schema_constrains_anthropic_or_is_told(provider: Provider) -> None:
    provider.replies = [Reply(body=anthropic_answer('{"a": 1}'))]
    model = client(ANTHROPIC, provider)
    ask(model, HELLO.model_copy(update={"json_schema": SCHEMA}))
    assert provider.seen[0]["output_config"]["format"]["schema"]["required"] == ["a"]
    free = {"type": "object", "additionalProperties": {"type": "integer"}}
    ask(model, HELLO.model_copy(update={"json_schema": free}))
    assert "output_config" not in provider.seen[1]
    assert json.dumps(free) in provider.seen[1]["system"][0]["text"]


def test_what_a_model_does_not_support_is_left_out(provider: Provider, caplog: pytest.LogCaptureFixture) -> None:
    def refused(parameter: str, code: str) -> Reply:
        return Reply(400, {"error": {"message": f"no {parameter}", "param": parameter, "code": code}})

    provider.replies = [
        refused("max_tokens", "unsupported_parameter"),
        refused("temperature", "unsupported_value"),
        Reply(body=openai_answer()),
    ]
    model = client(OPENAI, provider)
    ask(model)
    ask(model)
    assert [("max_tokens" in s, "max_completion_tokens" in s, "temperature" in s) for s in provider.seen] == [
        (True, False, True),
        (False, True, True),
        (False, True, False),
        (False, True, False),
    ]
    assert "temperature" in caplog.text


def test_temperature_is_left_out_for_claude_models_without_it(provider: Provider) -> None:
    provider.replies = [
        Reply(400, {"error": {"message": "temperature: not supported by this model"}}),
        Reply(body=anthropic_answer()),
    ]
    ask(client(ANTHROPIC, provider))
    assert provider.seen[0]["temperature"] == 0.0 and "temperature" not in provider.seen[1]


@both
def test_a_bad_request_is_not_tried_again(dialect: Dialect, provider: Provider) -> None:
    provider.replies = [Reply(400, {"error": {"message": "messages: too long"}})]
    with pytest.raises(ModelError, match="too long") as raised:
        ask(client(dialect, provider))
    assert not raised.value.retryable and len(provider.seen) == 1


def test_missing_usage_is_estimated(provider: Provider) -> None:
    provider.replies = [Reply(body=openai_answer("x" * 40, usage=None))]
    cost = ask(client(OPENAI, provider)).cost
    assert (cost.prompt_tokens, cost.completion_tokens) == (5, 10)


def test_an_exhausted_account_is_not_tried_again(provider: Provider) -> None:
    provider.replies = [Reply(429, {"error": {"message": "pay", "code": "insufficient_quota"}})]
    with pytest.raises(ModelError) as raised:
        ask(client(OPENAI, provider))
    assert not raised.value.retryable and len(provider.seen) == 1


@both
def test_no_key_is_a_user_error(dialect: Dialect, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match="no access"):
        open_model(dialect.spec)


def test_an_unknown_price_counts_as_nothing_and_is_said(provider: Provider, caplog: pytest.LogCaptureFixture) -> None:
    provider.replies = [Reply(body=openai_answer())]
    model = open_model("openai:my-own-model", base_url=provider.url + "/v1", api_key=KEY)
    assert ask(model).cost.usd == 0.0
    assert "my-own-model" in caplog.text


def test_the_name_tells_endpoints_apart_but_no_password() -> None:
    model = open_model("openai:m", base_url="http://user:word@127.0.0.1:8000/v1", api_key=KEY)
    assert model.name == "openai:m@127.0.0.1:8000/v1"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
    ],
)
def test_pause(headers: dict[str, str], seconds: float | None) -> None:
    assert pause(headers) == seconds


def test_strict_schema_of_nested_types() -> None:
    nested = {
        "$defs": {"p": SCHEMA},
        "type": "object",
        "properties": {"x": {"type": "array", "items": {"$ref": "#/$defs/p"}}},
    }
    found = strict(nested)
    assert found is not None
    assert found["$defs"] == {
        "p": {
            "type": "object",
            "properties": {"a": {"type": "integer"}},
            "additionalProperties": False,
            "required": ["a"],
        }
    }
    assert strict({"type": "object", "properties": {"x": {"type": "object"}}}) is None
    assert (
        strict({"type": "array", "items": {"type": "object", "additionalProperties": True, "properties": {}}}) is None
    )
