"""The light pass over JavaScript and TypeScript: statements, the names they assign, and the calls that send or run.

There is no parser for these languages in Python's own library, so this reads statement by statement, and hands the
strings that start a shell to the shell pass. Other languages get the rules of the table only.
"""

import re
from typing import Final

from prowess.guard.scan.flow import NONE, Labels, addresses, held, hosts, key, known_publisher, leak, stores
from prowess.guard.scan.hidden import decoded
from prowess.guard.scan.rules import Hit
from prowess.guard.scan.shellflow import ShellPass

_STATEMENTS: Final = 3_000
_LENGTH: Final = 4_000
_ASSIGN = re.compile(
    r"^\s*(?:export\s+)?(?:(?:const|let|var)\s+)?(?:\{\s*([\w\s,:]{1,200})\}|([A-Za-z_$][\w$.]{0,60}))\s*\+?=(?![=>])\s*"
)
_ENV = re.compile(r"\bprocess\.env\b(?:\.([A-Za-z_]\w{0,60})|\[\s*['\"](\w{1,60})['\"]\s*\])?")
_NAME = re.compile(r"[A-Za-z_$][\w$]{0,60}")
_SEND = re.compile(
    r"\b(?:fetch|axios(?:\.\w+)?|got(?:\.\w+)?|request(?:\.\w+)?|https?\.(?:request|get)|superagent\.\w+|sendBeacon|\w{0,20}(?:[sS]ocket|[wW]s|[cC]onn|[rR]eq|[rR]equest)\.(?:write|send|end))\s*\("
)
_START = re.compile(r"\b(?:exec|execSync|spawn|spawnSync|execFile|execFileSync)\s*\(\s*(.*)", re.DOTALL)
_RUN = re.compile(r"\b(?:eval|new\s+Function|Function|vm\.run\w*)\s*\(\s*(?!\(|function|async|\w+\s*=>)")
_STRING = re.compile(
    r"'((?:[^'\\\n]|\\.){0,2000})'|\"((?:[^\"\\\n]|\\.){0,2000})\"|`((?:[^`\\]|\\.){0,2000})`", re.DOTALL
)
_TEMPLATE = re.compile(r"\$\{([^{}]{1,200})\}")


class ScriptPass:
    """One reading of a script."""

    def __init__(self, text: str, line: int = 1, given: dict[str, Labels] | None = None) -> None:
        self.hits: list[Hit] = []
        self.touched: set[str] = set()
        self._names: dict[str, Labels] = dict(given or {})
        parts = _statements(text, line)
        for _ in range(3):
            before = dict(self._names)
            for _, statement in parts:
                self._assign(statement)
            if before == self._names:
                break
        for number, statement in parts:
            self._look(number, statement)

    def _assign(self, statement: str) -> None:
        match = _ASSIGN.match(statement)
        if match is None:
            return
        labels = self._labels(statement[match.end() :])
        names = _NAME.findall(match[1]) if match[1] else [match[2].split(".")[0]]
        for name in names:
            found = labels
            if match[1] and "process.env" in statement:
                found = key(name)
            if found:
                self._names[name] = self._names.get(name, NONE) | found

    def _labels(self, text: str) -> Labels:
        found = NONE
        for match in _ENV.finditer(text):
            name = match[1] or match[2]
            found |= key(name) if name else frozenset(["env"])
        if re.search(r"\breadFile(?:Sync)?\s*\(|\bcreateReadStream\s*\(|\breadFile\b|\bhomedir\(", text):
            found |= stores(text)
        if re.search(
            r"\bBuffer\.from\([^;]{0,2000}['\"](?:base64|hex)['\"]\)|\batob\(|\bunescape\(|fromCharCode", text
        ):
            found |= {"decoded"}
        if re.search(r"\b(?:fetch|axios|got|https?\.get|request)\b\s*[.(]", text):
            where = addresses(text)
            found |= frozenset(f"net:{'!' if known_publisher(w) else ''}{w}" for w in where) or frozenset(["net:$"])
        if re.search(r"\.(?:json|status|ok)\b", text):
            found -= held(found, "net")
        bare = _TEMPLATE.sub(lambda m: f"` {m[1]} `", text)
        bare = re.sub(r"'(?:[^'\\\n]|\\.){0,2000}'|\"(?:[^\"\\\n]|\\.){0,2000}\"", "", bare)
        for name in set(_NAME.findall(bare)):
            found |= self._names.get(name, NONE)
        return found

    def _look(self, line: int, statement: str) -> None:
        if (started := _START.search(statement)) is not None and ".exec(" not in statement[
            max(0, started.start() - 6) : started.end()
        ]:
            self._shell(line, started[1])
        if (run := _RUN.search(statement)) is not None:
            ran = self._labels(_argument(statement, run.end()))
            if held(ran, "net"):
                self.hits.append(Hit("remote-code", line, statement))
            elif "decoded" in ran:
                self.hits.append(Hit("decoded-code", line, statement))
        if re.search(r"\bconsole\.(?:log|info|debug|error)\s*\(|\bprocess\.stdout\.write\s*\(", statement):
            printed = self._labels(statement)
            if held(printed, "key", "store", "env"):
                self.hits.append(Hit("print-secret", line, statement))
        if _SEND.search(statement):
            labels = self._labels(statement)
            header = re.sub(
                r"headers\s*:\s*\{[^{}]{0,600}\}|[Aa]uthorization['\"]?\s*:\s*[^,}\n]{1,200}", "", statement
            )
            body = self._labels(header) if header != statement else labels
            to = hosts(statement)
            for sent, in_header in ((body, False), (labels, True)):
                rule = leak(sent, to, in_header)
                if rule is not None and (to or rule == "leak"):
                    self.hits.append(Hit(rule, line, statement))
                    break

    def _shell(self, line: int, text: str) -> None:
        """The command that the text begins with: string literals as they are, everything else as variables."""
        shell = ShellPass(depth=2)
        command, at = "", 0
        while at < len(text) and text[at] not in ",);{":
            string = _STRING.match(text, at)
            if string is not None:
                literal = next(g for g in string.groups() if g is not None)
                literal = re.sub(r"\\(['\"`])", r"\1", literal)
                command += _TEMPLATE.sub(lambda m: self._variable(shell, m[1]), literal)
                at = string.end()
            elif text[at] in "+ \n":
                at += 1
            else:
                end = at
                depth = 0
                while end < len(text) and (depth or text[end] not in "+,);"):
                    depth += (text[end] in "([") - (text[end] in ")]")
                    end += 1
                command += self._variable(shell, text[at:end])
                at = max(end, at + 1)
        arguments = re.match(r"\s*,\s*\[(.{0,2000}?)\]", text[at:], re.DOTALL)
        if arguments is not None:
            for match in _STRING.finditer(arguments[1]):
                command += " '" + next(g for g in match.groups() if g is not None).replace("'", "") + "'"
        shell.read(command, line)
        self.hits += [Hit(h.rule, line, h.text) for h in shell.hits]
        self.touched |= shell.touched

    def _variable(self, shell: ShellPass, expression: str) -> str:
        name = f"JS{len(shell.variables)}"
        shell.variables[name] = self._labels(expression)
        if (string := _STRING.search(expression)) is not None and "base64" in expression:
            shell.literals[name] = decoded(next(g for g in string.groups() if g is not None))
        return f"${{{name}}}"


