"""Every address that the hub answers at, as everybody, from the application's own table: a new one is tested, too.

Pages and API alike; then what becomes of secrets that are put wherever a text may be put.
"""

import io
import logging
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from starlette.routing import Route as WebRoute
from starlette.testclient import TestClient

from prowess.core.trajectory import Step, Trajectory
from prowess.serve import logs
from prowess.serve.guarded import Guarded
from prowess.serve.hub.accounts import Settings
from prowess.serve.hub.api import ROUTES
from prowess.serve.hub.app import application
from prowess.serve.hub.client import Client
from prowess.serve.hub.pages import pages
from prowess.serve.hub.routes import Route
from prowess.serve.hub.service import Hub

PUBLIC = {
    ("GET", "/api/health"), ("GET", "/api/openapi.json"), ("GET", "/login"), ("POST", "/login"),
    ("GET", "/static/site.css"), ("GET", "/static/site.js"),
}  # fmt: skip
"""What anybody may ask; whatever else is there asks who it is."""
TEXT = "---\nname: {name}\ndescription: Knows {name}. Use for {name}.\n---\n\n# Rules\n\n- {rule}\n"
Ask = Callable[..., Any]


@pytest.fixture
def app(hub: Hub) -> Guarded:
    return application(hub, partial(pages, secure=True))  # type: ignore[return-value]


def table(app: Guarded) -> list[tuple[str, str]]:
    """Method and path of all that the application answers."""
    inner: Any = app._app  # pyright: ignore[reportPrivateUsage]
    assert all(isinstance(route, WebRoute) for route in inner.routes)
    return [(m, r.path) for r in inner.routes for m in sorted(r.methods - {"HEAD"})]


def browser(app: Guarded, secret: str | None) -> TestClient:
    """Signed in with a token where one is given."""
    made = TestClient(app, base_url="https://hub", follow_redirects=False, raise_server_exceptions=False)
    if secret is not None:
        assert made.post("/login", data={"token": secret, "guard": ""}).status_code == 303
    return made


def filled(path: str, project: str, things: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda m: project if m[1] == "project" else things[m[1]], path)


@pytest.fixture
def things(hub: Hub, app: Guarded) -> dict[str, str]:
    """One of each kind that lies in `red`, by the name that routes give its place."""
    bob, alice = (
        Client("https://hub", hub.accounts.issue(name)[1], browser(app, None))  # type: ignore[arg-type]
        for name in ("bob", "alice")
    )
    published = bob.propose("red", "vat-rates", {"SKILL.md": TEXT.format(name="vat-rates", rule="19 %.").encode()})
    change = alice.use("red", published.id).change
    waiting = bob.propose("red", "late-fees", {"SKILL.md": TEXT.format(name="late-fees", rule="10.").encode()})
    session = Trajectory(id="s", agent="a", model="m", steps=(Step(source="user", message="the-canary"),))
    (sent,) = bob.upload("red", session).ids
    job = alice.ask_job("red", "learn")
    return {
        "account": "bob", "token": hub.accounts.issue("bob")[0].id, "skill": "vat-rates", "name": "vat-rates",
        "file": "vat-rates.zip", "change": change, "proposal": waiting.id, "id": waiting.id,
        "session": sent, "job": job.id,
    }  # fmt: skip


def test_the_application_serves_its_table_and_its_pages_alone(app: Guarded) -> None:
    api = {(r.method, r.path) for r in ROUTES}
    served = set(table(app))
    assert api <= served and not {entry for entry in served - api if entry[1].startswith("/api")}
    assert served >= PUBLIC


