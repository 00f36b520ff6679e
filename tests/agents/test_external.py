"""External agents by a fake program that plays a recorded stream: skills in, trajectory out, nothing left."""

import json
import os
import stat
import sys
import time
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prowess.agents.external import CLAUDE_CODE, CODEX, Command, ExternalAgent, installed_files
from prowess.agents.record import final_message
from prowess.agents.streams import read_claude, read_codex
from prowess.core.errors import AgentError
from prowess.core.skill import Skill
from prowess.core.task import File, Task
from prowess.core.trajectory import Trajectory
from prowess.core.view import View
from prowess.guard.runtime import TRIALS
from prowess.library.skillmd import parse
from prowess.trajectories.importers import OWN_RUN

TASK = Task(
    id="t/base/1",
    suite="t",
    family="t",
    split="gate",
    seed=1,
    prompt="Sort names.txt.",
    files=(File(path="names.txt", data=b"b\na\n"),),
    outputs=("out.txt",),
)
SKILL = Skill(
    name="sort-names",
    description="Sorts names",
    body="Use scripts/sort.sh.\n",
    files=(File(path="scripts/sort.sh", data=b"sort\n"),),
)
VIEW = View(snapshot="s", skills=(SKILL,), disclosure="progressive")
SESSION = {"session_id": "59c5", "parent_tool_use_id": None}


def assistant(id: str, *blocks: dict) -> dict:
    usage = {"input_tokens": 2, "cache_read_input_tokens": 5, "output_tokens": 8}
    message = {"model": "claude-x", "id": id, "type": "message", "role": "assistant", "content": list(blocks)}
    return {"type": "assistant", "message": message | {"stop_reason": None, "usage": usage}, **SESSION}


def result_of(call: str, content: object, **more: object) -> dict:
    block = {"type": "tool_result", "tool_use_id": call, "content": content, **more}
    return {"type": "user", "message": {"role": "user", "content": [block]}, **SESSION, "tool_use_result": {}}


def use(id: str, name: str, **given: object) -> dict:
    return {"type": "tool_use", "id": id, "name": name, "input": given, "caller": {"type": "direct"}}


INIT = {
    "type": "system",
    "subtype": "init",
    "cwd": "/w",
    "tools": ["Bash", "Skill"],
    "model": "claude-x-1",
    "claude_code_version": "2.1.76",
    "skills": ["debug", "sort-names"],
    **SESSION,
}
DONE = {
    "type": "result",
    "subtype": "success",
    "is_error": False,
    "duration_api_ms": 1500,
    "num_turns": 2,
    "result": "Sorted.",
    "total_cost_usd": 0.25,
    "usage": {
        "input_tokens": 32,
        "cache_creation_input_tokens": 100,
        "cache_read_input_tokens": 300,
        "output_tokens": 54,
    },
}
CLAUDE_STREAM = [
    INIT,
    assistant("m1", {"type": "thinking", "thinking": "A skill fits.", "signature": "x"}),
    {"type": "system", "subtype": "api_retry", "attempt": 1},
    {"type": "hologram"},
    assistant("m1", {"type": "text", "text": "I sort\u2028them."}),
    assistant("m1", use("c1", "Skill", skill="sort-names", args="")),
    result_of("c1", "Launching skill: sort-names"),
    assistant("m2", use("c2", "Bash", command="sh .claude/skills/sort-names/scripts/sort.sh")),
    result_of("c2", [{"type": "text", "text": "exit 1"}], is_error=True),
    assistant("m3", {"type": "text", "text": "Sorted."}),
    DONE,
]
CODEX_STREAM = [
    {"type": "thread.started", "thread_id": "0199a213"},
    {"type": "turn.started"},
    {"type": "item.completed", "item": {"id": "item_0", "type": "reasoning", "text": "**Reading**"}},
    {
        "type": "item.started",
        "item": {"id": "item_1", "type": "command_execution", "command": "cat", "status": "in_progress"},
    },
    {
        "type": "item.completed",
        "item": {
            "id": "item_1",
            "type": "command_execution",
            "command": "bash -lc 'cat .agents/skills/sort-names/SKILL.md'",
            "aggregated_output": "---\nname: sort-names\n",
            "exit_code": 0,
            "status": "completed",
        },
    },
    {
        "type": "item.completed",
        "item": {
            "id": "item_2",
            "type": "command_execution",
            "command": "bash -lc false",
            "aggregated_output": "",
            "exit_code": 1,
            "status": "failed",
        },
    },
    {
        "type": "item.completed",
        "item": {
            "id": "item_3",
            "type": "file_change",
            "changes": [{"path": "out.txt", "kind": "add"}],
            "status": "completed",
        },
    },
    {"type": "item.completed", "item": {"id": "item_4", "type": "agent_message", "text": "Sorted."}},
    {"type": "item.completed", "item": {"id": "item_5", "type": "hologram"}},
    {"type": "turn.completed", "usage": {"input_tokens": 2400, "cached_input_tokens": 2000, "output_tokens": 122}},
]


