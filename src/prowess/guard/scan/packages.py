"""The package pass: where a skill installs from, and names that imitate others."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

from prowess.guard.scan.flow import hosts, words
from prowess.guard.scan.rules import Hit, tables

_INSTALL = re.compile(
    r"\b(?:pip[0-9.]{0,4}|pipx|uv(?:\s+pip|\s+tool)?|poetry|conda|mamba|npm|pnpm|yarn|bun|npx|bunx|uvx|gem|cargo|go|brew|python[0-9.]{0,4}\s+-m\s+pip)\s+"
    r"(?:-\S{1,30}\s+){0,3}(?:install|i|add|get|tap|exec|dlx|download|\S{0,80}://|-y|--yes)(?:\\\n|[^\n|;&]){0,400}",
    re.IGNORECASE,
)
_DIRECT = re.compile(
    r"(?<![\w+])https?://[^\s'\"`]{4,300}\.(?:whl|tar\.gz|tgz|zip|tar\.bz2|gem|crate)\b", re.IGNORECASE
)
_VCS = re.compile(
    r"\b(?:git|hg|svn|bzr)\+(?:https?|ssh|file)://\S{3,200}|(?<=\s)(?:git@|github:)\S{3,200}", re.IGNORECASE
)
_INDEX = re.compile(
    r"--(?:extra-)?index-url[=\s]+\S{3,200}|--registry[=\s]+\S{3,200}|(?<=\s)-i\s+https?://\S{3,200}|--find-links[=\s]+https?://\S{3,200}|--source\s+https?://\S{3,200}",
    re.IGNORECASE,
)
_SILENT = re.compile(r"\bnpx\s{1,5}(?:-y|--yes)\b|\b(?:bunx|uvx|pipx\s+run)\s+\S")
_PINNED = re.compile(r"@[0-9a-f]{7,40}\b|@v?\d+\.\d+|#[0-9a-f]{7,40}")
_CONFIG = re.compile(
    r"^[ \t]*(?:index-url|extra-index-url|registry)\s*=\s*(https?://\S{3,200})", re.IGNORECASE | re.MULTILINE
)
_INTERNAL = re.compile(
    r"@[\w-]{0,30}(?:internal|corp|private|intranet)[\w-]{0,20}/[\w.-]{1,60}"
    r"|(?<![\w/.-])(?:internal|my-?corp|my-?company|acme|corp|private|company|intranet)[-_][a-z0-9]+(?:[-_][a-z0-9]+){0,4}\b",
    re.IGNORECASE,
)
_IMPORT = re.compile(r"^[ \t]*(?:from|import)\s+([A-Za-z_]\w{2,60})", re.MULTILINE)
_REQUIREMENT = re.compile(r"^[ \t]*([A-Za-z][\w.-]{2,60})\s*(?:\[[\w,]{1,60}\])?\s*(?:[=<>~!]=|$|;|@)", re.MULTILINE)
_DIGITS: Final = {"o": "0", "l": "1", "i": "1", "e": "3", "a": "4", "s": "5"}
_WORDS: Final = words(
    "clause clauses openapi axis discard manages builders reader leader header docket slacks loaded parsed marked"
    " urllib stripes scanned"
)
"""Proper words and packages that lie one slip beside a well-known name."""
_PACKAGE: Final = re.compile(r"(?:@[\w-]{1,40}/)?[A-Za-z][\w.-]{2,60}")


def packages(text: str, code: bool) -> Iterator[Hit]:
    """Hits in text that may hold commands of package managers.

    Args:
        code: The text is a program or a command, not a sentence.
    """
    for match in _INSTALL.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        yield from _command(match.group(), line)
    if code:
        for match in _CONFIG.finditer(text):
            if not _known(match[1]):
                yield Hit("supply-index", text.count("\n", 0, match.start()) + 1, match.group())


def _command(text: str, line: int) -> Iterator[Hit]:
    for pattern, unknown in ((_INDEX, "supply-index"), (_DIRECT, "supply-direct")):
        for match in pattern.finditer(text):
            if pattern is _DIRECT and (
                match.start()
                and text[max(0, match.start() - 30) : match.start()].rstrip().endswith(("index-url", "registry", "="))
            ):
                continue
            if _known(match.group()) or not hosts(match.group()):
                yield Hit("supply", line, match.group())
            else:
                yield Hit(unknown, line, text)
            break
    if (match := _VCS.search(text)) is not None and not _PINNED.search(match.group()):
        yield Hit("supply", line, match.group())
    if (match := _SILENT.search(text)) is not None and not _PINNED.search(text):
        yield Hit("supply", line, text)
    for word in text.split()[1:]:
        yield from imitation(
            re.split(r"[=<>~!\[@]", word.strip("'\"`,").lstrip("@"))[0] if "/" not in word else word.strip("'\"`,"),
            line,
        )
    if (match := _INTERNAL.search(text)) is not None:
        yield Hit("internal-package", line, match.group())


def imports(text: str) -> Iterator[Hit]:
    """Imports of modules that imitate others or are named as private ones."""
    for match in _IMPORT.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        yield from imitation(match[1], line)
        if _INTERNAL.fullmatch(match[1].replace("_", "-")):
            yield Hit("internal-package", line, match.group())


def requirements(text: str) -> Iterator[Hit]:
    """Hits in a requirements file."""
    for match in _REQUIREMENT.finditer(text):
        yield from imitation(match[1], text.count("\n", 0, match.start()) + 1)
    for n, line in enumerate(text.split("\n"), 1):
        yield from _command(f"pip install {line}", n) if "://" in line or line.startswith("-") else ()


@dataclass(frozen=True, slots=True)
class Near:
    """A well-known name that another one is a single slip away from."""

    name: str
    told: bool
    """The slip hardly makes a word of its own: two letters swapped, one doubled, a digit for a letter."""


def imitated(name: str) -> Near | None:
    """The well-known name that `name`, or one of its parts, is a slip away from."""
    if not _PACKAGE.fullmatch(name):
        return None
    bare = name.lower().removeprefix("@")
    for part in dict.fromkeys([*bare.split("/"), *re.split(r"[-_./]", bare)]):
        if len(part) >= 5 and part not in tables().names and (near := _slips().get(part)) is not None:
            return near
    return None


def imitation(name: str, line: int) -> Iterator[Hit]:
    """The hit for a name that imitates another one."""
    if (near := imitated(name)) is not None:
        yield Hit("typosquat" if near.told else "near-name", line, f"{name} looks like {near.name}")


@cache
def _slips() -> dict[str, Near]:
    """Every misspelling by one slip of the names that are long enough to tell."""
    found: dict[str, Near] = {}
    letters = "abcdefghijklmnopqrstuvwxyz"
    for name in (n for n in tables().names if len(n) >= 6):
        for i, letter in enumerate(name):
            before, after = name[:i], name[i + 1 :]
            if after and after[0] != letter:
                found[before + after[0] + letter + after[1:]] = Near(name, True)
            found[before + letter + letter + after] = Near(name, True)
            if letter in _DIGITS:
                found[before + _DIGITS[letter] + after] = Near(name, True)
            if before and after:  # other ends are other words: analyze, analyzed
                found.setdefault(before + after, Near(name, False))
                for other in letters:
                    found.setdefault(before + other + after, Near(name, False))
    for word in (*tables().names, *_WORDS):
        found.pop(word, None)
    return found


def _known(text: str) -> bool:
    found = hosts(text)
    return all(
        h == "$" or any(h == r or h.endswith("." + r) or h.split(":")[0] == r for r in tables().registries)
        for h in found
    )
