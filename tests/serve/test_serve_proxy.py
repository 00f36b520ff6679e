"""The recording proxy, with the SDKs that agents are made of, against a provider on loopback."""

import asyncio
import gzip
import json
import logging
import os
import socket
import sys
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

pytest.importorskip("aiohttp", reason="the proxy is not installed: pip install 'prowess[serve]'")

import aiohttp
import anthropic
import openai
from proxy_parts import (
    KEY,
    Provider,
    Running,
    Writer,
    chat_events,
    event,
    message_events,
    proxied,
    response_events,
)

from prowess.core.errors import UserError
from prowess.core.patch import CreateSkill, Patch
from prowess.core.skill import Skill
from prowess.core.trust import Tier
from prowess.guard.keys import Keyring
from prowess.guard.promotion import demote, promote
from prowess.guard.runtime import Tiered
from prowess.library import Library
from prowess.serve import listen, logs
from prowess.serve.access import Access
from prowess.serve.proxy.shelf import Shelf
from prowess.serve.proxy.upstreams import load
from prowess.trajectories.atif import to_atif
from prowess.trajectories.store import TrajectoryStore

USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
HELLO = [{"role": "user", "content": "Grüße 🙂, please"}]
LONG = {"model": "m-1", "messages": HELLO, "stream": True}


def chat_of(running: Running) -> openai.AsyncOpenAI:
    made = openai.AsyncOpenAI(base_url=running.url, api_key="of-the-client", max_retries=0)
    running.closing.push_async_callback(made.close)
    return made


def messages_of(running: Running) -> anthropic.AsyncAnthropic:
    url = running.url.removesuffix("/v1")
    made = anthropic.AsyncAnthropic(base_url=url, api_key="of-the-client", max_retries=0)
    running.closing.push_async_callback(made.close)
    return made


def through(folder: Path, do: Callable[[Provider, Running], Awaitable[None]], **more: Any) -> None:
    """Runs `do` with a provider and a proxy before it."""

    async def main() -> None:
        with anyio.fail_after(60):
            async with Provider().running() as provider, proxied(provider, folder, **more) as running:
                await do(provider, running)

    anyio.run(main)


async def post(running: Running, path: str, body: Any, **headers: str) -> tuple[int, dict[str, str], bytes]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"content-type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
    url = f"{running.url}{path}"
    async with (
        aiohttp.ClientSession(auto_decompress=False) as client,
        client.post(url, data=data, headers=given) as answer,
    ):
        return answer.status, {k.lower(): v for k, v in answer.headers.items()}, await answer.read()


# The three dialects, with the SDKs as clients


def test_chat_is_streamed_and_recorded_with_its_tokens(tmp_path: Path) -> None:
    logprob = iter(range(1, 9))

    def more(text: str) -> Any:
        n = next(logprob)
        return {"logprobs": {"content": [{"token": text, "logprob": -n / 10, "bytes": None, "top_logprobs": []}]},
                "token_ids": [100 + n]}  # fmt: skip

    sent = chat_events("Gr", "üße ", "🙂", usage=USAGE, more=more)

    async def do(provider: Provider, running: Running) -> None:
        provider.script = lambda writer: writer.events(*sent)
        stream = await chat_of(running).chat.completions.create(
            model="m-1", messages=HELLO, stream=True, logprobs=True, stream_options={"include_usage": True}
        )
        text = "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])
        assert text == "Grüße 🙂"
        (asked,) = provider.asked
        assert asked.path == "/v1/chat/completions" and asked.json["messages"] == HELLO
        (kept,) = await running.sessions()
        assert [(s.source, s.message) for s in kept.steps] == [("user", HELLO[0]["content"]), ("agent", "Grüße 🙂")]
        assert (kept.cost.prompt_tokens, kept.cost.completion_tokens) == (12, 3)
        assert kept.agent.startswith("openai-sdk/") and kept.model == "m-1"
        metrics = to_atif(kept)["steps"][1]["metrics"]
        assert metrics["logprobs"] == [-0.1, -0.2, -0.3] and metrics["completion_token_ids"] == [101, 102, 103]

    through(tmp_path, do)


