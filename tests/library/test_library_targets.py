"""Scopes, installation into agents' folders, and the lock file."""

import json
import os
import shutil
from pathlib import Path
from typing import Literal

import pytest

from prowess.core.errors import UserError
from prowess.core.evidence import Evidence, Verdict
from prowess.core.patch import CreateSkill, DeleteSkill, Operation, Patch, SetDescription
from prowess.core.skill import Skill
from prowess.library import Library, lock
from prowess.library.scopes import project_library, project_root, seen, user_library
from prowess.library.targets import Report, install, target, targets, uninstall


def skill(name: str, description: str = "d") -> Skill:
    return Skill(name=name, description=description, body="Body.\n")


def do(library: Library, *operations: Operation, verdicts: tuple[Verdict, ...] = ()) -> None:
    library.apply(Patch(base=library.snapshot().digest, operations=operations, reason="r"), verdicts=verdicts)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library.open(tmp_path / "lib", create=True)
    do(library, CreateSkill(skill=skill("one")), CreateSkill(skill=skill("two")))
    return library


def test_scopes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PROWESS_DATA", str(tmp_path / "data"))
    repository = tmp_path / "code" / "repo"
    (repository / ".git").mkdir(parents=True)
    (repository / "src").mkdir()
    (tmp_path / ".git").mkdir()
    assert project_root(repository / "src") == repository
    assert project_root(tmp_path / "code") is None
    assert project_library(repository / "src") == repository / ".agents" / "skills"
    assert project_library(tmp_path) is None
    assert user_library() == tmp_path / "data" / "library"


def test_the_project_overrides_the_user(tmp_path: Path) -> None:
    project, user = Library.open(tmp_path / "project", create=True), Library.open(tmp_path / "user", create=True)
    do(project, CreateSkill(skill=skill("a", "project")), CreateSkill(skill=skill("c")))
    do(user, CreateSkill(skill=skill("a", "user")), CreateSkill(skill=skill("b")), CreateSkill(skill=skill("c")))
    a, b, c = seen([project, user])
    assert (a.skill.description, a.library, a.hides) == ("project", project, (user,))
    assert (b.skill.name, b.library, b.hides) == ("b", user, ())
    assert c.library is project and c.hides == (), "equal skills hide nothing"


def test_the_table_of_agents_is_sound() -> None:
    assert {
        "claude-code",
        "codex",
        "cursor",
        "gemini",
        "opencode",
        "openclaw",
        "hermes",
        "copilot",
        "goose",
        "kiro",
    } <= set(targets())
    for each in targets().values():
        for folder in (*each.project, *each.user):
            assert not Path(folder).is_absolute() and ".." not in Path(folder).parts and folder.endswith("skills")
    moved = target("claude-code").folder("user", Path("/home/x"), {"CLAUDE_CONFIG_DIR": "/cfg"})
    assert moved == Path("/cfg/skills")
    assert target("claude-code").folder("project", Path("/p"), {"CLAUDE_CONFIG_DIR": "/cfg"}) == Path(
        "/p/.claude/skills"
    )
    with pytest.raises(UserError, match="claude-code"):
        target("nobody")


@pytest.mark.parametrize("mode", ["copy", "link"])
def test_install_update_and_uninstall(library: Library, tmp_path: Path, mode: Literal["copy", "link"]) -> None:
    folder = tmp_path / ".claude" / "skills"

    def go(dry_run: bool = False) -> Report:
        return install(library, "claude-code", "project", tmp_path, mode=mode, dry_run=dry_run)

    assert go(dry_run=True).installed == ["one", "two"] and not folder.exists()
    assert go().installed == ["one", "two"]
    assert {p.name for p in folder.iterdir()} == {"one", "two"}
    assert {p.name for p in (folder / "one").iterdir()} == {"SKILL.md"}
    assert (folder / "one").is_symlink() is (mode == "link")
    assert go().unchanged == ["one", "two"]
    do(library, SetDescription(name="one", description="new"), DeleteSkill(name="two"))
    report = go()
    assert (report.updated == ["one"]) is (mode == "copy") and report.removed == ["two"]
    assert "new" in (folder / "one" / "SKILL.md").read_text() and not os.path.lexists(folder / "two")
    assert uninstall(library, "claude-code", "project", tmp_path).removed == ["one"]
    assert list(folder.iterdir()) == []
    assert library.snapshot().names == ("one",)


