"""The hub's API: the one table of its routes. What each does is in `prowess.serve.hub.calls`."""

from typing import Final

from starlette.responses import JSONResponse, Response

from prowess import __version__
from prowess.library import well_known
from prowess.serve.hub import models as m
from prowess.serve.hub.accounts import Event, Settings, Token
from prowess.serve.hub.calls import people, skills, work
from prowess.serve.hub.jobs import Job
from prowess.serve.hub.routes import Call, Route, openapi
from prowess.serve.hub.sessions import Session, Spent


def health(call: Call) -> m.Health:
    """Whether the hub answers."""
    with call.hub.db.reading() as rows:
        rows.one("SELECT 1")
    return m.Health(version=__version__)


def described(call: Call) -> Response:
    """This description."""
    return JSONResponse(openapi(ROUTES))


P: Final = "/api/projects/{project}"
SESSIONS: Final = f"{P}/members/{{account}}/sessions"
TOKENS: Final = "/api/accounts/{account}/tokens"
ROUTES: Final[tuple[Route, ...]] = (
    Route("health", "GET", "/api/health", "nothing", health, m.Health),
    Route("openapi", "GET", "/api/openapi.json", "nothing", described, dict[str, object]),
    Route("me", "GET", "/api/me", "account", people.me, m.Me),
    Route("accounts", "GET", "/api/accounts", "admin", people.accounts, list[str]),
    Route("add_account", "POST", "/api/accounts", "admin", people.add_account, body=m.NewAccount),
    Route("end_account", "DELETE", "/api/accounts/{account}", "admin", people.end_account),
    Route("tokens", "GET", TOKENS, "account", people.tokens, list[Token]),
    Route("issue_token", "POST", TOKENS, "account", people.issue_token, m.IssuedToken, m.NewToken, status=201),
    Route("end_token", "DELETE", f"{TOKENS}/{{token}}", "account", people.end_token),
    Route("hub_audit", "GET", "/api/audit", "admin", people.hub_audit, list[Event], query=m.AuditQuery),
    Route("projects", "GET", "/api/projects", "account", people.projects, list[m.ProjectView]),
    Route("add_project", "POST", "/api/projects", "admin", people.add_project, body=m.NewProject),
    Route("project", "GET", P, "read", people.project, m.ProjectView),
    Route("set_settings", "PUT", f"{P}/settings", "manage", people.set_settings, body=Settings),
    Route("members", "GET", f"{P}/members", "read", people.members, dict[str, str]),
    Route("join", "PUT", f"{P}/members/{{account}}", "manage", people.join, body=m.NewRole),
    Route("leave", "DELETE", f"{P}/members/{{account}}", "manage", people.leave),
    Route("audit", "GET", f"{P}/audit", "manage", people.audit, list[Event], query=m.AuditQuery),
    Route("skills", "GET", f"{P}/skills", "read", skills.skills, m.SkillList),
    Route("skill", "GET", f"{P}/skills/{{skill}}", "read", skills.skill, m.WholeSkill),
    Route("published", "GET", f"/{well_known.PREFIX}/{{file}}", "account", skills.published, bytes),
    Route("published_text", "GET", f"/{well_known.PREFIX}/{{skill}}/SKILL.md", "account", skills.published_text, bytes),
    Route("search", "GET", f"{P}/search", "read", skills.search, list[m.Found], query=m.SearchQuery),
    Route("changes", "GET", f"{P}/changes", "read", skills.changes, list[m.ChangeView]),
    Route("undo", "POST", f"{P}/changes/{{change}}/undo", "review", skills.undo, m.ChangeView),
    Route("proposals", "GET", f"{P}/proposals", "read", skills.proposals, list[m.ProposalView]),
    Route("propose", "POST", f"{P}/proposals", "contribute", skills.propose, m.ProposalView, m.NewProposal, status=201),
    Route("proposal", "GET", f"{P}/proposals/{{proposal}}", "read", skills.proposal, m.WholeProposal),
    Route("use", "POST", f"{P}/proposals/{{proposal}}/use", "review", skills.use, m.Decided, m.Use),
    Route("skip", "POST", f"{P}/proposals/{{proposal}}/skip", "review", skills.skip, body=m.Skip),
    Route("upload", "POST", f"{P}/sessions", "contribute", work.upload, m.Uploaded, bytes, m.UploadQuery, 201),
    Route("sessions", "GET", f"{P}/sessions", "contribute", work.sessions, list[Session], query=m.PageQuery),
    Route("session", "GET", f"{P}/sessions/{{session}}", "contribute", work.session, m.WholeSession),
    Route("delete_session", "DELETE", f"{P}/sessions/{{session}}", "contribute", work.delete_session, m.Deleted),
    Route(
        "delete_sessions", "DELETE", f"{P}/members/{{account}}/sessions", "contribute", work.delete_sessions, m.Deleted
    ),
    Route("cost", "GET", f"{P}/cost", "read", work.cost, list[Spent]),
    Route("jobs", "GET", f"{P}/jobs", "read", work.jobs, list[Job]),
    Route("ask_job", "POST", f"{P}/jobs", "review", work.ask_job, Job, m.NewJob, status=202),
    Route("job", "GET", f"{P}/jobs/{{job}}", "read", work.job, Job),
)
