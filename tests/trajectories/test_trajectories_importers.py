# ruff: noqa: E501 - records are easier to read on one line
"""Logs of each agent version become trajectories; nothing in them is lost, and nothing in them can do harm."""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prowess.core.errors import UserError
from prowess.core.trajectory import Trajectory
from prowess.trajectories.atif import from_atif, to_atif
from prowess.trajectories.importers import Imported, Progress, Report, detect, import_path, records
from prowess.trajectories.importers.suspects import suspects
from prowess.trajectories.store import TrajectoryStore

Records = list[dict[str, Any]]


def write(path: Path, records: Records, tail: str = "") -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records) + tail)
    return path


def trajectories(path: Path, **options: Any) -> tuple[list[Trajectory], Report]:
    found = list(import_path(path, **options))
    return [item.trajectory for item in found if item.trajectory is not None], found[0].report


def said(trajectory: Trajectory) -> list[tuple[str, str]]:
    return [(step.source, step.message) for step in trajectory.steps]


# Claude Code, `--output-format stream-json`, version 2.1


def stream() -> Records:
    def assistant(id: str, block: dict[str, Any], parent: str | None = None, out: int = 1) -> dict[str, Any]:
        usage = {
            "input_tokens": 3,
            "cache_creation_input_tokens": 10,
            "cache_read_input_tokens": 100,
            "output_tokens": out,
        }
        message = {
            "model": "claude-x",
            "id": id,
            "type": "message",
            "role": "assistant",
            "content": [block],
            "usage": usage,
        }
        return {
            "type": "assistant",
            "message": message,
            "parent_tool_use_id": parent,
            "session_id": "s1",
            "uuid": f"u-{id}-{out}",
        }

    def user(block: dict[str, Any], parent: str | None = None, **more: Any) -> dict[str, Any]:
        message = {"role": "user", "content": [block]}
        return {"type": "user", "message": message, "parent_tool_use_id": parent, "session_id": "s1", **more}

    def use(id: str, name: str, **input: Any) -> dict[str, Any]:
        return {"type": "tool_use", "id": id, "name": name, "input": input, "caller": {"type": "direct"}}

    return [
        {"type": "system", "subtype": "init", "session_id": "s1", "cwd": "/w", "model": "claude-x", "skills": ["pdf", "docx"],
         "claude_code_version": "2.1.78", "uuid": "u0"},
        assistant("m1", {"type": "thinking", "thinking": "Let me see.", "signature": "sig"}),
        assistant("m1", {"type": "text", "text": "I shall use a skill."}),
        assistant("m1", use("t1", "Skill", skill="pdf"), out=7),
        user({"type": "tool_result", "tool_use_id": "t1", "content": "Launching skill: pdf"}, tool_use_result={"success": True}),
        user({"type": "text", "text": "Base directory for this skill: /h/.claude/skills/pdf\n\n# PDF"}, isSynthetic=True),
        assistant("m2", use("t2", "Bash", command="python3 /h/.claude/skills/pdf/scripts/read.py a.pdf")),
        assistant("m2", use("t3", "Agent", prompt="count pages"), out=9),
        {"type": "system", "subtype": "task_started", "task_id": "k", "tool_use_id": "t3", "session_id": "s1"},
        user({"type": "text", "text": "count pages"}, parent="t3"),
        assistant("m3", {"type": "text", "text": "12 pages"}, parent="t3"),
        user({"type": "tool_result", "tool_use_id": "t2", "content": "Exit code 1\nboom", "is_error": True}),
        user({"type": "tool_result", "tool_use_id": "t3",
              "content": [{"type": "text", "text": "12 pages"}, {"type": "image", "source": {"data": "QUJD"}}]}),
        {"type": "novelty", "session_id": "s1", "payload": {"x": 1}},
        assistant("m4", {"type": "text", "text": "Done."}, out=5),
        {"type": "result", "subtype": "success", "is_error": False, "duration_api_ms": 2500, "num_turns": 4, "result": "Done.",
         "session_id": "s1", "total_cost_usd": 0.25,
         "usage": {"input_tokens": 9, "cache_creation_input_tokens": 30, "cache_read_input_tokens": 300, "output_tokens": 40}},
    ]  # fmt: skip


