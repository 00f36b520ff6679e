"""Skills that come in from folders, archives and git, and go out as archives.

Everything is read into memory and every member is looked at before anything is written: a bundle with one bad member is
refused whole, nothing is mended. Links, devices, paths that leave the folder, names that some file systems would take
for one, and sizes beyond the limits are bad. Archives inside archives are kept as they are and never opened.
"""

import gzip
import io
import os
import re
import resource
import stat
import struct
import subprocess
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, cast

from prowess.core.errors import Refused, UserError
from prowess.library.disk import read_folder, write_file
from prowess.library.skillmd import path_problem, read
from prowess.library.trees import Tree
from prowess.settings import variables

MEMBERS: Final = 2_000
"""Files and folders of one bundle."""
FILE: Final = 2 * 1024 * 1024
"""Bytes of one file."""
TOTAL: Final = 8 * 1024 * 1024
"""Bytes of all files together, counted as they are unpacked."""
PACKED: Final = TOTAL
"""Bytes of an archive."""
RATIO: Final = 200
"""Unpacked to packed bytes of one member, from 100 kB on; text packs about 3 to 1, and 20 to 1 when it repeats."""
_INDEX: Final = 600 * 1024
"""Bytes of the directory of a zip archive: 300 for each member."""
_BLOCK: Final = 512
_HEADER: Final = 8 * 1024
"""Bytes of one extended header of a tar archive."""
_PADDING: Final = 64 * 1024
"""Bytes of zeros behind the last file of a tar archive."""
_CLONE: Final = 256 * 1024 * 1024
"""Bytes of one file that git may write while it fetches."""
_JUNK: Final = re.compile(r"(?:^|/)(?:__MACOSX|__pycache__|\.DS_Store|Thumbs\.db)(?:/|$)|(?:^|/)\._|\.pyc$")
_GIT_URL: Final = re.compile(r"^(?:https://|ssh://|git@|file://).+|.+\.git/?$")


@dataclass(frozen=True, slots=True)
class Bundle:
    """The skills that were found in one place."""

    source: str
    """Where: a path or address, for git with the commit."""
    skills: dict[str, dict[str, bytes]]
    """The files of each skill, by name."""


@dataclass(frozen=True, slots=True)
class _Member:
    path: str
    mode: int
    """File type and permissions as in `stat`; 0 where the archive does not say."""
    size: int
    packed: int
    folder: bool


def read_bundle(source: str, ref: str | None = None) -> Bundle:
    """The skills of a folder, a zip or tar archive, or a git repository.

    Args:
        source: A path, or the address of a repository (https, ssh or file).
        ref: The branch, tag or commit of a repository.

    Raises:
        Refused: a member is bad; the text names it and says why.
        UserError: there is nothing of that name, it cannot be read, or holds no skill.
    """
    path = Path(source)
    if not path.exists() and _GIT_URL.match(source):
        files, commit = _from_git(source, ref)
        return _bundle(f"{source.rstrip('/')}@{commit}", files, Path(source.rstrip("/")).name.removesuffix(".git"))
    if path.is_dir() and not path.is_symlink():
        return _bundle(source, _from_folder(path), path.resolve().name)
    if not path.is_file():
        raise UserError(
            f"there is nothing at {source}", "name a folder, an archive, or the address of a git repository"
        )
    return _bundle(
        source, read_archive(path), re.sub(r"\.(?:zip|skill|tar|tar\.gz|tgz)$", "", path.name, flags=re.IGNORECASE)
    )


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
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, tree in sorted(trees.items()):
            for file, data in sorted(tree.items()):
                entry = zipfile.ZipInfo(f"{name}/{file}", (1980, 1, 1, 0, 0, 0))
                entry.create_system = 3
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = (stat.S_IFREG | (0o755 if data.startswith(b"#!") else 0o644)) << 16
                archive.writestr(entry, data)
    try:
        write_file(path, buffer.getvalue(), path.absolute().parent)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}", "name another place") from error