def _statements(text: str, line: int) -> list[tuple[int, str]]:
    """Statements with their lines: cut at `;` and at line ends outside of brackets and strings."""
    found: list[tuple[int, str]] = []
    closes = _braces(text)
    start, depth, number, begin = 0, 0, line, line
    at = 0
    while at < len(text) and len(found) < _STATEMENTS:
        char = text[at]
        if char in "'\"`":
            string = _STRING.match(text, at)
            end = string.end() if string is not None else at + 1
            number += text.count("\n", at, end)
            at = end
            continue
        if char in "([":
            depth += 1
        elif char in ")]":
            depth = max(0, depth - 1)
        elif char == "/" and text.startswith("//", at):
            end = text.find("\n", at)
            at = end if end >= 0 else len(text)
            continue
        if char == "\n":
            number += 1
        if (
            char == ";" or (char in "\n{}" and depth == 0 and not _continues(text, start, at)) or at - start > _LENGTH
        ) and at > start:
            # An object literal belongs to its statement; a block does not.
            if char == "{" and not re.search(r"(?:\)|=>|else|try|do|finally)\s*$", text[max(start, at - 20) : at]):
                end = closes.get(at, at + 1)
                number += text.count("\n", at, end)
                at = end
                continue
            statement = text[start : at + 1]
            if statement.strip(" \n\t;{}"):
                found.append((begin, statement[:_LENGTH]))
            start, begin = at + 1, number
            if char == ";":
                depth = 0
        at += 1
    if text[start:].strip():
        found.append((begin, text[start:][:_LENGTH]))
    return found


def _argument(text: str, at: int) -> str:
    """The text from `at` to the bracket that closes the call."""
    depth = 1
    for i in range(at, len(text)):
        depth += (text[i] in "([") - (text[i] in ")]")
        if depth == 0:
            return text[at:i]
    return text[at:]


def _continues(text: str, start: int, at: int) -> bool:
    """Whether the statement goes on after the line end at `at`."""
    if text[at] != "\n":
        return False
    after = text[at + 1 : at + 60].lstrip()
    return after[:1] in "?:.+&|" if after else text[start:at].rstrip()[-1:] in "=+?:,&|"


def _braces(text: str) -> dict[int, int]:
    """For each opening brace the place just after the one that closes it, where that is not too far."""
    found: dict[int, int] = {}
    waiting: list[int] = []
    for match in re.finditer(r"[{}]", text):
        if match.group() == "{":
            waiting.append(match.start())
        elif waiting and match.start() - (begin := waiting.pop()) < _LENGTH:
            found[begin] = match.end()
    return found
