"""Two libraries kept in step: by a pure step, over a hub, and over plain git."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from prowess.core.errors import BoundaryError, UserError
from prowess.library import Library
from prowess.serve.hub.app import application
from prowess.serve.hub.client import Client
from prowess.serve.hub.service import Hub
from prowess.serve.sync import Remote, reconcile, sync
from prowess.serve.sync.git import GitRemote
from prowess.serve.sync.hub import HubRemote

TEXT = "---\nname: {name}\ndescription: Knows {name}. Use for {name}.\n---\n\n# Rules\n\n- {a}\n\nBetween.\n\n- {b}\n"


def tree(name: str = "vat", a: str = "a", b: str = "b") -> dict[str, bytes]:
    return {"SKILL.md": TEXT.format(name=name, a=a, b=b).encode()}


trees = st.dictionaries(
    st.sampled_from(["vat", "fees"]),
    st.builds(lambda a, b: tree("vat", a, b), st.sampled_from("xyz"), st.sampled_from("xyz")),
)


@given(trees, trees, trees)
def test_after_the_steps_both_sides_agree_but_for_conflicts(base: Any, ours: Any, theirs: Any) -> None:
    steps = reconcile(base, ours, theirs)
    here = {n: t for n, t in {**ours, **steps.take}.items() if t is not None}
    there = {n: t for n, t in {**theirs, **steps.give}.items() if t is not None}
    for name in {*here, *there}:
        assert (here.get(name) != there.get(name)) == (name in steps.conflicts)
    assert not (steps.take.keys() | steps.give.keys()) & steps.conflicts.keys()
    again = reconcile(there, here, there)
    assert set(again.give) <= set(steps.conflicts), "nothing is left to do where both agree"
    for name in {*base, *ours, *theirs}:
        if ours.get(name) == base.get(name):
            assert name not in steps.conflicts and name not in steps.give
        if theirs.get(name) == base.get(name):
            assert name not in steps.conflicts and name not in steps.take


@pytest.fixture(params=["hub", "git"])
def team(request: pytest.FixtureRequest, tmp_path: Path, hub: Hub) -> Any:
    return (_HubTeam if request.param == "hub" else _GitTeam)(tmp_path, hub)


class _HubTeam:
    def __init__(self, tmp_path: Path, hub: Hub) -> None:
        self.hub, self.http = hub, TestClient(application(hub), base_url="http://hub")

    def client(self, account: str) -> Client:
        return Client("http://hub", self.hub.accounts.issue(account)[1], self.http)  # type: ignore[arg-type]

    def remote(self, library: Library) -> Remote:
        return HubRemote(self.client("bob"), "red")

    def accept_all(self) -> list[str]:
        alice = self.client("alice")
        waiting = alice.proposals("red")
        for proposal in waiting:
            alice.use("red", proposal.id)
        return [p.reason for p in waiting]


class _GitTeam:
    def __init__(self, tmp_path: Path, hub: Hub) -> None:
        self.repo = tmp_path / "team.git"
        work = tmp_path / "work"
        self.run("init", "--quiet", "--bare", "-b", "main", str(self.repo))
        self.run("clone", "--quiet", str(self.repo), str(work))
        (work / "README").write_text("ours")
        (work / "skills").mkdir()
        (work / "skills" / "link").symlink_to("/etc")
        self.work = work
        for command in (
            ["checkout", "-q", "-b", "main"],
            ["add", "-A"],
            ["commit", "-qm", "start"],
            ["push", "-q", "origin", "main"],
        ):
            self.run("-C", str(work), *command)

    def run(self, *args: str) -> str:
        who = ("-c", "user.name=t", "-c", "user.email=t@localhost")
        return subprocess.run(["git", *who, *args], check=True, capture_output=True, text=True).stdout

    def remote(self, library: Library) -> Remote:
        return GitRemote(library, str(self.repo), "main", "skills")

    def accept_all(self) -> list[str]:
        said: list[str] = []
        for branch in self.run("--git-dir", str(self.repo), "branch", "--list", "prowess/*").split():
            said.append(self.run("--git-dir", str(self.repo), "log", "-1", "--format=%B", branch))
            self.run("-C", str(self.work), "pull", "-q", "--no-edit", "origin", "main")
            self.run("-C", str(self.work), "pull", "-q", "--no-rebase", "--no-edit", "origin", branch)
            self.run("-C", str(self.work), "push", "-q", "origin", "main")
            self.run("--git-dir", str(self.repo), "branch", "-D", branch)
        return said


def text_of(library: Library, name: str = "vat") -> str:
    return (library.path / name / "SKILL.md").read_text()


def test_a_skill_goes_round(team: Any, tmp_path: Path) -> None:
    one, two = (Library.open(tmp_path / name, create=True) for name in ("one", "two"))
    one.bring({"vat": {**tree(), "assets/x.bin": b"\xff\0"}, "mine": tree("mine")})
    first = sync(one, team.remote(one))
    assert first.taken == () and first.given == {} and first.new == ("mine", "vat")
    assert "vat" in sync(one, team.remote(one), propose=["vat"]).given
    assert "vat" in team.accept_all()[0]
    assert sync(two, team.remote(two)).taken == ("vat",)
    assert two.trees()["vat"] == one.trees()["vat"]
    one.bring({"vat": tree(a="changed by one")}, over=True)
    two.bring({"vat": tree(b="changed by two")}, over=True)
    given = sync(one, team.remote(one)).given
    assert list(given) == ["vat"]
    team.accept_all()
    done = sync(two, team.remote(two))
    assert done.taken == ("vat",) and "vat" in done.given
    assert "changed by one" in text_of(two) and "changed by two" in text_of(two)
    team.accept_all()
    assert sync(one, team.remote(one)).taken == ("vat",)
    assert text_of(one) == text_of(two)
    again = sync(one, team.remote(one))
    assert not again.taken and not again.given and again.new == ("mine",)


def test_a_conflict_touches_nothing_and_stays_one(team: Any, tmp_path: Path) -> None:
    one, two = (Library.open(tmp_path / name, create=True) for name in ("one", "two"))
    one.bring({"vat": tree()})
    sync(one, team.remote(one), propose=["vat"])
    team.accept_all()
    sync(one, team.remote(one))
    sync(two, team.remote(two))
    one.bring({"vat": tree(a="one")}, over=True)
    sync(one, team.remote(one))
    team.accept_all()
    two.bring({"vat": tree(a="two")}, over=True)
    for _ in range(2):
        done = sync(two, team.remote(two))
        assert list(done.conflicts) == ["vat"] and not done.taken and not done.given
        assert "- two" in text_of(two)
    two.bring({"vat": tree(a="one")}, over=True)
    assert not sync(two, team.remote(two)).conflicts


def test_a_removal_goes_round(team: Any, tmp_path: Path) -> None:
    one, two = (Library.open(tmp_path / name, create=True) for name in ("one", "two"))
    one.bring({"vat": tree()})
    sync(one, team.remote(one), propose=["vat"])
    team.accept_all()
    sync(one, team.remote(one))
    sync(two, team.remote(two))
    one.bring({"vat": None}, over=True)
    assert list(sync(one, team.remote(one), dry=True).given) == ["vat"]
    assert list(sync(one, team.remote(one)).given) == ["vat"]
    team.accept_all()
    assert sync(two, team.remote(two)).taken == ("vat",) and not (two.path / "vat").exists()


def test_a_hub_that_lies_is_not_believed(tmp_path: Path, hub: Hub) -> None:
    """It says one digest and sends another text, or a file that would leave the folder."""
    team = _HubTeam(tmp_path, hub)
    library = Library.open(tmp_path / "one", create=True)
    client = team.client("alice")
    team.client("bob").propose("red", "vat", tree())
    team.accept_all()
    whole = client.skill("red", "vat")
    for files in (
        [{"path": "SKILL.md", "data": b"x"}],
        [{"path": "../../x", "data": b"x"}],
        [{"path": "/x", "data": b"x"}],
    ):
        lie = type(whole).model_construct(
            name="vat",
            digest="0" * 64,
            files=tuple(type(whole.files[0])(**f) for f in files),  # type: ignore[arg-type]
        )
        remote = HubRemote(client, "red")
        remote._client = type(
            "Lying", (), {"skills": client.skills, "skill": lambda *_, lie=lie: lie, "url": "http://hub"}
        )()  # type: ignore[assignment]
        with pytest.raises((BoundaryError, UserError)):
            sync(library, remote)
    assert not list(library.path.glob("[!.]*"))


@pytest.mark.parametrize(
    ("url", "branch", "folder"), [("--upload-pack=x", "main", ""), ("x", "--all", ""), ("x", "main", "../up")]
)
def test_names_are_no_options_of_git(tmp_path: Path, url: str, branch: str, folder: str) -> None:
    with pytest.raises(UserError):
        GitRemote(Library.open(tmp_path / "l", create=True), url, branch, folder)


def test_git_runs_no_other_program(tmp_path: Path) -> None:
    library = Library.open(tmp_path / "l", create=True)
    with pytest.raises(BoundaryError):
        sync(library, GitRemote(library, f"ext::touch {tmp_path}/owned", "main"))
    assert not (tmp_path / "owned").exists()
