"""A provider that answers what a test tells it to, byte for byte, and the proxy in front of it, both on loopback."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from prowess.core.trajectory import Trajectory
from prowess.serve import listen
from prowess.serve.proxy.app import Proxy, app
from prowess.serve.proxy.upstreams import Route, Routes, Upstream
from prowess.trajectories.store import TrajectoryStore

KEY = "sk-canary-4d1Yw8pQz7Lm2Xc9Vb3N"
"""The provider's key. It must never be found anywhere but in a request to the provider."""


@dataclass
class Asked:
    """What reached the provider."""

    path: str
    headers: dict[str, str]
    body: bytes
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the connection ended before the answer did."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Writer:
    """How a script answers."""

    def __init__(self, asked: Asked, stream: asyncio.StreamWriter) -> None:
        self.asked, self.stream = asked, stream

    async def raw(self, data: bytes) -> None:
        self.stream.write(data)
        await self.stream.drain()

    async def whole(self, body: bytes, status: str = "200 OK", kind: str = "application/json", more: str = "") -> None:
        head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n{more}\r\n"
        await self.raw(head.encode() + body)

    async def begin(self, more: str = "") -> None:
        await self.raw(
            f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n{more}\r\n".encode()
        )

    async def chunk(self, data: bytes) -> None:
        await self.raw(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def end(self) -> None:
        await self.raw(b"0\r\n\r\n")

    async def events(self, *events: bytes) -> None:
        """A whole stream, cut into chunks that heed no boundary of events or characters."""
        await self.begin()
        data = b"".join(events)
        for start in range(0, len(data), 37):
            await self.chunk(data[start : start + 37])
        await self.end()


Script = Callable[[Writer], Awaitable[None]]


class Provider:
    """The upstream. `script` answers each request."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.script: Script | None = None
        self.port = 0

    @asynccontextmanager
    async def running(self) -> AsyncGenerator["Provider"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:] if line)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                asked = Asked(head[0].split()[1], headers, body)
                self.asked.append(asked)
                assert self.script is not None
                script = asyncio.ensure_future(self.script(Writer(asked, writer)))
                ended = asyncio.ensure_future(reader.read(1))  # the client sends nothing while it is answered
                await asyncio.wait([script, ended], return_when=asyncio.FIRST_COMPLETED)
                if ended.done() or script.exception() is not None:
                    asked.gone.set()
                    script.cancel()
                    await asyncio.wait([script, ended])
                    return
                ended.cancel()
                await asyncio.wait([ended])
        except (asyncio.IncompleteReadError, ConnectionError, BrokenPipeError):
            pass
        finally:
            writer.close()


class Running:
    """A proxy that listens."""

    def __init__(self, port: int, proxy: Proxy, store: Path) -> None:
        self.port, self.proxy, self.store = port, proxy, store
        self.url = f"http://127.0.0.1:{port}/v1"
        self.closing = AsyncExitStack()
        """Closes the clients of a test."""

    async def sessions(self) -> list[Trajectory]:
        """What was recorded, once nothing waits any more."""
        assert self.proxy.recorder is not None
        with anyio.fail_after(30):
            while self.proxy.active:  # a client has its answer a moment before it is recorded
                await asyncio.sleep(0.01)
            await self.proxy.recorder.drained()
        with TrajectoryStore(self.store) as store:
            return [store.get(row.id) for row in store.find()]


@asynccontextmanager
async def proxied(
    provider: Provider, folder: Path, token: str = "", record: bool = True, **more: Any
) -> AsyncGenerator[Running]:
    """A proxy before `provider`, served as `prowess serve proxy` does it."""
    upstream = Upstream(url=f"http://127.0.0.1:{provider.port}/v1", dialects=("chat", "responses", "messages"), key="K")
    store = folder / "trajectories.db"
    proxy = Proxy(Routes((Route(upstream, KEY),), token), store if record else None, **more)
    with listen.listening("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        server = listen.server(app(proxy), lifespan="on")
        task = asyncio.ensure_future(server.serve([listening]))
        try:
            while not server.started:
                await asyncio.sleep(0.01)
            running = Running(port, proxy, store)
            async with running.closing:
                yield running
        finally:
            server.should_exit = True
            await task


def event(data: Any, name: str = "") -> bytes:
    """One event of a stream."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()


def chat_events(*texts: str, usage: Any = None, more: Any = None) -> list[bytes]:
    """A chat completion as a stream."""

    def chunk(delta: Any, finish: Any = None, **rest: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, **rest}
        return event({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m-1", "choices": [choice]})

    made = [chunk({"role": "assistant", "content": ""})]
    made += [chunk({"content": text}, **(more(text) if more else {})) for text in texts]
    made.append(chunk({}, "stop"))
    if usage:
        made.append(event({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m-1", "choices": [],
                           "usage": usage}))  # fmt: skip
    return [*made, event("[DONE]")]


def message_events(*texts: str, tool: Any = None) -> list[bytes]:
    """A message of Anthropic's as a stream."""
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": [],
               "stop_reason": None, "usage": {"input_tokens": 11, "output_tokens": 1}}  # fmt: skip
    made = [event({"type": "message_start", "message": message}, "message_start")]
    made.append(event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
                      "content_block_start"))  # fmt: skip
    for text in texts:
        delta = {"type": "text_delta", "text": text}
        made.append(event({"type": "content_block_delta", "index": 0, "delta": delta}, "content_block_delta"))
    made.append(event({"type": "content_block_stop", "index": 0}, "content_block_stop"))
    if tool:
        block = {"type": "tool_use", "id": tool["id"], "name": tool["name"], "input": {}}
        made.append(event({"type": "content_block_start", "index": 1, "content_block": block}, "content_block_start"))
        text = json.dumps(tool["input"])
        for part in (text[:5], text[5:]):
            delta = {"type": "input_json_delta", "partial_json": part}
            made.append(event({"type": "content_block_delta", "index": 1, "delta": delta}, "content_block_delta"))
        made.append(event({"type": "content_block_stop", "index": 1}, "content_block_stop"))
    end = {"stop_reason": "tool_use" if tool else "end_turn", "stop_sequence": None}
    made.append(event({"type": "message_delta", "delta": end, "usage": {"output_tokens": 7}}, "message_delta"))
    return [*made, event({"type": "message_stop"}, "message_stop")]


def response_events(text: str, id: str = "resp_1") -> list[bytes]:
    """A response of OpenAI's as a stream."""
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    base = {"id": id, "object": "response", "created_at": 1, "model": "m-2", "status": "completed", "output": [],
            "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}  # fmt: skip
    usage = {"input_tokens": 20, "input_tokens_details": {"cached_tokens": 5}, "output_tokens": 4,
             "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 24}  # fmt: skip
    started = {**base, "status": "in_progress"}
    place = {"output_index": 0, "item_id": "msg_1", "content_index": 0}
    events = [
        {"type": "response.created", "response": started},
        {"type": "response.output_item.added", "output_index": 0,
         "item": {**item, "status": "in_progress", "content": []}},
        {"type": "response.content_part.added", **place, "part": {**part, "text": ""}},
        {"type": "response.output_text.delta", **place, "delta": text, "logprobs": []},
        {"type": "response.output_text.done", **place, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {**base, "output": [item], "usage": usage}},
    ]  # fmt: skip
    return [event({**e, "sequence_number": n}, e["type"]) for n, e in enumerate(events)]
