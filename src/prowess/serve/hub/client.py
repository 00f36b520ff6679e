"""The hub's API as typed calls: one method for each route of the table, of the same name.

with Client("https://hub.example.org", token) as hub:
    for skill in hub.skills("red").skills: ...
"""

from types import TracebackType
from typing import Any, Literal, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import BaseModel, TypeAdapter, ValidationError

from prowess.core.errors import BoundaryError, PatchConflict, Refused, UserError
from prowess.core.trajectory import Trajectory
from prowess.serve.hub import models as m
from prowess.serve.hub.accounts import RIGHTS, Event, NotFound, Role, Settings, Token
from prowess.serve.hub.jobs import Job
from prowess.serve.hub.sessions import Session, Spent

T = TypeVar("T")
SECONDS = 60.0


class HubError(BoundaryError):
    """The hub could not be reached, or failed."""


class Client:
    """A hub, with one token.

    Every method raises UserError where the hub says that the caller can mend something (NotFound, Refused and
    PatchConflict among them), and HubError where it does not answer as it should.
    """

    def __init__(self, url: str, token: str, http: httpx2.Client | None = None) -> None:
        """Args: http: Instead of one of its own, in tests."""
        if not url.startswith(("https://", "http://")):
            raise UserError(f"{url!r} is no address of a hub", "write it as https://hub.example.org")
        self._http = http or httpx2.Client(base_url=url.rstrip("/"), timeout=SECONDS, follow_redirects=False)
        self._headers = {"authorization": f"Bearer {token}"}
        self.url = url

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # The hub

    def health(self) -> m.Health:
        return self._ask("GET", "/api/health", m.Health)

    def openapi(self) -> dict[str, Any]:
        return self._ask("GET", "/api/openapi.json", dict[str, Any])

    def me(self) -> m.Me:
        return self._ask("GET", "/api/me", m.Me)

    def accounts(self) -> list[str]:
        return self._ask("GET", "/api/accounts", list[str])

    def add_account(self, name: str, admin: bool = False) -> None:
        self._do("POST", "/api/accounts", m.NewAccount(name=name, admin=admin))

    def end_account(self, name: str) -> None:
        self._do("DELETE", _at("/api/accounts", name))

    def tokens(self, account: str) -> list[Token]:
        return self._ask("GET", _at("/api/accounts", account, "tokens"), list[Token])

    def issue_token(
        self,
        account: str,
        label: str = "",
        rights: tuple[str, ...] = RIGHTS,
        project: str | None = None,
        days: float | None = None,
    ) -> m.IssuedToken:
        asked = m.NewToken(label=label, rights=rights, project=project, days=days)
        return self._ask("POST", _at("/api/accounts", account, "tokens"), m.IssuedToken, asked)

    def end_token(self, account: str, id: str) -> None:
        self._do("DELETE", _at("/api/accounts", account, "tokens", id))

    def hub_audit(self, before: str = "~", limit: int = 100) -> list[Event]:
        return self._ask("GET", "/api/audit", list[Event], query={"before": before, "limit": limit})

    # Projects

    def projects(self) -> list[m.ProjectView]:
        return self._ask("GET", "/api/projects", list[m.ProjectView])

    def add_project(self, name: str, manager: str) -> None:
        self._do("POST", "/api/projects", m.NewProject(name=name, manager=manager))

    def project(self, project: str) -> m.ProjectView:
        return self._ask("GET", _in(project), m.ProjectView)

    def set_settings(self, project: str, settings: Settings) -> None:
        self._do("PUT", _in(project, "settings"), settings)

    def members(self, project: str) -> dict[str, str]:
        return self._ask("GET", _in(project, "members"), dict[str, str])

    def join(self, project: str, account: str, role: Role) -> None:
        self._do("PUT", _in(project, "members", account), m.NewRole(role=role))

    def leave(self, project: str, account: str) -> None:
        self._do("DELETE", _in(project, "members", account))

    def audit(self, project: str, before: str = "~", limit: int = 100) -> list[Event]:
        return self._ask("GET", _in(project, "audit"), list[Event], query={"before": before, "limit": limit})

    # Skills and proposals

    def skills(self, project: str) -> m.SkillList:
        return self._ask("GET", _in(project, "skills"), m.SkillList)

    def skill(self, project: str, name: str) -> m.WholeSkill:
        return self._ask("GET", _in(project, "skills", name), m.WholeSkill)

    def published(self, file: str = "index.json") -> bytes:
        return self._send("GET", f"/.well-known/agent-skills/{quote(file, safe='')}", None, None).content

    def published_text(self, name: str) -> bytes:
        path = f"/.well-known/agent-skills/{quote(name, safe='')}/SKILL.md"
        return self._send("GET", path, None, None).content

    def search(self, project: str, query: str, limit: int = 5) -> list[m.Found]:
        return self._ask("GET", _in(project, "search"), list[m.Found], query={"q": query, "limit": limit})

    def changes(self, project: str) -> list[m.ChangeView]:
        return self._ask("GET", _in(project, "changes"), list[m.ChangeView])

    def undo(self, project: str, change: str) -> m.ChangeView:
        return self._ask("POST", _in(project, "changes", change, "undo"), m.ChangeView)

    def proposals(self, project: str) -> list[m.ProposalView]:
        return self._ask("GET", _in(project, "proposals"), list[m.ProposalView])

    def proposal(self, project: str, id: str) -> m.WholeProposal:
        return self._ask("GET", _in(project, "proposals", id), m.WholeProposal)

    def propose(
        self, project: str, name: str, tree: dict[str, bytes] | None, reason: str = "", base: str | None = None
    ) -> m.ProposalView:
        """`tree` None proposes to remove the skill."""
        files = tuple(m.SkillFile(path=path, data=data) for path, data in sorted((tree or {}).items()))
        asked = m.NewProposal(name=name, files=files, reason=reason, base=base)
        return self._ask("POST", _in(project, "proposals"), m.ProposalView, asked)

    def use(self, project: str, id: str, text: str | None = None, foreign: bool = False) -> m.Decided:
        return self._ask("POST", _in(project, "proposals", id, "use"), m.Decided, m.Use(text=text, foreign=foreign))

    def skip(self, project: str, id: str, reason: str = "") -> None:
        self._do("POST", _in(project, "proposals", id, "skip"), m.Skip(reason=reason))

    # Sessions and jobs

    def upload(self, project: str, body: bytes | Trajectory, format: str = "atif") -> m.Uploaded:
        if isinstance(body, Trajectory):
            from pydantic_core import to_json

            from prowess.trajectories.atif import to_atif

            body = to_json(to_atif(body))
        return self._ask("POST", _in(project, "sessions"), m.Uploaded, body, {"format": format})

    def sessions(self, project: str, before: float = 1e12, limit: int = 50) -> list[Session]:
        return self._ask("GET", _in(project, "sessions"), list[Session], query={"before": before, "limit": limit})

    def session(self, project: str, id: str) -> m.WholeSession:
        return self._ask("GET", _in(project, "sessions", id), m.WholeSession)

    def delete_session(self, project: str, id: str) -> m.Deleted:
        return self._ask("DELETE", _in(project, "sessions", id), m.Deleted)

    def delete_sessions(self, project: str, account: str) -> m.Deleted:
        return self._ask("DELETE", _in(project, "members", account, "sessions"), m.Deleted)

    def cost(self, project: str) -> list[Spent]:
        return self._ask("GET", _in(project, "cost"), list[Spent])

    def jobs(self, project: str) -> list[Job]:
        return self._ask("GET", _in(project, "jobs"), list[Job])

    def ask_job(self, project: str, kind: Literal["learn", "validate", "tidy"], given: str = "") -> Job:
        return self._ask("POST", _in(project, "jobs"), Job, m.NewJob(kind=kind, given=given))

    def job(self, project: str, id: str) -> Job:
        return self._ask("GET", _in(project, "jobs", id), Job)

    # Inside

    def _ask(
        self, method: str, path: str, answer: Any, body: BaseModel | bytes | None = None, query: Any = None
    ) -> Any:
        response = self._send(method, path, body, query)
        try:
            return TypeAdapter(answer).validate_json(response.content)
        except ValidationError as error:
            raise HubError(f"{self.url} answered {path} in a form that this version does not know") from error

    def _do(self, method: str, path: str, body: BaseModel | None = None) -> None:
        self._send(method, path, body, None)

    def _send(self, method: str, path: str, body: BaseModel | bytes | None, query: Any) -> httpx2.Response:
        content = body.model_dump_json().encode() if isinstance(body, BaseModel) else body
        try:
            response = self._http.request(method, path, content=content, params=query, headers=self._headers)
        except httpx2.HTTPError as error:
            raise HubError(f"{self.url} does not answer: {error}", retryable=True) from error
        if response.status_code < 300:
            return response
        try:
            problem = m_problem(response)
        except ValueError:
            problem = (f"{self.url} answered {response.status_code}", "")
        if response.status_code >= 500 or response.status_code < 400:
            raise HubError(problem[0], retryable=response.status_code == 503)
        kind = {404: NotFound, 409: Refused}.get(response.status_code, UserError)
        if response.status_code == 409 and "conflicts with the library" in problem[0]:
            raise PatchConflict([problem[0]])
        raise kind(*problem)


def m_problem(response: httpx2.Response) -> tuple[str, str]:
    """What went wrong and what to do, as the hub says it; ValueError where it does not."""
    from prowess.serve.hub.routes import Problem

    found = Problem.model_validate_json(response.content)
    return found.error, found.hint


def _in(project: str, *parts: str) -> str:
    return _at("/api/projects", project, *parts)


def _at(start: str, *parts: str) -> str:
    return "/".join((start, *(quote(part, safe="") for part in parts)))