def test_every_address_asks_who_it_is(app: Guarded, hub: Hub, things: dict[str, str]) -> None:
    ended, bound = hub.accounts.issue("bob"), hub.accounts.issue("bob", project="blue")[1]
    left = browser(app, ended[1])
    hub.accounts.revoke("bob", ended[0].id)
    for token in hub.accounts.tokens("bob"):
        if token.kind == "web":  # that of the browser
            hub.accounts.revoke("bob", token.id)
    strangers = {
        "nobody": browser(app, None),
        "signed out": left,
        "stranger": browser(app, hub.accounts.issue("carol")[1]),
    }
    tokens = {"nobody": None, "signed out": ended[1], "stranger": hub.accounts.issue("carol")[1], "bound": bound}
    asked = 0
    for method, path in table(app):
        if (method, path) in PUBLIC:
            continue
        at = filled(path, "red", things)
        if any(route.path == path for route in ROUTES):
            for kind, token in tokens.items():
                headers = {} if token is None else {"authorization": f"Bearer {token}"}
                answer = browser(app, None).request(method, at, headers=headers)
                if kind in ("nobody", "signed out"):
                    assert answer.status_code == 401, (kind, method, path)
                assert "canary" not in answer.text and "19 %" not in answer.text, (kind, method, path)
                if kind not in ("nobody", "signed out") and "{project}" in path:
                    assert answer.status_code == 404, (kind, method, path)
                    none = browser(app, None).request(method, filled(path, "none", things), headers=headers)
                    assert none.text.replace("none", "red") == answer.text, "a project that is not there looks the same"
                asked += 1
            continue
        for kind, client in strangers.items():
            answer = client.request(method, at)
            if kind == "stranger" and "{project}" in path:
                assert answer.status_code in (404, 422), (method, path)
            elif kind != "stranger":
                assert answer.status_code == 303 and answer.headers["location"] == "/login", (kind, method, path)
            assert "vat" not in answer.text.replace(at, "") and "canary" not in answer.text, (kind, method, path)
            asked += 1
    assert asked > 3 * len(ROUTES)


@pytest.mark.parametrize(
    "route", [r for r in ROUTES if r.path.count("{") > 1 and "{project}" in r.path], ids=lambda r: r.name
)
def test_what_lies_in_one_project_is_not_reached_through_another(
    app: Guarded, hub: Hub, things: dict[str, str], route: Route
) -> None:
    """Whoever runs `blue` names things of `red` there: by digest, name or id, it is as if there were none."""
    carol = {"authorization": f"Bearer {hub.accounts.issue('carol')[1]}"}
    client = browser(app, None)
    body = {"use": b"{}", "skip": b"{}", "join": b'{"role": "reader"}'}.get(route.name, b"")
    before = state(hub)
    answer = client.request(route.method, filled(route.path, "blue", things), headers=carol, content=body)
    if route.name == "join":  # that one gives bob a role in `blue`, which is carol's to give
        assert answer.status_code == 204
    elif route.name == "delete_sessions":  # all of bob's in `blue`, of which there are none
        assert answer.json() == {"sessions": 0, "revoked": 0}
    else:
        # What a patch of `red` would undo is no change here, and says so.
        assert answer.status_code in ((404, 422) if route.name == "undo" else (404,)), answer.text
        assert "canary" not in answer.text and "19 %" not in answer.text
    assert state(hub) == before


def state(hub: Hub) -> tuple[object, ...]:
    project = hub.project("red")
    return (
        project.library.snapshot().digest, [p.id for p in project.library.proposals()],
        [s.id for s in hub.sessions.list("red")], [j.id for j in hub.jobs.list("red")], hub.accounts.members("red"),
    )  # fmt: skip


def test_tokens_that_do_not_count(app: Guarded, hub: Hub) -> None:
    token, secret = hub.accounts.issue("bob", days=1)
    client = browser(app, None)

    def status(value: str) -> int:
        return client.get("/api/me", headers={"authorization": value}).status_code

    assert status(f"Bearer {secret}") == 200 == status(f"bearer   {secret}  "), "the scheme has no case"
    unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9."
    for value in (
        f"Basic {secret}", secret, f"Bearer {secret}x", f"Bearer {secret[:-1]}", f"Bearer {secret.upper()}",
        f"Bearer {secret} {secret}", f"Bearer {secret},{secret}", f"Bearer {token.id}", f"Bearer {unsigned}",
        f"Bearer {secret[:20]} {secret[20:]}", f"Bearer prw_{secret}", "Bearer", "Bearer ", "Bearer %00",
    ):  # fmt: skip
        assert status(value) == 401, value
    now = hub.accounts._clock()  # pyright: ignore[reportPrivateUsage]
    hub.accounts._clock = lambda: now + 90_000  # pyright: ignore[reportPrivateUsage]
    assert status(f"Bearer {secret}") in (200, 401)
    fresh = browser(application(hub, pages), None)  # type: ignore[arg-type]
    assert fresh.get("/api/me", headers={"authorization": f"Bearer {secret}"}).status_code == 401, "it has ended"
    _, next_ = hub.accounts.issue("bob")
    headers = {"authorization": f"Bearer {next_}"}
    assert client.get("/api/me", headers=headers).status_code == 200
    (kept,) = (t for t in hub.accounts.tokens("bob") if t.kind == "token")
    assert client.delete(f"/api/accounts/bob/tokens/{kept.id}", headers=headers).status_code == 204
    assert client.get("/api/me", headers=headers).status_code == 401, "after a rotation the old one is nothing"


