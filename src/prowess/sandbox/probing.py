"""The sandbox's self-test: tries to break out from inside, in the ways that matter; `prowess doctor` shows it."""

import os
import secrets
import socket
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prowess.core.errors import SandboxError
from prowess.core.task import File
from prowess.sandbox.base import Limits, Result, Sandbox

_LIMITS = Limits(seconds=6, memory_mb=512, output_bytes=8_192, file_bytes=1 << 20, processes=24)


@dataclass(frozen=True, slots=True)
class Probe:
    """One attempt; `passed` is True when the sandbox held."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class _Host:
    """What the attempts aim at."""

    canary: Path
    port: int
    unix: Path
    abstract: str
    token: str


_ATTEMPTS: dict[str, tuple[str, ...]] = {
    "reads host files": (
        "print(open({canary!r}).read())",
        "import os\nprint(os.listdir(os.path.dirname({canary!r})))",
        "import os\nos.symlink({canary!r}, 'link')\nprint(open('link').read())",
    ),
    "sees the environment": (
        "import os\nprint(os.environ[{token!r}])",
        "import glob\nfor p in glob.glob('/proc/*/environ'):\n    try:\n        if {token!r} in open(p).read():\n"
        "            print(p)\n    except OSError:\n        pass\nraise SystemExit(1)",
    ),
    "writes outside": (
        "open({canary!r} + '.new', 'w').write('x')\nprint('wrote')",
        "open('/usr/{token}', 'w').write('x')\nprint('wrote')",
    ),
    "connects by TCP": (
        "import socket\nsocket.create_connection(('127.0.0.1', {port}), 2)\nprint('connected')",
        "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.sendto(b'x', ('127.0.0.1', 53))\n"
        "print('sent')",
    ),
    "connects by an abstract socket": (
        "import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect(chr(0) + {abstract!r})\nprint('connected')",
    ),
    "connects by a socket file": (
        "import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect({unix!r})\nprint('connected')",
    ),
    "signals host processes": (
        "import os\nos.kill({pid}, 0)\nprint('signalled')",
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nassert libc.ptrace(16, {pid}, 0, 0) == 0\n"
        "print('traced')",
    ),
    "takes too much memory": ("data = bytearray(1 << 30)\nprint('allocated')",),
    "forks without end": (
        "import os, time\nn = 0\nwhile n < 200:\n    if os.fork() == 0:\n        time.sleep(3)\n        os._exit(0)\n"
        "    n += 1\nprint('forked')",
    ),
    "writes a huge file": (
        "f = open('big', 'wb')\nfor _ in range(100):\n    f.write(bytes(1 << 20))\nf.close()\nprint('wrote')",
    ),
    "makes namespaces": (
        "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "assert libc.unshare(0x10000000) == 0\nprint('made one')",
    ),
}
"""Each program prints something only where it succeeds. An escape is closed when all its programs fail."""
DAEMON = "leaves a daemon"
ESCAPES = (*_ATTEMPTS, DAEMON)
"""The twelve ways out that every sandbox must close."""

_DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(1, b'started')
        os.execv(sys.executable, [sys.executable, '-I', '-S', '-c', 'import time; time.sleep(60)', {token!r}])
    os._exit(0)
time.sleep(0.5)
"""
_ESSENTIAL = """
import os, socket
def reached(name, attempt):
    try:
        attempt()
        print(name)
    except Exception:
        pass
reached('files', lambda: open({canary!r}).read())
reached('ports', lambda: socket.create_connection(('127.0.0.1', {port}), 2))
reached('processes', lambda: os.kill({pid}, 0))
print(6 * 7)
"""
_WORKS = """
import openpyxl, sqlite3, tempfile
open('out', 'w').write(open('in').read())
tempfile.TemporaryFile()
print('ok')
"""


async def probe(sandbox: Sandbox) -> tuple[Probe, ...]:
    """Try the twelve escapes, a program without end, and that ordinary programs work. Takes a few seconds.

    A sandbox that cannot even start gives one failed probe.
    """
    try:
        with _host() as host:
            found = [await _try(sandbox, host, name, programs) for name, programs in _ATTEMPTS.items()]
            found.append(await _daemon(sandbox, host.token))
            found.append(await _hang(sandbox))
            found.append(await _works(sandbox))
    except SandboxError as error:
        return (Probe("starts", False, str(error)),)
    return tuple(found)


