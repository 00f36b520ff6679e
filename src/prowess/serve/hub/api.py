"""The routes of the hub's API: one table, and below it what each does."""

from typing import Final

from starlette.responses import JSONResponse, Response

from prowess import __version__
from prowess.core.errors import Refused, UserError
from prowess.core.trust import Revocation
from prowess.guard.promotion import revoke
from prowess.library import Change, Proposal, well_known
from prowess.library.patching import diff, touched
from prowess.library.trees import tree_digest
from prowess.serve import review
from prowess.serve.access import mime_type
from prowess.serve.hub import models as m
from prowess.serve.hub.accounts import Event, NotFound, Settings, Token
from prowess.serve.hub.evolver import vouched
from prowess.serve.hub.jobs import Job
from prowess.serve.hub.routes import Call, Denied, Route, openapi
from prowess.serve.hub.service import Hub, Project
from prowess.serve.hub.sessions import Session, Spent, read_sessions


def health(call: Call) -> m.Health:
    """Whether the hub answers."""
    with call.hub.db.reading() as rows:
        rows.one("SELECT 1")
    return m.Health(version=__version__)


def described(call: Call) -> Response:
    """This description."""
    return JSONResponse(openapi(ROUTES))


def me(call: Call) -> m.Me:
    """Who the token stands for, and what they may do."""
    who = call.who
    return m.Me(account=who.account, admin=who.admin, roles=dict(who.roles), rights=tuple(sorted(who.rights)))


# Accounts and tokens


def accounts(call: Call) -> list[str]:
    """Every account of the hub."""
    return call.hub.accounts.names()


def add_account(call: Call) -> None:
    """Make an account."""
    call.hub.accounts.add(call.body.name, call.body.admin)
    call.note("account added", call.body.name)


def end_account(call: Call) -> None:
    """End an account: its tokens and roles at once. Its sessions stay until they are deleted or too old."""
    call.hub.accounts.disable(call.path["account"])
    call.note("account ended", call.path["account"])


def tokens(call: Call) -> list[Token]:
    """An account's tokens, without their secrets."""
    return call.hub.accounts.tokens(_own(call))


def issue_token(call: Call) -> m.IssuedToken:
    """Make a token for an account. It can do no more than the one that asks for it."""
    account, asked = _own(call), call.body
    if beyond := set(asked.rights) - call.who.rights:
        raise Denied(f"your own token has no right to {sorted(beyond)[0]}")
    if call.who.bound not in (None, asked.project):
        raise Denied(f"your own token is bound to {call.who.bound!r}")
    token, secret = call.hub.accounts.issue(
        account, asked.label, rights=asked.rights, project=asked.project, days=asked.days
    )
    call.note("token issued", f"{account} {token.id}")
    return m.IssuedToken(token=token, secret=secret)


def end_token(call: Call) -> None:
    """Revoke a token."""
    call.hub.accounts.revoke(_own(call), call.path["token"])
    call.note("token revoked", f"{call.path['account']} {call.path['token']}")


def _own(call: Call) -> str:
    """The account of the path, which must be one's own unless one administers the hub."""
    account = call.path["account"]
    if account != call.who.account and not call.who.admin:
        raise NotFound(f"there is no account {account!r}")
    return account


# Projects


def projects(call: Call) -> list[m.ProjectView]:
    """Projects in which one has a role."""
    return [_project(call, name) for name in sorted(call.who.roles)]


def project(call: Call) -> m.ProjectView:
    """One project."""
    return _project(call, call.project_name)


def _project(call: Call, name: str) -> m.ProjectView:
    return m.ProjectView(name=name, role=call.who.roles[name], settings=call.hub.accounts.settings(name))


def add_project(call: Call) -> None:
    """Make a project."""
    call.hub.accounts.add_project(call.body.name, call.body.manager)
    call.hub.accounts.note(call.who.account, "project added", f"run by {call.body.manager}", call.body.name)


def set_settings(call: Call) -> None:
    """Change what a project's managers decide."""
    call.hub.accounts.set_settings(call.project_name, call.body)
    call.note("settings changed", call.body.model_dump_json())


def members(call: Call) -> dict[str, str]:
    """Who has which role."""
    return dict(call.hub.accounts.members(call.project_name))


def join(call: Call) -> None:
    """Give an account a role."""
    call.hub.accounts.join(call.project_name, call.path["account"], call.body.role)
    call.note("member", f"{call.path['account']} is {call.body.role}")


def leave(call: Call) -> None:
    """Take an account's role away."""
    call.hub.accounts.leave(call.project_name, call.path["account"])
    call.note("member", f"{call.path['account']} left")


