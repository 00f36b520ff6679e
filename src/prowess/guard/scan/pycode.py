"""The Python pass: values followed from where they come from (environment, credential files, network, decoding) to
where they go (network, shell, interpreter, deletion), over the syntax tree and without running anything.

`prowess.guard.scan.pyvalues` says what values hold; here stands what must not be done with them.
"""

import ast

from prowess.guard.scan import pytree
from prowess.guard.scan.flow import NONE, Labels, held, hosts, leak, stores, union
from prowess.guard.scan.pyvalues import PythonValues
from prowess.guard.scan.rules import Hit
from prowess.guard.scan.shellflow import ShellPass


def read(text: str, line: int = 1, given: dict[str, Labels] | None = None) -> "PythonPass | None":
    """The pass over `text`, or None where it is no Python.

    Args:
        given: Labels of variables, for text inside a shell script.
    """
    tree = pytree.parsed(text)
    if tree is None:
        return None
    done = PythonPass(tree, line, given or {})
    try:
        done.run()
    except RecursionError:
        done.hits.append(Hit("unread", line, "an expression nested too deeply to be followed"))
    return done


class PythonPass(PythonValues):
    """One reading of a module."""

    def run(self) -> None:
        self.follow()
        calls = [n for n in self._nodes if isinstance(n, ast.Call)]
        self._dumps: list[ast.Call] = [n for n in calls if self._full(n.func).rsplit(".", 1)[-1] in pytree.DUMPS][
            : pytree.BUNDLES
        ]
        for node in self._nodes:
            if isinstance(node, ast.Call):
                self._call(node)
            elif isinstance(node, ast.Dict):
                self._bundle(node)
            elif isinstance(node, ast.While) and _endless(node):
                self._hit("endless", node.test)

    def _call(self, node: ast.Call) -> None:
        name = self._full(node.func)
        last = name.rsplit(".", 1)[-1]
        values = [*node.args, *(k.value for k in node.keywords)]
        given = union(self._labels(v) for v in values)
        for label in (
            stores(self._written(node))
            if name
            in (
                "open",
                "io.open",
                "Path",
                "pathlib.Path",
                "os.path.expanduser",
                "os.path.join",
                "shutil.copy",
                "shutil.copytree",
                "shutil.copy2",
            )
            else NONE
        ):
            self.touched.add(label.removeprefix("store:"))
        if name in pytree.RUNNERS or (last in ("exec_module", "create_module") and given):
            if held(given, "net"):
                self._hit("remote-code", node)
            elif "decoded" in given:
                self._hit("decoded-code", node)
            elif node.args and pytree.HIDEOUT.search(self._written(node.args[0])):
                self._hit("temporary-code", node)
            elif (
                name in ("exec", "builtins.exec")
                and node.args
                and not isinstance(node.args[0], ast.Constant | ast.Call)
            ):
                self._hit("dynamic-code", node)
            text = (self._decoded_text(node.args[0]) or self._longest(node.args[0])) if node.args else ""
            if text and (inner := read(text, node.lineno + self._offset)) is not None:
                self.hits += inner.hits
        elif name in ("__import__", "importlib.import_module"):
            if node.args and "decoded" in given:
                self._hit("decoded-code", node)
            elif node.args and isinstance(node.args[0], ast.BinOp):
                self._hit("dynamic-code", node)
        elif (
            name in ("getattr",)
            and len(node.args) > 1
            and isinstance(node.args[1], ast.BinOp | ast.Call | ast.Subscript)
        ):
            if self._full(node.args[0]) in ("os", "subprocess", "builtins", "__builtins__", "sys", "socket"):
                self._hit("decoded-code" if "decoded" in given else "dynamic-code", node)
        elif name in ("marshal.loads", "marshal.load"):
            self._hit("decoded-code", node)  # compiled code, of which nobody can read what it does
        elif name in pytree.LOADERS:
            safe = any("Safe" in ast.dump(v) for v in values) or any(k.arg == "weights_only" for k in node.keywords)
            if held(given, "net") and not safe:
                self._hit("unsafe-load", node)
        elif name in pytree.SHELLS or name in pytree.PROCESSES:
            if "decoded" in given and name in pytree.SHELLS:
                self._hit("decoded-code", node)
            inner = self._shell(node, name)
            self.hits += [Hit(h.rule, node.lineno + self._offset, h.text) for h in inner.hits]
            self.touched |= inner.touched
        elif name in ("print", "sys.stdout.write", "logging.info", "logging.debug", "logger.info", "logger.debug"):
            if any(self._bare_secret(v) for v in values):
                self._hit("print-secret", node)
        elif name in ("shutil.rmtree", "os.removedirs") and node.args:
            path = self._text(node.args[0])
            if path and (inner := _deleting(path)):
                self.hits += [Hit(h.rule, node.lineno + self._offset, ast.unparse(node)[:300]) for h in inner]
        elif self._is_client(name) and last in pytree.SENDS | pytree.GETS:
            self._sent(node, name, last)

    def _longest(self, node: ast.AST) -> str:
        """The longest text in an expression, pieces put together: what is run, if the rest changes little."""
        said = [self._text(each) for each in ast.walk(node) if isinstance(each, ast.expr)]
        return max(said, key=len, default="")

    def _sent(self, node: ast.Call, name: str, last: str) -> None:
        head = union(
            [
                *(
                    self._labels(k.value)
                    for k in node.keywords
                    if k.arg in ("headers", "auth", "cookies", "cert", "context")
                )
            ]
        )
        body = union(
            [
                *(self._labels(a) for a in node.args),
                *(
                    self._labels(k.value)
                    for k in node.keywords
                    if k.arg not in ("headers", "auth", "cookies", "cert", "context", "timeout", "verify", "proxies")
                ),
            ]
        )
        to = [h for w in self._where(node) for h in hosts(f"https://{w}")]
        if not to and last in pytree.GETS and not name.startswith(("urllib", "requests", "httpx")):
            return  # `cache.get(token)`: nothing says that it is the network
        for labels, header in ((body, False), (head, True)):
            rule = leak(labels, to, header)
            if rule == "leak" or (rule is not None and to):
                self._hit(rule, node)

    def _bundle(self, node: ast.Dict) -> None:
        """Several secrets in one mapping that is turned into text: nobody needs that to use them."""
        bare = [v for v in node.values if self._bare_secret(v)]
        if len(bare) < 2 or not self._dumps:
            return
        names = {
            t.id
            for a in self._nodes
            if isinstance(a, ast.Assign) and a.value is node
            for t in a.targets
            if isinstance(t, ast.Name)
        }
        for call in self._dumps:
            if call.args:
                arg = call.args[0]
                if arg is node or (isinstance(arg, ast.Name) and arg.id in names):
                    self._hit("harvest", call)


def _deleting(path: str) -> list[Hit]:
    shell = ShellPass()
    shell.read(f"rm -rf '{path}'" if not path.startswith("~") else f"rm -rf {path}")
    return shell.hits


def _endless(loop: ast.While) -> bool:
    """Whether nothing in the loop ends it, waits, or gives something back."""
    ways_out = (ast.Break, ast.Return, ast.Raise, ast.Yield, ast.YieldFrom, ast.Await)
    calls = (n.func for n in ast.walk(loop) if isinstance(n, ast.Call))
    waits = any(
        pytree.dotted(called).rsplit(".", 1)[-1] in ("sleep", "exit", "_exit", "wait", "input", "accept", "recv", "get")
        for called in calls
    )
    always = isinstance(loop.test, ast.Constant) and bool(loop.test.value)
    return always and not waits and not any(isinstance(n, ways_out) for n in ast.walk(loop))
