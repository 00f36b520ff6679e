"""Connecting agents and taking that back, through crashes and through edits by others."""

import json
import os
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from prowess.core.errors import Refused, UserError
from prowess.serve.connect import journal as journals
from prowess.serve.connect.agents import agents
from prowess.serve.connect.edits import Conflict, Edit, applied, undone
from prowess.serve.connect.journal import Journal

VALUES: dict[str, object] = {
    "program": "/opt/bin/prowess", "arguments": ["serve", "mcp"], "argv": ["/opt/bin/prowess", "serve", "mcp"],
    "hook": "/opt/bin/prowess capture --hook", "url": "http://127.0.0.1:8790/v1", "root": "http://127.0.0.1:8790",
}  # fmt: skip
SETTINGS = b'{\r\n    "env": {"A": "1"},\r\n\r\n  "hooks": {"Stop": []}, "n": 1e3}'
TOML = b'# mine\nmodel = "gpt-5"\nmodel_provider = "azure" # why\n\n[model_providers.azure]\nname = "a"'


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "data" / "connections")


def connect(journal: Journal, agent: str, home: Path, **more: object) -> None:
    journal.connect(journal.plan(agent, agents()[agent].ways, home, {**VALUES, **more}))


def files(home: Path) -> dict[str, tuple[bytes, int]]:
    return {str(p): (p.read_bytes(), p.stat().st_mode) for p in sorted(home.rglob("*")) if p.is_file()}


def a_home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    for name, data in (
        (".claude/settings.json", SETTINGS), (".codex/config.toml", TOML), (".claude.json", b'{"projects":{"/x":{}}}'),
        (".config/opencode/opencode.json", b""), (".cursor/mcp.json", b'{"mcpServers":{"prowess":{"old":true}}}\n'),
    ):  # fmt: skip
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(data)
    (home / ".claude/settings.json").chmod(0o640)
    return home


@pytest.mark.parametrize("agent", agents())
@pytest.mark.parametrize("fresh", [True, False], ids=["no files", "files"])
def test_an_agent_is_connected_and_restored_to_the_byte(
    tmp_path: Path, journal: Journal, agent: str, fresh: bool
) -> None:
    home = tmp_path / "home" if fresh else a_home(tmp_path)
    home.mkdir(exist_ok=True)
    before, folders = files(home), sorted(home.rglob("*"))
    connect(journal, agent, home)
    first = files(home)
    assert first != before
    connect(journal, agent, home)
    assert files(home) == first, "twice is once"
    if agent == "claude-code" and not fresh:
        assert (home / ".claude/settings.json").stat().st_mode & 0o777 == 0o640
    journal.disconnect(agent)
    assert files(home) == before and sorted(home.rglob("*")) == folders
    assert journal.connection(agent) is None and journal.disconnect(agent) == ()


def test_what_is_written_is_what_the_agents_read(tmp_path: Path, journal: Journal) -> None:
    home = a_home(tmp_path)
    for agent in agents():
        connect(journal, agent, home)
    claude = json.loads((home / ".claude/settings.json").read_bytes())
    assert claude["env"] == {"A": "1", "ANTHROPIC_BASE_URL": "http://127.0.0.1:8790"}
    assert claude["hooks"]["SessionEnd"][0]["hooks"][0]["command"] == "/opt/bin/prowess capture --hook"
    assert claude["hooks"]["Stop"] == [] and claude["n"] == 1000
    server = json.loads((home / ".claude.json").read_bytes())["mcpServers"]["prowess"]
    assert server == {"type": "stdio", "command": "/opt/bin/prowess", "args": ["serve", "mcp"]}
    text = (home / ".codex/config.toml").read_text()
    codex = tomllib.loads(text)
    assert "# mine" in text and codex["model"] == "gpt-5" and codex["model_provider"] == "prowess"
    assert codex["model_providers"]["prowess"]["wire_api"] == "responses"
    assert codex["mcp_servers"]["prowess"] == {"command": "/opt/bin/prowess", "args": ["serve", "mcp"]}


def test_a_folder_that_a_variable_moves_and_links_are_followed(tmp_path: Path, journal: Journal) -> None:
    real, moved = tmp_path / "dotfiles.json", tmp_path / "moved"
    moved.mkdir()
    real.write_bytes(b"{}")
    (moved / "settings.json").symlink_to(real)
    connect(journal, "claude-code", tmp_path, CLAUDE_CONFIG_DIR=str(moved))
    assert (moved / "settings.json").is_symlink() and b"SessionEnd" in real.read_bytes()
    assert (moved / ".claude.json").is_file() and not (tmp_path / ".claude").exists()
    journal.disconnect("claude-code")
    assert real.read_bytes() == b"{}" and (moved / "settings.json").is_symlink()


