"""Which sandbox this machine can give."""

import os
import platform
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import anyio

from prowess.core.errors import SandboxError
from prowess.sandbox.base import Sandbox
from prowess.sandbox.probing import hold

_INSTALL = (
    "install bubblewrap (Debian and Ubuntu: `apt install bubblewrap`; Fedora: `dnf install bubblewrap`; "
    "Arch: `pacman -S bubblewrap`), or run on Linux 5.13 or later with Landlock switched on, or on macOS"
)


@cache
def find_sandbox() -> Sandbox:
    """The best sandbox that holds here: bubblewrap, else Landlock; on macOS Seatbelt.

    What counts is not what is installed: each is tried by a program that must run and must not reach a host file, a
    port or a process of the host. The answer is kept; the first call takes a tenth of a second.

    Raises:
        SandboxError: none works; the text says why and what to install. Nothing is ever run without one.
    """
    reasons: list[str] = []
    for make in makers():
        try:
            sandbox = make()
            # In a thread of its own, so that it can be called from a running event loop too.
            with ThreadPoolExecutor(1) as thread:
                thread.submit(anyio.run, hold, sandbox).result()
        except SandboxError as error:
            if str(error) not in reasons:
                reasons.append(str(error))
        else:
            return sandbox
    raise SandboxError(f"no sandbox works here ({'; '.join(reasons)}): {_INSTALL}")


def makers() -> tuple[Callable[[], Sandbox], ...]:
    """How each sandbox that this system may have is made, the best one first; making one may raise SandboxError."""
    if platform.system() == "Darwin":
        return (_seatbelt,)
    if os.geteuid() == 0:
        # For root, bubblewrap in a user namespace comes last: there the limit on processes does not hold.
        return (_bubblewrap_as_root, _landlock, _bubblewrap)
    return (_bubblewrap, _landlock)


def _bubblewrap_as_root() -> Sandbox:
    from prowess.sandbox.bubblewrap import BubblewrapSandbox

    return BubblewrapSandbox(as_root=True)


def _bubblewrap() -> Sandbox:
    from prowess.sandbox.bubblewrap import BubblewrapSandbox

    return BubblewrapSandbox(as_root=False)


def _landlock() -> Sandbox:
    if platform.system() != "Linux":
        raise SandboxError(f"there is no sandbox for {platform.system()} yet")
    from prowess.sandbox.landlock import LandlockSandbox

    return LandlockSandbox()


def _seatbelt() -> Sandbox:
    from prowess.sandbox.seatbelt import SeatbeltSandbox

    return SeatbeltSandbox()
