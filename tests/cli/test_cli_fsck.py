"""`prowess fsck`: what it says, what it asks, what it mends, and its exit codes."""

from pathlib import Path

from prowess.cli.places import trajectories
from prowess.core.trajectory import Trajectory


def damage(library) -> Path:
    entry = sorted((library.path / ".prowess" / "ledger").iterdir())[0]
    entry.write_bytes(entry.read_bytes()[:-5])
    return entry


def test_all_whole_is_exit_code_zero(prowess, library) -> None:
    with trajectories() as store:
        store.put(Trajectory(id="t", agent="a", model="m"))
    done = prowess("fsck")
    assert done.code == 0 and done.out.count("is whole") == 2
    assert prowess("fsck", "--json").data["ok"] is True


def test_damage_is_named_and_nothing_changes_without_a_yes(prowess, library) -> None:
    entry = damage(library)
    before = entry.read_bytes()
    done = prowess("fsck")
    assert done.code == 1 and "ledger entry 1 is damaged" in done.out and "--yes" in done.err
    assert entry.read_bytes() == before
    told = prowess("fsck", "--json")
    assert told.code == 1 and told.data["places"][0]["faults"][0]["part"] == "ledger"


def test_yes_mends(prowess, library) -> None:
    damage(library)
    log = library.log()
    done = prowess("fsck", "--yes", "--json")
    assert done.code == 0 and done.data["ok"] is True and done.data["places"][0]["left"] == []
    assert library.log() == log and prowess("fsck").code == 0


def test_what_is_lost_for_good_is_exit_code_one(prowess, library) -> None:
    entry = damage(library)
    (library.path / ".prowess" / "library.db").unlink()
    done = prowess("fsck", "--yes")
    assert done.code == 1 and "lost" in done.out and "ledger entry 1 is missing" in done.out
    assert not entry.exists() and library.snapshot().names == ("ledger-totals",)


def test_a_store_can_be_named_and_a_missing_library_too(prowess, tmp_path: Path) -> None:
    bad = tmp_path / "run.db"
    bad.write_bytes(b"junk" * 2000)
    assert prowess("fsck", bad).code == 1
    assert prowess("fsck", bad, "--yes").code == 0
    assert prowess("fsck", "--library", tmp_path / "none").code == 2
