"""The shell pass: what a script reads, sends, fetches, runs and deletes, followed through pipes, variables and files.

Commands are not run; each is looked up in a few tables of what such programs do. Text inside `sh -c`, `python -c` and
decoded literals is read in its turn, to a fixed depth.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from prowess.guard.scan import commands
from prowess.guard.scan.flow import NONE, Labels, addresses, held, hosts, key, known_publisher, stores, union
from prowess.guard.scan.shell import Command, Script, Word, parse
from prowess.guard.scan.shellstate import ShellState

_DEPTH: Final = 4
_ROUNDS: Final = 3_000
"""Commands that one pass looks at."""


@dataclass(frozen=True, slots=True)
class _Call:
    """A simple command, ready to be looked up."""

    command: Command
    name: str
    args: list[Word]
    stdin: Labels
    literal: str
    """Text on its input, where it is known."""
    given: Labels
    """What its words hold."""


class ShellPass(ShellState):
    """One reading of a script. `hits` is what it saw; `touched` the stores of credentials that it reads."""

    def __init__(
        self, nested: "Callable[[str, str, int, dict[str, Labels]], ShellPass | None] | None" = None, depth: int = 0
    ) -> None:
        super().__init__()
        self._nested = nested
        """Reads a program in another language: language, text, line, labels of its variables."""
        self._depth = depth
        self._left = _ROUNDS

    def read(self, text: str, line: int = 1) -> Labels:
        """Looks through `text`; the labels of what it prints."""
        return self._script(parse(text, line), NONE)

    def _script(self, script: Script, stdin: Labels) -> Labels:
        out = NONE
        for pipeline in script.pipelines:
            flowing, literal = stdin, ""
            outer, self._evidence = (
                self._evidence,
                (pipeline[0].line, " ".join(command.raw.strip() for command in pipeline)),
            )
            for command in pipeline:
                self._left -= 1
                if self._left < 0:
                    return out
                flowing, literal = self._command(command, flowing, literal, out, bool(pipeline[-1] is not command))
            out |= flowing
            self._evidence = outer
        return out

    def _command(
        self, command: Command, stdin: Labels, literal: str, before: Labels, piped: bool
    ) -> tuple[Labels, str]:
        """Labels and, where it is known, text that the command prints."""
        for operator, target in command.redirects:
            if operator == "<<":
                stdin, literal = stdin | self._word(target), target.text
            elif operator == "<<<":
                stdin, literal = stdin | self._word(target), self._literal(target)
            elif operator == "<":
                stdin |= self._file(target)
        for name, word in command.assigns:
            self.variables[name] = self._word(word)
            self.literals[name] = self._literal(word)
            if held(self.variables[name], "store"):
                self._hit("credentials")
        if command.body is not None:
            out, text = self._script(command.body, stdin), ""
        elif not command.words:
            out, text = NONE, ""
        else:
            out, text = self._simple(command, stdin, literal, before)
        for operator, target in command.redirects:
            if operator in (">", ">>", "&>", "&>>", ">|") and target.text not in ("/dev/null", "1", "2"):
                self._write(command, target.text, out, text)
                if target.text.startswith(("/dev/tcp/", "/dev/udp/")):
                    self._send(out, [target.text.split("/")[3]], False)
                for feed in target.feeds:
                    self._script(feed, out)
                out = NONE if not piped else out
        return out, text

    def _simple(self, command: Command, stdin: Labels, literal: str, before: Labels) -> tuple[Labels, str]:
        words = commands.unwrapped(command.words)
        if not words:
            return (frozenset(["env"]), "") if command.name == "env" else (NONE, "")
        name = words[0].text.rsplit("/", 1)[-1].lower().removesuffix(".exe")
        if name == "xargs":
            inner = [word for word in words[1:] if not commands.plain_option(word.text)]
            return self._simple(Command(command.line, inner, raw=command.raw), stdin, literal, before)
        call = _Call(command, name, words[1:], stdin, literal, union(self._word(word) for word in words))
        if name in ("done", "fi", "esac"):
            return before | stdin, ""
        if (out := self._builtin(call)) is not None or (out := self._moved(call)) is not None:
            return out, literal if name == "tee" else ""
        if name in commands.INTERPRETERS:
            return self._interpret(call), ""
        if name in commands.FETCHERS:
            return self._fetch(call), ""
        if held(ran := self._ran(words[0].text), "net", "decoded"):
            self._run_of(ran, "download-run")
            return NONE, ""
        return self._filtered(call)

    # What single kinds of commands do. None: it is no such command.

    def _builtin(self, call: "_Call") -> Labels | None:
        """Commands that read or set variables."""
        name, args = call.name, call.args
        bare = all("=" in a.text or a.text.startswith("-") for a in args)
        if (name in ("env", "printenv") and bare) or (name in ("set", "export", "declare") and not args):
            return frozenset(["env"])
        if name == "printenv":
            return union(key(a.text) for a in args)
        if name in ("export", "declare", "local", "readonly", "typeset", "let"):
            for word in args:
                left, sign, right = word.text.partition("=")
                if sign:
                    self.variables[left], self.literals[left] = self._word(word), right
            return NONE
        if name == "for" and len(args) > 2 and args[1].text == "in":
            self.variables[args[0].text] = call.given | union(stores(a.text) for a in args[2:])
            return NONE
        if name in ("read", "mapfile", "readarray"):
            self.variables.update({word.text: call.stdin for word in args if not word.text.startswith("-")})
            return NONE
        return None

    def _moved(self, call: "_Call") -> Labels | None:
        """Commands that send, copy, delete or schedule."""
        name, args = call.name, call.args
        texts = [a.text for a in args]
        if (
            name in commands.SENDERS
            or (name == "aws" and {"cp", "sync", "put-object"} & set(texts))
            or (name == "gh" and texts[:1] == ["gist"])
        ):
            self._sends = True
            named = [a for at, a in enumerate(args) if not commands.identity(args, at)]
            data = call.given | call.stdin | self._paths(named)
            if name not in ("scp", "rsync", "sftp") or any(":" in t and not t.startswith("/") for t in texts):
                self._send(data, [t.lower() for t in texts if "." in t and "/" not in t], False)
        elif name in commands.RESOLVERS:
            self._sends = True
            if held(call.given | self._expansions(args), "key", "store", "env"):
                self._hit("leak")
        elif name == "rm" or (name == "find" and "-delete" in texts):
            self._delete(name, args)
        elif name == "crontab":
            if held(call.stdin, "net"):
                self._hit("persistence-remote")
        elif name == "tee":
            for word in args:
                if not word.text.startswith("-"):
                    self._write(call.command, word.text, call.stdin, call.literal)
            return call.stdin
        elif name in ("cp", "mv", "install", "ln") and len(args) > 1:
            moved = self._paths(args[:-1]) | union(self.written.get(commands.path(t), NONE) for t in texts[:-1])
            self._write(call.command, texts[-1], moved, "")
        elif name not in commands.SILENT:
            return None
        return NONE

    def _filtered(self, call: "_Call") -> tuple[Labels, str]:
        """Commands that print what they read, changed or not."""
        name, args = call.name, call.args
        if name == "security" and any("dump-keychain" in a.text for a in args):
            return call.given | {"store:keys"}, ""
        out = call.given
        if name in commands.READERS:
            data = args[1:] if name in ("grep", "egrep", "rg", "sed", "awk") and args else args
            out |= call.stdin | self._paths(data, literal=name in ("echo", "printf"))
            if name in ("tar", "zip"):
                self._archive(args, out)
        if commands.decodes(name, args):
            out |= {"decoded"}
        elif name in ("base64", "gbase64", "base32"):
            # An image that is sent as base64 comes from a file; a bare value has no other reason than to be unreadable.
            out |= {"encoded:value" if "$" in call.literal else "encoded:file"}
        if commands.blinds(name, args):
            out -= held(out, "store", "env")
        return out, self._printed(name, args, call.literal)

    def _interpret(self, call: "_Call") -> Labels:
        """A program that runs text: from its arguments, a file, a pipe, or a substitution."""
        name, args, stdin = call.name, call.args, call.stdin
        words = [a.text for a in args]
        language = "shell" if name in commands.SHELLS else "python" if name.startswith("python") else "script"
        fed = union(self._script(script, NONE) for word in args for script in word.feeds)
        if name in ("eval", "iex"):
            self._run_of(call.given | (NONE if args else stdin), "remote-code")
            return self._inside("shell", " ".join(self._literal(a) for a in args), call.command.line)
        inline = next((i for i, w in enumerate(words[:-1]) if commands.INLINE.fullmatch(w)), None)
        if inline is not None:
            return self._inline(call, args[inline + 1], language)
        self._run_of(fed, "remote-code")
        if "-m" in words:
            return NONE
        plain = [w for w in words if not w.startswith("-") or w == "-"]
        file = next((w for w in plain if w not in ("-", "/dev/stdin")), None)
        piped = "/dev/stdin" in plain or (name not in ("source", ".") and (file is None or {"-s", "-"} & set(words)))
        if piped and (stdin or call.literal):
            self._run_of(stdin, "remote-code")
            if call.literal and not fed:
                return self._inside(language, call.literal, call.command.line)
        if file is not None:
            if commands.HIDEOUT.match(file):
                self._hit("temporary-code")
            self._run_of(self._ran(file), "download-run")
        return NONE

    def _inline(self, call: "_Call", code: Word, language: str) -> Labels:
        """`sh -c`, `python -c` and the like."""
        if code.text.strip() in ("$()", *(f"${n}" for n in code.names)):
            self._run_of(self._word(code), "remote-code")
        if language == "shell" and call.stdin:  # the inner script may itself read the pipe
            if self._depth < _DEPTH:
                inner = ShellPass(self._nested, self._depth + 1)
                inner.written["/dev/stdin"] = call.stdin
                self._adopt(inner, inner._script(parse(code.text, call.command.line), call.stdin))
            return NONE
        passed = call.stdin if language == "shell" else call.stdin - held(call.stdin, "net")
        return self._inside(language, self._literal(code), call.command.line) | passed

    def _fetch(self, call: "_Call") -> Labels:
        """curl, wget and their like: what goes out in body, address or header, and where the answer goes."""
        self._sends = True
        request = commands.request(call.name, call.args)
        body = union(self._payload(word, text, call.stdin) for word, text in request.body)
        head = union(self._word(word) | self._expansions([word]) for word in request.head)
        full = [self._literal(word) for word in request.rest]
        to, where = [h for text in full for h in hosts(text)], [w for text in full for w in addresses(text)]
        # The address carries data too; a word that is none, such as the method, does not.
        named = [w for w, text in zip(request.rest, full, strict=True) if "." in text or "$" in text or "/" in text]
        body |= union(self._word(word) for word in named) | self._expansions(named)
        to = to or hosts(call.command.raw)
        self._send(body, to, False)
        self._send(head, to, True)
        if any(commands.PROGRAM.search(w.split("?")[0]) and not known_publisher(w) for w in where):
            self._hit("fetch-program")
        known = bool(where) and all(known_publisher(w) for w in where)
        got: Labels = frozenset(f"net:{'!' if known else ''}{w}" for w in where) or frozenset(["net:$"])
        target = request.target or (where[0].rsplit("/", 1)[-1] if request.named and where else "")
        if target in ("", "-", "/dev/null", "/dev/stdout"):
            return got
        self._write(call.command, target, got, "")
        return NONE

    def _payload(self, word: Word, text: str, stdin: Labels) -> Labels:
        found = self._word(word) | self._expansions([word])
        if not found and commands.NAMED_SECRET.search(text):
            found |= {"key:token"}
        for path in re.findall(r"(?:^|=)[@<]([^;\s]{1,200})", text):
            found |= stdin if path in ("-", "/dev/stdin") else self._named(path)
        if "--post-file" in word.text or "--body-file" in word.text or not text.startswith(("{", "@")):
            found |= self._named(text) if "/" in text or text.startswith((".", "~")) else NONE
        if text == "-":
            found |= stdin
        return found

    # What words hold

    def _word(self, word: Word) -> Labels:
        labels = NONE
        for script in (*word.nested, *word.feeds):
            labels |= self._script(script, NONE)
            # `$(API_KEY)` is a common slip for the variable.
            if len(script.pipelines) == 1 and len(script.pipelines[0]) == 1 and script.pipelines[0][0].name.isupper():
                labels |= key(script.pipelines[0][0].name)
        for name in word.names:
            labels |= self.variables.get(name, NONE)
        return labels

    def _file(self, word: Word) -> Labels:
        return self._named(word.text) | self._word(word)

    # Programs inside programs

    def _inside(self, language: str, text: str, line: int) -> Labels:
        if self._depth >= _DEPTH or not text.strip():
            return NONE
        if language == "shell":
            inner = ShellPass(self._nested, self._depth + 1)
            inner.variables, inner.literals = dict(self.variables), dict(self.literals)
            inner.written = self.written
            return self._adopt(inner, inner.read(text, line))
        if self._nested is not None and (other := self._nested(language, text, line, self.variables)) is not None:
            return self._adopt(other, NONE)
        return NONE

    def _adopt(self, inner: "ShellPass", out: Labels) -> Labels:
        self._sends |= inner.sends
        self.hits += inner.hits
        self.touched |= inner.touched
        return out