def audit(call: Call) -> list[Event]:
    """What was done in a project, the newest first."""
    return call.hub.accounts.events(call.project_name, call.query.before, call.query.limit)


def hub_audit(call: Call) -> list[Event]:
    """What was done to the hub itself, the newest first."""
    return call.hub.accounts.events(None, call.query.before, call.query.limit)


# Skills


def skills(call: Call) -> m.SkillList:
    """The skills that are published: somebody has vouched for each."""
    now = call.project.served()
    found = (m.SkillView(name=s.name, description=s.description, digest=now.digests[s.name]) for s in now.skills.skills)
    return m.SkillList(head=now.head, skills=tuple(found))


def skill(call: Call) -> m.WholeSkill:
    """A skill with all its files."""
    name, now = call.path["skill"], call.project.served()
    if name not in now.trees:
        if name in now.barred:
            raise Refused(f"skill {name!r} is not published: {now.barred[name]}")
        raise NotFound(f"there is no skill {name!r}")
    tree = now.trees[name]
    files = tuple(m.SkillFile(path=path, data=tree[path]) for path in sorted(tree))
    return m.WholeSkill(name=name, digest=now.digests[name], files=files)


def published(call: Call) -> Response:
    """The index of the skills for discovery (`index.json`), or an archive that it names, of the token's one project."""
    return _published(call, call.path["file"])


def published_text(call: Call) -> Response:
    """A skill of one file, as that index names it."""
    return _published(call, f"{call.path['skill']}/SKILL.md")


def _published(call: Call, path: str) -> Response:
    """Discovery knows one place for a whole host, so which project is meant can only be said by the token."""
    mine = [name for name in sorted(call.who.roles) if call.who.may("read", name)]
    if len(mine) != 1:
        raise UserError(f"this token reads {len(mine)} projects", "ask for one that is bound to one project")
    files = call.hub.project(mine[0]).published()
    if path not in files:
        raise NotFound(f"nothing is published as {path!r}")
    return Response(files[path], media_type=mime_type(path), headers={"cache-control": "private, no-cache"})


def search(call: Call) -> list[m.Found]:
    """The skills that fit a task, best first; none when none fits."""
    now = call.project.served()
    hits = now.index.search(call.query.q, call.query.limit)
    return [m.Found(name=h.name, description=now.by_name[h.name].description, score=h.score) for h in hits]


def changes(call: Call) -> list[m.ChangeView]:
    """What happened to the library, the newest first."""
    return [_change(change) for change in call.project.library.log(limit=200)]


def _change(change: Change) -> m.ChangeView:
    reason = change.patch.reason if change.patch is not None else f"undoes {change.undoes}" if change.undoes else ""
    return m.ChangeView(
        id=change.id, when=change.when, kind=change.kind, by=change.by, reason=reason, skills=tuple(change.trees)
    )


def undo(call: Call) -> m.ChangeView:
    """Take a change back."""
    made = call.project.library.undo(call.path["change"], by=call.who.account)
    call.note("change undone", call.path["change"])
    call.hub.jobs.ask(call.project_name, "vouch", call.who.account, made.id)
    return _change(made)


# Proposals


def proposals(call: Call) -> list[m.ProposalView]:
    """Those that wait for a person, the oldest first."""
    return [_proposal(found) for found in call.project.library.proposals()]


def _proposal(p: Proposal) -> m.ProposalView:
    return m.ProposalView(
        id=p.id, when=p.when, by=p.by, reason=p.patch.reason, skills=touched(p.patch), verdicts=p.verdicts
    )


def proposal(call: Call) -> m.WholeProposal:
    """One of them, with its difference to the library as it is."""
    library = call.project.library
    found = _waiting(call)
    pairs, conflict = review.differing(library, found)
    text = "" if conflict else diff(library.snapshot(), review.candidate(library, found)) if pairs else ""
    return m.WholeProposal(**dict(_proposal(found)), diff=text, conflict=conflict)


def _waiting(call: Call) -> Proposal:
    try:
        return review.find(call.project.library, call.path["proposal"])
    except UserError as error:
        raise NotFound(error.message) from error


def propose(call: Call) -> m.ProposalView:
    """Propose a skill as one has it, or its removal; nothing changes before somebody decides."""
    asked, project_ = call.body, call.project
    tree = {file.path: file.data for file in asked.files} or None
    if asked.base is not None:
        now = project_.library.trees().get(asked.name)
        if (tree_digest(now) if now is not None else "") != asked.base:
            raise Refused(f"{asked.name} has changed on the hub meanwhile", "sync, and propose it again")
    found = project_.propose(
        asked.name, tree, asked.reason or f"{asked.name}, as {call.who.account} has it", call.who.account
    )
    call.note("proposed", f"{found.id} {asked.name}")
    settings = call.hub.accounts.settings(call.project_name)
    if settings.suite:
        call.hub.jobs.ask(call.project_name, "validate", call.who.account, found.id)
    return _proposal(found)


