"""The tools agent: files, shell with state, skills on demand, both dialects, bounds."""

import json
from collections.abc import Collection

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prowess.agents.record import final_message
from prowess.agents.tools import AGAIN, ToolsAgent, parse_action
from prowess.core.cost import Cost
from prowess.core.errors import BudgetExceeded, ModelError
from prowess.core.model import Request, Response, ToolCall
from prowess.core.skill import Skill
from prowess.core.task import File, Task
from prowess.core.trajectory import Trajectory
from prowess.core.view import View
from prowess.sandbox import find_sandbox

TASK = Task(
    id="t/base/1",
    suite="t",
    family="t",
    split="gate",
    seed=1,
    prompt="Sort names.txt into out.txt.",
    files=(File(path="names.txt", data=b"b\na\n"),),
    outputs=("out.txt",),
)
SKILL = Skill(
    name="sort-names",
    description="Sorts names",
    body="Run `sh skills/sort-names/scripts/sort.sh` with the file name.\n",
    files=(File(path="scripts/sort.sh", data=b'sort "$1"\n'),),
)
Move = tuple[str, dict] | str | Exception


class Script:
    """Plays moves as tool calls or as JSON actions, whatever the request asks for."""

    name = "script"

    def __init__(self, *moves: Move) -> None:
        self.moves = list(moves)
        self.requests: list[Request] = []

    async def complete(self, request: Request) -> Response:
        self.requests.append(request)
        move = self.moves.pop(0)
        if isinstance(move, Exception):
            raise move
        cost = Cost(calls=1)
        if request.tools:
            if isinstance(move, str):
                return Response(text=move, model="script", cost=cost)
            call = ToolCall(id=f"c{len(self.requests)}", name=move[0], arguments=move[1])
            return Response(text="", tool_calls=(call,), finish_reason="tool_calls", model="script", cost=cost)
        name, arguments = ("finish", {"answer": move}) if isinstance(move, str) else move
        return Response(text=json.dumps({"tool": name, "arguments": arguments}), model="script", cost=cost)


def run(model: Script, native: bool = True, view: View = View(snapshot="0"), **settings) -> Trajectory:  # noqa: B008
    agent = ToolsAgent(model, find_sandbox(), native_tools=native, **settings)
    return anyio.run(agent.run, TASK, view, 3)


def said(model: Script, turn: int) -> str:
    return model.requests[turn].messages[-1].content


@pytest.mark.parametrize("native", [True, False])
def test_files_and_shell_share_one_folder(native: bool) -> None:
    model = Script(
        ("list_files", {}),
        ("read_file", {"path": "names.txt"}),
        ("write_file", {"path": "more.txt", "content": "c\n"}),
        ("run", {"command": "cat names.txt more.txt | sort > out.txt; rm more.txt; echo done"}),
        ("run", {"command": "python -c 'print(open(\"out.txt\").read())' && false"}),
        "sorted",
    )
    done = run(model, native)
    assert said(model, 1) == "names.txt (4 bytes)" and said(model, 2) == "b\na" and said(model, 4) == "done"
    assert said(model, 5) == "a\nb\nc\nExit code 1."
    assert {f.path: f.data for f in done.outputs} == {"out.txt": b"a\nb\nc\n"}
    assert done.status == "completed" and final_message(done) == "sorted" and done.cost.calls == 6
    assert [c.name for s in done.steps for c in s.tool_calls] == ["list_files", "read_file", "write_file", "run", "run"]
    assert done.steps[-2].observations[0].is_error and done.steps[-2].observations[0].call_id
    assert (model.requests[0].json_schema is None) == native and bool(model.requests[0].tools) == native


@pytest.mark.parametrize("native", [True, False])
def test_skills_are_read_on_demand(native: bool) -> None:
    view = View(snapshot="0", skills=(SKILL,), disclosure="progressive")
    model = Script(
        ("load_skill", {"name": "sort-names"}),
        ("run", {"command": "sh skills/sort-names/scripts/sort.sh names.txt > out.txt"}),
        "done",
    )
    done = run(model, native, view)
    assert "<available_skills>" in model.requests[0].messages[0].content
    assert "scripts/sort.sh" not in model.requests[0].messages[0].content
    assert "<skill_content" in said(model, 1) and "skills/sort-names/scripts/sort.sh" in said(model, 1)
    assert done.offered == done.loaded == done.used == ("sort-names",)
    assert {f.path: f.data for f in done.outputs} == {"out.txt": b"a\nb\n"}, "files of the skill are no outputs"
    idle = run(Script("nothing to do"), native, view)
    assert idle.loaded == idle.used == () and idle.offered == ("sort-names",)


