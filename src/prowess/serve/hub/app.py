"""The hub as one application: the API of the table of routes, and the pages of each project."""

import hashlib
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from inspect import iscoroutinefunction
from typing import Any, Final

from anyio import to_thread
from pydantic import TypeAdapter
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.routing import Route as WebRoute
from starlette.types import ASGIApp

from prowess.core.errors import BoundaryError, UserError
from prowess.serve.guarded import Beyond, Guarded
from prowess.serve.hub.accounts import Principal
from prowess.serve.hub.api import ROUTES
from prowess.serve.hub.routes import Call, NoToken, Route, encoded, failed, parsed, permit
from prowess.serve.hub.service import Hub

FRESH: Final = 1.0
"""Seconds for which a token that was looked up counts without another look; a revocation elsewhere takes so long."""
_MOST: Final = 10_000
_HOT: Final = frozenset({"skills", "skill", "search"})
"""Routes that answer from memory, and so need no thread."""
_MOST_ASKED: Final = _HOT | {"upload"}
_log = logging.getLogger(__name__)


class Known:
    """Who tokens stand for: asked of the database once a second each."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._known: dict[bytes, tuple[float, Principal | None]] = {}

    async def who(self, secret: str) -> Principal | None:
        key, now = hashlib.sha256(secret.encode("utf-8", "replace")).digest(), time.monotonic()
        found = self._known.get(key)
        if found is None or found[0] < now:
            if len(self._known) >= _MOST:
                self._known.clear()
            found = self._known[key] = (now + FRESH, await to_thread.run_sync(self._hub.accounts.principal, secret))
        return found[1]

    def forget(self) -> None:
        """Asks anew for every token, since somebody's rights have changed here."""
        self._known.clear()


def secret_of(request: Request) -> str | None:
    """The token of the header; None where there is none of our kind."""
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    return secret.strip() if kind.lower() == "bearer" else None


def application(hub: Hub, pages: Callable[[Hub, Known], list[BaseRoute]] | None = None) -> ASGIApp:
    """The hub's application; `pages` adds those for a browser."""
    known = Known(hub)
    adapters: dict[str, TypeAdapter[Any]] = {}
    # Addresses are compared one after the other, so those that are asked for most come first.
    routes: list[BaseRoute] = [
        WebRoute(route.path, _endpoint(hub, known, route, adapters), methods=[route.method])
        for route in sorted(ROUTES, key=lambda route: route.name not in _MOST_ASKED)
    ]
    if pages is not None:
        routes += pages(hub, known)
    handlers: Any = {404: _no_route, 405: _no_route}
    return Guarded(Starlette(routes=routes, exception_handlers=handlers))


async def _no_route(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    said = "there is no such address" if status == 404 else "this address does not take that method"
    return JSONResponse({"error": said, "hint": ""}, status, getattr(error, "headers", None))


def _endpoint(
    hub: Hub, known: Known, route: Route, adapters: dict[str, TypeAdapter[Any]]
) -> Callable[[Request], Awaitable[Response]]:
    waits = iscoroutinefunction(route.call)

    async def endpoint(request: Request) -> Response:
        try:
            secret = secret_of(request)
            who = await known.who(secret) if secret is not None else None
            if secret is not None and who is None:
                raise NoToken("this token does not count", "it was mistyped, revoked, or has ended")
            who = permit(route, who, request.path_params.get("project"))
            query, body = await parsed(route, request)
            call = Call(hub, who, request.path_params, query, body)
            if waits:
                return encoded(route, await route.call(call), adapters)
            answer_ = partial(_answer, route, call, adapters, request.headers.get("if-none-match"))
            if route.name in _HOT and hub.project(call.project_name).is_current():
                return answer_()
            answer = await to_thread.run_sync(answer_)
            if route.method != "GET" and route.needs in ("account", "admin", "manage"):
                known.forget()
            return answer
        except (UserError, BoundaryError) as error:
            return failed(error)
        except (ClientDisconnect, Beyond):
            raise
        except Exception as error:
            _log.exception("%s %s failed", route.method, route.path)
            return failed(error)

    return endpoint


def _answer(route: Route, call: Call, adapters: dict[str, TypeAdapter[Any]], had: str | None) -> Response:
    """The route's answer; of the list of skills as it was encoded before, or `304` where the client has it already."""
    if route.name != "skills":
        return encoded(route, route.call(call), adapters)
    project = call.project
    etag, listing = f'"{project.served().head}"', project.listing
    if listing is None or listing[0] != etag:
        listed = route.call(call)
        listing = project.listing = (f'"{listed.head}"', listed.model_dump_json().encode())
    headers = {"etag": listing[0], "cache-control": "private, no-cache"}
    if had == listing[0]:
        return Response(status_code=304, headers=headers)
    return Response(listing[1], media_type="application/json", headers=headers)
