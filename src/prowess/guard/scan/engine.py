"""The first look at a skill before it is accepted: fixed rules over its text, no model and no execution.

A finding blocks, or asks for a person's review; the two are never added up to a score. The opposite does not hold: a
skill without findings has not been shown to be safe, and nothing may trust it more for that. Static rules miss packed,
split and paraphrased attacks.

Work is bounded: by characters read, by patterns whose time grows with the text and not faster, and by a clock. What was
not read is a finding.
"""

import re
import shlex
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Final

from prowess.core.skill import Skill
from prowess.guard.redact import RULES as SECRETS
from prowess.guard.redact import entropy
from prowess.guard.redact import found as secrets_in
from prowess.guard.scan import packages, pycode, script
from prowess.guard.scan.configs import tool_servers
from prowess.guard.scan.flow import Labels, addresses, key, known_publisher, own_installer, stores
from prowess.guard.scan.hidden import encoded, hidden, plain
from prowess.guard.scan.rules import Finding, Hit, Told, finding, rules, search
from prowess.guard.scan.segments import PYTHON, SCRIPT, SHELL, Segment, describes, segments
from prowess.guard.scan.shellflow import ShellPass
from prowess.library.disk import COUNT_CAP, FOLDER_CAP
from prowess.library.skillmd import render

TEXT_CAP: Final = 200_000
"""Characters of one file that are read; a longer file is a finding of its own."""
TOTAL_CAP: Final = 2_000_000
"""Characters of all files together that are read."""
SKILL_CAP: Final = 5_000_000
"""Bytes of all files of a skill together from which on a person should look; libraries take up to `FOLDER_CAP`."""
FILES_CAP: Final = 200
"""Files of a skill, likewise; libraries take up to `COUNT_CAP`."""
SECONDS: Final = 1.0
"""Processor time after which no further part is read, which is a finding; the part at hand takes at most as long again.
A busy machine changes no result."""
_OTHERS: Final = frozenset(["aws", "gcloud", "azure", "kube", "terraform", "keys", "browser", "packages"])
"""Stores that have nothing to do with logging in by ssh."""
_HARVEST: Final = 3
"""Kinds of stores of credentials that no honest skill reads together."""

_BITS: Final = 2.9
"""Bits per character below which what has the form of a key is a placeholder."""
_SAMPLE = re.compile(
    r"(?i)^https?:|^[a-z_]+\(|^\w+\.\w+|example|sample|dummy|fake|test|your|placeholder|x{4}|0{6}|1234|abcd|redacted|\.\.\.|…"
)
_GUESSED = frozenset(
    [
        "assigned",
        "url-password",
        "authorization",
        "bearer-token",
        "cookie",
        "jwt",
        "twilio-key",
        "openai-key",
        "slack-webhook",
    ]
)
"""Kinds that are told by the words around them, or by a form that other texts have too."""
_INSTALLS: Final = frozenset(["told-remote", "encoded-command"])
_TOGETHER: Final = 25
"""Lines within which two findings belong to one thing."""
_PAIRS: Final = 200
_TEXT = (
    ".md",
    ".txt",
    ".py",
    ".sh",
    ".js",
    ".ts",
    ".json",
    ".toml",
    ".yaml",
    ".yml",
    ".cfg",
    ".ini",
    ".html",
    ".css",
    ".csv",
)
_PROGRAMS = (
    b"\x7fELF",
    b"MZ\x90\x00",
    b"\xca\xfe\xba\xbe",
    b"\xcf\xfa\xed\xfe",
    b"\xce\xfa\xed\xfe",
    b"\xfe\xed\xfa\xcf",
    b"\x00asm",
    b"dex\n",
)
_SEALED = (
    b"PK\x03\x04",
    b"\x1f\x8b",
    b"7z\xbc\xaf",
    b"Rar!",
    b"BZh",
    b"\xfd7zXZ",
    b"\x28\xb5\x2f\xfd",
    b"\x80\x04\x95",
    b"\x80\x05\x95",
)
_OFFICE = (".xlsx", ".docx", ".pptx", ".xlsm", ".odt", ".ods", ".epub", ".jar", ".npz", ".whl")
_READ = re.compile(
    r"\b(?:read|cat|copy|collect|gather|extract|dump|load|fetch|harvest|include|print|display|output|retrieve|upload|send)s?\b[^\n]{0,200}",
    re.IGNORECASE,
)
_BUNDLED = re.compile(
    r"\b(?:bundled|companion|included|accompanying|ships?\s+(?:alongside|with)|provided|alongside\s+this\s+skill|setup\s+script)\b",
    re.IGNORECASE,
)
_STARTED = re.compile(
    r"(?:^|[\s;&|`])(?:(?:bash|sh|zsh|source|\.)\s+(?:-\w{1,4}\s+)?)?(\.{0,2}/?(?:[\w.-]{1,40}/){0,4}[\w.-]{1,60}\.sh)\b",
    re.MULTILINE,
)