def test_install_leaves_alone_what_it_did_not_write(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / ".claude" / "skills"
    (folder / "one").mkdir(parents=True)
    (folder / "one" / "SKILL.md").write_text("mine")
    (folder / "other").mkdir()
    report = install(library, "claude-code", "project", tmp_path)
    assert report.installed == ["two"] and report.refused == {"one": "not installed by prowess"}
    (folder / "two" / "SKILL.md").write_text("edited")
    do(library, SetDescription(name="two", description="new"))
    report = install(library, "claude-code", "project", tmp_path)
    assert report.refused["two"] == "edited since it was installed"
    assert uninstall(library, "claude-code", "project", tmp_path).refused == {"two": "edited since it was installed"}
    assert (folder / "one" / "SKILL.md").read_text() == "mine"
    assert (folder / "two" / "SKILL.md").read_text() == "edited"
    assert (folder / "other").is_dir()


def test_install_never_writes_through_a_link(library: Library, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    folder = tmp_path / ".claude" / "skills"
    folder.mkdir(parents=True)
    (folder / "one").symlink_to(victim)
    assert "one" in install(library, "claude-code", "project", tmp_path).refused
    assert list(victim.iterdir()) == []
    (library.path / ".prowess" / "installs.json").write_text("[1]")
    assert "one" in install(library, "claude-code", "project", tmp_path).refused


def test_install_into_the_library_itself_does_nothing(tmp_path: Path) -> None:
    library = Library.open(tmp_path / ".agents" / "skills", create=True)
    do(library, CreateSkill(skill=skill("one")))
    assert install(library, "codex", "project", tmp_path).unchanged == ["one"]
    assert install(library, "cursor", "project", tmp_path, names=("one",)).installed == ["one"]
    with pytest.raises(UserError, match="no skill absent"):
        install(library, "cursor", "project", tmp_path, names=("absent",))


def test_install_says_what_cannot_be_written(library: Library, tmp_path: Path) -> None:
    (tmp_path / ".claude").write_text("a file where a folder must be")
    with pytest.raises(UserError, match="cannot be written"):
        install(library, "claude-code", "project", tmp_path)


EVIDENCE = Evidence(
    baseline="without", treatment="with", n=9, wins=8, ties=1, losses=0, baseline_rate=0.1, treatment_rate=1.0,
    effect=0.9, low=0.5, high=1.0, p=0.004, test="sign", outcome="better",
)  # fmt: skip


def test_lock_file(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "prowess.lock"
    do(
        library,
        SetDescription(name="one", description="new"),
        verdicts=(Verdict(gate="trials", status="pass", evidence=EVIDENCE),),
    )
    (library.path / "mine").mkdir()
    (library.path / "mine" / "SKILL.md").write_text("---\nname: mine\ndescription: d\nmodel: x\n---\n")
    lock.write(path, lock.of(library))
    first = path.read_bytes()
    entries = lock.read(path).skills
    assert list(entries) == ["mine", "one", "two"]
    versions = library.versions("one")
    assert (entries["one"].digest, entries["one"].parent) == (versions[0].tree, versions[1].tree)
    assert entries["one"].evidence and entries["two"].evidence is None and entries["two"].parent is None
    assert [entries[n].source for n in entries] == ["foreign", "prowess", "prowess"]
    assert lock.check(path, library) == []
    lock.write(path, lock.of(library))
    assert path.read_bytes() == first and "when" not in json.loads(first)

    (library.path / "one" / "extra.txt").write_text("x")
    shutil.rmtree(library.path / "two")
    (library.path / "new").mkdir()
    (library.path / "new" / "SKILL.md").write_text("---\nname: new\ndescription: d\n---\n")
    assert [(d.name, d.kind) for d in lock.check(path, library)] == [
        ("new", "added"), ("one", "changed"), ("two", "missing")
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"version": 2, "skills": {}}', '{"skills": {"a": {"digest": 1}}}'])
def test_a_broken_lock_file_is_a_clear_error(library: Library, tmp_path: Path, text: str) -> None:
    path = tmp_path / "prowess.lock"
    with pytest.raises(UserError, match="cannot be read"):
        lock.check(path, library)
    path.write_text(text)
    with pytest.raises(UserError, match="not a lock file"):
        lock.check(path, library)
