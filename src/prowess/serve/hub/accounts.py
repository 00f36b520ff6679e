"""Who may do what: accounts, their tokens, projects and roles, and the log of what they did.

A token is shown once and kept as a hash. What a request may do is the least of three: its account's role in the
project, the rights of its token, and the one project to which the token may be bound.
"""

import hashlib
import json
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal, cast

from pydantic import Field

from prowess.core.base import Frozen
from prowess.core.errors import Refused, UserError
from prowess.guard.redact import redact
from prowess.serve.hub.database import Database, Row, Rows

Right = Literal["read", "contribute", "review", "manage"]
Role = Literal["reader", "member", "reviewer", "manager"]
RIGHTS: Final[tuple[Right, ...]] = ("read", "contribute", "review", "manage")
ROLES: Final[Mapping[str, frozenset[str]]] = {
    role: frozenset(RIGHTS[: i + 1]) for i, role in enumerate(("reader", "member", "reviewer", "manager"))
}
"""A role has its right and those before it: read skills; give sessions and proposals; decide; run the project."""
PREFIX: Final = "prw_"
"""Begins every token, so that scanners for secrets know one."""
WEB_HOURS: Final = 12
NAME: Final = r"[a-z0-9][a-z0-9-]{0,62}"
_TOKEN: Final = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")
Clock = Callable[[], float]


class NotFound(UserError):
    """There is no such thing, or none that this principal may know of: the answer is the same."""