def scan(skill: Skill, *, learned: bool = False) -> list[Finding]:
    """Everything the rules find in SKILL.md and the other files, blocks first, then by file and line.

    Args:
        learned: The text was learned from runs, not written by a person; see `scan_change`.
    """
    files = {"SKILL.md": render(skill).encode("utf-8", "replace"), **{file.path: file.data for file in skill.files}}
    return scan_files(files, skill.name, learned=learned)


def scan_change(new: Skill, old: Skill | None) -> list[Finding]:
    """What `new` brings that `old` does not hold already, by the stricter rules for learned text.

    A person may explain attacks, or how to set an agent up. What a run says about such things it may have read in a
    hostile page: so nothing is excused as a description, and rules with `learned` weigh more.
    """
    held = {_key(f) for f in scan(old, learned=True)} if old is not None else set[tuple[str, str, str, str]]()
    return [f for f in scan(new, learned=True) if _key(f) not in held]


def _key(found: Finding) -> tuple[str, str, str, str]:
    """What a finding is, wherever in its file the text has moved."""
    return found.rule, found.severity, found.file, found.excerpt


def scan_files(
    files: Mapping[str, bytes], name: str = "", *, learned: bool = False, seconds: float = SECONDS
) -> list[Finding]:
    """`scan` for the files of a folder as they lie there, whether or not they make a valid skill.

    Args:
        files: Path to content.
        name: The skill's name, which may imitate another one.
        learned: As for `scan`.
        seconds: Processor time after which the rest is left unread.
    """
    return _Scan(files, name, learned, time.thread_time() + seconds).run()


