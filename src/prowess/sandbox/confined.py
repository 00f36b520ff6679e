"""What both sandboxes share: the work folder, the orders for the launcher, and reading the result."""

import importlib.util
import marshal
import math
import os
import random
import signal
import sys
import tempfile
from abc import ABC, abstractmethod
from functools import cache
from pathlib import Path
from typing import Any

import anyio

from prowess.core.errors import SandboxError
from prowess.core.task import File
from prowess.sandbox import launcher
from prowess.sandbox.base import Act, Limits, Result, Watched
from prowess.sandbox.files import age_files, read_files, remove_folder, were_read, write_files
from prowess.sandbox.process import Captured, run_tree
from prowess.sandbox.watching import Watcher, can_watch

HERE = Path(__file__).parent
USERS = range(61_184, 65_520)
"""User ids that nobody owns (the range that service managers lend out); one is borrowed per run when root runs us,
because root is exempt from the limit on processes."""

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store")
"""Folders with the system's programs, where they exist; programs may read and run them."""
CONFIGURATION = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/mime.types")
"""All of /etc that programs see."""


@cache
def interpreter_folders() -> tuple[str, ...]:
    """Folders that the running interpreter and its packages need, those of the system left out.

    Raises:
        SandboxError: such a folder is one that also holds private files.
    """
    found = {sys.prefix, sys.base_prefix, package_folder()}
    found |= {os.path.realpath(p) for p in found} | {os.path.dirname(os.path.realpath(sys.executable))}
    private = found & {"/", "/home", "/root", os.path.expanduser("~"), tempfile.gettempdir()}
    if private:
        raise SandboxError(f"Python's files lie among private ones in {private.pop()}; use a virtual environment")
    return tuple(sorted(p for p in found if p != "/usr" and not p.startswith(("/usr/", "/nix/store/"))))


@cache
def package_folder() -> str:
    """Where openpyxl is installed: below the prefix, or elsewhere for a user's own install."""
    found = importlib.util.find_spec("openpyxl")
    return os.path.dirname(os.path.dirname(found.origin)) if found and found.origin else sys.prefix


