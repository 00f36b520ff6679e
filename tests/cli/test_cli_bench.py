"""`prowess bench recipes` and `prowess recipes` on the command line."""

import json
from pathlib import Path

import pytest

from prowess.core.errors import SandboxError, UserError
from prowess.sandbox import find_sandbox


def has_sandbox() -> bool:
    try:
        find_sandbox()
    except (UserError, SandboxError):
        return False
    return True


def test_recipes_are_listed_with_what_is_known_of_them(prowess) -> None:
    done = prowess("recipes", "--json")
    rows = {row["name"]: row for row in done.data}
    assert done.code == 0 and {row["engine"] for row in done.data} == {"evolve", "train"}
    assert rows["trace2skill"]["parts"]["gates"].startswith("format scan")
    assert "sequential" in rows["trace2skill"]["ablations"] and "2603.25158" in rows["trace2skill"]["paper"]
    assert "2605.06614" in prowess("recipes").out
    one = prowess("recipes", "skillos")
    assert "As in the paper" in one.out and "skillos.insert-only" in one.out
    assert prowess("recipes", "nothing").code == 2


@pytest.mark.skipif(not has_sandbox(), reason="no sandbox here")
def test_recipes_are_compared_and_the_page_is_left(prowess, tmp_path: Path) -> None:
    script, out = tmp_path / "answers.json", tmp_path / "out"
    script.write_text(json.dumps(["```python\nprint(1)\n```"] * 40))
    words = ("bench", "recipes", "-s", "workbench:ledger-totals", "-r", "human", "-r", "oracle", "--seeds", "1")
    words += ("--test", "2", "--other", "0", "-m", f"scripted:{script}", "-o", str(out))
    done = prowess(*words)
    assert done.code == 0, done.err
    assert "oracle" in done.out and "100 %" in done.out and (out / "bench.html").exists()
    record = json.loads((out / "bench.json").read_text())
    assert [e["recipe"] for e in record["entries"]] == ["none", "human", "oracle"]
    again = prowess(*words, "--json")
    assert again.code == 0 and again.data["gains"] == record["gains"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("-r", "nothing"), "nothing"),
        (("-r", "skillos.nothing"), "insert-only"),
        (("-s", "nowhere"), "nowhere"),
        (("-s", "workbench:nobody"), "nobody"),
        (("--executor", "nowhere"), "local"),
        (("-m", "nowhere:x"), "embedded"),
    ],
)
def test_what_is_not_there_is_said(prowess, tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    done = prowess("bench", "recipes", "-o", str(tmp_path / "out"), *words)
    assert done.code == 2 and says in done.err
