"""Why a line is there, and what a trajectory brought about."""

from pathlib import Path

import pytest

from prowess.core.errors import UserError
from prowess.core.evidence import Verdict
from prowess.core.lesson import Lesson, Reference
from prowess.core.patch import AppendToSection, CreateSkill, DeleteSkill, Operation, Patch, RenameSkill, Replace
from prowess.core.skill import Skill
from prowess.library import Change, Library
from prowess.library.provenance import states, trace, why


def lesson(text: str, *trajectories: str, **more: str) -> Lesson:
    references = tuple(
        Reference(trajectory=t, first_step=1, last_step=1, quote=f"{text}, as {t} saw") for t in trajectories
    )
    return Lesson.model_validate({"kind": "cause", "text": text, "references": references, **more})


VOID = lesson("Skip the void rows of every ledger", "run-1", "run-2")
ROUND = lesson("Round half away from zero", "run-2")
SORT = lesson("Sort by account", "run-3")
SKILL = Skill(
    name="ledger",
    description="Ledgers.",
    body=f"# Ledger\n\n## Rules\n\n- {VOID.text}.\n- {ROUND.text}.\n- Be quick.\n",
)
PASS = Verdict(gate="format", status="pass")


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.open(tmp_path / "lib", create=True)


def patch(library: Library, *operations: Operation, lessons: tuple[Lesson, ...], reason: str = "test") -> Patch:
    ids = tuple(x.id for x in lessons)
    return Patch(
        base=library.snapshot().digest, operations=operations, reason=reason, lessons=ids, author="trace2skill"
    )


@pytest.fixture
def first(library: Library) -> Change:
    made = patch(library, CreateSkill(skill=SKILL), lessons=(VOID, ROUND), reason="made")
    return library.apply(made, lessons=[VOID, ROUND], verdicts=[PASS], by="anna")


def sort(library: Library) -> Patch:
    operation = AppendToSection(name="ledger", section="Rules", content=f"- {SORT.text}.")
    return patch(library, operation, lessons=(SORT,), reason="sorted")


def number(library: Library, text: str, skill: str = "ledger") -> int:
    return next(line.number for line in why(library, skill).lines if text in line.text)


def test_a_line_leads_to_its_lesson_steps_verdicts_and_who_applied_it(library: Library, first: Change) -> None:
    at = number(library, "void rows")
    found = why(library, "ledger", span=(at, at))
    (line,), (reason,) = found.lines, found.reasons
    assert line.lessons == (VOID.id,)
    assert (reason.change, reason.by, reason.author, reason.reason) == (first.id, "anna", "trace2skill", "made")
    assert reason.lines == ((at, at),) and reason.verdicts == (PASS,) and list(reason.lessons.values()) == [VOID, ROUND]
    assert why(library, "ledger", span=(at + 2, at + 2)).lines[0].lessons == ()


def test_a_whole_skill_has_each_change_once_with_its_stretches(library: Library, first: Change) -> None:
    at = number(library, ROUND.text)
    library.apply(
        patch(library, Replace(name="ledger", old=ROUND.text, new="Round half to even"), lessons=()), by="ben"
    )
    found = why(library, "ledger")
    assert [r.by for r in found.reasons] == ["anna", "ben"]
    assert found.reasons[0].lines == ((1, at - 1), (at + 1, len(found.lines)))
    assert found.reasons[1].lines == ((at, at),)


