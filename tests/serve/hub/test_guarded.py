"""The limits before our code: slow, large and packed bodies, and headers that never end."""

from typing import Any

import anyio
import pytest

pytest.importorskip("starlette", reason="the extra is not installed: pip install 'prowess[hub]'")

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from prowess.serve.guarded import HEADERS, Guarded


async def echo(request: Request) -> Response:
    return Response(str(len(await request.body())), headers={"x-content-type-options": "own"})


APP = Guarded(Starlette(routes=[Route("/", echo, methods=["POST"])]), max_body=1000, body_seconds=0.3)


def ask(
    parts: list[bytes], pause: float = 0.0, headers: dict[str, str] | None = None
) -> tuple[int, dict[bytes, bytes], bytes]:
    """Sends a body in parts, each after a pause; gives status, headers and body of the answer."""
    sent: list[Any] = []
    waiting = list(parts)

    async def receive() -> dict[str, Any]:
        await anyio.sleep(pause)
        part = waiting.pop(0) if waiting else b""
        return {"type": "http.request", "body": part, "more_body": bool(waiting)}

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    scope = {"type": "http", "method": "POST", "path": "/", "raw_path": b"/", "query_string": b"", "headers": raw}

    async def go() -> None:
        with anyio.fail_after(20):
            await APP(scope, receive, send)

    anyio.run(go)
    assert [m["type"] for m in sent] == ["http.response.start", "http.response.body"]
    assert len(sent[0]["headers"]) == len(dict(sent[0]["headers"])), "a header twice"
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


def test_a_body_within_limits_comes_through() -> None:
    status, headers, body = ask([b"x" * 500, b"y" * 500])
    assert (status, body) == (200, b"1000")
    assert headers[b"content-security-policy"] == HEADERS["content-security-policy"].encode()
    assert headers[b"x-content-type-options"] == b"own", "what the application says itself counts"


@pytest.mark.parametrize(
    ("parts", "pause", "headers", "status"),
    [
        ([b"x" * 500] * 3, 0.0, {}, 413),
        ([b"x"], 0.0, {"content-length": "1001"}, 413),
        ([b"x"], 0.0, {"content-length": "9" * 5000}, 413),
        ([b"x"] * 20, 0.1, {}, 408),
        ([b"x"], 0.0, {"content-encoding": "gzip"}, 415),
        ([b"x"], 0.0, {"content-encoding": "identity, br"}, 415),
    ],
)
def test_what_is_beyond_them_is_answered_before_us(
    parts: list[bytes], pause: float, headers: dict[str, str], status: int
) -> None:
    got, told, body = ask(parts, pause, headers)
    assert got == status and b'"error"' in body and told[b"connection"] == b"close"


def test_headers_that_never_end_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the protocol alone: time runs out, size runs out, and headers that are whole forget both."""
    uvicorn = pytest.importorskip("uvicorn")
    pytest.importorskip("httptools")
    from prowess.serve import listen

    monkeypatch.setattr(listen, "HEADER_SECONDS", 0.1)

    class Transport:
        def __init__(self) -> None:
            self.said, self.closed = b"", False

        def write(self, data: bytes) -> None:
            self.said += data

        def close(self) -> None:
            self.closed = True

        def is_closing(self) -> bool:
            return self.closed

        def get_extra_info(self, name: str, default: object = None) -> object:
            return default

        def pause_reading(self) -> None:
            pass

        resume_reading = pause_reading

        def set_protocol(self, protocol: object) -> None:
            pass

    async def go() -> None:
        import asyncio

        config = uvicorn.Config(APP, http=listen.Protocol, ws="none", lifespan="off")
        config.load()
        state = uvicorn.Server(config).server_state

        def connected() -> tuple[Any, Transport]:
            protocol = listen.Protocol(
                config=config, server_state=state, app_state={}, _loop=asyncio.get_running_loop()
            )
            transport = Transport()
            protocol.connection_made(transport)
            return protocol, transport

        _, transport = connected()
        await asyncio.sleep(0.2)
        assert transport.closed and b"408" in transport.said
        monkeypatch.setattr(listen, "HEADER_SECONDS", 60.0)

        flood, transport = connected()
        flood.data_received(b"POST / HTTP/1.1\r\n")
        for n in range(1000):
            if transport.closed:
                break
            flood.data_received(b"x-%d: %s\r\n" % (n, b"a" * 100))
        assert transport.closed and b"431" in transport.said

        honest, transport = connected()
        honest.data_received(b"POST / HTTP/1.1\r\ncontent-length: 100000\r\n\r\n" + b"x" * 90_000)
        assert honest._closer is None and not transport.closed
        honest.connection_lost(None)

    anyio.run(go)