class _Scan:
    def __init__(self, files: Mapping[str, bytes], name: str, learned: bool, deadline: float) -> None:
        self._files, self._name, self._learned, self._deadline = files, name, learned, deadline
        self._found: set[Finding] = set()
        self._touched: dict[str, tuple[str, int]] = {}
        """Stores of credentials that programs read, and where."""
        self._session = ShellPass(_nested)
        self._names: dict[str, Labels] = {}

    def run(self) -> list[Finding]:
        self._sizes()
        left, unread = TOTAL_CAP, list[str]()
        # SKILL.md is what an agent reads first, scripts are what runs: both are read before anything else is.
        for path in sorted(
            self._files, key=lambda p: (p.lower() != "skill.md", not p.endswith((".md", ".py", ".sh", ".js")), p)
        ):
            text = self._text(path, self._files[path])
            if text is None:
                continue
            read = text[: max(0, min(TEXT_CAP, left))]
            left -= len(read)
            late = time.thread_time() > self._deadline
            if late or len(read) < len(text):
                unread.append(path)
            if not late:
                self._file(path, read)
        if unread:
            self._add("unread", unread[0], 0, f"{len(unread)} files are not read to their end, for size or time")
        self._whole()
        heard = [f for f in self._found if not rules()[f.rule].quiet]
        return sorted(
            heard, key=lambda f: (f.severity != "block", f.file != "SKILL.md", f.file, f.line, f.rule, f.excerpt)
        )

    def _file(self, path: str, text: str) -> None:
        # The blocks of one file are run one after the other: what the first reads, the second may send.
        self._session, self._names = ShellPass(_nested), {}
        for hit in hidden(text):
            self._add(hit.rule, path, hit.line, hit.text)
        clear = plain(text, TEXT_CAP)
        if len(clear) > TEXT_CAP:
            self._add("unread", path, 0, f"unfolds to more than {TEXT_CAP} characters")
            clear = clear[:TEXT_CAP]
        for hit in encoded(clear):
            self._add(hit.rule, path, hit.line, hit.text)
        for kind, start, secret in secrets_in(clear, SECRETS):
            rule = "secret-like" if kind in _GUESSED else "secret"
            mixed = any(c.isdigit() for c in secret) and any(c.isalpha() for c in secret) and len(secret) >= 10
            if _SAMPLE.search(secret) is None and entropy(secret) >= _BITS and (mixed or rule == "secret"):
                self._add(rule, path, clear.count("\n", 0, start) + 1, f"{kind}: {secret[:6]}…")
        if path.rsplit("/", 1)[-1].lower().startswith("requirements"):
            for hit in packages.requirements(clear):
                self._add(hit.rule, path, hit.line, hit.text)
        for segment in segments(path, clear):
            self._segment(path, replace(segment, told="ordered") if self._learned else segment)
            if time.thread_time() > self._deadline:
                self._add("unread", path, segment.line, "time was up at this part")
                return

    def _segment(self, path: str, segment: Segment) -> None:
        # Shells join lines that end in a backslash, so the rules must see them joined; lengths stay the same.
        joined = segment.text.replace("\\\n", "  ")
        for fired, start, text in search(joined, segment.scopes, self._deadline):
            line = segment.line + segment.text.count("\n", 0, start)
            known = fired in _INSTALLS and (where := addresses(text)) and all(known_publisher(w) for w in where)
            rule = "remote-installer" if known else fired
            # A phrase in quotes is shown, not said.
            quoted = rules()[rule].threat in ("P1", "P2") and joined[max(0, start - 1) : start] in tuple("\"'`“‘«")
            reported = segment.kind not in ("code", "comment") and (quoted or describes(joined, start))
            reported &= not self._learned
            self._add(rule, path, line, text, "reported" if reported else segment.told)
        if segment.kind in ("code", "inline", "data", "prose"):
            for hit in packages.packages(segment.text, segment.kind != "prose"):
                self._add(hit.rule, path, segment.line + hit.line - 1, hit.text, segment.told)
        if segment.kind == "code":
            self._program(path, segment)
        elif segment.kind == "inline":
            self._shell(path, segment, segment.text, segment.line, ShellPass(_nested))
        elif segment.kind == "prose":
            self._told(path, segment)
        elif segment.kind == "comment":
            for rule, start, text in search(joined, frozenset(["prose"]), self._deadline):
                self._add(rule, path, segment.line + segment.text.count("\n", 0, start), text)
        elif segment.kind == "data":
            self._data(path, segment)

    def _program(self, path: str, segment: Segment) -> None:
        """A code block or script, by the passes that understand its language; text in the wrong fence as shell too."""
        text, line = segment.text, segment.line
        if segment.lang in PYTHON or (
            segment.lang == "" and re.search(r"^[ \t]*(?:import|from)\s+\w", text, re.MULTILINE)
        ):
            for hit in packages.imports(text):
                self._add(hit.rule, path, line + hit.line - 1, hit.text, segment.told)
            if self._python(path, segment, text, line):
                return
            if segment.lang in PYTHON:
                for start, piece in _pieces(text):
                    self._python(path, segment, piece, line + start)
        if segment.lang in SCRIPT:
            read = script.ScriptPass(text, line)
            self._passed(path, segment, read.hits, read.touched)
            return
        if (
            segment.lang in SHELL
            or segment.lang in PYTHON
            or segment.lang in ("", "text", "txt", "cmd", "applescript", "makefile")
        ):
            self._shell(path, segment, text, line, self._session if segment.told == "ordered" else ShellPass(_nested))

    def _python(self, path: str, segment: Segment, text: str, line: int) -> bool:
        read = pycode.read(text, line, self._names)
        if read is None:
            return False
        if segment.told == "ordered":
            self._names = read.names
        self._passed(path, segment, read.hits, read.touched)
        return True

    def _shell(self, path: str, segment: Segment, text: str, line: int, session: ShellPass) -> None:
        before = len(session.hits)
        touched, session.touched = session.touched, set()
        session.read(text, line)
        self._passed(path, segment, session.hits[before:], session.touched)
        session.touched |= touched

    def _told(self, path: str, segment: Segment) -> None:
        """Credentials that the agent is told to read."""
        for match in _READ.finditer(segment.text):
            if segment.told != "ordered" or (describes(segment.text, match.start()) and not self._learned):
                continue
            line = segment.line + segment.text.count("\n", 0, match.start())
            for store in stores(match.group()):
                self._touched.setdefault(store.removeprefix("store:"), (path, line))

    def _data(self, path: str, segment: Segment) -> None:
        """Commands in configurations: every string that holds a space is read as one, and servers of tools are."""
        for match in re.finditer(r'"((?:[^"\\\n]|\\.){4,2000})"', segment.text):
            if " " in match[1]:
                line = segment.line + segment.text.count("\n", 0, match.start())
                text = match[1].replace('\\"', '"').replace("\\n", "\n")
                self._shell(path, segment, text, line, ShellPass(_nested))
        for server in tool_servers(segment.text):
            line = segment.line + segment.text.count("\n", 0, max(0, segment.text.find(f'"{server.command}"')))
            text = " ".join(
                [shlex.quote(server.command), *(w if w.startswith("$(") else shlex.quote(w) for w in server.args)]
            )
            session = ShellPass(_nested)
            self._shell(path, segment, text, line, session)
            for hit in packages.packages(" ".join([server.command, *server.args]), True):
                self._add(hit.rule, path, line, hit.text)
            shown = " ".join([server.command, *server.args])
            if session.sends and any(key(name) for name in server.env):
                self._add("leak", path, line, f"{shown}, with {', '.join(server.env)}")
            if session.sends or server.inline:
                self._add("inline-server", path, line, shown)

    def _passed(self, path: str, segment: Segment, hits: Iterable[Hit], touched: set[str]) -> None:
        for hit in hits:
            own = hit.rule in ("remote-code", "download-run") and own_installer(hit.text, self._name)
            self._add("remote-installer" if own else hit.rule, path, hit.line, hit.text, segment.told)
        if segment.told == "ordered":
            for store in touched:
                self._touched.setdefault(store, (path, segment.line))

    def _whole(self) -> None:
        """What only shows when the whole skill is seen."""
        keys = "ssh" in self._touched and self._touched.keys() & _OTHERS
        if len(self._touched) >= _HARVEST or keys:
            path, line = min(self._touched.values())
            self._add("harvest", path, line, f"reads {', '.join(sorted(self._touched))}")
        for rule in rules().values():
            if not rule.together:
                continue
            first, *others = rule.together
            firsts = [f for f in self._found if f.rule == first][:_PAIRS]
            seconds = [f for f in self._found if f.rule in others][:_PAIRS]
            near = [
                (f, g) for f in firsts for g in seconds if f.file == g.file and abs(f.line - g.line) <= _TOGETHER
            ]  # fmt: skip
            if near:
                left, right = min(near, key=lambda pair: (pair[1].file, pair[1].line, pair[0].line, pair[1].rule))
                self._add(rule.id, right.file, right.line, f"{left.excerpt} — and: {right.excerpt}")
        body = self._files.get("SKILL.md", b"")[:TEXT_CAP].decode("utf-8", "replace")
        if _BUNDLED.search(body):
            names = {PurePosixPath(p).name for p in self._files}
            for match in _STARTED.finditer(body):
                if PurePosixPath(match[1]).name not in names and not match[1].startswith("/"):
                    self._add("missing-script", "SKILL.md", body.count("\n", 0, match.start(1)) + 1, match[1])
                    break
        if self._name:
            for hit in packages.imitation(self._name, 0):
                self._add(hit.rule, "SKILL.md", hit.line, hit.text)
            if self._name != plain(self._name) or not self._name.isascii():
                self._add("name", "SKILL.md", 0, self._name)

    def _sizes(self) -> None:
        size = sum(map(len, self._files.values()))
        count = len(self._files)
        if size > SKILL_CAP or count > FILES_CAP:
            rule = "too-large" if size > FOLDER_CAP or count > COUNT_CAP else "large"
            self._add(rule, "", 0, f"{size} bytes in {count} files")

    def _text(self, path: str, data: bytes) -> str | None:
        """The text of a file; None where it is none, which may be a finding."""
        if data.startswith(_PROGRAMS) or (data[:2] == b"MZ" and b"\0" in data[:100]):
            self._add("binary", path, 0, "")
            return None
        if b"\0" not in data[:4096]:
            try:
                return data.decode()
            except UnicodeDecodeError:
                pass
        if path.endswith(_TEXT):
            self._add("unreadable", path, 0, "")
            return data.decode("utf-8", "replace")
        if data.startswith(_SEALED) and not path.endswith(_OFFICE):
            self._add("sealed", path, 0, "")
        return None

    def _add(self, rule: str, path: str, line: int, text: str, told: Told = "ordered") -> None:
        if (made := finding(rule, path, line, text, told, self._learned)) is not None:
            self._found.add(made)


def _nested(language: str, text: str, line: int, given: dict[str, Labels]) -> ShellPass | None:
    """A program inside a shell script, as a pass whose hits the shell pass takes over."""
    read = pycode.read(text, line, given) if language == "python" else script.ScriptPass(text, line, given)
    if read is None:
        return None
    shell = ShellPass()
    shell.hits, shell.touched = list(read.hits), set(read.touched)
    return shell


def _pieces(text: str) -> list[tuple[int, str]]:
    """Paragraphs of a program that does not parse as a whole: examples often mix commands and code."""
    found: list[tuple[int, str]] = []
    start = 0
    for n, part in enumerate(re.split(r"(\n\s*\n)", text)):
        if n % 2 == 0 and part.strip():
            found.append((start, part))
        start += part.count("\n")
    return found[:200]


__all__ = [
    "FILES_CAP",
    "SECONDS",
    "SKILL_CAP",
    "TEXT_CAP",
    "TOTAL_CAP",
    "Finding",
    "Hit",
    "scan",
    "scan_change",
    "scan_files",
]
