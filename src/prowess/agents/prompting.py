"""How skills and task files are shown to a model, and how a program is taken from its answer.

Skills are data: they stand between tags that their own text cannot close. Nothing here runs or evaluates model text.
"""

import ast
import re
import textwrap
from xml.sax.saxutils import escape, quoteattr

from prowess.core.skill import Skill
from prowess.core.task import File

MAX_PROGRAM = 100_000
"""Characters; a longer answer holds no program worth running."""

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([\w+.-]*)[^\n`]*$", re.MULTILINE)
_PYTHON = {"python", "py", "python3", "python3.11"}
_CLOSING = re.compile(r"<(?=/\s*skill)", re.IGNORECASE)
_CODE_START = re.compile(r"^(import |from \w|def |class |with |for |if |try:|#|@|[A-Za-z_][\w.]* ?=|print\()")
_TOKEN = re.compile(r"[A-Za-z_]\w*|\d+(?:\.\d+)?|\"[^\"\n]*\"|'[^'\n]*'|[^\s\w]")
_SHINGLE = 6


def skill_content(skill: Skill) -> str:
    """One skill's body as delimited data, with the names of its other files."""
    body = _CLOSING.sub("&lt;", skill.body).strip()
    resources = ""
    if skill.files:
        files = "".join(f"<file>{escape(f'skills/{skill.name}/{f.path}')}</file>" for f in skill.files)
        resources = f"\n<skill_resources>{files}</skill_resources>"
    return f"<skill_content name={quoteattr(skill.name)}>\n{body}{resources}\n</skill_content>"


def skill_files(skill: Skill) -> tuple[File, ...]:
    """The skill's other files at the places that `skill_content` names."""
    return tuple(File(path=f"skills/{skill.name}/{f.path}", data=f.data) for f in skill.files)


def preload(skills: tuple[Skill, ...]) -> str:
    """All bodies, one after the other; empty for none."""
    return "\n".join(skill_content(skill) for skill in skills)


def catalogue(skills: tuple[Skill, ...]) -> str:
    """Names and descriptions only; empty for none."""
    if not skills:
        return ""
    pairs = ((skill.name, escape(" ".join(skill.description.split()))) for skill in skills)
    entries = "\n".join(f"<skill><name>{n}</name><description>{d}</description></skill>" for n, d in pairs)
    return f"<available_skills>\n{entries}\n</available_skills>"


def code_blocks(text: str) -> list[tuple[str, str]]:
    """(language, content) of every fenced block; the last may be unclosed."""
    blocks: list[tuple[str, str]] = []
    position = 0
    while opening := _FENCE.search(text, position):
        fence, language = opening[1], opening[2].lower()
        start = min(opening.end() + 1, len(text))
        closing = re.compile(rf"^[ \t]*{re.escape(fence[0])}{{{len(fence)},}}[ \t]*$", re.MULTILINE).search(text, start)
        end = closing.start() if closing else len(text)
        blocks.append((language, textwrap.dedent(text[start:end]).strip("\n")))
        position = closing.end() if closing else len(text)
    return blocks


def extract_program(answer: str) -> str | None:
    """The Python program in a model's answer, or None.

    The longest block marked as Python, else the longest unmarked block that parses; without a fence, the answer itself
    or what follows its first line of code, if that parses.
    """
    answer = answer.replace("\r\n", "\n")[:MAX_PROGRAM]
    blocks = code_blocks(answer)
    for candidates in (
        [content for language, content in blocks if language in _PYTHON],
        [content for language, content in blocks if not language and parses(content)],
    ):
        if found := max(candidates, key=len, default=""):
            return found + "\n"
    if blocks:
        return None
    lines = answer.strip().splitlines()
    start = next((i for i, line in enumerate(lines) if _CODE_START.match(line)), None)
    if start is None:
        return None
    for end in range(len(lines), max(start, len(lines) - 8), -1):
        program = "\n".join(lines[start:end]).rstrip()
        if parses(program):
            return program + "\n"
    return None


def parses(program: str) -> bool:
    """Whether `program` is Python that does something. It is compiled to a tree, never run."""
    try:
        body = ast.parse(program).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(not isinstance(node, ast.Expr) or isinstance(node.value, ast.Call | ast.Await) for node in body)


def used_skills(skills: tuple[Skill, ...], answer: str) -> tuple[str, ...]:
    """Names of the skills whose name stands in `answer`, or whose snippets share a distinctive part with it.

    A heuristic: at least a fifth, and at least four, of the six-token sequences of a skill's code blocks that hold
    something other than imports are in the answer.
    """
    ours = _shingles(answer)
    used: list[str] = []
    for skill in skills:
        theirs: set[tuple[str, ...]] = set()
        for _, content in code_blocks(skill.body):
            theirs |= _shingles(content)
        shared = len(theirs & ours)
        named = re.search(rf"(?<![\w-]){re.escape(skill.name)}(?![\w-])", answer)
        if named or (shared >= 4 and shared >= 0.2 * len(theirs)):
            used.append(skill.name)
    return tuple(used)


def _shingles(code: str) -> set[tuple[str, ...]]:
    lines = [line for line in code.splitlines() if not line.lstrip().startswith(("import ", "from ", "#", "```"))]
    tokens = _TOKEN.findall("\n".join(lines))
    return {tuple(tokens[i : i + _SHINGLE]) for i in range(len(tokens) - _SHINGLE + 1)}
