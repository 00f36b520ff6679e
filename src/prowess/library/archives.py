"""Zip and tar archives, read into memory under fixed limits and checked as a whole; and written.

Archives inside archives are kept as they are and never opened.
"""

import gzip
import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Final, cast

from prowess.core.errors import Refused, UserError
from prowess.library.disk import write_file
from prowess.library.members import MEMBERS, TOTAL, Member, check, check_one, is_junk, refused
from prowess.library.trees import Tree

PACKED: Final = TOTAL
"""Bytes of an archive."""
_INDEX: Final = 600 * 1024
"""Bytes of the directory of a zip archive: 300 for each member."""
_BLOCK: Final = 512
_HEADER: Final = 8 * 1024
"""Bytes of one extended header of a tar archive."""
_PADDING: Final = 64 * 1024
"""Bytes of zeros behind the last file of a tar archive."""


def read_archive(path: Path) -> dict[str, bytes]:
    """All files of a zip or tar archive, `.tar.gz` included, by path.

    Raises:
        Refused: a member is bad, or a limit is passed.
        UserError: it is no such archive, or damaged.
    """
    size = path.stat().st_size
    if size > PACKED:
        raise Refused(f"{path} has {size} bytes; {PACKED} are allowed", "import its skills one by one")
    data = path.read_bytes()
    try:
        if data[:4] == b"PK\x03\x04":
            return _from_zip(data, str(path))
        if data[:2] == b"\x1f\x8b":
            return _from_tar(cast(IO[bytes], gzip.GzipFile(fileobj=io.BytesIO(data))), str(path))
        if data[257:262] == b"ustar":
            return _from_tar(io.BytesIO(data), str(path))
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        struct.error,
        OSError,
        ValueError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise UserError(f"{path} is damaged: {error}", "get the archive again") from error
    raise UserError(f"{path} is no archive that is read here", "give a zip, tar or tar.gz")


def write_archive(path: Path, trees: Mapping[str, Tree]) -> None:
    """Writes skills as a zip archive; equal skills give equal bytes.

    Raises:
        UserError: it cannot be written.
    """
    files = {f"{name}/{file}": data for name, tree in trees.items() for file, data in tree.items()}
    try:
        write_file(path, archive_bytes(files), path.absolute().parent)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}", "name another place") from error


def archive_bytes(files: Mapping[str, bytes]) -> bytes:
    """A zip archive of these files; equal files give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, data in sorted(files.items()):
            entry = zipfile.ZipInfo(file, (1980, 1, 1, 0, 0, 0))
            entry.create_system = 3
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (stat.S_IFREG | (0o755 if data.startswith(b"#!") else 0o644)) << 16
            archive.writestr(entry, data)
    return buffer.getvalue()


def _from_zip(data: bytes, where: str) -> dict[str, bytes]:
    _check_directory(data, where)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        members = [
            Member(e.orig_filename, e.external_attr >> 16, e.file_size, e.compress_size, e.is_dir()) for e in entries
        ]
        for entry in entries:
            if entry.flag_bits & 0x1:
                raise refused(where, entry.orig_filename, "is encrypted")
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise refused(where, entry.orig_filename, "is packed in an unusual way")
        check(members, where)
        files: dict[str, bytes] = {}
        for entry, member in zip(entries, members, strict=True):
            if not member.folder and not is_junk(member.path):
                with archive.open(entry) as stream:
                    content = stream.read(member.size + 1)
                if len(content) != member.size:
                    raise refused(where, member.path, "has another size than the archive says")
                files[member.path] = content
    return files


def _check_directory(data: bytes, where: str) -> None:
    """Refuses a zip archive whose directory is too large before anything reads it."""
    end = data.rfind(b"PK\x05\x06", max(0, len(data) - 65_557))
    if end < 0 or end + 22 > len(data):
        raise UserError(f"{where} is damaged: it has no directory", "get the archive again")
    entries, size, offset, comment = struct.unpack("<HIIH", data[end + 10 : end + 22])
    if entries > MEMBERS or size > _INDEX:
        raise Refused(f"{where} has more than {MEMBERS} members", "import its skills one by one")
    if entries == 0xFFFF or offset + size != end or end + 22 + comment != len(data):
        raise Refused(f"{where} holds something besides the archive", "pack it anew")


def _from_tar(stream: IO[bytes], where: str) -> dict[str, bytes]:
    """The files of a tar stream. `tarfile` is not used: it parses headers of any size, in quadratic time."""
    members: list[Member] = []
    files: dict[str, bytes] = {}
    long_name, total = "", 0
    while True:
        head = stream.read(_BLOCK)
        if len(head) < _BLOCK or not head.strip(b"\0"):
            # Reading to the end also checks the sum of a gzip stream.
            rest = head + stream.read(_PADDING)
            if rest.strip(b"\0") or stream.read(1):
                raise Refused(f"{where} holds something behind its end", "pack it anew")
            break
        size, mode, kind = _octal(head[124:136]), _octal(head[100:108]), head[156:157]
        if sum(head[:148]) + 8 * 32 + sum(head[156:]) != _octal(head[148:156]):
            raise ValueError("a header has a wrong sum")
        if kind in (b"L", b"x", b"g", b"K", b"X"):
            if size > _HEADER or len(members) > MEMBERS:
                raise Refused(f"{where} has a header of {size} bytes", "pack it anew")
            extra = _exactly(stream, size)
            if kind == b"L":
                long_name = extra.rstrip(b"\0").decode()
            elif kind in (b"x", b"X"):
                long_name = _pax_path(extra) or long_name
            total += _BLOCK
        else:
            prefix = head[345:500] if head[257:263] == b"ustar\0" else b""
            name = long_name or "/".join(
                part.split(b"\0")[0].decode() for part in (prefix, head[:100]) if part.strip(b"\0")
            )
            folder, plain = kind == b"5", kind in (b"0", b"\0", b"7")
            file_type = stat.S_IFDIR if folder else stat.S_IFREG if plain else stat.S_IFLNK
            members.append(Member(name, file_type | (mode & 0o7777), size if plain else 0, 0, folder))
            check_one(members[-1], where, len(members))
            long_name = ""
            if plain:
                content = _exactly(stream, size)
                if not is_junk(name):
                    files[name.removeprefix("./")] = content
        total += size
        if total > TOTAL:
            raise Refused(f"{where} unpacks to more than {TOTAL} bytes", "import its skills one by one")
    check(members, where)
    return files


def _exactly(stream: IO[bytes], size: int) -> bytes:
    """The next `size` bytes; the padding of their last block is passed."""
    padded = -(-size // _BLOCK) * _BLOCK
    data = stream.read(padded)
    if len(data) < size:
        raise EOFError("it ends in the middle of a file")
    return data[:size]


def _octal(field: bytes) -> int:
    text = field.strip(b" \0")
    if not re.fullmatch(rb"[0-7]{0,12}", text):
        raise ValueError("a header holds no number where one must be")
    return int(text or b"0", 8)


def _pax_path(data: bytes) -> str:
    """The path that an extended header gives; empty where it gives none. A size or a sparse map in it is refused."""
    path, at = "", 0
    while at < len(data):
        space = data.find(b" ", at, at + 8)
        if space < 0 or not data[at:space].isdigit() or (end := at + int(data[at:space])) <= space or end > len(data):
            raise ValueError("an extended header is malformed")
        key, _, value = data[space + 1 : end - 1].partition(b"=")
        if key == b"size" or key.startswith(b"GNU.sparse"):
            raise ValueError("an extended header changes the size of a file")
        if key == b"path":
            path = value.decode()
        at = end
    return path