def test_messages_are_streamed_and_recorded_with_tools(tmp_path: Path) -> None:
    call = {"id": "toolu_1", "name": "Skill", "input": {"skill": "ledger-sums"}}
    tools: Any = [{"name": "Skill", "description": "loads", "input_schema": {"type": "object"}}]

    async def do(provider: Provider, running: Running) -> None:
        client = messages_of(running)
        turns: list[Any] = [{"role": "user", "content": "add up"}]
        provider.script = lambda writer: writer.events(*message_events("I will ", "look.", tool=call))
        async with client.messages.stream(model="claude-x", max_tokens=99, messages=turns, tools=tools) as stream:
            first = await stream.get_final_message()
        assert first.content[0].text == "I will look." and first.content[1].input == call["input"]  # type: ignore[union-attr]
        turns.append({"role": "assistant", "content": [block.model_dump() for block in first.content]})
        result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "# Sums"}
        turns.append({"role": "user", "content": [result]})
        provider.script = lambda writer: writer.events(*message_events("By ledger-sums: 7."))
        async with client.messages.stream(model="claude-x", max_tokens=99, messages=turns, tools=tools) as stream:
            await stream.until_done()
        assert [asked.path for asked in provider.asked] == ["/v1/messages"] * 2
        (kept,) = await running.sessions()
        assert [step.source for step in kept.steps] == ["user", "agent", "agent"]
        assert kept.steps[1].observations[0].content == "# Sums"
        assert kept.steps[1].cost is not None and kept.steps[1].cost.completion_tokens == 7
        assert (kept.loaded, kept.used) == (("ledger-sums",), ("ledger-sums",))
        assert kept.cost.calls == 2 and kept.cost.prompt_tokens == 22

    through(tmp_path, do)


def test_responses_are_streamed_and_recorded_across_ids(tmp_path: Path) -> None:
    async def do(provider: Provider, running: Running) -> None:
        client = chat_of(running)
        provider.script = lambda writer: writer.events(*response_events("one", "resp_1"))
        async with client.responses.stream(model="m-2", input="count", instructions="be brief") as stream:
            assert (await stream.get_final_response()).output_text == "one"
        provider.script = lambda writer: writer.events(*response_events("two", "resp_2"))
        async with client.responses.stream(model="m-2", input="on", previous_response_id="resp_1") as stream:
            await stream.get_final_response()
        assert provider.asked[0].path == "/v1/responses"
        (kept,) = await running.sessions()
        assert [s.message for s in kept.steps if s.source != "system"] == ["count", "one", "on", "two"]
        assert kept.cost.cached_tokens == 10

    through(tmp_path, do)


def test_without_streaming_and_unknown_fields_the_bytes_are_the_same(tmp_path: Path) -> None:
    answer = (
        b'{"id":"x",  "choices":[{"message":{"content":"hi","new_field":1e400}, "finish_reason":"stop"}],"usage":{}}'
    )

    async def do(provider: Provider, running: Running) -> None:
        provider.script = lambda writer: writer.whole(answer, more="x-request-id: r-1\r\nset-cookie: a=b\r\n")
        body = b'{"model":"m-1", "messages":[], "temperature":1.0, "later_option":{"a":[1,  2]}}'
        status, headers, got = await post(running, "/chat/completions", body)
        assert (status, got) == (200, answer)
        assert provider.asked[0].body == body
        assert headers["x-request-id"] == "r-1" and "set-cookie" not in headers

    through(tmp_path, do)