@pytest.mark.parametrize("agent", ["claude-code", "codex"])
def test_a_crash_at_any_write_loses_nothing(
    tmp_path: Path, journal: Journal, agent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = a_home(tmp_path)
    before = files(home)
    write = journals._write

    class Crash(BaseException):
        pass

    def crash_at(number: int, after: bool) -> None:
        left = [number]

        def dying(path: Path, data: bytes) -> None:
            left[0] -= 1
            if left[0] == 0 and not after:
                raise Crash
            write(path, data)
            if left[0] == 0:
                raise Crash

        monkeypatch.setattr(journals, "_write", dying)

    for after in (False, True):
        for number in range(1, 5):
            crash_at(number, after)
            with suppress(Crash):
                connect(journal, agent, home)
            monkeypatch.setattr(journals, "_write", write)
            journal.disconnect(agent)
            assert files(home) == before
            connect(journal, agent, home)
            crash_at(number, after)
            with suppress(Crash):
                journal.disconnect(agent)
            monkeypatch.setattr(journals, "_write", write)
            journal.disconnect(agent)
            assert files(home) == before and journal.connection(agent) is None


def test_edits_by_others_stay(tmp_path: Path, journal: Journal) -> None:
    home = a_home(tmp_path)
    for agent in ("claude-code", "codex"):
        connect(journal, agent, home)
    path, toml = home / ".claude/settings.json", home / ".codex/config.toml"
    data = json.loads(path.read_bytes())
    data["theme"] = "dark"
    data["hooks"]["SessionEnd"].append({"hooks": [{"type": "command", "command": "mine"}]})
    path.write_text(json.dumps(data))
    toml.write_text(toml.read_text() + '\n[profiles.x]\nmodel = "o3"\n')
    (home / ".claude.json").unlink()
    for agent in ("claude-code", "codex"):
        journal.disconnect(agent)
    mine = [{"hooks": [{"type": "command", "command": "mine"}]}]
    assert json.loads(path.read_bytes()) == {
        "env": {"A": "1"}, "hooks": {"Stop": [], "SessionEnd": mine}, "n": 1000, "theme": "dark",
    }  # fmt: skip
    assert toml.read_bytes() == TOML + b'\n\n[profiles.x]\nmodel = "o3"\n'
    assert not (home / ".claude.json").exists(), "what was deleted stays deleted"


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        (".claude/settings.json", "http://127.0.0.1:8790", "http://127.0.0.1:9999"),
        (".claude.json", '"serve"', '"serve", "--mine"'),
        (".codex/config.toml", 'wire_api = "responses"', 'wire_api = "chat"'),
        (".codex/config.toml", 'model_provider = "prowess"', 'model_provider = "other"'),
        (".claude/settings.json", "{", "{{"),
    ],
)
def test_a_conflict_is_refused_and_nothing_is_touched(
    tmp_path: Path, journal: Journal, file: str, old: str, new: str
) -> None:
    home = a_home(tmp_path)
    agent = "codex" if "codex" in file else "claude-code"
    connect(journal, agent, home)
    path = home / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    before = files(home)
    for attempt in (lambda: journal.disconnect(agent), lambda: connect(journal, agent, home)):
        with pytest.raises(Refused) as refused:
            attempt()
        assert str(path) in refused.value.message and str(journal.folder) in refused.value.hint
    assert files(home) == before and journal.connection(agent) is not None


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        (".claude/settings.json", b"// mine\n{}", "no plain JSON"),
        (".claude/settings.json", b"[]", "no JSON object"),
        (".claude/settings.json", b'{"hooks": 3}', "no object"),
        (".claude/settings.json", b'{"hooks": {"SessionEnd": {}}}', "no list"),
        (".claude/settings.json", b"\xff\xfe", "no UTF-8"),
        (".codex/config.toml", b'[mcp_servers.prowess]\ncommand = "x"\n', "cannot take"),
        (".codex/config.toml", b"= broken", "cannot take"),
        (".config/opencode/opencode.jsonc", b"{}", "comments"),
    ],
)
def test_files_that_cannot_be_edited_are_left_alone(
    tmp_path: Path, journal: Journal, name: str, data: bytes, says: str
) -> None:
    home = tmp_path / "home"
    (home / name).parent.mkdir(parents=True)
    (home / name).write_bytes(data)
    agent = {"claude": "claude-code", "codex": "codex"}.get(name.split("/", maxsplit=1)[0][1:], "opencode")
    before = files(home)
    with pytest.raises(UserError, match=says):
        connect(journal, agent, home)
    assert files(home) == before and journal.connection(agent) is None


def test_ways_that_an_agent_has_not_are_refused(tmp_path: Path, journal: Journal) -> None:
    with pytest.raises(UserError, match="cannot be connected by proxy"):
        journal.plan("gemini", ("proxy",), tmp_path, VALUES)
    with pytest.raises(UserError, match="no agent is named"):
        journal.plan("emacs", ("mcp",), tmp_path, VALUES)
    journal.folder.mkdir(parents=True)
    (journal.folder / "codex.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        journal.disconnect("codex")
    assert os.listdir(journal.folder) == ["codex.json"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
documents = st.dictionaries(st.sampled_from("abcd") | st.text(max_size=3), json_values, max_size=4)


@settings(max_examples=200, deadline=None)
@given(documents, documents, st.lists(st.sampled_from("abcd"), min_size=1, max_size=3), json_values, st.booleans())
@example({"a": [None, []]}, {}, ["a"], None, True)  # the item was there before, too
def test_undoing_gives_back_what_was_there_beside_any_edit_elsewhere(
    before: Any, other: Any, path: list[str], value: Any, item: bool
) -> None:
    file, text = Path("x.json"), json.dumps(before)
    edit = Edit(path=tuple(path), value=value, item=item)
    try:
        after = applied(file, text, [edit])
    except UserError:
        return
    assert json.loads(undone(file, after, text, [edit])) == before or _at(before, path) is None
    added = {**json.loads(after), **{f"new-{k}": v for k, v in other.items()}}
    try:
        left = json.loads(undone(file, json.dumps(added), text, [edit]))
    except Conflict:
        raise AssertionError("an edit elsewhere is no conflict") from None
    assert {k: v for k, v in left.items() if not k.startswith("new-")} == before or _at(before, path) is None


def _at(data: Any, path: list[str]) -> Any:
    for key in path:
        data = data.get(key) if isinstance(data, dict) else None
    return data
