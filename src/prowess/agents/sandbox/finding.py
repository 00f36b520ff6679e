"""Which sandbox this machine can give."""

import os
import platform
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import anyio

from prowess.agents.sandbox.base import Limits, Sandbox
from prowess.core.errors import SandboxError

_INSTALL = (
    "install bubblewrap (Debian and Ubuntu: `apt install bubblewrap`; Fedora: `dnf install bubblewrap`; "
    "Arch: `pacman -S bubblewrap`), or run on Linux 5.13 or later with Landlock switched on"
)


@cache
def find_sandbox() -> Sandbox:
    """The best sandbox that works here, tried by running a command in it: bubblewrap, else Landlock.

    The answer is kept; the first call takes a tenth of a second.

    Raises:
        SandboxError: none works; the text says why and what to install. Nothing is ever run without one.
    """
    reasons: list[str] = []
    # For root, bubblewrap in a user namespace comes last: there the limit on processes does not hold.
    makers = (_bubblewrap_as_root, _landlock, _bubblewrap) if os.geteuid() == 0 else (_bubblewrap, _landlock)
    for make in makers:
        try:
            sandbox = make()
            # In a thread of its own, so that it can be called from a running event loop too.
            with ThreadPoolExecutor(1) as thread:
                thread.submit(anyio.run, _try, sandbox).result()
        except SandboxError as error:
            if str(error) not in reasons:
                reasons.append(str(error))
        else:
            return sandbox
    raise SandboxError(f"no sandbox works here ({'; '.join(reasons)}): {_INSTALL}")


async def _try(sandbox: Sandbox) -> None:
    result = await sandbox.run(["python", "-I", "-c", "print(6 * 7)"], limits=Limits(seconds=10))
    if result.stdout.strip() != "42":
        raise SandboxError(f"{sandbox.name} does not run Python: {result.stderr.strip()[-300:]}")


def _bubblewrap_as_root() -> Sandbox:
    from prowess.agents.sandbox.bubblewrap import BubblewrapSandbox

    return BubblewrapSandbox(as_root=True)


def _bubblewrap() -> Sandbox:
    from prowess.agents.sandbox.bubblewrap import BubblewrapSandbox

    return BubblewrapSandbox(as_root=False)


def _landlock() -> Sandbox:
    if platform.system() != "Linux":
        raise SandboxError(f"there is no sandbox for {platform.system()} yet")
    from prowess.agents.sandbox.landlock import LandlockSandbox

    return LandlockSandbox()
