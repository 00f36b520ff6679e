"""What the API does for people: who one is, accounts, tokens, projects, roles, and the log of it all."""

from prowess.serve.hub import models as m
from prowess.serve.hub.accounts import Event, NotFound, Token
from prowess.serve.hub.routes import Call, Denied


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
