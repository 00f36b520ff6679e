"""The proxy: passes requests on to the upstream in the same dialect, byte for byte, and records what came of them.

What goes wrong stays where it is. An upstream's error reaches the client as it is, headers and all; a reply that breaks
off breaks off for the client too; a client that goes away takes the upstream's request with it.
"""

import hmac
import json
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import anyio
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route as At
from starlette.types import Receive, Scope, Send

from prowess.core.errors import ProwessError
from prowess.serve import logs, telemetry
from prowess.serve.proxy import dialects
from prowess.serve.proxy.bodies import MOST_KEPT, Body, Refusal, read, unpacked
from prowess.serve.proxy.passing import Call, handed_on, passed, refuse, until_gone
from prowess.serve.proxy.recorder import Recorder
from prowess.serve.proxy.recording import Exchange, Recorded
from prowess.serve.proxy.shelf import NOTHING, Shelf, Shown
from prowess.serve.proxy.upstreams import Dialect, Route, Routes

CONNECT_SECONDS: Final = 10.0
SILENT_SECONDS: Final = 600.0
"""How long an upstream may say nothing: models that think before they speak are silent for minutes."""
LAST_SECONDS: Final = 30.0
"""For what still waits to be recorded when the proxy ends."""
SHELF: Final = "x-prowess-shelf"
"""Header of a request: `on` shows it skills of the library that fit, `off` does not."""
SESSION: Final = "x-prowess-session"
"""Header of a request: what its session is called. Those of Claude Code and of Codex are known too."""
_SESSIONS: Final = (SESSION, "x-claude-code-session-id", "session_id", "session-id")
_log = logging.getLogger("prowess.proxy")


@dataclass(slots=True)
class Proxy:
    """What the endpoints share."""

    routes: Routes
    store: Path | None = None
    """Where trajectories go; None to record nothing."""
    shelf: Shelf | None = None
    """The library that may be shown; None for none."""
    always: bool = False
    """Whether it is shown also where no header asks for it."""
    meter: telemetry.Meter = field(default_factory=telemetry.Meter)
    client: aiohttp.ClientSession | None = None
    """While the proxy runs."""
    recorder: Recorder | None = None
    active: int = 0
    """Requests that are being answered."""

    @asynccontextmanager
    async def running(self, _: object) -> AsyncGenerator[None]:
        """What lives as long as the server."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS)
        self.client = aiohttp.ClientSession(
            auto_decompress=False,
            timeout=timeout,
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
        )
        async with self.client, anyio.create_task_group() as tasks:
            if self.store is not None:
                self.recorder = Recorder(self.store, self._recorded)
                tasks.start_soon(self.recorder.run)
            yield
            if self.recorder is not None:
                with anyio.move_on_after(LAST_SECONDS):
                    await self.recorder.drained()
            tasks.cancel_scope.cancel()

    def _recorded(self, told: Recorded) -> None:
        self.meter.recorded(told.outcome, told.provider, told.model, told.prompt_tokens, told.completion_tokens)

    def count(self, change: int) -> None:
        self.active += change
        self.meter.active(change)

    def admit(self, request: Request) -> None:
        """Raises Refusal when the client may not use the proxy: it holds keys, and money can be spent with them."""
        if "origin" in request.headers:
            raise Refusal(403, "browsers are not served")  # a page could else spend money of whoever looks at it
        token = self.routes.token
        if token:
            bearer = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
            given = request.headers.get("x-api-key", "") or bearer
            if not hmac.compare_digest(given.encode(), token.encode()):
                raise Refusal(401, "this proxy wants its own token as the API key")


def app(proxy: Proxy, metrics: Callable[[], bytes] | None = None) -> Starlette:
    """The web application. `metrics` gives what `/metrics` answers, in Prometheus' text format."""

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def figures(_: Request) -> Response:
        if metrics is None:
            return Response("install prowess[otel] for metrics\n", 501, media_type="text/plain")
        return Response(metrics(), media_type="text/plain; version=0.0.4")

    ours = [At("/healthz", health), At("/metrics", figures)]
    passed = [At(f"/v1{path}", _Endpoint(proxy, name), methods=["POST"]) for name, path in dialects.PATHS.items()]
    counted = _Endpoint(proxy, "messages", "/messages/count_tokens", recorded=False)
    rest = [At("/v1/messages/count_tokens", counted, methods=["POST"]), At("/v1/models", _Models(proxy))]
    return Starlette(routes=[*ours, *passed, *rest], lifespan=proxy.running)


