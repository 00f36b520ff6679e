"""`prowess suites`: list, check, play and install."""

import builtins
import shutil
import sys
from pathlib import Path

import pytest
from conftest import Prowess

sys.path.append(str(Path(__file__).parents[1] / "suites"))

from task_folders import write_task

from prowess.cli.screen import Screen
from prowess.core.errors import UserError
from prowess.sandbox import rooms
from prowess.suites import WORLDS, open_suite


def here(name: str) -> bool:
    try:
        open_suite(name)
    except UserError:
        return False
    return True


def test_list(prowess: Prowess) -> None:
    rows = {row["suite"]: row for row in prowess("suites", "list", "--json").data}
    assert set(WORLDS) < set(rows)
    assert rows["workbench"]["here"] and not rows["sra"]["here"] and rows["sra"]["hint"]
    assert all(row["here"] or row["hint"] for row in rows.values())
    assert "babyai" in prowess("suites", "list").out


@pytest.mark.skipif(not here("babyai"), reason="minigrid is not installed")
def test_check(prowess: Prowess) -> None:
    done = prowess("suites", "check", "babyai", "-f", "GoToObj", "-n", "2", "--json")
    assert done.code == 0
    (found,) = done.data
    assert found["in_order"] and found["oracle"]["passed"] == 2 and found["idle"]["passed"] == 0
    assert found["steps"] > 0 and found["orders"] == 0
    text = prowess("suites", "check", "babyai", "-f", "GoToObj")
    assert text.code == 0 and "1.00 (1/1)" in text.out


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
def test_check_of_task_folders(prowess: Prowess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms.LocalRooms, "kinds", ("bubblewrap",))
    write_task(tmp_path / "tasks" / "sums" / "sum-1")
    write_task(tmp_path / "tasks" / "sums" / "sum-2", dockerfile="FROM scratch")
    done = prowess("suites", "check", f"folders:{tmp_path / 'tasks'}", "--json")
    assert done.code == 0 and "sums/sum-2 cannot run here" in done.err
    (found,) = done.data
    assert found["in_order"] and found["oracle"]["passed"] == found["tasks"] == 1
    assert prowess("suites", "check", f"folders:{tmp_path / 'none'}").code == 2


def test_check_of_what_is_not_there(prowess: Prowess, monkeypatch: pytest.MonkeyPatch) -> None:
    from prowess.suites.worlds import needs

    assert prowess("suites", "check").code == 2
    assert prowess("suites", "check", "nowhere").code == 2
    monkeypatch.setattr(needs, "find_spec", lambda module: None)
    done = prowess("suites", "check", "babyai")
    assert done.code == 2 and "pip install 'prowess[babyai]'" in done.err
    done = prowess("suites", "check", "textworld")
    assert done.code == 2 and "prowess suites install textworld" in done.err
    rows = prowess("suites", "check", "--all", "--json").data
    assert all(not row["here"] and row["hint"] for row in rows) and len(rows) == len(WORLDS)


def test_java_that_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, prowess: Prowess) -> None:
    from prowess.suites.worlds import needs

    monkeypatch.setattr(needs, "find_spec", lambda module: object())
    monkeypatch.setattr(needs.shutil, "which", lambda name: None)
    done = prowess("suites", "check", "textworld-express")
    assert done.code == 2 and "default-jre-headless" in done.err


def test_install_of_what_needs_none(prowess: Prowess) -> None:
    assert "pip install 'prowess[babyai]'" in prowess("suites", "install", "babyai").err
    assert prowess("suites", "install", "nowhere").code == 2


def test_play_needs_a_terminal(prowess: Prowess) -> None:
    assert prowess("suites", "play", "workbench").code == 2


@pytest.mark.skipif(not here("babyai"), reason="minigrid is not installed")
def test_a_person_plays(prowess: Prowess, monkeypatch: pytest.MonkeyPatch) -> None:
    said = iter(["1", "go forward", "nonsense", ""])
    monkeypatch.setattr(Screen, "interactive", property(lambda self: True))
    monkeypatch.setattr(Screen, "ask", lambda self, question, exact=False: builtins.next(said))
    done = prowess("suites", "play", "babyai", "-f", "GoToObj", "--variant", "S4")
    assert done.code == 0, done.err
    assert "Your goal: go to" in done.out and "1 turn left" in done.out
    assert "after 3 actions" in done.out or "passed" in done.out
