"""Human-written skills, the upper bound: the rules in words, a script that follows them, and a call to fill in.

The script is the family's own program with the names of the instance as parameters, so that it is right by the same
tests as the oracle, and small models are given the form that they use best.
"""

import ast
import re
from dataclasses import replace
from typing import Any

from prowess.core.skill import Skill
from prowess.core.task import File
from prowess.suites.workbench.family import Case, Family

OTHERS = {
    "source": "FILE TO READ",
    "other": "SECOND FILE TO READ",
    "target": "FILE TO WRITE",
    "table": "NAME OF THE TABLE",
    "sheet": "NAME OF THE SHEET",
    "delimiter": "CHARACTER BETWEEN FIELDS",
    "fields": "FIELDS OF A LINE IN THEIR ORDER, WITH COMMAS BETWEEN",
    "today": "DATE OF TODAY AS IN 2024-05-31",
}
"""What the caller puts in where it is not the name of a column."""
_TEXT = re.compile(r'"([^"\n]*«\w+»[^"\n]*)"')
_NAME = re.compile(r"«(\w+)»")


def skill(family: Family[Any], case: Case) -> Skill:
    """The human skill of `family`, for its `base` house; `case` is the instance that a program without parameters fits.

    Where there is no script (an instance differs in more than names, or the family wants none), the skill shows the
    program for one instance instead.
    """
    rules = "\n".join(f"- {rule.text[0].upper()}{rule.text[1:]}." for rule in family.rules(family.houses["base"]))
    made = parametrized(family, case)
    files: tuple[File, ...] = ()
    if made is None:
        told = (
            "This program follows them. Change the names of files, tables and columns to those of the task at hand, "
            "and nothing else: every other value in it is a rule of the house."
        )
        program = family.program(case, family.houses["base"])
    else:
        script, parameters = made
        module = function_name(family)
        files = (File(path=f"scripts/{module}.py", data=script.encode()),)
        told = (
            f"[{files[0].path}]({files[0].path}) follows them, and reads and writes all files itself. Answer "
            "with exactly this program and no code of your own; in place of each description in capitals put the name "
            "that the task or the first lines of its files have for it."
        )
        program = (
            f'import sys\n\nsys.path.insert(0, "skills/{family.name}/scripts")\nfrom {module} import {module}\n\n'
            f"{module}(\n" + "".join(f'    {name}="{told_of}",\n' for name, told_of in parameters.items()) + ")\n"
        )
    return Skill(
        name=family.name,
        description=family.description,
        body=f"# {family.title}\n\n## House rules\n\n{rules}\n\n## Program\n\n{told}\n\n```python\n{program}```\n\n"
        f"## Check\n\n{family.self_check}\n",
        files=files,
    )


def function_name(family: Family[Any]) -> str:
    return family.name.replace("-", "_")


def parametrized(family: Family[Any], case: Case) -> tuple[str, dict[str, str]] | None:
    """The family's program as a module with one function, and what each parameter stands for; None if it cannot be."""
    marks = {purpose: f"«{purpose}»" for purpose in case.names}
    program = family.program(replace(case, names=marks), family.houses["base"])
    used = [purpose for purpose in case.names if f"«{purpose}»" in program]
    program = _TEXT.sub(_as_expression, program)
    if "«" in program or not family.script:
        return None
    body = ast.parse(program).body
    outer = [ast.unparse(node) for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
    inner = [ast.unparse(node) for node in body if not isinstance(node, ast.Import | ast.ImportFrom)]
    lines = [f"    {line}" if line else "" for text in inner for line in text.splitlines()]
    lines = [f"    {line}" for line in _guard(case, used)] + lines
    parameters = {_parameter(purpose): _described(family, purpose) for purpose in used}
    blank = ", ".join(f'{name}=""' for name in parameters)
    head = f"def {function_name(family)}({blank}, **renamed):"
    return "\n".join([*outer, "", "", head, *lines, ""]), parameters


def _guard(case: Case, used: list[str]) -> list[str]:
    """What a careful script looks at first: arguments renamed or not filled in, columns not there or used twice."""
    names = ", ".join(_parameter(purpose) for purpose in used)
    lines = [
        f'if renamed or "" in ({names},):',
        f'    raise SystemExit("keep the names of the arguments, {names}, and change only their values")',
        f"for value in ({names},):",
        '    if value.isupper() and " " in value:',
        '        raise SystemExit(f"put the name that the task has for it in place of {value!r}")',
    ]
    source = next(file for file in case.files if file.path == case.names["source"])
    head = source.text.partition("\n")[0] if source.path.endswith((".csv", ".txt")) else ""
    columns = [_parameter(purpose) for purpose in used if purpose not in OTHERS and case.names[purpose] in head]
    if not columns:
        return lines
    return [
        *lines,
        f'with open({_parameter("source")}, encoding="utf-8") as lines:',
        "    head = lines.readline().strip()",
        f"given = {{{', '.join(f'{column!r}: {column}' for column in columns)}}}",
        "for name, column in given.items():",
        "    if column not in head:",
        '        raise SystemExit(f"{name}={column!r} is wrong; choose another of the columns {head}")',
        "    if list(given.values()).count(column) > 1:",
        '        cells = head.replace(";", ",").replace("|", ",").replace("\\t", ",").split(",")',
        '        free = ", ".join(cell for cell in cells if cell not in given.values())',
        '        raise SystemExit(f"{name}={column!r} is another column already; not used yet: {free}")',
    ]


def _described(family: Family[Any], purpose: str) -> str:
    said = family.parameters.get(purpose) or OTHERS.get(purpose)
    return said or f"NAME OF THE {purpose.upper().replace('_', ' ')} COLUMN"


def _parameter(purpose: str) -> str:
    # a bare purpose is often a variable of the program too, and a small model takes `person_name` for a person's name
    return f"{purpose}_name" if purpose in OTHERS else f"{purpose}_column"


def _as_expression(literal: re.Match[str]) -> str:
    """A literal that is nothing but a name becomes the parameter; one that holds names, a formatted string."""
    text = literal[1]
    whole = _NAME.fullmatch(text)
    if whole:
        return _parameter(whole[1])
    return 'f"' + _NAME.sub(lambda name: "{" + _parameter(name[1]) + "}", text) + '"'
