"""What names in Python do, and small readings of its syntax tree."""

import ast
import re
import textwrap
import warnings
from typing import Final

from prowess.guard.scan.flow import words

NODES: Final = 20_000
ROUNDS: Final = 4
BUNDLES: Final = 50
"""Calls that turn a mapping into text that are compared with mappings."""
NEST: Final = 90
"""Depth of brackets from which on a text is not parsed: the parser's own limit is not the same everywhere."""
SENDS: Final = words(
    "post put patch send sendall sendto sendmail send_message upload upload_file upload_fileobj put_object"
)
GETS: Final = words(
    "get request urlopen urlretrieve head options delete Request stream fetch getaddrinfo gethostbyname"
)
CLIENTS: Final = (
    "requests",
    "httpx",
    "urllib",
    "aiohttp",
    "session",
    "client",
    "http",
    "socket",
    "sock",
    "conn",
    "s3",
    "smtp",
    "server",
    "ws",
    "s",
    "urllib3",
    "pool",
)
SHELLS: Final = frozenset(
    [
        "os.system",
        "os.popen",
        "subprocess.getoutput",
        "subprocess.getstatusoutput",
        "commands.getoutput",
        "asyncio.create_subprocess_shell",
    ]
)
PROCESSES: Final = frozenset(
    [f"subprocess.{n}" for n in ("run", "Popen", "call", "check_call", "check_output")]
    + ["os.execv", "os.execvp", "os.spawnv", "asyncio.create_subprocess_exec"]
)
DECODERS: Final = words(
    "b64decode urlsafe_b64decode b32decode b85decode a85decode decodebytes fromhex unhexlify decompress "
    "decode_rot13 a2b_base64 decrypt"
)
RUNNERS: Final = frozenset(
    ["exec", "eval", "compile", "builtins.exec", "builtins.eval", "runpy.run_path", "code.interact"]
)
LOADERS: Final = words(
    "pickle.loads pickle.load marshal.loads dill.loads cloudpickle.loads joblib.load yaml.load "
    "yaml.unsafe_load torch.load jsonpickle.decode"
)
KEEPS: Final = words(
    "str bytes bytearray repr format join encode decode strip rstrip lstrip replace lower upper split "
    "dumps b64encode urlsafe_b64encode b32encode hexlify hex urlencode quote dict list tuple set sorted "
    "reversed get copy items values pop zip map filter read compress Request reduce"
)
"""Calls whose result still shows the key that they were given. What a client returns does not."""
DUMPS: Final = frozenset(["dumps", "b64encode", "urlencode", "encode", "hexlify"])
HIDEOUT = re.compile(r"^(?:/tmp|/var/tmp|/dev/shm)/|/\.[\w-]+$", re.MULTILINE)
"""Files that no skill ships: temporary and hidden ones."""


def parsed(text: str) -> ast.Module | None:
    depth = deepest = 0
    for char in text:
        if char in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in ")]}":
            depth -= 1
    if deepest > NEST:
        return None
    for attempt in (text, textwrap.dedent(text)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse(attempt)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return None


def source(node: ast.expr) -> str:
    try:
        return ast.unparse(node)[:400]
    except (RecursionError, ValueError):
        return type(node).__name__


def dotted(node: ast.AST) -> str:
    """`a.b.c` of names, attributes, and calls of `__import__`; empty parts for anything else."""
    parts: list[str] = []
    for _ in range(12):
        if isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        elif isinstance(node, ast.Name):
            parts.append(node.id)
            break
        elif isinstance(node, ast.Call):
            called = node.func
            if (
                isinstance(called, ast.Name)
                and called.id == "__import__"
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                parts.append(str(node.args[0].value))
                break
            node = called
        elif isinstance(node, ast.Subscript):
            node = node.value
        else:
            parts.append("")
            break
    return ".".join(reversed(parts))


def backwards(node: ast.AST) -> bool:
    """Whether an index is `[::-1]`."""
    step = node.step if isinstance(node, ast.Slice) and node.lower is None and node.upper is None else None
    return isinstance(step, ast.UnaryOp) and isinstance(step.op, ast.USub) and ast.unparse(step) == "-1"


def root(node: ast.AST) -> str:
    """The name that an assignment to `node` changes."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
