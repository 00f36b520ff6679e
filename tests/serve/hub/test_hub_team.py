"""The demo of a team, with a model that is played: one learns, the hub proves, the other profits."""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[3] / "benchmarks"))

from pretend import PretendModel

from prowess.serve.hub.evolver import Evolver
from prowess.serve.hub.team import PROJECT, team


def test_one_learns_and_the_other_profits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setattr(Evolver, "_draw", lambda self, about: 1)  # tasks that the pretended model knows
    said: list[str] = []
    kept: dict[str, Any] = {
        "out": tmp_path / "demo", "open_model": lambda: PretendModel(("ledger-totals",), 36), "short": True, "seed": 0,
        "concurrency": 2, "report": lambda event: said.append(event.message),
    }  # fmt: skip
    found = team(**kept)
    assert found.learned == ("ledger-totals",) == found.published
    assert [(v.gate, v.status) for v in found.proof][-1] == ("trials", "pass")
    assert found.profit is not None and found.profit.outcome == "better" and found.profit.n == 8
    assert any("Ben uses" in text for text in said)
    again = team(**kept)
    assert again.published == found.published and again.profit == found.profit
    assert (tmp_path / "demo" / "hub" / "projects" / PROJECT / "ledger-totals" / "SKILL.md").is_file()
