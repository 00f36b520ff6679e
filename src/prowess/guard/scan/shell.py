"""Shell text as commands: words, pipes, redirections and what is nested in them.

A reader for hostile and half-right shell, not an interpreter: it never fails, never runs anything, reads each character
once, and stops at fixed depths and sizes. What it cannot understand it takes for words. The grammar is that of POSIX
with the parts of bash that skills use (process substitution, here-strings, `&>`).
"""

import re
from dataclasses import dataclass, field
from typing import Final

_DEPTH: Final = 8
_COMMANDS: Final = 4_000
_OPERATOR: Final = re.compile(r"&&|\|\||;;|\|&|&>>|&>|<<<|<<-|<<|>>|>&|<&|<>|>\||[|&;<>()]")
"""Longer ones before their beginnings."""
_BREAKS: Final = frozenset(" \t\n;&|<>()")
_PROMPT = re.compile(r"^[ \t]*(?:[\w.@~:/-]{0,40}[$%] |>>> |PS [^>\n]{0,40}> )", re.MULTILINE)
_DOCKER = re.compile(r"^(?:RUN|CMD|ENTRYPOINT)\s+", re.MULTILINE)
_OPENERS: Final = frozenset(["if", "then", "elif", "else", "while", "until", "do", "!", "time", "function"])
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ASSIGN = re.compile(r"([A-Za-z_][A-Za-z0-9_]{0,60})\+?=")


@dataclass(slots=True)
class Word:
    """One word, quotes taken off."""

    text: str = ""
    """Literal text; variables stand as `$NAME`, substitutions as `$()`."""
    names: list[str] = field(default_factory=list[str])
    """Variables that it expands."""
    nested: "list[Script]" = field(default_factory=lambda: [])
    """Scripts whose output it holds: `$(...)` and backticks."""
    feeds: "list[Script]" = field(default_factory=lambda: [])
    """Scripts that it names as a file: `<(...)` and `>(...)`."""
    raw: str = ""


@dataclass(slots=True)
class Command:
    """A simple command, or a group when `body` is set."""

    line: int
    words: list[Word] = field(default_factory=list[Word])
    assigns: list[tuple[str, Word]] = field(default_factory=list[tuple[str, Word]])
    redirects: list[tuple[str, Word]] = field(default_factory=list[tuple[str, Word]])
    """Operator and target; here-documents as `<<` with their text."""
    body: "Script | None" = None
    raw: str = ""

    @property
    def name(self) -> str:
        return self.words[0].text if self.words else ""


@dataclass(slots=True)
class Script:
    """Pipelines in order; each is a list of commands joined by pipes."""

    pipelines: list[list[Command]] = field(default_factory=list[list[Command]])


def parse(text: str, line: int = 1) -> Script:
    """The commands in `text`, whose first line has this number."""
    text = _PROMPT.sub("", text)
    text = _DOCKER.sub("", text)
    return _Reader(text, line).script("")


