"""A system call filter as BPF: refuses what no task program needs and what escapes are made of.

It denies sockets (so there is no network and no talk to host services even where no network namespace exists), new
namespaces, mounts, tracing, kernel keys, modules, BPF, io_uring and handles. Everything else is allowed; files are the
business of the mount namespace or of Landlock.
"""

import platform
import struct

# fmt: off
_X86_64 = {
    "ptrace": 101, "syslog": 103, "rt_sigqueueinfo": 129, "pivot_root": 155, "chroot": 161, "acct": 163, "mount": 165,
    "umount2": 166, "swapon": 167, "reboot": 169, "init_module": 175, "delete_module": 176, "quotactl": 179,
    "tkill": 200, "tgkill": 234, "kexec_load": 246, "add_key": 248, "request_key": 249, "keyctl": 250, "unshare": 272,
    "rt_tgsigqueueinfo": 297, "perf_event_open": 298, "name_to_handle_at": 303, "open_by_handle_at": 304, "setns": 308,
    "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "finit_module": 313, "kexec_file_load": 320,
    "bpf": 321, "userfaultfd": 323, "socket": 41, "clone": 56, "kill": 62,
    "open": 2, "execve": 59, "creat": 85, "openat": 257, "seccomp": 317, "execveat": 322,
}
_AARCH64 = {
    "umount2": 39, "mount": 40, "pivot_root": 41, "chroot": 51, "quotactl": 60, "acct": 89, "unshare": 97,
    "kexec_load": 104, "init_module": 105, "delete_module": 106, "syslog": 116, "ptrace": 117, "kill": 129,
    "tkill": 130, "tgkill": 131, "rt_sigqueueinfo": 138, "reboot": 142, "socket": 198, "add_key": 217,
    "request_key": 218, "keyctl": 219, "clone": 220, "swapon": 224, "rt_tgsigqueueinfo": 240, "perf_event_open": 241,
    "name_to_handle_at": 264, "open_by_handle_at": 265, "setns": 268, "process_vm_readv": 270,
    "process_vm_writev": 271, "kcmp": 272, "finit_module": 273, "bpf": 280, "userfaultfd": 282, "kexec_file_load": 294,
    "openat": 56, "execve": 221, "seccomp": 277, "execveat": 281,
}
_EVERYWHERE = {
    "pidfd_send_signal": 424, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428,
    "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "clone3": 435, "pidfd_getfd": 438,
    "mount_setattr": 442, "openat2": 437,
}
# fmt: on
SEEN = frozenset(["open", "openat", "openat2", "creat", "execve", "execveat"])
"""Calls that are allowed, and told to whoever watches."""
_ALLOWED = SEEN | {"seccomp"}
_SIGNALS = {"kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal"}
_MACHINES = {"x86_64": (0xC000003E, _X86_64), "aarch64": (0xC00000B7, _AARCH64)}

_LOAD, _EQUAL, _AT_LEAST, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_ALLOW, _TELL, _KILL, _ERRNO = 0x7FFF0000, 0x7FC00000, 0x80000000, 0x00050000
_EPERM, _ENOSYS = 1, 38
_NAMESPACES = 0x7E020080
"""CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET."""


def call_numbers(machine: str | None = None) -> dict[str, int] | None:
    """Name to number of the system calls that matter here; None for a machine whose numbers are not known."""
    known = _MACHINES.get(machine or platform.machine())
    return None if known is None else known[1] | _EVERYWHERE


def seccomp_filter(machine: str | None = None, *, signals: bool = True, watched: bool = False) -> bytes | None:
    """The filter for `machine` (this one by default) as `struct sock_filter[]`; None where numbers are not known.

    Args:
        machine: As `uname -m` says it.
        signals: Allow to send signals; not where the kernel does not keep them inside by other means.
        watched: Ask the filter's listener about what is denied and about the calls in `SEEN`. Where nobody listens any
            more, all of them fail.
    """
    numbers = call_numbers(machine)
    if numbers is None:
        return None
    architecture = _MACHINES[machine or platform.machine()][0]
    denied = sorted(
        number
        for name, number in numbers.items()
        if name not in {"clone", "clone3", *_ALLOWED} and (signals is False or name not in _SIGNALS)
    )
    program: list[tuple[int, int, int, int]] = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),
        # Numbers of the x32 interface would bypass the table.
        (_AT_LEAST, 0, 1, 0x40000000),
        (_RETURN, 0, 0, _KILL),
        # clone3 hides its flags behind a pointer: libc falls back to clone when it does not exist.
        (_EQUAL, 0, 1, numbers["clone3"]),
        (_RETURN, 0, 0, _ERRNO | _ENOSYS),
    ]
    for number in denied:
        program += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _TELL if watched else _ERRNO | _EPERM)]
    for name in sorted(SEEN & numbers.keys() if watched else ()):
        program += [(_EQUAL, 0, 1, numbers[name]), (_RETURN, 0, 0, _TELL)]
    program += [
        (_EQUAL, 0, 4, numbers["clone"]),
        (_LOAD, 0, 0, 16),
        (_AND, 0, 0, _NAMESPACES),
        (_EQUAL, 1, 0, 0),
        (_RETURN, 0, 0, _ERRNO | _EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *line) for line in program)
