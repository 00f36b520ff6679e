"""The shell pass: what a script reads, sends, fetches, runs and deletes, followed through pipes, variables and files.

Commands are not run; each is looked up in a few tables of what such programs do. Text inside `sh -c`, `python -c` and
decoded literals is read in its turn, to a fixed depth.
"""

import re
from collections.abc import Callable
from typing import Final

from prowess.guard.scan.flow import NONE, Labels, addresses, hosts, key, known_publisher, leak, stores
from prowess.guard.scan.hidden import decoded
from prowess.guard.scan.rules import Hit
from prowess.guard.scan.shell import Command, Script, Word, parse, unescaped

_DEPTH: Final = 4
_ROUNDS: Final = 3_000
"""Commands that one pass looks at."""

_SHELLS: Final = frozenset(["sh", "bash", "zsh", "dash", "ksh", "fish", "eval", "source", ".", "iex"])
_INTERPRETERS: Final = _SHELLS | {"python", "python3", "python2", "node", "deno", "bun", "perl", "ruby", "php", "osascript", "pwsh", "powershell"}
_FETCHERS: Final = frozenset(["curl", "wget", "fetch", "aria2c", "http", "https", "xh", "lwp-request", "iwr", "invoke-webrequest"])
_SENDERS: Final = frozenset(["nc", "ncat", "netcat", "socat", "telnet", "sendmail", "mail", "mailx", "mutt", "ftp", "tftp", "scp", "rsync", "sftp"])
_RESOLVERS: Final = frozenset(["dig", "nslookup", "host", "ping", "drill"])
_READERS: Final = frozenset(
    "cat head tail less more strings grep egrep rg awk sed cut sort uniq tr tar zip gzip bzip2 xz openssl gpg base64 base32 xxd od hexdump"
    " jq yq find ls cp mv dd tee echo printf envsubst paste column rev nl pr fold split security sqlite3 install ln type".split()
)
_WRAPPERS: Final = frozenset(["sudo", "env", "nohup", "exec", "command", "builtin", "doas", "time", "nice", "busybox", "stdbuf", "setsid", "caffeinate"])
_TAKES_VALUE: Final = frozenset(["-u", "-g", "-n", "-C", "-S", "-o", "-e", "-i"])
_DATA: Final = re.compile(r"^(?:-\w{0,4}[dFT]$|--data|--json|--form|--upload-file|--post-data|--post-file|--body-data|--body-file|--data-\w+)")
_HEADER: Final = re.compile(r"^(?:-\w{0,4}[HAbeu]$|--header|--user(?:-agent)?|--cookie|--oauth2-bearer|--referer)")
_OUTPUT: Final = re.compile(r"^(?:-\w{0,6}[oO]|--output(?:-document)?|--remote-name)$")
_RC: Final = re.compile(r"\.(?:bashrc|zshrc|profile|bash_profile|zprofile|zshenv|bash_login|kshrc)\b|config\.fish|/etc/(?:profile|bash\.bashrc|environment)")
_START: Final = re.compile(r"/etc/(?:cron|rc\.local|init\.d|systemd)|\.config/autostart|LaunchAgents|LaunchDaemons|\.git/hooks/|systemd/user")
_MILD_RC: Final = re.compile(r"^\s*(?:export\s+\w+=|alias\s|\[|source\s|\.\s|eval\s+\"?\$\(\w|PATH=|fpath|autoload|set\s|#|$)")
_GONE: Final = re.compile(
    r"^(?:/|/\*|~/?|~/\*|\$HOME/?|\$HOME/\*|/home/?\*?|/root/?\*?|/(?:etc|usr|bin|sbin|boot|lib|opt|var|dev|sys|proc)/?\*?"
    r"|/var/log(?:/.*)?|/etc/.+|/usr/(?:bin|lib|sbin|share)/?\*?|/boot/.*|~/\.(?:ssh|gnupg|aws|config)/?\*?|/Users/?\*?|[A-Z]:[\\/]\*?)$"
)
_UNSET: Final = re.compile(r"^\$([A-Za-z_]\w*)(/\*|/?)$")
_HIDEOUT: Final = re.compile(r"^(?:/tmp|/var/tmp|/dev/shm|~/\.cache|\$TMPDIR)/\.[\w-]")
"""Hidden files among the temporary ones."""
_NAMED_SECRET: Final = re.compile(r"(?:secret|password|passwd|credential|token|api_?key)s?[\"']?\s{0,2}[=:]\s{0,2}[\"'\\]{0,3}\$", re.IGNORECASE)
_PROGRAM: Final = re.compile(r"\.(?:sh|ps1|bat|exe|bin|pkg|dmg|appimage|run|pex|msi)$", re.IGNORECASE)


