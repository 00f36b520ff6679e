"""The parts that recipes share: what each makes of an answer, and that no answer can harm."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recipe_parts import GARBAGE, SUMS, TASK, World, always, episode, lesson, prompt

from prowess.core.patch import CreateSkill, DeleteSkill, Patch
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import File
from prowess.evolve.consolidate import Alike, Reduce, balanced, by_skills
from prowess.evolve.drafting import Draft, Drafting, put, skill_of
from prowess.evolve.drafting import schema as draft_schema
from prowess.evolve.editing import Edit, Editing, Writing, operations_of, shown
from prowess.evolve.editing import schema as edit_schema
from prowess.evolve.protocols import Past
from prowess.evolve.record import Decision
from prowess.evolve.reflect import Reflect
from prowess.evolve.requests import Requests, wanted
from prowess.evolve.selectors import Best
from prowess.evolve.selftest import SelfTestGate
from prowess.evolve.sources import Retry
from prowess.evolve.statistics import by_family, by_skill, did, lessons_by_skill, utilities
from prowess.library.patching import apply
from prowess.library.skillmd import validate
from prowess.measure.gates import GateContext
from prowess.sandbox import find_sandbox
from prowess.suites.workbench import Workbench

LIBRARY = Snapshot.of([SUMS])
REFLECT = Reflect(prompt("$task|$shown|$transcript|$outcome|$material"))
REFLECTION = {"cause": "it sorted by date", "blame": "skill", "lesson": "Sort the lines by name."}
DRAFT: dict[str, Any] = {
    "name": "late-fees",
    "description": "Adds fees. Use for late payments.",
    "steps": ["1. Read the file.", "3 decimals are kept."],
    "code": "print(1)",
    "pitfalls": ["Weekends do not count."],
}


# --- reflect -----------------------------------------------------------------


def test_a_reflection_becomes_a_lesson_with_blame_and_its_step(tmp_path: Path) -> None:
    world = World(tmp_path, always(REFLECTION))
    failed = episode(False, said="sorted(rows, key=date)", loaded=("sums",))
    (found,) = world.run(lambda: REFLECT.lessons([failed, episode(True), episode(None)], LIBRARY, world.context))
    assert found.text == "Sort the lines by name. (because it sorted by date)"
    assert (found.kind, found.blame, found.skill, found.family) == ("memory", "skill", "sums", TASK.family)
    assert found.references[0].trajectory == failed.trajectory.id and found.references[0].first_step == 1
    (asked,) = world.asked
    for told in (TASK.prompt, "Round half up.", "sorted(rows, key=date)", "lines must be ordered"):
        assert told in asked


def test_what_a_teacher_knows_is_told_and_successes_can_be_asked_about(tmp_path: Path) -> None:
    world = World(tmp_path, always(REFLECTION))
    taught = Reflect(REFLECT.prompt, on="successes", material=lambda task: f"the key to {task.family}")
    (found,) = world.run(lambda: taught.lessons([episode(True), episode(False)], LIBRARY, world.context))
    assert found.kind == "success" and found.skill is None
    assert "the key to ledger-totals" in world.asked[0] and "No skill was shown" in world.asked[0]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_gives_no_lesson_no_draft_no_edit_no_request(tmp_path: Path, garbage: str) -> None:
    world, lessons = World(tmp_path, always(garbage)), [lesson(skill="sums")]
    requests = Requests(prompt("$task $transcript $outcome $skills"))

    async def all_of_them() -> tuple[Any, ...]:
        return (
            await REFLECT.lessons([episode(False)], LIBRARY, world.context),
            await Drafting(prompt("$about $lessons $skills"), "x").patches(lessons, LIBRARY, world.context),
            await Editing(prompt("$skill $lessons $refused"), "x").patches(lessons, LIBRARY, world.context),
            await requests.lessons([episode(False)], LIBRARY, world.context),
        )

    assert world.run(all_of_them) == ((), (), (), ())
    assert world.unusable >= 3  # `{}` asks for nothing, which is an answer to the last question


# --- drafting ----------------------------------------------------------------


def test_a_draft_becomes_a_valid_skill_in_fixed_form() -> None:
    skill = skill_of(Draft.model_validate(DRAFT))
    assert skill.body == (
        "# Late fees\n\n1. Read the file.\n2. 3 decimals are kept.\n\n"
        "## Program\n\n```python\nprint(1)\n```\n\n## Pitfalls\n\n- Weekends do not count.\n"
    )
    assert not validate(skill)


TEXT = st.text(max_size=30) | st.sampled_from(["```", "~~~", "---\nname: x", "a\nb", "<skill>", "\u202e", "1. "])


@settings(max_examples=150, deadline=None)
@given(TEXT | st.just("late-fees"), TEXT, st.lists(TEXT, max_size=3), TEXT, st.lists(TEXT, max_size=3))
def test_any_draft_is_a_valid_skill_or_refused(
    name: str, about: str, steps: list[str], code: str, pitfalls: list[str]
) -> None:
    draft = Draft(name=name, description=about, steps=tuple(steps), code=code, pitfalls=tuple(pitfalls))
    try:
        skill = skill_of(draft)
    except ValueError:
        return
    after = apply(Patch(base=LIBRARY.digest, operations=put(LIBRARY, skill), reason="r"), LIBRARY)
    assert after.get(skill.name) is not None


def test_one_skill_is_drafted_for_each_family_from_lessons_that_blame_the_skill(tmp_path: Path) -> None:
    world = World(tmp_path, always(DRAFT))
    lessons = [lesson("One."), lesson("Two.", blame="agent"), lesson("Three.", family="invoices")]
    drafting = Drafting(prompt("$about: $lessons; $skills"), "me")
    found = world.run(lambda: drafting.patches(lessons, LIBRARY, world.context))
    assert world.asked == ["ledger-totals: - One.; sums", "invoices: - Three.; sums"]
    assert [patch.lessons for patch in found] == [(lessons[0].id,), (lessons[2].id,)]
    assert apply(found[0], LIBRARY).names == ("late-fees", "sums")


def test_a_draft_that_says_what_is_there_already_is_no_patch(tmp_path: Path) -> None:
    there = skill_of(Draft.model_validate(DRAFT))
    changed = there.model_copy(update={"body": "# Other\n"})
    assert put(Snapshot.of([there]), there) == ()
    assert [type(op) for op in put(Snapshot.of([changed]), there)] == [DeleteSkill, CreateSkill]
    assert draft_schema("late-fees")["properties"]["name"] == {"const": "late-fees"}  # type: ignore[index,call-overload]


# --- editing -----------------------------------------------------------------


def test_edits_name_lines_that_are_there(tmp_path: Path) -> None:
    assert shown(SUMS) == "1: # Sums\n3: Round half up.\n5: Sort by name."
    assert '"enum": [1, 3, 5]' in json.dumps(edit_schema(SUMS))
    edits = [Edit(action="replace", line=3, text="Round down."), Edit(action="add", line=5, text="Keep the header.")]
    patch = Patch(
        base=LIBRARY.digest, operations=operations_of([*edits, Edit(action="delete", line=1)], SUMS), reason=""
    )
    changed = apply(patch, LIBRARY).get("sums")
    assert changed is not None and changed.body == "\nRound down.\n\nSort by name.\nKeep the header.\n".lstrip()


def test_a_line_that_stands_twice_is_found_by_its_neighbours() -> None:
    twice = SUMS.model_copy(update={"body": "# A\n\nsame\n\n# B\n\nsame\n\nsame\n"})
    library = Snapshot.of([twice])
    operations = operations_of([Edit(action="replace", line=7, text="new")], twice)
    changed = apply(Patch(base=library.digest, operations=operations, reason=""), library).get("sums")
    assert changed is not None and changed.body == "# A\n\nsame\n\n# B\n\nnew\n\nsame\n"


EDITS = st.builds(
    Edit, action=st.sampled_from(["add", "replace", "delete"]), line=st.integers(-2, 9), text=st.text(max_size=12)
)
BODIES = st.lists(st.sampled_from(["a", "aa", "a a", "", "# H", "```", "b\x0b"]), min_size=1, max_size=8)


@settings(max_examples=200, deadline=None)
@given(BODIES, st.lists(EDITS, max_size=4))
def test_edits_of_any_skill_change_just_these_lines_or_are_refused(lines: list[str], edits: list[Edit]) -> None:
    body = "\n".join(lines) + "\n"
    skill = SUMS.model_copy(update={"body": body})
    try:
        operations = operations_of(edits, skill)
    except ValueError:
        return
    from prowess.library.sections import replace

    wanted = body.split("\n")
    for edit in sorted(edits, key=lambda e: -e.line):
        said = edit.text.strip("\n")
        old = wanted[edit.line - 1]
        wanted[edit.line - 1 : edit.line] = {"add": [old, said], "replace": [said], "delete": []}[edit.action]
    for operation in operations:
        body = replace(body, operation.old, operation.new)
    assert body == "\n".join(wanted)


def test_edits_that_were_refused_before_are_shown(tmp_path: Path) -> None:
    answer = {"edits": [{"action": "replace", "line": 3, "text": "Round down."}]}
    world = World(tmp_path, always(answer))
    editing = Editing(prompt("$skill|$lessons|$refused"), "me", most=1)
    (patch,) = world.run(lambda: editing.patches([lesson(skill="sums")], LIBRARY, world.context))
    assert world.asked[0].endswith("|none")
    refused = Decision(round=0, patch=patch, lessons=(), verdicts=(), accepted=False)
    from dataclasses import replace

    again = replace(world.context, past=Past(decisions=(refused,)))
    world.run(lambda: editing.patches([lesson(skill="sums")], LIBRARY, again))
    assert world.asked[1].endswith("|- Round down.")


def test_too_many_edits_are_refused(tmp_path: Path) -> None:
    edits = [{"action": "add", "line": line, "text": "More."} for line in (1, 3, 5)]
    world = World(tmp_path, always({"edits": edits}))
    two = Editing(prompt("$skill $lessons $refused"), "me", most=2)
    assert world.run(lambda: two.patches([lesson(skill="sums")], LIBRARY, world.context)) == ()
    assert world.unusable == 1


def test_lessons_go_to_the_skill_that_they_are_about_or_to_a_new_one(tmp_path: Path) -> None:
    def answers(request: Any) -> str:
        edit = {"edits": [{"action": "add", "line": 5, "text": "Keep the header."}]}
        return json.dumps(edit if request.messages[-1].content.startswith("edit") else DRAFT)

    world = World(tmp_path, answers)
    writing = Writing(
        Drafting(prompt("draft $about $lessons $skills"), "me"), Editing(prompt("edit $skill $lessons $refused"), "me")
    )
    lessons = [lesson(skill="sums"), lesson("Other."), lesson("Gone.", skill="was-deleted")]
    edited, drafted = world.run(lambda: writing.patches(lessons, LIBRARY, world.context))
    assert edited.lessons == (lessons[0].id,) and drafted.lessons == (lessons[1].id, lessons[2].id)


# --- requests ----------------------------------------------------------------


def test_a_missing_skill_is_requested_once_with_all_its_episodes(tmp_path: Path) -> None:
    missing = {"missing": {"name": "date-parser", "description": "Reads dates in any form.", "arguments": ["text"]}}
    world = World(tmp_path, always(missing))
    requests = Requests(prompt("$task $transcript $outcome $skills"))
    episodes = [episode(False, 1), episode(False, 2, said="other"), episode(True, 3)]
    (found,) = world.run(lambda: requests.lessons(episodes, LIBRARY, world.context))
    assert found.kind == "request" and wanted(found).arguments == ("text",) and len(found.references) == 2
    assert "<name>sums</name>" in world.asked[0]


def test_a_skill_that_is_there_is_no_request(tmp_path: Path) -> None:
    world = World(tmp_path, always({"use": "sums"}))
    requests = Requests(prompt("$task $transcript $outcome $skills"))
    assert world.run(lambda: requests.lessons([episode(False)], LIBRARY, world.context)) == ()
    assert world.unusable == 0


# --- statistics, sources, selectors ------------------------------------------


def test_only_what_was_loaded_counts_and_a_run_counts_once() -> None:
    runs = [
        episode(True, 1, loaded=("sums",)),
        episode(False, 2, loaded=("sums", "other")),
        episode(None, 3),
        episode(True, 4),
    ]
    assert {name: len(group) for name, group in by_skill(runs).items()} == {"sums": 2, "other": 1, "": 2}
    found = utilities([*runs, *runs])
    assert (found["sums"].passed, found["sums"].n, found["other"].share) == (1, 2, 0.0) and "" not in found
    assert [did(run) for run in runs] == [True, False, None, True]
    assert {*by_family(runs)} == {"ledger-totals"} and {*lessons_by_skill([lesson(), lesson(skill="x")])} == {"", "x"}


def test_failed_tasks_come_again_before_the_next_ones(tmp_path: Path) -> None:
    first, second, third = Workbench().tasks("ledger-totals", "evidence", 3)
    world, source = World(tmp_path, []), Retry((first, second, third), per_round=2, tries=2)
    from dataclasses import replace

    def after(*rounds: tuple[Any, ...]) -> tuple[Any, ...]:
        context = replace(world.context, past=Past(rounds=rounds))
        return world.run(lambda: source.tasks(len(rounds), LIBRARY, context))

    mixed = (episode(True, task=first), episode(False, task=second))
    assert after() == (first, second)
    assert after(mixed) == (second,)
    assert after(mixed, (episode(False, task=second),)) == (third,)
    assert after(mixed, (episode(False, task=second),), (episode(True, task=third),)) == ()


def test_the_best_of_equals_is_the_earlier(tmp_path: Path) -> None:
    from evolve_parts import fenced

    from prowess.evolve.providers import Everything

    right = fenced(Workbench().program(TASK))
    world = World(
        tmp_path, lambda request: right if "Round half up" in request.messages[0].content else "```python\npass\n```"
    )
    other = Snapshot.of([SUMS.model_copy(update={"name": "twin"})])
    best = Best((TASK,), Everything())
    chosen = world.run(lambda: best.choose([Snapshot(), LIBRARY, other], world.context))
    assert chosen == LIBRARY


# --- self-tests --------------------------------------------------------------


def tool(source: str, test: str | None) -> Snapshot:
    files = (File(path="scripts/tool.py", data=source.encode()),)
    files += (File(path="tests/test_tool.py", data=test.encode()),) if test is not None else ()
    return Snapshot.of([SUMS.model_copy(update={"files": files})])


GOOD, BAD = "def two():\n    return 2\n", "def two():\n    return 3\n"
TEST = "import tool\n\ndef test_two():\n    assert tool.two() == 2\n"


@pytest.mark.parametrize(
    ("candidate", "base", "status", "says"),
    [
        (tool(GOOD, TEST), Snapshot(), "pass", "1 files"),
        (tool(BAD, TEST), Snapshot(), "fail", "AssertionError"),
        (tool(BAD, TEST.replace("== 2", "== 3")), tool(GOOD, TEST), "fail", "AssertionError"),  # the old test stays
        (tool(BAD, None), tool(GOOD, TEST), "fail", "AssertionError"),
        (tool(GOOD, None), Snapshot(), "fail", "no tests"),
        (tool(GOOD, "x = 1\n"), Snapshot(), "fail", "test nothing"),
        (tool(GOOD, "import sys\nsys.exit(0)\n"), Snapshot(), "fail", "test nothing"),
        (LIBRARY, Snapshot(), "pass", "no tests"),
    ],
)
def test_a_skill_passes_its_own_tests_and_those_before(
    tmp_path: Path, candidate: Snapshot, base: Snapshot, status: str, says: str
) -> None:
    world = World(tmp_path, [])
    gate, about = SelfTestGate(find_sandbox(), required=True), GateContext.of(world.context)
    patch = Patch(base=base.digest, operations=(), reason="")
    verdict = world.run(lambda: gate.check(candidate, base, patch, about))
    assert verdict.status == status and says in verdict.note


# --- consolidation -----------------------------------------------------------


def edit_patch(line: int, text: str, *lessons: str) -> Patch:
    operations = operations_of([Edit(action="replace", line=line, text=text)], SUMS)
    return Patch(base=LIBRARY.digest, operations=operations, reason="r", lessons=lessons)


def new(name: str, about: str, *lessons: str) -> Patch:
    skill = Skill(name=name, description=about, body=f"# {name}\n")
    return Patch(base=LIBRARY.digest, operations=(CreateSkill(skill=skill),), reason="r", lessons=lessons)


def test_edits_that_fit_become_one_patch_and_the_best_supported_wins(tmp_path: Path) -> None:
    world = World(tmp_path, [])
    weak, strong, other = (
        edit_patch(3, "Cut.", "a"),
        edit_patch(3, "Round down.", "b", "c"),
        edit_patch(5, "Sort.", "d"),
    )
    reduce = Reduce(prompt("$skills"))
    merged = world.run(lambda: reduce.merge([weak, strong, other], LIBRARY, world.context))
    assert [patch.lessons for patch in merged] == [("b", "c", "d"), ("a",)]
    changed = apply(merged[0], LIBRARY).get("sums")
    assert changed is not None and changed.body == "# Sums\n\nRound down.\n\nSort.\n" and not world.model.requests


def test_new_skills_that_are_alike_are_written_as_one_and_kept_apart_on_garbage(tmp_path: Path) -> None:
    same = "Reads ledgers and writes totals by customer. Use for ledgers."
    patches = [
        new("ledger-sums", same, "a"),
        new("ledger-totals", same, "b"),
        new("late-fees", "Adds fees to bills.", "c"),
    ]
    assert [len(group) for group in Alike()(patches)] == [2, 1] and len(by_skills(patches)) == 3
    reduce = Reduce(prompt("$skills"), groups=Alike())
    world = World(tmp_path / "a", always(DRAFT | {"name": "ledger-sums", "description": same}))
    merged = world.run(lambda: reduce.merge(patches, LIBRARY, world.context))
    assert [patch.lessons for patch in merged] == [("a", "b"), ("c",)] and len(world.model.requests) == 1
    world = World(tmp_path / "b", always("no"))
    assert len(world.run(lambda: reduce.merge(patches, LIBRARY, world.context))) == 3


def test_a_rest_of_less_than_half_is_spread() -> None:
    patches = [edit_patch(3, str(i)) for i in range(12)]
    assert [len(chunk) for chunk in balanced(patches, 5)] == [6, 6]
    assert [len(chunk) for chunk in balanced(patches[:9], 5)] == [5, 4]
    assert balanced([], 5) == []
