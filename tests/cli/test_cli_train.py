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
