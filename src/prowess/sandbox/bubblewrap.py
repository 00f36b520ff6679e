"""The default sandbox on Linux: bubblewrap (own namespaces, empty root) with the launcher inside."""

import os
import platform
import shutil
import signal
from pathlib import Path
from typing import Any

from prowess.core.errors import SandboxError
from prowess.core.room import Room
from prowess.sandbox.base import Limits
from prowess.sandbox.confined import (
    CONFIGURATION,
    HERE,
    Confined,
    environment,
    interpreter_folders,
    launcher_command,
)
from prowess.sandbox.seccomp import seccomp_filter

WORK = "/sandbox"
_LAUNCHER = "/run/launcher"


class BubblewrapSandbox(Confined):
    """Runs commands under `bwrap`, in `room` or in a folder of no meaning.

    Raises:
        SandboxError: bubblewrap is not installed.
    """

    def __init__(self, *, as_root: bool | None = None, room: Room | None = None) -> None:
        super().__init__()
        self.room = room or Room(work=WORK)
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
        return self.room.work, "/tmp"

    def command(self, base: Path, orders: dict[str, Any], limits: Limits) -> tuple[list[str], tuple[int, ...]]:
        orders["count_user"] = self.shared_count
        orders["env"] = environment(*self.folders(base)) | dict(self.room.env)
        size = str(4 * limits.file_bytes)
        line = [self.program, *self.fixed]
        for folder in ("/tmp", "/dev/shm"):
            line += ["--perms", "1777", "--size", size, "--tmpfs", folder]
        line += self._room(base / "work", orders["user"])
        line += self.interpreter  # later, since it may lie below a folder of the room
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
        line += ["--chdir", self.room.work, "--remount-ro", "/"]
        return [*line, "--", *launcher_command(_LAUNCHER, orders)], descriptors

    def _room(self, files: Path, user: int | None) -> list[str]:
        """The folders of the room, made where nothing was given for them."""
        if not self.room.folders:
            return [*_above(self.room.work), "--bind", str(files), self.room.work]
        line: list[str] = []
        for folder in self.room.folders:
            here = files / folder.lstrip("/")
            here.mkdir(parents=True, exist_ok=True)
            if user is not None:
                os.chown(here, user, user)
            line += [*_above(folder), "--bind", str(here), folder]
        return line

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
    return [part for folder in interpreter_folders() for part in (*_above(folder), "--ro-bind", folder, folder)]


def _above(folder: str) -> list[str]:
    """The folders above `folder`, open to the borrowed user; bubblewrap takes those that are there as they are."""
    parents = reversed(Path(folder).parents[:-1])
    return [part for parent in parents for part in ("--perms", "0755", "--dir", str(parent))]


def _kernel() -> tuple[int, int]:
    major, minor = platform.release().split(".")[:2]
    return int(major), int("".join(c for c in minor if c.isdigit()) or 0)
