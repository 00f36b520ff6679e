"""The known defects of trigger harnesses, one test each: that ours does not have it.

Gathered from the issues of Anthropic's skill-creator, whose `run_eval` reported recall of 0 % for every skill:
anthropics/skills#1298, #1419, #1427, #1559, #1706, #1721, claude-plugins-official#1249, #1357, #4692, #6253.
"""

import json
import os
import stat
import sys
from pathlib import Path

import anyio
import pytest
from trigger_parts import LIBRARY, ask, call, load, query, shown, skill

from prowess.agents.models.scripted import ScriptedModel
from prowess.core.errors import ModelError, Refused, UserError
from prowess.core.model import Request, Response
from prowess.core.skill import Snapshot
from prowess.core.view import View
from prowess.library.skillmd import render
from prowess.measure.trials import Arm, Bench
from prowess.measure.triggers import choosers
from prowess.measure.triggers.catalogue import listing, preset
from prowess.measure.triggers.results import compare_descriptions, results
from prowess.measure.triggers.trials import Unjudged, run
from prowess.trajectories.runstore import RunStore

ASKED = query("fill in tax.pdf for me", should="pdf-forms")


def test_another_tool_first_is_no_refusal(tmp_path: Path) -> None:
    moves = [call("list_files"), call("run", command="true"), load("pdf-forms")]
    (found,) = ask([ASKED], lambda text, turn: moves[turn], tmp_path)
    assert (found.loaded, found.ended) == (("pdf-forms",), "decided")


def test_another_skill_first_is_no_refusal(tmp_path: Path) -> None:
    moves = [load("using-superpowers"), load("pdf-forms")]
    (found,) = ask([ASKED], lambda text, turn: moves[turn], tmp_path)
    assert found.loaded == ("using-superpowers", "pdf-forms")


def test_a_failed_run_is_missing_and_not_a_refusal(tmp_path: Path) -> None:
    def broken(request: Request) -> Response | str:
        raise ModelError("529 overloaded")

    (found,) = ask([ASKED], ScriptedModel(broken, "broken"), tmp_path)
    assert found.loaded is None and found.ended == "missing" and "529 overloaded" in found.error
    told = results([ASKED], [found], listing(LIBRARY, preset("all")), arm="library", agent="a")
    (row,) = told.skills
    assert row.recall.n == 0 and row.missing == 1 and told.missing == 1 and "529" in told.errors[0][0]


def test_noise_from_the_model_is_missing_and_not_a_refusal(tmp_path: Path) -> None:
    agent = choosers.agent("tools", lambda: ScriptedModel(lambda request: "\x00?!" * 9, "noise"))
    agent.native_tools = False  # type: ignore[attr-defined]
    store = RunStore(tmp_path / "t.db")
    listed = shown()
    arms = [Arm("library", lambda task: listed)]
    (found,) = anyio.run(run, [ASKED], arms, (0,), Bench(agent=agent, suite=Unjudged(), store=store))
    assert found.loaded is None and found.error == "the model gave nothing that can be used"


def test_a_skill_is_measured_among_its_neighbours(tmp_path: Path) -> None:
    seen: list[str] = []

    def moves(text: str, turn: int) -> str:
        return "no"

    listed = shown()
    chosen = ScriptedModel(lambda request: (seen.append(request.messages[0].content), moves("", 0))[1], "m")
    ask([ASKED], chosen, tmp_path, arms=[Arm("library", lambda task: listed)])
    assert all(name in seen[0] for name in LIBRARY.names)


def test_nothing_loaded_is_not_a_precision_of_one(tmp_path: Path) -> None:
    queries = [ASKED, query("hello", should_not="pdf-forms")]
    found = ask(queries, lambda text, turn: "no", tmp_path)
    (row,) = results(queries, found, listing(LIBRARY, preset("all")), arm="library", agent="a").skills
    assert row.precision.n == 0 and row.precision.share is None and row.recall.share == 0.0


