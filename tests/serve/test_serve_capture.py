"""Sessions captured where agents leave them, and what a night makes of them."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from prowess.core.errors import UserError
from prowess.serve import capture
from prowess.serve.capture import ended, folders, sweep
from prowess.trajectories.store import TrajectoryStore


def session(id: str, text: str = "sum the ledger", turns: int = 1) -> str:
    lines: list[Any] = []
    for turn in range(turns):
        one, two = f"{id}-{turn}-u", f"{id}-{turn}-a"
        last = f"{id}-{turn - 1}-a" if turn else None
        lines += [
            {"type": "user", "uuid": one, "parentUuid": last, "sessionId": id, "timestamp": "2026-01-01T00:00:00Z",
             "message": {"role": "user", "content": f"{text} {turn}"}},
            {"type": "assistant", "uuid": two, "parentUuid": one, "sessionId": id, "timestamp": "2026-01-01T00:00:01Z",
             "message": {"role": "assistant", "model": "m", "content": [{"type": "text", "text": "Done."}]}},
        ]  # fmt: skip
    return "".join(json.dumps(line) + "\n" for line in lines)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".claude/projects/p").mkdir(parents=True)
    (tmp_path / ".codex/sessions/2026/01/01").mkdir(parents=True)
    return tmp_path


def test_a_sweep_reads_what_is_new_or_has_grown_and_nothing_else(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places, state = folders(home, {}), home / "data" / "captured.json"
    assert [p.name for p in places] == ["projects", "sessions"]
    folder = places[0] / "p"
    for name in "abc":
        (folder / f"{name}.jsonl").write_text(session(name))
    (folder / "notes.jsonl").write_text('{"no": "session"}\n')
    (folder / "memory.md").write_text("x")
    (folder / "link.jsonl").symlink_to("/etc/passwd")
    with TrajectoryStore(home / "t.db") as store:
        assert sweep(places, store, state) == (4, 0, 3, 3)
        read: list[Path] = []
        importing = capture.import_path
        monkeypatch.setattr(capture, "import_path", lambda path: read.append(path) or importing(path))
        assert sweep(places, store, state) == (0, 0, 0, 0)
        (folder / "b.jsonl").write_text(session("b", turns=3))
        (folder / "c.jsonl").unlink()
        assert sweep(places, store, state) == (1, 0, 1, 1)
        assert [path.name for path in read] == ["b.jsonl"]
        assert len(store) == 3, "what an agent deletes stays"
        state.write_text("{broken")
        assert sweep(places, store, state).new == 0 and sweep(places, store, state).files == 0


def test_a_sweep_is_bounded_and_the_newest_come_first(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "MOST_FILES", 2)
    places, state = folders(home, {}), home / "captured.json"
    for number in range(5):
        file = places[0] / f"{number}.jsonl"
        file.write_text(session(str(number)))
        os.utime(file, (1000 + number, 1000 + number))
    with TrajectoryStore(home / "t.db") as store:
        assert sweep(places, store, state) == (2, 3, 2, 2)
        said = {store.get(row.id).extra["session_id"] for row in store.find()}
        assert said == {"3", "4"}
        assert [sweep(places, store, state).left for _ in range(3)] == [1, 0, 0]
        assert len(store) == 5
        monkeypatch.setattr(capture, "MOST_BYTES", 1)
        (places[0] / "big.jsonl").write_text(session("big"))
        assert sweep(places, store, state).files == 1, "one file is read however large"


def test_the_session_that_a_hook_names_is_kept_with_its_sub_agents(home: Path) -> None:
    places = folders(home, {})
    file = places[0] / "p" / "s1.jsonl"
    file.write_text(session("s1"))
    (file.with_suffix("") / "subagents").mkdir(parents=True)
    (file.with_suffix("") / "subagents" / "agent-1.jsonl").write_text(session("s2"))
    told = {"session_id": "s1", "transcript_path": str(file), "cwd": "/x", "hook_event_name": "SessionEnd"}
    with TrajectoryStore(home / "t.db") as store:
        assert ended(json.dumps(told).encode(), places, store) == 2
        assert ended(json.dumps(told).encode(), places, store) == 0


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "{home}/other.jsonl", "{place}/../../other.jsonl", "{place}/x.txt", "", None, 7]
)
def test_a_hook_cannot_have_any_file_read(home: Path, path: Any) -> None:
    places = folders(home, {})
    (home / "other.jsonl").write_text(session("secret"))
    (places[0] / "link.jsonl").symlink_to(home / "other.jsonl")
    with TrajectoryStore(home / "t.db") as store:
        named = path.format(home=home, place=places[0]) if isinstance(path, str) else path
        for told in ({"transcript_path": named}, {"transcript_path": str(places[0] / "link.jsonl")}):
            with pytest.raises(UserError):
                ended(json.dumps(told).encode(), places, store)
        for told in (b"", b"[]", b"{broken"):
            with pytest.raises(UserError, match="no transcript"):
                ended(told, places, store)
        assert len(store) == 0


def test_variables_move_the_folders(home: Path) -> None:
    moved = home / "moved"
    (moved / "projects").mkdir(parents=True)
    found = folders(home, {"CLAUDE_CONFIG_DIR": str(moved)})
    assert found == (moved / "projects", home / ".codex/sessions")
