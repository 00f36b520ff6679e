"""Verbs that read and change a library: what they print, what they refuse, what they leave behind."""

import json
from pathlib import Path

import pytest

from prowess.core.patch import CreateSkill, Patch
from prowess.library import Library


def test_log_tells_reason_author_and_evidence(prowess, library: Library) -> None:
    done = prowess("log")
    assert done.code == 0
    assert "Ledgers failed" in done.out and "ledger-totals · by trace2skill" in done.out
    assert "better: +75 points [+40, +90], n = 12, p = 0.0039" in done.out


def test_log_json_is_the_ledger(prowess, library: Library) -> None:
    (change,) = prowess("log", "--json").data
    assert change["id"] == library.log()[0].id
    assert change["verdicts"][0]["evidence"]["wins"] == 9


def test_show_lists_skills_and_problems(prowess, library: Library) -> None:
    (library.path / "broken").mkdir()
    (library.path / "broken" / "SKILL.md").write_text("no frontmatter")
    done = prowess("show")
    assert "ledger-totals" in done.out and "prowess" in done.out
    assert "broken" in done.err
    data = prowess("show", "--json").data
    assert [s["name"] for s in data["skills"]] == ["ledger-totals"]
    assert "broken" in data["unreadable"]


def test_show_a_skill_a_change_a_lesson_and_a_proposal(prowess, library: Library) -> None:
    change, (proposal,) = library.log()[0], library.proposals()
    assert "- Skip void rows." in prowess("show", "ledger-totals").out
    shown = prowess("show", change.id[:8]).out
    assert "Void rows do not count." in shown and "+- Skip void rows." in shown
    assert "+- Round half up." in prowess("show", proposal.id).out
    assert prowess("show", change.lessons[0].id, "--json").data["changes"] == [change.id]


def test_show_says_what_it_looked_for(prowess, library: Library) -> None:
    done = prowess("show", "nonsense")
    assert done.code == 2 and done.out == ""
    assert "no skill, change, proposal, lesson or trajectory" in done.err and "→" in done.err


def test_control_characters_never_reach_the_terminal(prowess, library: Library) -> None:
    done = prowess("show", library.log()[0].id)
    assert "⟨U+001B⟩[31mare out" in done.out
    assert "\x1b" not in done.out


def test_diff_of_last_change_of_two_states_and_json(prowess, library: Library) -> None:
    first = library.log()[0]
    assert "+- Skip void rows." in prowess("diff").out
    assert prowess("diff", first.id[:8], first.id[:8]).out == ""
    data = prowess("diff", first.before[:12], first.after[:12], "--json").data
    assert data["diff"] == library.diff(first.before, first.after)
    assert prowess("diff", "feedface").code == 2


def test_nothing_is_installed_from_an_empty_library(prowess, tmp_path: Path) -> None:
    Library.open(tmp_path / "data" / "library", create=True)
    done = prowess("export", "--target", "codex")
    assert done.code == 2 and "the library is empty" in done.err and "→" in done.err


def test_show_and_search_see_the_project_and_your_own(prowess, library: Library) -> None:
    project = Library.open(Path(".agents") / "skills", create=True)
    (own,) = library.snapshot().skills
    skills = (own.model_copy(update={"body": "Ours.\n"}), own.model_copy(update={"name": "paint-walls", "body": "-"}))
    project.apply(
        Patch(base=project.snapshot().digest, operations=tuple(CreateSkill(skill=s) for s in skills), reason="r")
    )
    listed = prowess("show", "--json").data
    assert [(s["name"], s["library"], s["hides"]) for s in listed["skills"]] == [
        ("ledger-totals", str(project.path), [str(library.path)]),
        ("paint-walls", str(project.path), []),
    ]
    assert f"hides another in {library.path}" in " ".join(prowess("show").err.split())
    assert "Ours." in prowess("show", "ledger-totals").out
    project.undo()
    assert "Skip void rows." in prowess("show", "ledger-totals").out, "your own counts where the project has none"
    (hit,) = prowess("search", "void", "--json").data
    assert (hit["name"], hit["library"]) == ("ledger-totals", str(library.path))
    assert prowess("search", "void", "--library", project.path).code == 1, "a library that is named counts alone"


def test_search_finds_or_says_no(prowess, library: Library) -> None:
    assert "ledger-totals" in prowess("search", "void", "rows").out
    assert prowess("search", "void", "--json").data[0]["name"] == "ledger-totals"
    nothing = prowess("search", "zeppelin", "--json")
    assert nothing.code == 1 and nothing.data == []