def test_models_and_counting_are_passed_on_and_not_recorded(tmp_path: Path) -> None:
    async def do(provider: Provider, running: Running) -> None:
        page = {"object": "list", "data": [{"id": "m-1", "object": "model", "created": 1, "owned_by": "x"}]}
        provider.script = lambda writer: writer.whole(json.dumps(page).encode())
        assert [m.id async for m in chat_of(running).models.list()] == ["m-1"]
        provider.script = lambda writer: writer.whole(b'{"input_tokens": 5}')
        counted = await messages_of(running).messages.count_tokens(model="claude-x", messages=HELLO)  # type: ignore[arg-type]
        assert counted.input_tokens == 5
        assert [asked.path for asked in provider.asked] == ["/v1/models", "/v1/messages/count_tokens"]
        assert await running.sessions() == []

    through(tmp_path, do)


# Keys, tokens and upstreams


def test_the_client_chooses_neither_key_nor_upstream(tmp_path: Path) -> None:
    async def do(provider: Provider, running: Running) -> None:
        provider.script = lambda writer: writer.whole(b'{"choices":[]}')
        await post(
            running, "/chat/completions?api_base=http://evil.example", {**LONG, "api_base": "http://169.254.169.254"},
            authorization="Bearer stolen", x_api_key="stolen", host="evil.example", openai_organization="other",
            x_forwarded_host="evil.example", cookie="a=b",
        )  # fmt: skip
        (asked,) = provider.asked
        assert asked.path == "/v1/chat/completions"
        assert asked.headers["authorization"] == f"Bearer {KEY}" and "stolen" not in str(asked.headers)
        assert asked.headers["host"] == f"127.0.0.1:{provider.port}"
        assert not {"x-api-key", "cookie", "openai-organization", "x-forwarded-host"} & asked.headers.keys()
        await post(running, "/messages", {"model": "claude-x", "messages": []})
        assert provider.asked[1].headers["x-api-key"] == KEY and "authorization" not in provider.asked[1].headers

    through(tmp_path, do)


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    async def do(provider: Provider, running: Running) -> None:
        provider.script = lambda writer: writer.whole(b"", "302 Found", more="location: http://169.254.169.254/\r\n")
        status, headers, body = await post(running, "/chat/completions", LONG)
        assert status == 502 and "location" not in headers and b"169.254" not in body
        assert len(provider.asked) == 1

    through(tmp_path, do)


def test_a_token_is_asked_for_and_browsers_are_not_served(tmp_path: Path) -> None:
    async def do(provider: Provider, running: Running) -> None:
        provider.script = lambda writer: writer.whole(b'{"choices":[]}')
        for headers in ({}, {"authorization": "Bearer wrong"}, {"x_api_key": "token-of-the-proxy2"}):
            assert (await post(running, "/messages", LONG, **headers))[0] == 401
        assert (await post(running, "/messages", LONG, x_api_key="token-of-the-proxy"))[0] == 200
        assert (await post(running, "/chat/completions", LONG, authorization="Bearer token-of-the-proxy"))[0] == 200
        blocked = await post(running, "/messages", LONG, x_api_key="token-of-the-proxy", origin="http://evil.example")
        assert blocked[0] == 403
        assert len(provider.asked) == 2 and "token-of-the-proxy" not in str([a.headers for a in provider.asked])

    through(tmp_path, do, token="token-of-the-proxy")


def test_the_key_and_secrets_of_sessions_are_found_nowhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
    logs.set_up()

    async def do(provider: Provider, running: Running) -> None:
        body = {"model": "m-1", "messages": [{"role": "user", "content": f"push with {secret}"}]}
        answer = {"model": "m-1", "choices": [{"message": {"content": f"I use {secret}"}, "finish_reason": "stop"}]}
        provider.script = lambda writer: writer.whole(json.dumps(answer).encode())
        status, _, got = await post(running, "/chat/completions", body, x_prowess_session=secret)
        assert status == 200 and secret.encode() in got, "the agent's own work is not touched"
        (kept,) = await running.sessions()
        assert "redacted" in kept.steps[0].message and secret not in kept.model_dump_json()
        provider.script = lambda writer: writer.whole(b"{}", "401 Unauthorized")
        await post(running, "/chat/completions", body)

    try:
        through(tmp_path, do)
    finally:
        logging.getLogger("prowess").handlers.clear()
    said = capsys.readouterr().err
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert [(line["status"], line["outcome"]) for line in lines] == [(200, "complete"), (401, "complete")]
    stored = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    for hidden in (secret, KEY):
        assert hidden not in said and hidden.encode() not in stored


