"""The tables of a hub. A step that was once released is never changed: what changes is a new step at the end.

Whatever belongs to a project has its name as the first column of its key, and every statement on it asks for that name.
"""

from typing import Final

STEPS: Final[tuple[tuple[str, ...], ...]] = (
    (
        "CREATE TABLE account (name TEXT PRIMARY KEY, admin BIGINT NOT NULL, created DOUBLE PRECISION NOT NULL,"
        " disabled DOUBLE PRECISION)",
        # Only the hash of a token is kept. `kind` is `token`, or `web` for a browser that has logged in with one.
        "CREATE TABLE token (id TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, account TEXT NOT NULL REFERENCES account,"
        " kind TEXT NOT NULL, label TEXT NOT NULL, rights TEXT NOT NULL, project TEXT,"
        " created DOUBLE PRECISION NOT NULL, expires DOUBLE PRECISION, revoked DOUBLE PRECISION)",
        "CREATE INDEX token_account ON token (account)",
        "CREATE TABLE project (name TEXT PRIMARY KEY, created DOUBLE PRECISION NOT NULL, settings TEXT NOT NULL)",
        "CREATE TABLE membership (project TEXT NOT NULL REFERENCES project, account TEXT NOT NULL REFERENCES account,"
        " role TEXT NOT NULL, PRIMARY KEY (project, account))",
        "CREATE TABLE session (project TEXT NOT NULL REFERENCES project, id TEXT NOT NULL, account TEXT NOT NULL,"
        " received DOUBLE PRECISION NOT NULL, agent TEXT NOT NULL, model TEXT NOT NULL, task_id TEXT,"
        " status TEXT NOT NULL, passed BIGINT, steps BIGINT NOT NULL, tokens BIGINT NOT NULL,"
        " usd DOUBLE PRECISION NOT NULL, seconds DOUBLE PRECISION NOT NULL, offered TEXT NOT NULL,"
        " loaded TEXT NOT NULL, used TEXT NOT NULL, digest TEXT NOT NULL, data BYTEA NOT NULL,"
        " PRIMARY KEY (project, id))",
        "CREATE INDEX session_received ON session (project, received)",
        "CREATE TABLE job (id TEXT PRIMARY KEY, project TEXT NOT NULL REFERENCES project, kind TEXT NOT NULL,"
        " given TEXT NOT NULL, account TEXT NOT NULL, state TEXT NOT NULL, made DOUBLE PRECISION NOT NULL,"
        " tries BIGINT NOT NULL, worker TEXT, lease DOUBLE PRECISION, ended DOUBLE PRECISION, said TEXT NOT NULL)",
        # A kind of work waits once for each project and subject, however often it is asked for.
        "CREATE UNIQUE INDEX job_waiting ON job (project, kind, given) WHERE state = 'waiting'",
        "CREATE INDEX job_state ON job (state, made)",
        "CREATE TABLE audit (id TEXT PRIMARY KEY, project TEXT, account TEXT NOT NULL, at DOUBLE PRECISION NOT NULL,"
        " action TEXT NOT NULL, what TEXT NOT NULL)",
        "CREATE INDEX audit_project ON audit (project, id)",
    ),
)
