"""What a script takes, gives and touches, read from its text. Nothing is imported or run.

Python is read as a tree, shell as lines; other languages are named and not looked into.
"""

import ast
import re
import shlex
import sys
from dataclasses import dataclass
from typing import Final

from prowess.search.structure import Scope

CAP: Final = 200_000
"""Characters of one script that are read."""
_NETWORK: Final = {
    "requests",
    "urllib",
    "httpx",
    "httpx2",
    "aiohttp",
    "socket",
    "smtplib",
    "ftplib",
    "paramiko",
    "boto3",
}
_NETWORK_COMMANDS: Final = {"curl", "wget", "ssh", "scp", "rsync", "nc", "gh", "aws", "gcloud", "kubectl", "docker"}
_INSTALLERS: Final = {"pip", "pip3", "uv", "npm", "npx", "conda", "mamba", "apt", "apt-get", "brew", "cargo"}
_LOCAL: Final = {("npm", "test"), ("npm", "run"), ("pip", "list"), ("pip", "show"), ("pip", "freeze")}
"""What installers do with what is there already."""
_CODEBASE: Final = {"git", "make", "pytest", "ruff", "mypy"}
_DELETERS: Final = {"rm", "rmdir", "shred"}
_READS: Final = {
    "read_text",
    "read_bytes",
    "read_csv",
    "read_excel",
    "read_json",
    "read_parquet",
    "load_workbook",
    "imread",
}
_WRITES: Final = {
    "write_text",
    "write_bytes",
    "to_csv",
    "to_excel",
    "to_json",
    "to_parquet",
    "savefig",
    "imwrite",
    "save",
}
_DELETES: Final = {"unlink", "rmtree", "remove", "rmdir"}
_RUNS: Final = {"run", "Popen", "call", "check_call", "check_output", "system"}
_SECRET: Final = re.compile(r"key|token|secret|passw|credential", re.IGNORECASE)


@dataclass(frozen=True, slots=True, order=True)
class Touch:
    """One thing that a script does to the world."""

    verb: str
    """`reads`, `writes`, `deletes`, `runs` or `calls`."""
    scope: Scope
    target: str
    """Path, command, host or variable where it is written out; else the function."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is in a script."""

    inputs: tuple[str, ...] = ()
    """Names of command-line arguments."""
    imports: tuple[str, ...] = ()
    """Packages that are not part of Python."""
    touches: tuple[Touch, ...] = ()
    branches: bool = False
    loops: bool = False


def facts_of(path: str, text: str) -> Facts | None:
    """The facts of a script by its file name or language tag; None for languages that are not looked into.

    A script that cannot be parsed has no facts.
    """
    kind = path.rpartition(".")[2].lower()
    if kind in {"py", "python", "python3"}:
        return _python(text[:CAP])
    if kind in {"sh", "bash", "shell", "zsh", "console"}:
        return _shell(text[:CAP])
    return None


