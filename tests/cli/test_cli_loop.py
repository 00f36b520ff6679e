"""The verbs that run the loop: what they hand to it, and what they do with what comes back."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from prowess.core.errors import BudgetExceeded
from prowess.core.skill import Skill, Snapshot
from prowess.core.trajectory import Trajectory
from prowess.evolve.record import RunRecord
from prowess.library import Library

RECORD = RunRecord(
    id="r", recipe="trace2skill", suite="workbench", families=("ledger-totals",), model="m", agent="a", seed=3,
    before=Snapshot(), after=Snapshot.of([Skill(name="sums", description="Sums.", body="# Sums\n")]),
)  # fmt: skip


class Event:
    message = "one task"
    data: dict[str, Any] = {"done": 1, "total": 2}

    def __init__(self, stage: str = "explore") -> None:
        self.stage = stage


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """In place of the loop: notes what it was asked for. The loop itself has its own tests."""
    seen: dict[str, Any] = {}

    async def run(recipe: str = "demo", **options: Any) -> RunRecord:
        seen.update(options, recipe=recipe)
        options["report"](Event())
        return RECORD

    async def learn(**options: Any) -> tuple[Any, ...]:
        seen.update(options)
        for _ in options["sessions"].find():
            options["report"](Event("read"))
        return tuple(options["library"].proposals())

    for name, function in (("demo", run), ("run_recipe", run), ("learn", learn)):
        module = ModuleType(name)
        setattr(module, name, function)
        monkeypatch.setitem(sys.modules, f"prowess.evolve.{'run' if name == 'run_recipe' else name}", module)
    return seen


def test_demo_hands_over_its_options_and_writes_the_page(prowess, asked: dict[str, Any], tmp_path: Path) -> None:
    done = prowess("demo", "--out", tmp_path / "d", "--short", "--seed", "3", "--budget", "0.5", "-j", "2")
    assert done.code == 0
    assert (asked["short"], asked["seed"], asked["budget_usd"], asked["concurrency"]) == (True, 3, 0.5, 2)
    assert asked["model"] == "embedded" and asked["out"] == tmp_path / "d"
    assert "learned 1 skill (sums)" in (tmp_path / "d" / "report.html").read_text()
    assert "learned 1 skill (sums)" in " ".join(done.out.split()) and "explore 1 of 2" in done.err


def test_run_takes_settings_where_no_option_stands(
    prowess, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch, library: Library
) -> None:
    monkeypatch.setenv("PROWESS_MODEL", "openai:x")
    monkeypatch.setenv("PROWESS_CONCURRENCY", "9")
    monkeypatch.setenv("PROWESS_BUDGET_USD", "2")
    done = prowess("run", "trace2skill", "-f", "ledger-totals", "-f", "timesheet-hours", "--json")
    assert done.code == 0 and done.data["record"]["id"] == "r"
    assert asked["recipe"] == "trace2skill" and asked["families"] == ("ledger-totals", "timesheet-hours")
    assert (asked["model"], asked["concurrency"], asked["budget_usd"]) == ("openai:x", 9, 2.0)
    assert asked["library"] == library.path and asked["evidence"] is None
    assert done.data["report"] == "runs/trace2skill-workbench-0/report.html"


def test_budget_reached_is_exit_code_three(prowess, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    async def spent(*_: Any, **__: Any) -> RunRecord:
        raise BudgetExceeded("0.50 of 0.50 dollars are spent", "the same command resumes")

    monkeypatch.setattr(sys.modules["prowess.evolve.demo"], "demo", spent)
    done = prowess("demo", "--json")
    assert done.code == 3 and done.data["error"]["kind"] == "BudgetExceeded" and "resumes" in done.err


def test_learn_makes_a_library_and_says_what_it_lacks(prowess, asked: dict[str, Any], tmp_path: Path) -> None:
    done = prowess("learn", "--from", tmp_path, "--library", tmp_path / "new")
    assert done.code == 1 and "there are no sessions yet" in done.err and "prowess import" in done.err
    with asked["sessions"] as store:
        store.put(Trajectory(id="t", agent="a", model="m"))
    assert prowess("learn").code == 0 and "nothing new was found" in prowess("learn").err
    prowess("learn", "--from", tmp_path, "--library", tmp_path / "new")
    assert asked["source"] == tmp_path and asked["library"].path == tmp_path / "new"
    assert asked["sessions"].path.name == "trajectories.db"


def test_learn_shows_what_it_proposes(prowess, asked: dict[str, Any], library: Library) -> None:
    done = prowess("learn")
    assert "Totals were rounded down" in done.out and "Void rows do not count." in done.out
    assert "are out" in done.out and "(session-1, step 3)" in done.out
    assert "1 proposed; `prowess review`" in done.err and asked["source"] is None
    assert prowess("learn", "--json").data[0]["id"] == library.proposals()[0].id


def test_learn_uses_the_embedded_model_only_where_it_is_named(
    prowess, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    prowess("learn")
    assert asked["model"] == "none"
    prowess("learn", "--model", "embedded")
    assert asked["model"] == "embedded"
    monkeypatch.setenv("PROWESS_MODEL", "openai:x")
    prowess("learn")
    assert asked["model"] == "openai:x"
