"""Progress and the summary of a run."""

from pathlib import Path

import pytest

from prowess.cli.outcome import PAGE, RECORD, finish, load_trajectory
from prowess.cli.progress import SILENCE, Waiting
from prowess.cli.screen import Screen
from prowess.core.cost import Cost
from prowess.core.errors import UserError
from prowess.core.skill import Skill, Snapshot
from prowess.core.trajectory import Trajectory
from prowess.evolve.record import RunRecord
from prowess.trajectories.runstore import RunStore


class Event:
    """Shaped as the loop's events."""

    def __init__(self, stage: str, message: str, **data: object) -> None:
        self.stage, self.message, self.data = stage, message, data


def test_progress_in_a_log_is_short_and_counts_money(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    with Waiting(1.0, clock=lambda: now[0]) as waiting:
        for i in range(100):
            now[0] = float(i)
            waiting.tell(Event("explore", f"task {i}", done=i + 1, total=100, cost=Cost(calls=1, usd=0.004)))  # type: ignore[arg-type]
    lines = capsys.readouterr().err.splitlines()
    assert 3 <= len(lines) <= 100 / SILENCE + 3
    assert lines[0].startswith("explore 1 of 100") and "$1.00 left" in lines[0]
    assert lines[-1].startswith("explore 100 of 100") and "$0.60 left" in lines[-1] and "1 min 39 s" in lines[-1]
    assert waiting.cost.calls == 100 and waiting.cost.usd == pytest.approx(0.4)


def test_progress_counts_events_without_numbers_and_hides_controls(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    with Waiting(clock=lambda: now[0]) as waiting:
        waiting.tell(Event("gate", "a\x1b[2Jb\nc", cost=Cost(usd=2).model_dump()))  # type: ignore[arg-type]
        now[0] = SILENCE
        waiting.tell(Event("gate", "next"))  # type: ignore[arg-type]
    first, second = capsys.readouterr().err.splitlines()
    assert "\x1b" not in first and "a⟨U+001B⟩[2Jb c" in first and "$2.00" in first
    assert second.startswith("gate 2 ")


def record() -> RunRecord:
    before = Snapshot()
    after = Snapshot.of([Skill(name="sums", description="Sums.", body="# Sums\n")])
    return RunRecord(
        id="r", recipe="trace2skill", suite="workbench", families=("ledger-totals",), model="m", agent="a", seed=0,
        before=before, after=after, seconds=3.0,
    )  # fmt: skip


def test_finish_leaves_record_and_page(prowess, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = RunStore(tmp_path / "run.db")
    kept = Trajectory(id="k1", task_id="ledger-totals/base/1", agent="a", model="m")
    store.put("trajectory", "k1", kept.model_dump_json().encode())
    store.close()
    finish(Screen(), record(), tmp_path)
    assert RunRecord.model_validate_json((tmp_path / RECORD).read_text()) == record()
    assert "learned 1 skill (sums)" in (tmp_path / PAGE).read_text()
    assert str(tmp_path / PAGE) in capsys.readouterr().out.replace("\n", "")
    assert load_trajectory(tmp_path / "run.db", "k1") == kept and load_trajectory(tmp_path / "run.db", "k2") is None
    shown = prowess("show", tmp_path, "--json").data
    assert shown["record"]["id"] == "r" and shown["summary"].startswith("From no tasks")
    assert list(tmp_path.glob("*.new")) == []


def test_show_of_a_broken_record_says_so(prowess, tmp_path: Path) -> None:
    (tmp_path / RECORD).write_text("{}")
    done = prowess("show", tmp_path)
    assert done.code == 2 and "not a record of a run" in done.err


def test_finish_into_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot write"):
        finish(Screen(), record(), tmp_path / "file")


def test_screen_numbers_go_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().table(("name", "n"), [("a", "5"), ("b", "1,000"), ("c", "–")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["a", "5"] and lines[1].rstrip().endswith("    5")


def test_markup_in_text_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    screen.line("[red]not red[/red] [link=http://x]y[/link]")
    screen.table(("[b]h",), [("[bold]cell",)])
    out = capsys.readouterr().out
    assert "[red]not red[/red] [link=http://x]y[/link]" in out and "[bold]cell" in out and "[b]h" in out


def test_json_of_any_text_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    import json

    text = "\ud800 \x00 \u202e é"
    Screen(json=True).data({"text": text})
    out = capsys.readouterr().out
    assert json.loads(out)["text"] == text and out.isascii()
