"""The pages over HTTP: addresses, forms, and the door that says who looks.

The same routes serve one machine (`local`) and each project of a hub (`prowess.serve.hub.pages`). A form changes
something only when it carries the guard of its reader's cookie and comes from this very site.
"""

import hashlib
import hmac
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final
from urllib.parse import parse_qs, urlsplit

from anyio import to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from prowess.core.errors import ProwessError, UserError
from prowess.guard.redact import redact
from prowess.library import well_known
from prowess.report import render
from prowess.serve.access import Served, mime_type
from prowess.serve.guarded import Guarded
from prowess.serve.hub.accounts import NotFound
from prowess.serve.web import views
from prowess.serve.web.site import Site
from prowess.trajectories.runstore import RunStore

COOKIE: Final = "prowess"
"""On a hub; browsers do not tell ports apart, so the local pages have another one."""
LOCAL_COOKIE: Final = "prowess-web"
FORM: Final = 200_000
"""Bytes of a form."""
Door = Callable[[Request], Awaitable[Site]]
"""Says what a request may see; raises `Shut` where it is nobody's."""
Page = Callable[[Site, Request, Mapping[str, str]], str | Response]
_log = logging.getLogger(__name__)


class Shut(UserError):
    """Nobody is signed in."""


def guard_of(secret: str) -> str:
    """What forms carry: made from the cookie, which another site can neither read nor guess."""
    return hmac.new(secret.encode(), b"prowess form", hashlib.sha256).hexdigest()


def assets() -> list[BaseRoute]:
    """Style and script."""
    return [
        Route("/static/site.css", partial(_asset, "site.css", "text/css")),
        Route("/static/site.js", partial(_asset, "site.js", "text/javascript")),
    ]


async def _asset(name: str, kind: str, request: Request) -> Response:
    return Response(views.asset(name), media_type=kind, headers={"cache-control": "max-age=3600"})


def routes(prefix: str, door: Door) -> list[BaseRoute]:
    """Every page of a site, below `prefix`."""
    table: tuple[tuple[str, Page, Page | None], ...] = (
        ("/", lambda s, r, f: views.library(s), None),
        ("/search", lambda s, r, f: views.search(s, r.query_params.get("q", "")[:2000]), None),
        ("/skills/{name}", lambda s, r, f: views.skill(s, r.path_params["name"]), None),
        ("/skills/{name}/versions", lambda s, r, f: views.versions(s, r.path_params["name"], r.query_params), None),
        ("/review", lambda s, r, f: views.queue(s), None),
        ("/review/{id}", lambda s, r, f: views.proposal(s, r.path_params["id"]), _decide),
        ("/sessions", lambda s, r, f: views.sessions(s), None),
        ("/sessions/{id}", lambda s, r, f: views.session(s, r.path_params["id"]), None),
        ("/runs", lambda s, r, f: views.runs(s), None),
        ("/runs/{id}", _report, None),
        ("/progress", lambda s, r, f: views.progress(s), _learn),
        ("/progress/now", lambda s, r, f: views.progress(s, fragment=True), None),
        ("/cost", lambda s, r, f: views.cost(s), None),
    )
    found: list[BaseRoute] = []
    for path, shows, takes in table:
        found.append(Route(prefix + path, endpoint(door, shows), methods=["GET"]))
        if takes is not None:
            found.append(Route(prefix + path, endpoint(door, takes), methods=["POST"]))
    return found


def endpoint(door: Door, page: Page) -> Callable[[Request], Awaitable[Response]]:
    """A page behind its door, run in a thread; what goes wrong becomes a page, too."""

    async def answer(request: Request) -> Response:
        site: Site | None = None
        try:
            site = await door(request)
            form = await form_of(request, site.guard) if request.method == "POST" else {}
            made = await to_thread.run_sync(page, site, request, form)
            return html(made) if isinstance(made, str) else made
        except Shut:
            return RedirectResponse("/login", 303)
        except ProwessError as error:
            return problem(error, site)

    return answer


def html(text: str, status: int = 200) -> Response:
    return HTMLResponse(text, status, {"cache-control": "private, no-cache"})


def problem(error: ProwessError, site: Site | None = None) -> Response:
    """An error as a page; what is wrong with the machine goes to the log alone."""
    if not isinstance(error, UserError):
        _log.warning("%s", error)
        text = views.rendered(
            "problem.html", site, here="", error="This does not work at the moment.", hint="Try again."
        )
        return html(text, 503)
    status = 404 if isinstance(error, NotFound) else 422
    said = {"error": redact(error.message), "hint": redact(error.hint)}  # what was sent may be quoted in it
    return html(views.rendered("problem.html", site, here="", **said), status)


