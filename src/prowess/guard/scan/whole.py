"""What only shows when the whole skill is seen: its size and name, what it reads together, findings near each other."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final, NamedTuple

from prowess.guard.scan import packages
from prowess.guard.scan.hidden import plain
from prowess.guard.scan.rules import Finding, rules
from prowess.library.disk import COUNT_CAP, FOLDER_CAP

SKILL_CAP: Final = 5_000_000
"""Bytes of all files of a skill together from which on a person should look; libraries take up to `FOLDER_CAP`."""
FILES_CAP: Final = 200
"""Files of a skill, likewise; libraries take up to `COUNT_CAP`."""
_OTHERS: Final = frozenset(["aws", "gcloud", "azure", "kube", "terraform", "keys", "browser", "packages"])
"""Stores that have nothing to do with logging in by ssh."""
_HARVEST: Final = 3
"""Kinds of stores of credentials that no honest skill reads together."""

_TOGETHER: Final = 25
"""Lines within which two findings belong to one thing."""
_PAIRS: Final = 200
_BUNDLED = re.compile(
    r"\b(?:bundled|companion|included|accompanying|ships?\s+(?:alongside|with)|provided|alongside\s+this\s+skill|setup\s+script)\b",
    re.IGNORECASE,
)
_STARTED = re.compile(
    r"(?:^|[\s;&|`])(?:(?:bash|sh|zsh|source|\.)\s+(?:-\w{1,4}\s+)?)?(\.{0,2}/?(?:[\w.-]{1,40}/){0,4}[\w.-]{1,60}\.sh)\b",
    re.MULTILINE,
)
_RUNS_DATA = re.compile(
    r"(?<![.\w])(?:exec|eval|compile)\(|\bnew\s+Function\(|\bmarshal\.loads?\(|\b(?:c?pickle|dill|cloudpickle|joblib)\.loads?\("
    r"|\bsys\.path\.(?:insert|append)\(|\bzipimport\b|\brunpy\.|\bspec_from_file_location\(|\b(?:CDLL|LoadLibrary)\(|\bvm\.run"
)
_UNPACKS = re.compile(
    r"\b(?:tar|bsdtar|unzip|gunzip|gzip|zcat|bzcat|bunzip2|xz|xzcat|zstd|zstdcat|7z\w?|unrar|openssl|gpg|base64|xxd|tail|dd|cpio)\b"
)
_STARTS = re.compile(
    r"\|[ \t]{0,9}(?:sudo[ \t]{1,9})?(?:(?:ba|z|da|k)?sh|python[\d.]{0,4}|node|perl|ruby)\b"
    r"|(?:^|[;&|(])[ \t]{0,40}(?:sudo[ \t]{1,9})?"
    r"(?:(?:(?:ba|z|da|k)?sh|source|\.|python[\d.]{0,4}|node|perl|ruby|chmod[ \t]{1,9}\+x)"
    r"[ \t]{1,9}(?:-[^\scem]\w{0,9}[ \t]{1,9})?[\"']?([\w./${}][\w./${}-]{0,200})|\./([\w./-]{1,200}))",
    re.MULTILINE,
)
_UNBROKEN = re.compile(r"(?<!\S)\S{400,}")
_READABLE: Final = (".js", ".mjs", ".cjs", ".css", ".svg", ".html", ".ipynb")
"""Text that has long lines by nature."""


class Seen(NamedTuple):
    """Something about the skill, and where it shows best."""

    rule: str
    file: str
    line: int
    text: str


def sizes(files: Mapping[str, bytes]) -> Iterator[Seen]:
    """More than any skill needs."""
    size = sum(map(len, files.values()))
    if size > SKILL_CAP or len(files) > FILES_CAP:
        rule = "too-large" if size > FOLDER_CAP or len(files) > COUNT_CAP else "large"
        yield Seen(rule, "", 0, f"{size} bytes in {len(files)} files")


def harvest(touched: Mapping[str, tuple[str, int]]) -> Iterator[Seen]:
    """Credentials from several places.

    Args:
        touched: Stores of credentials that programs read, and where.
    """
    keys = "ssh" in touched and touched.keys() & _OTHERS
    if len(touched) >= _HARVEST or keys:
        path, line = min(touched.values())
        yield Seen("harvest", path, line, f"reads {', '.join(sorted(touched))}")


def together(found: Iterable[Finding]) -> Iterator[Seen]:
    """Findings that mean more where they stand near each other."""
    known = list(found)
    for rule in rules().values():
        if not rule.together:
            continue
        first, *others = rule.together
        firsts = [f for f in known if f.rule == first][:_PAIRS]
        seconds = [f for f in known if f.rule in others][:_PAIRS]
        near = [(f, g) for f in firsts for g in seconds if f.file == g.file and abs(f.line - g.line) <= _TOGETHER]
        if near:
            left, right = min(near, key=lambda pair: (pair[1].file, pair[1].line, pair[0].line, pair[1].rule))
            yield Seen(rule.id, right.file, right.line, f"{left.excerpt} — and: {right.excerpt}")


def missing_script(body: str, files: Iterable[str]) -> Iterator[Seen]:
    """A script that the text says is there, and is not."""
    names = {PurePosixPath(path).name for path in files}
    for match in _STARTED.finditer(body) if ".sh" in body and _BUNDLED.search(body) else ():
        if PurePosixPath(match[1]).name not in names and not match[1].startswith("/"):
            yield Seen("missing-script", "SKILL.md", body.count("\n", 0, match.start(1)) + 1, match[1])
            return


def opaque(path: str, text: str | None) -> bool:
    """Whether nobody can read a file: it is no text, or mostly one unbroken line."""
    if text is None:
        return True
    longest = max(_UNBROKEN.findall(text), key=len, default="")
    return 2 * len(longest) > len(text) and not path.endswith(_READABLE)


def packed(
    programs: Iterable[tuple[str, int, str]], unreadable: Iterable[str], readable: Iterable[str]
) -> Iterator[Seen]:
    """A program that runs what lies in a file that nobody can read: what it does was not looked at, whatever it says.

    Args:
        programs: File, line and text of each.
        unreadable: Paths of the files that `opaque` is true of.
        readable: Paths of all others.
    """
    sealed = {PurePosixPath(path).name for path in unreadable}
    known = {PurePosixPath(path).name for path in readable}
    for path, line, text in programs if sealed else ():
        for name in sorted(name for name in sealed if name in text):
            if (match := _RUNS_DATA.search(text)) is None and (_unpacked := _unpacking(text, name)) is not None:
                starts = (
                    m for m in _STARTS.finditer(text, _unpacked) if PurePosixPath(m[1] or m[2] or "").name not in known
                )
                match = next(starts, None)
            if match is not None:
                shown = text[match.start() : match.start() + 80].strip().partition("\n")[0]
                yield Seen("packed-code", path, line + text.count("\n", 0, match.start()), f"{shown} — with {name}")
                return


def _unpacking(text: str, name: str) -> int | None:
    """Where the line begins that unpacks the file of this name."""
    at = text.find(name)
    while at >= 0:
        begin, end = text.rfind("\n", 0, at) + 1, text.find("\n", at)
        if _UNPACKS.search(text, begin, end if end >= 0 else len(text)):
            return begin
        at = text.find(name, end) if end >= 0 else -1
    return None


def named(name: str) -> Iterator[Seen]:
    """A name that imitates another one, or is written in strange letters."""
    for hit in packages.imitation(name, 0) if name else ():
        yield Seen(hit.rule, "SKILL.md", hit.line, hit.text)
    if name and (name != plain(name) or not name.isascii()):
        yield Seen("name", "SKILL.md", 0, name)