# Faults


@pytest.mark.parametrize("status", ["429 Too Many Requests", "500 Internal Server Error", "503 Busy", "529 Overloaded"])
def test_errors_of_the_provider_reach_the_client_as_they_are(tmp_path: Path, status: str) -> None:
    body = b'{"error":{"type":"some_error","message":"later"}}'

    async def do(provider: Provider, running: Running) -> None:
        provider.script = lambda writer: writer.whole(body, status, more="retry-after: 7\r\nx-ratelimit-reset: 3s\r\n")
        got = await post(running, "/chat/completions", LONG)
        assert (got[0], got[2]) == (int(status[:3]), body)
        assert got[1]["retry-after"] == "7" and got[1]["x-ratelimit-reset"] == "3s"
        with pytest.raises(openai.APIStatusError) as raised:
            await chat_of(running).chat.completions.create(model="m-1", messages=HELLO)  # type: ignore[arg-type]
        assert raised.value.status_code == int(status[:3])
        assert len(provider.asked) == 2, "nothing is repeated for the client"
        assert await running.sessions() == []

    through(tmp_path, do)


async def cut(writer: Writer) -> None:
    """Half a stream, then the connection is gone."""
    await writer.begin()
    for part in chat_events("half", "more")[:2]:
        await writer.chunk(part)
    writer.stream.transport.abort()


async def malformed(writer: Writer) -> None:
    await writer.begin()
    await writer.chunk(chat_events("half")[0])
    await asyncio.sleep(0.2)  # else it would be no answer at all
    await writer.raw(b"zz\r\nnot a chunk\r\n")