def test_claude_stream_becomes_a_trajectory(tmp_path: Path) -> None:
    path = write(tmp_path / "run.jsonl", stream())
    assert detect(path) == "claude-code"
    (main, side), report = trajectories(path)
    assert (main.agent, main.model, main.extra["session_id"]) == ("claude-code/2.1.78", "claude-x", "s1")
    first, skill_text, work, last = main.steps
    assert (first.reasoning, first.message) == ("Let me see.", "I shall use a skill.")
    assert first.tool_calls[0].arguments == {"skill": "pdf"}
    assert first.observations[0].content == "Launching skill: pdf" and first.observations[0].call_id == "t1"
    assert skill_text.source == "system" and skill_text.message.endswith("# PDF")
    assert [o.is_error for o in work.observations] == [True, False]
    assert work.observations[1].content == "12 pages\n[image]"
    assert last.message == "Done."
    assert (main.offered, main.loaded, main.used) == (("pdf", "docx"), ("pdf",), ("pdf",))
    cost = main.cost
    assert (cost.calls, cost.prompt_tokens, cost.cached_tokens, cost.completion_tokens) == (3, 339, 300, 40)
    assert (cost.seconds, cost.usd) == (2.5, 0.25)
    assert work.cost is not None and work.cost.completion_tokens == 9, "the last line of a message has its final count"
    assert said(side) == [("user", "count pages"), ("agent", "12 pages")]
    assert (side.extra["parent_trajectory"], side.extra["parent_call"]) == (main.id, "t3")
    assert report.unknown == {"novelty": 1} and report.broken == 0 and report.trajectories == 2


def test_claude_stream_keeps_what_has_no_field(tmp_path: Path) -> None:
    (main, _), _ = trajectories(write(tmp_path / "run.jsonl", stream()))
    kept = json.dumps(main.extra) + json.dumps([step.extra for step in main.steps])
    for trace in (
        '"sig"',
        '"novelty"',
        '"task_started"',
        '"QUJD"',
        '"num_turns"',
        '"caller"',
        '"u-m1-7"',
        '"cache_creation',
    ):
        assert trace in kept, trace


# Claude Code, session file, version 2.0: a tree


def line(uuid: str, parent: str | None, kind: str, content: Any, **more: Any) -> dict[str, Any]:
    message: dict[str, Any] = {"role": kind, "content": content}
    if kind == "assistant":
        message |= {"id": more.pop("id", uuid), "model": "claude-y", "usage": {"input_tokens": 5, "output_tokens": 2}}
    return {"type": kind, "uuid": uuid, "parentUuid": parent, "sessionId": "s2", "version": "2.0.1", "cwd": "/w", "gitBranch": "b",
            "isSidechain": False, "timestamp": "2026-01-02T03:04:05.000Z", "message": message, **more}  # fmt: skip


