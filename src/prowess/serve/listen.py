"""What listens: a socket, uvicorn's quick protocol with bounds on clients that only hold on, and the server of both.

uvicorn bounds connections, idle ones among them, and their number. What it leaves open is bounded here: headers that
never end, in time or in size, and answers that nobody reads. `prowess.serve.guarded` bounds the bodies.
"""

import asyncio
import socket
from typing import Any, Final, Literal

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from prowess.core.errors import UserError

MAX_HEADERS: Final = 64 * 1024
"""Bytes of request line and headers together."""
HEADER_SECONDS: Final = 15.0
"""From the connection, or from the first byte of a further request, to the end of its headers."""
UNREAD_SECONDS: Final = 60.0
"""For which a client may leave an answer unread."""
IDLE_SECONDS: Final = 75
"""For which a connection stays open between two requests; providers and their SDKs count on a minute."""
CONNECTIONS: Final = 1000
"""At one time; more are answered 503."""


def listening(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A socket that listens there. Raises UserError where it cannot be.

    Args:
        shared: Each of several processes has such a socket, and the kernel deals connections out among them. Where all
            wait at one socket, whoever wakes first takes every connection that is there.
    """
    made = bound(host, port, shared=shared)
    made.listen(2048)
    return made


def bound(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A socket that has the address and does not listen yet: it keeps the port for those that will share it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise UserError(f"{host}:{port} cannot be used: {error.strerror}", "name another port") from error
    return made


def server(
    app: Any, *, connections: int = CONNECTIONS, grace: int = 10, lifespan: Literal["on", "off"] = "off"
) -> uvicorn.Server:
    """A server for `app`; run it with the sockets that it shall serve.

    Args:
        connections: At one time; more are answered 503.
        grace: Seconds in which requests that are under way may end when it is told to stop.
        lifespan: Whether the application has something that lives as long as the server.
    """
    return uvicorn.Server(
        uvicorn.Config(
            app, http=Protocol, ws="none", lifespan=lifespan, limit_concurrency=connections,
            timeout_keep_alive=IDLE_SECONDS, timeout_graceful_shutdown=grace,
            # What is worth a line, the application says (`prowess.serve.logs`); who asks is who is connected.
            log_config=None, log_level="error", access_log=False, server_header=False, proxy_headers=False,
        )
    )  # fmt: skip


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 that ends connections on which nothing moves."""

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
        self._closer = _ended(self._closer)
        super().on_headers_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self._unread or self.loop.call_later(UNREAD_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread = _ended(self._unread)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closer, self._unread = _ended(self._closer), _ended(self._unread)
        super().connection_lost(exc)

    def _expect(self) -> None:
        if self._closer is None:
            self._seen = 0
            self._closer = self.loop.call_later(HEADER_SECONDS, self._refuse, b"408 Request Timeout")

    def _refuse(self, status: bytes) -> None:
        self._closer = _ended(self._closer)
        if not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            self.transport.close()


def _ended(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
