"""The web server under the proxy: uvicorn, with bounds on clients that only hold on.

uvicorn bounds the size of headers, idle connections and their number. What it leaves open is bounded here: headers that
never end, and answers that nobody reads.
"""

import asyncio
from typing import Any, Final

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS: Final = 10.0
"""From the first byte of a request, or from the connection, to the end of its headers."""
UNREAD_SECONDS: Final = 60.0
"""How long a client may leave an answer unread before its connection ends."""
IDLE_SECONDS: Final = 75
"""How long a connection stays open between requests."""
CONNECTIONS: Final = 1000
"""At one time; more are answered 503."""


class BoundedProtocol(H11Protocol):
    """HTTP/1.1 that ends connections on which nothing moves."""

    head_seconds = HEAD_SECONDS
    unread_seconds = UNREAD_SECONDS
    _head: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._head = self.loop.call_later(self.head_seconds, transport.abort)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        partial = self.conn.their_state is h11.IDLE and bool(self.conn.trailing_data[0])
        if not partial:
            self._head = _ended(self._head)
        elif self._head is None:
            self._head = self.loop.call_later(self.head_seconds, self._abort)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = _ended(self._unread) or self.loop.call_later(self.unread_seconds, self._abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread = _ended(self._unread)

    def connection_lost(self, exc: Exception | None) -> None:
        self._head, self._unread = _ended(self._head), _ended(self._unread)
        super().connection_lost(exc)

    def _abort(self) -> None:
        self.transport.abort()


def _ended(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


def server(app: Any, host: str, port: int) -> uvicorn.Server:
    """A server that is not running yet. It says nothing by itself: what is worth a line, `app` says."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            http=BoundedProtocol,
            ws="none",
            lifespan="on",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=IDLE_SECONDS,
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=10,
            h11_max_incomplete_event_size=64 * 1024,
        )
    )
