"""Files and folders, read without trust and written so that a crash loses nothing.

Reading never follows a symbolic link and stops at fixed sizes. Writing flushes the file, renames it into place, and
flushes the folder, in that order. What the bytes mean is not known here.
"""

import ctypes
import errno
import fcntl
import hashlib
import os
import secrets
import stat
import threading
import time
from collections.abc import Generator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prowess.core.errors import UserError

FILE_CAP: Final = 8 * 1024 * 1024
"""Bytes of one file of a skill that are read."""
FOLDER_CAP: Final = 32 * 1024 * 1024
"""Bytes of one skill folder that are read."""
COUNT_CAP: Final = 1000
"""Files of one skill folder that are read."""
_DEPTH_CAP: Final = 6
_JUNK: Final = frozenset(["__pycache__", ".DS_Store", "Thumbs.db"])
_FLUSHES: Final = 16
"""Waits for the disk at one time."""
_EXCHANGE: Final = 2
_AT_FDCWD: Final = -100


@dataclass(frozen=True, slots=True)
class Folder:
    """The files of a folder, and what of it could not be read: links, oversized files, unfit names."""

    files: dict[str, bytes]
    problems: tuple[str, ...]


def read_folder(folder: Path, strict: bool = False) -> Folder:
    """Every regular file below `folder`. Interpreter caches and desktop files are passed over.

    Args:
        strict: Count those as problems: a compiled file beside a script is run in its place.

    Raises:
        OSError: the folder itself is no folder, or a link.
    """
    files: dict[str, bytes] = {}
    problems: list[str] = []
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    root = os.open(folder, flags)
    try:
        _read_into(root, "", 0, files, problems, strict)
    finally:
        os.close(root)
    return Folder(dict(sorted(files.items())), tuple(sorted(problems)))


def _read_into(
    fd: int, prefix: str, size: int, files: dict[str, bytes], problems: list[str], strict: bool = False
) -> int:
    """Reads the folder open at `fd`; returns the bytes read so far in all."""
    for name in sorted(os.listdir(fd)):
        path = prefix + name
        if name in _JUNK or name.endswith(".pyc"):
            problems += [f"{path!r} is not part of the skill"] if strict else []
            continue
        try:
            path.encode()
        except UnicodeEncodeError:
            problems.append(f"{path!r} has a name that is not UTF-8")
            continue
        if any(ord(char) < 32 for char in name):
            problems.append(f"{path!r} has a control character in its name")
            continue
        try:
            mode = os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                if path.count("/") >= _DEPTH_CAP or name == ".git":
                    problems.append(f"{path!r} is not read: {'a git folder' if name == '.git' else 'too deep'}")
                    continue
                child = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
                try:
                    size = _read_into(child, path + "/", size, files, problems, strict)
                finally:
                    os.close(child)
                continue
            if not stat.S_ISREG(mode):
                problems.append(f"{path!r} is a {'symbolic link' if stat.S_ISLNK(mode) else 'special file'}")
                continue
            if len(files) >= COUNT_CAP:
                problems.append(f"more than {COUNT_CAP} files")
                return size
            data = _read_at(name, fd, min(FILE_CAP, FOLDER_CAP - size))
        except OSError as error:
            problems.append(f"{path!r} cannot be read: {error.strerror}")
            continue
        if data is None:
            problems.append(f"{path!r} is too large")
            continue
        files[path] = data
        size += len(data)
    return size


def _read_at(name: str, folder: int, cap: int) -> bytes | None:
    """At most `cap` bytes of a file; None where it is larger. Checks the file that was opened, not its name."""
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        data = file.read(cap + 1)
    return data if len(data) <= cap else None