def _from_zip(data: bytes, where: str) -> dict[str, bytes]:
    _check_directory(data, where)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        members = [
            _Member(e.orig_filename, e.external_attr >> 16, e.file_size, e.compress_size, e.is_dir()) for e in entries
        ]
        for entry in entries:
            if entry.flag_bits & 0x1:
                raise _refused(where, entry.orig_filename, "is encrypted")
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise _refused(where, entry.orig_filename, "is packed in an unusual way")
        _check(members, where)
        files: dict[str, bytes] = {}
        for entry, member in zip(entries, members, strict=True):
            if not member.folder and not _JUNK.search(member.path):
                with archive.open(entry) as stream:
                    content = stream.read(member.size + 1)
                if len(content) != member.size:
                    raise _refused(where, member.path, "has another size than the archive says")
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
    members: list[_Member] = []
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
            members.append(_Member(name, file_type | (mode & 0o7777), size if plain else 0, 0, folder))
            _check_one(members[-1], where, len(members))
            long_name = ""
            if plain:
                content = _exactly(stream, size)
                if not _JUNK.search(name):
                    files[name.removeprefix("./")] = content
        total += size
        if total > TOTAL:
            raise Refused(f"{where} unpacks to more than {TOTAL} bytes", "import its skills one by one")
    _check(members, where)
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


def _from_folder(path: Path) -> dict[str, bytes]:
    """The files of one skill folder, or of all skill folders in a folder."""
    if (path / "SKILL.md").is_file():
        return {f"{path.resolve().name}/{file}": data for file, data in _read_strictly(path).items()}
    files: dict[str, bytes] = {}
    for child in sorted(path.iterdir()):
        if (
            child.is_dir()
            and not child.is_symlink()
            and not child.name.startswith(".")
            and (child / "SKILL.md").is_file()
        ):
            files.update({f"{child.name}/{file}": data for file, data in _read_strictly(child).items()})
            if sum(map(len, files.values())) > TOTAL:
                raise Refused(f"{path} holds more than {TOTAL} bytes", "import its skills one by one")
    return files


def _read_strictly(folder: Path) -> dict[str, bytes]:
    found = read_folder(folder)
    if found.problems:
        raise Refused(f"{folder} holds what is no plain file: {'; '.join(found.problems)}", "take it out of the folder")
    _check([_Member(f"{folder.name}/{p}", stat.S_IFREG, len(d), 0, False) for p, d in found.files.items()], str(folder))
    return found.files


def _from_git(source: str, ref: str | None) -> tuple[dict[str, bytes], str]:
    """All files of a commit. Nothing is checked out, so neither hooks nor filters nor submodules can run."""
    if ref is not None and (ref.startswith("-") or not re.fullmatch(r"[\w./-]{1,200}", ref)):
        raise UserError(f"{ref!r} is no branch, tag or commit", "name one of the repository")
    with tempfile.TemporaryDirectory(prefix="prowess-") as folder:
        place = Path(folder, "repository")
        depth = [] if ref is not None and re.fullmatch(r"[0-9a-f]{7,40}", ref) else ["--depth", "1"]
        branch = ["--branch", ref] if ref is not None and depth else []
        _git(
            "clone",
            "--bare",
            "--quiet",
            "--no-tags",
            "--single-branch",
            *depth,
            *branch,
            "--",
            source,
            str(place),
            where=source,
        )
        commit = (
            _git("rev-parse", "--verify", f"{ref if ref and not depth else 'HEAD'}^{{commit}}", where=source, at=place)
            .decode()
            .strip()
        )
        listing = _git("ls-tree", "-r", "-l", "-z", "--full-tree", commit, where=source, at=place)
        members: list[_Member] = []
        blobs: list[tuple[str, str]] = []
        for row in listing.split(b"\0")[:-1]:
            head, _, name = row.partition(b"\t")
            mode, kind, blob, size = head.decode().split()
            path = name.decode("utf-8", "surrogateescape")
            # A submodule has no bytes here; like a link it counts as no plain file, where it lies inside a skill.
            members.append(
                _Member(
                    path, int(mode, 8) if kind == "blob" else stat.S_IFLNK, int(size) if size != "-" else 0, 0, False
                )
            )
            blobs.append((path, blob))
        inside = _roots([m.path for m in members])
        wanted = [(m, b) for m, (_, b) in zip(members, blobs, strict=True) if _root_of(m.path, inside) is not None]
        _check([m for m, _ in wanted], source)
        return {
            m.path: _git("cat-file", "blob", b, where=source, at=place) for m, b in wanted if not _JUNK.search(m.path)
        }, commit


