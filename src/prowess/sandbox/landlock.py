"""The sandbox for machines without bubblewrap or user namespaces: Landlock, a system call filter and limits."""

import os
import signal
from pathlib import Path
from typing import Any

from prowess.core.errors import SandboxError
from prowess.sandbox.base import Limits
from prowess.sandbox.confined import (
    CONFIGURATION,
    HERE,
    SYSTEM,
    Confined,
    environment,
    interpreter_folders,
    launcher_command,
)
from prowess.sandbox.kernel import landlock_abi
from prowess.sandbox.seccomp import seccomp_filter

_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
_SCOPES = 6
"""First version of Landlock that keeps signals inside."""


class LandlockSandbox(Confined):
    """Runs commands under the launcher alone.

    Raises:
        SandboxError: this kernel has no Landlock, or the numbers of its system calls are not known.
    """

    def __init__(self) -> None:
        super().__init__()
        abi = landlock_abi()
        self.signals = abi >= _SCOPES
        found = seccomp_filter(signals=self.signals)
        if abi == 0:
            raise SandboxError("this kernel has no Landlock")
        if found is None:
            raise SandboxError("no system call filter for this machine")
        self.filter: bytes = found
        self.watched_filter = seccomp_filter(signals=self.signals, watched=True)
        self.root = os.geteuid() == 0

    @property
    def name(self) -> str:
        return "landlock"

    @property
    def stop(self) -> signal.Signals:
        # The launcher stays behind as supervisor and kills the tree when told to end.
        return signal.SIGTERM

    @property
    def borrows_user(self) -> bool:
        return self.root

    def folders(self, base: Path) -> tuple[str, str]:
        return str(base / "work"), str(base / "temp")

    def command(self, base: Path, orders: dict[str, Any], limits: Limits) -> tuple[list[str], tuple[int, ...]]:
        orders["count_user"] = not self.root
        orders["env"] = environment(*self.folders(base))
        orders["supervise"] = True
        orders["seccomp"] = self.filter if orders["watch"] is None else self.watched_filter
        orders["landlock"] = {
            "read": [*SYSTEM, *CONFIGURATION, *interpreter_folders(), *_DEVICES],
            "write": [*self.folders(base), "/dev/null"],
        }
        return launcher_command(str(HERE), orders), ()
