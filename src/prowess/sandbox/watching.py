"""Watching a confined program: which files it opens, which programs it starts, what it is refused.

The kernel stops the program at each such call and asks here (seccomp user notification, Linux 5.5 and later; nothing
needs to be installed and nothing traces). What the sandbox denies is answered with an error; everything else goes on.
The answers confine nothing that the sandbox would allow: a program may change its arguments after they were read, so a
path seen here is evidence, not a border.
"""

import ctypes
import errno
import fcntl
import os
import platform
import posixpath
import select
import socket
import struct
import threading
from collections import Counter
from typing import Final, Literal

from prowess.sandbox.base import Act
from prowess.sandbox.seccomp import SEEN, call_numbers

MOST_ACTS: Final = 2_000
"""Different acts of one kind that are kept of one run."""
FLOOD, HIDDEN = Act(kind="tries", what="a flood of acts"), Act(kind="tries", what="hiding its memory")
"""Told in place of what could not be kept, or not be read: neither may be a way to go unseen."""
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_NOTICE, _ANSWER = struct.Struct("=QIIiIQ6Q"), struct.Struct("=QqiI")
_CONTINUE = 1
_WAIT_MS = 50
_PATH, _WORD, _WORDS = 4_096, 300, 24
_AT_FDCWD = -100
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_INTERNET = {int(socket.AF_INET), int(socket.AF_INET6)}
_NEUTRAL = {16}
"""AF_NETLINK: how libc lists network cards before it looks up a name."""


class Watcher:
    """Answers the kernel for one run, in a thread of its own, and keeps what it was asked.

    Args:
        work: The work folder as the program sees it; paths below it are told relative to it.
        temp: The temporary folder as the program sees it; paths below it are told as below `/tmp`.
        quiet: Folders of the system and the interpreter, the reading of which is not worth telling.
    """

    def __init__(self, work: str, temp: str, quiet: tuple[str, ...]) -> None:
        self._work = work.rstrip("/") + "/"
        self._temp = temp.rstrip("/") + "/"
        self._quiet = tuple(folder.rstrip("/") + "/" for folder in quiet)
        numbers = call_numbers() or {}
        self._names = {number: name for name, number in numbers.items()}
        self.call: int = numbers["seccomp"]
        self._acts: dict[Act, None] = {}
        self._kept = Counter[str]()
        self._over = threading.Event()
        self._ours, self.theirs = socket.socketpair()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> "Watcher":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._ours.close()
        self.theirs.close()

    @property
    def acts(self) -> tuple[Act, ...]:
        return tuple(self._acts)

    def _listen(self) -> None:
        listener = self._receive_listener()
        if listener is None:
            return
        try:
            poll = select.poll()
            poll.register(listener, select.POLLIN)
            while True:
                events = poll.poll(_WAIT_MS)
                if events and events[0][1] & select.POLLIN:
                    self._answer(listener)
                elif events or self._over.is_set():
                    return
        finally:
            os.close(listener)

    def _receive_listener(self) -> int | None:
        self._ours.settimeout(_WAIT_MS / 1000)
        while not self._over.is_set():
            try:
                found = socket.recv_fds(self._ours, 1, 1)[1]
            except TimeoutError:
                continue
            return found[0] if found else None
        return None

    def _answer(self, listener: int) -> None:
        notice = bytearray(_NOTICE.size)
        try:
            fcntl.ioctl(listener, _RECEIVE, notice, True)
        except OSError:
            return  # the asking process is gone
        id, process, _, number, _, _, *arguments = _NOTICE.unpack(notice)
        name = self._names.get(number, str(number))
        try:
            act = self._act(process, name, arguments)
        except PermissionError:
            act = HIDDEN
        except (OSError, ValueError):
            act = None  # it has ended, or gave an address where nothing is, with which the call fails too
        if act is not None and act not in self._acts:
            self._kept[act.kind] += 1
            self._acts.setdefault(act if self._kept[act.kind] <= MOST_ACTS else FLOOD)
        flags, error = (_CONTINUE, 0) if name in SEEN else (0, -errno.EPERM)
        try:
            fcntl.ioctl(listener, _SEND, bytearray(_ANSWER.pack(id, 0, error, flags)), True)
        except OSError:
            return

    def _act(self, process: int, name: str, arguments: list[int]) -> Act | None:
        if name not in SEEN:
            return _refused(name, arguments[0])
        memory = os.open(f"/proc/{process}/mem", os.O_RDONLY | os.O_CLOEXEC)
        try:
            at = name in ("openat", "openat2", "execveat")
            whole = _whole(process, _text(memory, arguments[1 if at else 0], _PATH), arguments[0] if at else None)
            path = self._short(whole)
            if name.startswith("exec"):
                words = [_text(memory, word, _WORD) for word in _pointers(memory, arguments[2 if at else 1])]
                there = os.path.exists(f"/proc/{process}/root{whole}")
                return Act(kind="runs", what=" ".join(" ".join([path, *words[1:]]).split())) if there else None
            if name == "openat2":
                flags = struct.unpack("=Q", os.pread(memory, 8, arguments[2]))[0]
            else:
                flags = os.O_WRONLY if name == "creat" else arguments[2 if at else 1]
        finally:
            os.close(memory)
        kind: Literal["writes", "reads"] = "writes" if flags & _WRITES else "reads"
        if kind == "reads" and (path.startswith(self._quiet) or path + "/" in self._quiet):
            return None
        return Act(kind=kind, what=path)

    def _short(self, path: str) -> str:
        if path.startswith(self._temp):
            return "/tmp/" + path.removeprefix(self._temp)
        return path.removeprefix(self._work)


def can_watch() -> bool:
    """Whether this system can ask a listener (Linux 5.5, on a machine whose system calls are known)."""
    if platform.system() != "Linux" or call_numbers() is None:
        return False
    major, minor = platform.release().split(".")[:2]
    return (int(major), int("".join(c for c in minor if c.isdigit()) or 0)) >= (5, 5)


def _whole(process: int, path: str, folder: int | None) -> str:
    """`path` from the root, as the process sees it; links in it are not resolved."""
    if not path.startswith("/"):
        number = _AT_FDCWD if folder is None else ctypes.c_int(folder).value
        base = "cwd" if number == _AT_FDCWD else f"fd/{number}"
        path = posixpath.join(os.readlink(f"/proc/{process}/{base}"), path)
    return posixpath.normpath(path)


def _refused(name: str, first: int) -> Act | None:
    if name != "socket":
        return Act(kind="tries", what=name)
    if first in _NEUTRAL:
        return None
    return Act(kind="network", what="internet") if first in _INTERNET else Act(kind="tries", what="socket")


def _text(memory: int, address: int, limit: int) -> str:
    data = os.pread(memory, limit, address)
    return data.partition(b"\0")[0].decode("utf-8", "replace")


def _pointers(memory: int, address: int) -> list[int]:
    data = os.pread(memory, 8 * _WORDS, address)
    found: list[int] = []
    for (pointer,) in struct.iter_unpack("=Q", data[: len(data) // 8 * 8]):
        if pointer == 0:
            break
        found.append(pointer)
    return found
