"""What stands between a listening socket and our code: limits of size and time, and headers that keep pages inert.

Used by every page and API of ours. A request that is too large, too slow or packed is answered before any code of ours
has looked at it; the protocol below closes connections that never finish their headers.
"""

import asyncio
import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import anyio
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from prowess.core.errors import UserError

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
else:
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    except ImportError:  # the extra is not installed whole; servers say so when they start
        HttpToolsProtocol = object

MAX_BODY: Final = 16_000_000
"""Bytes of one request: a session of a long day is some megabytes."""
MAX_HEADERS: Final = 64 * 1024
"""Bytes of request line and headers together."""
BODY_SECONDS: Final = 60.0
"""In which a body must have come."""
HEADER_SECONDS: Final = 15.0
UNREAD_SECONDS: Final = 60.0
"""For which a client may leave an answer unread."""
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


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises UserError where it cannot be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise UserError(f"{host}:{port} cannot be used: {error.strerror}", "name another port") from error
    made.listen(2048)
    made.set_inheritable(True)
    return made


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
        size, deadline, ended = 0, anyio.current_time() + self._seconds, False

        async def bounded() -> Message:
            nonlocal size, ended
            if ended:
                return await receive()  # waits for the client to go away
            try:
                with anyio.fail_after(max(0.0, deadline - anyio.current_time())):
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
    return _answer(413, f"the body is larger than {limit // 1_000_000} MB", "send it in parts")


def _answer(status: int, error: str, hint: str) -> JSONResponse:
    return JSONResponse({"error": error, "hint": hint}, status)


class Protocol(HttpToolsProtocol):
    """uvicorn's quick one, with an end to headers that never end and to answers that nobody reads."""

    _seen: int = 0
    _closer: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        if self._closer is not None:
            self._seen += len(data)
        # A large body may come with its headers; what counts is that the headers are done once so much has come.
        super().data_received(data)
        if self._closer is not None and self._seen > MAX_HEADERS:
            self._refuse(b"431 Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        self._expect()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._forget()
        super().on_headers_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(UNREAD_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._read()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        self._read()
        super().connection_lost(exc)

    def _read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _expect(self) -> None:
        if self._closer is None:
            self._seen = 0
            self._closer = self.loop.call_later(HEADER_SECONDS, self._refuse, b"408 Request Timeout")

    def _forget(self) -> None:
        if self._closer is not None:
            self._closer.cancel()
            self._closer = None

    def _refuse(self, status: bytes) -> None:
        self._forget()
        if not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            self.transport.close()