def _python(text: str) -> Facts:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Facts()
    inputs: dict[str, None] = {}
    imports: dict[str, None] = {}
    touches: dict[Touch, None] = {}
    branches = loops = False
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports |= dict.fromkeys(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imports[node.module.partition(".")[0]] = None
        elif isinstance(node, ast.If | ast.Match):
            branches = True
        elif isinstance(node, ast.For | ast.While | ast.AsyncFor):
            loops = True
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("environ"):
            _add_variable(touches, node.slice)
        elif isinstance(node, ast.Call):
            name, argument = _called(node), _literal(node)
            if name == "add_argument" and argument:
                inputs[argument.lstrip("-")] = None
            elif name == "getenv" or (name == "get" and "environ" in ast.unparse(node.func)):
                _add_variable(touches, node.args[0] if node.args else None)
            elif (touch := _touch(node, name, argument, imports)) is not None:
                touches[touch] = None
    outside = tuple(sorted(name for name in imports if name not in sys.stdlib_module_names))
    return Facts(tuple(inputs), outside, tuple(touches), branches, loops)


def _touch(node: ast.Call, name: str, argument: str, imports: dict[str, None]) -> Touch | None:
    root = ast.unparse(node.func).partition(".")[0]
    if name == "open" and root in {"open", "io", "Path", "codecs"}:
        modes = [*node.args[1:2], *(k.value for k in node.keywords if k.arg == "mode")]
        mode = modes[0].value if modes and isinstance(modes[0], ast.Constant) else ""
        verb = "writes" if isinstance(mode, str) and set(mode) & set("wax+") else "reads"
        return Touch(verb, "LOCAL_FS", argument or "a file")
    if root in _NETWORK and root in imports:
        return Touch("calls", "NETWORK", argument or f"{root}.{name}")
    if name in _RUNS and root in {"subprocess", "os"}:
        return Touch("runs", "PROCESS", argument or "a program")
    if name in _DELETES and root in {"os", "shutil", "Path", "pathlib"}:
        return Touch("deletes", "LOCAL_FS", argument or "a file")
    if name in _WRITES and isinstance(node.func, ast.Attribute):
        return Touch("writes", "LOCAL_FS", argument or "a file")
    if name in _READS and isinstance(node.func, ast.Attribute | ast.Name):
        return Touch("reads", "LOCAL_FS", argument or "a file")
    return None


def _called(node: ast.Call) -> str:
    func = node.func
    return func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""


def _literal(node: ast.Call) -> str:
    """The text that is written out as first argument, also as the path in `Path("x").read_text()`."""
    places = [*node.args[:1]]
    if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Call):
        places += node.func.value.args[:1]
    for place in places:
        first = place.elts[0] if isinstance(place, ast.List) and place.elts else place
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            return " ".join(first.value.split())[:120]
    return ""


def _add_variable(touches: dict[Touch, None], node: ast.expr | None) -> None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        touches[_variable(node.value[:80])] = None


def _variable(name: str) -> Touch:
    return Touch("reads", "CREDENTIALS" if _SECRET.search(name) else "PROCESS", f"${name}")


def _shell(text: str) -> Facts:
    touches: dict[Touch, None] = {}
    branches = loops = False
    for line in text.replace("\\\n", " ").splitlines():
        plain = line.strip().removeprefix("$ ")
        if not plain or plain.startswith("#"):
            continue
        branches |= plain.startswith(("if ", "case ", "[ ", "[["))
        loops |= plain.startswith(("for ", "while ", "until "))
        for name in re.findall(r"\$\{?([A-Z][A-Z0-9_]{2,40})", plain):
            if _SECRET.search(name):
                touches[_variable(name)] = None
        for command in re.split(r"\|\||&&|[|;]", plain):
            if (touch := _command(command)) is not None:
                touches[touch] = None
        if found := re.search(r"(?<![<>=&\d])>{1,2}\s*([\w./~-]{2,80})", plain):
            touches[Touch("writes", "LOCAL_FS", found[1])] = None
    return Facts(touches=tuple(touches), branches=branches, loops=loops)


def _command(command: str) -> Touch | None:
    try:
        words = shlex.split(command, comments=True)
    except ValueError:
        words = command.split()
    while words and (words[0] in {"sudo", "then", "do", "else", "time", "exec"} or re.fullmatch(r"\w+=.*", words[0])):
        words = words[1:]
    if not words or not re.fullmatch(r"[A-Za-z][\w.+/-]{0,60}", words[0]):
        return None
    name = words[0].rpartition("/")[2]
    shown = " ".join(words)[:120]
    if name in _DELETERS:
        return Touch("deletes", "LOCAL_FS", " ".join(w for w in words[1:] if not w.startswith("-"))[:120] or shown)
    if name in _NETWORK_COMMANDS or (name in _INSTALLERS and (name, *words[1:2]) not in _LOCAL):
        return Touch("calls", "NETWORK", shown)
    return Touch("runs", "CODEBASE" if name in _CODEBASE else "PROCESS", shown)