def environment(work: str, temp: str) -> dict[str, str]:
    """All that a command sees of the environment."""
    path = ":".join(dict.fromkeys([f"{sys.prefix}/bin", "/usr/local/bin", "/usr/bin", "/bin"]))
    return {
        "PATH": path,
        "HOME": work,
        "TMPDIR": temp,
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": "" if package_folder().startswith((sys.prefix, sys.base_prefix)) else package_folder(),
        # Without these, numeric libraries start a thread, and reserve memory, per core.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


class Confined(ABC):
    """One run: folder, launcher, capture, files. Subclasses say how the launcher itself is started."""

    def __init__(self) -> None:
        self.user_ids = random.SystemRandom()

    @property
    @abstractmethod
    def name(self) -> str:
        """Which mechanism confines."""

    @property
    @abstractmethod
    def stop(self) -> signal.Signals:
        """The signal that ends the launcher and all that it started."""

    @property
    @abstractmethod
    def borrows_user(self) -> bool:
        """Whether the command runs as a user of its own."""

    @abstractmethod
    def folders(self, base: Path) -> tuple[str, str]:
        """The work folder and the temporary one as the command sees them."""

    @abstractmethod
    def command(self, base: Path, orders: dict[str, Any], limits: Limits) -> tuple[list[str], tuple[int, ...]]:
        """The command line that starts the launcher, and descriptors that it needs (closed after the run)."""

    async def run(self, argv: list[str], files: tuple[File, ...] = (), limits: Limits | None = None) -> Result:
        result, _ = await self._run(argv, files, limits or Limits(), watched=False)
        return result

    async def watch(self, argv: list[str], files: tuple[File, ...] = (), limits: Limits | None = None) -> Watched:
        if not can_watch():
            raise SandboxError(f"{self.name} cannot watch programs here: that needs Linux 5.5 or later")
        result, acts = await self._run(argv, files, limits or Limits(), watched=True)
        return Watched(result=result, acts=acts)

    async def _run(
        self, argv: list[str], files: tuple[File, ...], limits: Limits, watched: bool
    ) -> tuple[Result, tuple[Act, ...]]:
        if not argv:
            raise SandboxError("no command to run")
        user = self.user_ids.choice(USERS) if self.borrows_user else None
        base = Path(await anyio.to_thread.run_sync(lambda: tempfile.mkdtemp(prefix="prowess-")))
        acts: tuple[Act, ...] = ()
        try:
            work = base / "work"
            await anyio.to_thread.run_sync(_prepare, base, files, user)
            if watched:
                await anyio.to_thread.run_sync(age_files, work, files)
                with Watcher(*self.folders(base), (*SYSTEM, *interpreter_folders())) as watcher:
                    captured = await self._launch(base, argv, limits, user, watcher)
                told = dict.fromkeys([*watcher.acts, *(Act(kind="reads", what=p) for p in were_read(work, files))])
                acts = tuple(told)
            else:
                captured = await self._launch(base, argv, limits, user, None)
            changed, removed, skipped = await anyio.to_thread.run_sync(read_files, work, files, limits.file_bytes)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(remove_folder, base)
        result = Result(
            exit_code=captured.exit_code,
            stdout=captured.stdout,
            stderr=captured.stderr,
            timed_out=captured.timed_out,
            files=changed,
            removed=removed,
            skipped=skipped,
            seconds=captured.seconds,
        )
        return result, acts

    async def _launch(
        self, base: Path, argv: list[str], limits: Limits, user: int | None, watcher: Watcher | None
    ) -> Captured:
        reader, writer = os.pipe()
        try:
            orders: dict[str, Any] = {
                "status": writer,
                "supervise": False,
                "parent": os.getpid(),
                "user": user,
                "memory": limits.memory_mb << 20,
                "cpu": math.ceil(limits.seconds) + 1,
                "file": limits.file_bytes,
                "processes": limits.processes,
                "count_user": False,
                "argv": [sys.executable if argv[0] == "python" else argv[0], *argv[1:]],
                "landlock": None,
                "seccomp": b"",
                "watch": None if watcher is None else (watcher.call, watcher.theirs.fileno()),
                "env": {},
            }
            command, descriptors = self.command(base, orders, limits)
            try:
                captured = await run_tree(
                    command,
                    env={},
                    cwd=base / "work",
                    seconds=limits.seconds,
                    output_bytes=limits.output_bytes,
                    room=(base, 4 * limits.file_bytes),
                    pass_fds=(writer, *descriptors, *([] if watcher is None else [watcher.theirs.fileno()])),
                    stop=self.stop,
                )
            except OSError as error:
                raise SandboxError(f"{self.name} could not be started: {error}", retryable=True) from error
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)
            os.set_blocking(reader, False)
            try:
                ready = os.read(reader, 1) == launcher.READY
            except BlockingIOError:
                ready = False
            if not ready and not captured.timed_out:
                raise SandboxError(f"{self.name} could not confine the command: {captured.stderr[-500:].strip()}")
            return captured
        finally:
            os.close(reader)
            os.close(writer)


_START = "import sys; sys.path.append(sys.argv[1]); import launcher; sys.exit(launcher.main(sys.argv[2]))"
"""Imported and not run as a file, so that its compiled form is used."""


def launcher_command(folder: str, orders: dict[str, Any]) -> list[str]:
    """The bare interpreter with the launcher that lies in `folder`.

    Orders are in `marshal`'s form because that is built in, and both sides are one interpreter.
    """
    return [sys.executable, "-I", "-S", "-c", _START, folder, marshal.dumps(orders).hex()]


def supervised(argv: list[str], status: int) -> list[str]:
    """`argv` unconfined, in this environment, but with every descendant killed when it ends or on SIGTERM (Linux)."""
    orders: dict[str, Any] = {
        "status": status,
        "supervise": True,
        "parent": os.getpid(),
        "user": None,
        "memory": None,
        "argv": argv,
        "landlock": None,
        "watch": None,
        "env": None,
    }
    return launcher_command(str(HERE), orders)


def _prepare(base: Path, files: tuple[File, ...], user: int | None) -> None:
    base.chmod(0o711)
    for name in ("work", "temp"):
        (base / name).mkdir(mode=0o755)
        if user is not None:
            os.chown(base / name, user, user)
    write_files(base / "work", files, user)
