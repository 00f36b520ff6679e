# ruff: noqa: E501 (cases stand on one line each)
"""Archives made to harm whoever opens them; the benchmark of security measures the same ones."""

import gzip
import io
import stat
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable

from prowess.library.members import FILE, MEMBERS

SKILL = b"---\nname: one\ndescription: d\n---\n\nBody.\n"


def zipped(*members: tuple[str, bytes], mode: int = 0, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", method) as archive:
        warnings.simplefilter("ignore", UserWarning)  # of two members with one name, which is what some cases want
        for name, data in members:
            entry = zipfile.ZipInfo(name)
            entry.compress_type = method
            entry.external_attr = mode << 16
            archive.writestr(entry, data)
    return buffer.getvalue()


def tarred(
    *members: tuple[str, bytes],
    kind: bytes = tarfile.REGTYPE,
    target: str = "",
    mode: int = 0o644,
    format: int = tarfile.PAX_FORMAT,
) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        for name, data in members:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.mode, entry.size = kind, target, mode, len(data)
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


GOOD = ("s/SKILL.md", SKILL)
BAD_PATHS = [
    "../x", "s/../../x", "/etc/x", "C:\\x", "c:/x", "s\\x", "s/./x", "s//x", "s/con", "s/aux.txt", "s/x.", "s/x ", "s/a\nb", "s/a*b",
    "s/" + "a" * 300, "a/" * 12 + "x", "~/x:y", "s/..", "s/\x7f", "s/\u202e\x00x",
]  # fmt: skip


def many(n: int) -> bytes:
    return zipped(GOOD, *[(f"s/{i}", b"") for i in range(n)])


def cut_zip() -> bytes:
    return zipped(GOOD)[:-30]


def lying_zip() -> bytes:
    """The directory says ten bytes, the stream holds a megabyte."""
    data = bytearray(zipped(GOOD, ("s/a", b"a" * 1_000_000)))
    at = data.rfind(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 10)
    return bytes(data)


def encrypted() -> bytes:
    data = bytearray(zipped(GOOD))
    data[data.rfind(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def doubled() -> bytes:
    return zipped(GOOD, ("s/a", b"x"), ("s/b", b"y")).replace(b"s/b", b"s/a")


def pax(key: str, value: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        entry = tarfile.TarInfo("s/SKILL.md")
        entry.size, entry.pax_headers = len(SKILL), {key: value}
        archive.addfile(entry, io.BytesIO(SKILL))
    return buffer.getvalue()


HOSTILE: dict[str, Callable[[], bytes]] = {
    **{f"zip path {path[:20]!r}": (lambda path=path: zipped(GOOD, (path, b"x"))) for path in BAD_PATHS if "\x00" not in path},
    **{f"tar path {path[:20]!r}": (lambda path=path: tarred(GOOD, (path, b"x"))) for path in BAD_PATHS if "\x00" not in path},
    "zip link": lambda: zipped(GOOD, ("s/x", b"/etc/passwd"), mode=stat.S_IFLNK | 0o777),
    "zip device": lambda: zipped(GOOD, mode=stat.S_IFCHR),
    "zip setuid": lambda: zipped(GOOD, mode=stat.S_IFREG | 0o4755),
    "zip bomb": lambda: zipped(GOOD, ("s/a", b"\0" * FILE)),
    "zip of many small bombs": lambda: zipped(GOOD, *[(f"s/{i}", b"\0" * 90_000) for i in range(200)]),
    "zip of many members": lambda: many(MEMBERS + 10),
    "zip with a large directory": lambda: many(60_000),
    "zip that lies about a size": lying_zip,
    "zip cut short": cut_zip,
    "zip encrypted": encrypted,
    "zip packed otherwise": lambda: zipped(GOOD, method=zipfile.ZIP_LZMA),
    "zip with another before it": lambda: zipped(GOOD) + zipped(GOOD),
    "zip with text behind it": lambda: zipped(GOOD) + b"#" * 100,
    "zip with two of one name": doubled,
    "zip with names that differ in case": lambda: zipped(GOOD, ("s/skill.md", b"x")),
    "zip with names that differ in form": lambda: zipped(GOOD, ("s/\u00e9", b""), ("s/e\u0301", b"")),
    "zip with full-width names": lambda: zipped(GOOD, ("s/\uff21", b""), ("s/a", b"")),
    "zip with a file that is a folder": lambda: zipped(GOOD, ("s/a", b""), ("s/a/b", b"")),
    "zip with two of a name of one letter": lambda: zipped(("a", b"x"), ("a", b"y"), GOOD),
    "zip with a folder that is a file": lambda: zipped(GOOD, ("s/a", b""), ("s/A/", b"")),
    "tar link": lambda: tarred(("s/x", b""), kind=tarfile.SYMTYPE, target="/etc/passwd"),
    "tar with another behind it": lambda: tarred(GOOD) + tarred(GOOD),
    "tar hard link": lambda: tarred(("s/x", b""), kind=tarfile.LNKTYPE, target="../x"),
    "tar device": lambda: tarred(("s/x", b""), kind=tarfile.CHRTYPE),
    "tar fifo": lambda: tarred(("s/x", b""), kind=tarfile.FIFOTYPE),
    "tar setuid": lambda: tarred(GOOD, mode=0o4755),
    "tar sparse": lambda: tarred(GOOD, kind=tarfile.GNUTYPE_SPARSE),
    "tar bomb": lambda: gzip.compress(tarred(GOOD, *[(f"s/{i}", b"\0" * FILE) for i in range(8)])),
    "tar with a huge header": lambda: pax("comment", "9" * 3_000_000),
    "tar that changes sizes": lambda: pax("size", "999999999"),
    "tar with a huge file": lambda: tarred(GOOD, ("s/a", b"\0" * (FILE + 1))),
    "tar of many members": lambda: tarred(GOOD, *[(f"s/{i}", b"") for i in range(MEMBERS + 10)]),
    "tar with a wrong sum": lambda: tarred(GOOD)[:10] + b"x" + tarred(GOOD)[11:],
    "gzip bomb": lambda: gzip.compress(b"\0" * 512 + b"a" * 30_000_000),
    "gzip cut short": lambda: gzip.compress(tarred(GOOD))[:-20],
    "no archive": lambda: b"hello",
    "empty": lambda: b"",
}  # fmt: skip