async def shorter(writer: Writer) -> None:
    await writer.raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{")
    writer.stream.close()


@pytest.mark.parametrize("script", [cut, malformed, shorter])
def test_what_breaks_off_breaks_off_for_the_client_and_is_not_learned_from(tmp_path: Path, script: Any) -> None:
    async def do(provider: Provider, running: Running) -> None:
        provider.script = script
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await post(running, "/chat/completions", LONG)
        provider.script = lambda writer: writer.events(*chat_events("whole"))
        assert (await post(running, "/chat/completions", LONG))[0] == 200
        (kept,) = await running.sessions()
        assert kept.steps[-1].message == "whole"

    through(tmp_path, do)


STREAMS = {
    "an error in the middle": [*chat_events("half")[:2], event({"error": {"message": "overloaded"}})],
    "no end": chat_events("half")[:2],
    "no JSON": [b"data: {broken\n\n", b"data: [DONE]\n\n"],
    "nothing": [b""],
    "an error of Anthropic's": [*message_events("half")[:3], event({"type": "error", "error": {"type": "x"}}, "error")],
}


@pytest.mark.parametrize("name", STREAMS)
def test_streams_without_a_whole_reply_pass_and_are_not_recorded(tmp_path: Path, name: str) -> None:
    sent = STREAMS[name]

    async def do(provider: Provider, running: Running) -> None:
        provider.script = lambda writer: writer.events(*sent)
        path = "/messages" if "Anthropic" in name else "/chat/completions"
        status, _, got = await post(running, path, LONG)
        assert (status, got) == (200, b"".join(sent))
        assert await running.sessions() == []

    through(tmp_path, do)


def test_duplicate_events_and_foreign_figures_are_recorded_as_they_came(tmp_path: Path) -> None:
    events = chat_events("a", "b", usage={"prompt_tokens": "many", "completion_tokens": -4})

    async def do(provider: Provider, running: Running) -> None:
        provider.script = lambda writer: writer.events(*events[:2], *events[1:])
        await post(running, "/chat/completions", LONG)
        (kept,) = await running.sessions()
        assert kept.steps[-1].message == "aab" and kept.cost.tokens == 0

    through(tmp_path, do)


def test_a_provider_that_is_not_there_or_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prowess.serve.proxy.app.SILENT_SECONDS", 0.3)

    async def silent(writer: Writer) -> None:
        await asyncio.sleep(30)

    async def do(provider: Provider, running: Running) -> None:
        provider.script = silent
        status, _, body = await post(running, "/messages", LONG)
        assert status == 504 and json.loads(body)["type"] == "error"
        await asyncio.wait_for(provider.asked[0].gone.wait(), 10)
        with pytest.raises(anthropic.InternalServerError):
            await messages_of(running).messages.create(model="x", max_tokens=1, messages=HELLO)  # type: ignore[arg-type]
        closed = provider.port
        object.__setattr__(running.proxy.routes.routes[0].upstream, "url", "http://127.0.0.1:9/v1")
        status, _, body = await post(running, "/chat/completions", LONG)
        assert status == 502 and json.loads(body)["error"]["message"] == "the upstream failed"
        assert str(closed).encode() not in body

    through(tmp_path, do)


@pytest.mark.parametrize("when", ["before the reply", "in the middle"])
def test_when_the_client_goes_away_so_does_the_request(tmp_path: Path, when: str) -> None:
    async def endless(writer: Writer) -> None:
        if when == "before the reply":
            await asyncio.sleep(30)
        await writer.begin()
        while True:
            await writer.chunk(chat_events("more")[1])
            await asyncio.sleep(0.01)

    async def do(provider: Provider, running: Running) -> None:
        provider.script = endless
        client = chat_of(running)
        if when == "in the middle":
            stream = await client.chat.completions.create(model="m-1", messages=HELLO, stream=True)  # type: ignore[arg-type]
            await anext(aiter(stream))
            await stream.close()
        else:
            with pytest.raises(openai.APITimeoutError):
                await client.with_options(timeout=0.5).chat.completions.create(model="m-1", messages=HELLO)  # type: ignore[arg-type]
        await asyncio.wait_for(provider.asked[0].gone.wait(), 10)
        assert await running.sessions() == []

    through(tmp_path, do)


# Bounds


def test_large_and_packed_requests_are_bounded(tmp_path: Path) -> None:
    async def do(provider: Provider, running: Running) -> None:
        provider.script = lambda writer: writer.whole(b'{"choices":[]}')
        packed = gzip.compress(json.dumps(LONG).encode())
        assert (await post(running, "/chat/completions", packed, content_encoding="gzip"))[0] == 200
        assert provider.asked[0].body == packed and provider.asked[0].headers["content-encoding"] == "gzip"
        bomb = zlib.compress(b'{"a":"' + b"x" * (40 << 20) + b'"}')
        assert len(bomb) < 100_000
        for body, encoding, status in (
            (bomb, "deflate", 413), (packed[:-9], "gzip", 413), (b"junk", "gzip", 413), (packed, "br", 415),
            (b"{", "", 400), (b"[]", "", 400), (b"", "", 400), (b"\xff\xfe", "", 400), (b'{"a":' * 900, "", 400),
        ):  # fmt: skip
            got = await post(running, "/responses", body, **({"content_encoding": encoding} if encoding else {}))
            assert (got[0], json.loads(got[2])["error"]["message"] != "") == (status, True), (body[:20], got)
        assert len(provider.asked) == 1
        _, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n")
        reader = _
        assert b"413" in await reader.readline()
        writer.close()

    through(tmp_path, do)


def test_a_request_that_does_not_end_and_headers_that_do_not_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prowess.serve.proxy.bodies.BODY_SECONDS", 0.3)
    monkeypatch.setattr(listen, "HEADER_SECONDS", 0.3)

    async def do(provider: Provider, running: Running) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{")
        assert b"408" in await reader.readline()
        writer.close()
        for before, start in (
            (b"", b""),
            (b"", b"POST /v1/mess"),
            (b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n", b"GET /"),
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
            writer.write(before)
            if before:
                await reader.readuntil(b'{"status":"ok"}')
            writer.write(start)
            with anyio.fail_after(5):
                assert (await reader.read()).startswith(b"HTTP/1.1 408"), "said, and the connection is closed"
            writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(b"GET /healthz HTTP/1.1\r\n" + b"x-flood: 1\r\n" * 20_000)
        assert b"431" in await reader.readline()
        writer.close()
        assert not provider.asked

    through(tmp_path, do)


def test_a_client_that_does_not_read_holds_up_the_provider_and_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listen, "UNREAD_SECONDS", 0.5)
    sent = 0

    async def flood(writer: Writer) -> None:
        nonlocal sent
        await writer.begin()
        while True:
            await writer.chunk(b": " + b"x" * 65536 + b"\n\n")
            sent += 65536

    async def do(provider: Provider, running: Running) -> None:
        provider.script = flood
        _, writer = await asyncio.open_connection("127.0.0.1", running.port, limit=1024)
        body = json.dumps(LONG).encode()
        writer.write(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        with anyio.fail_after(20):
            while not provider.asked:
                await asyncio.sleep(0.01)
            await provider.asked[0].gone.wait()
        assert sent < 64 << 20, "what nobody reads is not fetched"
        writer.close()

    through(tmp_path, do)


@pytest.mark.parametrize(
    "head",
    [
        b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 40\r\n\r\n{}",
        b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nG",
        b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\n\r\n{}",
        b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-a: b\rc: d\r\ncontent-length: 2\r\n\r\n{}",
    ],
)
def test_requests_that_can_be_read_in_two_ways_go_no_further(tmp_path: Path, head: bytes) -> None:
    async def do(provider: Provider, running: Running) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(head)
        assert (await reader.readline()).split()[1][:1] == b"4"
        writer.close()
        assert not provider.asked

    through(tmp_path, do)


# Sessions


def test_a_conversation_is_one_trajectory_and_a_branch_another(tmp_path: Path) -> None:
    said = iter(["A", "B", "C", "D"])

    async def answer(writer: Writer) -> None:
        await writer.events(*chat_events(next(said), usage=USAGE))

    async def do(provider: Provider, running: Running) -> None:
        provider.script = answer

        async def ask(*turns: str) -> None:
            roles = ("user", "assistant")
            messages = [{"role": roles[i % 2], "content": turn} for i, turn in enumerate(turns)]
            assert (await post(running, "/chat/completions", {**LONG, "messages": messages}))[0] == 200

        await ask("one")
        await ask("one", "A", "two")
        await running.sessions()  # what follows is joined with what lies in the store, not in memory
        await ask("one", "A ", "two", "B", "three")
        await ask("one", "A", "another way")
        found = {t.steps[2].message: t for t in await running.sessions()}
        assert [s.message.strip() for s in found["two"].steps] == ["one", "A", "two", "B", "three", "C"]
        assert [s.message for s in found["another way"].steps] == ["one", "A", "another way", "D"]
        assert found["two"].cost.calls == 3, "each reply keeps the cost that it had"

    through(tmp_path, do)


def test_sessions_that_clients_name_are_kept_apart(tmp_path: Path) -> None:
    async def do(provider: Provider, running: Running) -> None:
        provider.script = lambda writer: writer.events(*chat_events("same"))
        uuid = "12345678-1234-1234-1234-123456789012"
        await post(running, "/chat/completions", LONG, x_prowess_session="a")
        await post(running, "/chat/completions", LONG, session_id="b", user_agent="codex_cli_rs/0.140.0 (Linux)")
        provider.script = lambda writer: writer.events(*message_events("same"))
        body = {**LONG, "metadata": {"user_id": f"user_1_account__session_{uuid}"}}
        await post(running, "/messages", body, user_agent="claude-cli/2.1.0 (external, cli)")
        found = {t.extra["session_id"]: t.agent for t in await running.sessions()}
        assert set(found) == {"a", "b", uuid}
        assert (found["b"], found[uuid]) == ("codex/0.140.0", "claude-code/2.1.0")

    through(tmp_path, do)


def test_a_store_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "trajectories.db").write_bytes(b"no database at all, but long enough to look at" * 99)

    async def do(provider: Provider, running: Running) -> None:
        provider.script = lambda writer: writer.events(*chat_events("hi"))
        for _ in range(3):
            assert (await post(running, "/chat/completions", LONG))[0] == 200
        assert running.proxy.recorder is not None
        await running.proxy.recorder.drained()

    through(tmp_path, do)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="children of a process are looked up in /proc")
def test_the_program_serves_and_leaves_nothing_behind_when_it_is_killed(tmp_path: Path) -> None:
    place = tmp_path / "upstreams.toml"

    def children(pid: int) -> list[int]:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    async def main() -> None:
        async with Provider().running() as provider:
            provider.script = lambda writer: writer.events(*chat_events("hi"))
            url = f"http://127.0.0.1:{provider.port}/v1"
            place.write_text(f'token = "T"\n[[upstream]]\nurl = "{url}"\ndialects = ["chat"]\nkey = "K"\n')
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            argv = ["serve", "proxy", "--http", str(port), "--upstreams", str(place)]
            env = {**os.environ, "T": "t-1", "K": KEY, "PROWESS_DATA": str(tmp_path), "HOME": str(tmp_path)}
            env.pop("PROWESS_SLOT", None)
            run = "from prowess.cli.main import run; run()"
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", run, *argv, env=env, stderr=asyncio.subprocess.PIPE
            )
            assert process.stderr is not None
            try:
                assert await process.stderr.readline() == f"http://127.0.0.1:{port}/v1\n".encode()
                client = openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="t-1", max_retries=9)
                async with client:
                    answer = await client.chat.completions.create(model="m", messages=HELLO, stream=True)  # type: ignore[arg-type]
                    assert "".join([c.choices[0].delta.content or "" async for c in answer]) == "hi"
                line = json.loads(await process.stderr.readline())
                assert line["outcome"] == "complete" and line["status"] == 200
                with TrajectoryStore(tmp_path / "trajectories.db") as store, anyio.fail_after(30):
                    while not len(store):
                        await asyncio.sleep(0.05)
                started = children(process.pid)
                assert started
            finally:
                process.kill()
                await process.wait()
            with anyio.fail_after(10):
                while any(Path(f"/proc/{pid}/cmdline").exists() for pid in started):
                    await asyncio.sleep(0.05)

    anyio.run(main)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "upstream"),
        ("[[upstream]]\nurl = 'ftp://x'\ndialects = ['chat']\n", "https://host/v1"),
        ("[[upstream]]\nurl = 'http://u:p@x/v1'\ndialects = ['chat']\n", "secret"),
        ("[[upstream]]\nurl = 'http://x/v1'\ndialects = ['latin']\n", "dialects"),
        ("[[upstream]]\nurl = 'http://x/v1'\ndialects = ['chat']\nkey = 'UNSET'\n", "UNSET"),
        ("token = 'UNSET'\n[[upstream]]\nurl = 'http://x/v1'\ndialects = ['chat']\n", "UNSET"),
        ("[[upstream]]\nurl = 'http://x/v1'\ndialects = ['chat']\napi_key = 'sk-1'\n", "api_key"),
        ("= 1", "no TOML"),
    ],
)
def test_upstreams_that_do_not_fit_are_refused(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "upstreams.toml"
    file.write_text(text)
    with pytest.raises(UserError, match=says):
        load(file, lambda *names: {})


def test_without_a_file_the_usual_providers_are_those_with_a_key(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="OPENAI_API_KEY or ANTHROPIC_API_KEY"):
        load(tmp_path / "none.toml", lambda *names: {})
    routes = load(tmp_path / "none.toml", lambda *names: {"ANTHROPIC_API_KEY": "sk-1"})
    assert routes.choose("chat", "gpt-5") is None and "sk-1" not in repr(routes)
    found = routes.choose("messages", "claude-x")
    assert found is not None and found.headers("messages") == {"x-api-key": "sk-1"}


# The shelf

FEES = Skill(
    name="late-fees",
    description="Works out late fees of unpaid invoices. Use for reminders and dunning letters.",
    body="# Late fees\n\nTen euros for each month.\n",
)


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("HOME", str(tmp_path))
    for folder in ("DATA", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"XDG_{folder}_HOME", str(tmp_path / folder.lower()))
    library, ring = Library.open(tmp_path / "library", create=True), Keyring()
    library.apply(Patch(base=library.snapshot().digest, operations=(CreateSkill(skill=FEES),), reason="made"))
    promote(library, ring, FEES.name, Tier.REVIEWED)
    with TrajectoryStore(tmp_path / "other.db") as store:
        yield Shelf(Access(library, store, ring), Tiered(library, ring)), library, ring


TASK = "Work out the late fees of these unpaid invoices and write the reminders"
DIALECTS: dict[str, Any] = {
    "/chat/completions": ({"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": TASK}]},
                          lambda body: body["messages"][1]["content"], chat_events("ok")),
    "/messages": ({"system": "S", "messages": [{"role": "user", "content": TASK}]},
                  lambda body: body["system"][1]["text"], message_events("ok")),
    "/responses": ({"instructions": "S", "input": TASK},
                   lambda body: body["instructions"].removeprefix("S\n\n"), response_events("ok")),
}  # fmt: skip


