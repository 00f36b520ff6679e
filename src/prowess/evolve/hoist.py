"""Turns a program that solved one task into a script that solves its family: names of the task become parameters.

A literal is a *name of the task* when the task's files hold it and those of some other task of the family do not; what
all tasks share (`VOID`, a format) is a rule and stays. Only literals that can be nothing but a name are replaced:
file names anywhere, other names where a program looks something up (`row["amount"]`, `row.get("amount")`), so that an
output header which happens to equal an input column stays as it is.
"""

import ast
import csv
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from prowess.core.task import Task


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    example: str
    """Its value in the task that the program was written for."""
    role: str
    """For people and models: `file to read`, `name of the state column (it holds OK, VOID)`."""


@dataclass(frozen=True, slots=True)
class Script:
    """A module with one function that does the work."""

    function: str
    parameters: tuple[Parameter, ...]
    source: str

    def call(self, folder: str, blank: bool = False) -> str:
        """A program that runs the script from `folder` as the original program did.

        With `blank`, each argument says what belongs there instead: a form to fill in. A small model copies the names
        of an example where it should look for its own; it does not copy a description.
        """
        given = {p.name: p.role.upper() if blank else p.example for p in self.parameters}
        arguments = "".join(f"    {name}={json.dumps(value, ensure_ascii=False)},\n" for name, value in given.items())
        return (
            f'import sys\n\nsys.path.insert(0, "{folder}")\n'
            f"from {self.function} import {self.function}\n\n{self.function}(\n{arguments})\n"
        )


def hoist(program: str, function: str, task: Task, siblings: Sequence[Task]) -> Script | None:
    """`program` as a script with the names of `task` as parameters; None when it cannot be made one.

    Args:
        program: Python text that passed all checks of `task`.
        function: Name of the function and module.
        task: The task that it solved.
        siblings: Other tasks of the family, at least one.
    """
    try:
        return _hoist(ast.parse(program), program, function, task, siblings)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None  # no Python, or nested too deeply to be looked at


def _hoist(tree: ast.Module, program: str, function: str, task: Task, siblings: Sequence[Task]) -> Script | None:
    outer = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
    inner = [n for n in tree.body if not isinstance(n, ast.Import | ast.ImportFrom)]
    if not inner or any(isinstance(n, ast.Global) for n in ast.walk(tree)) or "sys.argv" in program:
        return None
    finder = _Names(task, [_files(sibling) for sibling in siblings], _taken(tree))
    body = [finder.visit(node) for node in inner]
    parameters = finder.parameters()
    if not parameters:
        return None
    blank: list[ast.expr] = [ast.Constant("") for _ in parameters]
    renamed = ast.arg("renamed")  # a small model gives an argument the name of its value; it has to be told
    arguments = ast.arguments([], [ast.arg(p.name) for p in parameters], None, [], [], renamed, blank)
    guard = ast.parse("\n".join(_guard(parameters, task))).body
    main = ast.FunctionDef(function, arguments, [*guard, *body], decorator_list=[])
    parts = ["\n".join(ast.unparse(node) for node in outer), ast.unparse(ast.fix_missing_locations(main))]
    source = "\n\n\n".join(part for part in parts if part) + "\n"
    ast.parse(source)
    return Script(function, parameters, source)


