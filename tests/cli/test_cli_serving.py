"""The verbs that set agents up, capture what they do, and learn from it while nobody works."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from prowess.cli.places import trajectories
from prowess.library import Library

sys.path.insert(0, str(Path(__file__).parents[1] / "evolve"))
from learn_parts import agent, bash, ledger, session, user


def test_connect_shows_asks_and_is_taken_back(prowess: Any, home: Path) -> None:
    dry = prowess("connect", "codex", "--dry-run")
    assert dry.code == 0 and "+[mcp_servers.prowess]" in dry.out and not (home / ".codex").exists()
    refused = prowess("connect", "codex")
    assert refused.code == 2 and "--yes" in refused.err and not (home / ".codex").exists()
    done = prowess("connect", "codex", "--proxy", "http://127.0.0.1:8790/v1", "--yes", "--json").data
    assert done["ways"] == ["mcp", "hooks", "proxy"] and done["done"]
    assert "base_url" in (home / ".codex/config.toml").read_text()
    assert prowess("disconnect", "codex", "--json").data["connected"]
    assert not (home / ".codex").exists()
    assert prowess("disconnect", "codex").code == 1
    assert prowess("connect", "gemini", "--proxy", "http://127.0.0.1:8790/v1", "-y").code == 2
    assert prowess("connect", "emacs", "-y").code == 2
    assert prowess("connect", "gemini", "--no-mcp", "-y").code == 2


def test_capture_once_and_as_a_hook(prowess: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = home / ".claude/projects/p"
    folder.mkdir(parents=True)
    line = {"type": "user", "uuid": "u", "sessionId": "s", "message": {"role": "user", "content": "hello"}}
    (folder / "s.jsonl").write_text(json.dumps(line) + "\n")
    told = json.dumps({"transcript_path": str(folder / "s.jsonl")})
    assert "1 kept" in prowess("capture", "--hook", stdin=told).err
    assert prowess("capture", "--json").data == {"files": 1, "left": 0, "sessions": 1, "new": 0}
    for wrong in ("", "{}", '{"transcript_path": "/etc/passwd"}'):
        done = prowess("capture", "--hook", stdin=wrong)
        assert done.code == 0 and "not captured" in done.err
    monkeypatch.setenv("PROWESS_RUN", "1")
    assert prowess("capture", "--hook", stdin=told).err == ""


def test_a_night_stages_what_recurs_and_rejects_what_would_not_be_found(
    prowess: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert prowess("sleep", "--json").data["proposals"] == []
    with trajectories() as store:
        store.put_all(ledger(f"l{n}", f"books-{n}.csv") for n in range(4))
        poems = ("write a poem about rain", "a haiku on autumn leaves", "rhyme something for my sister")
        store.put_all(
            session(f"p{n}", [user(text), agent("Here.", bash("echo rain"), bash("echo more"))])
            for n, text in enumerate(poems)
        )
    (found,) = prowess("sleep", "--json").data["proposals"]
    assert found["replay"]["status"] == "propose" and "4 of its 4 requests and 0 of 3 others" in found["replay"]["note"]
    library = Library.open(home.parent / "data" / "library")
    assert [p.id for p in library.proposals()] == [found["id"]] and not library.snapshot().skills
    assert prowess("sleep", "--json").data["proposals"] == [], "the same sessions give nothing twice"
    assert "1 wait" in prowess("sleep").err


def test_a_skill_that_would_not_be_found_is_rejected(prowess: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with trajectories() as store:
        store.put_all(ledger(f"l{n}", f"books-{n}.csv") for n in range(4))
    monkeypatch.setattr("prowess.evolve.replay.SHOWN", 0)
    (found,) = prowess("sleep", "--json").data["proposals"]
    assert found["replay"]["status"] == "fail"
    library = Library.open(home.parent / "data" / "library")
    assert not library.proposals()
    ((rejected, why),) = library.rejected()
    assert rejected.id == found["id"] and "0 of its 4 requests" in why
