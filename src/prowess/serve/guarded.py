"""What stands before our pages and our API: bodies of bounded size and time, and headers that keep pages inert.

A request that is too large, too slow or packed is answered before any code of ours has looked at it. Headers that never
end, and answers that nobody reads, are the business of `prowess.serve.listen`.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY: Final = 16_000_000
"""Bytes of one request: a session of a long day is some megabytes."""
BODY_SECONDS: Final = 60.0
"""In which a body must have come."""
POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_RAW: Final = [(name.encode(), value.encode()) for name, value in HEADERS.items()]


class Beyond(Exception):
    """A body is larger or slower than is taken. Whoever reads it lets this pass; `Guarded` has the answer."""


class Guarded:
    """Wraps an application: bounded bodies in and safe headers out."""

    def __init__(self, app: ASGIApp, max_body: int = MAX_BODY, body_seconds: float = BODY_SECONDS) -> None:
        self._app, self._max, self._seconds = app, max_body, body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        problem, sent = self._refused(scope), False

        async def out(message: Message) -> None:
            nonlocal sent
            if problem is not None and not sent:
                return  # what the application makes of a body that it could not read
            if message["type"] == "http.response.start":
                sent = True
                given = message.get("headers", [])
                names = {name for name, _ in given}
                message["headers"] = [*given, *(header for header in _RAW if header[0] not in names)]
            await send(message)

        def beyond(answer: JSONResponse) -> Beyond:
            nonlocal problem
            problem = answer
            return Beyond()

        if problem is None:
            try:
                await self._app(scope, self._bounded(receive, beyond), out)
            except ClientDisconnect:
                return  # nobody waits for an answer any more
            except Exception:
                if problem is None:
                    raise
        if problem is not None and not sent:
            answer, problem = problem, None
            answer.headers["connection"] = "close"
            await answer(scope, receive, out)

    def _refused(self, scope: Scope) -> JSONResponse | None:
        headers = dict(scope["headers"])
        if headers.get(b"content-encoding", b"identity").strip().lower() not in (b"", b"identity"):
            return _answer(415, "bodies must not be compressed", "send it as it is")
        length = headers.get(b"content-length", b"0")
        return _too_large(self._max) if length.isdigit() and int(length[:20]) > self._max else None

    def _bounded(self, receive: Receive, beyond: Callable[[JSONResponse], Beyond]) -> Receive:
        size, deadline, ended = 0, asyncio.get_running_loop().time() + self._seconds, False

        async def bounded() -> Message:
            nonlocal size, ended
            if ended:
                return await receive()  # waits for the client to go away
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise beyond(_answer(408, "the body did not come in time", "send it faster, or in parts")) from None
            size += len(message.get("body", b""))
            ended = not message.get("more_body", False)
            if size > self._max:
                raise beyond(_too_large(self._max))
            return message

        return bounded


def _too_large(limit: int) -> JSONResponse:
    return _answer(413, f"the body is larger than {limit:,} bytes", "send it in parts")


def _answer(status: int, error: str, hint: str) -> JSONResponse:
    return JSONResponse({"error": error, "hint": hint}, status)