def test_apply_shows_the_difference_and_refuses_without_a_yes(prowess, library: Library, patch_file: Path) -> None:
    before = library.snapshot().digest
    done = prowess("apply", patch_file)
    assert done.code == 2 and "+- Sort by account." in done.out and "--yes" in done.err
    assert library.snapshot().digest == before


def test_apply_then_undo_then_undo_the_undo(prowess, library: Library, patch_file: Path) -> None:
    before = library.snapshot().digest
    applied = prowess("apply", patch_file, "--yes", "--json").data
    assert "+- Sort by account." in applied["diff"]
    after = library.snapshot().digest
    assert after == applied["change"]["after"] != before
    undone = prowess("undo", "--yes", "--json").data
    assert library.snapshot().digest == before
    prowess("undo", undone["change"]["id"][:10], "--yes")
    assert library.snapshot().digest == after
    assert "(taken back)" in prowess("log").out


def test_apply_from_stdin(prowess, library: Library, patch_file: Path) -> None:
    done = prowess("apply", "-", "--yes", stdin=patch_file.read_text())
    assert done.code == 0 and "- Sort by account." in library.snapshot().skills[0].body


@pytest.mark.parametrize("text", ["", "{}", "[1", '{"base": "x", "operations": [{"op": "rm"}], "reason": ""}'])
def test_apply_of_nonsense_says_where(prowess, library: Library, tmp_path: Path, text: str) -> None:
    file = tmp_path / "bad.json"
    file.write_text(text)
    done = prowess("apply", file, "--yes")
    assert done.code == 2 and "is not a patch" in done.err


def test_apply_of_a_misfit_changes_nothing(prowess, library: Library, patch_file: Path) -> None:
    patch_file.write_text(patch_file.read_text().replace('"Rules"', '"No such section"'))
    before = library.snapshot().digest
    done = prowess("apply", patch_file, "--yes", "--json")
    assert done.code == 2 and done.data["error"]["kind"] == "PatchConflict"
    assert library.snapshot().digest == before


def test_undo_with_nothing_to_undo(prowess, tmp_path: Path) -> None:
    Library.open(tmp_path / "data" / "library", create=True)
    done = prowess("undo", "--yes")
    assert done.code == 2 and "nothing to undo" in done.err


def test_review_lists_with_difference_and_quotes(prowess, library: Library) -> None:
    done = prowess("review")
    assert "Totals were rounded down" in done.out and "+- Round half up." in done.out
    assert "rows with status void" in done.out and "approval" in done.out
    (data,) = prowess("review", "--json").data
    assert "+- Round half up." in data["diff"] and data["lessons"][0]["text"] == "Void rows do not count."


def test_review_accepts_by_id_only_with_a_yes(prowess, library: Library) -> None:
    (proposal,) = library.proposals()
    assert prowess("review", "--accept", proposal.id[:8]).code == 2
    assert len(library.proposals()) == 1
    done = prowess("review", "--accept", proposal.id[:8], "--yes", "--json")
    assert done.code == 0 and done.data["accepted"][0]["patch_id"] == proposal.id
    assert library.proposals() == [] and "- Round half up." in library.snapshot().skills[0].body


def test_review_rejects_with_a_reason(prowess, library: Library) -> None:
    (proposal,) = library.proposals()
    assert prowess("review", "--reject", proposal.id, "--reason", "not ours", "--yes").code == 0
    assert library.proposals() == []
    again = prowess("review", "--accept", proposal.id, "--yes")
    assert again.code == 2 and "no proposal" in again.err


