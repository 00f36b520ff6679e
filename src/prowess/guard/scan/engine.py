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
from typing import Final

from prowess.core.skill import Skill
from prowess.guard.scan import packages, pycode, script, whole
from prowess.guard.scan.configs import tool_servers
from prowess.guard.scan.content import content, secrets
from prowess.guard.scan.flow import Labels, addresses, key, known_publisher, own_installer, stores
from prowess.guard.scan.hidden import as_it_looks, encoded, hidden, plain
from prowess.guard.scan.mismatch import Code, mismatches
from prowess.guard.scan.purpose import purposes
from prowess.guard.scan.rules import OURS, PIECE, Finding, Hit, Told, finding, rules, search
from prowess.guard.scan.segments import PYTHON, SCRIPT, SHELL, Segment, describes, segments
from prowess.guard.scan.shellflow import ShellPass
from prowess.library.skillmd import render

TEXT_CAP: Final = 200_000
"""Characters of one file that are read; a longer file is a finding of its own."""
TOTAL_CAP: Final = 2_000_000
"""Characters of all files together that are read."""
SECONDS: Final = 1.0
"""Processor time after which no further part is read, which is a finding; the part at hand takes at most as long again.
A busy machine changes no result."""
_INSTALLS: Final = frozenset(["told-remote", "encoded-command"])
_FOREIGN = re.compile(rf"(?<![^!-~\n])([^!-~\n]{{{PIECE}}})[^!-~\n]*([^!-~\n])")
"""Another script, for longer than any rule looks: what lies in between tells no rule anything, and is not searched."""
_REACHES = re.compile(
    r"\b(?:system|exec[vl]?p?|popen[23]?|spawn\w{0,8}|shell_exec|passthru|proc_open|Open3|os\.execute|qx|ProcessBuilder|getRuntime"
    r"|Process\.(?:run|start)|exec\.Command|Command::new)\b|%x[{(]"
    r"|\b(?:Net::HTTP|open-uri|URI\.open|LWP|HTTP::Tiny|IO::Socket|TCPSocket|curl_init|fsockopen|socket\.http|net/http"
    r"|http\.(?:Get|Post)|reqwest|HttpClient|URLSession|TcpStream|java\.net)\b"
)
"""How programs in other languages start others, or talk to the network."""
_QUOTED = re.compile(r"\"((?:[^\"\\\n]|\\.){4,2000})\"|'((?:[^'\\\n]|\\.){4,2000})'")
_READ = re.compile(
    r"\b(?:read|cat|copy|collect|gather|extract|dump|load|fetch|harvest|include|print|display|output|retrieve|upload|send)s?\b[^\n]{0,200}",
    re.IGNORECASE,
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
        self._said: list[str] = []
        """Description and prose of SKILL.md."""
        self._head = ""
        """Its frontmatter."""
        self._programs: list[Code] = []
        self._opaque: set[str] = set()
        """Files that nobody can read."""

    def run(self) -> list[Finding]:
        left, unread = TOTAL_CAP, list[str]()
        # SKILL.md is what an agent reads first, scripts are what runs: both are read before anything else is.
        for path in sorted(
            self._files, key=lambda p: (p.lower() != "skill.md", not p.endswith((".md", ".py", ".sh", ".js")), p)
        ):
            text, rule = content(path, self._files[path])
            if rule:
                self._add(rule, path, 0, "")
            if whole.opaque(path, text):
                self._opaque.add(path)
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
        clear = as_it_looks(plain(text, TEXT_CAP))
        if len(clear) > TEXT_CAP:
            self._add("unread", path, 0, f"unfolds to more than {TEXT_CAP} characters")
            clear = clear[:TEXT_CAP]
        if not clear.isascii():
            clear = _FOREIGN.sub("\\1\\2", clear)
        for hit in encoded(clear):
            self._add(hit.rule, path, hit.line, hit.text)
        for hit in secrets(clear):
            self._add(hit.rule, path, hit.line, hit.text)
        if path.rsplit("/", 1)[-1].lower().startswith("requirements"):
            for hit in packages.requirements(clear):
                self._add(hit.rule, path, hit.line, hit.text)
        for segment in segments(path, clear):
            self._segment(path, replace(segment, told="ordered") if self._learned else segment)
            if time.thread_time() > self._deadline:
                self._add("unread", path, segment.line, "time was up at this part")
                return

    def _segment(self, path: str, segment: Segment) -> None:
        if OURS.search(segment.text) is None:
            return
        if segment.kind == "code" and segment.told == "ordered":
            self._programs.append(Code(path, segment.line, segment.text))
        elif segment.kind in ("prose", "head", "inline") and path.lower() == "skill.md":
            self._said.append(segment.text)
            self._head = self._head or (segment.text if segment.kind == "head" else "")
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
        if segment.lang == "other":
            self._foreign(path, segment)
        if (
            segment.lang in SHELL
            or segment.lang in PYTHON
            or segment.lang in ("", "text", "txt", "cmd", "applescript", "makefile")
        ):
            self._shell(path, segment, text, line, self._session if segment.told == "ordered" else ShellPass(_nested))

    def _foreign(self, path: str, segment: Segment) -> None:
        """A script in a language that no pass follows: what it hands to a shell or to Python is read as that."""
        reaches = _REACHES.search(segment.text)
        if reaches is None:
            return
        line = segment.line + segment.text.count("\n", 0, reaches.start())
        self._add("unfollowed", path, line, segment.text[reaches.start() : reaches.end() + 80], segment.told)
        for match in _QUOTED.finditer(segment.text):
            text = (match[1] or match[2]).replace("\\n", "\n").replace('\\"', '"').replace("\\'", "'")
            at = segment.line + segment.text.count("\n", 0, match.start())
            if " " in text:
                self._shell(path, segment, text, at, ShellPass(_nested))
            if "import " in text:
                self._python(path, segment, text, at)

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
        body = self._files.get("SKILL.md", b"")[:TEXT_CAP].decode("utf-8", "replace")
        for seen in (
            *whole.sizes(self._files),
            *whole.harvest(self._touched),
            *mismatches("\n".join(self._said), self._programs),
            *whole.missing_script(body, self._files),
            *whole.packed(self._programs, self._opaque, self._files.keys() - self._opaque),
            *whole.named(self._name),
        ):
            self._add(*seen)
        if time.thread_time() > self._deadline:
            self._add("unread", "SKILL.md", 0, "time was up before the text was held against its description")
        else:
            told = "\n".join(text for text in self._said if text is not self._head)
            for seen in purposes(self._head, told, self._programs):
                self._add(*seen)
        for seen in whole.together(self._found):
            self._add(*seen)

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
    "SECONDS",
    "TEXT_CAP",
    "TOTAL_CAP",
    "Finding",
    "Hit",
    "scan",
    "scan_change",
    "scan_files",
]