def test_repeating_a_query_makes_no_interval_narrower(tmp_path: Path) -> None:
    queries = [query(f"form {i}", should="pdf-forms") for i in range(4)]
    widths: list[float] = []
    for seeds in (1, 8):
        found = ask(queries, lambda text, turn: load("pdf-forms"), tmp_path / str(seeds), seeds)
        (row,) = results(queries, found, listing(LIBRARY, preset("all")), arm="library", agent="a").skills
        assert row.recall.k == row.recall.n == 4 * seeds and row.recall.units == 4
        widths.append(row.recall.high - row.recall.low)
    assert widths[0] == widths[1]


def test_a_description_is_never_judged_on_what_it_was_written_for() -> None:
    tuned = [query(f"form {i}", should="pdf-forms", part="tune") for i in range(9)]
    listed = listing(LIBRARY, preset("all"))
    with pytest.raises(UserError, match="no held-out query"):
        compare_descriptions(tuned, (), "pdf-forms", {"old": listed, "new": listed})


def test_a_description_that_was_never_shown_is_not_blamed(tmp_path: Path) -> None:
    many = Snapshot.of([skill(f"s-{i:04}", "x" * 900) for i in range(500)])
    last = "s-0499"
    for name, state in (("claude-code", "name only"), ("codex", "left out")):
        listed = listing(many, preset(name))
        assert listed.entry(last).shown == state  # type: ignore[union-attr]
        with pytest.raises(UserError, match="never read"):
            compare_descriptions([query("q", should=last)], (), last, {"old": listed, "new": listed})
    asked = query("q", should=last)
    found = ask([asked], lambda text, turn: "no", tmp_path)
    (row,) = results([asked], found, listed, arm="library", agent="a").skills
    assert row.recall.n == 0, "left out of the list: no recall at all, rather than one of 0"


# --- external agents, played by a program that does what the real one would ---

EVENTS = """
def say(event): sys.stdout.write(json.dumps(event) + "\\n"); sys.stdout.flush()
def use(id, name, **given):
    block = {"type": "tool_use", "id": id, "name": name, "input": given}
    spent = {"output_tokens": 5}
    say({"type": "assistant", "message": {"id": id, "role": "assistant", "content": [block], "usage": spent}})
def result(id, text, error=False):
    block = {"type": "tool_result", "tool_use_id": id, "content": text, "is_error": error}
    say({"type": "user", "message": {"role": "user", "content": [block]}})
def done(**more): say({"type": "result", "subtype": "success", "is_error": False, "result": "ok", **more})
skills = sorted(os.listdir(".claude/skills"))
say({"type": "system", "subtype": "init", "model": "claude-x", "skills": skills})
"""