class ShellPass:
    """One reading of a script. `hits` is what it saw; `touched` the stores of credentials that it reads."""

    def __init__(
        self, nested: "Callable[[str, str, int, dict[str, Labels]], ShellPass | None] | None" = None, depth: int = 0
    ) -> None:
        self.hits: list[Hit] = []
        self.touched: set[str] = set()
        self.variables: dict[str, Labels] = {}
        self.literals: dict[str, str] = {}
        self.written: dict[str, Labels] = {}
        """Labels of files, by path."""
        self._nested = nested
        """Reads a program in another language: language, text, line, labels of its variables."""
        self._depth = depth
        self._left = _ROUNDS
        self._sends = False
        self._evidence = (1, "")
        """Line and text of the pipeline that is looked at."""

    def read(self, text: str, line: int = 1) -> Labels:
        """Looks through `text`; the labels of what it prints."""
        return self._script(parse(text, line), NONE)

    def _script(self, script: Script, stdin: Labels) -> Labels:
        out = NONE
        for pipeline in script.pipelines:
            flowing, literal = stdin, ""
            outer, self._evidence = self._evidence, (pipeline[0].line, " ".join(command.raw.strip() for command in pipeline))
            for command in pipeline:
                self._left -= 1
                if self._left < 0:
                    return out
                flowing, literal = self._command(command, flowing, literal, out, bool(pipeline[-1] is not command))
            out |= flowing
            self._evidence = outer
        return out

    def _command(self, command: Command, stdin: Labels, literal: str, before: Labels, piped: bool) -> tuple[Labels, str]:  # noqa: PLR0915
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
            if any(l.startswith("store:") for l in self.variables[name]):
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
        words = _unwrapped(command.words)
        if not words:
            return (frozenset(["env"]), "") if command.name == "env" else (NONE, "")
        name = words[0].text.rsplit("/", 1)[-1].lower().removesuffix(".exe")
        args = words[1:]
        given = NONE
        for word in words:
            given |= self._word(word)
        if name in ("env", "printenv") and all("=" in a.text or a.text.startswith("-") for a in args) or (name in ("set", "export", "declare") and not args):
            return frozenset(["env"]), ""
        if name == "printenv":
            return frozenset().union(*(key(a.text) for a in args)), ""
        if name in ("export", "declare", "local", "readonly", "typeset", "let"):
            for word in args:
                left, sign, right = word.text.partition("=")
                if sign:
                    self.variables[left] = self._word(word)
                    self.literals[left] = right
            return NONE, ""
        if name == "for" and len(args) > 2 and args[1].text == "in":
            self.variables[args[0].text] = given | frozenset().union(*(stores(a.text) for a in args[2:]))
            return NONE, ""
        if name in ("read", "mapfile", "readarray"):
            for word in args:
                if not word.text.startswith("-"):
                    self.variables[word.text] = stdin
            return NONE, ""
        if name in ("done", "fi", "esac"):
            return before | stdin, ""
        if name == "xargs":
            return self._simple(Command(command.line, [a for a in args if not _plain_option(a.text)], raw=command.raw), stdin, literal, before) if args else (stdin, "")
        if name in ("python3", "python", "node", *_INTERPRETERS):
            return self._interpret(command, name, args, stdin, literal), ""
        self._sends |= name in _FETCHERS or name in _SENDERS or name in _RESOLVERS
        if name in _FETCHERS:
            return self._fetch(command, args, stdin), ""
        if name in _SENDERS or (name == "aws" and any(a.text in ("cp", "sync", "put-object") for a in args)) or (name == "gh" and args and args[0].text == "gist"):
            data = given | stdin | self._paths([a for a in args if not _identity(args, a)])
            remote = name not in ("scp", "rsync", "sftp") or any(":" in a.text and not a.text.startswith("/") for a in args)
            if remote:
                self._send(data, [a.text.lower() for a in args if "." in a.text and "/" not in a.text], False)
            return NONE, ""
        if name in _RESOLVERS:
            if any(l.startswith(("key:", "store:", "env")) for l in given | self._expansions(args)):
                self._hit("leak")
            return NONE, ""
        if name in ("chmod",):
            return NONE, ""
        if name == "rm" or (name == "find" and any(a.text == "-delete" for a in args)):
            self._delete(name, args)
            return NONE, ""
        if name == "crontab" and stdin & {l for l in stdin if l.startswith("net:")}:
            self._hit("persistence-remote")
        if name in ("tee",):
            for word in args:
                if not word.text.startswith("-"):
                    self._write(command, word.text, stdin, literal)
            return stdin, literal
        if name in ("git", "cargo", "brew", "go", "docker", "kubectl", "pip", "pip3", "npm", "npx", "uv"):
            return NONE, ""
        if name in ("cp", "mv", "install", "ln") and len(args) > 1:
            moved = self._paths(args[:-1])
            for word in args[:-1]:
                moved |= self.written.get(_path(word.text), NONE)
            self._write(command, args[-1].text, moved, "")
            return NONE, ""
        if (ran := self._ran(words[0].text)) & {l for l in ran if l.startswith("net:")} or "decoded" in ran:
            self._run_of(ran, "download-run")
            return NONE, ""
        if name == "security" and any("dump-keychain" in a.text for a in args):
            return given | {"store:keys"}, ""
        out = given | (stdin if name in _READERS or name in ("curl",) else NONE)
        if name in _READERS:
            data = args[1:] if name in ("grep", "egrep", "rg", "sed", "awk") and args else args
            out |= self._paths(data, literal=name in ("echo", "printf"))
            if "-C" in [a.text for a in args] or name in ("tar", "zip"):
                self._archive(args, out)
        text = self._printed(name, args, literal)
        if name in ("base64", "gbase64", "base32") and not _decodes(name, args):
            # An image that is sent as base64 comes from a file; a bare value has no other reason than to be unreadable.
            out |= {"encoded:value" if "$" in literal else "encoded:file"}
        if _decodes(name, args) or (name == "printf" and re.search(r"(?:\\x[0-9a-fA-F]{2}){4}", " ".join(a.raw for a in args))):
            out |= {"decoded"}
        if _blinds(name, args):
            out -= {l for l in out if l.startswith(("store:", "env"))}
        return out, text

    # What single kinds of commands do

    def _interpret(self, command: Command, name: str, args: list[Word], stdin: Labels, literal: str) -> Labels:
        """A program that runs text: from its arguments, a file, a pipe, or a substitution."""
        words = [a.text for a in args]
        fed = NONE
        for word in args:
            for script in word.feeds:
                fed |= self._script(script, NONE)
        inline = next((i for i, w in enumerate(words) if re.fullmatch(r"-\w{0,3}[ce]|-e|-r|--eval|-command|-c", w, re.IGNORECASE)), None)
        if name in ("eval", "iex"):
            ran = frozenset().union(*(self._word(a) for a in args)) if args else stdin
            self._run_of(ran, "remote-code")
            text = " ".join(self._literal(a) for a in args)
            return self._inside("shell", text, command.line) if text else NONE
        if inline is not None and inline + 1 < len(args):
            stdin -= {l for l in stdin if l.startswith("net:")} if name not in _SHELLS else NONE
            code = args[inline + 1]
            direct = NONE
            for script in code.nested:
                direct |= self._script(script, NONE)
            if code.text.strip() in ("$()", *(f"${n}" for n in code.names)):
                for n in code.names:
                    direct |= self.variables.get(n, NONE)
                self._run_of(direct, "remote-code")
            if stdin and name in _SHELLS:  # the inner script may itself read the pipe
                inner = ShellPass(self._nested, self._depth + 1)
                if self._depth < _DEPTH:
                    inner.written["/dev/stdin"] = stdin
                    self._adopt(inner, inner._script(parse(code.text, command.line), stdin))
                return NONE
            language = "shell" if name in _SHELLS else "python" if name.startswith("python") else "script"
            return self._inside(language, self._literal(code), command.line) | stdin
        self._run_of(fed, "remote-code")
        plain = [w for w in words if not w.startswith("-") or w == "-"]
        script_file = next((w for w in plain if w not in ("-", "/dev/stdin")), None)
        reads_pipe = script_file is None or "-s" in words or "-" in plain or "/dev/stdin" in plain
        if name in ("source", "."):
            reads_pipe = "/dev/stdin" in plain
        if reads_pipe and (stdin or literal):
            if not any(w in ("-m",) for w in words):
                self._run_of(stdin, "remote-code")
                if literal and not fed:
                    language = "shell" if name in _SHELLS else "python" if name.startswith("python") else "script"
                    return self._inside(language, literal, command.line)
        if script_file is not None and _HIDEOUT.match(script_file):
            self._hit("temporary-code")
        if script_file is not None and "-m" not in words:
            self._run_of(self._ran(script_file), "download-run")
        return NONE

    def _fetch(self, command: Command, args: list[Word], stdin: Labels) -> Labels:
        """curl, wget and their like: what goes out in body, address or header, and where the answer goes."""
        body, head, target = NONE, NONE, None
        to: list[str] = []
        where: list[str] = []
        i = 0
        while i < len(args):
            word = args[i]
            option, sign, value = word.text.partition("=")
            if _DATA.match(word.text) or _DATA.match(option):
                given = word if sign and option.startswith("--") else args[i + 1] if i + 1 < len(args) else word
                body |= self._payload(given, value if given is word else given.text, stdin)
                i += 1 if given is word else 2
            elif _HEADER.match(option):
                given = word if sign else args[i + 1] if i + 1 < len(args) else word
                head |= self._word(given) | self._expansions([given])
                i += 1 if given is word else 2
            elif _OUTPUT.match(option):
                if option.endswith("O") and not option.startswith("--") and "wget" not in command.raw[:80]:
                    target = ""
                    i += 1
                else:
                    target = value or (args[i + 1].text if i + 1 < len(args) else "")
                    i += 1 if value else 2
            elif word.text.startswith("-o") and len(word.text) > 2:
                target = word.text[2:]
                i += 1
            else:
                if not word.text.startswith("-"):
                    full = self._literal(word)
                    found = hosts(full)
                    to += found
                    where += addresses(full)
                    if found or "." in full or "$" in full:
                        body |= self._word(word) | self._expansions([word])
                i += 1
        if not to:
            to = hosts(command.raw)
        self._send(body, to, False)
        self._send(head, to, True)
        if any(_PROGRAM.search(w.split("?")[0]) and not known_publisher(w) for w in where):
            self._hit("fetch-program")
        got: Labels = frozenset(f"net:{w}" for w in where) or frozenset(["net:$"])
        if all(known_publisher(w) for w in where) and where:
            got = frozenset(f"net:!{w}" for w in where)
        name = command.name
        if target is None and name.endswith("wget") and not any(re.match(r"-\w*O", a.text) for a in args) and where:
            target = where[0].rsplit("/", 1)[-1]
        if target == "" and where:
            target = where[0].rsplit("/", 1)[-1]
        if target and target not in ("-", "/dev/null", "/dev/stdout"):
            self._write(command, target, got, "")
            return NONE
        return got

    def _payload(self, word: Word, text: str, stdin: Labels) -> Labels:
        found = self._word(word) | self._expansions([word])
        if not found and _NAMED_SECRET.search(text):
            found |= {"key:token"}
        for path in re.findall(r"(?:^|=)[@<]([^;\s]{1,200})", text):
            found |= stdin if path in ("-", "/dev/stdin") else self._named(path)
        if "--post-file" in word.text or "--body-file" in word.text or not text.startswith(("{", "@")):
            found |= self._named(text) if "/" in text or text.startswith((".", "~")) else NONE
        if text == "-":
            found |= stdin
        return found

    def _send(self, data: Labels, to: list[str], header: bool) -> None:
        rule = leak(data, to, header)
        if not header and rule != "leak":
            if "encoded:value" in data and any(h != "$" for h in to):
                rule = "encoded-value"
            elif rule is None and data & {"encoded:file", "encoded:value", "decoded"}:
                rule = "encoded-send"
        if rule is not None:
            self._hit(rule)

    def _run_of(self, labels: Labels, rule: str) -> None:
        """Text or a file with these labels is run."""
        net = [l for l in labels if l.startswith("net:")]
        if net:
            self._hit("remote-installer" if all(l.startswith("net:!") for l in net) else rule)
        if "decoded" in labels:
            self._hit("decoded-code")

    @property
    def sends(self) -> bool:
        """Whether a command was seen that talks to the network."""
        return self._sends

    def _delete(self, name: str, args: list[Word]) -> None:
        options = "".join(a.text for a in args if a.text.startswith("-"))
        if name == "rm" and not re.search(r"[rRf]", options):
            return
        for word in args:
            path = word.text.rstrip("/") or word.text
            if _GONE.match(word.text) or _GONE.match(path):
                self._hit("destroy-path")
            elif re.match(r"(?:~|\$HOME)/\S", word.text) and not re.match(r"(?:~|\$HOME)/\.cache/", word.text):
                self._hit("delete-home")
            elif (unset := _UNSET.match(word.text)) and ("/*" in word.text or word.text.endswith("/")) and not self.literals.get(unset[1]):
                self._hit("delete-variable")

    def _write(self, command: Command, path: str, labels: Labels, text: str) -> None:
        self.written[_path(path)] = labels | (self.written.get(_path(path), NONE))
        if any(l.startswith("store:") and l != "store:system" for l in labels):
            self._hit("credentials")
        text = text or command.raw
        remote = bool(hosts(text)) or any(l.startswith("net:") for l in labels)
        if "authorized_keys" in path:
            self._hit("start-up-file")
        elif _RC.search(path):
            if remote or any(not _MILD_RC.match(line) for line in self._lines(command)):
                self._hit("start-up-file")
        elif _START.search(path) and remote and "hooks/" not in path:
            self._hit("persistence-remote")
        elif ".git/hooks/" in path and remote:
            self._hit("persistence-remote")

    def _lines(self, command: Command) -> list[str]:
        """What the command writes, as far as it stands there."""
        if command.name in ("echo", "printf"):
            return [w.text for w in command.words[1:] if not w.text.startswith("-")][:1]
        return [line for o, w in command.redirects if o == "<<" for line in w.text.split("\n")]

    def _archive(self, args: list[Word], labels: Labels) -> None:
        target = next((a.text for a in args if re.search(r"\.(?:tar|tgz|zip|gz|bz2|xz)\b", a.text)), None)
        inside = labels
        for word in args:
            inside |= self.written.get(_path(word.text), NONE) | self._named(word.text)
        if target is not None:
            self.written[_path(target)] = inside

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

    def _expansions(self, words: list[Word]) -> Labels:
        """Labels of secret variables that the words expand: they count where they are sent, not where they are named."""
        return frozenset().union(*(key(n) for w in words for n in w.names if n not in self.variables))

    def _paths(self, words: list[Word], literal: bool = False) -> Labels:
        found = NONE
        for word in words:
            if not literal:
                found |= self._named(word.text)
            else:
                keys = self._expansions([word])
                found |= keys or (frozenset(["key:token"]) if _NAMED_SECRET.search(word.text) else NONE)
        return found

    def _named(self, path: str) -> Labels:
        """Labels of a file that is read by this name."""
        found = stores(path)
        for label in found:
            self.touched.add(label.removeprefix("store:"))
        known = self.written.get(_path(path), NONE)
        if not known and path.endswith(("/", "*", "/.")):
            folder = _path(path.rstrip("*/."))
            known = frozenset().union(*(l for p, l in self.written.items() if p.startswith(folder))) if folder else NONE
        return found | known

    def _file(self, word: Word) -> Labels:
        return self._named(word.text) | self._word(word)

    def _ran(self, path: str) -> Labels:
        """Labels of a file that is run by this name."""
        found = self.written.get(_path(path), NONE)
        if not found and path.startswith("$"):
            name = path.lstrip("$")
            found = self.written.get(_path(self.literals.get(name, "")), NONE) or self.written.get(path, NONE)
        return found

    def _literal(self, word: Word) -> str:
        """The word with the variables filled in whose text is known."""
        text = word.text
        for name in word.names:
            if known := self.literals.get(name):
                text = text.replace(f"${name}", known[:2000], 1)
        return text

    def _printed(self, name: str, args: list[Word], literal: str) -> str:
        if name in ("echo", "printf"):
            text = " ".join(self._literal(a) for a in args if not _plain_option(a.text))
            return unescaped(text) if "\\x" in text or "\\0" in text else text
        if name in ("tr", "cat", "rev", "tee", "fold", "tac"):
            return literal.replace(" ", "") if name == "tr" else literal
        if literal and _decodes(name, args):
            return decoded(literal)
        return ""

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

    def _hit(self, rule: str) -> None:
        self.hits.append(Hit(rule, *self._evidence))


