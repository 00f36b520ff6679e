"""The package pass: where a skill installs from, and names that imitate others."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from prowess.guard.scan.flow import hosts
from prowess.guard.scan.rules import Hit, tables

_INSTALL = re.compile(
    r"\b(?:pip[0-9.]{0,4}|pipx|uv(?:\s+pip|\s+tool)?|poetry|conda|mamba|npm|pnpm|yarn|bun|npx|bunx|uvx|gem|cargo|go|brew|python[0-9.]{0,4}\s+-m\s+pip)\s+"
    r"(?:-\S{1,30}\s+){0,3}(?:install|i|add|get|tap|exec|dlx|download|\S{0,80}://|-y|--yes)(?:\\\n|[^\n|;&]){0,400}",
    re.IGNORECASE,
)
_DIRECT = re.compile(r"(?<![\w+])https?://[^\s'\"`]{4,300}\.(?:whl|tar\.gz|tgz|zip|tar\.bz2|gem|crate)\b", re.IGNORECASE)
_VCS = re.compile(r"\b(?:git|hg|svn|bzr)\+(?:https?|ssh|file)://\S{3,200}|(?<=\s)(?:git@|github:)\S{3,200}", re.IGNORECASE)
_INDEX = re.compile(r"--(?:extra-)?index-url[=\s]+\S{3,200}|--registry[=\s]+\S{3,200}|(?<=\s)-i\s+https?://\S{3,200}|--find-links[=\s]+https?://\S{3,200}|--source\s+https?://\S{3,200}", re.IGNORECASE)
_SILENT = re.compile(r"\bnpx\s{1,5}(?:-y|--yes)\b|\b(?:bunx|uvx|pipx\s+run)\s+\S")
_PINNED = re.compile(r"@[0-9a-f]{7,40}\b|@v?\d+\.\d+|#[0-9a-f]{7,40}")
_CONFIG = re.compile(r"^[ \t]*(?:index-url|extra-index-url|registry)\s*=\s*(https?://\S{3,200})", re.IGNORECASE | re.MULTILINE)
_INTERNAL = re.compile(
    r"@[\w-]{0,30}(?:internal|corp|private|intranet)[\w-]{0,20}/[\w.-]{1,60}"
    r"|(?<![\w/.-])(?:internal|my-?corp|my-?company|acme|corp|private|company|intranet)[-_][a-z0-9]+(?:[-_][a-z0-9]+){0,4}\b",
    re.IGNORECASE,
)
_IMPORT = re.compile(r"^[ \t]*(?:from|import)\s+([A-Za-z_]\w{2,60})", re.MULTILINE)
_REQUIREMENT = re.compile(r"^[ \t]*([A-Za-z][\w.-]{2,60})\s*(?:\[[\w,]{1,60}\])?\s*(?:[=<>~!]=|$|;|@)", re.MULTILINE)
_WORDS: Final = "manages builders reader leader header docket slacks loaded parsed marked urllib notion stripes scanned"
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
            if pattern is _DIRECT and (match.start() and text[max(0, match.start() - 30) : match.start()].rstrip().endswith(("index-url", "registry", "="))):
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
        if (near := imitated(word.strip("'\"`,").split("==")[0])) is not None:
            yield Hit("typosquat", line, f"{word} looks like {near}")
    if (match := _INTERNAL.search(text)) is not None:
        yield Hit("internal-package", line, match.group())


def imports(text: str) -> Iterator[Hit]:
    """Imports of modules that imitate others or are named as private ones."""
    for match in _IMPORT.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        if (near := imitated(match[1])) is not None:
            yield Hit("typosquat", line, f"{match[1]} looks like {near}")
        elif _INTERNAL.fullmatch(match[1].replace("_", "-")):
            yield Hit("internal-package", line, match.group())


def requirements(text: str) -> Iterator[Hit]:
    """Hits in a requirements file."""
    for match in _REQUIREMENT.finditer(text):
        if (near := imitated(match[1])) is not None:
            yield Hit("typosquat", text.count("\n", 0, match.start()) + 1, f"{match[1]} looks like {near}")
    for n, line in enumerate(text.split("\n"), 1):
        yield from _command(f"pip install {line}", n) if "://" in line or line.startswith("-") else ()


def imitated(name: str) -> str | None:
    """The well-known name from which `name`, or one of its parts, is a single slip away: a letter more, less, other, or two swapped."""
    bare = name.lower().rsplit("/", 1)[-1]
    scope = name.lower().split("/")[0].lstrip("@") if name.startswith("@") else ""
    if not _PACKAGE.fullmatch(name):
        return None
    for part in {bare, scope, *bare.replace("_", "-").replace(".", "-").split("-")}:
        if len(part) >= 5 and part not in _known_names() and (near := _slips().get(part)) is not None:
            return near
        if len(part) >= 6 and part not in _known_names():
            for i in range(len(part)):  # a letter too many
                if part[:i] + part[i + 1 :] in _known_names() and 0 < i < len(part) - 1:
                    return part[:i] + part[i + 1 :]
    return None


@cache
def _known_names() -> frozenset[str]:
    return frozenset(tables().names)


@cache
def _slips() -> dict[str, str]:
    """Every misspelling by one swap, one missing or one other letter, of the names that are long enough to tell."""
    found: dict[str, str] = {}
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    for name in _known_names():
        if len(name) < 6:
            continue
        for i in range(len(name)):
            if i + 1 < len(name):
                found.setdefault(name[:i] + name[i + 1] + name[i] + name[i + 2 :], name)
            if 0 < i < len(name) - 1:  # other ends are other words: analyze, analyzed
                found.setdefault(name[:i] + name[i + 1 :], name)
                for letter in letters:
                    found.setdefault(name[:i] + letter + name[i + 1 :], name)
    for name in _known_names():
        found.pop(name, None)
    # Proper words that happen to lie beside a name.
    for word in _WORDS.split():
        found.pop(word, None)
    return found


def _known(text: str) -> bool:
    found = hosts(text)
    return all(h == "$" or any(h == r or h.endswith("." + r) or h.split(":")[0] == r for r in tables().registries) for h in found)
