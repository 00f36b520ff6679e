"""What of a skill can be run, and how: its scripts, the calls of them that its text shows, and its examples."""

import re
import shlex
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from prowess.agents.prompting import code_blocks
from prowess.core.skill import Skill
from prowess.core.task import File

MOST: Final = 16
"""Commands that are run of one skill."""
_INTERPRETERS = {".py": ("python",), ".sh": ("sh",), ".bash": ("bash",), ".js": ("node",), ".mjs": ("node",),
                 ".cjs": ("node",), ".rb": ("ruby",), ".pl": ("perl",)}  # fmt: skip
_SHEBANG = re.compile(rb"^#!\s*(?:/usr/bin/env\s+(?:-S\s+)?)?(?:\S*/)?(python|bash|sh|node|ruby|perl)")
_SHELL, _PYTHON = {"sh", "bash", "shell", "console", "zsh"}, {"python", "py", "python3"}
_INLINE = re.compile(r"(?<!`)`([^`\n]{3,300})`(?!`)")
_FILE = re.compile(
    r"(?<![\w/.~$:-])([\w][\w.-]*(?:/[\w.-]+)*\.(csv|tsv|json|jsonl|txt|md|log|ya?ml|html?|xml|ini|toml))\b"
)
_CONTENT = {
    "csv": "date,account,amount\n2026-01-03,rent,900\n2026-01-05,food,41.20\n2026-01-09,food,17.80\n",
    "tsv": "date\taccount\tamount\n2026-01-03\trent\t900\n",
    "json": '{"items": [{"name": "pen", "price": 2.5}, {"name": "ink", "price": 7}], "total": 9.5}\n',
    "jsonl": '{"name": "pen", "price": 2.5}\n{"name": "ink", "price": 7}\n',
    "md": "# Notes\n\n- Call the printer.\n- Send the figures.\n",
    "html": "<!doctype html><title>Page</title><p>Hello.</p>\n",
    "xml": "<list><item>pen</item></list>\n",
    "log": "2026-01-03 12:00:01 INFO started\n2026-01-03 12:00:02 ERROR disk slow\n",
    "toml": '[tool]\nname = "x"\n',
    "ini": "[tool]\nname = x\n",
    "txt": "First line.\nSecond line, with 3 numbers: 1, 2 and 4.\n",
}
_DOTTED = {"yaml": "name: x\nitems:\n  - pen\n", "yml": "name: x\n", "htm": "<p>Hello.</p>\n"}


@dataclass(frozen=True, slots=True)
class Command:
    """One thing to run in the project folder."""

    label: str
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is run of one skill, and what cannot be."""

    commands: tuple[Command, ...]
    inputs: tuple[File, ...]
    """Made-up files that its text speaks of, and a few usual ones, for the project folder."""
    unknown: tuple[str, ...]
    """Executable files of which it is not known how to run them."""


def plan(skill: Skill, folder: str) -> Plan:
    """What to run of `skill`, whose files lie in `folder` below the project."""
    scripts, unknown = _scripts(skill)
    shown = _shown(skill)
    commands: list[Command] = []
    for path, interpreter in scripts.items():
        whole = f"{folder}/{path}"
        calls = [arguments for line in shown if (arguments := _arguments(line, path)) is not None]
        # First as the text shows it, then bare, then with something to work on.
        for arguments in dict.fromkeys([*calls[:3], (), ("data.csv",), ("notes.txt", "out.txt")]):
            commands.append(Command(f"{path} {' '.join(arguments)}".strip(), (*interpreter, whole, *arguments)))
    for language, content in code_blocks(skill.body):
        if language in _SHELL:
            text = re.sub(r"^\s*\$ ", "", content, flags=re.MULTILINE)
            commands.append(
                Command(f"example: {text.strip().splitlines()[0][:80] if text.strip() else ''}", ("sh", "-c", text))
            )
        elif language in _PYTHON:
            commands.append(Command("example in Python", ("python", "-c", content)))
    return Plan(tuple(commands[:MOST]), _inputs(skill, shown), unknown)


def _scripts(skill: Skill) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Path to interpreter of every file that can be run, and those that look so and cannot."""
    found: dict[str, tuple[str, ...]] = {}
    unknown: list[str] = []
    for file in skill.files:
        path, shebang = PurePosixPath(file.path), _SHEBANG.match(file.data)
        if path.name == "__init__.py":
            continue
        if path.suffix in _INTERPRETERS:
            found[file.path] = _INTERPRETERS[path.suffix]
        elif shebang:
            found[file.path] = (shebang[1].decode(),)
        elif file.data.startswith((b"#!", b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")):
            unknown.append(file.path)
    return found, tuple(unknown)


def _shown(skill: Skill) -> list[str]:
    """Lines of code in the text, blocks and inline."""
    lines = [line for _, content in code_blocks(skill.body) for line in content.splitlines()]
    return [*lines, *_INLINE.findall(skill.body)]


def _arguments(line: str, script: str) -> tuple[str, ...] | None:
    """The arguments with which `line` calls the script; None where it does not."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return None
    for n, word in enumerate(words):
        if word == script or word.endswith("/" + script) or PurePosixPath(word).name == PurePosixPath(script).name:
            rest = words[n + 1 :]
            end = next((i for i, w in enumerate(rest) if w in ("|", "&&", "||", ";", ">", ">>", "<")), len(rest))
            return tuple(rest[:end])
    return None


def _inputs(skill: Skill, shown: list[str]) -> tuple[File, ...]:
    names = {found[1]: found[2] for line in shown for found in _FILE.finditer(line)}
    names |= {"data.csv": "csv", "notes.txt": "txt", "items.json": "json", "README.md": "md"}
    own = {file.path for file in skill.files}
    contents = {**_CONTENT, **_DOTTED}
    return tuple(
        File(path=name, data=contents[kind].encode())
        for name, kind in sorted(names.items())[:24]
        if name not in own and not name.startswith("skills/") and ".." not in name
    )