def test_review_asks_on_a_terminal(prowess, library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    from prowess.cli.screen import Screen

    monkeypatch.setattr(Screen, "interactive", property(lambda self: True))
    assert "rejected" in prowess("review", stdin="r\nno good\n").out
    assert library.proposals() == []


def test_a_no_changes_nothing_and_is_exit_code_one(
    prowess, library: Library, patch_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prowess.cli.screen import Screen

    monkeypatch.setattr(Screen, "interactive", property(lambda self: True))
    before = library.snapshot().digest
    done = prowess("apply", patch_file, stdin="n\n")
    assert done.code == 1 and "nothing was changed" in done.err and "error" not in done.err
    assert library.snapshot().digest == before
    assert prowess("apply", patch_file, stdin="y\n").code == 0
    assert library.snapshot().digest != before


def test_project_library_comes_before_the_users(prowess, library: Library) -> None:
    assert prowess("show", "--json").data["library"] == str(library.path)
    project = Library.open(Path.cwd() / ".agents" / "skills", create=True)
    assert prowess("show", "--json").data["library"] == str(project.path)
    assert prowess("show", "--json", "--library", library.path).data["library"] == str(library.path)


def test_no_library_says_what_to_do(prowess) -> None:
    done = prowess("log")
    assert done.code == 2 and "there is no library" in done.err and "→" in done.err


def test_export_installs_and_asks_before_it_removes(prowess, library: Library) -> None:
    prowess("trust", "ledger-totals", "--to", "T2", "--yes")
    installed = Path(".claude/skills/ledger-totals/SKILL.md")
    dry = prowess("export", "--target", "claude-code", "--dry-run")
    assert "ledger-totals" in dry.out and not installed.exists()
    done = prowess("export", "--target", "claude-code", "--target", "cursor", "--json")
    assert done.code == 0 and done.data["targets"]["cursor"]["installed"] == ["ledger-totals"]
    assert "- Skip void rows." in installed.read_text()
    assert prowess("export", "--target", "claude-code", "--remove").code == 2
    assert installed.exists()
    assert prowess("export", "--target", "claude-code", "--remove", "--yes").code == 0
    assert not installed.exists()


def test_export_leaves_edited_copies_alone(prowess, library: Library) -> None:
    prowess("trust", "ledger-totals", "--to", "T2", "--yes")
    prowess("export", "--target", "claude-code", "--yes")
    installed = Path(".claude/skills/ledger-totals/SKILL.md")
    installed.write_text(installed.read_text() + "\nmine\n")
    prowess("review", "--accept", library.proposals()[0].id, "--yes")
    done = prowess("export", "--target", "claude-code", "--yes")
    assert done.code == 1 and "edited since" in done.out and "mine" in installed.read_text()


def test_lock_and_drift(prowess, library: Library) -> None:
    assert prowess("export", "--lock", "prowess.lock").code == 0
    assert prowess("export", "--check", "prowess.lock").code == 0
    library.accept(library.proposals()[0].id)
    drifted = prowess("export", "--check", "prowess.lock", "--json")
    assert drifted.code == 1 and drifted.data["drift"][0]["kind"] == "changed"


@pytest.mark.parametrize("arguments", [(), ("--target", "nobody"), ("--target", "cursor", "--scope", "planet")])
def test_export_of_nonsense(prowess, library: Library, arguments: tuple[str, ...]) -> None:
    done = prowess("export", *arguments)
    assert done.code == 2 and "→" in done.err


def test_doctor_finds_damage(prowess, library: Library) -> None:
    healthy = prowess("doctor", "--quick", "--json")
    states = {c["name"]: c["state"] for c in healthy.data["checks"]}
    assert states["library"] == "ok" and states["python"] == "ok" and states["model"] == "note"
    for blob in (library.path / ".prowess").rglob("*"):
        if blob.is_file() and "blob" in str(blob):
            blob.chmod(0o644)
            blob.write_bytes(b"garbage")
    hurt = prowess("doctor", "--quick")
    assert hurt.code == 1 and "✗ library" in hurt.out


def test_config_tells_origins(prowess, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("concurrency = 2\nmodel = 'openai:small'\n")
    monkeypatch.setenv("PROWESS_CONFIG", str(file))
    monkeypatch.setenv("PROWESS_MODEL", "embedded:tiny")
    settings = prowess("config", "--json").data["settings"]
    assert settings["concurrency"] == {"value": 2, "origin": "file"}
    assert settings["model"] == {"value": "embedded:tiny", "origin": "environment"}
    assert settings["budget_usd"] == {"value": None, "origin": "default"}
    text = prowess("config")
    assert "embedded:tiny" in text.out and str(file) in text.err


def test_export_writes_training_data(prowess, library: Library, tmp_path: Path) -> None:
    out = tmp_path / "patches.jsonl"
    done = prowess("export", "--data", "patches", "--out", str(out), "--json")
    assert done.code == 0 and done.data == {"file": str(out), "format": "patches", "rows": 1}
    [row] = map(json.loads, out.read_text().splitlines())
    assert "Void rows do not count." in row["messages"][0]["content"]
    assert json.loads(row["messages"][1]["content"])


@pytest.mark.parametrize(
    ("options", "why"),
    [(("nonsense", "--out", "x"), "choose one of sft, dpo"), (("sft",), "give --out"),
     (("sft", "--out", "x"), "nothing to write"), (("sft", "--out", "x", "--run", "."), "holds no run")],
)  # fmt: skip
def test_export_says_what_training_data_it_lacks(prowess, library: Library, options: tuple[str, ...], why: str) -> None:
    done = prowess("export", "--data", *options)
    assert done.code == 2 and why in done.err
