"""Methods that validate each step: SkillOpt, EvoSkill, GEPA."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from evolve_parts import run
from recipe_parts import DRAFTED, RULE, SOME, USELESS, Played, edited, garbled, learned, seeded

OTHER = "Sort them by their names."


def success(record: Any) -> float:
    return record.comparisons[0].evidence.treatment_rate if record.comparisons else 0.0


def test_skillopt_takes_strict_steps_and_remembers_what_was_refused(tmp_path: Path) -> None:
    """The first edit changes nothing and is refused; shown it, the editor tries another, and that one helps."""

    def editor(told: str) -> Any:
        return edited(RULE if OTHER in told.partition("Refused before:")[2] else OTHER)

    says = {"reflect": {"rules": [OTHER]}, "draft": USELESS, "edit": editor}
    records: dict[str, Any] = {}  # a useless draft would be refused as a tie, so the skill is there beforehand
    for spec in ("skillopt", "skillopt.forgetful"):
        library = seeded(tmp_path / spec / "library", USELESS)
        records[spec] = run(replace(SOME, recipe=spec), Played("skillopt", says), tmp_path / spec, library)
    assert [d.accepted for d in records["skillopt"].decisions] == [False, True]
    assert records["skillopt"].decisions[0].verdicts[-1].note == "0 of 6 tasks pass, 0 before"
    assert (success(records["skillopt"]), success(records["skillopt.forgetful"])) == (1.0, 0.0)


def test_skillopt_looks_at_a_minibatch_together_and_bounds_its_step(tmp_path: Path) -> None:
    many = {"edits": [{"action": "add", "line": line, "text": RULE} for line in (1, 3)] * 3}
    played = Played("skillopt", {"reflect": {"rules": [RULE]}, "draft": DRAFTED, "edit": many})
    record = learned("skillopt", tmp_path, played)
    first = played.questions("reflect")[0]
    assert first.count("It failed") == 4 and "There is none yet" in first
    assert [d.accepted for d in record.decisions] == [True] and success(record) == 1.0


def test_a_tie_is_kept_only_where_it_is_loose(tmp_path: Path) -> None:
    says = {"reflect": {"rules": [OTHER]}, "draft": USELESS, "edit": {"edits": []}}
    strict = learned("skillopt", tmp_path / "a", Played("skillopt", says))
    loose = learned("skillopt.loose", tmp_path / "b", Played("skillopt", says))
    assert not strict.decisions[0].accepted and loose.decisions[0].accepted


def test_evoskill_tells_what_was_tried_and_keeps_several_lines(tmp_path: Path) -> None:
    def proposer(told: str) -> Any:
        idea = RULE if OTHER in told.partition("Tried before:")[2] else OTHER
        return {"action": "create", "idea": idea}

    says = {"propose": proposer, "draft": lambda told: DRAFTED if RULE in told else USELESS, "edit": edited(OTHER)}
    whole = learned("evoskill", tmp_path / "a", Played("evoskill", says))
    without = learned("evoskill.ahistorical", tmp_path / "b", Played("evoskill", says))
    assert (success(whole), success(without)) == (1.0, 0.0)


def test_a_frontier_leaves_a_line_that_stands_still_and_one_elite_does_not(tmp_path: Path) -> None:
    """Only an edit of the useless skill helps, and the useless skill is never the single best."""

    def proposer(told: str) -> Any:
        there = "ledger-totals" in told.partition("\n")[0]
        return (
            {"action": "edit", "skill": "ledger-totals", "idea": RULE} if there else {"action": "create", "idea": OTHER}
        )

    says = {"propose": proposer, "draft": USELESS, "edit": edited(RULE)}
    frontier = learned("evoskill", tmp_path / "a", Played("evoskill", says))
    greedy = learned("evoskill.greedy", tmp_path / "b", Played("evoskill", says))
    assert (success(frontier), success(greedy)) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        ("skillopt", {"reflect": {"rules": [RULE]}, "draft": DRAFTED}),
        ("evoskill", {"propose": {"action": "create", "idea": RULE}, "draft": DRAFTED}),
    ],
)
def test_garbage_teaches_nothing(tmp_path: Path, recipe: str, says: dict[str, Any]) -> None:
    garbled(recipe, tmp_path, says | {"edit": edited(OTHER)})


def improves(told: str) -> Any:
    return DRAFTED if "must be" in told else USELESS


def test_gepa_evolves_a_seed_by_what_the_checks_say(tmp_path: Path) -> None:
    pytest.importorskip("gepa", reason="needs the extra gepa")
    played = Played("gepa", {"write": USELESS, "improve": improves})
    record = learned("gepa", tmp_path, played)
    assert success(record) == 1.0 and RULE in record.after.skills[0].body
    calls = len(played.asked)
    assert learned("gepa", tmp_path, played) == record and len(played.asked) == calls, "nothing is paid twice"


def test_gepa_keeps_its_seed_where_nothing_usable_comes(tmp_path: Path) -> None:
    pytest.importorskip("gepa", reason="needs the extra gepa")
    record = learned("gepa", tmp_path / "a", Played("gepa", {"write": USELESS, "improve": "no"}))
    assert success(record) == 0.0 and "with care" in record.after.skills[0].body
    assert not learned("gepa", tmp_path / "b", Played("gepa", {"write": "no", "improve": "no"})).decisions


def test_without_its_library_gepa_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from prowess.core.errors import UserError

    monkeypatch.setitem(sys.modules, "gepa", None)
    with pytest.raises(UserError, match="needs its library"):
        learned("gepa", tmp_path, Played("gepa", {"write": USELESS, "improve": "no"}))


def test_a_budget_that_is_spent_within_gepa_ends_the_run_and_a_larger_one_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("gepa", reason="needs the extra gepa")
    from prowess.core.errors import BudgetExceeded

    class Limited(Played):
        left = 9

        async def complete(self, request: Any) -> Any:
            Limited.left -= 1
            if Limited.left < 0:
                raise BudgetExceeded("spent")
            return await super().complete(request)

    played = Limited("gepa", {"write": USELESS, "improve": improves})
    with pytest.raises(BudgetExceeded):
        learned("gepa", tmp_path, played)
    Limited.left = 1_000
    assert success(learned("gepa", tmp_path, played)) == 1.0
