"""The code agent with a scripted model and the real sandbox."""

from collections.abc import Callable

import anyio
import pytest

from prowess.agents.code import NO_PROGRAM, PROGRAM, CodeAgent, messages_for, programs_of, run_program, traceback_end
from prowess.agents.prompting import extract_program
from prowess.core.cost import Cost
from prowess.core.errors import BudgetExceeded, ModelError, SandboxError
from prowess.core.model import Request, Response
from prowess.core.skill import Skill
from prowess.core.task import Check, File, Score, Task
from prowess.core.trajectory import Trajectory
from prowess.core.view import View
from prowess.sandbox import Limits, Result, find_sandbox

TASK = Task(
    id="sum/base/1",
    suite="t",
    family="sum",
    split="gate",
    seed=1,
    prompt="Write the sum of numbers.txt to out.txt.",
    files=(File(path="numbers.txt", data=b"1\n2\n3\n"),),
    outputs=("out.txt",),
)
GOOD = "```python\ntotal = sum(map(int, open('numbers.txt')))\nopen('out.txt', 'w').write(str(total))\n```"
SKILL = Skill(
    name="sum-files",
    description="Sums <numbers> & writes them",
    body=f"# Sum\n\n{GOOD}\n",
)
NO_SKILLS = View(snapshot="0")