class Settings(Frozen):
    """What a project's managers decide."""

    keep_days: int = Field(default=90, ge=1, le=3650)
    """Days after which sessions are deleted."""
    publish: Literal["review", "validated"] = "review"
    """`review`: a person decides on every proposal; `validated`: one that every gate passes is published by itself."""
    suite: Literal["", "workbench", "spreadsheetbench"] = ""
    """Where tasks with checks come from, for proofs; empty for none, and then nothing can be proven. With which model,
    the hub's own settings say: no client chooses whom the hub talks to."""
    families: tuple[Annotated[str, Field(pattern=f"^{NAME}$")], ...] = Field(default=(), max_length=64)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks."""

    account: str
    admin: bool = False
    """May make accounts and projects; what lies in a project takes a role there."""
    roles: Mapping[str, str] = field(default_factory=dict[str, str])
    """By project; without those to which the token is not bound."""
    rights: frozenset[str] = frozenset(RIGHTS)
    token: str = ""
    """Id of the token."""
    bound: str | None = None
    """The one project that the token is for."""

    def may(self, right: str, project: str) -> bool:
        return right in self.rights and right in ROLES.get(self.roles.get(project, ""), frozenset())


class Token(Frozen):
    """A token without its secret."""

    id: str
    account: str
    label: str
    kind: Literal["token", "web"]
    rights: tuple[str, ...]
    project: str | None
    created: float
    """Seconds since 1970, as all times of the hub."""
    expires: float | None


class Event(Frozen):
    """One line of the audit log."""

    id: str
    at: float
    account: str
    action: str
    what: str
    project: str | None


def new_id() -> str:
    """An id that sorts by the time at which it was made."""
    return f"{time.time_ns():019d}-{secrets.token_hex(6)}"


def checked_name(name: str, what: str) -> str:
    """Raises UserError where `name` cannot be the name of an account or project."""
    if not re.fullmatch(NAME, name):
        raise UserError(f"{name!r} cannot be the name of {what}", "use small letters, digits and hyphens, 63 at most")
    return name


class Accounts:
    """Accounts, tokens, projects and memberships in one database."""

    def __init__(self, db: Database, clock: Clock = time.time) -> None:
        self._db, self._clock = db, clock

    # Accounts

    def add(self, name: str, admin: bool = False) -> None:
        """Raises UserError where the name is taken or cannot be one."""
        checked_name(name, "an account")
        with self._db.writing() as rows:
            sql = "INSERT INTO account (name, admin, created) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING"
            if not rows.run(sql, name, int(admin), self._clock()):
                raise UserError(f"there is an account {name!r} already", "choose another name")

    def names(self) -> list[str]:
        with self._db.reading() as rows:
            return [row[0] for row in rows.all("SELECT name FROM account WHERE disabled IS NULL ORDER BY name")]

    def disable(self, name: str) -> None:
        """Ends an account: its tokens and roles are gone at once, its name stays taken. Raises NotFound."""
        now = self._clock()
        with self._db.writing() as rows:
            if not rows.run("UPDATE account SET disabled = ? WHERE name = ? AND disabled IS NULL", now, name):
                raise NotFound(f"there is no account {name!r}")
            rows.run("UPDATE token SET revoked = ? WHERE account = ? AND revoked IS NULL", now, name)
            rows.run("DELETE FROM membership WHERE account = ?", name)

    # Tokens

    def issue(
        self,
        account: str,
        label: str = "",
        *,
        kind: Literal["token", "web"] = "token",
        rights: tuple[str, ...] = RIGHTS,
        project: str | None = None,
        days: float | None = None,
    ) -> tuple[Token, str]:
        """A new token and its secret, which is shown this once.

        Args:
            days: After so many it ends; None for never.

        Raises:
            NotFound: there is no such account.
            UserError: a right is unknown.
        """
        if unknown := [right for right in rights if right not in RIGHTS]:
            raise UserError(f"there is no right {unknown[0]!r}", f"choose from {', '.join(RIGHTS)}")
        secret, now, label = PREFIX + secrets.token_urlsafe(32), self._clock(), redact(label)
        token = Token(
            id=new_id(), account=account, label=label, kind=kind, rights=tuple(r for r in RIGHTS if r in rights),
            project=project, created=now, expires=None if days is None else now + days * 86400,
        )  # fmt: skip
        with self._db.writing() as rows:
            if rows.one("SELECT 1 FROM account WHERE name = ? AND disabled IS NULL", account) is None:
                raise NotFound(f"there is no account {account!r}")
            rows.run(
                "INSERT INTO token (id, hash, account, kind, label, rights, project, created, expires)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                token.id, _hash(secret), account, kind, label, json.dumps(token.rights), project, now, token.expires,
            )  # fmt: skip
        return token, secret

    def tokens(self, account: str) -> list[Token]:
        """Those that count."""
        with self._db.reading() as rows:
            found = rows.all(
                "SELECT id, account, label, kind, rights, project, created, expires FROM token"
                " WHERE account = ? AND revoked IS NULL AND (expires IS NULL OR expires > ?) ORDER BY id",
                account, self._clock(),
            )  # fmt: skip
        return [_token(row) for row in found]

    def revoke(self, account: str, id: str) -> None:
        """Ends one token of an account; raises NotFound."""
        sql = "UPDATE token SET revoked = ? WHERE id = ? AND account = ? AND revoked IS NULL"
        with self._db.writing() as rows:
            if not rows.run(sql, self._clock(), id, account):
                raise NotFound(f"there is no token {id!r}")

    def principal(self, secret: str) -> Principal | None:
        """Who this secret stands for; None where it is none, has ended, or was revoked."""
        if not _TOKEN.fullmatch(secret):
            return None
        with self._db.reading() as rows:
            found = rows.one(
                "SELECT t.id, t.account, t.rights, t.project, a.admin FROM token t JOIN account a ON a.name = t.account"
                " WHERE t.hash = ? AND t.revoked IS NULL AND a.disabled IS NULL"
                " AND (t.expires IS NULL OR t.expires > ?)",
                _hash(secret), self._clock(),
            )  # fmt: skip
            if found is None:
                return None
            id, account, rights, bound, admin = found
            roles = rows.all("SELECT project, role FROM membership WHERE account = ?", account)
        kept = {project: role for project, role in roles if bound in (None, project)}
        # A token that is bound to a project, or lacks a right, administers nothing.
        whole = bound is None and set(json.loads(rights)) == set(RIGHTS)
        return Principal(account, bool(admin) and whole, kept, frozenset(json.loads(rights)), id, bound)

    # Projects

    def add_project(self, name: str, manager: str) -> None:
        """A new project, with the account that runs it. Raises UserError where it cannot be."""
        checked_name(name, "a project")
        with self._db.writing() as rows:
            sql = "INSERT INTO project (name, created, settings) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING"
            if not rows.run(sql, name, self._clock(), Settings().model_dump_json()):
                raise UserError(f"there is a project {name!r} already", "choose another name")
            _join(rows, name, manager, "manager")

    def projects(self) -> list[str]:
        with self._db.reading() as rows:
            return [row[0] for row in rows.all("SELECT name FROM project ORDER BY name")]

    def settings(self, project: str) -> Settings:
        """Raises NotFound."""
        with self._db.reading() as rows:
            found = rows.one("SELECT settings FROM project WHERE name = ?", project)
        if found is None:
            raise NotFound(f"there is no project {project!r}")
        return Settings.model_validate_json(found[0])

    def set_settings(self, project: str, settings: Settings) -> None:
        """Raises NotFound."""
        with self._db.writing() as rows:
            sql = "UPDATE project SET settings = ? WHERE name = ?"
            if not rows.run(sql, settings.model_dump_json(), project):
                raise NotFound(f"there is no project {project!r}")

    def members(self, project: str) -> dict[str, Role]:
        with self._db.reading() as rows:
            found = rows.all("SELECT account, role FROM membership WHERE project = ? ORDER BY account", project)
        return {account: cast(Role, role) for account, role in found}

    def join(self, project: str, account: str, role: Role) -> None:
        """Gives an account a role in a project, in place of the one it had. Raises NotFound, or Refused as `leave`."""
        with self._db.writing() as rows:
            _join(rows, project, account, role)
            _still_managed(rows, project)

    def leave(self, project: str, account: str) -> None:
        """Raises NotFound; Refused where the project would be left without a manager."""
        with self._db.writing() as rows:
            if not rows.run("DELETE FROM membership WHERE project = ? AND account = ?", project, account):
                raise NotFound(f"{account!r} is no member of {project!r}")
            _still_managed(rows, project)

    # Audit

    def note(self, account: str, action: str, what: str, project: str | None = None) -> None:
        """Adds a line to the log, which nothing takes away again."""
        with self._db.writing() as rows:
            note(rows, self._clock(), account, action, what, project)

    def events(self, project: str | None, before: str = "~", limit: int = 100) -> list[Event]:
        """Of a project, or of the hub itself for None; the newest first."""
        sql = "SELECT id, at, account, action, what, project FROM audit WHERE "
        whose = "project = ?" if project is not None else "(project IS NULL OR project = ?)"
        with self._db.reading() as rows:
            found = rows.all(f"{sql}{whose} AND id < ? ORDER BY id DESC LIMIT ?", project or "", before, limit)
        return [Event(id=i, at=at, account=a, action=x, what=w, project=p) for i, at, a, x, w, p in found]


def note(rows: Rows, at: float, account: str, action: str, what: str, project: str | None) -> None:
    """The same within a transaction."""
    rows.run(
        "INSERT INTO audit (id, project, account, at, action, what) VALUES (?, ?, ?, ?, ?, ?)",
        new_id(), project, account, at, action, redact(what),
    )  # fmt: skip


def _join(rows: Rows, project: str, account: str, role: str) -> None:
    if role not in ROLES:
        raise UserError(f"there is no role {role!r}", f"choose from {', '.join(ROLES)}")
    if rows.one("SELECT 1 FROM project WHERE name = ?", project) is None:
        raise NotFound(f"there is no project {project!r}")
    if rows.one("SELECT 1 FROM account WHERE name = ? AND disabled IS NULL", account) is None:
        raise NotFound(f"there is no account {account!r}")
    rows.run(
        "INSERT INTO membership (project, account, role) VALUES (?, ?, ?)"
        " ON CONFLICT (project, account) DO UPDATE SET role = excluded.role",
        project, account, role,
    )  # fmt: skip


def _still_managed(rows: Rows, project: str) -> None:
    if rows.one("SELECT 1 FROM membership WHERE project = ? AND role = 'manager'", project) is None:
        raise Refused(f"{project!r} would have nobody who runs it", "make somebody else its manager first")


def _hash(secret: str) -> str:
    """Of 256 random bits, so that no slow hash is needed."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _token(row: Row) -> Token:
    id, account, label, kind, rights, project, created, expires = row
    return Token(
        id=id, account=account, label=label, kind=kind, rights=tuple(json.loads(rights)), project=project,
        created=created, expires=expires,
    )  # fmt: skip
