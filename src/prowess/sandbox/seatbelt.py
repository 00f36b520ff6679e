"""The sandbox on macOS: Seatbelt by `sandbox-exec`, with the launcher inside for limits.

Apple calls the program deprecated and gives no other; other agents rely on it too. We had no Mac to run it on, so it
counts as untried: `find_sandbox` tries it before it is used, and `prowess doctor` tells what it holds. Known to be
weaker than on Linux: memory is not bounded, and a program that leaves its session may outlive the run, confined.
"""

import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

from prowess.core.errors import SandboxError
from prowess.sandbox.base import Limits
from prowess.sandbox.confined import HERE, Confined, environment, interpreter_folders, launcher_command

_READABLE = (
    *("/usr", "/bin", "/sbin", "/System", "/Library/Frameworks", "/Library/Developer/CommandLineTools"),
    *("/opt/homebrew", "/private/etc/localtime", "/private/var/db/dyld", "/private/var/db/timezone", "/dev"),
)
_DEVICES = ("/dev/null", "/dev/zero", "/dev/tty", "/dev/dtracehelper")


class SeatbeltSandbox(Confined):
    """Runs commands under `sandbox-exec`.

    Raises:
        SandboxError: the program is not there.
    """

    def __init__(self) -> None:
        super().__init__()
        found = shutil.which("sandbox-exec", path="/usr/bin")
        if found is None:
            raise SandboxError("this macOS has no sandbox-exec")
        self.program = found

    @property
    def name(self) -> str:
        return "seatbelt"

    @property
    def stop(self) -> signal.Signals:
        return signal.SIGKILL

    @property
    def borrows_user(self) -> bool:
        return False

    def folders(self, base: Path) -> tuple[str, str]:
        return str((base / "work").resolve()), str((base / "temp").resolve())

    def command(self, base: Path, orders: dict[str, Any], limits: Limits) -> tuple[list[str], tuple[int, ...]]:
        orders["env"] = environment(*self.folders(base))
        # The kernel counts all processes of the user, and there is no /proc in which the launcher could.
        orders["processes"] += _processes()
        rules = profile([*_READABLE, *interpreter_folders(), str(HERE)], list(self.folders(base)))
        return [self.program, "-p", rules, *launcher_command(str(HERE), orders)], ()


def profile(readable: list[str], writable: list[str]) -> str:
    """The rules, in Apple's language: everything is denied but what a program needs to run on files of its own.

    Raises:
        SandboxError: a path holds a character that could end its quotes.
    """
    return "\n".join(
        [
            "(version 1)",
            "(deny default)",
            "(allow process-fork)",
            f"(allow process-exec {_paths('subpath', [*readable, *writable])})",
            "(allow signal (target same-sandbox))",
            "(allow process-info* (target same-sandbox))",
            "(allow sysctl-read)",
            "(allow file-read-metadata)",
            f'(allow file-read* (literal "/") {_paths("subpath", [*readable, *writable])})',
            f"(allow file-write* {_paths('subpath', writable)})",
            f"(allow file-write-data {_paths('literal', list(_DEVICES))})",
            "(allow ipc-posix-sem)",
        ]
    )


def _paths(kind: str, paths: list[str]) -> str:
    for path in paths:
        if any(c in path for c in '"\\') or not path.isprintable():
            raise SandboxError(f"the path {path!r} cannot stand in a sandbox profile")
    return " ".join(f'({kind} "{path}")' for path in paths)


def _processes() -> int:
    listed = subprocess.run(["/bin/ps", "-x", "-o", "pid="], capture_output=True, timeout=10, check=False)
    return len(listed.stdout.splitlines())
