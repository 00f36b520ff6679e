"""A library on disk: changes, history, undo, proposals, edits by hand, foreign skills."""

import json
import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from prowess.core.cost import Cost
from prowess.core.errors import PatchConflict, Refused, UserError
from prowess.core.evidence import Verdict
from prowess.core.lesson import Lesson, Reference
from prowess.core.patch import AppendToSection, CreateSkill, DeleteSkill, Operation, Patch, Replace, SetDescription
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import File, Score
from prowess.core.trajectory import Trajectory
from prowess.library import Change, Library

SKILL = Skill(
    name="ledger",
    description="Ledgers.",
    body="# Ledger\n\nStart.\n\n## Steps\n\n1. Read.\n\n## End\n\nStop.\n",
    files=(File(path="scripts/run.sh", data=b"#!/bin/sh\ntrue\n"),),
)
LESSON = Lesson(kind="cause", text="Void rows count.", references=(Reference(trajectory="t1"),))
FOREIGN = "---\nname: foreign\ndescription: Not ours. # really\nwhen_to_use: always\n---\n\n# Foreign\n\nText.\n"


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.open(tmp_path / "lib", create=True)


def do(library: Library, *operations: Operation, **how: object) -> Change:
    patch = Patch(base=library.snapshot().digest, operations=operations, reason="test")
    return library.apply(patch, **how)  # pyright: ignore[reportArgumentType]


def text(library: Library, name: str = "ledger") -> str:
    return (library.path / name / "SKILL.md").read_text()


def put_foreign(library: Library) -> None:
    (library.path / "foreign").mkdir()
    (library.path / "foreign" / "SKILL.md").write_text(FOREIGN)


