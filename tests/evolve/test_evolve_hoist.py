"""From a program that solved one task to a script that solves its family."""

import ast
from dataclasses import replace

import anyio
import pytest
from evolve_parts import SUITE, names_of
from hypothesis import given, settings
from hypothesis import strategies as st

from prowess.agents.code import run_program
from prowess.core.skill import Skill
from prowess.core.task import File, Task
from prowess.evolve.hoist import Script, hoist
from prowess.sandbox import find_sandbox

FOLDER = "skills/sums/scripts"
BOUND_TO_ONE_TASK = {
    "server-log-summary": "takes the fields of a line by their place, which differs",
    "invoice-ageing": "has the day of the prompt in numbers",
    "orders-report": "has its names inside a query",
}
"""Families whose shortest program names the task in ways that are not hoisted, and why."""


def passes(call: str, script: Script, task: Task) -> bool:
    file = File(path=f"scripts/{script.function}.py", data=script.source.encode())
    skill = Skill(name="sums", description="-", body="-", files=(file,))
    result = anyio.run(lambda: run_program(call, task, find_sandbox(), skills=(skill,)))
    return SUITE.check(task, result.files).passed


@pytest.mark.parametrize("family", SUITE.families)
def test_a_hoisted_program_passes_another_task_by_its_names(family: str) -> None:
    task, *siblings = SUITE.tasks(family, "evidence", 8)
    (other,) = SUITE.tasks(family, "test", 1)
    script = hoist(SUITE.program(task), "sums", task, siblings)
    assert script is not None
    purposes = {name: purpose for purpose, name in names_of(family, task.seed).items()}
    theirs = names_of(family, other.seed)
    renamed = replace(
        script, parameters=tuple(replace(p, example=theirs[purposes[p.example]]) for p in script.parameters)
    )
    assert passes(script.call(FOLDER), script, task)
    assert passes(renamed.call(FOLDER), script, other) is (family not in BOUND_TO_ONE_TASK), BOUND_TO_ONE_TASK.get(
        family
    )


# One small family, to look at single programs.


def table(number: int, amount: str, state: str) -> Task:
    rows = "\n".join(f"R{i},{i + number}.50,{'VOID' if i % 2 else 'OK'}" for i in range(4))
    return Task(
        id=f"t/{number}",
        suite="s",
        family="t",
        split="evidence",
        seed=number,
        prompt=f"Add up `{amount}`.",
        files=(File(path=f"in_{number}.csv", data=f"ref,{amount},{state}\n{rows}\n".encode()),),
        outputs=(f"out_{number}.csv",),
    )


TASK, SIBLINGS = table(1, "amount", "state"), [table(2, "net", "status"), table(3, "value", "mark")]


def hoisted(program: str) -> Script | None:
    return hoist(program, "sums", TASK, SIBLINGS)


def ran(script: Script, **arguments: str) -> dict[str, object]:
    """Names that the script's module defines after its function was called with `arguments` and files are lists."""
    written: dict[str, list[str]] = {}

    class File:
        def __init__(self, path: str, *_: object, **__: object) -> None:
            self.path = path

        def __enter__(self) -> "File":
            return self

        def __exit__(self, *_: object) -> None: ...

        def readline(self) -> str:
            return "ref,amount,state,net,value"

        def write(self, text: str) -> None:
            written.setdefault(self.path, []).append(text)

    scope: dict[str, object] = {"open": File}
    exec(compile(script.source, "script", "exec"), scope)
    scope["sums"](**arguments)  # type: ignore[operator]
    return {"written": written}


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("def broken(:\n", "no Python"),
        ("total = 1\nglobal total\nopen('in_1.csv')\n", "no Python"),
        ("def add():\n    global total\n    total = open('in_1.csv')\nadd()\n", "needs a module's globals"),
        ("import sys\nopen(sys.argv[1], 'w').write(open('in_1.csv').read())\n", "takes arguments already"),
        ("match open('in_1.csv').name:\n    case 'in_1.csv':\n        print(1)\n", "has a name in a pattern"),
        ("import csv\n", "does nothing"),
        ("", "does nothing"),
        ("print('hello')\n", "names nothing of the task"),
        ("x = '\x00in_1.csv'\n", "cannot be parsed"),
        ("(" * 5000 + "'in_1.csv'" + ")" * 5000, "is too deep"),
        ("open('in_1.csv')\nx = " + "+".join(["1"] * 20000), "is too deep"),
        ("x = " + "-" * 20000 + "1\nopen('in_1.csv')", "is too deep"),
    ],
)
def test_what_cannot_be_a_script_is_none(program: str, why: str) -> None:
    assert hoisted(program) is None, why