def lines(events: list[dict]) -> str:
    return "".join(json.dumps(e, ensure_ascii=False) + "\n" for e in events)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a program of a given name on the path: it notes how it was called, acts, and prints a stream."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")

    def make(name: str, stream: str, action: str = "") -> Path:
        (tmp_path / "stream").write_text(stream)
        program = tmp_path / "bin" / name
        program.write_text(
            f"#!{sys.executable}\n"
            "import json, os, sys, time, subprocess\n"
            "seen = {'argv': sys.argv[1:], 'stdin': sys.stdin.read(), 'cwd': os.getcwd(),\n"
            f"        'marker': os.environ.get({OWN_RUN!r}),\n"
            "        'files': sorted(os.path.join(r, n)[2:] for r, _, ns in os.walk('.') for n in ns)}\n"
            f"json.dump(seen, open({str(tmp_path / 'seen')!r}, 'w'))\n"
            f"{action}\n"
            f"sys.stdout.write(open({str(tmp_path / 'stream')!r}).read())\n"
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return tmp_path / "seen"

    return make


def run(command: Command, view: View = VIEW, **settings) -> Trajectory:
    return anyio.run(ExternalAgent(command, **settings).run, TASK, view, 4)


SORT = "open('out.txt', 'w').write(''.join(sorted(open('names.txt'))))"


def test_claude_code(fake) -> None:
    seen = fake("claude", lines(CLAUDE_STREAM), SORT)
    done = run(CLAUDE_CODE, model="claude-x")
    call = json.loads(seen.read_text())
    assert call["argv"][:3] == ["-p", "--model", "claude-x"] and "stream-json" in call["argv"]
    assert TASK.prompt in call["stdin"] and "out.txt" in call["stdin"] and call["marker"] == "1"
    assert OWN_RUN in call["cwd"] and not Path(call["cwd"]).exists()
    folder = ".claude/skills/sort-names"
    assert call["files"] == [f"{folder}/SKILL.md", "names.txt"]  # scripts are for the sandbox
    assert {f.path: f.data for f in done.outputs} == {"out.txt": b"a\nb\n"}
    assert done.status == "completed" and done.agent == "claude-code/1" and done.model == "claude-x-1"
    assert done.offered == done.loaded == done.used == ("sort-names",)
    assert [s.source for s in done.steps] == ["user", "agent", "agent", "agent"]
    first, second = done.steps[1:3]
    assert first.message == "I sort\u2028them." and first.reasoning == "A skill fits."
    assert first.tool_calls[0].name == "Skill" and first.observations[0].content.startswith("Launching")
    assert second.observations[0].is_error and second.observations[0].content == "exit 1"
    assert final_message(done) == "Sorted." and done.seed == 4 and done.task_id == TASK.id
    cost = done.cost
    assert (cost.calls, cost.prompt_tokens, cost.cached_tokens, cost.completion_tokens) == (3, 432, 300, 54)
    assert cost.usd == 0.25 and cost.seconds == 1.5
    assert done.extra["version"] == "2.1.76" and done.extra["skipped"] == {"hologram": 1}


def test_codex(fake) -> None:
    seen = fake("codex", lines(CODEX_STREAM), SORT)
    done = run(CODEX)
    call = json.loads(seen.read_text())
    assert call["argv"][:2] == ["exec", "--json"] and call["argv"][-1] == "-"
    assert ".agents/skills/sort-names/SKILL.md" in call["files"]
    assert done.loaded == ("sort-names",) and done.used == ()
    assert {f.path: f.data for f in done.outputs} == {"out.txt": b"a\nb\n"}
    assert [[c.name for c in s.tool_calls] for s in done.steps[2:5]] == [["shell"], ["shell"], ["file_change"]]
    assert [s.observations[0].is_error for s in done.steps[2:5]] == [False, True, False]
    assert (done.cost.prompt_tokens, done.cost.cached_tokens, done.cost.completion_tokens) == (2400, 2000, 122)
    assert done.extra["skipped"] == {"item/hologram": 1} and final_message(done) == "Sorted."


def test_installed_skills_read_back_as_they_were() -> None:
    files = {f.path: f.data for f in installed_files((SKILL,), ".claude/skills", TRIALS)}
    text = files[".claude/skills/sort-names/SKILL.md"].decode()
    assert parse(text, "x", "sort-names").body == SKILL.body
    assert files[".claude/skills/sort-names/scripts/sort.sh"] == b"sort\n"


def test_preload_puts_bodies_into_the_prompt(fake) -> None:
    seen = fake("claude", lines([INIT, DONE]))
    done = run(CLAUDE_CODE, VIEW.model_copy(update={"disclosure": "preload"}))
    assert "<skill_content" in json.loads(seen.read_text())["stdin"]
    assert done.loaded == ("sort-names",) and done.used == ()


def test_a_missing_command_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(AgentError, match="'claude' was not found: install Claude Code"):
        ExternalAgent(CLAUDE_CODE)


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        ([INIT, DONE | {"is_error": True, "result": "API Error: 529 overloaded"}], "529 overloaded"),
        ([INIT], "ended before its work was done: not logged in"),
        ([INIT, DONE | {"subtype": "error_during_execution", "is_error": True, "result": None}], "error_during"),
    ],
)
def test_failures_outside_of_the_agent_are_missing(fake, stream: list[dict], words: str) -> None:
    fake("claude", lines(stream), "sys.stderr.write('not logged in')")
    done = run(CLAUDE_CODE)
    assert done.status == "missing" and words in (done.error or "")


