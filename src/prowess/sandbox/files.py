"""Files into the work folder and back out of it. What comes back was written by hostile code."""

import os
import shutil
import stat
import subprocess
from pathlib import Path, PurePosixPath

from prowess.core.errors import SandboxError
from prowess.core.task import File

MAX_FILES = 2_000
MAX_DEPTH = 16
MAX_NAME = 4_096
_LONG_AGO = 946_684_800
"""The year 2000, in seconds."""


def check_path(path: str) -> None:
    """Refuse a path that could leave the folder.

    Raises:
        SandboxError: it is empty, absolute, too long, holds `..`, a backslash or a control character.
    """
    parts = path.split("/")
    if (
        not path
        or len(path.encode("utf-8", "replace")) > MAX_NAME
        or len(parts) > MAX_DEPTH
        or any(part in {"", ".", ".."} or len(part.encode("utf-8", "replace")) > 255 for part in parts)
        or "\\" in path
        or any(ord(c) < 32 or 0xD800 <= ord(c) <= 0xDFFF for c in path)
    ):
        raise SandboxError(f"{path!r} is not a safe relative path")


def write_files(folder: Path, files: tuple[File, ...], owner: int | None) -> None:
    """Write `files` below `folder`, which is new and empty; give all to `owner` where one is named.

    Raises:
        SandboxError: an unsafe path, or two files that cannot both exist.
    """
    made: set[Path] = set()
    for file in files:
        check_path(file.path)
        target = folder / PurePosixPath(file.path)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.data)
        except OSError as error:
            raise SandboxError(f"could not write {file.path!r} into the work folder: {error.strerror}") from error
        while target != folder and target not in made:
            made.add(target)
            target = target.parent
    if owner is not None:
        for path in (folder, *made):
            os.chown(path, owner, owner)


def read_files(
    folder: Path, before: tuple[File, ...], file_bytes: int
) -> tuple[tuple[File, ...], tuple[str, ...], tuple[str, ...]]:
    """(new or changed, removed, skipped) of `folder`, walked by descriptors so that no link is ever followed."""
    known = {file.path: file.data for file in before}
    present: set[str] = set()
    changed: list[File] = []
    skipped: list[str] = []
    room = 4 * file_bytes
    stack: list[tuple[int, str, int]] = [(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW), "", 0)]
    while stack:
        descriptor, prefix, depth = stack.pop()
        try:
            for name in sorted(os.listdir(descriptor)):
                path = prefix + name
                if not is_sound(path) or depth >= MAX_DEPTH or len(present) + len(skipped) >= MAX_FILES:
                    if len(skipped) < MAX_FILES:
                        skipped.append(path.encode("utf-8", "replace").decode("utf-8", "replace"))
                    continue
                data = _read(descriptor, name, min(file_bytes, room))
                if isinstance(data, int):
                    stack.append((data, path + "/", depth + 1))
                elif data is None:
                    skipped.append(path)
                else:
                    present.add(path)
                    if known.get(path) != data:
                        changed.append(File(path=path, data=data))
                        room -= len(data)
        except OSError:
            skipped.append(prefix.rstrip("/") or ".")
        finally:
            os.close(descriptor)
    changed.sort(key=lambda file: file.path)
    removed = tuple(sorted(path for path in known if path not in present and path not in skipped))
    return tuple(changed), removed, tuple(sorted(skipped))


def age_files(folder: Path, files: tuple[File, ...]) -> None:
    """Make all files look unread for long, so that `were_read` can tell; file systems note a first reading."""
    for file in files:
        os.utime(folder / PurePosixPath(file.path), (_LONG_AGO, _LONG_AGO + 1), follow_symlinks=False)


def were_read(folder: Path, files: tuple[File, ...]) -> list[str]:
    """Which of the aged files were read since, under whatever name; none where the file system does not note it."""
    found: list[str] = []
    for file in files:
        try:
            about = os.stat(folder / PurePosixPath(file.path), follow_symlinks=False)
        except OSError:
            continue  # removed, which `read_files` tells
        if stat.S_ISREG(about.st_mode) and about.st_atime > _LONG_AGO and about.st_mtime == _LONG_AGO + 1:
            found.append(file.path)
    return found


def folder_bytes(folder: Path) -> int:
    """Size of everything below `folder`, as far as it can be read; used to stop a run that fills the disk."""
    size = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                size += os.lstat(os.path.join(root, name)).st_size
            except OSError:
                continue
    return size


def remove_folder(folder: Path) -> None:
    """Remove `folder` although its content may be very deep or write-protected."""
    try:
        shutil.rmtree(folder)
    except (OSError, RecursionError):
        # Python's own removal is recursive and stops at folders without permission; rm and chmod do neither.
        for command in (["rm", "-rf"], ["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
            if folder.exists():
                subprocess.run([*command, "--", str(folder)], check=False, capture_output=True, timeout=30)


def is_sound(path: str) -> bool:
    """Whether `check_path` lets it pass."""
    try:
        check_path(path)
    except SandboxError:
        return False
    return True


def _read(folder: int, name: str, limit: int) -> bytes | int | None:
    """The content of a regular file, a descriptor of a folder, or None for anything else."""
    try:
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode):
            return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
        if not stat.S_ISREG(mode):
            return None
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as stream:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > limit:
            return None
        data = stream.read(limit + 1)
        return data if len(data) <= limit else None
