"""What values in Python hold: names followed through a whole module, expressions, and the commands that it starts.

Names are followed through the whole module at once, branches and order ignored, which errs on the side of seeing flows.
Attributes of objects, containers and imports from other files are followed only as far as one expression reaches.
"""

import ast
from typing import Final

from prowess.guard.scan import pytree
from prowess.guard.scan.flow import NONE, Labels, addresses, held, key, known_publisher, stores, union
from prowess.guard.scan.hidden import decoded
from prowess.guard.scan.rules import Hit
from prowess.guard.scan.shellflow import ShellPass

ENV: Final = "os.environ"
_NUMBERS: Final = 16
"""Numbers in a row from which on they are a text that nobody can read."""
_READS_ENV: Final = ("os.getenv", "environ.get", f"{ENV}.get", f"{ENV}.pop")


class PythonValues:
    """What the names and expressions of a module hold."""

    def __init__(self, tree: ast.Module, line: int, given: dict[str, Labels]) -> None:
        self.hits: list[Hit] = []
        self.touched: set[str] = set()
        self.modules: set[str] = set()
        self._offset = line - 1
        self.names: dict[str, Labels] = dict(given)
        self._strings: dict[str, str] = {}
        self._alias: dict[str, str] = {}
        self._nodes = [node for node, _ in zip(ast.walk(tree), range(pytree.NODES), strict=False)]
        self._functions = {n.name: n for n in self._nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
        self._seen: set[tuple[str, int]] = set()
        self._secrets: set[str] = set()
        """Names that hold a secret as it was read."""
        self._files: dict[str, Labels] = {}
        """Labels of files that commands wrote."""
        self._memo: dict[int, Labels] = {}

    def follow(self) -> None:
        """Learns what every name of the module may hold."""
        for node in self._nodes:
            if isinstance(node, ast.Import):
                for each in node.names:
                    self.modules.add(each.name.split(".")[0])
                    self._alias[each.asname or each.name.split(".")[0]] = (
                        each.name if each.asname else each.name.split(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                self.modules.add(node.module.split(".")[0])
                for each in node.names:
                    self._alias[each.asname or each.name] = f"{node.module}.{each.name}"
        for _ in range(pytree.ROUNDS):
            before = dict(self.names)
            self._memo.clear()
            for node in self._nodes:
                self._flow(node)
            if before == self.names:
                break
        self._memo.clear()

    # Values

    def _flow(self, node: ast.AST) -> None:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._assign(target, node.value)
        elif isinstance(node, ast.AnnAssign | ast.AugAssign | ast.NamedExpr) and node.value is not None:
            self._assign(node.target, node.value)
        elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
            self._assign(node.target, node.iter)
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            self._assign(node.optional_vars, node.context_expr)
        elif isinstance(node, ast.Return) and node.value is not None:
            pass
        elif isinstance(node, ast.Call):
            called = self._functions.get(pytree.dotted(node.func).rsplit(".", 1)[-1])
            if called is not None:
                names = [a.arg for a in (*called.args.posonlyargs, *called.args.args)]
                names = names[1:] if names[:1] == ["self"] else names
                for name, value in zip(names, node.args, strict=False):
                    self._add(name, self._labels(value))
                for word in node.keywords:
                    if word.arg:
                        self._add(word.arg, self._labels(word.value))
            elif isinstance(node.func, ast.Attribute) and node.func.attr in (
                "append",
                "extend",
                "add",
                "update",
                "write",
                "setdefault",
                "insert",
            ):
                root = pytree.root(node.func)
                if root and node.args:
                    self._add(root, union(self._labels(a) for a in node.args))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found = NONE
            for each in ast.walk(node):
                if isinstance(each, ast.Return) and each.value is not None:
                    found |= self._labels(each.value)
            self._add(f"{node.name}()", found)

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            for each in target.elts:
                self._assign(each, value)
            return
        name = pytree.root(target)
        if name:
            if isinstance(target, ast.Name) and self._bare_secret(value):
                self._secrets.add(name)
            self._add(name, self._labels(value))
            text = self._text(value)
            if text and isinstance(target, ast.Name):
                self._strings.setdefault(name, text)

    def _add(self, name: str, labels: Labels) -> None:
        if labels:
            self.names[name] = self.names.get(name, NONE) | labels

    def _labels(self, node: ast.AST) -> Labels:
        """What the value of an expression holds."""
        kept = self._memo.get(id(node))
        if kept is None:
            self._memo[id(node)] = NONE  # expressions are trees; this only guards against the unforeseen
            kept = self._memo[id(node)] = self._look(node)
        return kept

    def _look(self, node: ast.AST) -> Labels:
        if isinstance(node, ast.Name):
            return self.names.get(node.id, NONE) | (frozenset(["env"]) if self._full(node) == ENV else NONE)
        if isinstance(node, ast.Constant):
            return NONE
        if isinstance(node, ast.Subscript) and self._full(node.value) in (ENV, "environ"):
            return key(self._text(node.slice)) if self._text(node.slice) else frozenset(["in"])
        if isinstance(node, ast.Attribute) and self._full(node) == ENV:
            return frozenset(["env"])
        if isinstance(node, ast.Call):
            return self._result(node)
        found = NONE
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            found |= stores(self._path(node))
        elif isinstance(node, ast.Subscript) and pytree.backwards(node.slice):
            found |= {"decoded"}
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.expr_context | ast.operator):
                found |= self._labels(child)
        return found

    def _result(self, node: ast.Call) -> Labels:
        name = self._full(node.func)
        last = name.rsplit(".", 1)[-1]
        given = union(self._labels(a) for a in (*node.args, *(k.value for k in node.keywords)))
        first = self._text(node.args[0]) if node.args else ""
        if name in _READS_ENV:
            return key(first)
        if name in (f"{ENV}.copy", f"{ENV}.items", "dict") and ("environ" in name or "env" in given):
            return frozenset(["env"])
        if name in (
            "len",
            "bool",
            "isinstance",
            "hash",
            "type",
            "int",
            "range",
            "os.path.exists",
            "hashlib.sha256",
            "hashlib.md5",
            "any",
            "all",
        ):
            return NONE
        if name in (
            "open",
            "io.open",
            "Path",
            "pathlib.Path",
            "os.path.expanduser",
            "os.path.join",
            "glob.glob",
            "os.listdir",
            "dotenv_values",
            "dotenv.dotenv_values",
        ):
            return given | stores(self._written(node)) | (frozenset(["store:env"]) if "dotenv" in name else NONE)
        if name in ("pathlib.Path.home", "Path.home"):
            return NONE
        if _from_numbers(node, name):
            return given | {"decoded"}
        if last in pytree.DECODERS or (last == "decode" and first in ("base64", "rot13", "rot_13", "hex", "zlib")):
            return given | {"decoded"}
        own = self._labels(node.func.value) if isinstance(node.func, ast.Attribute) else NONE
        if name in pytree.SHELLS or name in pytree.PROCESSES or name == "subprocess.check_output":
            return self._shell(node, name).read_out
        if self._is_client(name) and last in pytree.GETS:
            where = self._where(node)
            known = bool(where) and all(known_publisher(w) for w in where)
            return frozenset(f"net:{'!' if known else ''}{w}" for w in where) or frozenset(["net:$"])
        if name == "input" or name.startswith("sys.argv"):
            return frozenset(["in"])
        if f"{last}()" in self.names:
            given |= self.names[f"{last}()"]
        elif last not in pytree.KEEPS:
            given, own = given - held(given, "key"), own - held(own, "key")
        if last in ("json", "status_code"):
            own -= held(own, "net")
        return given | own

    # Commands

    def _shell(self, node: ast.Call, name: str) -> "CommandLine":
        """The command line that a call starts, read by the shell pass."""
        shell = CommandLine()
        shell.written = self._files
        if not node.args:
            return shell
        first = node.args[0]
        as_shell = name in pytree.SHELLS or any(
            k.arg == "shell" and isinstance(k.value, ast.Constant) and k.value.value for k in node.keywords
        )
        if isinstance(first, ast.List | ast.Tuple):
            parts = [self._template(each, shell, quote=True) for each in first.elts]
            text = " ".join(parts)
        else:
            text = self._template(first, shell, quote=False)
        shell.read_out = shell.read(text)
        built = first if isinstance(first, ast.JoinedStr | ast.BinOp) else None
        if as_shell and built is not None and any("in" in self._labels(n) for n in ast.walk(built)):
            self._hit("shell-true", node)
        return shell

    def _template(self, node: ast.expr, shell: ShellPass, quote: bool) -> str:
        """`node` as shell text in which every value that is not written out is a variable with its labels."""
        if isinstance(node, ast.Constant):
            text = str(node.value)
            return "'" + text.replace("'", "'\\''") + "'" if quote and text not in ("|", "&&", ";") else text
        if isinstance(node, ast.Name) and node.id in self._strings and not quote:
            labels = self._labels(node)
            if not labels:
                return self._strings[node.id]
        if isinstance(node, ast.JoinedStr):
            text = "".join(
                self._template(v.value if isinstance(v, ast.FormattedValue) else v, shell, False) for v in node.values
            )
            return f'"{text}"' if quote else text
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return self._template(node.left, shell, quote) + self._template(node.right, shell, quote)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
            text = self._text(node.func.value)
            if text:
                return text.replace("{}", self._template(node.args[0], shell, False) if node.args else "")
        name = f"PY{len(shell.variables)}"
        shell.variables[name] = self._labels(node)
        if isinstance(node, ast.Name) and node.id in self._strings:
            shell.literals[name] = self._strings[node.id]
        return f'"${{{name}}}"' if quote else f"${{{name}}}"

    def _bare_secret(self, node: ast.expr) -> bool:
        """Whether the expression shows a secret as it was read, and not something made with it."""
        if isinstance(node, ast.Name):
            return node.id in self._secrets
        if isinstance(node, ast.JoinedStr):
            return any(isinstance(v, ast.FormattedValue) and self._bare_secret(v.value) for v in node.values)
        if isinstance(node, ast.BinOp):
            return self._bare_secret(node.left) or self._bare_secret(node.right)
        full = self._full(node.value) if isinstance(node, ast.Subscript) else self._full(node)
        if isinstance(node, ast.Call) and full.endswith((".decode", ".encode", ".strip", "b64encode", "dict", "str")):
            inner = [*node.args, *([node.func.value] if isinstance(node.func, ast.Attribute) else [])]
            return any(self._bare_secret(each) for each in inner)
        return full in (ENV, *_READS_ENV) and bool(self._labels(node))

    # Small readings of the tree

    def _is_client(self, name: str) -> bool:
        root = name.split(".", maxsplit=1)[0].lower()
        return name.rsplit(".", maxsplit=1)[-1] in ("urlopen", "urlretrieve", "getaddrinfo", "gethostbyname") or (
            "." in name and (root in pytree.CLIENTS or root.endswith(("session", "client", "sock", "smtp")))
        )

    def _where(self, node: ast.Call) -> list[str]:
        """Addresses that the call names, as far as they stand in the text."""
        found: list[str] = []
        for value in (*node.args[:2], *(k.value for k in node.keywords if k.arg in ("url", "host"))):
            text = self._written(value)
            found += addresses(text)
            if isinstance(value, ast.Name) and "decoded" in self._labels(value):
                found.append("decoded.invalid")  # an address that was hidden is nobody's own service
            if isinstance(value, ast.Tuple) and value.elts and isinstance(value.elts[0], ast.Constant):
                found.append(str(value.elts[0].value))
        return found

    def _written(self, node: ast.AST) -> str:
        """All text that stands in an expression, names of known text filled in, values as `$`."""
        parts: list[str] = []
        for each in ast.walk(node):
            if isinstance(each, ast.Constant) and isinstance(each.value, str):
                parts.append(each.value)
            elif isinstance(each, ast.Name) and each.id in self._strings:
                parts.append(self._strings[each.id])
        if isinstance(node, ast.JoinedStr):
            parts.insert(
                0, "".join(str(v.value) if isinstance(v, ast.Constant) else self._value(v) for v in node.values)
            )
        return "\n".join(parts)[:4000]

    def _value(self, node: ast.expr) -> str:
        inner = node.value if isinstance(node, ast.FormattedValue) else node
        return self._strings.get(inner.id, "$") if isinstance(inner, ast.Name) else "$"

    def _path(self, node: ast.expr) -> str:
        """The parts of a path that stand in `a / b / c`; values as `$`."""
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            return f"{self._path(node.left)}/{self._path(node.right)}"
        if isinstance(node, ast.Call) and self._full(node.func) in ("pathlib.Path.home", "Path.home"):
            return "~"
        return self._text(node) or "$"

    def _text(self, node: ast.AST) -> str:
        """The string that an expression certainly is; empty otherwise."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        if isinstance(node, ast.Name):
            return self._strings.get(node.id, "")
        if isinstance(node, ast.JoinedStr):
            return "".join(str(v.value) if isinstance(v, ast.Constant) else self._value(v) for v in node.values)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            left, right = self._text(node.left), self._text(node.right)
            return left + right if left and right else ""
        if isinstance(node, ast.Subscript) and pytree.backwards(node.slice):
            return self._text(node.value)[::-1]
        if (
            isinstance(node, ast.Call)
            and self._full(node.func) in ("os.path.expanduser", "Path", "pathlib.Path", "str")
            and node.args
        ):
            return self._text(node.args[0])
        return ""

    def _decoded_text(self, node: ast.AST) -> str:
        """What an encoded literal inside the expression says."""
        for each in ast.walk(node):
            if isinstance(each, ast.Constant) and isinstance(each.value, str | bytes) and len(each.value) > 15:
                text = each.value.decode("ascii", "ignore") if isinstance(each.value, bytes) else each.value
                if plain := decoded(text):
                    return plain
        return ""

    def _full(self, node: ast.AST) -> str:
        """The dotted name of an expression, import aliases resolved."""
        name = pytree.dotted(node)
        root, dot, rest = name.partition(".")
        return self._alias.get(root, root) + dot + rest

    def _hit(self, rule: str, node: ast.expr) -> None:
        if (rule, node.lineno) not in self._seen:
            self._seen.add((rule, node.lineno))
            self.hits.append(Hit(rule, node.lineno + self._offset, pytree.source(node)))


def _from_numbers(node: ast.Call, name: str) -> bool:
    """Whether the call makes text out of numbers: `"".join(map(chr, …))`, `bytes(b ^ 9 for …)`."""
    inner = [each for value in node.args for each in ast.walk(value)]
    if name.endswith("join"):
        return any(isinstance(each, ast.Name) and each.id == "chr" for each in inner)
    if name not in ("bytes", "bytearray"):
        return False
    return any(isinstance(each, ast.GeneratorExp | ast.ListComp) for each in inner[:1]) or (
        sum(isinstance(each, ast.Constant) and isinstance(each.value, int) for each in inner) >= _NUMBERS
    )


class CommandLine(ShellPass):
    """A command line inside Python."""

    def __init__(self) -> None:
        super().__init__(depth=2)
        self.read_out: Labels = NONE
