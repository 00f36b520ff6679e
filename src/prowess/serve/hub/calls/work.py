"""What the API does with sessions, and with the work that is made of them in the background."""

from typing import Final

from anyio import CapacityLimiter, to_thread

from prowess.core.errors import UserError
from prowess.core.trust import Revocation
from prowess.guard.promotion import revoke
from prowess.serve import review
from prowess.serve.hub import models as m
from prowess.serve.hub.accounts import NotFound
from prowess.serve.hub.jobs import Job
from prowess.serve.hub.routes import Call
from prowess.serve.hub.sessions import Session, Spent, read_sessions

SMALL: Final = 16 * 1024
"""Bytes of a session that is read within three milliseconds or so, and so where requests are answered."""
READERS: Final = CapacityLimiter(2)
"""Threads that read larger ones: that is work for the processor, and more of them would only hold up each other."""


async def upload(call: Call) -> m.Uploaded:
    """Give a session, as ATIF or as another format that `prowess import` reads. Secrets are taken out first."""
    asked = (call.body, call.query.format, call.who.account)
    # A thread of its own makes a small one wait for its turn at the interpreter, and so longer than it takes to read.
    small = len(call.body) <= SMALL and call.query.format == "atif"
    found = read_sessions(*asked) if small else await to_thread.run_sync(read_sessions, *asked, limiter=READERS)
    await call.hub.inbox.put(call.project_name, call.who.account, found)
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
    kind, given = call.body.kind, call.body.given if call.body.kind == "validate" else ""
    if kind == "validate":
        review.find(call.project.library, given)
    call.note("job asked", f"{kind} {given}".rstrip())
    return call.hub.jobs.ask(call.project_name, kind, call.who.account, given)