def stamp_folder(folder: Path) -> str:
    """A value that changes when anything is written below `folder`, from sizes, times and numbers of files alone."""
    seen = hashlib.sha256()
    waiting = [(folder, 0)]
    while waiting and len(waiting) <= COUNT_CAP:
        here, depth = waiting.pop()
        for entry in sorted(os.scandir(here), key=lambda e: e.name):
            found = entry.stat(follow_symlinks=False)
            facts = (found.st_mode, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
            seen.update(f"{depth} {entry.name!r} {facts}\n".encode("utf-8", "replace"))
            if stat.S_ISDIR(found.st_mode) and depth < _DEPTH_CAP and entry.name not in _JUNK:
                waiting.append((here / entry.name, depth + 1))
    return seen.hexdigest()[:32]


class Batch:
    """Files and folders put into place together, with two waits for the disk however many they are.

    First everything is written and flushed under other names, then renamed in the order in which it was added, then the
    folders are flushed. A process that is killed leaves some of the first ones in place, each whole.

    Args:
        scratch: Folder on the same file system for unfinished files.
    """

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._files: list[tuple[Path, Path]] = []
        self._contents: list[Path] = []
        self._folders: dict[Path, None] = {}

    def file(self, path: Path, data: bytes) -> None:
        """`data` at `path`; a reader sees the old file or the new one, whole."""
        unfinished = self._scratch / f"{secrets.token_hex(8)}.tmp"
        self._files.append((unfinished, path))
        _write_new(unfinished, data, 0o644)
        self._contents.append(unfinished)
        self._folders[path.parent] = None

    def folder(self, folder: Path, files: Mapping[str, bytes]) -> None:
        """A new folder with `files` in it, there at once. Files that begin with `#!` become executable."""
        os.mkdir(folder)
        made = {folder.parent: None, folder: None}
        for path, data in sorted(files.items()):
            target = folder / path
            missing = [p for p in target.parents if p not in made and folder in p.parents]
            for parent in reversed(missing):
                os.mkdir(parent)
                made[parent] = None
            _write_new(target, data, 0o755 if data.startswith(b"#!") else 0o644)
            self._contents.append(target)
        self._folders |= made

    def also(self, folder: Path) -> None:
        """What was renamed in `folder` earlier is flushed before anything of this batch is put into place."""
        self._contents.append(folder)

    def finish(self) -> None:
        """Puts everything into place for good."""
        flush(self._contents)
        for unfinished, path in self._files:
            os.replace(unfinished, path)
        flush(self._folders)

    def __enter__(self) -> "Batch":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        done = False
        try:
            if kind is None:
                self.finish()
                done = True
        finally:
            for unfinished, _path in () if done else self._files:
                with suppress(OSError):
                    os.unlink(unfinished)


def write_file(path: Path, data: bytes, scratch: Path) -> None:
    """Puts `data` at `path` at once and for good; a reader sees the old file or the new one, whole."""
    with Batch(scratch) as batch:
        batch.file(path, data)


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Makes `folder` with `files` in it, for good. Files that begin with `#!` become executable."""
    with Batch(folder.parent) as batch:
        batch.folder(folder, files)


def _write_new(path: Path, data: bytes, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
    finally:
        os.close(fd)


def flush(paths: Iterable[Path]) -> None:
    """Makes the content of files, and the names in folders, survive a power cut.

    All at once in threads: a file system serves waits that come together with one write of its journal, so ten take
    hardly longer than one.
    """
    waiting = list(paths)
    if len(waiting) == 1:
        _flush_one(waiting[0])
    elif waiting:
        with ThreadPoolExecutor(min(len(waiting), _FLUSHES)) as threads:
            for _ in threads.map(_flush_one, waiting):
                pass


def _flush_one(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def exchange(left: Path, right: Path) -> None:
    """Swaps two folders on one file system: in one step on Linux, elsewhere in three renames."""
    if _exchange_at_once(left, right):
        return
    aside = right.with_name(f"{right.name}.{secrets.token_hex(4)}.aside")
    os.rename(left, aside)
    os.rename(right, left)
    os.rename(aside, right)


def _exchange_at_once(left: Path, right: Path) -> bool:
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    if call(_AT_FDCWD, os.fsencode(left), _AT_FDCWD, os.fsencode(right), _EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), os.fspath(left))


def remove_folder(folder: Path) -> None:
    """Deletes `folder` and all below it, never through a link. A folder that is not there is fine."""
    if folder.is_symlink() or folder.is_file():
        os.unlink(folder)
        return
    if not folder.exists():
        return
    for entry in list(os.scandir(folder)):
        if entry.is_dir(follow_symlinks=False):
            remove_folder(Path(entry.path))
        else:
            os.unlink(entry.path)
    os.rmdir(folder)


def _lock(fd: int, mode: int, deadline: float) -> bool:
    """Locks an open file; False where that took too long.

    Waiting is the system's, which serves those who wait in turn; trying again and again would let the lucky one win. It
    cannot be given a time, so a thread waits, and lets go again when nobody wants the lock any more.
    """
    try:
        fcntl.flock(fd, mode | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        pass
    shared, mutex, ended, late = os.dup(fd), threading.Lock(), threading.Event(), list[bool]()

    def wait() -> None:
        fcntl.flock(shared, mode)
        with mutex:
            if late:
                fcntl.flock(shared, fcntl.LOCK_UN)
            ended.set()
        os.close(shared)

    threading.Thread(target=wait, daemon=True).start()
    ended.wait(max(deadline - time.monotonic(), 0))
    with mutex:
        if not ended.is_set():
            late.append(True)
        return not late


@contextmanager
def locked(path: Path, exclusive: bool, timeout: float) -> Generator[None]:
    """Holds the lock file at `path`; the system frees it when the process dies.

    Args:
        exclusive: One holder alone; otherwise many readers may hold it together.
        timeout: Seconds to wait.

    Raises:
        UserError: others held it all that time, the text names the last writer; or it cannot be opened.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise UserError(
            f"the lock file {path} cannot be opened: {error.strerror}", "give yourself write access to the library"
        ) from error
    try:
        deadline = time.monotonic() + timeout
        # Whoever is next waits at the folder's own lock: so readers that come and come cannot keep a writer out.
        turn = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            mode = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
            if not (_lock(turn, fcntl.LOCK_EX, deadline) and _lock(fd, mode, deadline)):
                holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
                raise UserError(
                    f"the library at {path.parent.parent} is in use; waited {timeout:g} s for process {holder}",
                    "wait until it has finished, or end that process; a killed process leaves no lock behind",
                )
        finally:
            os.close(turn)
        if exclusive:
            # Only for the message above; a full disk must not stop a reader of the ledger.
            with suppress(OSError):
                os.pwrite(fd, f"{os.getpid():<31}\n".encode(), 0)
        yield
    finally:
        os.close(fd)