@pytest.fixture
def claude(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)

    def plays(action: str) -> None:
        program = tmp_path / "bin" / "claude"
        program.write_text(
            f"#!{sys.executable}\nimport json, os, sys, time\nprompt = sys.stdin.read()\n{EVENTS}\n{action}\n"
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    return plays


def ask_claude(queries: list, tmp_path: Path, snapshot: Snapshot = LIBRARY, **more: object):
    seen = View(snapshot=snapshot.digest, skills=snapshot.skills, disclosure="progressive")
    agent = choosers.agent("claude-code")
    agent.seconds = more.pop("seconds", 20.0)  # type: ignore[attr-defined]
    made = Bench(agent=agent, suite=Unjudged(), store=RunStore(tmp_path / "t.db"), attempts=1, **more)  # type: ignore
    return anyio.run(run, queries, [Arm("library", lambda task: seen)], (0,), made)


def test_parallel_runs_share_no_folder_and_no_copies(claude, tmp_path: Path) -> None:
    claude(
        f"time.sleep(0.3); open({str(tmp_path / 'seen')!r}, 'a').write(json.dumps([os.getcwd(), skills]) + '\\n')\n"
        "use('1', 'Skill', skill='pdf-forms'); result('1', 'Launching'); done()"
    )
    queries = [query(f"form {i}", should="pdf-forms") for i in range(6)]
    found = ask_claude(queries, tmp_path, concurrency=6)
    lines = [json.loads(line) for line in (tmp_path / "seen").read_text().splitlines()]
    assert len({folder for folder, _ in lines}) == 6, "each run has a folder of its own"
    assert all(skills == list(LIBRARY.names) for _, skills in lines), "each skill once, under its own name"
    assert all(d.loaded == ("pdf-forms",) for d in found)


@pytest.mark.parametrize(
    ("action", "loaded"),
    [
        ("use('1', 'Read', file_path='/w/pdf-forms/report.txt'); result('1', 'x')", ()),
        ("use('1', 'Bash', command='ls .claude/skills/pdf-forms/SKILL.md'); result('1', 'x')", ()),
        ("use('1', 'Task', prompt='mind pdf-forms, skills/pdf-forms/SKILL.md'); result('1', 'x')", ()),
        ("use('1', 'Skill', skill='pdf-forms'); result('1', 'Unknown skill', True)", ()),
        ("use('1', 'Write', file_path='.claude/skills/pdf-forms/SKILL.md'); result('1', 'x')", ()),
        ("use('1', 'Read', file_path='/w/.claude/skills/pdf-forms/SKILL.md'); result('1', 'x')", ("pdf-forms",)),
        ("use('1', 'Bash', command='cat .claude/skills/pdf-forms/SKILL.md'); result('1', 'x')", ("pdf-forms",)),
        ("use('1', 'Skill', skill='plugin:pdf-forms'); result('1', 'Launching')", ("pdf-forms",)),
    ],
)
def test_a_mention_is_no_load(claude, tmp_path: Path, action: str, loaded: tuple[str, ...]) -> None:
    claude(f"{action}; done()")
    (found,) = ask_claude([query("form", should="pdf-forms")], tmp_path)
    assert found.loaded == loaded


def test_the_time_limit_is_missing_and_not_a_refusal(claude, tmp_path: Path) -> None:
    claude("use('1', 'Glob', pattern='*'); time.sleep(30)")
    (found,) = ask_claude([ASKED], tmp_path, seconds=1.0)
    assert found.loaded is None and "stopped after 1 seconds" in found.error


def test_a_run_ends_once_its_choice_is_known(claude, tmp_path: Path) -> None:
    claude(
        "use('1', 'Skill', skill='using-superpowers'); result('1', 'Launching'); time.sleep(0.5)\n"
        "use('2', 'Skill', skill='pdf-forms'); result('2', 'Launching'); time.sleep(60)"
    )
    with _within(15):
        (found,) = ask_claude([ASKED], tmp_path)
    assert found.loaded == ("using-superpowers", "pdf-forms") and found.ended == "decided"
    assert found.cost.completion_tokens == 10, "what was spent until then is counted"


def test_turns_used_up_are_told(claude, tmp_path: Path) -> None:
    claude("use('1', 'Glob', pattern='*'); result('1', 'x'); done(subtype='error_max_turns', is_error=True)")
    (found,) = ask_claude([ASKED], tmp_path)
    assert found.loaded == () and found.ended == "turns"


def test_a_personal_skill_of_the_same_name_is_refused(claude, tmp_path: Path) -> None:
    home = tmp_path / "home"
    folder = home / ".claude" / "skills" / "pdf-forms"
    folder.mkdir(parents=True)
    choosers.check_not_shadowed("tools", [LIBRARY], home)
    same = LIBRARY.get("pdf-forms")
    assert same is not None
    (folder / "SKILL.md").write_text(render(same))
    choosers.check_not_shadowed("claude-code", [LIBRARY], home)  # equal text: the same thing is measured
    other = LIBRARY.with_skill(skill("pdf-forms", "Another description."))
    with pytest.raises(Refused, match="personal skill 'pdf-forms'"):
        choosers.check_not_shadowed("claude-code", [LIBRARY, other], home)
    (folder / "SKILL.md").write_bytes(b"\xff no skill")
    with pytest.raises(Refused, match="personal skill"):
        choosers.check_not_shadowed("claude-code", [LIBRARY], home)


def _within(seconds: float):
    import contextlib
    import time

    @contextlib.contextmanager
    def timed():
        began = time.monotonic()
        yield
        assert time.monotonic() - began < seconds

    return timed()
