"""One request on its way to the upstream and one answer on its way back, neither of them changed.

Nothing is repeated here: clients know best when to, and a second call would cost twice.
"""

import asyncio
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import aiohttp
import anyio
from multidict import CIMultiDict
from starlette.requests import Request
from starlette.types import Receive, Send

from prowess.serve.proxy import dialects
from prowess.serve.proxy.bodies import MOST_KEPT, Refusal
from prowess.serve.proxy.upstreams import Dialect

LOOK_SECONDS: Final = 1.0
"""Between two looks whether the connection to an upstream is still there."""
_HOP: Final = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"}
    | {"transfer-encoding", "upgrade", "host", "content-length", "expect"}
)
_OWN: Final = frozenset(
    {"authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "forwarded", "x-real-ip", "via"}
    | {"openai-organization", "openai-project", "anthropic-workspace-id", "accept-encoding"}
)
"""Never handed on: who asks, and who pays, is the server's business; an encoding must be one that is known here."""


@dataclass(slots=True)
class Call:
    """One request on its way."""

    dialect: Dialect
    path: str
    started: float = field(default_factory=time.perf_counter)
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))
    model: str = ""
    provider: str = ""
    session: str = ""
    shown: tuple[str, ...] = ()
    status: int = 0
    first: float | None = None
    """Seconds until the reply began."""
    sent: int = 0
    """Bytes of the reply that the client was sent."""
    kept: bytearray | None = None
    """The reply, as far as it may be recorded; None to keep nothing."""
    reply: dict[str, str] = field(default_factory=dict[str, str])
    """The headers of the reply."""
    outcome: str = "gone"
    """`complete`; `refused` by us; `failed` or `cut` by the upstream; `gone`, when the client went away."""
    why: str = ""


async def passed(
    client: aiohttp.ClientSession,
    call: Call,
    url: str,
    headers: Sequence[tuple[str, str]],
    data: bytes | None,
    send: Send,
) -> None:
    """Sends the request on and the answer back, and notes in `call` what came of it."""
    method = "GET" if data is None else "POST"
    try:
        async with client.request(
            method, url, headers=CIMultiDict(headers), data=data, allow_redirects=False
        ) as response:
            if 300 <= response.status < 400:
                raise Refusal(502, f"the upstream answered with a redirect ({response.status}), which is not followed")
            call.status, call.first = response.status, time.perf_counter() - call.started
            call.reply.update((name.lower(), value) for name, value in response.headers.items())
            await send({"type": "http.response.start", "status": response.status, "headers": handed_back(response)})
            with _noticing_loss(response):
                async for chunk in response.content.iter_any():
                    call.sent += len(chunk)
                    if call.kept is not None and call.sent <= MOST_KEPT:
                        call.kept += chunk
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        call.outcome = "complete"
    except Refusal as refusal:
        await refuse(call, refusal, send)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        # Which address refused or which name was not found is the server's own business.
        call.why = type(error).__name__
        if call.status:
            call.outcome = "cut"  # answered as far as it went; the server ends the connection, so the client notices
            return
        slow = isinstance(error, TimeoutError)
        await refuse(call, Refusal(504 if slow else 502, f"the upstream {'is silent' if slow else 'failed'}"), send)
        call.outcome = "failed"


@contextmanager
def _noticing_loss(response: aiohttp.ClientResponse) -> Generator[None]:
    """Ends the reading of a reply whose connection is gone.

    At a malformed chunk, aiohttp's compiled parser (3.14) closes the connection and leaves whoever reads waiting.
    """
    loop = asyncio.get_running_loop()

    def look() -> None:
        nonlocal timer
        held = response.connection  # None once the reply has ended
        lost = held is not None and (held.transport is None or held.transport.is_closing())
        if lost and not response.content.is_eof():
            response.content.set_exception(aiohttp.ClientPayloadError("the connection was lost"))
        else:
            timer = loop.call_later(LOOK_SECONDS, look)

    timer = loop.call_later(LOOK_SECONDS, look)
    try:
        yield
    finally:
        timer.cancel()


async def until_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    """Cancels when the client has gone, and with that the request to the upstream."""
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


async def refuse(call: Call, refusal: Refusal, send: Send) -> None:
    call.status, call.outcome, call.why = refusal.status, "refused", call.why or refusal.message
    body = dialects.error(call.dialect, refusal.status, refusal.message)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if refusal.status in (408, 413):
        headers.append((b"connection", b"close"))  # the rest of the body is not wanted
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def handed_on(request: Request, key: Mapping[str, str], plain: bool) -> list[tuple[str, str]]:
    """The client's headers for the upstream, with the server's key. `plain`: the body is not packed (any more)."""
    left = {*_HOP, *_OWN, *_named(request.headers.get("connection", "")), *(["content-encoding"] if plain else [])}
    kept = [
        (name, value)
        for name, value in request.headers.items()
        if name not in left and not name.startswith(("x-prowess-", "x-forwarded-", "proxy-"))
    ]
    packed = "gzip" in request.headers.get("accept-encoding", "")
    return [*kept, ("accept-encoding", "gzip" if packed else "identity"), *key.items()]


def handed_back(response: aiohttp.ClientResponse) -> list[tuple[bytes, bytes]]:
    left = {*_HOP, "set-cookie", *_named(response.headers.get("connection", ""))} - {"content-length"}
    return [(name.lower(), value) for name, value in response.raw_headers if name.decode("latin-1").lower() not in left]


def _named(connection: str) -> list[str]:
    return [name.strip().lower() for name in connection.split(",")]
