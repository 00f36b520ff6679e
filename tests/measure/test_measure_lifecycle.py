"""The rules of the lifecycle against sequences worked out by hand, and what may never happen."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prowess.core.errors import UserError
from prowess.core.evidence import Evidence
from prowess.core.patch import CreateSkill, Patch
from prowess.core.skill import Skill, Snapshot
from prowess.core.upkeep import Audit
from prowess.library import Library
from prowess.library.archive import removal
from prowess.measure.contribution import Standing, standing
from prowess.measure.lifecycle import Outcome, Rules, gaps, rarely_used, stale, standing_of, states

PAPER = Rules()
ONE = Skill(name="one", description="Use for one.", body="One.\n")
TWO = Skill(name="two", description="Use for two.", body="Two.\n")
LIBRARY = Snapshot.of([ONE, TWO])


def audit(effect: float = 0.0, n: int = 10, skill: Skill = ONE, library: Snapshot = LIBRARY, **more: Any) -> Audit:
    rate = 0.5 + effect / 2
    evidence = Evidence(
        baseline="without", treatment="with", n=n, wins=0, ties=n, losses=0, baseline_rate=rate - effect,
        treatment_rate=rate, effect=effect, low=-1, high=1, p=1, test="t", outcome="not enough evidence",
    )  # fmt: skip
    others = library.without(skill.name).digest
    return Audit(
        **{
            "skill": skill.name,
            "digest": skill.digest,
            "others": others,
            "agent": "a/1",
            "suite": "s",
            "tasks": "",
            **more,
        },
        evidence=evidence,
    )


def test_the_moving_average_streak_and_exposure_of_a_sequence_worked_out_by_hand() -> None:
    """decay 0.9: 0.2; 0.18; 0.162; then -1 each time: 0.0458, -0.05878, -0.152902, -0.2376118."""
    audits = [(0.2, 8), (0.0, 8), (0.0, 8), (-1.0, 2), (-1.0, 2), (-1.0, 1), (-1.0, 1)]
    expected = [
        (0.2, 0, 8, "keep"), (0.18, 0, 16, "keep"), (0.162, 0, 24, "keep"), (0.0458, 0, 26, "keep"),
        (-0.05878, 1, 28, "watch"), (-0.152902, 2, 29, "watch"), (-0.2376118, 3, 30, "retire"),
    ]  # fmt: skip
    now = Standing()
    assert now.stage(PAPER) == "unmeasured"
    for (effect, n), (average, low, exposure, stage) in zip(audits, expected, strict=True):
        now = now.after(effect, n, PAPER)
        assert now.average == pytest.approx(average)
        assert (now.low, now.exposure, now.stage(PAPER)) == (low, exposure, stage)
    assert now == standing(audits, PAPER) and now.audits == 7


@pytest.mark.parametrize(
    ("audits", "stage"),
    [
        ([(0.0, 10)] * 3, "retire"),
        ([(0.0, 10)] * 2, "watch"),
        ([(0.0, 9)] * 3, "watch"),
        ([(0.0, 100)] * 2, "watch"),
        ([(0.0, 1)] * 40, "retire"),
        ([(0.02, 10)] * 9, "watch"),
        ([(0.03, 1)], "keep"),
        ([(0.0, 10), (0.0, 10), (0.0, 0)], "watch"),
        ([(0.0, 0)], "unmeasured"),
        ([(0.0, 10), (0.0, 10), (0.05, 10), (-0.1, 10), (-0.1, 10)], "watch"),
    ],
)
def test_a_skill_is_nominated_only_when_average_streak_and_exposure_agree(audits: Any, stage: str) -> None:
    now = standing(audits, PAPER)
    assert now.stage(PAPER) == stage
    assert "None" not in now.why(PAPER)


def test_the_reason_says_what_is_wanting() -> None:
    assert "2 of 3 low audits in a row and 20 of 30 tasks" in standing([(0.0, 10)] * 2, PAPER).why(PAPER)
    assert "+25.0 points on average over 10 tasks" in standing([(0.25, 10)], PAPER).why(PAPER)
    assert "no audit" in Standing().why(PAPER)


effects = st.lists(st.tuples(st.floats(-1, 1), st.integers(0, 50)), max_size=30)


@given(effects)
def test_the_average_stays_within_what_was_seen_and_counts_add_up(audits: list[tuple[float, int]]) -> None:
    now, seen = standing(audits, PAPER), [effect for effect, n in audits if n]
    assert now.exposure == sum(n for _, n in audits) and now.audits == len(seen) >= now.low
    if seen:
        assert now.average is not None and min(seen) - 1e-9 <= now.average <= max(seen) + 1e-9
    if now.stage(PAPER) == "retire":
        assert now.average is not None and now.average < PAPER.low
        assert now.low >= PAPER.patience and now.exposure >= PAPER.exposure


@given(effects)
def test_a_skill_that_always_helps_is_never_nominated(audits: list[tuple[float, int]]) -> None:
    assert standing([(min(1.0, abs(effect) + 0.001), n) for effect, n in audits], PAPER).stage(PAPER) != "retire"


@pytest.mark.parametrize("wrong", [{"decay": 1.0}, {"keep": 0.0, "low": 0.1}, {"patience": 0}, {"exposure": 0}])
def test_rules_that_make_no_sense_are_refused(wrong: Any) -> None:
    with pytest.raises(UserError):
        Rules(**wrong)


def test_only_audits_of_this_text_and_this_agent_count() -> None:
    edited = ONE.model_copy(update={"body": "Else.\n"})
    audits = [audit(0.5, skill=edited), audit(0.3, agent="a/0"), audit(0.1), audit(0.2, skill=TWO)]
    assert standing_of(ONE, audits, PAPER) == standing([(0.1, 10)], PAPER)
    assert standing_of(ONE, audits, PAPER, "a/0") == standing([(0.3, 10)], PAPER)
    assert standing_of(ONE, audits, PAPER, "other") == Standing()


def test_a_verdict_is_stale_when_what_it_rests_on_has_changed() -> None:
    edited = ONE.model_copy(update={"body": "Else.\n"})
    assert stale(audit(), LIBRARY, "a/1", "s") == ()
    assert stale(audit(), LIBRARY) == (), "what is not known cannot have changed"
    assert stale(audit(), LIBRARY.with_skill(edited)) == ("its text has changed",)
    assert stale(audit(), Snapshot.of([ONE])) == ("other skills have changed",)
    assert stale(audit(), Snapshot.of([TWO])) == ("the skill is not in the library",)
    assert stale(audit(), LIBRARY, "a/2", "t") == (
        "measured with a/1, not with a/2",
        "measured on s, not on t",
    )


def outcomes(family: str, failed: int, passed: int, *shown: str) -> list[Outcome]:
    return [Outcome(family, False, shown)] * failed + [Outcome(family, True, shown)] * passed


def test_a_gap_is_a_family_that_fails_much_with_no_skill_that_helps() -> None:
    seen = [
        *outcomes("bad", 21, 5), *outcomes("worse", 40, 0), *outcomes("worst", 50, 1, "useless"),
        *outcomes("rare", 19, 0), *outcomes("fine", 20, 14), *outcomes("covered", 60, 1, "useless", "good"),
    ]  # fmt: skip
    averages = {"useless": 0.0, "good": 0.03}
    assert gaps(seen, averages, PAPER) == ("worst", "worse"), "at most two at once, the worst first"
    assert gaps(seen, averages, Rules(expand=9)) == ("worst", "worse", "bad")
    assert gaps([], {}, PAPER) == ()


def test_the_baseline_counts_uses_in_a_full_window() -> None:
    rules = Rules(exposure=5, uses=2)
    assert not rarely_used([()] * 4, "one", rules), "too few tasks to say"
    assert rarely_used([("one",)] * 9 + [("one",), (), (), (), ()], "one", rules)
    assert not rarely_used([(), (), (), ("one",), ("one", "two")], "one", rules)


def test_states_of_a_library_say_everything_without_running_anything(tmp_path: Any) -> None:
    library = Library.open(tmp_path / "library", create=True)
    three = ONE.model_copy(update={"name": "three"})
    for skill in (ONE, TWO, three):
        library.apply(Patch(base=library.snapshot().digest, operations=(CreateSkill(skill=skill),), reason="new"))
    whole = library.snapshot()
    low = [audit(0.0, skill=ONE, library=whole, tasks=str(n)) for n in range(3)]
    library.upkeep.record_audits([*low, audit(0.4, skill=TWO, library=whole)])
    assert {s.skill: s.stage for s in states(library, PAPER)} == {"one": "retire", "two": "keep", "three": "unmeasured"}
    assert all(not s.stale for s in states(library, PAPER))

    library.apply(removal(whole, "three", "retires three: useless"))
    found = {s.skill: s for s in states(library, PAPER, agent="a/1")}
    assert found["three"].stage == "archived" and found["three"].why == "retires three: useless"
    assert found["two"].stale == ("other skills have changed",) and found["two"].measured
    assert {s.skill: s.stage for s in states(library, PAPER, agent="b")}["one"] == "unmeasured"