def use(call: Call) -> m.Decided:
    """Take a proposal into the library, as it is or with another text. Nobody decides alone on what is their own."""
    return decide(call.hub, call.project, _waiting(call), call.who.account, call.body.text, call.body.foreign)


def decide(hub: Hub, project: Project, found: Proposal, by: str, text: str | None, foreign: bool) -> m.Decided:
    """`use`, from the API or from a page.

    Raises:
        Refused: it is one's own proposal, and somebody else could decide; or as `review.use` does.
    """
    others = [
        a for a, role in hub.accounts.members(project.name).items() if a != by and role in ("reviewer", "manager")
    ]
    if found.by == by and others:
        raise Refused("you proposed this yourself", f"ask {', '.join(others[:3])} to decide on it")
    library, keyring = project.library, project.keyring
    if text is None:
        used = review.use(library, keyring, found.id, by=by, foreign=foreign)
    else:
        used = review.tweak(library, keyring, found.id, text, by=by, foreign=foreign)
    hub.accounts.note(by, "used" if text is None else "tweaked", f"{found.id} as {used.change.id}", project.name)
    # What the hub's own gates have attested may raise it further than a reader's word alone.
    held = vouched(project, used.change.id, used.change.verdicts, by)
    if held:
        hub.jobs.ask(project.name, "vouch", by, used.change.id)
    return m.Decided(change=used.change.id, held=held)


def skip(call: Call) -> None:
    """Refuse a proposal for good."""
    review.skip(call.project.library, _waiting(call).id, call.body.reason, by=call.who.account)
    call.note("skipped", call.path["proposal"])


# Sessions


def upload(call: Call) -> m.Uploaded:
    """Give a session, as ATIF or as another format that `prowess import` reads. Secrets are taken out first."""
    found = read_sessions(call.body, call.query.format, call.who.account)
    call.hub.sessions.put((call.project_name, call.who.account, each) for each in found)
    return m.Uploaded(ids=tuple(each.id for each in found))


def sessions(call: Call) -> list[Session]:
    """One's own sessions, the newest first; those of all for who may review."""
    whose = None if call.who.may("review", call.project_name) else call.who.account
    return call.hub.sessions.list(call.project_name, whose, before=call.query.before, limit=call.query.limit)


def session(call: Call) -> m.WholeSession:
    """One session, whole."""
    light, trajectory = call.hub.sessions.get(call.project_name, call.path["session"])
    _may_see(call, light)
    return m.WholeSession(account=light.account, received=light.received, trajectory=trajectory)


def delete_session(call: Call) -> m.Deleted:
    """Delete a session. What was learned from it goes into quarantine."""
    light, _ = call.hub.sessions.get(call.project_name, call.path["session"])
    _may_see(call, light, "manage")
    return _forget(call, [light.id])


def delete_sessions(call: Call) -> m.Deleted:
    """Delete all of one's own sessions; of another account for who runs the project."""
    account = call.path["account"]
    if account != call.who.account and not call.who.may("manage", call.project_name):
        raise NotFound(f"there is no account {account!r} here")
    return _forget(call, call.hub.sessions.ids(call.project_name, account))


def _may_see(call: Call, light: Session, right: str = "review") -> None:
    if light.account != call.who.account and not call.who.may(right, call.project_name):
        raise NotFound(f"there is no session {light.id!r}")


def _forget(call: Call, ids: list[str]) -> m.Deleted:
    gone = call.hub.sessions.delete(call.project_name, ids)
    revoked = 0
    for id in ids:
        try:
            what = Revocation(what="trajectory", id=id, by=call.who.account, reason="the session was deleted")
            revoke(call.project.library, call.project.keyring, what)
            revoked += 1
        except UserError:
            continue  # nothing rests on it
    call.note("sessions deleted", f"{gone}, of which skills rested on {revoked}")
    return m.Deleted(sessions=gone, revoked=revoked)


def cost(call: Call) -> list[Spent]:
    """What the sessions of a project cost, by model."""
    return call.hub.sessions.spent(call.project_name)


# Jobs


def jobs(call: Call) -> list[Job]:
    """What is done in the background, the newest first."""
    return call.hub.jobs.list(call.project_name)


def job(call: Call) -> Job:
    """One job."""
    return call.hub.jobs.get(call.project_name, call.path["job"])


