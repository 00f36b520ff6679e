"""What a skill says that it does, and what can be seen of that without running it.

A skill declares its capabilities in `prowess.json` beside SKILL.md; without that file it declares none:

    {"capabilities": {"hosts": ["api.example.org"], "env": ["API_TOKEN"]}}

Reading and writing files in the folder of the task needs no declaration. What is observed here is a lower bound: code
can hide what it does, which the behaviour gate is for. What cannot be known without running it is observed as `*`, and
so must be declared as `*`.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Final

from pydantic import ValidationError

from prowess.core.base import Frozen
from prowess.core.errors import UserError
from prowess.core.skill import Skill
from prowess.core.task import File
from prowess.core.trust import Capabilities, Tier

MANIFEST: Final = "prowess.json"
_CAP: Final = 65_536
_READ: Final = 100_000
"""Characters of one file that are looked at; a longer program counts as one that cannot be known."""
ANY: Final = ("*",)
_URL = re.compile(r"(?:https?|ftp|wss?)://(?:[^\s/@\"'`<>]{0,100}@)?([A-Za-z0-9.-]{1,253}|\[[0-9a-fA-F:]{2,45}\])")
_PLACE = re.compile(r"(?:~|/|[A-Za-z]:[\\/])[\w.~*/\\ -]{1,200}")
_HOME = re.compile(r"\$\{?HOME\}?(?=/)")
_NEUTRAL = re.compile(
    r"/dev/(?:null|stdin|stdout|stderr|fd/\d)|/tmp(?:/.*)?|/|//.*|/usr/bin/env.*|/bin/\w+|/usr/bin/\w+"
)
_AGENT = (
    (
        "settings",
        re.compile(r"\.claude/settings|\.codex/config|\.cursor/mcp|\.gemini/settings|\.mcp\.json|claude_desktop"),
    ),
    ("memory", re.compile(r"\b(?:CLAUDE|AGENTS|GEMINI|MEMORY|SOUL)\.md\b|\.cursor/rules|copilot-instructions")),
)
_FENCE = re.compile(r"(?ms)^(```|~~~)[ \t]*([\w+-]*)[^\n]*\n(.*?)(?:^\1|\Z)")
_BLOCKS: Final = 100
"""Blocks of code in one text that are read one by one."""
_CHANGES = re.compile(r"(?i)\b(?:edit|append|add|write|change|update|set)\b")
_WORD = re.compile(
    r"(?m)(?:^|&&|\|\|?|;|\$\(|`|\bthen\b|\bdo\b|\belse\b)[ \t]*((?:[A-Za-z_]\w*=\S* +)*)([\w./~+-]+)(?=[\s;|&)]|$)"
)
_SHELL_NETWORK = re.compile(r"\b(?:curl|wget|nc|ncat|ssh|scp|sftp|rsync|ftp|telnet|socat)\b")
_VARIABLE = re.compile(r"\$\{?([A-Z][A-Z0-9_]{2,})\b")
_ASSIGNED = re.compile(r"(?m)(?:^|[\s;])([A-Z][A-Z0-9_]{2,})=")


@cache
def _words(kind: str) -> frozenset[str]:
    """A list of `capabilities.toml`."""
    table = tomllib.loads(files("prowess.guard").joinpath("capabilities.toml").read_text("utf-8"))
    return frozenset(table[kind])


class Manifest(Frozen):
    """The content of `prowess.json`."""

    capabilities: Capabilities = Capabilities()


def declared(skill: Skill) -> Capabilities:
    """What the skill says that it does; the scripts that it brings are declared by being there.

    Raises:
        UserError: its manifest cannot be read.
    """
    scripts = Capabilities(scripts=tuple(f.path for f in skill.files if is_script(f)))
    file = skill.file(MANIFEST)
    if file is None:
        return scripts
    if len(file.data) > _CAP:
        raise UserError(f"{skill.name}/{MANIFEST} is larger than {_CAP} bytes", "keep to what the skill needs")
    try:
        found = Manifest.model_validate_json(file.data).capabilities
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise UserError(f"{skill.name}/{MANIFEST}: {where}: {first['msg']}", "docs/trust.md has the format") from error
    return found | scripts


def observed(skill: Skill) -> Capabilities:
    """What its scripts, and the code in its text, do as far as that can be seen."""
    found = Capabilities()
    for file in skill.files:
        if is_script(file):
            found |= _of_file(file) | Capabilities(scripts=(file.path,))
    for text in (skill.body[:_READ], *(f.text[:_READ] for f in skill.files if f.path.endswith(".md"))):
        blocks = _FENCE.findall(text)
        for _, language, code in blocks[:_BLOCKS]:
            # Programs that the text tells the agent to start are the agent's to allow, by its own rules.
            found |= _of_code(code, language.lower()).model_copy(update={"programs": ()})
        found |= _of_other("\n".join(code for _, _, code in blocks[_BLOCKS:]))
        if _CHANGES.search(text):
            found |= Capabilities(agent=_agent(text))
    return found


def beyond_tier(asked: Capabilities, tier: Tier) -> Capabilities:
    """What no version of that tier may have."""
    if tier == Tier.CERTIFIED:
        return Capabilities()
    if tier == Tier.TRUSTED:
        return Capabilities(hosts=asked.hosts, env=asked.env, agent=asked.agent)
    return asked.model_copy(update={"scripts": ()})


def is_script(file: File) -> bool:
    """Whether the file is a program, by its name or its first bytes."""
    path = file.path.lower()
    return (
        path.startswith("scripts/")
        or path.endswith((".py", *_words("shells"), *_words("others")))
        or file.data[:2] in (b"#!", b"MZ")
        or file.data[:4] in (b"\x7fELF", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe", b"\0asm")
    )


def _of_file(file: File) -> Capabilities:
    path = file.path.lower()
    first = file.data[:100].split(b"\n")[0].decode("utf-8", "replace") if file.data[:2] == b"#!" else ""
    if path.endswith((".md", ".txt", ".json", ".csv", ".toml", ".yaml", ".yml")) and not first:
        return Capabilities()
    if len(file.data) > _READ or b"\0" in file.data:
        return Capabilities(programs=ANY)
    if path.endswith(".py") or "python" in first:
        return _of_code(file.text, "python")
    if path.endswith(tuple(_words("shells"))) or re.search(r"\b(?:ba|z|da|k)?sh\b", first):
        return _of_code(file.text, "sh")
    return _of_other(file.text) | Capabilities(programs=ANY)


def _of_code(code: str, language: str) -> Capabilities:
    if language in ("python", "py", "python3"):
        return _of_python(code)
    if language in ("sh", "bash", "shell", "zsh", "console"):
        return _of_shell(code)
    return _of_other(code) if language else Capabilities()


def _of_python(code: str) -> Capabilities:
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Capabilities(programs=ANY) | _of_other(code)
    nodes = list(ast.walk(tree))
    names = _imported(nodes)
    programs, env = set[str](), set[str]()
    for node in nodes:
        if isinstance(node, ast.Call):
            called = _dotted(node.func, names)
            if called in _words("starts"):
                programs.add(_started(node))
            elif called in _words("hides") and not (called == "compile" and isinstance(node.func, ast.Attribute)):
                programs.add("*")
            elif called in _words("environment"):
                env.add(_constant(node.args[0]) if node.args else "*")
        elif isinstance(node, ast.Subscript) and _dotted(node.value, names) == "os.environ":
            env.add(_constant(node.slice))
    modules = {name.split(".")[0] for name in names.values()}
    if "ctypes" in modules or "cffi" in modules:
        programs.add("*")
    if any(_dotted(node, names) == "os.environ" for node in _bare_uses(nodes)):
        env.add("*")
    texts = [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    hosts = {host for text in texts for host in _URL.findall(text)}
    talks = bool(modules & _words("network") - {"urllib", "http"}) or any(
        name.startswith(("urllib.request", "http.client", "http.server")) for name in names.values()
    )
    return Capabilities(
        programs=tuple(sorted(programs)),
        env=tuple(sorted(env)),
        hosts=tuple(sorted(hosts or {"*"})) if talks else (),
        paths=tuple(sorted({p for text in texts for p in _places(text)})),
        agent=_agent("\n".join(texts)),
    )


def _imported(nodes: list[ast.AST]) -> dict[str, str]:
    """Local name to the full name that an import gives it."""
    found: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {
                a.asname or a.name.split(".")[0]: a.name if a.asname else a.name.split(".")[0] for a in node.names
            }
            found |= {f"\0{a.name}": a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return found


def _dotted(node: ast.AST, names: dict[str, str]) -> str:
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value, names)}.{node.attr}"
    return ""


def _bare_uses(nodes: list[ast.AST]) -> Iterator[ast.AST]:
    """Names and attributes in which nothing is looked up: `os.environ` in `dict(os.environ)`, but not with a key."""
    inner = {id(n.value) for n in nodes if isinstance(n, ast.Subscript | ast.Attribute)}
    yield from (n for n in nodes if isinstance(n, ast.Attribute | ast.Name) and id(n) not in inner)


def _constant(node: ast.AST) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else "*"


def _started(call: ast.Call) -> str:
    """The program that a call starts; the interpreter itself counts as what is named after it does."""
    first = call.args[0] if call.args else next((k.value for k in call.keywords if k.arg == "args"), None)
    if isinstance(first, ast.List | ast.Tuple) and first.elts:
        first = first.elts[0]
    text = _constant(first) if first is not None else "*"
    words = text.split()
    return words[0].rsplit("/", 1)[-1] if words and not re.search(r"[|;&$`]", text) else "*"


def _of_shell(code: str) -> Capabilities:
    code = re.sub(r"(?m)(?:^|\s)#.*$", "", code.replace("\\\n", " "))
    programs = {word.rsplit("/", 1)[-1] for _, word in _WORD.findall(code) if word not in _words("shell_words")}
    if re.search(r"\b(?:eval|source)\s|\|\s*(?:ba|z)?sh\b", code):
        programs.add("*")
    own = {*_ASSIGNED.findall(code), *_words("ordinary")}
    hosts = set(_URL.findall(code))
    return Capabilities(
        programs=tuple(sorted(p for p in programs if p and not p.startswith("-"))),
        env=tuple(sorted({name for name in _VARIABLE.findall(code) if name not in own})),
        hosts=tuple(sorted(hosts or {"*"})) if _SHELL_NETWORK.search(code) else (),
        paths=tuple(
            sorted({p for word in re.split(r"[\s\"'=:;|&<>()]+", _HOME.sub("~", code)) for p in _places(word)})
        ),
        agent=_agent(code),
    )


def _of_other(code: str) -> Capabilities:
    """A language that is not read: what its texts and the usual names of its environment give away."""
    hosts = set(_URL.findall(code))
    env = set(re.findall(r"(?:process\.env\.|ENV\[['\"]|getenv\W{2})([A-Za-z_]\w{2,})", code))
    return Capabilities(hosts=tuple(sorted(hosts)), env=tuple(sorted(env)), agent=_agent(code))


def _places(text: str) -> list[str]:
    whole = _PLACE.fullmatch(text) and not _NEUTRAL.fullmatch(text)
    return [text] if whole and (text[0] == "~" or text.count("/") + text.count("\\") >= 2) else []


def _agent(text: str) -> tuple[str, ...]:
    return tuple(sorted(name for name, pattern in _AGENT if pattern.search(text)))