def _unwrapped(words: list[Word]) -> list[Word]:
    """The words of the command that sudo, env and the like start."""
    while words and words[0].text.rsplit("/", 1)[-1] in _WRAPPERS:
        words = words[1:]
        while words and (words[0].text.startswith("-") or "=" in words[0].text):
            words = words[2:] if words[0].text in _TAKES_VALUE else words[1:]
    return words


def _decodes(name: str, args: list[Word]) -> bool:
    texts = [a.text for a in args]
    if name in ("base64", "base32", "gbase64"):
        return any(t in ("-d", "-D", "--decode", "-di", "-id") for t in texts)
    if name == "xxd":
        return any(re.fullmatch(r"-\w*r\w*|-revert", t) for t in texts)
    if name == "openssl":
        return "-d" in texts
    return name in ("rev", "uudecode") or (name == "tr" and any("a-m" in t.lower() or "n-za" in t.lower() for t in texts))


def _blinds(name: str, args: list[Word]) -> bool:
    """Whether what the command prints says nothing of the secret that it reads."""
    texts = {a.text for a in args}
    return name in ("ls", "stat", "wc", "file", "du", "type", "sha256sum", "md5sum") or (
        name in ("grep", "rg", "egrep") and bool(texts & {"-q", "-c", "-l", "--quiet", "-L", "-qE", "-rl"})
    )


def _identity(args: list[Word], word: Word) -> bool:
    """Whether `word` names the key with which ssh and its like log in."""
    at = next((i for i, a in enumerate(args) if a is word), 0)
    return at > 0 and args[at - 1].text in ("-i", "-F", "--key", "--cert", "-e")


def _plain_option(text: str) -> bool:
    return text.startswith("-") and len(text) <= 4


def _path(path: str) -> str:
    return path.removeprefix("./").strip("'\"")