@pytest.mark.parametrize("path", DIALECTS)
def test_a_request_that_asks_for_it_is_shown_the_skill_that_fits(tmp_path: Path, shelf: Any, path: str) -> None:
    given, told, answer = DIALECTS[path]

    async def do(provider: Provider, running: Running) -> None:
        provider.script = lambda writer: writer.events(*answer)
        body = {"model": "m-1", "stream": True, **given}
        await post(running, path, body)
        assert provider.asked[0].json == body, "nobody asked"
        await post(running, path, body, x_prowess_shelf="on", x_prowess_session="shown")
        assert "Ten euros for each month." in told(provider.asked[1].json)
        assert "x-prowess-shelf" not in provider.asked[1].headers
        found = {t.extra.get("session_id"): t for t in await running.sessions()}
        assert (found["shown"].offered, found["shown"].loaded) == (("late-fees",), ("late-fees",))
        assert found["shown"].snapshot and "Ten euros" not in found["shown"].model_dump_json()
        assert found[None].offered == ()
        demote(shelf[1], shelf[2], "late-fees", reason="it is wrong")
        await post(running, path, body, x_prowess_shelf="on")
        assert provider.asked[2].json == body, "a demotion holds from the next request on"

    through(tmp_path, do, shelf=shelf[0])


@pytest.mark.parametrize(
    "listed",
    [
        "<available_skills><skill><name>late-fees</name></skill></available_skills>",
        "Skills:\n- late-fees: works out fees\n- other: x",
        "- **books:late-fees**: x",
        "see /home/u/.claude/skills/late-fees/SKILL.md",
    ],
)
def test_what_the_agent_has_already_is_not_shown_again(tmp_path: Path, shelf: Any, listed: str) -> None:
    async def do(provider: Provider, running: Running) -> None:
        provider.script = lambda writer: writer.events(*message_events("ok"))
        body = {"model": "m-1", "stream": True, "system": listed, "messages": [{"role": "user", "content": TASK}]}
        await post(running, "/messages", body)
        assert provider.asked[0].json == body
        await post(running, "/messages", {**body, "system": "S"})
        assert provider.asked[1].json["system"][1]["text"], "the setting asks for all"
        await post(running, "/messages", {**body, "system": "S"}, x_prowess_shelf="off")
        assert provider.asked[2].json["system"] == "S"
        other = {**body, "system": "S", "messages": [{"role": "user", "content": "What is the capital of France?"}]}
        await post(running, "/messages", other)
        assert provider.asked[3].json == other, "nothing fits"

    through(tmp_path, do, shelf=shelf[0], always=True)
