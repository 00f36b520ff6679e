"""Cheap checks of a skill's text: what is surely broken, and what is likely to make it useless. No model, no execution.

The format gate asks whether a skill may be written; this asks whether it can work. An *error* is a fact about the
folder. A *warning* is an opinion about words, in English, and never stops a patch by itself.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, Literal

from prowess.core.skill import Skill
from prowess.core.task import Task
from prowess.library.sections import links, prose

LINES: Final = 500
"""Most lines of a body that the Agent Skills specification advises; longer text belongs in references/."""
CHARACTERS: Final = 20_000
"""The 5,000 tokens that it advises, at four characters each."""
_PARSED: Final = 100_000
"""Bytes of a script that are parsed; a longer one passes unread."""
_TRIGGER = re.compile(r"\b(?:use|used|when|whenever|if|for|before|after|asks?|asked|trigger\w*)\b", re.IGNORECASE)
_EXAMPLE = re.compile(r"\b(?:e\.g|such as|for example|for instance|like)\b", re.IGNORECASE)
_OWN_FILE = re.compile(r"(?<![\w./-])(?:\./)?((?:scripts|references|assets)/[\w./-]*\w)")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong."""

    severity: Literal["error", "warning"]
    file: str
    what: str


def lint(skill: Skill, leaks: Iterable[str] = ()) -> list[Problem]:
    """What is wrong with `skill`, errors first.

    Args:
        skill: What to look at.
        leaks: Names that belong to one task alone (`names_of_one_task`), so that no rule may rest on them.
    """
    found = [*_body(skill), *_references(skill), *_scripts(skill), *_leaks(skill, leaks)]
    if not _TRIGGER.search(skill.description):
        found.append(Problem("warning", "SKILL.md", "the description does not say when to use the skill"))
    return sorted(found, key=lambda p: (p.severity != "error", p.file, p.what))


def names_of_one_task(tasks: Iterable[Task]) -> frozenset[str]:
    """Files of `tasks`, read or written, that no other task of the same family has.

    A name that two tasks share may be a rule of the house; of a family with a single task nothing can be said.
    """
    names: dict[str, Counter[str]] = {}
    sizes: Counter[str] = Counter()
    for task in {task.digest: task for task in tasks}.values():
        sizes[task.family] += 1
        names.setdefault(task.family, Counter()).update({*(f.path for f in task.files), *task.outputs})
    found = {name for family, counts in names.items() if sizes[family] > 1 for name, n in counts.items() if n == 1}
    return frozenset(name for name in found if "." in name and len(name) > 4)


def _body(skill: Skill) -> list[Problem]:
    lines, characters = skill.body.count("\n"), len(skill.body)
    if lines <= LINES and characters <= CHARACTERS:
        return []
    size = f"{lines} lines and {characters} characters"
    what = f"the body has {size}; at most {LINES} and {CHARACTERS} are advised, move the rest to references/"
    return [Problem("error", "SKILL.md", what)]


def _references(skill: Skill) -> list[Problem]:
    """Files of its own that the skill points to and does not have."""
    there = {file.path for file in skill.files} | {"SKILL.md"}
    there |= {str(parent) for path in there for parent in PurePosixPath(path).parents}
    texts = {"SKILL.md": skill.body} | {f.path: f.text for f in skill.files if f.path.endswith(".md")}
    found: set[tuple[str, str]] = set()
    for path, text in texts.items():
        folder = PurePosixPath(path).parent
        found |= {(path, str(folder / link)) for link in links(text)}
        if path == "SKILL.md":
            found |= {(path, match[1]) for match in _OWN_FILE.finditer(text)}
    return [
        Problem("error", path, f"points to {target!r}, which the skill does not have")
        for path, target in sorted(found)
        if target.rstrip("/") not in there and ".." not in target
    ]


def _scripts(skill: Skill) -> list[Problem]:
    """Python that is none. Files in assets/ may be templates, and are passed over."""
    found: list[Problem] = []
    for file in skill.files:
        if not file.path.endswith(".py") or file.path.startswith("assets/") or len(file.data) > _PARSED:
            continue
        try:
            ast.parse(file.data.decode())
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            reason = error.msg if isinstance(error, SyntaxError) else str(error) or "nested too deep"
            where = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
            found.append(Problem("error", file.path, f"does not parse as Python{where}: {reason[:80]}"))
    return found


def _leaks(skill: Skill, leaks: Iterable[str]) -> list[Problem]:
    """Rules that name a file of one task. Code may, as an example that is adapted; so may a line that says so."""
    lines = [line for line in (skill.description + "\n" + prose(skill.body)).splitlines() if not _EXAMPLE.search(line)]
    text = "\n".join(lines)
    return [
        Problem("error", "SKILL.md", f"names {name!r}, a file of one task, in a rule")
        for name in sorted(leaks)
        if re.search(rf"(?<![\w./-]){re.escape(name)}(?![\w-]|\.\w)", text)
    ]