class _Reader:
    def __init__(self, text: str, line: int) -> None:
        self.text, self.at, self.line, self.depth, self.count = text, 0, line, 0, 0
        self.documents: list[tuple[Word, str, bool]] = []
        """Here-documents whose text begins at the next line: where it goes, the end mark, whether it is expanded."""

    def script(self, until: str) -> Script:
        """Pipelines up to the character `until`, which is consumed; to the end where it is empty."""
        script = Script()
        pipeline: list[Command] = []
        self.depth += 1
        while self.at < len(self.text) and self.count < _COMMANDS:
            self._blank()
            if self.at >= len(self.text):
                break
            char = self.text[self.at]
            if until and char == until:
                self.at += 1
                break
            command, pipe = self._command(until)
            if command.words or command.assigns or command.redirects or command.body is not None:
                pipeline.append(command)
            if not pipe and pipeline:
                script.pipelines.append(pipeline)
                pipeline = []
        if pipeline:
            script.pipelines.append(pipeline)
        self.depth -= 1
        return script

    def _blank(self) -> None:
        """Passes blanks, line ends, separators and comments."""
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == "\n":
                self._newline()
            elif char in " \t\r;":
                self.at += 1
            elif self.text.startswith("\\\n", self.at):
                self.at += 2
                self.line += 1
            elif char == "#":
                end = self.text.find("\n", self.at)
                self.at = end if end >= 0 else len(self.text)
            else:
                return

    def _newline(self) -> None:
        self.at += 1
        self.line += 1
        for word, mark, expanded in self.documents:
            lines: list[str] = []
            while self.at < len(self.text):
                end = self.text.find("\n", self.at)
                each = self.text[self.at : end if end >= 0 else len(self.text)]
                self.at = end + 1 if end >= 0 else len(self.text)
                self.line += 1
                if each.strip() == mark:
                    break
                lines.append(each)
            word.text = word.raw = "\n".join(lines)
            if expanded and self.depth < _DEPTH:
                self._expand(word.text, word)
        self.documents = []

    def _command(self, until: str) -> tuple[Command, bool]:  # noqa: PLR0915 - one walk over the grammar of a command
        """The next command, and whether a pipe follows it."""
        command = Command(self.line)
        begin = self.at
        self.count += 1
        pipe = False
        while self.at < len(self.text):
            char = self.text[self.at]
            if char in " \t\r":
                self.at += 1
                continue
            if self.text.startswith("\\\n", self.at):
                self.at += 2
                self.line += 1
                continue
            if char == "\n" or (until and char == until):
                break
            if char == "#" and self.text[self.at - 1 : self.at] in ("", " ", "\t", "\n"):
                break
            if char in "()" and not command.words:
                self.at += 1
                if char == "(" and self.depth < _DEPTH:
                    command.body = self.script(")")
                continue
            if char == "{" and not command.words and self.text[self.at + 1 : self.at + 2] in (" ", "\n", "\t"):
                self.at += 1
                if self.depth < _DEPTH:
                    command.body = self.script("}")
                continue
            if char in "<>" and self.text[self.at + 1 : self.at + 2] == "(":
                command.words.append(self._word())
                continue
            found = _OPERATOR.match(self.text, self.at)
            if found is None:
                word = self._word()
                if not command.words and word.raw in _OPENERS:
                    continue
                assigned = None if command.words else _ASSIGN.match(word.text)
                if assigned is not None:
                    word.text = word.text[assigned.end() :]
                    command.assigns.append((assigned[1], word))
                else:
                    if word.text.isdigit() and self.text[self.at : self.at + 1] in ("<", ">"):
                        continue  # a file descriptor
                    command.words.append(word)
                continue
            operator = found[0]
            self.at += len(operator)
            if operator in ("|", "|&"):
                pipe = True
                break
            if operator in ("&&", "||", ";", ";;", "&"):
                break
            if operator in ("(", ")"):
                if operator == "(" and len(command.words) == 1:
                    command.words.clear()  # the head of a function; its body follows as a group
                continue
            self._redirect(command, operator)
        command.raw = self.text[begin : min(self.at, begin + 400)]
        if self.at == begin:
            self.at += 1  # never stand still
        return command, pipe

    def _redirect(self, command: Command, operator: str) -> None:
        while self.at < len(self.text) and self.text[self.at] in " \t":
            self.at += 1
        quoted = self.text[self.at : self.at + 1] in ("'", '"', "\\")
        target = self._word()
        if operator in ("<<", "<<-"):
            document = Word()
            self.documents.append((document, target.text, not quoted))
            command.redirects.append(("<<", document))
        else:
            command.redirects.append((operator, target))

    def _word(self) -> Word:
        word = Word()
        begin = self.at
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == "'":
                end = self.text.find("'", self.at + 1)
                end = end if end >= 0 else len(self.text)
                self._take(word, self.text[self.at + 1 : end])
                self.at = end + 1
            elif char == '"':
                self._quoted(word)
            elif char == "\\":
                if self.text[self.at + 1 : self.at + 2] == "\n":
                    self.line += 1
                else:
                    word.text += self.text[self.at + 1 : self.at + 2]
                self.at += 2
            elif char in "$`":
                self._dollar(word)
            elif char in "<>" and self.text[self.at + 1 : self.at + 2] == "(" and not word.text:
                self.at += 2
                if self.depth < _DEPTH:
                    word.feeds.append(self.script(")"))
                word.text = "<()"
            elif char in _BREAKS:
                break
            else:
                end = self.at + 1
                while end < len(self.text) and self.text[end] not in " \t\n;&|<>()'\"\\$`":
                    end += 1
                word.text += self.text[self.at : end]
                self.at = end
        if self.at == begin:
            self.at += 1
        word.raw = self.text[begin : min(self.at, begin + 2000)]
        return word

    def _take(self, word: Word, text: str) -> None:
        word.text += text
        self.line += text.count("\n")

    def _quoted(self, word: Word) -> None:
        self.at += 1
        while self.at < len(self.text) and self.text[self.at] != '"':
            char = self.text[self.at]
            if char == "\\":
                following = self.text[self.at + 1 : self.at + 2]
                self.line += following == "\n"
                word.text += following if following in '"\\$`' else "" if following == "\n" else char + following
                self.at += 2
            elif char in "$`":
                self._dollar(word)
            else:
                end = self.at + 1
                while end < len(self.text) and self.text[end] not in '"\\$`':
                    end += 1
                self._take(word, self.text[self.at : end])
                self.at = end
        self.at += 1

    def _dollar(self, word: Word) -> None:
        """`$NAME`, `${NAME...}`, `$(...)`, `$'...'` or backticks at this point."""
        text = self.text
        if text[self.at] == "`":
            end = text.find("`", self.at + 1)
            end = end if end >= 0 else len(text)
            if self.depth < _DEPTH:
                word.nested.append(_sub(text[self.at + 1 : end], self.line, self.depth))
            self.line += text.count("\n", self.at, end)
            word.text += "$()"
            self.at = end + 1
        elif text.startswith("$((", self.at):
            word.text += "$(("
            self.at += 3
        elif text.startswith("$(", self.at):
            self.at += 2
            if self.depth < _DEPTH:
                kept, self.documents = self.documents, []
                word.nested.append(self.script(")"))
                self.documents = kept
            word.text += "$()"
        elif text.startswith("$'", self.at):
            end = text.find("'", self.at + 2)
            end = end if end >= 0 else len(text)
            self._take(word, unescaped(text[self.at + 2 : end]))
            self.at = end + 1
        elif text.startswith("${", self.at):
            end = text.find("}", self.at)
            end = end if 0 <= end < self.at + 200 else self.at + 1
            name = _NAME.search(text, self.at + 2, max(end, self.at + 2))
            if name is not None:
                word.names.append(name[0])
                word.text += f"${name[0]}"
                if ":?" in text[self.at : end]:
                    word.text += ":?"
            self.at = end + 1
        else:
            name = _NAME.match(text, self.at + 1)
            word.text += f"${name[0]}" if name is not None else "$"
            if name is not None:
                word.names.append(name[0])
            self.at = name.end() if name is not None else self.at + 1

    def _expand(self, text: str, word: Word) -> None:
        """Variables and substitutions in the text of a here-document."""
        for match in re.finditer(r"\$\{?([A-Za-z_]\w{0,60})|\$\(([^()\n]{1,400})\)|`([^`\n]{1,400})`", text):
            if match[1]:
                word.names.append(match[1])
            else:
                word.nested.append(_sub(match[2] or match[3], self.line, self.depth))


def _sub(text: str, line: int, depth: int) -> Script:
    reader = _Reader(text, line)
    reader.depth = depth + 1
    return reader.script("")


def unescaped(text: str) -> str:
    """Text with `\\xNN`, octal and the common escapes of `printf` resolved."""
    table = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}

    def one(match: "re.Match[str]") -> str:
        if match[1]:
            return chr(int(match[1], 16))
        if match[2]:
            return chr(int(match[2], 8) & 0xFF)
        return table.get(match[3], match[3])

    return re.sub(r"\\(?:x([0-9a-fA-F]{1,2})|([0-7]{1,3})|(.))", one, text)
