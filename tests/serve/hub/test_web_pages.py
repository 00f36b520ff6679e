"""The pages, on one's own machine and on a hub: what they show, what forms do, and who is let in."""

import hashlib
import re
from collections.abc import Callable
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from prowess.core.evidence import Evidence, Verdict
from prowess.core.lesson import Lesson, Reference
from prowess.core.patch import AppendToSection, CreateSkill, Patch
from prowess.core.skill import Skill
from prowess.core.trajectory import Step, Trajectory
from prowess.library import Library
from prowess.serve.hub.app import application
from prowess.serve.hub.pages import pages
from prowess.serve.hub.service import Hub
from prowess.serve.web.app import local
from prowess.serve.web.local import site
from prowess.trajectories.store import TrajectoryStore

EVIL = "<script>alert(1)</script>\u202e"
LESSON = Lesson(
    kind="memory", text=f"Void rows do not count. {EVIL}",
    references=(Reference(trajectory="session-1", first_step=0, last_step=0, quote=f"void rows {EVIL}"),),
)  # fmt: skip
SKILL = Skill(
    name="ledger-totals", description=f"Sums ledgers {EVIL}. Use for totals.",
    body=f"# Totals\n\n## Rules\n\n- Void rows do not count.\n- {EVIL}\n",
)  # fmt: skip
EVIDENCE = Evidence(
    baseline="without", treatment="candidate", n=12, wins=9, ties=3, losses=0, baseline_rate=0.0, treatment_rate=0.75,
    effect=0.75, low=0.4, high=0.9, p=0.0039, test="exact McNemar", outcome="better",
)  # fmt: skip
HOST = "127.0.0.1:8765"
PAGES = (
    "/", "/search", "/search?q=totals", "/skills/ledger-totals", "/skills/ledger-totals/versions", "/review",
    "/sessions", "/sessions/session-1", "/runs", "/progress", "/cost",
)  # fmt: skip


def fill(library: Library) -> str:
    """A skill with evidence and a second version; the id of a proposal."""
    start = library.snapshot()
    first = Patch(
        base=start.digest, operations=(CreateSkill(skill=SKILL),), reason=f"learned {EVIL}", lessons=(LESSON.id,)
    )
    library.apply(
        first, lessons=(LESSON,), verdicts=(Verdict(gate="trials", status="pass", evidence=EVIDENCE),), by="x"
    )

    def adding(text: str, reason: str) -> Patch:
        op = AppendToSection(name="ledger-totals", section="Rules", content=f"- {text}\n")
        return Patch(base=library.snapshot().digest, operations=(op,), reason=reason, lessons=(LESSON.id,))

    library.apply(adding("Round late.", "second"), lessons=(LESSON,), by="x")
    return library.propose(adding("Sort by name.", "third"), (LESSON,), (Verdict(gate="scan", status="pass"),)).id


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for folder in ("DATA", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"XDG_{folder}_HOME", str(tmp_path / folder.lower()))


@pytest.fixture
def library(tmp_path: Path, home: None) -> Library:
    return Library.open(tmp_path / "library", create=True)


@pytest.fixture
def browser(library: Library, tmp_path: Path) -> TestClient:
    store = TrajectoryStore(tmp_path / "t.db")
    steps = (Step(source="user", message=f"sum it {EVIL}"), Step(source="agent", message="done"))
    store.put(Trajectory(id="session-1", agent="a", model=f"m{EVIL}", steps=steps, offered=("ledger-totals",)))
    app = local(partial(site, library, store, tmp_path), "the-key", (HOST,))
    return TestClient(app, base_url=f"http://{HOST}", follow_redirects=False)


@pytest.fixture
def inside(browser: TestClient) -> TestClient:
    assert browser.get("/enter?key=the-key").status_code == 303
    return browser


def guard(page: str) -> str:
    found = re.search(r'name="guard" value="([0-9a-f]{64})"', page)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("path", PAGES)
def test_pages_show_hostile_text_as_text(inside: TestClient, library: Library, path: str) -> None:
    fill(library)
    answer = inside.get(path)
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text and "\u202e" not in answer.text
    check(answer.text)


def test_an_empty_library_has_pages_too(inside: TestClient) -> None:
    for path in ("/", "/search", "/review", "/sessions", "/runs", "/progress", "/cost"):
        answer = inside.get(path)
        assert answer.status_code == 200
        check(answer.text)
    for path in ("/skills/none", "/skills/none/versions", "/review/none", "/sessions/none", "/runs/none"):
        assert inside.get(path).status_code == 404


def test_a_line_leads_to_its_reason_and_its_session(inside: TestClient, library: Library) -> None:
    fill(library)
    page = inside.get("/skills/ledger-totals").text
    assert "better" in page and "+75" in page and "/sessions/session-1#s1" in page
    for change in library.log("ledger-totals"):
        assert f'href="#c-{change.id}"' in page and f'id="c-{change.id}"' in page
    compared = inside.get("/skills/ledger-totals/versions").text
    assert "changed: section Rules" in compared and "Round late." in compared