def use(id: str, name: str, **input: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": id, "name": name, "input": input}


def result(id: str, content: str, **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": id, "content": content, **more}


def text(words: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": words}]


def test_claude_session_follows_the_tree(tmp_path: Path) -> None:
    records: Records = [
        {"type": "file-history-snapshot", "messageId": "x", "snapshot": {}},
        line("a", None, "user", "make a table"),
        line("b", "a", "assistant", text("draft one")),
        line("c", "b", "user", "no, smaller"),  # taken back: the user edited this message
        line("d", "c", "assistant", text("small one")),
        line("e", "b", "user", "no, larger"),
        line("f", "e", "assistant", [use("t1", "Bash", command="ls")], id="m"),
        line("g", "f", "assistant", [use("t2", "Bash", command="pwd")], id="m"),
        line("h", "f", "user", [result("t1", "files")], toolUseResult={"stdout": "files"}),
        line("i", "g", "user", [result("t2", "/w")]),
        line("s1", None, "user", "look around", isSidechain=True),
        line("s2", "s1", "assistant", text("nothing there"), isSidechain=True),
        line("j", "i", "assistant", text("large one")),
        {"type": "summary", "summary": "Tables", "leafUuid": "j"},
    ]
    (main, side), report = trajectories(write(tmp_path / "s2.jsonl", records))
    assert said(main) == [
        ("user", "make a table"),
        ("agent", "draft one"),
        ("user", "no, larger"),
        ("agent", ""),
        ("agent", "large one"),
    ]
    assert [(o.call_id, o.content) for o in main.steps[3].observations] == [("t1", "files"), ("t2", "/w")]
    assert "small one" in json.dumps(main.extra["abandoned"])
    assert said(side) == [("user", "look around"), ("agent", "nothing there")]
    assert (main.agent, main.steps[0].timestamp) == ("claude-code/2.0.1", "2026-01-02T03:04:05.000Z")
    assert report.unknown == {}


def test_claude_clear_and_a_new_start_split_a_session(tmp_path: Path) -> None:
    records: Records = [
        line("a", None, "user", "first task"),
        line("b", "a", "assistant", text("first done")),
        line("c", "b", "user", "<command-name>/clear</command-name>"),
        line("d", "c", "user", "second task"),
        line("e", "d", "assistant", text("second done")),
        line("f", None, "user", "second task, better"),
        line("g", "f", "assistant", text("better done")),
    ]
    found, _ = trajectories(write(tmp_path / "s2.jsonl", records))
    assert [said(t)[-1][1] for t in found] == ["<command-name>/clear</command-name>", "second done", "better done"]
    assert len({t.id for t in found}) == 3


def test_claude_compaction_does_not_split(tmp_path: Path) -> None:
    records: Records = [
        line("a", None, "user", "long task"),
        line("b", "a", "assistant", text("half done")),
        {"type": "system", "subtype": "compact_boundary", "uuid": "k", "parentUuid": None, "logicalParentUuid": "b", "sessionId": "s2"},
        line("c", "k", "user", "This session is being continued from a previous conversation", isCompactSummary=True),
        line("d", "c", "assistant", text("all done")),
    ]  # fmt: skip
    (only,), _ = trajectories(write(tmp_path / "s2.jsonl", records))
    assert [source for source, _ in said(only)] == ["user", "agent", "system", "agent"]


def test_claude_resumed_file_without_its_beginning_is_whole(tmp_path: Path) -> None:
    records = [
        line("x", "gone", "assistant", text("one")),
        line("y", "x", "user", "go on"),
        line("z", "lost", "assistant", text("two")),
    ]
    (only,), _ = trajectories(write(tmp_path / "s2.jsonl", records))
    assert [message for _, message in said(only)] == ["one", "go on", "two"]


# Codex


def codex() -> Records:
    def item(**payload: Any) -> dict[str, Any]:
        return {"timestamp": "2026-01-02T03:04:05.000Z", "type": "response_item", "payload": payload}

    def event(**payload: Any) -> dict[str, Any]:
        return {"timestamp": "2026-01-02T03:04:06.000Z", "type": "event_msg", "payload": payload}

    tokens = {"input_tokens": 50, "cached_input_tokens": 20, "output_tokens": 6}
    return [
        {"timestamp": "t", "type": "session_meta", "payload": {"id": "c1", "cwd": "/w", "cli_version": "0.128.0", "originator": "cli"}},
        {"timestamp": "t", "type": "turn_context", "payload": {"cwd": "/w", "model": "gpt-z"}},
        item(type="message", role="user", content=[{"type": "input_text", "text": "# AGENTS.md instructions for /w\n\n<INSTRUCTIONS>\n"
             "## Skills\n- totals: Sums. (file: /h/.codex/skills/totals/SKILL.md)\n</INSTRUCTIONS>"}]),
        item(type="message", role="user", content=[{"type": "input_text", "text": "<environment_context>\n<cwd>/w</cwd>\n</environment_context>"}]),
        item(type="message", role="user", content=[{"type": "input_text", "text": "sum the ledger"}]),
        event(type="user_message", message="sum the ledger"),
        item(type="reasoning", summary=[{"type": "summary_text", "text": "Look first."}], encrypted_content="opaque"),
        item(type="message", role="assistant", content=[{"type": "output_text", "text": "I look."}]),
        item(type="function_call", name="shell", arguments='{"command": ["cat", "/h/.codex/skills/totals/SKILL.md"]}', call_id="k1"),
        item(type="custom_tool_call", name="apply_patch", input="*** Begin Patch", call_id="k2"),
        item(type="function_call_output", call_id="k1", output='{"output": "# Totals", "metadata": {"exit_code": 0}}'),
        item(type="custom_tool_call_output", call_id="k2", output="Exit code: 1\nno such file"),
        event(type="token_count", info={"last_token_usage": tokens, "total_token_usage": {"output_tokens": 6}}),
        event(type="token_count", info={"last_token_usage": tokens, "total_token_usage": {"output_tokens": 6}}),
        item(type="web_search_call", action={"type": "search", "query": "sums"}),
        item(type="message", role="assistant", content=[{"type": "output_text", "text": "The total is 7."}]),
        {"timestamp": "t", "type": "aurora", "payload": {"x": "kept"}},
    ]  # fmt: skip


def test_codex_rollout_becomes_a_trajectory(tmp_path: Path) -> None:
    path = write(tmp_path / "rollout.jsonl", codex())
    assert detect(path) == "codex"
    (only,), report = trajectories(path)
    assert (only.agent, only.model, only.extra["session_id"]) == ("codex/0.128.0", "gpt-z", "c1")
    assert [s for s in said(only) if s[0] == "user"] == [("user", "sum the ledger")]
    work, last = [step for step in only.steps if step.source == "agent"]
    assert (work.reasoning, work.message) == ("Look first.", "I look.")
    assert [c.name for c in work.tool_calls] == ["shell", "apply_patch"]
    assert work.tool_calls[1].arguments == {"input": "*** Begin Patch"}
    assert [(o.content, o.is_error) for o in work.observations] == [
        ("# Totals", False),
        ("Exit code: 1\nno such file", True),
    ]
    assert work.cost is not None and (work.cost.calls, work.cost.prompt_tokens, work.cost.cached_tokens) == (1, 50, 20)
    assert last.tool_calls[0].name == "web_search" and last.message == "The total is 7."
    assert (only.offered, only.loaded) == (("totals",), ("totals",))
    assert report.unknown == {"aurora": 1}
    kept = json.dumps(only.extra) + json.dumps([step.extra for step in only.steps])
    for trace in ("opaque", "AGENTS.md", "<cwd>/w</cwd>", "kept", "exit_code", "originator"):
        assert trace in kept, trace


def test_codex_of_the_first_versions_without_envelope(tmp_path: Path) -> None:
    records: Records = [
        {"id": "c0", "timestamp": "2025-05-01T00:00:00Z", "instructions": None},
        {"record_type": "state"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]},
        {"type": "function_call", "name": "shell", "arguments": "not json", "call_id": "k"},
        {"type": "function_call_output", "call_id": "k", "output": "ok"},
    ]
    path = write(tmp_path / "old.jsonl", records)
    assert detect(path) == "codex"
    (only,), report = trajectories(path)
    assert [source for source, _ in said(only)] == ["user", "agent"]
    assert only.steps[1].tool_calls[0].arguments == {"input": "not json"}
    assert report.unknown == {"state": 1}


# Chat


CHAT: Records = [
    {"role": "developer", "content": "be brief"},
    {"role": "user", "content": [{"type": "text", "text": "what is this?"}, {"type": "image_url", "image_url": {"url": "data:x"}}]},
    {"role": "assistant", "content": None, "reasoning_content": "hm",
     "tool_calls": [{"id": "k", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}]},
    {"role": "tool", "tool_call_id": "k", "content": "a cat", "name": "look"},
    {"role": "assistant", "content": "A cat.", "refusal": None},
]  # fmt: skip


@pytest.mark.parametrize("shape", ["list", "object", "many", "jsonl-conversations", "jsonl-messages"])
def test_chat_in_all_its_shapes(tmp_path: Path, shape: str) -> None:
    path = tmp_path / ("chat.jsonl" if shape.startswith("jsonl") else "chat.json")
    if shape == "jsonl-messages":
        write(path, CHAT)
    elif shape == "jsonl-conversations":
        write(path, [{"messages": CHAT, "model": "m"}, {"messages": CHAT[:2]}])
    else:
        path.write_text(
            json.dumps({"list": CHAT, "object": {"messages": CHAT, "model": "m"}, "many": [{"messages": CHAT}]}[shape])
        )
    assert detect(path) == "chat"
    found, report = trajectories(path)
    assert len(found) == (2 if shape == "jsonl-conversations" else 1)
    only = found[0]
    assert [source for source, _ in said(only)] == ["system", "user", "agent", "agent"]
    assert only.steps[1].message == "what is this?\n[image_url]" and "data:x" in json.dumps(only.steps[1].extra)
    assert only.steps[2].reasoning == "hm" and only.steps[2].tool_calls[0].arguments == {"at": 1}
    assert only.steps[2].observations[0].content == "a cat"
    assert report.broken == 0


def test_atif_comes_in_as_it_went_out(tmp_path: Path) -> None:
    (main, side), _ = trajectories(write(tmp_path / "run.jsonl", stream()))
    (tmp_path / "one.json").write_text(json.dumps(to_atif(main), indent=1))
    write(tmp_path / "two.jsonl", [to_atif(main), to_atif(side)])
    assert detect(tmp_path / "one.json") == detect(tmp_path / "two.jsonl") == "atif"
    assert trajectories(tmp_path / "one.json")[0] == [main]
    assert trajectories(tmp_path / "two.jsonl")[0] == [main, side]


# Bad input, repetition, folders


@pytest.mark.parametrize("records", [stream(), codex()], ids=["claude", "codex"])
def test_broken_lines_are_counted_with_their_numbers(tmp_path: Path, records: Records) -> None:
    path = tmp_path / "run.jsonl"
    lines = [json.dumps(record) for record in records]
    lines.insert(2, "{broken")
    lines.insert(4, "[1, 2]")
    lines.insert(5, "")
    path.write_text("\n".join(lines) + '\n{"type": "assistant", "mess')
    found, report = trajectories(path)
    whole, _ = trajectories(write(tmp_path / "whole.jsonl", records))
    assert [t.steps for t in found] == [t.steps for t in whole]
    assert [number for number, _ in report.broken_lines] == [3, 5, len(lines) + 1]
    assert report.truncated and report.broken == 3


@pytest.mark.parametrize("length", [900, 1000, 1001, 1100, 5000])
@pytest.mark.parametrize("end", ["\n", ""])
def test_a_line_too_long_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int, end: str) -> None:
    monkeypatch.setattr(records, "MAX_LINE", 1000)
    monkeypatch.setattr(records, "_BLOCK", 300)
    good = line("a", None, "user", "hi")
    path = tmp_path / "s.jsonl"
    path.write_text(
        json.dumps(good) + "\n" + '"' + "x" * (length - 2) + '"' + "\n" + json.dumps(line("b", "a", "user", "yo")) + end
    )
    report = Report(path, "claude-code")
    found = list(records.read_records(path, report))
    assert [(r.line, r.data["uuid"]) for r in found] == [(1, "a"), (3, "b")]
    assert [number for number, _ in report.broken_lines] == [2]
    assert report.bytes == path.stat().st_size and report.lines == 3


def test_importing_twice_counts_once_and_a_grown_session_replaces(tmp_path: Path) -> None:
    store = TrajectoryStore(tmp_path / "t.db")
    path = write(tmp_path / "run.jsonl", stream()[:9])
    half, _ = trajectories(path)
    assert store.put_all(half) == 1
    assert store.put_all(trajectories(path)[0]) == 0
    write(path, stream())
    assert store.put_all(trajectories(path)[0]) == 2
    assert len(store) == 2
    assert store.get(half[0].id).steps[-1].message == "Done."


def test_secrets_do_not_reach_the_trajectory(tmp_path: Path) -> None:
    secret = "ghp_" + "a1B2" * 9
    records = stream()
    records[4]["tool_use_result"] = {"stdout": f"token {secret}"}
    records[6]["message"]["content"][0]["input"] = {"command": f"curl -H 'Authorization: Bearer {secret}'"}
    records[13]["payload"] = {"password": "correct-horse"}
    path = tmp_path / "run.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in records).replace('"x1"', '"\\u0078"'))
    found, report = trajectories(path)
    stored = "".join(t.model_dump_json() for t in found)
    assert secret not in stored and "correct-horse" not in stored
    assert report.redacted.total() == 3
    assert "[redacted:github-token:" in stored


def test_a_secret_across_the_edge_of_a_block_is_seen() -> None:
    secret = b'"AKIA' + b"A1" * 8 + b'"\n'
    for start in range(65_530, 65_545):
        block = b"x" * start + b"\n" + secret
        assert [rule.kind for rule in suspects(block, [0, start + 1])[1]][:1] == ["aws-key"]


def test_own_runs_are_left_out(tmp_path: Path) -> None:
    mine = [line("a", None, "user", "PROWESS_RUN=1 do it"), line("b", "a", "assistant", text("done"))]
    (only,) = list(import_path(write(tmp_path / "s.jsonl", mine)))
    assert only.trajectory is None and only.report.own_runs == 1
    headless = stream()
    headless[0]["cwd"] = "/tmp/PROWESS_RUN-x1/work"
    (only,) = list(import_path(write(tmp_path / "h.jsonl", headless)))
    assert only.trajectory is None and only.report.own_runs == 2, "the sub-agent is left out with its parent"


def test_a_folder_is_imported_file_by_file(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    write(tmp_path / "a.jsonl", stream())
    write(tmp_path / "deep" / "b.jsonl", codex())
    (tmp_path / "notes.json").write_text('{"a": 1}')
    (tmp_path / "readme.md").write_text("# no log")
    (tmp_path / "deep" / "loop").symlink_to(tmp_path)
    (tmp_path / "broken.jsonl").write_text('{"type": "user", "sessionId": "s"}\n{')
    seen: list[Progress] = []
    found: list[Imported] = list(import_path(tmp_path, seen.append))
    assert Counter(item.report.format for item in found if item.trajectory) == {"claude-code": 2, "codex": 1}
    assert [item.report.path.name for item in found if item.trajectory is None] == ["broken.jsonl"]
    assert [p.files for p in seen] == [1, 2, 3] and seen[-1].bytes == seen[-1].bytes_total


def test_what_cannot_be_imported_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    for path, message in ((tmp_path / "gone", "nothing at"), (tmp_path / "x.json", "not a session log")):
        with pytest.raises(UserError, match=message):
            list(import_path(path))
    with pytest.raises(UserError, match="no format 'novel'"):
        list(import_path(tmp_path, format="novel"))


json_value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)


@given(data=st.data())
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_mutated_logs_never_crash_and_stay_storable(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    records: Records = json.loads(
        json.dumps(data.draw(st.sampled_from([stream(), codex(), CHAT, [line("a", "b", "user", "x")]])))
    )
    for _ in range(data.draw(st.integers(1, 4))):
        record: Any = data.draw(st.sampled_from(records))
        for _ in range(data.draw(st.integers(0, 4))):
            inner = list(record.values()) if isinstance(record, dict) else record
            deeper = [value for value in inner if isinstance(value, (dict, list)) and value]
            if not deeper:
                break
            record = data.draw(st.sampled_from(deeper))
        key = (
            data.draw(st.sampled_from(sorted(record) if isinstance(record, dict) else range(len(record))))
            if record
            else None
        )
        if key is not None:
            record[key] = data.draw(json_value)
    folder = tmp_path_factory.mktemp("mutated")
    path = write(folder / "m.jsonl", records)
    store = TrajectoryStore(folder / "t.db")
    for format in ("claude-code", "codex", "chat", "atif"):
        for item in import_path(path, format=format):
            if item.trajectory is not None:
                store.put(item.trajectory)
                stored = store.get(item.trajectory.id)
                assert from_atif(to_atif(stored)) == stored
    store.close()


def data_folder() -> Path | None:
    given = os.environ.get("BENCHMARK_DATA")
    places = [Path(given)] if given else [parent / "shared" / "data" for parent in Path(__file__).resolve().parents]
    return next((place / "transcripts" for place in places if (place / "transcripts").is_dir()), None)


REAL = data_folder()


@pytest.mark.skipif(
    REAL is None, reason="no real transcripts: set BENCHMARK_DATA to the folder that holds transcripts/"
)
def test_86_real_sessions(tmp_path: Path) -> None:
    assert REAL is not None
    found = list(import_path(REAL))
    reports = {item.report.path: item.report for item in found}
    all_of_them = [item.trajectory for item in found if item.trajectory]
    assert len(reports) == 86 and sum(r.broken for r in reports.values()) == 0
    assert all(not r.unknown for r in reports.values())
    assert len(all_of_them) == len({t.id for t in all_of_them}) >= 86
    mains = [t for t in all_of_them if "parent_call" not in t.extra]
    assert sum(1 for t in mains if t.loaded) >= 60, "these sessions were recorded with skills"
    for trajectory in all_of_them:
        assert set(trajectory.used) <= set(trajectory.loaded) <= set(trajectory.offered)
    calls = sum(len(s.tool_calls) for t in all_of_them for s in t.steps)
    answers = sum(len(s.observations) for t in all_of_them for s in t.steps)
    assert (calls, answers) == (1968, 1968), "every call and every result of the files is there"
    with TrajectoryStore(tmp_path / "t.db") as store:
        assert store.put_all(all_of_them) == len(all_of_them)
        assert store.get(all_of_them[0].id) == all_of_them[0]
        assert from_atif(to_atif(all_of_them[0])) == all_of_them[0]
