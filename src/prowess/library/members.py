"""What may be a member of a bundle, and what may not: sizes, names, kinds of files.

Everything is looked at before anything is written, and nothing is mended: a bundle with one bad member is refused
whole. Links, devices, paths that leave the folder, names that some file systems would take for one, and sizes beyond
the limits are bad.
"""

import re
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from prowess.core.errors import Refused
from prowess.library.skillmd import path_problem

MEMBERS: Final = 2_000
"""Files and folders of one bundle."""
FILE: Final = 2 * 1024 * 1024
"""Bytes of one file."""
TOTAL: Final = 8 * 1024 * 1024
"""Bytes of all files together, counted as they are unpacked."""
RATIO: Final = 200
"""Unpacked to packed bytes of one member, from 100 kB on; text packs about 3 to 1, and 20 to 1 when it repeats."""
_JUNK: Final = re.compile(r"(?:^|/)(?:__MACOSX|__pycache__|\.DS_Store|Thumbs\.db)(?:/|$)|(?:^|/)\._|\.pyc$")


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of a bundle, as the bundle describes it."""

    path: str
    mode: int
    """File type and permissions as in `stat`; 0 where the archive does not say."""
    size: int
    packed: int
    """Bytes in the archive; 0 where it does not say."""
    folder: bool


def check(members: Sequence[Member], where: str) -> None:
    """Raises Refused for the first bad member, and for members that get in each other's way."""
    files: dict[str, str] = {}
    for number, member in enumerate(members, 1):
        check_one(member, where, number)
        key = _key(member.path)
        if key in files and not member.folder:
            raise refused(where, member.path, f"is the same as {files[key]!r} on some file systems")
        if not member.folder:
            files[key] = member.path
    for member in members:
        key = _key(member.path)
        if (member.folder and key in files) or any(parent in files for parent in parents(key)):
            raise refused(where, member.path, "is a folder, or lies in one, that is a file elsewhere in the archive")
    if sum(m.size for m in members) > TOTAL:
        raise Refused(f"{where} unpacks to more than {TOTAL} bytes", "import its skills one by one")


def check_one(member: Member, where: str, number: int) -> None:
    """Raises Refused where a member is bad by itself; `number` counts from 1."""
    if number > MEMBERS:
        raise Refused(f"{where} has more than {MEMBERS} members", "import its skills one by one")
    path = member.path.removeprefix("./").rstrip("/") if member.folder else member.path.removeprefix("./")
    problem = None
    if member.folder and path in ("", "."):
        return
    if not is_junk(path):
        bare = "/".join(part.lstrip(".") if len(part) > 1 and part.strip(".") else part for part in path.split("/"))
        problem = path_problem("x/" + bare) if bare else f"path {path!r} is empty"
        if path.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", path):
            problem = f"path {path!r} is absolute"
    elif ".." in path.split("/") or path.startswith("/"):
        problem = f"path {path!r} leaves the folder"
    if problem is not None:
        raise Refused(f"{where} is refused: {problem}", "pack it anew without that file")
    kind = stat.S_IFMT(member.mode)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR) or ((kind == stat.S_IFDIR) != member.folder and kind):
        raise refused(where, path, "is a link, a device or otherwise no plain file")
    if member.mode & 0o6000:
        raise refused(where, path, "would run with the rights of its owner")
    if member.size > FILE:
        raise refused(where, path, f"has {member.size} bytes; {FILE} are allowed")
    if member.packed and member.size > 100_000 and member.size > RATIO * member.packed:
        raise refused(where, path, f"unpacks to more than {RATIO} times its size")


def is_junk(path: str) -> bool:
    """Whether a file is what systems and editors leave behind; such files are checked, and then left out."""
    return _JUNK.search(path) is not None


def parents(path: str) -> Iterator[str]:
    """The folders that `path` lies in, outermost first."""
    parts = path.split("/")
    for n in range(1, len(parts)):
        yield "/".join(parts[:n])


def _key(path: str) -> str:
    """What file systems that ignore case and Unicode forms take a path for."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", path.removeprefix("./").rstrip("/")).casefold())


def refused(where: str, path: str, why: str) -> Refused:
    """The error that says which member is bad."""
    return Refused(f"{where} is refused: {path!r} {why}", "pack it anew without that file")