def ask_job(call: Call) -> Job:
    """Have something done in the background: `learn` from sessions, `validate` a proposal, `tidy` away old sessions."""
    if call.body.kind == "validate":
        review.find(call.project.library, call.body.given)
    call.note("job asked", f"{call.body.kind} {call.body.given}")
    return call.hub.jobs.ask(call.project_name, call.body.kind, call.who.account, call.body.given)


P: Final = "/api/projects/{project}"
ROUTES: Final[tuple[Route, ...]] = (
    Route("health", "GET", "/api/health", "nothing", health, m.Health),
    Route("openapi", "GET", "/api/openapi.json", "nothing", described, dict[str, object]),
    Route("me", "GET", "/api/me", "account", me, m.Me),
    Route("accounts", "GET", "/api/accounts", "admin", accounts, list[str]),
    Route("add_account", "POST", "/api/accounts", "admin", add_account, body=m.NewAccount),
    Route("end_account", "DELETE", "/api/accounts/{account}", "admin", end_account),
    Route("tokens", "GET", "/api/accounts/{account}/tokens", "account", tokens, list[Token]),
    Route(
        "issue_token",
        "POST",
        "/api/accounts/{account}/tokens",
        "account",
        issue_token,
        m.IssuedToken,
        m.NewToken,
        status=201,
    ),
    Route("end_token", "DELETE", "/api/accounts/{account}/tokens/{token}", "account", end_token),
    Route("hub_audit", "GET", "/api/audit", "admin", hub_audit, list[Event], query=m.AuditQuery),
    Route("projects", "GET", "/api/projects", "account", projects, list[m.ProjectView]),
    Route("add_project", "POST", "/api/projects", "admin", add_project, body=m.NewProject),
    Route("project", "GET", P, "read", project, m.ProjectView),
    Route("set_settings", "PUT", f"{P}/settings", "manage", set_settings, body=Settings),
    Route("members", "GET", f"{P}/members", "read", members, dict[str, str]),
    Route("join", "PUT", f"{P}/members/{{account}}", "manage", join, body=m.NewRole),
    Route("leave", "DELETE", f"{P}/members/{{account}}", "manage", leave),
    Route("audit", "GET", f"{P}/audit", "manage", audit, list[Event], query=m.AuditQuery),
    Route("skills", "GET", f"{P}/skills", "read", skills, m.SkillList),
    Route("skill", "GET", f"{P}/skills/{{skill}}", "read", skill, m.WholeSkill),
    Route("published", "GET", f"/{well_known.PREFIX}/{{file}}", "account", published, bytes),
    Route("published_text", "GET", f"/{well_known.PREFIX}/{{skill}}/SKILL.md", "account", published_text, bytes),
    Route("search", "GET", f"{P}/search", "read", search, list[m.Found], query=m.SearchQuery),
    Route("changes", "GET", f"{P}/changes", "read", changes, list[m.ChangeView]),
    Route("undo", "POST", f"{P}/changes/{{change}}/undo", "review", undo, m.ChangeView),
    Route("proposals", "GET", f"{P}/proposals", "read", proposals, list[m.ProposalView]),
    Route("propose", "POST", f"{P}/proposals", "contribute", propose, m.ProposalView, m.NewProposal, status=201),
    Route("proposal", "GET", f"{P}/proposals/{{proposal}}", "read", proposal, m.WholeProposal),
    Route("use", "POST", f"{P}/proposals/{{proposal}}/use", "review", use, m.Decided, m.Use),
    Route("skip", "POST", f"{P}/proposals/{{proposal}}/skip", "review", skip, body=m.Skip),
    Route("upload", "POST", f"{P}/sessions", "contribute", upload, m.Uploaded, bytes, m.UploadQuery, 201),
    Route("sessions", "GET", f"{P}/sessions", "contribute", sessions, list[Session], query=m.PageQuery),
    Route("session", "GET", f"{P}/sessions/{{session}}", "contribute", session, m.WholeSession),
    Route("delete_session", "DELETE", f"{P}/sessions/{{session}}", "contribute", delete_session, m.Deleted),
    Route("delete_sessions", "DELETE", f"{P}/members/{{account}}/sessions", "contribute", delete_sessions, m.Deleted),
    Route("cost", "GET", f"{P}/cost", "read", cost, list[Spent]),
    Route("jobs", "GET", f"{P}/jobs", "read", jobs, list[Job]),
    Route("ask_job", "POST", f"{P}/jobs", "review", ask_job, Job, m.NewJob, status=202),
    Route("job", "GET", f"{P}/jobs/{{job}}", "read", job, Job),
)