async def form_of(request: Request, guard: str) -> dict[str, str]:
    """The fields of a form of our own.

    Raises:
        UserError: it is not ours, or too large.
    """
    own = request.headers.get("host", "")
    origin = request.headers.get("origin")
    elsewhere = origin is not None and urlsplit(origin).netloc != own
    if elsewhere or request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise UserError("this form was sent from another site", "open the page here and send it again")
    body = await request.body()
    if len(body) > FORM or not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise UserError("this is no form of these pages", "open the page again")
    try:
        fields = parse_qs(
            body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=50, errors="strict"
        )
    except ValueError as error:
        raise UserError("this is no form of these pages", "open the page again") from error
    found = {name: values[-1].replace("\r\n", "\n") for name, values in fields.items()}
    if not hmac.compare_digest(found.pop("guard", "").encode("utf-8", "replace"), guard.encode()):
        raise UserError("this form is too old", "open the page again and send it anew")
    return found


def _decide(site: Site, request: Request, form: Mapping[str, str]) -> str | Response:
    id = request.path_params["id"]
    if site.decide is None or site.skip is None:
        raise UserError("you may not decide here", "ask a reviewer of the project")
    act, text = form.get("act"), form.get("text")
    try:
        if act == "skip":
            site.skip(id, form.get("reason", "")[:500])
        elif act in ("use", "tweak"):
            site.decide(id, text if act == "tweak" else None, form.get("foreign") == "1")
        else:
            raise UserError("nothing was decided", "use the buttons of the page")
    except NotFound:
        raise
    except UserError as error:
        return html(views.proposal(site, id, str(error), text), 422)
    return RedirectResponse(f"{site.at}/review", 303)


def _learn(site: Site, request: Request, form: Mapping[str, str]) -> Response:
    if site.learn is None:
        raise UserError("you may not start this here", "ask a reviewer of the project")
    site.learn()
    return RedirectResponse(f"{site.at}/progress", 303)


def _report(site: Site, request: Request, form: Mapping[str, str]) -> Response:
    """The run's own page, which brings its own policy: one that lets nothing but its own script run."""
    run = next((r for r in site.runs() if r.record is not None and r.record.id == request.path_params["id"]), None)
    if run is None or run.record is None:
        raise NotFound("there is no such run")
    store = RunStore(run.folder / "run.db")
    try:
        from prowess.measure.trials import stored_trajectory

        text = render(run.record, lambda id: stored_trajectory(store, id))
    finally:
        store.close()
    return HTMLResponse(text, headers={"content-security-policy": "frame-ancestors 'none'"})


def local(site_of: Callable[[str], Site], key: str, hosts: tuple[str, ...]) -> ASGIApp:
    """The pages for the one person who has `key`, which the address that they were given carries.

    Args:
        site_of: Makes the site, given the guard of its forms.
        hosts: Names by which it may be asked, with the port; another one is some other site's doing.
    """
    cookie = secrets.token_urlsafe(32)

    async def door(request: Request) -> Site:
        _check_host(request, hosts)
        # A program has the key itself instead, which no other site can make a browser send.
        told = request.headers.get("authorization", "").removeprefix("Bearer ")
        given = request.cookies.get(LOCAL_COOKIE, "")
        if not (_same(given, cookie) or _same(told, key)):
            raise UserError("this address needs the key that `prowess web` printed", "open the whole address")
        return site_of(guard_of(cookie))

    async def enter(request: Request) -> Response:
        try:
            _check_host(request, hosts)
        except UserError as error:
            return problem(error)
        given = request.query_params.get("key", "")
        if not _same(given, key):
            return problem(UserError("this is not the key of these pages", "open the address that was printed"))
        answer = RedirectResponse("/", 303)
        answer.set_cookie(LOCAL_COOKIE, cookie, httponly=True, samesite="strict")
        return answer

    published = Route(f"/{well_known.PREFIX}/{{path:path}}", endpoint(door, _published), methods=["GET"])
    return Guarded(Starlette(routes=[*assets(), Route("/enter", enter), published, *routes("", door)]), max_body=FORM)


def _published(site: Site, request: Request, form: Mapping[str, str]) -> Response:
    """The skills that somebody has vouched for, where agents look for those of a host."""
    files = well_known.published(Served.of(site.library, site.keyring).trees)
    path = request.path_params["path"]
    if path not in files:
        raise NotFound("no skill is published there")
    return Response(files[path], media_type=mime_type(path), headers={"cache-control": "private, no-cache"})


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def _check_host(request: Request, hosts: tuple[str, ...]) -> None:
    if request.headers.get("host", "") not in hosts:
        raise UserError("these pages are for this machine only", "open the address that was printed")