@pytest.mark.parametrize("act", ["use", "tweak", "skip"])
def test_a_person_decides(inside: TestClient, library: Library, act: str) -> None:
    id = fill(library)
    page = inside.get(f"/review/{id}").text
    text = "---\nname: ledger-totals\ndescription: Sums. Use for totals.\n---\n\n# Totals\n\n## Rules\n\n- Tweaked.\n"
    sent = inside.post(f"/review/{id}", data={"guard": guard(page), "act": act, "text": text, "reason": "no"})
    assert sent.status_code == 303, sent.text
    body = next(s.body for s in library.snapshot().skills)
    assert {"use": "Sort by name." in body, "tweak": "Tweaked." in body, "skip": "Sort" not in body}[act]
    assert library.proposals() == []
    assert inside.get(f"/review/{id}").status_code == 404


def test_agents_find_what_somebody_has_vouched_for(inside: TestClient, library: Library) -> None:
    """By the key that was printed, where a host's skills are looked for; each with the digest of what is served."""
    id = fill(library)
    place = "/.well-known/agent-skills/index.json"
    assert inside.get(place).json()["skills"] == []
    text = "---\nname: ledger-totals\ndescription: Sums. Use for totals.\n---\n\n# Totals\n\n## Rules\n\n- Meant.\n"
    form = {"guard": guard(inside.get(f"/review/{id}").text), "act": "tweak", "text": text}
    assert inside.post(f"/review/{id}", data=form).status_code == 303
    inside.cookies.clear()
    told = {"authorization": "Bearer the-key"}
    (entry,) = inside.get(place, headers=told).json()["skills"]
    assert entry["name"] == "ledger-totals" and entry["type"] == "skill-md"
    found = inside.get(entry["url"], headers=told)
    assert entry["digest"] == f"sha256:{hashlib.sha256(found.content).hexdigest()}" and found.text == text
    assert inside.get("/.well-known/agent-skills/none.zip", headers=told).status_code == 404
    for wrong in ({}, {"authorization": "Bearer other"}, {**told, "host": "elsewhere.example"}):
        answer = inside.get(place, headers=wrong)
        assert answer.status_code == 422 and "ledger-totals" not in answer.text


def test_a_tweak_that_does_not_work_is_given_back(inside: TestClient, library: Library) -> None:
    id = fill(library)
    data = {"guard": guard(inside.get(f"/review/{id}").text), "act": "tweak", "text": "my unfinished text"}
    answer = inside.post(f"/review/{id}", data=data)
    assert answer.status_code == 422 and "my unfinished text" in answer.text and 'role="alert"' in answer.text
    assert len(library.proposals()) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"host": "evil.example:8765"},
        {"content-type": "text/plain"},
    ],
)
def test_no_other_site_decides(inside: TestClient, library: Library, headers: dict[str, str]) -> None:
    id = fill(library)
    body = f"guard={guard(inside.get(f'/review/{id}').text)}&act=use"
    headers = {"content-type": "application/x-www-form-urlencoded", **headers}
    assert inside.post(f"/review/{id}", content=body, headers=headers).status_code == 422
    for wrong in ("act=use", "act=use&guard=", "act=use&guard=" + "0" * 64, "&&&", "%ff=1", "a=1&" * 60):
        kind = {"content-type": "application/x-www-form-urlencoded"}
        assert inside.post(f"/review/{id}", content=wrong, headers=kind).status_code == 422
    assert len(library.proposals()) == 1


def test_without_the_key_there_is_nothing(browser: TestClient, library: Library) -> None:
    fill(library)
    for path in PAGES:
        answer = browser.get(path)
        assert answer.status_code == 422 and "ledger" not in answer.text.replace(path, "")
    assert browser.get("/enter?key=wrong").status_code == 422 and not browser.cookies
    entered = browser.get("/enter?key=the-key")
    cookie = entered.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie
    assert browser.get("/", headers={"host": "rebound.example"}).status_code == 422


# On a hub


@pytest.fixture
def team(hub: Hub) -> Callable[[str], TestClient]:
    fill(hub.project("red").library)
    app = application(hub, partial(pages, secure=True))

    def signed_in(account: str, **limits: object) -> TestClient:
        browser = TestClient(app, base_url="https://hub", follow_redirects=False)
        secret = hub.accounts.issue(account, **limits)[1]  # type: ignore[arg-type]
        answer = browser.post("/login", data={"token": secret, "guard": ""})
        assert answer.status_code == 303 and secret not in str(answer.headers)
        cookie = answer.headers["set-cookie"].lower()
        assert all(flag in cookie for flag in ("httponly", "samesite=strict", "secure", "max-age=43200"))
        return browser

    return signed_in