class Script:
    """Answers in turn; keeps what it was asked."""

    name = "script"

    def __init__(self, *answers: str | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []

    async def complete(self, request: Request) -> Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Response(text=answer, model="script", cost=Cost(calls=1, prompt_tokens=10, completion_tokens=5))


def run(
    model: Script, task: Task = TASK, view: View = NO_SKILLS, attempts: int = 2, feedback: Callable | None = None, **kw
) -> Trajectory:
    agent = CodeAgent(model, find_sandbox(), attempts=attempts, **kw)

    async def go() -> Trajectory:
        return await agent.run(task, view, 7, feedback=feedback)

    return anyio.run(go)


def test_a_program_that_works_is_one_call() -> None:
    model = Script(GOOD)
    done = run(model)
    assert done.status == "completed" and done.score is None
    assert {f.path: f.data for f in done.outputs} == {"out.txt": b"6"}
    assert done.cost.calls == 1 and done.seed == 7 and done.task_id == TASK.id
    assert [s.source for s in done.steps] == ["system", "user", "agent"]
    assert model.requests[0].seed == 7


def test_a_crash_is_fed_back_without_noise() -> None:
    model = Script("```python\nimport json\njson.loads('{')\n```", GOOD)
    done = run(model)
    said = model.requests[1].messages[-1].content
    assert "line 2:" in said and "JSONDecodeError" in said and "decoder.py" not in said
    assert "Give the whole corrected program" in said
    assert model.requests[1].messages[:2] == model.requests[0].messages, "the prefix must stay the same"
    assert done.outputs[0].data == b"6" and done.cost.calls == 2
    first, last = programs_of(done)
    assert first.startswith("import json") and last == extract_program(GOOD)
    assert [s.observations[0].is_error for s in done.steps[2:]] == [True, False]


def test_attempts_are_bounded_and_the_last_failure_stands() -> None:
    model = Script("no code here", "still none", GOOD)
    done = run(model)
    assert done.status == "completed" and done.outputs == () and len(model.requests) == 2
    assert done.steps[-1].observations[0].content == NO_PROGRAM


def test_missing_output_and_time_out_are_told() -> None:
    model = Script("```python\nprint('hello')\n```", "```python\nwhile True: pass\n```", GOOD)
    done = run(model, attempts=3, limits=Limits(seconds=1))
    assert "did not write out.txt" in model.requests[1].messages[-1].content
    assert "hello" in model.requests[1].messages[-1].content
    assert "stopped after 1 seconds" in model.requests[2].messages[-1].content
    assert done.outputs[0].data == b"6"


def test_failures_of_model_and_sandbox_are_missing_and_keep_their_cost() -> None:
    done = run(Script("```python\n1/0\n```", ModelError("too busy")))
    assert done.status == "missing" and "too busy" in (done.error or "") and done.cost.calls == 1
    unsafe = TASK.model_copy(update={"files": (File(path="../x", data=b""),)})
    done = run(Script(GOOD), unsafe)
    assert done.status == "missing" and "not a safe" in (done.error or "")


def test_budget_is_raised() -> None:
    with pytest.raises(BudgetExceeded):
        run(Script(BudgetExceeded("spent")))


def test_checks_are_fed_back_only_when_exploring() -> None:
    wrong = "```python\nopen('out.txt', 'w').write('7')\n```"
    seen: list[tuple] = []

    def feedback(files: tuple[File, ...], answer: str) -> Score:
        seen.append((files[0].data, answer))
        passed = files[0].data == b"6"
        checks = (Check(name="sum", passed=passed, message="the sum is not right"),)
        return Score(value=float(passed), passed=passed, checks=checks, verifier="t", trusted=True)

    model = Script(wrong, GOOD)
    done = run(model, feedback=feedback)
    assert "the sum is not right" in model.requests[1].messages[-1].content
    assert done.outputs[0].data == b"6" and [d for d, _ in seen] == [b"7", b"6"]

    async def later(files: tuple[File, ...], answer: str) -> Score:
        return feedback(files, answer)

    assert run(Script(wrong, GOOD), feedback=later).outputs[0].data == b"6"
    measured = Script(wrong)
    assert run(measured).outputs[0].data == b"7" and len(measured.requests) == 1


def test_answers_of_tasks_without_outputs_are_what_was_printed() -> None:
    task = TASK.model_copy(update={"outputs": ()})
    model = Script("```python\nx = 1\n```", "```python\nprint(6)\n```")
    done = run(model, task)
    assert "printed no answer" in model.requests[1].messages[-1].content
    assert done.steps[-1].message == "6"


def test_preloaded_skills_stand_before_the_task_and_their_use_is_seen() -> None:
    view = View(snapshot="0", skills=(SKILL,))
    model = Script(GOOD)
    done = run(model, view=view)
    system, user = model.requests[0].messages
    assert '<skill_content name="sum-files">' in system.content and TASK.prompt in user.content
    assert done.offered == done.loaded == done.used == ("sum-files",)
    other = run(Script("```python\nopen('out.txt', 'w').write('6')\n```"), view=view)
    assert other.loaded == ("sum-files",) and other.used == ()
    assert messages_for(TASK, view)[0] == messages_for(TASK.model_copy(update={"prompt": "other"}), view)[0]


def test_progressive_skills_are_loaded_on_demand_and_cost_no_attempt() -> None:
    view = View(snapshot="0", skills=(SKILL,), disclosure="progressive")
    model = Script("load_skill sum-files", "load_skill sum-files", GOOD)
    done = run(model, view=view)
    first = model.requests[0].messages[0].content
    assert "<name>sum-files</name>" in first and "&lt;numbers&gt; &amp;" in first and "total = sum" not in first
    assert "total = sum" in model.requests[1].messages[-1].content
    assert model.requests[2].messages[-1].content == NO_PROGRAM, "asking twice counts as an attempt"
    assert done.loaded == done.used == ("sum-files",) and done.outputs[0].data == b"6"
    ignored = run(Script(GOOD), view=view)
    assert ignored.offered == ("sum-files",) and ignored.loaded == ignored.used == ()


def test_files_of_a_skill_lie_beside_the_program() -> None:
    skill = SKILL.model_copy(update={"files": (File(path="assets/rate.txt", data=b"6"),)})
    program = "```python\nopen('out.txt', 'w').write(open('skills/sum-files/assets/rate.txt').read())\n```"
    model = Script(program)
    done = run(model, view=View(snapshot="0", skills=(skill,)))
    assert "<file>skills/sum-files/assets/rate.txt</file>" in model.requests[0].messages[0].content
    assert {f.path: f.data for f in done.outputs} == {"out.txt": b"6"}


def test_run_program_leaves_itself_out() -> None:
    result = anyio.run(run_program, "open('a', 'w').write('x')", TASK, find_sandbox())
    assert [f.path for f in result.files] == ["a"] and PROGRAM not in result.removed


def test_the_agent_name_tells_settings_apart() -> None:
    sandbox = find_sandbox()
    names = {
        CodeAgent(Script(), sandbox).name,
        CodeAgent(Script(), sandbox, attempts=3).name,
        CodeAgent(Script(), sandbox, temperature=0.5).name,
        CodeAgent(Script(), sandbox, limits=Limits(seconds=1)).name,
    }
    assert len(names) == 4


def test_tracebacks_are_cut_to_their_end() -> None:
    text = "Traceback (most recent call last):\n" + "".join(
        f'  File "/x/{PROGRAM}", line {n}, in f\n    f({n})\n    ^^^^\n' for n in range(200)
    )
    short = traceback_end(text + "RecursionError: too deep")
    assert len(short) < 800 and short.endswith("RecursionError: too deep") and "^" not in short


def test_a_broken_sandbox_is_missing() -> None:
    class Broken:
        name = "broken"

        async def run(self, argv: list[str], files: tuple = (), limits: Limits | None = None) -> Result:
            raise SandboxError("gone")

    async def go() -> Trajectory:
        return await CodeAgent(Script(GOOD), Broken()).run(TASK, NO_SKILLS, 0)

    done = anyio.run(go)
    assert done.status == "missing" and "gone" in (done.error or "") and done.outputs == ()