def test_lessons_that_a_patch_only_names_are_looked_up(library: Library, first: Change) -> None:
    library.apply(sort(library).model_copy(update={"lessons": (VOID.id, "0" * 16)}), by="ben")
    at = number(library, SORT.text)
    assert why(library, "ledger", span=(at, at)).reasons[0].lessons == {VOID.id: VOID}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ledgr",), "no skill 'ledgr'"),
        (("../lib/ledger",), "no skill"),
        (("ledger", "scripts/x.py"), "it has SKILL.md"),
        (("ledger", "SKILL.md", (40, 40)), "no line 40"),
        (("ledger", "SKILL.md", (3, 2)), "no lines 3 to 2"),
        (("ledger", "SKILL.md", (0, 2)), "it has lines 1 to 12"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(
    library: Library, first: Change, arguments: tuple[str], message: str
) -> None:
    with pytest.raises(UserError) as error:
        why(library, *arguments)
    assert message in str(error.value)


def test_a_skill_that_is_gone_says_where_it_went(library: Library, first: Change) -> None:
    change = library.apply(patch(library, RenameSkill(name="ledger", new_name="sums"), lessons=()))
    with pytest.raises(UserError, match=f"change {change.id[:8]} took it away and wrote sums"):
        why(library, "ledger")


def test_a_trajectory_leads_to_its_lessons_edits_and_lines(library: Library, first: Change) -> None:
    found = trace(library, "run-2")
    assert found.lessons == {VOID.id: VOID, ROUND.id: ROUND}
    (edit,) = found.edits
    assert (edit.fate, edit.change, edit.by) == ("applied", first.id, "anna")
    assert set(edit.lessons) == {VOID.id, ROUND.id} and edit.verdicts == (PASS,)
    ((place),) = edit.places
    assert (place.skill, place.file, place.first, place.last) == ("ledger", "SKILL.md", 1, 12)


def test_lines_are_found_after_renaming_and_merging(library: Library, first: Change) -> None:
    library.apply(patch(library, RenameSkill(name="ledger", new_name="sums"), lessons=()))
    body = f"# Money\n\n- {VOID.text}.\n\n- Nothing else.\n"
    library.apply(
        patch(
            library,
            DeleteSkill(name="sums"),
            CreateSkill(skill=Skill(name="money", description="Money.", body=body)),
            lessons=(),
        )
    )
    (edit,) = trace(library, "run-1").edits
    assert [p.skill for p in edit.places] == ["money"]
    here = range(edit.places[0].first, edit.places[0].last + 1)
    assert number(library, VOID.text, "money") in here and number(library, "Nothing else", "money") not in here


def test_every_fate_of_an_edit_is_told(library: Library, first: Change) -> None:
    undone = library.apply(sort(library), lessons=[SORT])
    library.undo(undone.id)
    waiting = library.propose(sort(library).model_copy(update={"reason": "again"}), [SORT], [PASS], by="learn")
    refused = library.propose(sort(library).model_copy(update={"reason": "no"}), [SORT])
    library.reject(refused.id, "we never sort")
    gate = Verdict(gate="trials", status="fail", note="worse")
    bad = sort(library).model_copy(update={"reason": "bad"})
    library.upkeep.refuse(bad, lessons=[SORT], verdicts=[PASS, gate])
    library.upkeep.refuse(
        bad.model_copy(update={"reason": "of another lesson", "lessons": (VOID.id,)}), lessons=[VOID], verdicts=[gate]
    )
    found = trace(library, "run-3")
    assert [(e.fate, e.reason, e.note) for e in found.edits] == [
        ("taken back", "sorted", ""),
        ("waiting", "again", ""),
        ("rejected", "no", "we never sort"),
        ("refused by a gate", "bad", "trials: worse"),
    ]
    assert not any(e.places for e in found.edits)
    accepted = library.accept(waiting.id, by="anna")
    edit = next(e for e in trace(library, "run-3").edits if e.change == accepted.id)
    assert edit.fate == "applied" and edit.places[0].first == number(library, SORT.text)
    library.undo(library.undo(accepted.id).id)
    assert next(e for e in trace(library, "run-3").edits if e.change == accepted.id).fate == "applied"


def test_a_trajectory_is_found_by_the_beginning_of_its_id(library: Library, first: Change) -> None:
    assert trace(library, "run-2").trajectory == "run-2"
    with pytest.raises(UserError, match="several"):
        trace(library, "run")
    for unknown in ("run-9", "", "%", "run_1", "\ud800"):
        with pytest.raises(UserError, match="no lesson"):
            trace(library, unknown)
    library.upkeep.refuse(sort(library), lessons=[SORT], verdicts=[])
    assert trace(library, "run-3").edits[0].fate == "refused by a gate"


def test_answers_are_the_same_from_an_index_made_anew(library: Library, first: Change) -> None:
    library.propose(sort(library), [SORT])
    before = [trace(library, t) for t in ("run-1", "run-3")], why(library, "ledger")
    library.rebuild()
    assert ([trace(library, t) for t in ("run-1", "run-3")], why(library, "ledger")) == before


def test_a_line_states_a_lesson_by_mark_by_words_or_by_program() -> None:
    program = lesson("This program passed.", "run-1", payload="import csv\nfor row in rows:\n    total += row\n")
    assert states(f"- Some words. [2/3 {VOID.id[:8]}]", VOID) and not states("- Some words. [2/3 00000000]", VOID)
    assert states("- skip the VOID rows of every ledger!", VOID) and not states("- Skip the void rows.", VOID)
    assert states("  for row in rows:", program) and not states("import", program)
    assert not states("", lesson("", "run-1")) and not states("- a csv file", lesson("csv", "run-1"))