def test_opening_needs_a_library(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no library"):
        Library.open(tmp_path)
    Library.open(tmp_path, create=True)
    assert Library.open(tmp_path).snapshot() == Snapshot()


def test_apply_writes_folders_and_ledger(tmp_path: Path) -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    library = Library.open(tmp_path, create=True, clock=lambda: now)
    verdict = Verdict(gate="format", status="pass")
    change = do(library, CreateSkill(skill=SKILL), verdicts=[verdict], lessons=[LESSON], by="me", cost=Cost(calls=2))
    assert library.snapshot() == Snapshot.of([SKILL])
    assert (tmp_path / "ledger" / "scripts" / "run.sh").stat().st_mode & 0o111
    assert change.when == "2026-01-02T03:04:05.000Z"
    assert (change.kind, change.verdicts, change.lessons, change.by) == ("apply", (verdict,), (LESSON,), "me")
    assert change.cost == Cost(calls=2)
    assert (change.before, change.after) == (Snapshot().digest, library.snapshot().digest)
    again = Library.open(tmp_path)
    assert again.log() == [change] and again.change(change.id) == change
    assert again.lesson(LESSON.id) == LESSON and again.changes_for_lesson(LESSON.id) == [change]
    assert again.check() == [] and again.problems() == {}


def test_a_patch_in_force_is_not_applied_twice(library: Library) -> None:
    do(library, CreateSkill(skill=SKILL))
    patch = Patch(
        base=library.snapshot().digest,
        operations=(AppendToSection(name="ledger", section="Steps", content="2. Add."),),
        reason="r",
    )
    change = library.apply(patch)
    assert library.apply(patch) == change
    assert len(library.log()) == 2 and text(library).count("2. Add.") == 1
    library.undo(change.id)
    again = library.apply(patch)
    assert again.id != change.id and text(library).count("2. Add.") == 1


def test_history_and_diff(library: Library) -> None:
    first = do(library, CreateSkill(skill=SKILL))
    second = do(library, SetDescription(name="ledger", description="Better."))
    third = do(library, DeleteSkill(name="ledger"))
    assert [c.id for c in library.log()] == [third.id, second.id, first.id]
    assert [c.id for c in library.log("ledger", limit=1)] == [third.id] and library.log("other") == []
    assert library.at(first.after) == Snapshot.of([SKILL])
    assert library.at(second.after[:10]).skills[0].description == "Better."
    assert library.at(third.after) == Snapshot()
    assert "-description: Ledgers.\n+description: Better.\n" in library.diff(first.after, second.after)
    versions = library.versions("ledger")
    assert [v.change for v in versions] == [third.id, second.id, first.id] and versions[0].tree is None
    for call in (lambda: library.at("f" * 64), lambda: library.change("x"), lambda: library.lesson("x")):
        with pytest.raises(UserError):
            call()


def test_undo_restores_to_the_byte(library: Library) -> None:
    do(library, CreateSkill(skill=SKILL))
    before = text(library)
    do(library, SetDescription(name="ledger", description="Better."))
    do(library, DeleteSkill(name="ledger"))
    undo = library.undo()
    assert undo.kind == "undo" and "Better." in text(library)
    library.undo()
    assert text(library) == before
    library.undo()
    assert library.snapshot() == Snapshot()
    with pytest.raises(UserError, match="nothing to undo"):
        library.undo()
    assert library.is_authored("ledger") is False


def test_undo_of_an_undo_brings_it_back_and_not_twice(library: Library) -> None:
    change = do(library, CreateSkill(skill=SKILL))
    undo = library.undo(change.id)
    with pytest.raises(UserError, match="undone already"):
        library.undo(change.id)
    library.undo(undo.id)
    assert library.snapshot() == Snapshot.of([SKILL]) and library.is_authored("ledger")
    library.undo(change.id)
    assert library.snapshot() == Snapshot()


def test_undo_of_an_older_change_merges_or_conflicts(library: Library) -> None:
    do(library, CreateSkill(skill=SKILL))
    early = do(library, Replace(name="ledger", old="Start.", new="Begin."))
    do(library, Replace(name="ledger", old="Stop.", new="Finish."))
    library.undo(early.id)
    assert "Start." in text(library) and "Finish." in text(library)
    middle = do(library, Replace(name="ledger", old="1. Read.", new="1. Scan."))
    do(library, Replace(name="ledger", old="1. Scan.", new="1. Scan all."))
    state = text(library)
    with pytest.raises(PatchConflict, match="Scan all"):
        library.undo(middle.id)
    assert text(library) == state


def test_edits_by_hand_are_recorded_and_kept(library: Library) -> None:
    do(library, CreateSkill(skill=SKILL))
    base = library.snapshot().digest
    path = library.path / "ledger" / "SKILL.md"
    path.write_text(text(library).replace("Stop.", "Stop, by hand."))
    patch = Patch(base=base, operations=(Replace(name="ledger", old="Start.", new="Begin."),), reason="r")
    change = library.apply(patch)
    assert change.rebased == "operations fit" and change.patch_id == patch.id
    assert "by hand" in text(library) and "Begin." in text(library)
    assert [c.kind for c in library.log()] == ["apply", "external", "apply"]
    library.undo()
    assert "by hand" in text(library)
    library.undo(library.log()[2].id)
    assert text(library).count("Stop.") == 1


def test_strict_base_on_request(library: Library) -> None:
    do(library, CreateSkill(skill=SKILL))
    patch = Patch(base=Snapshot().digest, operations=(SetDescription(name="ledger", description="x"),), reason="r")
    with pytest.raises(PatchConflict):
        library.apply(patch, rebase=False)
    assert library.apply(patch).rebased == "operations fit"


def test_foreign_skills_are_read_only(library: Library) -> None:
    put_foreign(library)
    assert library.snapshot().names == ("foreign",)
    assert "when_to_use" in library.problems()["foreign"][0]
    edit = Replace(name="foreign", old="Text.", new="Other.")
    with pytest.raises(Refused, match="not written by prowess"):
        do(library, edit)
    with pytest.raises(Refused):
        do(library, DeleteSkill(name="foreign"))
    assert text(library, "foreign") == FOREIGN
    do(library, edit, allow_foreign=True)
    assert text(library, "foreign") == FOREIGN.replace("Text.", "Other.")
    with pytest.raises(Refused, match="when_to_use"):
        do(library, SetDescription(name="foreign", description="x"), allow_foreign=True)
    assert not library.is_authored("foreign")


@pytest.mark.parametrize("thing", ["link", "folder link", "git", "fifo"])
def test_skills_with_things_not_versioned_are_never_rewritten(library: Library, tmp_path: Path, thing: str) -> None:
    import os

    do(library, CreateSkill(skill=SKILL))
    secret = tmp_path / "secret"
    secret.write_text("host file")
    place = library.path / "ledger" / "x"
    if thing == "link":
        place.symlink_to(secret)
    elif thing == "folder link":
        place.symlink_to(tmp_path)
    elif thing == "git":
        (library.path / "ledger" / ".git").mkdir()
    else:
        os.mkfifo(place)
    assert library.snapshot() == Snapshot.of([SKILL])
    assert "ledger" in library.problems()
    with pytest.raises(Refused, match="does not version"):
        do(library, SetDescription(name="ledger", description="x"))
    assert "host file" not in json.dumps(library.snapshot().model_dump(mode="json"))


def test_a_link_in_place_of_a_skill_is_not_followed(library: Library, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "SKILL.md").write_text("---\nname: out\ndescription: d\n---\n")
    (library.path / "out").symlink_to(outside)
    assert library.snapshot() == Snapshot() and "symbolic link" in str(library.problems()["out"])
    with pytest.raises(Refused):
        do(library, CreateSkill(skill=SKILL.model_copy(update={"name": "out"})))


def test_unreadable_skills_are_listed_and_never_overwritten(library: Library) -> None:
    (library.path / "broken").mkdir()
    (library.path / "broken" / "SKILL.md").write_text("no frontmatter")
    (library.path / "empty").mkdir()
    (library.path / "README.md").write_text("not a skill")
    do(library, CreateSkill(skill=SKILL))
    assert library.snapshot().names == ("ledger",)
    assert set(library.problems()) == {"broken", "empty"}
    for name in ("broken", "empty"):
        with pytest.raises(Refused):
            do(library, CreateSkill(skill=SKILL.model_copy(update={"name": name})))
    assert text(library, "broken") == "no frontmatter"


def test_proposals_wait_for_a_person(library: Library) -> None:
    one = Patch(base=library.snapshot().digest, operations=(CreateSkill(skill=SKILL),), reason="one")
    two = one.model_copy(update={"reason": "two"})
    first = library.propose(one, [LESSON], by="recipe")
    library.propose(two)
    assert library.propose(one) == first
    assert [p.id for p in library.proposals()] == [one.id, two.id]
    assert library.lesson(LESSON.id) == LESSON and library.snapshot() == Snapshot()
    library.reject(two.id, "too long")
    change = library.accept(one.id, by="me")
    assert change.lessons == (LESSON,) and change.by == "me"
    assert library.proposals() == [] and library.accept(one.id) == change
    with pytest.raises(UserError, match="too long"):
        library.accept(two.id)
    with pytest.raises(UserError, match="no proposal"):
        library.accept("unknown")


def trajectory(id: str, passed: bool | None = None) -> Trajectory:
    score = None if passed is None else Score(value=float(passed), passed=passed, verifier="suite:x", trusted=True)
    return Trajectory(
        id=id, agent="a", model="m", offered=("ledger", "b"), loaded=("ledger",), used=("ledger",), score=score
    )


def test_each_trajectory_counts_once(library: Library) -> None:
    library.record_use([trajectory("1", True), trajectory("2", False)])
    library.record_use([trajectory("2", False), trajectory("3")])
    use = library.uses()["ledger"]
    assert (use.offered, use.loaded, use.used, use.passed, use.failed) == (3, 3, 3, 1, 1)
    assert library.uses()["b"].used == 0
    library.rebuild()
    assert library.uses()["ledger"] == use


def make_history(library: Library) -> list[Change]:
    put_foreign(library)
    do(library, CreateSkill(skill=SKILL), lessons=[LESSON])
    library.propose(Patch(base="0" * 64, operations=(DeleteSkill(name="x"),), reason="waits"))
    do(library, Replace(name="ledger", old="Start.", new="Begin."))
    library.undo()
    return library.log()


def answers(library: Library) -> tuple[object, ...]:
    return (
        library.log(),
        library.versions("ledger"),
        library.proposals(),
        library.lesson(LESSON.id),
        library.is_authored("ledger"),
        library.is_authored("foreign"),
        library.snapshot(),
    )


@pytest.mark.parametrize("damage", ["missing", "garbage", "truncated", "zero", "flipped", "old", "other tables"])
def test_the_index_is_made_anew_from_the_ledger(library: Library, damage: str) -> None:
    make_history(library)
    expected = answers(library)
    database = library.path / ".prowess" / "library.db"
    data = database.read_bytes()
    if damage == "missing":
        database.unlink()
    elif damage == "garbage":
        database.write_bytes(b"not a database" * 1000)
    elif damage == "truncated":
        database.write_bytes(data[: len(data) // 2])
    elif damage == "zero":
        database.write_bytes(b"")
    elif damage == "flipped":
        database.write_bytes(data[:4096] + bytes(byte ^ 255 for byte in data[4096:]))
    elif damage == "old":
        do(library, SetDescription(name="ledger", description="later"))
        library.undo()
        expected = answers(library)
        database.write_bytes(data)
    else:
        database.unlink()
        with sqlite3.connect(database) as db:
            db.execute("CREATE TABLE head (x)")
            db.execute("PRAGMA user_version = 7")
        db.close()
    # Damage that only a query meets is reported once; the next call finds the index made anew.
    again = Library.open(library.path)
    try:
        found = answers(again)
    except UserError:
        found = answers(again)
    assert found == expected
    assert again.check() == []


def test_rebuild_gives_the_same_answers(library: Library) -> None:
    make_history(library)
    expected = answers(library)
    library.rebuild()
    assert answers(library) == expected


def test_damaged_blobs_and_entries_are_found_and_the_rest_works(library: Library) -> None:
    changes = make_history(library)
    own = library.path / ".prowess"
    for blob in [p for p in (own / "blobs").rglob("*") if p.is_file()]:
        data = blob.read_bytes()
        blob.write_bytes(bytes([data[0] ^ 1]) + data[1:])
        assert library.check(), blob
        blob.write_bytes(b"")
        assert library.check(), blob
        blob.write_bytes(data)
    assert library.check() == []
    entry = own / "ledger" / "00000003.json"
    data = entry.read_bytes()
    entry.write_bytes(data.replace(b"waits", b"WAITS"))
    assert library.check() == ["ledger entry 3 is damaged"]
    entry.unlink()
    assert "ledger entry 3 is missing" in library.check()
    shutil.rmtree(own / "blobs")
    (own / "blobs").mkdir()
    again = Library.open(library.path)
    assert again.snapshot().names == ("foreign", "ledger")
    do(again, SetDescription(name="ledger", description="works"))
    with pytest.raises(UserError, match="cannot be read"):
        again.at(changes[1].after)


def test_hostile_own_files_lead_nowhere(library: Library, tmp_path: Path) -> None:
    """A library that came with a repository may hold anything."""
    make_history(library)
    own = library.path / ".prowess"
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "SKILL.md").write_text("mine")
    plan = {"number": 99, "id": "x", "trees": {"../victim": [None, None], "../../x": ["0" * 64, None]}}
    (own / "journal.json").write_text(json.dumps(plan))
    Library.open(library.path).snapshot()
    (own / "journal.json").write_text("{")
    do(library, SetDescription(name="ledger", description="fine"))
    assert (victim / "SKILL.md").read_text() == "mine" and not (tmp_path / "x").exists()
    (own / "format").write_text("2\n")
    with pytest.raises(UserError, match="newest prowess"):
        Library.open(library.path)
    (own / "format").write_text("1\n")
    shutil.move(own / "blobs", tmp_path / "blobs")
    (own / "blobs").symlink_to(tmp_path / "blobs")
    with pytest.raises(UserError, match="link"):
        Library.open(library.path)


def test_history_survives_without_the_folders(library: Library) -> None:
    make_history(library)
    shutil.rmtree(library.path / "ledger")
    do(library, CreateSkill(skill=SKILL.model_copy(update={"name": "third"})))
    assert library.log()[1].kind == "external"
    library.undo(library.log()[1].id)
    assert library.snapshot().names == ("foreign", "ledger", "third")


def test_interpreter_caches_do_not_change_a_skill(library: Library) -> None:
    change = do(library, CreateSkill(skill=SKILL))
    (library.path / "ledger" / "scripts" / "__pycache__").mkdir()
    (library.path / "ledger" / "scripts" / "__pycache__" / "x.pyc").write_bytes(b"x")
    assert library.snapshot().digest == change.after and library.check() == []
    do(library, SetDescription(name="ledger", description="x"))
    assert library.log()[1].id == change.id


def test_rejected_proposals_stay_known_with_their_reason(tmp_path: Path) -> None:
    library = Library.open(tmp_path / "rejected", create=True)
    skill = Skill(name="sums", description="Adds.", body="# Sums\n")
    patch = Patch(base=library.snapshot().digest, operations=(CreateSkill(skill=skill),), reason="sums")
    proposal = library.propose(patch, by="learn")
    assert library.rejected() == []
    library.reject(proposal.id, "too small")
    assert [(p.id, why) for p, why in library.rejected()] == [(proposal.id, "too small")]
    library.rebuild()
    assert [p.id for p, _ in library.rejected()] == [proposal.id] and library.proposals() == []


def test_a_lesson_is_found_by_the_beginning_of_its_id(tmp_path: Path) -> None:
    library = Library.open(tmp_path / "lessons", create=True)
    lesson = Lesson(kind="success", text="Sort first.", references=(Reference(trajectory="t"),))
    skill = Skill(name="sums", description="Adds.", body="# Sums\n")
    patch = Patch(base=library.snapshot().digest, operations=(CreateSkill(skill=skill),), reason="sums")
    library.propose(patch, [lesson])
    assert library.lesson(lesson.id[:8]) == lesson == library.lesson(lesson.id)
    with pytest.raises(UserError):
        library.lesson("zz")