def _git(*arguments: str, where: str, at: Path | None = None) -> bytes:
    environment = {
        "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ALLOW_PROTOCOL": "https:ssh:file", "GIT_LFS_SKIP_SMUDGE": "1", "LC_ALL": "C",
        **variables("PATH", "HOME", "SSH_AUTH_SOCK", "https_proxy", "HTTPS_PROXY", "SSL_CERT_FILE"),
    }  # fmt: skip
    try:
        done = subprocess.run(
            ["git", *(["-C", str(at)] if at else []), *arguments],
            capture_output=True, timeout=120, check=False, env=environment,
            stdin=subprocess.DEVNULL, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (_CLONE, _CLONE)),
        )  # fmt: skip
    except FileNotFoundError as error:
        raise UserError("git is not installed", "install it, or import an archive") from error
    except subprocess.TimeoutExpired as error:
        raise UserError(f"{where} took longer than two minutes", "import an archive instead") from error
    if done.returncode:
        why = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise UserError(
            f"git cannot read {where}: {why[-1] if why else done.returncode}",
            "check the address and the name of the branch",
        )
    return done.stdout


def _check(members: list[_Member], where: str) -> None:
    """Raises Refused for the first bad member, and for members that get in each other's way."""
    seen: dict[str, str] = {}
    for number, member in enumerate(members, 1):
        _check_one(member, where, number)
        key = _key(member.path)
        if (other := seen.setdefault(key, member.path)) is not member.path and not member.folder:
            raise _refused(where, member.path, f"is the same as {other!r} on some file systems")
    files = {_key(m.path) for m in members if not m.folder}
    for member in members:
        for parent in _parents(_key(member.path)):
            if parent in files:
                raise _refused(where, member.path, "lies in what is a file elsewhere in the archive")
    if sum(m.size for m in members) > TOTAL:
        raise Refused(f"{where} unpacks to more than {TOTAL} bytes", "import its skills one by one")


def _check_one(member: _Member, where: str, number: int) -> None:
    if number > MEMBERS:
        raise Refused(f"{where} has more than {MEMBERS} members", "import its skills one by one")
    path = member.path.removeprefix("./").rstrip("/") if member.folder else member.path.removeprefix("./")
    problem = None
    if member.folder and path in ("", "."):
        return
    if not _JUNK.search(path):
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
        raise _refused(where, path, "is a link, a device or otherwise no plain file")
    if member.mode & 0o6000:
        raise _refused(where, path, "would run with the rights of its owner")
    if member.size > FILE:
        raise _refused(where, path, f"has {member.size} bytes; {FILE} are allowed")
    if member.packed and member.size > 100_000 and member.size > RATIO * member.packed:
        raise _refused(where, path, f"unpacks to more than {RATIO} times its size")


def _bundle(source: str, files: Mapping[str, bytes], name: str) -> Bundle:
    """The skill folders among `files`. One at the top takes the name that it gives itself, else that of the source."""
    roots = _roots(list(files))
    skills: dict[str, dict[str, bytes]] = {}
    for path, data in files.items():
        root = _root_of(path, roots)
        if root is not None:
            skills.setdefault(root, {})[path[len(root) + 1 :] if root else path] = data
    if not skills:
        raise UserError(
            f"{source} holds no skill: there is no SKILL.md in it", "name a folder or archive with a SKILL.md"
        )
    named: dict[str, dict[str, bytes]] = {}
    for root, tree in skills.items():
        parsed = read(tree["SKILL.md"].decode("utf-8", "replace")).skill
        own = root.rsplit("/", 1)[-1] or (parsed.name if parsed is not None else name)
        if own in named:
            raise Refused(f"{source} holds two skills named {own!r}", "import them one by one")
        named[own] = tree
    return Bundle(source, dict(sorted(named.items())))


def _roots(paths: list[str]) -> frozenset[str]:
    """The folders that hold a SKILL.md and lie in no other such folder; "" is the top."""
    found = {path.rpartition("/")[0] for path in paths if path.rpartition("/")[2] == "SKILL.md"}
    return frozenset(
        root for root in found if not any(p in found for p in _parents(root)) and (not root or "" not in found)
    )


def _root_of(path: str, roots: frozenset[str]) -> str | None:
    if "" in roots:
        return ""
    return next((parent for parent in _parents(path) if parent in roots), None)


def _parents(path: str) -> Iterator[str]:
    parts = path.split("/")
    for n in range(1, len(parts)):
        yield "/".join(parts[:n])


def _key(path: str) -> str:
    """What file systems that ignore case and Unicode forms take a path for."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", path.removeprefix("./").rstrip("/")).casefold())


def _refused(where: str, path: str, why: str) -> Refused:
    return Refused(f"{where} is refused: {path!r} {why}", "pack it anew without that file")
