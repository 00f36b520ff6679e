"""`prowess hub` and `prowess sync`: a hub is made, its people get in, and a library is kept in step over git."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra is not installed: pip install 'prowess[hub]'")

from prowess.cli.hub import client_of
from prowess.core.errors import UserError
from prowess.serve.hub.service import Hub

Prowess = Callable[..., Any]


def test_a_hub_and_its_people(prowess: Prowess, home: Path, tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "hub"))
    made = prowess("hub", "init", "alice", "red", *data)
    secret = made.out.strip().splitlines()[0]
    assert made.code == 0 and secret.startswith("prw_")
    assert prowess("hub", "init", "alice", "red", *data).code == 2
    bob = prowess("hub", "token", "bob", *data, "--json").data["token"]
    assert prowess("hub", "member", "red", "bob", "--role", "reviewer", *data, "--json").data == {
        "alice": "manager",
        "bob": "reviewer",
    }
    assert prowess("hub", "member", "red", "bob", "--role", "king", *data).code == 2
    assert prowess("hub", "member", "red", "bob", "--role", "none", *data, "--json").data == {"alice": "manager"}
    assert prowess("hub", "member", "red", "alice", "--role", "none", *data).code == 2, "nobody would run it"
    assert prowess("hub", "token", "bob", "--project", "none", *data).code == 2
    bound = prowess("hub", "token", "bob", "--project", "red", *data, "--json").data["token"]
    hub = Hub.open(tmp_path / "hub")
    principal = hub.accounts.principal(bound)
    assert principal is not None and principal.bound == "red"
    assert {p.account for s in (secret, bob) if (p := hub.accounts.principal(s))} == {"alice", "bob"}
    hub.close()


@pytest.mark.parametrize(
    "where",
    ["x", "http://hub.example.org/p/red", "https://u:p@hub.example.org/p/red", "https://h/p/RED", "file:///p/red"],
)
def test_an_address_must_be_a_hubs(prowess: Prowess, home: Path, where: str) -> None:
    done = prowess("sync", where)
    assert done.code == 2 and done.err


def test_a_token_is_kept_for_its_hub_alone(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("prw_x\n")
    client_of("https://one.example.org/p/red", file)
    client, project = client_of("https://one.example.org/p/blue/", None)
    assert project == "blue" and client._headers == {"authorization": "Bearer prw_x"}  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(UserError, match="no token"):
        client_of("https://two.example.org/p/red", None)
    kept = [path for path in home.rglob("hubs/*") if path.is_file()]
    assert [oct(path.stat().st_mode & 0o777) for path in kept] == ["0o600"]


def test_over_git(prowess: Prowess, library: object, tmp_path: Path) -> None:
    repo = tmp_path / "team.git"
    git = ("git", "-c", "user.name=t", "-c", "user.email=t@localhost")
    subprocess.run([*git, "init", "-q", "--bare", "-b", "main", repo], check=True)
    work = tmp_path / "clone"
    subprocess.run([*git, "clone", "-q", repo, work], check=True, capture_output=True)
    subprocess.run([*git, "-C", work, "commit", "-q", "--allow-empty", "-m", "start"], check=True)
    subprocess.run([*git, "-C", work, "push", "-q", "origin", "HEAD:main"], check=True)
    first = prowess("sync", "--git", str(repo), "--json")
    assert first.code == 0 and first.data["new"] == ["ledger-totals"]
    given = prowess("sync", "--git", str(repo), "--propose", "ledger-totals", "--json").data["given"]
    branch = given["ledger-totals"].removeprefix("branch ")
    told = subprocess.run(
        ["git", "--git-dir", repo, "log", "-1", "--format=%B", branch], check=True, capture_output=True
    )
    assert b"better: +75 points" in told.stdout
    assert prowess("sync", "--git", str(repo), "--propose", "none").code == 2
