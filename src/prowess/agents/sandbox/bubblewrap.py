"""The default sandbox on Linux: bubblewrap (own namespaces, empty root) with the launcher inside."""

import os
import platform
import shutil
import signal
from pathlib import Path
from typing import Any

from prowess.agents.sandbox.base import Limits
from prowess.agents.sandbox.confined import (
    CONFIGURATION,
    HERE,
    Confined,
    environment,
    interpreter_folders,
    launcher_command,
)
from prowess.agents.sandbox.seccomp import seccomp_filter
from prowess.core.errors import SandboxError

WORK = "/sandbox"
_LAUNCHER = "/run/launcher"


class BubblewrapSandbox(Confined):
    """Runs commands under `bwrap`.

    Raises:
        SandboxError: bubblewrap is not installed.
    """

    def __init__(self, *, as_root: bool | None = None) -> None:
        super().__init__()
        found = shutil.which("bwrap")
        if found is None:
            raise SandboxError("bubblewrap is not installed")
        self.program = found
        # Real root sets up the namespaces itself and then becomes a borrowed user; others need a user namespace.
        self.as_root = os.geteuid() == 0 if as_root is None else as_root
        # Before Linux 5.14 the limit on processes counted all of the user's, also those outside of the namespace.
        self.shared_count = not self.as_root and _kernel() < (5, 14)
        self.filter = seccomp_filter()
        self.watched_filter = seccomp_filter(watched=True)
        self.fixed = self._fixed()
        self.interpreter = _interpreter()

    @property
    def name(self) -> str:
        return "bubblewrap"

    @property
    def stop(self) -> signal.Signals:
        return signal.SIGKILL

    @property
    def borrows_user(self) -> bool:
        return self.as_root

    def folders(self, base: Path) -> tuple[str, str]:
        return WORK, "/tmp"

    def command(self, base: Path, orders: dict[str, Any], limits: Limits) -> tuple[list[str], tuple[int, ...]]:
        orders["count_user"] = self.shared_count
        orders["env"] = environment(*self.folders(base))
        size = str(4 * limits.file_bytes)
        line = [self.program, *self.fixed]
        for folder in ("/tmp", "/dev/shm"):
            line += ["--perms", "1777", "--size", size, "--tmpfs", folder]
        line += self.interpreter
        line += ["--ro-bind", str(HERE), _LAUNCHER]
        descriptors: tuple[int, ...] = ()
        if orders["watch"] is not None:
            # Only a process inside can install a filter with a listener: the launcher does it then.
            orders["seccomp"] = self.watched_filter
        elif self.filter is not None:
            descriptor = os.memfd_create("seccomp")
            os.write(descriptor, self.filter)
            os.lseek(descriptor, 0, os.SEEK_SET)
            descriptors = (descriptor,)
            line += ["--seccomp", str(descriptor)]
        line += ["--bind", str(base / "work"), WORK, "--chdir", WORK, "--remount-ro", "/"]
        return [*line, "--", *launcher_command(_LAUNCHER, orders)], descriptors

    def _fixed(self) -> list[str]:
        """The part of the command line that is the same for every run."""
        line = ["--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL"]
        line += [f"--unshare-{kind}" for kind in ("ipc", "pid", "net", "uts", "cgroup-try")]
        if self.as_root:
            line += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        else:
            line += ["--unshare-user", "--disable-userns"]
        line += ["--ro-bind", "/usr", "/usr", "--ro-bind-try", "/nix/store", "/nix/store"]
        for name in ("bin", "sbin", "lib", "lib32", "lib64"):
            folder = Path("/", name)
            if folder.is_symlink():
                line += ["--symlink", os.readlink(folder), str(folder)]
            elif folder.is_dir():
                line += ["--ro-bind", str(folder), str(folder)]
        # Folders that bubblewrap makes on its own are closed to the borrowed user.
        line += ["--perms", "0755", "--dir", "/etc"]
        for path in CONFIGURATION:
            line += ["--ro-bind-try", path, path]
        return [*line, "--proc", "/proc", "--dev", "/dev"]


def _interpreter() -> list[str]:
    line: list[str] = []
    made: set[Path] = set()
    for folder in interpreter_folders():
        for parent in reversed(Path(folder).parents[:-1]):
            if parent not in made:
                made.add(parent)
                line += ["--perms", "0755", "--dir", str(parent)]
        line += ["--ro-bind", folder, folder]
    return line


def _kernel() -> tuple[int, int]:
    major, minor = platform.release().split(".")[:2]
    return int(major), int("".join(c for c in minor if c.isdigit()) or 0)
