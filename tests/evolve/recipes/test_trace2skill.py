"""Trace2Skill: deepens a skill from records of a frozen library, puts edits in place, fixes what is broken."""

from dataclasses import replace
from pathlib import Path

from evolve_parts import run
from recipe_parts import LEARNED, RULE, SOME, SUMS, USELESS, Played, World, edited, garbled, learned, seeded

from prowess.core.patch import Patch, Replace
from prowess.core.skill import Snapshot
from prowess.evolve.consolidate import Reduce
from prowess.evolve.mend import Mended
from prowess.evolve.prompts import prompts
from prowess.library.patching import apply

LIBRARY = Snapshot.of([SUMS])
PLAN = replace(SOME, evidence=6, gate=9)
COMMON = prompts("common")
SAYS = {
    "edit": edited(RULE),
    "success": LEARNED,
    "translate": {"line": 0},
    "fix": {"edits": []},
    "merge": USELESS,
}


def test_a_skill_that_is_there_is_deepened_by_proven_causes(tmp_path: Path) -> None:
    """The search proves what was wrong with a failed run; each record makes its edits of the frozen skill."""
    played = Played("trace2skill", SAYS)
    library = seeded(tmp_path / "library", USELESS)
    record = run(replace(PLAN, recipe="trace2skill"), played, tmp_path, library)
    (asked,) = played.questions("edit")
    assert "Do it well, with care." in asked and "lines must be ordered" in asked
    (decision,) = record.decisions
    assert decision.accepted and {lesson.kind for lesson in decision.lessons} == {"cause"}
    assert RULE in record.after.skills[0].body and "Do it well" in record.after.skills[0].body
    (with_it,) = (c.evidence for c in record.comparisons)
    assert (with_it.baseline_rate, with_it.treatment_rate) == (0.0, 1.0)


def test_one_after_the_other_sees_what_the_one_before_left(tmp_path: Path) -> None:
    played = Played("trace2skill.sequential", SAYS)
    library = seeded(tmp_path / "library", USELESS)
    record = run(replace(PLAN, recipe="trace2skill.sequential"), played, tmp_path, library)
    assert [point.passed for point in record.curve] == [False, True]
    assert len(played.questions("edit")) == 1 + len(played.questions("success"))


def test_deepening_begins_with_the_skills_of_people(tmp_path: Path) -> None:
    played = Played("trace2skill", SAYS, rule="## House rules")  # what the human skill says
    record = learned("trace2skill.deepen", tmp_path, played, PLAN)
    assert record.decisions[0].accepted and record.decisions[0].patch.author == "human"
    assert [point.passed for point in record.curve] == [True, True] and len(played.questions("success")) == 2


def test_garbage_teaches_nothing(tmp_path: Path) -> None:
    garbled("trace2skill", tmp_path, {"edit": edited(RULE), "success": LEARNED}, start=USELESS)


def patch(old: str, new: str, *lessons: str) -> Patch:
    return Patch(base=LIBRARY.digest, operations=(Replace(name="sums", old=old, new=new),), reason="r", lessons=lessons)


def mended(tmp_path: Path, answers: object, *patches: Patch) -> tuple[tuple[Patch, ...], World]:
    world = World(tmp_path, answers)  # type: ignore[arg-type]
    consolidator = Mended(Reduce(COMMON["merge"]), COMMON["fix"], prompts("trace2skill")["translate"])
    return world.run(lambda: consolidator.merge(patches, LIBRARY, world.context)), world


STRONG = patch("Round half up.", "Round down.", "a", "b")
ADDED = patch("Round half up.", "Round half up.\nKeep two decimals.", "c")


def test_an_edit_whose_place_is_gone_is_put_where_the_model_says(tmp_path: Path) -> None:
    (whole,), world = mended(tmp_path, ['{"line": 3}'], ADDED, STRONG)
    assert whole.lessons == ("a", "b", "c") and len(world.asked) == 1
    after = apply(whole, LIBRARY).get("sums")
    assert after is not None and after.body == "# Sums\n\nRound down.\nKeep two decimals.\n\nSort by name.\n"


def test_an_edit_without_a_place_is_dropped(tmp_path: Path) -> None:
    for number, answer in enumerate(('{"line": 0}', '{"line": 77}', "what?")):
        (whole,), _ = mended(tmp_path / str(number), lambda request, a=answer: a, ADDED, STRONG)
        assert whole == STRONG


def test_what_is_broken_is_fixed_in_few_rounds_or_left_to_the_gates(tmp_path: Path) -> None:
    broken = patch("Sort by name.", "Follow scripts/list.py.", "a")  # which the skill does not have
    fix = '{"edits": [{"action": "replace", "line": 5, "text": "Follow the list."}]}'
    (whole,), world = mended(tmp_path / "a", ['{"edits": []}', fix], broken)
    assert len(world.asked) == 2 and "scripts/list.py" in world.asked[0]
    assert "Follow the list." in apply(whole, LIBRARY).skills[0].body
    (left,), world = mended(tmp_path / "b", lambda request: '{"edits": []}', broken)
    assert left == broken and len(world.asked) == 3
