"""Skills from folders, archives and git: honest ones come in whole, hostile ones not at all, and quickly."""

import gzip
import os
import subprocess
import tarfile
import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile_archives import GOOD, HOSTILE, SKILL, tarred, zipped
from hypothesis import given, settings
from hypothesis import strategies as st

from prowess.core.errors import Refused, UserError
from prowess.library import Library
from prowess.library.archives import read_archive, write_archive
from prowess.library.bundles import read_bundle

TREES = {
    "one": {"SKILL.md": SKILL, "scripts/a.py": b"#!/usr/bin/env python\n"},
    "two": {"SKILL.md": SKILL, "a.bin": b"\0\1"},
}


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
