"""The page of methods agrees with the recipes."""

from pathlib import Path

import pytest

from prowess.evolve import recipes
from prowess.report import methods

PAGE = Path(__file__).parents[2] / "docs" / "methods.md"


def test_the_page_is_what_the_recipes_say() -> None:
    assert PAGE.read_text("utf-8") == methods.page(), "run: python -m prowess.report.methods > docs/methods.md"


def test_a_figure_stands_with_its_interval_its_pairs_and_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    found = recipes.Measured(
        date="2026-11-23", suite="workbench", families=("ledger-totals",), model="embedded", seeds=3, n=24,
        success=0.5, effect=0.25, low=0.05, high=0.45, tokens=12_345,
    )  # fmt: skip
    monkeypatch.setattr(recipes, "measured", lambda: {"skillos": found})
    section = methods.page().partition("## skillos")[2].partition("\n## ")[0]
    assert "50 % of held-out tasks, +25 points [+5, +45] against no skills, 24 pairs, 3 seeds, 12,345 tokens" in section
    assert "prowess bench recipes --suite workbench:ledger-totals --recipe skillos --model embedded" in section
    assert "Not measured yet" not in section and "Not measured yet" in methods.page()
