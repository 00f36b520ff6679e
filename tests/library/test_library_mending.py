"""Damage of every kind: found, said, mended where a second copy exists, moved aside where none does."""

import random
import shutil
import sqlite3
import sys
from pathlib import Path

import pytest

from prowess.core.errors import UserError
from prowess.core.patch import AppendToSection, CreateSkill, Patch, Replace
from prowess.core.skill import Skill, Snapshot
from prowess.library import Library
from prowess.library.mending import examine, mend

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import durability


def skill(name: str) -> Skill:
    return Skill(name=name, description=f"About {name}.", body="# Steps\n\n1. Read.\n\n# End\n\nStop.\n")


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """Four entries: two skills, an edit, a rejected proposal."""
    library = Library.open(tmp_path / "lib", create=True)
    new = (CreateSkill(skill=skill("a")), CreateSkill(skill=skill("b")))
    library.apply(Patch(base=Snapshot().digest, operations=new, reason="r"))
    edit = Replace(name="a", old="1. Read.", new="1. Read twice.")
    library.apply(Patch(base=library.snapshot().digest, operations=(edit,), reason="r"))
    later = AppendToSection(name="b", section="Steps", content="2. Then.\n")
    library.reject(library.propose(Patch(base="", operations=(later,), reason="r")).id, "no")
    return library


def own(library: Library) -> Path:
    return library.path / ".prowess"


def entries(library: Library) -> list[Path]:
    return sorted((own(library) / "ledger").iterdir())


def flip(path: Path, at: int = -3) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def told(library: Library) -> list[str]:
    return [fault.what for fault in examine(library.path)]


def test_a_sound_library_has_no_faults(library: Library) -> None:
    assert examine(library.path) == [] and mend(library.path) == []


@pytest.mark.parametrize("number", [1, 2, 3, 4])
@pytest.mark.parametrize("how", ["flip", "cut", "empty", "delete"])
def test_every_ledger_entry_comes_back_from_the_index(library: Library, number: int, how: str) -> None:
    entry = entries(library)[number - 1]
    before, log = entry.read_bytes(), library.log()
    match how:
        case "flip":
            flip(entry)
        case "cut":
            entry.write_bytes(before[: len(before) // 2])
        case "empty":
            entry.write_bytes(b"")
        case _:
            entry.unlink()
    (fault,) = examine(library.path)
    assert fault.part == "ledger" and str(number) in fault.what and "from the index" in fault.mend
    assert mend(library.path) == []
    assert entry.read_bytes() == before and Library.open(library.path).log() == log
    if how != "delete":
        assert len(list((own(library) / "quarantine").iterdir())) == 1


def test_a_damaged_last_entry_does_not_stop_the_library_and_is_never_overwritten(library: Library) -> None:
    last = entries(library)[-1]
    flip(last)
    damaged = last.read_bytes()
    (own(library) / "library.db").unlink()
    again = Library.open(library.path, lock_timeout=2)
    again.apply(Patch(base=again.snapshot().digest, operations=(CreateSkill(skill=skill("new")),), reason="r"))
    assert last.read_bytes() == damaged and len(entries(library)) == 5
    assert again.check() == ["ledger entry 4 is damaged"]
    assert [fault.what for fault in mend(library.path)] == ["ledger entry 4 is missing"]
    assert "new" in Library.open(library.path).snapshot().names


def test_opening_alone_restores_the_last_entry(library: Library) -> None:
    last = entries(library)[-1]
    before = last.read_bytes()
    flip(last)
    Library.open(library.path).rebuild()
    assert last.read_bytes() == before


def test_a_ledger_that_was_taken_back_stays_back(library: Library) -> None:
    entries(library)[-1].unlink()
    again = Library.open(library.path)
    assert len(entries(library)) == 3 and again.check() == []


def test_stored_files_come_back_from_the_folders_and_older_ones_are_named_as_lost(library: Library) -> None:
    log = library.log()
    old = library.change(log[-1].id).trees["a"][1]
    now = library.versions("a")[0].tree
    assert old is not None and now is not None
    for sha in (old, now):
        flip(own(library) / "blobs" / sha[:2] / sha[2:])
    faults = {fault.what.split()[2]: fault.mend for fault in examine(library.path)}
    assert "from the skill's folder" in faults[now[:12]] and "quarantine" in faults[old[:12]]
    left = mend(library.path)
    assert [fault.what for fault in left] == [f"stored file {old[:12]} is missing"] and left[0].mend == ""
    again = Library.open(library.path)
    assert again.snapshot() == library.snapshot()
    with pytest.raises(UserError, match="cannot be read"):
        again.at(log[-1].after)


def test_what_does_not_belong_is_moved_aside_unread(library: Library, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    (own(library) / "ledger" / "notes.txt").write_text("x")
    (own(library) / "ledger" / "00000099.json").symlink_to(outside)
    (own(library) / "blobs" / "stray").write_text("x")
    (own(library) / "blobs" / "ab").mkdir(exist_ok=True)
    (own(library) / "blobs" / "ab" / "link").symlink_to(outside)
    assert {fault.part for fault in examine(library.path)} == {"leftovers"} and len(told(library)) == 4
    assert mend(library.path) == []
    assert outside.read_text() == "mine" and len(list((own(library) / "quarantine").iterdir())) == 4


def test_an_index_that_lies_is_noticed_and_made_anew(library: Library) -> None:
    uses = library.uses()
    db = sqlite3.connect(own(library) / "library.db")
    db.execute("UPDATE versions SET authored = 0")
    db.commit()
    db.close()
    assert told(library) == ["table versions of the index is not what the ledger says"]
    assert mend(library.path) == [] and library.is_authored("a") and library.uses() == uses


@pytest.mark.parametrize("name", ["format", "journal.json", "installs.json", "library.db", "library.db-wal"])
def test_other_files_may_hold_anything(library: Library, name: str) -> None:
    for junk in (b"", b"\0\xff" * 40, b"[1]", b"{"):
        (own(library) / name).write_bytes(junk)
        examine(library.path)
        assert mend(library.path) == []
        assert Library.open(library.path).snapshot().names == ("a", "b")


def test_missing_folders_are_made_anew(library: Library) -> None:
    log = library.log()
    shutil.rmtree(own(library) / "ledger")
    shutil.rmtree(own(library) / "staging")
    assert {fault.part for fault in examine(library.path)} == {"folders"}
    assert mend(library.path) == []
    assert Library.open(library.path).log() == log


def test_a_later_format_is_left_alone(library: Library) -> None:
    (own(library) / "format").write_text("2\n")
    for look in (examine, mend):
        with pytest.raises(UserError, match="install the newest"):
            look(library.path)


def test_no_library_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no library"):
        examine(tmp_path)


def test_mutations_are_never_silent(tmp_path: Path) -> None:
    """A small form of row K1; `benchmarks/durability.py` makes a thousand."""
    row = durability.k1(tmp_path, random.Random(5), mutations=25)
    assert row.met, row.measured


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_many_writers_leave_a_history_that_one_order_explains(tmp_path: Path) -> None:
    """A small form of row W1."""
    row = durability.w1(tmp_path, random.Random(5), workers=5, ops=12)
    assert " 0 anomalies" in row.measured and row.measured.startswith("60 operations"), row.measured