# Secrets


CANARIES = ("sk-ant-api03-" + "cN4rY" * 18 + "AA", "ghp_" + "c4NarY" * 6, "AKIA" + "C4NARYC4NARYC4NA")


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What a hub's log would hold."""
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    handler.setFormatter(logs.JsonLines())
    ours = logging.getLogger("prowess")
    ours.addHandler(handler)
    ours.propagate = False  # pytest's own log is none of ours
    yield said
    ours.removeHandler(handler)
    ours.propagate = True


def bodies(route: Route, canary: str) -> Iterator[bytes]:
    """The canary as every field of the route's body, alone and together, and as the body itself."""
    yield canary.encode()
    fields = list(getattr(route.body, "model_fields", {}))
    yield as_json(dict.fromkeys(fields, canary))
    for name in fields:
        yield as_json({name: canary})
        yield as_json({name: [canary]})


def as_json(value: object) -> bytes:
    import json

    return json.dumps(value).encode()


def test_a_canary_is_found_nowhere(
    app: Guarded,
    hub: Hub,
    things: dict[str, str],
    log: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """In every place of every route: in no file, no answer, no error page and no line of the log."""
    alice = {"authorization": f"Bearer {hub.accounts.issue('alice')[1]}"}
    client, signed = browser(app, None), browser(app, hub.accounts.issue("alice")[1])
    answers: list[str] = []

    def ask(method: str, path: str, **more: Any) -> None:
        answers.append(client.request(method, path, headers=alice, **more).text)

    everything = " ".join(CANARIES)
    places = dict.fromkeys(things, everything)
    for route in ROUTES:
        if route.name in ("end_account", "leave"):
            continue  # they could end the one that asks
        ask(route.method, filled(route.path, "red", places))
        ask(route.method, filled(route.path, everything, things))
        ask(route.method, filled(route.path, "red", things), params=dict.fromkeys(route.query.model_fields, everything))
        for body in bodies(route, everything):
            ask(route.method, filled(route.path, "red", things), content=body)
    for path in ("/skills/{name}", "/review/{id}", "/sessions/{id}", "/runs/{id}"):
        answers.append(signed.get(f"/p/red{filled(path, '', places)}").text)
    for canary in CANARIES:
        # Those that fit, so that they are kept.
        ask("POST", "/api/accounts/alice/tokens", json={"label": canary})
        ask("POST", "/api/projects/red/jobs", json={"kind": "learn", "given": canary[:64]})
        ask("PUT", "/api/projects/red/settings", json=Settings().model_dump(mode="json"))
        ask("POST", f"/api/projects/red/proposals/{things['proposal']}/skip", json={"reason": canary})
        ask("POST", "/api/projects/red/proposals", json={"name": "late-fees", "reason": canary, "files": []})
        step = Step(source="user", message=canary, reasoning=canary, extra={"note": canary})
        made = Trajectory(id=canary, agent=canary, model=canary, task_id=canary, steps=(step,), error=canary)
        Client("https://hub", alice["authorization"][7:], client).upload("red", made)  # type: ignore[arg-type]
    for what in ("audit", "jobs", "proposals", "sessions", "changes", "members", "cost"):
        ask("GET", f"/api/projects/red/{what}")
    ask("GET", "/api/accounts/alice/tokens")

    def broken() -> list[str]:
        raise RuntimeError(CANARIES[0])

    monkeypatch.setattr(hub.accounts, "names", broken)
    ask("GET", "/api/accounts")
    monkeypatch.setattr(hub.sessions, "spent", lambda project: broken())
    answers.append(signed.get("/p/red/cost").text)
    stored = b"".join(path.read_bytes() for path in hub.data.rglob("*") if path.is_file())
    seen = capfd.readouterr()
    said = log.getvalue() + seen.out + seen.err
    assert "RuntimeError" in said, "the log says that something broke"
    for canary in CANARIES:
        assert canary.encode() not in stored
        assert canary not in said
        assert not [text[:300] for text in answers if canary in text]
    assert alice["authorization"][7:].encode() not in stored