def _taken(tree: ast.AST) -> set[str]:
    """Names that the program uses, which no parameter may have."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.keyword):
            words = (getattr(node, name, None) for name in ("id", "arg", "name", "asname", "rest"))
            found |= {word for word in words if isinstance(word, str)}
    return found


@dataclass(slots=True)
class _Names(ast.NodeTransformer):
    """Replaces literals that are names of the task by parameters."""

    task: Task
    others: list[str]
    taken: set[str]
    found: dict[str, str] = field(default_factory=dict[str, str])
    """Literal → parameter."""

    def __post_init__(self) -> None:
        self._text = _files(self.task)
        self._inputs = [f.path for f in self.task.files]
        self._paths = {*self._inputs, *self.task.outputs}

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, str) and node.value in self._paths:
            return self._parameter(node.value)
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        parts: list[ast.expr] = []
        for part in node.values:
            new = self.visit(part)
            parts.append(ast.FormattedValue(new, conversion=-1) if isinstance(new, ast.Name) else new)
        node.values = parts
        return node

    def visit_match_case(self, node: ast.match_case) -> ast.AST:
        # a parameter in a pattern would not be compared with but assigned to
        if any(isinstance(part, ast.Constant) and part.value in self._paths for part in ast.walk(node.pattern)):
            raise ValueError("a name of the task stands in a pattern")
        node.guard = self.visit(node.guard) if node.guard else None
        node.body = [self.visit(statement) for statement in node.body]
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        node.slice = self._looked_up(node.slice)
        node.value = self.visit(node.value)
        if not isinstance(node.slice, ast.Name):
            node.slice = self.visit(node.slice)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if (
            isinstance(node.func, ast.Attribute)
            and node.func.attr in {"get", "pop", "index", "itemgetter"}
            and node.args
        ):
            node.args[0] = self._looked_up(node.args[0])
        for keyword in node.keywords:
            value = keyword.value
            if (
                keyword.arg in {"delimiter", "sep"}
                and isinstance(value, ast.Constant)
                and self._is_separator(value.value)
            ):
                keyword.value = self._parameter(str(value.value))
        return self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        # `if __name__ == "__main__"` is true of a program and must stay true inside the function
        if isinstance(node.left, ast.Name) and node.left.id == "__name__":
            return ast.Constant(value=True)
        return self.generic_visit(node)

    def _looked_up(self, node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and self._is_name(node.value):
            return self._parameter(node.value)
        return node

    def _is_name(self, literal: str) -> bool:
        word = re.compile(rf"(?<!\w){re.escape(literal)}(?!\w)")
        return bool(literal.strip() and word.search(self._text)) and not all(word.search(o) for o in self.others)

    def _is_separator(self, literal: object) -> bool:
        heads = [file.text.partition("\n")[0] for file in self.task.files]
        return (
            isinstance(literal, str)
            and len(literal) == 1
            and any(literal in head for head in heads)
            and not all(literal in other for other in self.others)
        )

    def _parameter(self, literal: str) -> ast.Name:
        if literal not in self.found:
            self.found[literal] = self._free(literal)
        return ast.Name(id=self.found[literal], ctx=ast.Load())

    def _free(self, literal: str) -> str:
        if literal in self._inputs:
            wanted = "source"
        elif literal in self.task.outputs:
            wanted = "target"
        else:
            word = re.sub(r"[^a-z0-9]+", "_", literal.lower()).strip("_")[:40]
            wanted = f"{word or 'named'}_column" if re.search(r"\w", literal) else "separator"
            wanted = wanted if wanted.isidentifier() else f"the_{wanted}"
        name, number = wanted, 2
        while name in self.taken or name in self.found.values():
            name, number = f"{wanted}_{number}", number + 1
        return name

    def parameters(self) -> tuple[Parameter, ...]:
        return tuple(Parameter(name, literal, self._role(literal)) for literal, name in self.found.items())

    def _role(self, literal: str) -> str:
        if literal in self._inputs:
            return "file to read"
        if literal in self.task.outputs:
            return "file to write"
        if not re.search(r"\w", literal):
            return "character between fields of the file to read"
        examples = _values_under(literal, self.task)
        return f"name of the {literal} column" + (f" (it holds {examples})" if examples else "")


def _files(task: Task) -> str:
    return "\n".join([*(f.path for f in task.files), *(f.text for f in task.files)])


def _cells(line: str) -> list[str]:
    return [cell.strip().strip('"') for cell in re.split(r"[,;\t|]", line.rstrip("\r"))]


def _values_under(column: str, task: Task) -> str:
    """Up to three different values of a column of a text table; empty where there is no such table."""
    for file in task.files:
        lines = file.text.splitlines()[:12]
        for separator in ",;\t|":
            head, *rows = list(csv.reader(lines, delimiter=separator)) or [[]]
            if column in head:
                cells = [row[head.index(column)] for row in rows if len(row) == len(head)]
                clean = (re.sub(r"[^\w .:/@-]", "", cell)[:30] for cell in cells)
                return ", ".join(list(dict.fromkeys(cell for cell in clean if cell))[:3])
    return ""


def _guard(parameters: Sequence[Parameter], task: Task) -> list[str]:
    """What the script looks at first, before it fails in a way that says less, or is silently wrong.

    An argument that got another name; a column that the file lacks, or that stands for two.
    """
    names = ", ".join(p.name for p in parameters)
    lines = [
        f'if renamed or "" in ({names},):',
        f'    raise SystemExit("keep the names of the arguments, {names}, and change only their values")',
    ]
    for file in task.files:
        source = next((p.name for p in parameters if p.example == file.path), None)
        head = _cells(file.text.splitlines()[0]) if file.text.strip() else []
        columns = [p.name for p in parameters if p.example in head]
        if source and columns:
            return [
                *lines,
                f'with open({source}, encoding="utf-8") as lines:',
                "    head = lines.readline().strip()",
                f"given = {{{', '.join(f'{name!r}: {name}' for name in columns)}}}",
                "for name, column in given.items():",
                "    if column not in head:",
                '        raise SystemExit(f"{name}={column!r} is wrong; choose another of the columns {head}")',
                "    if list(given.values()).count(column) > 1:",
                '        cells = head.replace(";", ",").replace("|", ",").replace("\\t", ",").split(",")',
                '        free = ", ".join(cell for cell in cells if cell not in given.values())',
                '        raise SystemExit(f"{name}={column!r} is another column already; not used yet: {free}")',
            ]
    return lines