class _Endpoint:
    """One dialect's path, as an ASGI application of its own: streams need no layer in between."""

    def __init__(self, proxy: Proxy, dialect: Dialect, path: str = "", recorded: bool = True) -> None:
        self._proxy = proxy
        self._dialect: Dialect = dialect
        self._path = path or dialects.PATHS[dialect]
        self._recorded = recorded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = Call(self._dialect, self._path)
        self._proxy.count(1)
        try:
            await self._answer(call, Request(scope, receive), receive, send)
        finally:
            self._proxy.count(-1)
            _tell(self._proxy.meter, call)

    async def _answer(self, call: Call, request: Request, receive: Receive, send: Send) -> None:
        proxy, headers = self._proxy, request.headers
        try:
            proxy.admit(request)
            encoding = headers.get("content-encoding", "")
            body = await read(request.stream(), encoding, headers.get("content-length", ""))
            model = body.json.get("model")
            call.model = model[:80] if isinstance(model, str) else ""
            call.session = next((headers[name][:200] for name in _SESSIONS if name in headers), "")
            route = proxy.routes.choose(self._dialect, call.model)
            if route is None:
                raise Refusal(404, f"no upstream is set up for model {call.model!r} in the dialect {self._dialect}")
            call.provider = route.upstream.provider
            shown = await self._shown(body, headers.get(SHELF, "").lower())
        except ClientDisconnect:
            return
        except Refusal as refusal:
            await refuse(call, refusal, send)
            return
        call.shown = tuple(skill.name for skill in shown.skills)
        changed = dialects.with_text(self._dialect, body.json, shown.text) if shown.text else None
        data = json.dumps(changed).encode() if changed is not None else body.sent
        sent = handed_on(request, route.headers(self._dialect), plain=changed is not None)
        about = {
            telemetry.OPERATION: "chat", telemetry.PROVIDER: call.provider, telemetry.REQUEST_MODEL: call.model,
            **({telemetry.CONVERSATION: call.session} if call.session else {}),
        }  # fmt: skip
        call.kept = bytearray() if proxy.recorder is not None and self._recorded else None
        client = proxy.client
        assert client is not None
        with telemetry.span(f"chat {call.model}", about) as found:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(until_gone, receive, tasks.cancel_scope)
                await passed(client, call, route.upstream.url + self._path, sent, data, send)
                tasks.cancel_scope.cancel()
            if call.status:
                found[telemetry.STATUS] = call.status
            if call.outcome != "complete" or call.status >= 400:
                found[telemetry.ERROR] = str(call.status) if call.outcome == "complete" else call.outcome
        if call.kept is not None and call.outcome == "complete" and call.status == 200:
            self._keep(call, body, request, shown, call.kept)

    async def _shown(self, body: Body, wish: str) -> Shown:
        """What of the library this request is to be shown."""
        shelf = self._proxy.shelf
        if shelf is None or not self._recorded or wish == "off" or not (self._proxy.always or wish == "on"):
            return NOTHING
        try:
            return await anyio.to_thread.run_sync(shelf.choose, dialects.asked(self._dialect, body.json), body.text)
        except ProwessError as error:
            _log.error("no skill could be shown: %s", error)
            return NOTHING

    def _keep(self, call: Call, body: Body, request: Request, shown: Shown, kept: bytearray) -> None:
        assert self._proxy.recorder is not None
        data = None
        if len(kept) == call.sent:
            with suppress(Refusal):
                data = unpacked(bytes(kept), call.reply.get("content-encoding", ""), MOST_KEPT)
        if data is None:
            self._proxy.meter.recorded("dropped", call.provider, "unknown", 0, 0)
            return
        self._proxy.recorder.add(
            Exchange(
                dialect=self._dialect,
                request=body.text,
                reply=data,
                streamed=call.reply.get("content-type", "").startswith("text/event-stream"),
                started=call.at,
                seconds=time.perf_counter() - call.started,
                provider=call.provider,
                user_agent=request.headers.get("user-agent", ""),
                session=call.session,
                shown=call.shown,
                snapshot=shown.snapshot,
            )
        )


class _Models:
    """`GET /v1/models`, of the first upstream for the dialect whose clients ask so."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        dialect: Dialect = "messages" if "anthropic-version" in request.headers else "chat"
        call = Call(dialect, "/models")
        try:
            if request.method not in ("GET", "HEAD"):
                raise Refusal(405, "only GET")
            self._proxy.admit(request)
            fits = (r for r in self._proxy.routes.routes if dialect in r.upstream.dialects)
            route: Route | None = next(fits, None)
            if route is None:
                raise Refusal(404, f"no upstream is set up for the dialect {dialect}")
        except Refusal as refusal:
            await refuse(call, refusal, send)
            return
        sent, client = handed_on(request, route.headers(dialect), plain=True), self._proxy.client
        assert client is not None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(until_gone, receive, tasks.cancel_scope)
            await passed(client, call, f"{route.upstream.url}/models", sent, None, send)
            tasks.cancel_scope.cancel()


def _tell(meter: telemetry.Meter, call: Call) -> None:
    """One line in the log and one point in each figure, without anything that was said."""
    seconds = time.perf_counter() - call.started
    failed = call.outcome != "complete" or call.status >= 400
    about: dict[str, Any] = {
        telemetry.OPERATION: "chat", telemetry.PROVIDER: call.provider, telemetry.REQUEST_MODEL: call.model,
        **({telemetry.ERROR: call.outcome if call.outcome != "complete" else str(call.status)} if failed else {}),
    }  # fmt: skip
    meter.called(seconds, call.first, about)
    fields = {
        "path": call.path, "model": call.model, "provider": call.provider, "session": call.session,
        "status": call.status, "outcome": call.outcome, "why": call.why, "bytes": call.sent,
        "first_s": None if call.first is None else round(call.first, 4), "total_s": round(seconds, 4),
        "shown": list(call.shown),
    }  # fmt: skip
    logs.event(_log, "exchange", fields)
