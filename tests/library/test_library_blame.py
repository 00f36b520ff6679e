"""Blame: every line leads to the ledger entry that wrote it, through edits by hand, undo, renaming and merging."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prowess.core.patch import (
    AppendToSection,
    CreateSkill,
    DeleteSkill,
    Insert,
    Operation,
    Patch,
    RenameSkill,
    Replace,
    WriteFile,
)
from prowess.core.skill import Skill
from prowess.library import Change, Library
from prowess.library.blame import NOW, State, blame, split_lines
from prowess.library.provenance import why

BODY = "# Ledger\n\n## Rules\n\n- Skip the void rows of every ledger.\n- Round half away from zero.\n"
SKILL = Skill(name="ledger", description="Ledgers.", body=BODY)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.open(tmp_path / "lib", create=True)


def do(library: Library, *operations: Operation, reason: str = "test") -> Change:
    patch = Patch(base=library.snapshot().digest, operations=operations, reason=reason)
    return library.apply(patch, allow_foreign=True)


def append(text: str, name: str = "ledger") -> AppendToSection:
    return AppendToSection(name=name, section="Rules", content=text)


def writers(library: Library, skill: str = "ledger", file: str = "SKILL.md") -> dict[str, str | None]:
    """Line → id of the change that wrote it, without blank lines."""
    return {line.text: line.change for line in why(library, skill, file).lines if line.text.strip()}


def by_hand(library: Library, old: str, new: str, skill: str = "ledger") -> None:
    path = library.path / skill / "SKILL.md"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_each_line_leads_to_the_change_that_wrote_it(library: Library) -> None:
    first = do(library, CreateSkill(skill=SKILL))
    second = do(library, append("- Sort by account."))
    third = do(library, Replace(name="ledger", old="half away from zero", new="half to even"))
    found = writers(library)
    assert found["- Skip the void rows of every ledger."] == first.id
    assert found["- Sort by account."] == second.id
    assert found["- Round half to even."] == third.id
    assert found["name: ledger"] == first.id


def test_edits_by_hand_count_as_such_before_and_after_they_are_recorded(library: Library) -> None:
    first = do(library, CreateSkill(skill=SKILL))
    by_hand(library, "- Round", "- Never guess a rate.\n- Round")
    assert writers(library)["- Never guess a rate."] is None
    assert writers(library)["- Round half away from zero."] == first.id
    do(library, append("- Sort by account."))
    (hand,) = [change for change in library.log() if change.kind == "external"]
    assert writers(library)["- Never guess a rate."] == hand.id
    assert writers(library)["- Skip the void rows of every ledger."] == first.id


def test_other_line_endings_and_trailing_space_change_no_origin(library: Library) -> None:
    first = do(library, CreateSkill(skill=SKILL))
    path = library.path / "ledger" / "SKILL.md"
    path.write_bytes(path.read_bytes().replace(b"\n", b" \r\n"))
    assert {line.change for line in why(library, "ledger").lines} == {first.id}


def test_a_line_that_an_undo_brings_back_keeps_its_writer(library: Library) -> None:
    first = do(library, CreateSkill(skill=SKILL))
    wrong = do(library, Replace(name="ledger", old="- Round half away from zero.\n", new="- Round down.\n"))
    later = do(library, Insert(name="ledger", where="before", anchor="## Rules", content="Read it all first.\n"))
    assert writers(library)["- Round down."] == wrong.id
    undo = library.undo(wrong.id)
    assert writers(library)["- Round half away from zero."] == first.id
    assert writers(library)["Read it all first."] == later.id
    library.undo(undo.id)
    assert writers(library)["- Round down."] == wrong.id


def test_a_skill_that_was_deleted_and_brought_back_keeps_its_writers(library: Library) -> None:
    first = do(library, CreateSkill(skill=SKILL))
    gone = do(library, DeleteSkill(name="ledger"))
    library.undo(gone.id)
    assert set(writers(library).values()) == {first.id}


def test_a_skill_that_is_made_again_is_new(library: Library) -> None:
    do(library, CreateSkill(skill=SKILL))
    do(library, DeleteSkill(name="ledger"))
    again = do(library, CreateSkill(skill=SKILL), reason="again")
    assert set(writers(library).values()) == {again.id}


def test_lines_survive_renaming_by_patch_and_by_hand(library: Library) -> None:
    first = do(library, CreateSkill(skill=SKILL))
    second = do(library, append("- Sort by account."))
    third = do(library, RenameSkill(name="ledger", new_name="sums"))
    found = writers(library, "sums")
    assert found["- Sort by account."] == second.id and found["- Round half away from zero."] == first.id
    assert found["name: sums"] == third.id
    (library.path / "sums").rename(library.path / "books")
    by_hand(library, "name: sums", "name: books", "books")
    found = writers(library, "books")
    assert found["- Sort by account."] == second.id and found["name: books"] is None
    do(library, append("- Add a heading.", "books"))
    assert writers(library, "books")["- Sort by account."] == second.id


def test_lines_survive_merging_but_trifles_do_not_count_as_moved(library: Library) -> None:
    first = do(library, CreateSkill(skill=SKILL))
    other = Skill(name="rates", description="Rates.", body="# Rates\n\n- Take the rate of the day of booking.\n- Ok.\n")
    second = do(library, CreateSkill(skill=other))
    both = "# Money\n\n- Skip the void rows of every ledger.\n\n- Take the rate of the day of booking.\n\n- Ok.\n"
    third = do(
        library,
        DeleteSkill(name="ledger"),
        DeleteSkill(name="rates"),
        CreateSkill(skill=Skill(name="money", description="Money.", body=both)),
    )
    found = writers(library, "money")
    assert found["- Skip the void rows of every ledger."] == first.id
    assert found["- Take the rate of the day of booking."] == second.id
    assert found["- Ok."] == found["# Money"] == third.id


def test_lines_of_a_rebased_patch_lead_to_its_change(library: Library) -> None:
    first = do(library, CreateSkill(skill=SKILL))
    stale = Patch(
        base=first.after,
        operations=(Replace(name="ledger", old="- Skip the void rows of every ledger.\n", new="- Skip void rows.\n"),),
        reason="stale",
    )
    do(library, Insert(name="ledger", where="before", anchor="## Rules", content="Read the whole file first.\n"))
    by_hand(library, "half away from zero", "half to even")
    change = library.apply(stale)
    found = writers(library)
    assert change.patch_id != (change.patch and change.patch.id) and found["- Skip void rows."] == change.id


def test_files_beside_skill_md_have_their_own_blame(library: Library) -> None:
    script = Skill(name="ledger", description="Ledgers.", body=BODY + "\nRun `scripts/sum.py`.\n")
    first = do(
        library,
        CreateSkill(skill=script),
        WriteFile(name="ledger", file="scripts/sum.py", content="import csv\nrun()\n"),
    )
    second = do(library, WriteFile(name="ledger", file="scripts/sum.py", content="import csv\nimport sys\nrun()\n"))
    found = writers(library, file="scripts/sum.py")
    assert found == {"import csv": first.id, "import sys": second.id, "run()": first.id}


def test_a_damaged_blob_costs_only_what_lies_behind_it(library: Library) -> None:
    do(library, CreateSkill(skill=SKILL))
    second = do(library, append("- Sort by account."))
    tree = library.versions("ledger")[-1].tree
    assert tree is not None
    (library.path / ".prowess" / "blobs" / tree[:2] / tree[2:]).write_bytes(b"rubbish")
    assert set(writers(library).values()) == {second.id}


@dataclass
class Told:
    """A history told as lists of lines, each skill state with those before it."""

    states: list[list[str]]
    links: dict[int, list[int]] = field(default_factory=dict[int, list[int]])

    def lines(self, state: State) -> list[str]:
        return self.states[state.number]

    def before(self, state: State) -> Iterable[tuple[State, bool]]:
        default = [state.number - 1] if state.number else []
        return [(State("s", n), True) for n in self.links.get(state.number, default)]


@settings(deadline=None)
@given(st.data())
def test_blame_finds_the_writer_of_lines_that_are_all_different(data: st.DataObject) -> None:
    """Each state deletes some lines of the one before and inserts new ones; the truth is kept alongside."""
    truth: list[tuple[str, int]] = []
    states: list[list[str]] = []
    for number in range(data.draw(st.integers(1, 8))):
        kept = [line for line in truth if data.draw(st.integers(0, 3))]
        for i in range(data.draw(st.integers(0, 3))):
            kept.insert(data.draw(st.integers(0, len(kept))), (f"line {number}.{i}", number))
        truth = kept
        states.append([text for text, _ in truth])
    assert blame(Told(states), State("s", len(states) - 1)) == [number for _, number in truth]


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from(["a", "b", "", "x"]), max_size=6), min_size=1, max_size=6))
def test_blame_of_any_history_names_a_state_that_had_the_line(states: list[list[str]]) -> None:
    found = blame(Told(states), State("s", len(states) - 1))
    assert len(found) == len(states[-1])
    for line, number in zip(states[-1], found, strict=True):
        assert all(line in states[n] for n in range(number, len(states)))


def test_lines_are_counted_as_editors_do() -> None:
    assert split_lines(b"") == []
    assert split_lines(b"a\n\nb") == split_lines(b"a\n\nb\n") == ["a", "", "b"]
    assert split_lines("a\x0cb\u2028c\n".encode()) == ["a\x0cb\u2028c"]


def test_now_comes_after_every_entry() -> None:
    assert NOW > 10**15
