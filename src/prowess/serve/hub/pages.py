"""The pages of a hub: signing in, and each project's pages as its member may see them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from prowess.core.errors import UserError
from prowess.core.trajectory import Trajectory
from prowess.serve import review
from prowess.serve.hub.accounts import WEB_HOURS, NotFound, Principal
from prowess.serve.hub.calls.skills import decide
from prowess.serve.hub.service import Hub
from prowess.serve.hub.sessions import Sessions
from prowess.serve.web import app as web
from prowess.serve.web import views
from prowess.serve.web.site import Line, Site, Work
from prowess.trajectories.store import Use

if TYPE_CHECKING:
    from prowess.serve.hub.app import Known

SHOWN: Final = 30
"""Jobs that the page of progress lists."""


def pages(hub: Hub, known: "Known", secure: bool = False) -> list[BaseRoute]:
    """Routes of all pages.

    Args:
        secure: The cookie travels over https alone.
    """

    async def who(request: Request) -> tuple[Principal, str]:
        secret = request.cookies.get(web.COOKIE, "")
        found = await known.who(secret) if secret else None
        if found is None:
            raise web.Shut("nobody is signed in")
        return found, secret

    async def door(request: Request) -> Site:
        found, secret = await who(request)
        name = request.path_params["project"]
        if not found.may("read", name):
            raise NotFound(f"there is no project {name!r}")
        return await to_thread.run_sync(_site, hub, name, found, web.guard_of(secret))

    async def start(request: Request) -> Response:
        try:
            found, _ = await who(request)
        except web.Shut:
            return RedirectResponse("/login", 303)
        if len(found.roles) == 1:
            return RedirectResponse(f"/p/{next(iter(found.roles))}/", 303)
        return web.html(views.rendered("projects.html", None, here="", projects=sorted(found.roles.items())))

    async def login(request: Request) -> Response:
        if request.method == "GET":
            return web.html(views.rendered("login.html", None, here="", problem=""))
        try:
            # Nobody is signed in yet, so there is no guard; that it comes from this site is checked all the same.
            form = await web.form_of(request, "")
        except UserError as error:
            return web.problem(error)
        found = await to_thread.run_sync(hub.accounts.principal, form.get("token", "").strip())
        if found is None:
            text = "This token does not count: it was mistyped, revoked, or has ended."
            return web.html(views.rendered("login.html", None, here="", problem=text), 401)
        secret = await to_thread.run_sync(_enter, hub, found)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(web.COOKIE, secret, max_age=WEB_HOURS * 3600, httponly=True, samesite="strict", secure=secure)
        return answer

    async def logout(request: Request) -> Response:
        try:
            found, secret = await who(request)
            await web.form_of(request, web.guard_of(secret))
        except web.Shut:
            return RedirectResponse("/login", 303)
        except UserError as error:
            return web.problem(error)
        await to_thread.run_sync(hub.accounts.revoke, found.account, found.token)
        known.forget()
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(web.COOKIE)
        return answer

    return [
        *web.assets(),
        Route("/", start),
        Route("/login", login, methods=["GET", "POST"]),
        Route("/logout", logout, methods=["POST"]),
        *web.routes("/p/{project}", door),
    ]


def _enter(hub: Hub, found: Principal) -> str:
    """A browser's own token, which can do what the one that it was given can, for half a day."""
    days = WEB_HOURS / 24
    rights = tuple(sorted(found.rights))
    _, secret = hub.accounts.issue(found.account, "browser", kind="web", rights=rights, project=found.bound, days=days)
    hub.accounts.note(found.account, "signed in", "by a browser")
    return secret


@dataclass(frozen=True, slots=True)
class _ProjectSessions:
    """The sessions of a project that one person may see."""

    sessions: Sessions
    project: str
    whose: str | None
    """Of this account alone; None for all."""

    def recent(self, limit: int) -> Sequence[Line]:
        return self.sessions.list(self.project, self.whose, limit=limit)

    def whole(self, id: str) -> Trajectory | None:
        try:
            light, trajectory = self.sessions.get(self.project, id)
        except NotFound:
            return None
        return trajectory if self.whose in (None, light.account) else None

    def use(self) -> Iterable[Use]:
        return self.sessions.use(self.project)

    def spent(self) -> list[tuple[str, int, int, float]]:
        return [(s.model, s.sessions, s.tokens, s.usd) for s in self.sessions.spent(self.project)]


def _site(hub: Hub, name: str, who: Principal, guard: str) -> Site:
    project, reviews = hub.project(name), who.may("review", name)

    def use(id: str, text: str | None, foreign: bool) -> str:
        return decide(hub, project, _waiting(id), who.account, text, foreign).change

    def skip(id: str, reason: str) -> None:
        review.skip(project.library, _waiting(id).id, reason, by=who.account)
        hub.accounts.note(who.account, "skipped", id, name)

    def _waiting(id: str) -> review.Proposal:
        try:
            return review.find(project.library, id)
        except UserError as error:
            raise NotFound(error.message) from error

    def learn() -> str:
        hub.accounts.note(who.account, "job asked", "learn", name)
        return hub.jobs.ask(name, "learn", who.account).id

    def work() -> list[Work]:
        found = hub.jobs.list(name, SHOWN)
        return [Work(f"{job.kind} {job.given}".strip(), job.state, job.said, job.account) for job in found]

    def is_own(proposal: review.Proposal) -> bool:
        deciders = [a for a, role in hub.accounts.members(name).items() if role in ("reviewer", "manager")]
        return proposal.by == who.account and deciders != [who.account]

    return Site(
        title=name,
        at=f"/p/{name}",
        person=who.account,
        guard=guard,
        library=project.library,
        keyring=project.keyring,
        sessions=_ProjectSessions(hub.sessions, name, None if reviews else who.account),
        decide=use if reviews else None,
        skip=skip if reviews else None,
        work=work,
        learn=learn if reviews else None,
        others=tuple(sorted(set(who.roles) - {name})),
        own=is_own,
    )