@pytest.mark.parametrize(
    "path", ["/", "/review", "/skills/ledger-totals", "/search?q=totals", "/progress", "/cost", "/sessions", "/runs"]
)
def test_a_projects_pages_are_its_members(team: Callable[[str], TestClient], path: str) -> None:
    mine = team("bob").get(f"/p/red{path}")
    assert mine.status_code == 200
    check(mine.text)
    for other in ("/p/red", "/p/none"):
        theirs = team("carol").get(f"{other}{path}")
        assert theirs.status_code == 404 and "ledger" not in theirs.text
    stranger = TestClient(application_of(team), base_url="https://hub", follow_redirects=False)
    assert stranger.get(f"/p/red{path}").headers["location"] == "/login"


def application_of(team: Callable[[str], TestClient]):
    return team("bob").app


def test_members_look_and_reviewers_decide(team: Callable[[str], TestClient], hub: Hub) -> None:
    (proposal,) = hub.project("red").library.proposals()
    bob, alice = team("bob"), team("alice")
    page = bob.get(f"/p/red/review/{proposal.id}").text
    assert "Use it" not in page
    refused = bob.post(f"/p/red/review/{proposal.id}", data={"guard": guard(page), "act": "use"})
    assert refused.status_code == 422
    theirs = guard(alice.get(f"/p/red/review/{proposal.id}").text)
    assert bob.post(f"/p/red/review/{proposal.id}", data={"guard": theirs, "act": "use"}).status_code == 422
    assert alice.post(f"/p/red/review/{proposal.id}", data={"guard": theirs, "act": "use"}).status_code == 303
    assert hub.project("red").library.proposals() == []
    assert "used" in {e.action for e in hub.accounts.events("red")}
    assert alice.post("/p/red/progress", data={"guard": theirs}).status_code == 303
    assert [job.kind for job in hub.jobs.list("red")][-1] in ("learn", "vouch")


def test_signing_out_ends_the_session(team: Callable[[str], TestClient]) -> None:
    bob = team("bob")
    page = bob.get("/p/red/").text
    cookie = bob.cookies["prowess"]
    assert bob.post("/logout", data={}).status_code == 422
    assert bob.post("/logout", data={"guard": guard(page)}).status_code == 303
    bob.cookies.set("prowess", cookie)
    assert bob.get("/p/red/").headers["location"] == "/login"


def test_a_wrong_token_signs_nobody_in(team: Callable[[str], TestClient]) -> None:
    browser = TestClient(application_of(team), base_url="https://hub", follow_redirects=False)
    for token in ("", "x", "prw_" + "A" * 43, "\x00"):
        answer = browser.post("/login", data={"token": token, "guard": ""})
        assert answer.status_code == 401 and not browser.cookies
    evil = browser.post("/login", data={"token": "x", "guard": ""}, headers={"origin": "https://evil.example"})
    assert evil.status_code == 422


# What every page must have


class Tree(HTMLParser):
    """What a reader by ear needs: a language, a title, one h1, labels for fields, names for buttons and pictures."""

    VOID = {"meta", "link", "input", "br", "path", "circle", "line"}

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.labelled: set[str] = set()
        self.problems: list[str] = []
        self.ids: list[str] = []
        self.headings: list[int] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = {name: value or "" for name, value in attrs}
        self.seen.append((tag, own))
        if "id" in own:
            self.ids.append(own["id"])
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "label" and "for" in own:
            self.labelled.add(own["for"])
        if tag in ("input", "select", "textarea") and own.get("type") != "hidden":
            named = "label" in self.open or own.get("id", "") in self.labelled or "aria-label" in own
            if not named:
                self.problems.append(f"{tag} {own} has no label")
        if (
            tag == "svg"
            and not ({"role", "aria-hidden"} & own.keys())
            and "svg" not in self.open
            and not {"verdict"} & set(self.open)
        ):
            self.problems.append("a picture without a role")
        if tag == "th" and "scope" not in own:
            self.problems.append("a head of a column without its scope")
        if any(name.startswith("on") or name == "style" for name in own):
            self.problems.append(f"inline script or style in {tag}")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}> closes something else")


def check(page: str) -> None:
    tree = Tree()
    tree.feed(page)
    tags = [tag for tag, _ in tree.seen]
    assert not tree.problems, tree.problems
    assert tree.open == []
    assert ("html", {"lang": "en"}) in tree.seen and tags.count("h1") == 1 and tags.count("main") == 1
    assert tags.count("title") == 1 and "nav" in tags
    assert len(tree.ids) == len(set(tree.ids)), "an id twice"
    assert all(b - a <= 1 for a, b in zip(tree.headings, tree.headings[1:], strict=False)), tree.headings
    for tag, own in tree.seen:
        if tag == "a" and own.get("href", "").startswith("#"):
            assert own["href"][1:] in tree.ids, own["href"]
