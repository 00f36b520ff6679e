"""What a script has read, written and set so far, and what of that is a finding: sending, running, deleting, writing.

`prowess.guard.scan.shellflow` walks through the commands and says to this what each does.
"""

import re

from prowess.guard.scan import commands
from prowess.guard.scan.flow import NONE, Labels, held, hosts, key, leak, stores, union
from prowess.guard.scan.hidden import decoded
from prowess.guard.scan.rules import Hit
from prowess.guard.scan.shell import Command, Word, unescaped


class ShellState:
    """The state of one reading of a script."""

    def __init__(self) -> None:
        self.hits: list[Hit] = []
        self.touched: set[str] = set()
        """Stores of credentials that were read."""
        self.variables: dict[str, Labels] = {}
        self.literals: dict[str, str] = {}
        self.written: dict[str, Labels] = {}
        """Labels of files, by path."""
        self._sends = False
        self._evidence = (1, "")
        """Line and text of the pipeline that is looked at."""

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
        net = held(labels, "net")
        if net:
            where = [label.removeprefix("net:").removeprefix("!") for label in sorted(net) if label != "net:$"]
            line, text = self._evidence
            seen = text if all(w in text for w in where) else f"{text} ← https://{' https://'.join(where)}"
            self.hits.append(
                Hit("remote-installer" if all(label.startswith("net:!") for label in net) else rule, line, seen)
            )
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
            if commands.GONE.match(word.text) or commands.GONE.match(path):
                self._hit("destroy-path")
            elif re.match(r"(?:~|\$HOME)/\S", word.text) and not re.match(r"(?:~|\$HOME)/\.cache/", word.text):
                self._hit("delete-home")
            elif (
                (unset := commands.UNSET.match(word.text))
                and ("/*" in word.text or word.text.endswith("/"))
                and not self.literals.get(unset[1])
            ):
                self._hit("delete-variable")

    def _write(self, command: Command, path: str, labels: Labels, text: str) -> None:
        self.written[commands.path(path)] = labels | (self.written.get(commands.path(path), NONE))
        if held(labels, "store") - {"store:system"}:
            self._hit("staged-secret" if commands.SHARED.match(path) else "credentials")
        text = text or command.raw
        remote = bool(hosts(text)) or bool(held(labels, "net"))
        if "authorized_keys" in path:
            self._hit("start-up-file")
        elif commands.RC.search(path):
            if remote or any(not commands.MILD_RC.match(line) for line in self._lines(command)):
                self._hit("start-up-file")
        elif (commands.START.search(path) and remote and "hooks/" not in path) or (".git/hooks/" in path and remote):
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
            inside |= self.written.get(commands.path(word.text), NONE) | self._named(word.text)
        if target is not None:
            self.written[commands.path(target)] = inside

    # What words and files hold

    def _expansions(self, words: list[Word]) -> Labels:
        """Labels of secret variables that the words expand: they count where they are sent, not where named."""
        return union(key(n) for w in words for n in w.names if n not in self.variables)

    def _paths(self, words: list[Word], literal: bool = False) -> Labels:
        found = NONE
        for word in words:
            if not literal:
                found |= self._named(word.text)
            else:
                keys = self._expansions([word])
                found |= keys or (frozenset(["key:token"]) if commands.NAMED_SECRET.search(word.text) else NONE)
        return found

    def _named(self, path: str) -> Labels:
        """Labels of a file that is read by this name."""
        found = stores(path)
        for label in found:
            self.touched.add(label.removeprefix("store:"))
        known = self.written.get(commands.path(path), NONE)
        if not known and path.endswith(("/", "*", "/.")):
            folder = commands.path(path.rstrip("*/."))
            known = union(labels for p, labels in self.written.items() if p.startswith(folder)) if folder else NONE
        return found | known

    def _ran(self, path: str) -> Labels:
        """Labels of a file that is run by this name."""
        found = self.written.get(commands.path(path), NONE)
        if not found and path.startswith("$"):
            name = path.lstrip("$")
            found = self.written.get(commands.path(self.literals.get(name, "")), NONE) or self.written.get(path, NONE)
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
            text = " ".join(self._literal(a) for a in args if not commands.plain_option(a.text))
            return unescaped(text) if "\\x" in text or "\\0" in text else text
        if name in ("tr", "cat", "rev", "tee", "fold", "tac"):
            return literal.replace(" ", "") if name == "tr" else literal
        if literal and commands.decodes(name, args):
            return decoded(literal)
        return ""

    def _hit(self, rule: str) -> None:
        self.hits.append(Hit(rule, *self._evidence))