@pytest.mark.parametrize("native", [True, False])
def test_a_run_may_end_once_its_skills_are_loaded(native: bool) -> None:
    def both(task: Task, loaded: Collection[str]) -> bool:
        return {"sort-names", "other"} <= set(loaded)

    other = SKILL.model_copy(update={"name": "other"})
    view = View(snapshot="0", skills=(SKILL, other), disclosure="progressive")
    model = Script(("load_skill", {"name": "other"}), ("list_files", {}), ("load_skill", {"name": "sort-names"}), "no")
    done = run(model, native, view, until=both)
    assert done.loaded == ("other", "sort-names") and len(model.requests) == 3 and done.status == "completed"
    assert "until=both" in ToolsAgent(model, find_sandbox(), until=both).name
    assert "until" not in ToolsAgent(model, find_sandbox()).name, "known trials keep their keys"


def test_preloaded_skills_bring_their_files() -> None:
    model = Script(("list_files", {}), "done")
    done = run(model, view=View(snapshot="0", skills=(SKILL,)))
    assert "skills/sort-names/scripts/sort.sh (10 bytes)" in said(model, 1)
    assert "load_skill" not in [tool.name for tool in model.requests[0].tools]
    assert done.loaded == ("sort-names",) and done.outputs == () and done.used == ()


@pytest.mark.parametrize(
    ("move", "words"),
    [
        (("read_file", {"path": "no"}), "no file 'no'"),
        (("read_file", {"path": 3}), "no file ''"),
        (("write_file", {"path": "../x", "content": ""}), "not a safe relative path"),
        (("write_file", {"path": "x"}), "no tool 'write_file' with arguments ['path']"),
        (("no_such", {}), "no tool 'no_such'"),
        (("load_skill", {"name": "x"}), "no skill 'x'"),
        (("run", {"command": "exit 3"}), "Exit code 3."),
    ],
)
def test_bad_calls_are_answered(move: Move, words: str) -> None:
    model = Script(move, "sorry")
    done = run(model)
    assert words in said(model, 1) and done.steps[2].observations[0].is_error and done.status == "completed"


def test_an_answer_that_is_no_action_is_told() -> None:
    class Garbage(Script):
        async def complete(self, request: Request) -> Response:
            if not self.requests:
                self.requests.append(request)
                return Response(text="I will sort it.", model="script", cost=Cost(calls=1))
            return await super().complete(request)

    model = Garbage("done")
    done = run(model, native=False)
    assert "not a JSON action" in said(model, 1) and final_message(done) == "done" and done.cost.calls == 2


def test_steps_output_and_repetition_are_bounded() -> None:
    endless = Script(*[("run", {"command": f"echo {n}"}) for n in range(9)])
    assert len(run(endless, steps=4).steps) == 2 + 4
    loop = Script(*[("list_files", {}) for _ in range(9)])
    done = run(loop)
    assert len(loop.requests) == 3 and AGAIN in said(loop, 2) and done.status == "completed"
    long = Script(("run", {"command": "seq 1 5000"}), "done")
    run(long, output_chars=400)
    assert len(said(long, 1)) < 500 and said(long, 1).endswith("5000") and "characters cut" in said(long, 1)


def test_long_files_are_read_in_parts() -> None:
    text = "\n".join(str(n) for n in range(1, 451))
    model = Script(
        ("write_file", {"path": "f", "content": text}),
        ("read_file", {"path": "f"}),
        ("read_file", {"path": "f", "start": 401}),
        ("run", {"command": "printf 'a\\0b' > g"}),
        ("read_file", {"path": "g"}),
        "done",
    )
    run(model)
    assert said(model, 2).endswith("200\n… 250 more lines") and said(model, 3).startswith("401\n")
    assert "binary" in said(model, 5)


def test_failures_are_missing_and_budget_is_raised() -> None:
    done = run(Script(("list_files", {}), ModelError("429")))
    assert done.status == "missing" and "429" in (done.error or "") and len(done.steps) == 3
    with pytest.raises(BudgetExceeded):
        run(Script(BudgetExceeded("spent")))


@given(st.text(max_size=60), st.text(max_size=60))
def test_actions_are_found_in_prose(before: str, after: str) -> None:
    action = {"tool": "run", "arguments": {"command": 'echo "{}"'}}
    assert parse_action(f"{before.replace('{', '')}{json.dumps(action)}{after}") == ("run", {"command": 'echo "{}"'})


@given(st.text(max_size=200))
def test_any_text_parses_to_an_action_or_none(text: str) -> None:
    found = parse_action(text)
    assert found is None or (isinstance(found[0], str) and isinstance(found[1], dict))


def test_deep_json_is_no_action() -> None:
    assert parse_action('{"a":' * 3_000) is None
