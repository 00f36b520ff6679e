"""What a sandbox promises: a command runs on copies of files and can touch nothing else."""

from typing import Literal, Protocol

from prowess.core.base import Frozen
from prowess.core.task import File


class Limits(Frozen):
    """What one run may use."""

    seconds: float = 20.0
    """Wall time of the whole process tree."""
    memory_mb: int = 1024
    """Address space of each process."""
    output_bytes: int = 65_536
    """Kept of stdout, and again of stderr: the first and the last half."""
    file_bytes: int = 16_777_216
    """Size of one file; the work folder as a whole may reach four times this."""
    processes: int = 64
    """Processes and threads at one time."""


class Result(Frozen):
    """What a run left behind. A program that fails is a result, not an error."""

    exit_code: int
    """As a shell gives it: 128 + signal for a killed command."""
    stdout: str
    stderr: str
    timed_out: bool = False
    files: tuple[File, ...] = ()
    """New or changed regular files, sorted by path. Links are never followed."""
    removed: tuple[str, ...] = ()
    """Given files that are gone."""
    skipped: tuple[str, ...] = ()
    """New files that were not brought back: too big, too deep, too many, or no regular files."""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return self.exit_code == 0 and not self.timed_out


class Act(Frozen):
    """One thing that a watched program did or tried."""

    kind: Literal["runs", "reads", "writes", "network", "tries"]
    """Started a program; opened a file to read or to write; asked for an internet socket; made another denied call."""
    what: str
    """The command, the path (relative when below the work folder), or the name of the system call."""


class Watched(Frozen):
    """A run, and what was seen of it. Equal acts are told once, in the order of their first time."""

    result: Result
    acts: tuple[Act, ...]


class Sandbox(Protocol):
    """Runs commands with no network, no host files, own temporary folder, bounded time, memory and processes."""

    @property
    def name(self) -> str:
        """Which mechanism confines; part of what is recorded."""
        ...

    async def run(self, argv: list[str], files: tuple[File, ...] = (), limits: Limits | None = None) -> Result:
        """Run `argv` in a fresh folder that holds copies of `files`. `python` means the running interpreter.

        Raises:
            SandboxError: a path in `files` is unsafe, or the confinement could not be set up.
        """
        ...


class WatchingSandbox(Sandbox, Protocol):
    """A sandbox that can also tell what a program did; see `prowess.sandbox.watching` for how and how well."""

    async def watch(self, argv: list[str], files: tuple[File, ...] = (), limits: Limits | None = None) -> Watched:
        """As `run`, and what the program did or tried.

        Raises:
            SandboxError: as `run`; or this system cannot watch.
        """
        ...