def test_too_many_turns_is_a_failure_of_the_agent(fake) -> None:
    fake("claude", lines([INIT, DONE | {"subtype": "error_max_turns", "is_error": True}]))
    assert run(CLAUDE_CODE).status == "completed"


def test_codex_failures() -> None:
    failed = {"type": "turn.failed", "error": {"message": "usage limit"}}
    retried = {"type": "error", "message": "Reconnecting 1/5"}
    assert read_codex(lines([*CODEX_STREAM[:3], failed])).error == "usage limit"
    assert read_codex(lines([CODEX_STREAM[0], retried, *CODEX_STREAM[1:]])).error is None
    assert read_codex(lines([CODEX_STREAM[0], retried])).error == "Reconnecting 1/5"


def test_streams_are_read_without_secrets_and_failed_loads() -> None:
    key = "AKIA" + "J7Q2K5X3M9P4R6T8"
    failed = [
        assistant("m1", use("c1", "Skill", skill="sort-names"), use("c2", "Bash", command=f"echo {key}")),
        result_of("c1", "no such skill", is_error=True),
        result_of("c2", key),
    ]
    session = read_claude(lines([INIT, *failed, DONE]))
    assert session.loaded == () and key not in str(session.steps) and len(session.steps[0].observations) == 2
    command = {"id": "i", "type": "command_execution", "command": f"echo {key}", "aggregated_output": key}
    assert key not in str(read_codex(lines([{"type": "item.completed", "item": command}])).steps)


@pytest.mark.skipif(sys.platform != "linux", reason="the supervisor needs Linux")
def test_a_time_out_kills_daemons_too_and_keeps_the_steps(fake, tmp_path: Path) -> None:
    token = f"prowess-left-{os.getpid()}"
    daemon = (
        f"subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)', {token!r}], start_new_session=True)\n"
        f"sys.stdout.write(open({str(tmp_path / 'stream')!r}).read()); sys.stdout.flush()\ntime.sleep(60)"
    )
    fake("claude", lines(CLAUDE_STREAM[:4]), daemon)
    began = time.monotonic()
    done = run(CLAUDE_CODE, seconds=1.5)
    assert time.monotonic() - began < 8
    assert done.status == "missing" and "stopped after 1.5 seconds" in (done.error or "")
    assert len(done.steps) == 2 and done.steps[1].reasoning == "A skill fits."
    left = [p for p in Path("/proc").iterdir() if p.name.isdigit() and token.encode() in _command(p)]
    assert left == []


def _command(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


def test_a_session_that_is_cut_short_still_tells_its_tokens() -> None:
    whole, cut = read_claude(lines(CLAUDE_STREAM)), read_claude(lines(CLAUDE_STREAM[:-1]))
    assert (whole.cost.completion_tokens, whole.cost.usd) == (54, 0.25)
    assert (cut.cost.calls, cut.cost.completion_tokens, cut.cost.usd) == (whole.cost.calls, 8 * cut.cost.calls, 0)
    assert cut.loaded == ("sort-names",)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "type", "text", "content"]), inner)
    ),
    max_leaves=8,
)
kinds = st.sampled_from(["assistant", "user", "result", "system", "item.completed", "turn.completed", "error", "x"])
keys = st.sampled_from(["message", "item", "usage", "result", "subtype", "error", "skills"])
events = st.builds(lambda kind, rest: {"type": kind, **rest}, kinds, st.dictionaries(keys, values))


@given(st.lists(events | values, max_size=6))
def test_hostile_streams_never_break_the_readers(stream: list) -> None:
    text = "\n".join(json.dumps(event) for event in stream) + "\n{broken"
    for read in (read_claude, read_codex):
        session = read(text)
        assert session.skipped["broken line"] >= 1 and session.cost.prompt_tokens >= 0
        assert len(session.steps) <= len(stream)