async def hold(sandbox: Sandbox) -> None:
    """The shortest trial that lets a sandbox be used: Python runs, and no host file, port or process is in reach.

    Raises:
        SandboxError: saying which of these failed.
    """
    with _host() as host:
        result = await _python(sandbox, _fill(_ESSENTIAL, host), 10)
    *reached, end = result.stdout.split() or [""]
    if end != "42":
        raise SandboxError(f"{sandbox.name} does not run Python: {result.stderr.strip()[-300:]}")
    if reached:
        raise SandboxError(f"{sandbox.name} does not hold: a program in it reached {', '.join(reached)}")


async def _python(sandbox: Sandbox, program: str, seconds: float = _LIMITS.seconds) -> Result:
    limits = _LIMITS.model_copy(update={"seconds": seconds})
    return await sandbox.run(["python", "-I", "-c", program], (), limits)


async def _try(sandbox: Sandbox, host: _Host, name: str, programs: tuple[str, ...]) -> Probe:
    why = ""
    for program in programs:
        result = await _python(sandbox, _fill(program, host))
        if result.stdout.strip() or result.ok:
            return Probe(name, False, result.stdout.strip()[:200] or "ended without an error")
        why = (result.stderr.strip().splitlines() or [f"exit code {result.exit_code}"])[-1]
    return Probe(name, True, why)


def _fill(program: str, host: _Host) -> str:
    return program.format(
        canary=str(host.canary),
        port=host.port,
        unix=str(host.unix),
        abstract=host.abstract,
        token=host.token,
        pid=os.getpid(),
    )


async def _daemon(sandbox: Sandbox, token: str) -> Probe:
    result = await _python(sandbox, _DAEMON.format(token=token))
    left = [pid for pid in _pids() if token.encode() in _command(pid)]
    if "started" not in result.stdout:
        return Probe(DAEMON, False, f"the attempt did not run: {result.stderr[-200:]}")
    return Probe(DAEMON, not left, f"{len(left)} processes left")


async def _hang(sandbox: Sandbox) -> Probe:
    result = await _python(sandbox, "import signal, time\nsignal.signal(15, signal.SIG_IGN)\ntime.sleep(30)", 0.5)
    held = result.timed_out and result.seconds < 5
    return Probe("runs without end", held, f"stopped after {result.seconds:.1f} s")


async def _works(sandbox: Sandbox) -> Probe:
    result = await sandbox.run(["python", "-c", _WORKS], (File(path="in", data=b"42"),), _LIMITS)
    good = result.stdout.strip() == "ok" and [f.data for f in result.files] == [b"42"]
    return Probe("ordinary programs work", good, "yes" if good else result.stderr.strip()[-200:])


def _pids() -> list[str]:
    return [name for name in os.listdir("/proc") if name.isdigit()]


def _command(pid: str) -> bytes:
    try:
        return Path("/proc", pid, "cmdline").read_bytes()
    except OSError:
        return b""


@contextmanager
def _host() -> Generator[_Host, None, None]:
    """A readable file, and listeners that would accept, so that an attempt that fails was stopped by the sandbox."""
    token = "prowess" + secrets.token_hex(8)
    with tempfile.TemporaryDirectory(prefix="prowess-probe-") as folder:
        os.chmod(folder, 0o777)
        canary = Path(folder, "canary")
        canary.write_text(token)
        canary.chmod(0o666)
        listeners = [
            _listen(socket.AF_INET, ("127.0.0.1", 0)),
            _listen(socket.AF_UNIX, str(Path(folder, "socket"))),
            _listen(socket.AF_UNIX, "\0" + token),
        ]
        os.chmod(Path(folder, "socket"), 0o777)
        os.environ[token] = "secret"
        try:
            port = int(listeners[0].getsockname()[1])
            yield _Host(canary, port, Path(folder, "socket"), token, token)
        finally:
            del os.environ[token]
            Path("/usr", token).unlink(missing_ok=True)
            for listener in listeners:
                listener.close()


def _listen(family: socket.AddressFamily, address: tuple[str, int] | str) -> socket.socket:
    listener = socket.socket(family)
    listener.bind(address)
    listener.listen(8)
    return listener
