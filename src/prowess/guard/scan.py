"""The first look at a skill before it is accepted: fixed rules over its text, no model and no execution.

A finding blocks, or asks for a person's review. The opposite does not hold: a skill without findings has not been shown
to be safe, and nothing may trust it more for that. Static rules miss packed, split and paraphrased attacks.
"""

import re
import tomllib
import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final, Literal

from prowess.core.base import Frozen
from prowess.core.skill import Skill
from prowess.library.skillmd import render

Severity = Literal["block", "review"]

TEXT_CAP: Final = 200_000
"""Characters of one file that the rules read; a longer file is a finding of its own."""
SKILL_CAP: Final = 2_000_000
"""Bytes of all files of a skill together."""
FILES_CAP: Final = 100
_LINE_CAP: Final = 2_000
"""Longer lines are read in pieces that overlap by `_OVERLAP`."""
_OVERLAP: Final = 500
_BEFORE: Final = 100


class Rule(Frozen):
    """One thing to look for in a line of text; the file `scan.toml` says how."""

    id: str
    severity: Severity
    why: str
    patterns: tuple[str, ...]
    before: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that fired."""

    rule: str
    severity: Severity
    why: str
    file: str
    line: int
    """From 1; 0 for the file as a whole."""
    excerpt: str
    """What fired, printable, at most 80 characters."""


@cache
def rules() -> tuple[Rule, ...]:
    """All rules, with their parts filled in."""
    table = tomllib.loads(files("prowess.guard").joinpath("scan.toml").read_text("utf-8"))

    def filled(pattern: str) -> str:
        for name, part in table["parts"].items():
            pattern = pattern.replace(f"{{{name}}}", part)
        return pattern

    found = [Rule.model_validate(row) for row in table["rules"]]
    return tuple(
        rule.model_copy(
            update={"patterns": tuple(map(filled, rule.patterns)), "before": tuple(map(filled, rule.before))}
        )
        for rule in found
    )


@cache
def _compiled() -> tuple[tuple[Rule, re.Pattern[str], re.Pattern[str] | None], ...]:
    def either(patterns: tuple[str, ...]) -> re.Pattern[str]:
        return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)

    return tuple((rule, either(rule.patterns), either(rule.before) if rule.before else None) for rule in rules())


_HIDDEN: Final = (
    ("tag characters", re.compile("[\U000e0000-\U000e007f]")),
    ("bidirectional controls", re.compile("[\u202a-\u202e\u2066-\u2069]")),
    ("a run of invisible characters", re.compile("[\u200b-\u200d\u2060-\u2064\u180e\ufeff\u00ad\ufe00-\ufe0d]{4,}")),
    ("invisible characters inside a word", re.compile("[A-Za-z][\u200b-\u200d\u2060\u00ad\ufeff]+[A-Za-z]")),
    ("many variation selectors", re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{3,}")),
)
_FLAG = re.compile("\U0001f3f4[\U000e0061-\U000e007a\U000e0030-\U000e0039]{1,6}\U000e007f")
"""The flags of England, Scotland, Wales and the like are the one proper use of tag characters."""


def scan(skill: Skill) -> list[Finding]:
    """Everything the rules find in SKILL.md and the other files, blocks first, then by file and line."""
    found = _sizes(skill)
    texts = {"SKILL.md": render(skill)}
    for file in skill.files:
        try:
            texts[file.path] = file.data.decode()
        except UnicodeDecodeError:
            if file.path.endswith((".md", ".txt", ".py", ".sh", ".js", ".ts", ".json", ".toml", ".yaml", ".yml")):
                found.append(Finding("unreadable", "review", "a text file that is not UTF-8", file.path, 0, ""))
            elif file.data[:4] in (b"\x7fELF", b"MZ\x90\x00", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe"):
                found.append(Finding("binary", "block", "holds a compiled program", file.path, 0, ""))
            elif file.data[:4] in (b"PK\x03\x04", b"\x1f\x8b\x08\x00", b"7z\xbc\xaf", b"Rar!"):
                found.append(Finding("binary", "review", "holds an archive that is not looked into", file.path, 0, ""))
    for path, text in texts.items():
        found += _scan_text(path, text)
    return sorted(set(found), key=lambda f: (f.severity != "block", f.file, f.line, f.rule, f.excerpt))


def _scan_text(path: str, text: str) -> list[Finding]:
    found: list[Finding] = []
    if len(text) > TEXT_CAP:
        found.append(Finding("size", "review", f"text beyond {TEXT_CAP} characters is not looked at", path, 0, ""))
        text = text[:TEXT_CAP]
    # Shells join lines that end in a backslash, so the rules must see them joined.
    joined = text.replace("\\\n", "  ")
    number = 1
    for line in joined.split("\n"):
        found += _hidden(path, number, line)
        plain = _plain(line)
        for start in range(0, max(len(plain), 1), _LINE_CAP - _OVERLAP):
            piece = plain[start : start + _LINE_CAP]
            for rule, pattern, before in _compiled():
                if (match := _match(piece, pattern, before)) is not None:
                    found.append(Finding(rule.id, rule.severity, rule.why, path, number, _excerpt(match)))
        number += 1
    for match in re.finditer(r"<!--(.{0,2000}?)-->", joined, re.DOTALL):
        if re.search(r"\b(?:must|always|never|run|execute|send|ignore|secretly)\b", match.group(1), re.IGNORECASE):
            line = joined.count("\n", 0, match.start()) + 1
            why = "gives orders in a comment that readers do not see"
            found.append(Finding("hidden-comment", "review", why, path, line, _excerpt(match.group(1))))
    return found


def _match(text: str, pattern: re.Pattern[str], before: re.Pattern[str] | None) -> str | None:
    for match in pattern.finditer(text):
        if before is None or before.search(text, max(0, match.start() - _BEFORE), match.start()):
            return match.group()
    return None


def _hidden(path: str, number: int, line: str) -> list[Finding]:
    if line.isascii():
        return []
    bare = _FLAG.sub("", line)
    return [
        Finding("hidden-text", "block", f"holds {what} that readers do not see", path, number, _excerpt(match.group()))
        for what, pattern in _HIDDEN
        if (match := pattern.search(bare))
    ]


def _sizes(skill: Skill) -> list[Finding]:
    found: list[Finding] = []
    size = len(skill.body) + sum(len(file.data) for file in skill.files)
    if size > SKILL_CAP:
        found.append(Finding("size", "block", f"larger than {SKILL_CAP} bytes in all", "", 0, str(size)))
    if len(skill.files) > FILES_CAP:
        found.append(Finding("size", "block", f"more than {FILES_CAP} files", "", 0, str(len(skill.files))))
    if len(skill.body.splitlines()) > 500:
        found.append(Finding("size", "review", "SKILL.md is longer than 500 lines", "SKILL.md", 0, ""))
    if skill.name != unicodedata.normalize("NFKC", skill.name) or not skill.name.isascii():
        found.append(
            Finding("name", "review", "the name may look like another one", "SKILL.md", 0, _excerpt(skill.name))
        )
    return found


def _plain(line: str) -> str:
    """The line as a reader takes it: compatibility forms folded, invisible characters dropped."""
    if line.isascii():
        return line
    folded = unicodedata.normalize("NFKC", line)
    return "".join(char for char in folded if unicodedata.category(char) not in ("Cf", "Mn"))


def _excerpt(text: str) -> str:
    shown = "".join(char if char.isprintable() else f"\\u{{{ord(char):x}}}" for char in text[:80])
    return shown[:80]