def test_only_names_of_the_task_become_parameters() -> None:
    script = hoisted(
        "import csv\n"
        "rows = list(csv.DictReader(open('in_1.csv')))\n"
        "total = sum(float(r['amount']) for r in rows if r.get('state') != 'VOID')\n"
        "open('out_1.csv', 'w').write('ref;amount\\n' + rows[0]['ref'] + str(total))\n"
    )
    assert script is not None
    assert [(p.name, p.example) for p in script.parameters] == [
        ("source", "in_1.csv"),
        ("amount_column", "amount"),
        ("state_column", "state"),
        ("target", "out_1.csv"),
    ]
    assert "'VOID'" in script.source and "'ref;amount\\n'" in script.source and "['ref']" in script.source
    assert [p.role for p in script.parameters][1:3] == [
        "name of the amount column (it holds 1.50, 2.50, 3.50)",
        "name of the state column (it holds OK, VOID)",
    ]


def test_imports_stay_outside_and_a_main_guard_stays_true() -> None:
    script = hoisted("import os\nif __name__ == '__main__':\n    open('out_1.csv', 'w').write(os.sep)\n")
    assert script is not None and script.source.startswith("import os\n")
    assert ran(script, target="x.csv") == {"written": {"x.csv": ["/"]}}


@pytest.mark.parametrize(
    "program",
    [
        "target = 'a'\nopen('out_1.csv', 'w').write(target)\n",
        "def target():\n    return 'a'\nopen('out_1.csv', 'w').write(target())\n",
        "for target in ['a']:\n    open('out_1.csv', 'w').write(target)\n",
        "with open('out_1.csv', 'w') as target:\n    target.write('a')\n",
        "import os as target\nopen('out_1.csv', 'w').write('a')\n",
        "write = lambda target: open('out_1.csv', 'w').write(target)\nwrite('a')\n",
        "try:\n    1 / 0\nexcept ZeroDivisionError as target:\n    open('out_1.csv', 'w').write('a')\n",
        "open(f'out_1.csv', 'w').write('a')\n",
        "name = 'a'\nopen(f'out_1.csv', 'w').write(f'{name}')\n",
        "match 'a':\n    case 'a':\n        open('out_1.csv', 'w').write('a')\n",
        "'''Writes\n   one letter.'''\nopen('out_1.csv', 'w').write('a')\n",
        "def go():\n    '''Writes\n\n    one letter.'''\n    open('out_1.csv', 'w').write('a')\ngo()\n",
    ],
)
def test_names_of_the_program_are_left_alone(program: str) -> None:
    """No parameter takes a name that the program uses, and names in odd places do not break it."""
    script = hoisted(program)
    assert script is not None
    (parameter,) = script.parameters
    assert ran(script, **{parameter.name: "x.csv"}) == {"written": {"x.csv": ["a"]}}


HOSTILE = st.text(min_size=1, max_size=12) | st.sampled_from(
    [
        "2024 net",
        "m²",
        "naïve",
        "class",
        "__import__('os')",
        "a\nb",
        "a'b",
        'a"b',
        "a\\",
        "#",
        "{x}",
        "\u2028",
        "Ⅷ",
        "½",
    ]
)


@settings(max_examples=60, deadline=None)
@given(HOSTILE, HOSTILE)
def test_hostile_names_are_inert(column: str, path: str) -> None:
    """Whatever a column or file is called, script and call are Python, and the name stands in them as data only."""
    text = column.encode("utf-8", "replace").decode()
    task = table(1, text, "state").model_copy(update={"outputs": (path,)})
    script = hoist(f"open({path!r}, 'w').write('x'.get({text!r}))\nopen('in_1.csv')\n", "sums", task, SIBLINGS)
    assert script is not None
    module = ast.parse(script.source)
    assert [node.name for node in module.body if isinstance(node, ast.FunctionDef)] == ["sums"]
    assert all(isinstance(node, ast.FunctionDef | ast.Import | ast.ImportFrom) for node in module.body)
    call = ast.parse(script.call(FOLDER)).body[-1]
    assert isinstance(call, ast.Expr) and isinstance(call.value, ast.Call)
    assert len(ast.parse(script.call(FOLDER)).body) == 4
    arguments = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.value.keywords}
    assert arguments == {p.name: p.example for p in script.parameters} and path in arguments.values()
    assert all(name is not None and name.isidentifier() for name in arguments)


def test_a_hostile_file_does_not_reach_the_script_through_its_role() -> None:
    task = TASK.model_copy(
        update={"files": (File(path="in_1.csv", data=b'amount\na\nb\n"""; import os\n),os.system(\'x\')\n'),)}
    )
    script = hoist("x = {}.get('amount')\nopen('in_1.csv')\n", "sums", task, SIBLINGS)
    assert script is not None and len(ast.parse(script.call(FOLDER)).body) == 4
    assert "os.system" not in script.call(FOLDER) and "os.system" not in script.source


def test_a_column_that_is_not_there_is_named() -> None:
    script = hoisted("import csv\nfor row in csv.DictReader(open('in_1.csv')):\n    row['amount'] + row['state']\n")
    assert script is not None
    with pytest.raises(SystemExit, match=r"amount_column='price' is wrong; choose another of the columns ref,amount"):
        ran(script, source="other.csv", amount_column="price", state_column="state")
