# ruff: noqa: E501 (cases stand on one line each)
"""Skills from folders, archives and git: honest ones come in whole, hostile ones not at all, and quickly."""

import gzip
import io
import os
import stat
import struct
import subprocess
import tarfile
import tempfile
import time
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prowess.core.errors import Refused, UserError
from prowess.library import Library
from prowess.library.bundles import FILE, MEMBERS, read_archive, read_bundle, write_archive

SKILL = b"---\nname: one\ndescription: d\n---\n\nBody.\n"
TREES = {
    "one": {"SKILL.md": SKILL, "scripts/a.py": b"#!/usr/bin/env python\n"},
    "two": {"SKILL.md": SKILL, "a.bin": b"\0\1"},
}


def zipped(*members: tuple[str, bytes], mode: int = 0, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
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


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_whole_quickly_and_in_little_memory(name: str, tmp_path: Path) -> None:
    path = tmp_path / "in" / "x.zip"
    path.parent.mkdir()
    path.write_bytes(HOSTILE[name]())
    library = Library.open(tmp_path / "library", create=True)
    before = sorted(tmp_path.rglob("*"))
    best = 9.0
    for _ in range(2):
        begin = time.process_time()
        with pytest.raises(UserError):
            read_bundle(str(path))
        best = min(best, time.process_time() - begin)
    tracemalloc.start()
    with pytest.raises(UserError):
        read_bundle(str(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * 2**20
    assert best < 0.2  # 50 ms on a quiet machine: benchmarks/security.py
    assert sorted(tmp_path.rglob("*")) == before and library.snapshot().names == ()


@pytest.mark.parametrize(
    "pack",
    [
        lambda: zipped(GOOD, ("s/a", b"x")),
        lambda: tarred(GOOD, ("s/a", b"x")),
        lambda: gzip.compress(tarred(GOOD, ("./s/a", b"x"), format=tarfile.GNU_FORMAT)),
    ],
)
def test_honest_archives_are_read(pack: Callable[[], bytes], tmp_path: Path) -> None:
    path = tmp_path / "x.skill"
    path.write_bytes(pack())
    assert read_bundle(str(path)).skills == {"s": {"SKILL.md": SKILL, "a": b"x"}}


def test_a_long_name_and_junk_of_desktops(tmp_path: Path) -> None:
    long = "s/" + "d" * 100 + "/" + "f" * 90
    path = tmp_path / "x.tar"
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT):
        path.write_bytes(tarred(GOOD, (long, b"x"), ("__MACOSX/s/._a", b""), ("s/.DS_Store", b""), format=form))
        assert set(read_archive(path)) == {"s/SKILL.md", long}


def test_a_skill_at_the_top_and_skills_below_other_folders(tmp_path: Path) -> None:
    path = tmp_path / "mine.zip"
    path.write_bytes(zipped(("SKILL.md", SKILL), ("docs/SKILL.md", SKILL)))
    assert set(read_bundle(str(path)).skills) == {"one"}
    path.write_bytes(zipped(("r/skills/a/SKILL.md", SKILL), ("r/skills/b/SKILL.md", SKILL), ("r/README.md", b"")))
    assert set(read_bundle(str(path)).skills) == {"a", "b"}
    path.write_bytes(zipped(("r/a/SKILL.md", SKILL), ("q/a/SKILL.md", SKILL)))
    with pytest.raises(Refused, match="two skills"):
        read_bundle(str(path))
    path.write_bytes(zipped(("r/README.md", b"")))
    with pytest.raises(UserError, match="no skill"):
        read_bundle(str(path))


def test_what_goes_out_comes_in_again(tmp_path: Path) -> None:
    path = tmp_path / "out.zip"
    write_archive(path, TREES)
    first = path.read_bytes()
    assert read_bundle(str(path)).skills == TREES
    write_archive(path, dict(reversed(TREES.items())))
    assert path.read_bytes() == first


def folder(place: Path) -> Path:
    for name, tree in TREES.items():
        for file, data in tree.items():
            (place / name / file).parent.mkdir(parents=True, exist_ok=True)
            (place / name / file).write_bytes(data)
    return place


def test_folders(tmp_path: Path) -> None:
    place = folder(tmp_path / "in")
    assert read_bundle(str(place)).skills == TREES
    assert read_bundle(str(place / "one")).skills == {"one": TREES["one"]}
    os.symlink("/etc/passwd", place / "one" / "x")
    with pytest.raises(Refused, match="symbolic link"):
        read_bundle(str(place))
    with pytest.raises(UserError, match="nothing at"):
        read_bundle(str(tmp_path / "absent"))


def test_a_repository_is_read_without_a_checkout(tmp_path: Path) -> None:
    place = folder(tmp_path / "in")
    hook = place / "one" / ".gitattributes"
    hook.write_text("* filter=evil\n")

    def git(*arguments: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], cwd=place, check=True, capture_output=True
        )

    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-qm", "one")
    bundle = read_bundle(f"file://{place}")
    assert set(bundle.skills) == {"one", "two"} and len(bundle.source.split("@")[-1]) == 40
    assert read_bundle(f"file://{place}", "main").skills == bundle.skills
    os.symlink("/etc/passwd", place / "link")
    git("add", ".")
    git("commit", "-qm", "two")
    assert set(read_bundle(f"file://{place}").skills) == {"one", "two"}  # it lies in no skill
    os.symlink("/etc/passwd", place / "one" / "link")
    git("add", ".")
    git("commit", "-qm", "three")
    with pytest.raises(Refused, match="link"):
        read_bundle(f"file://{place}")
    with pytest.raises(UserError, match="git cannot read"):
        read_bundle(f"file://{tmp_path}/absent.git")
    with pytest.raises(UserError, match="no branch"):
        read_bundle(f"file://{place}", "--upload-pack=x")


def test_brought_skills_are_foreign_and_never_replace(tmp_path: Path) -> None:
    library = Library.open(tmp_path / "library", create=True)
    change = library.bring(TREES, by="add here")
    assert change.kind == "external" and library.trees() == TREES and not library.is_authored("one")
    assert library.log()[0].by == "add here" and library.check() == []
    with pytest.raises(Refused, match="already"):
        library.bring({"three": {"SKILL.md": SKILL}, "one": {"SKILL.md": SKILL}})
    assert library.snapshot().names == ("one", "two")
    for name in ("../x", ".prowess", "a/b"):
        with pytest.raises(Refused):
            library.bring({name: {"SKILL.md": SKILL}})


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(["zip", "tar", "gz"]),
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), max_size=6),
    st.integers(0, 400),
)
def test_a_damaged_archive_is_read_or_refused(kind: str, flips: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(zipped(GOOD, ("s/a/b", b"x" * 50)) if kind == "zip" else tarred(GOOD, ("s/a/b", b"x" * 50)))
    for place, value in flips:
        data[place % len(data)] = value
    raw = bytes(data[: len(data) - cut])
    with tempfile.NamedTemporaryFile(suffix=".zip") as file:
        file.write(gzip.compress(raw) if kind == "gz" else raw)
        file.flush()
        try:
            files = read_archive(Path(file.name))
        except UserError:
            return
        assert all(".." not in path.split("/") and not path.startswith("/") for path in files)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.text(max_size=12), max_size=6))
def test_any_names_come_in_as_they_are_or_not_at_all(names: list[str]) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = zipped(GOOD, *[(f"s/{name}", b"x") for name in names])
    except (UnicodeEncodeError, ValueError):
        return
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "x.zip")
        path.write_bytes(data)
        try:
            files = read_archive(path)
        except UserError:
            return
        target = Path(place, "out")
        for each in files:
            assert target in (target / each).resolve().parents
        assert len({each.casefold() for each in files}) == len(files)
