"""`prowess train`, run for a few steps."""

from pathlib import Path

import pytest


def test_an_unknown_recipe_is_the_users_to_mend(prowess) -> None:
    done = prowess("train", "nothing")
    assert done.code == 2 and "choose one of compositionality" in done.err


def test_it_says_what_to_install_where_torch_is_missing(prowess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    done = prowess("train", "sage")
    assert done.code == 2 and "pip install 'prowess[train]'" in done.err


def test_a_study_leaves_a_page_and_goes_on(prowess, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="training needs torch: pip install 'prowess[train]'")
    words = ("train", "sage", "--seeds", "1", "--arm", "outcome", "--scale", "0.001", "--out", str(tmp_path / "run"))
    done = prowess(*words)
    assert done.code == 0 and "outcome" in done.out and "one seed" in done.out
    assert "sage" in (tmp_path / "run" / "page.html").read_text("utf-8")
    more = prowess(*words, "--arm", "SAGE", "--json")
    assert more.code == 0 and [arm["name"] for arm in more.data["arms"]] == ["SAGE", "outcome"]
    assert prowess("train", "exit", *words[2:]).code == 2  # the folder is another study's


# On a library


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A library with the skills of two families of the small world of rules."""
    from prowess.core.patch import CreateSkill, Patch
    from prowess.library import Library

    suites = pytest.importorskip("prowess.train.mechanisms.suite")
    folder = tmp_path / "skills"
    library, suite = Library.open(folder, create=True), suites.RulesSuite()
    for name in suite.families[:2]:
        skill = suite.human_skill(name)
        library.apply(Patch(base=library.snapshot().digest, operations=(CreateSkill(skill=skill),), reason="x"))
    return folder


def test_only_what_was_learned_may_leave_a_library(prowess, rules: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="training needs torch: pip install 'prowess[train]'")
    words = ("train", "skill0", "--library", rules, "--suite", "rules", "--policy", "tiny", "--tasks", "4")
    done = prowess(*words, "--scale", "0.01", "--out", tmp_path / "run", "--yes", "--json")
    assert done.code == 0, done.err
    assert [d["outcome"] for d in done.data["decided"]] == ["kept", "kept"]  # two steps teach nothing
    assert [a["name"] for a in done.data["study"]["arms"]] == ["SKILL0"]
    assert "rule-a" in prowess("show", "--library", rules).out
    refused = prowess("log", "--refused", "--library", rules).out
    assert "rule-a" in refused and "rule-b" in refused
    again = prowess(*words, "--scale", "0.01", "--out", tmp_path / "run", "--yes")  # resumes, asks nothing twice
    assert again.code == 0 and "rule-a stays" in again.err


def test_what_cannot_be_trained_on_is_the_users_to_mend(prowess, rules: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="training needs torch: pip install 'prowess[train]'")
    on = ("--library", rules, "--suite", "rules", "--policy", "tiny")
    assert "sage does not train on a library" in prowess("train", "sage", *on).err
    assert "no task of rules shows a skill" in prowess("train", "skill0", *on, "--family", "rule-f").err
    assert "no family 'x'" in prowess("train", "skill0", *on, "--family", "x").err
    assert "no library" in prowess("train", "skill0", *on[2:], "--library", tmp_path / "none").err
