"""Landlock, seccomp, capabilities and process control by plain system calls; also imported by the bare launcher."""

from __future__ import annotations

import ctypes
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_SET_PDEATHSIG, _SET_KEEPCAPS, _SET_SECCOMP, _SET_CHILD_SUBREAPER, _SET_NO_NEW_PRIVS, _CAP_AMBIENT = (
    1,
    8,
    22,
    36,
    38,
    47,
)
_SECCOMP_FILTER = 2
_SET_MODE_FILTER, _NEW_LISTENER = 1, 1 << 3
_SOL_SOCKET, _SCM_RIGHTS = 1, 1
_AMBIENT_RAISE = 2
_SIGTERM = 15
_DAC_READ_SEARCH = 2
_CAPABILITY_VERSION = 0x20080522

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
TRUNCATE, IOCTL_DEV = 1 << 14, 1 << 15
_FILE_ACCESS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
_READ = EXECUTE | READ_FILE | READ_DIR
# Making device nodes is never granted.
_NO_DEVICES = ~((1 << 6) | (1 << 11))

_libc = ctypes.CDLL(None, use_errno=True)


def landlock_abi() -> int:
    """Version of Landlock in this kernel; 0 where it is absent or switched off."""
    return max(_libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1)), 0)


def be_supervisor(parent: int) -> None:
    """Adopt orphaned descendants, and get SIGTERM when the process that started this one ends."""
    _prctl(_SET_CHILD_SUBREAPER, 1)
    _prctl(_SET_PDEATHSIG, _SIGTERM)
    if os.getppid() != parent:
        raise OSError("the starting process is gone")


def confine(user: int | None, rules: dict[str, Any] | None, seccomp: bytes, watch: tuple[int, int] | None) -> None:
    """Give up root, then restrict files, TCP, signals and system calls of this process and all it starts.

    Args:
        user: Whom to become; nobody new when None.
        rules: For Landlock; None where a mount namespace does its work.
        seccomp: The filter.
        watch: Number of the system call `seccomp`, and a connected socket over which the listener of the filter goes to
            the process that watches.
    """
    ruleset = None if rules is None else _ruleset(rules)
    # Before the filter: from then on every file that is opened waits for an answer of the watcher.
    channel = None if watch is None else __import__("_socket").socket(fileno=watch[1])
    if user is not None:
        _drop_root(user, keep_reading=rules is not None)
    _prctl(_SET_NO_NEW_PRIVS, 1)
    if ruleset is not None:
        _check(_libc.syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0)), "landlock_restrict_self")
        os.close(ruleset)
    program = ctypes.create_string_buffer(seccomp, len(seccomp))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(seccomp) // 8, ctypes.addressof(program)))
    if watch is None or channel is None:
        _check(_libc.prctl(_SET_SECCOMP, _SECCOMP_FILTER, header, 0, 0), "seccomp")
        return
    mode, flags = ctypes.c_uint(_SET_MODE_FILTER), ctypes.c_uint(_NEW_LISTENER)
    listener = _check(_libc.syscall(watch[0], mode, flags, header), "seccomp")
    channel.sendmsg([b"1"], [(_SOL_SOCKET, _SCM_RIGHTS, struct.pack("i", listener))])
    os.close(listener)
    channel.close()


def _ruleset(rules: dict[str, Any]) -> int:
    """A ruleset that handles all the kernel knows: what `rules` does not grant is refused."""
    abi = landlock_abi()
    bits = {1: 13, 2: 14, 3: 15, 4: 15}.get(abi, 16)
    handled = (1 << bits) - 1
    attributes = struct.pack("=QQQ", handled, 3, 3)[: 8 if abi < 4 else 16 if abi < 6 else 24]
    ruleset = _check(
        _libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0)),
        "landlock_create_ruleset",
    )
    os.set_inheritable(ruleset, False)
    for access, paths in ((_READ, rules["read"]), (handled & _NO_DEVICES, rules["write"])):
        for path in paths:
            try:
                descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            granted = access & handled
            if not os.path.isdir(path):
                granted &= _FILE_ACCESS
            rule = struct.pack("=Qi", granted, descriptor)
            _check(
                _libc.syscall(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(1), rule, ctypes.c_uint32(0)),
                "landlock_add_rule",
            )
            os.close(descriptor)
    return ruleset


def _drop_root(user: int, keep_reading: bool) -> None:
    """Become `user`; with `keep_reading` keep only the right to read and pass folders, which Landlock then confines.

    The interpreter may lie below a folder that only root may enter.
    """
    os.setgroups([])
    if keep_reading:
        _prctl(_SET_KEEPCAPS, 1)
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    if keep_reading:
        mask = 1 << _DAC_READ_SEARCH
        header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
        _check(_libc.capset(header, struct.pack("=6I", mask, mask, mask, 0, 0, 0)), "capset")
        _prctl(_CAP_AMBIENT, _AMBIENT_RAISE, _DAC_READ_SEARCH)


def _prctl(option: int, first: int, second: int = 0) -> None:
    arguments = [ctypes.c_ulong(value) for value in (first, second, 0, 0)]
    _check(_libc.prctl(ctypes.c_int(option), *arguments), f"prctl {option}")


def _check(value: int, what: str) -> int:
    if value < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return value
