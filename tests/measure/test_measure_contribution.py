"""Audits over time, by the numbers of the paper's rules."""

import pytest

from prowess.core.errors import UserError
from prowess.measure.contribution import Rules, Standing


def follow(*audits: tuple[float, float, int], rules: Rules | None = None) -> Standing:
    found = Standing()
    for with_it, without_it, shown in audits:
        found = found.after(with_it - without_it, shown, rules or Rules())
    return found


def test_the_average_moves_by_a_tenth() -> None:
    one = follow((0.8, 0.5, 10))
    assert one.average == pytest.approx(0.3) and (one.low, one.exposure) == (0, 10)
    two = one.after(0.4 - 0.5, 5)
    assert two.average == pytest.approx(0.9 * 0.3 + 0.1 * -0.1) and two.exposure == 15
    assert follow((0.8, 0.5, 10), rules=Rules(from_zero=True)).average == pytest.approx(0.03)


def test_retiring_needs_a_low_average_a_streak_and_exposure() -> None:
    low = (0.5, 0.5, 10)
    assert follow(low, low).stage() == "watch"
    assert follow(low, low, low).stage() == "retire"
    assert follow((0.5, 0.5, 9), (0.5, 0.5, 10), (0.5, 0.5, 10)).stage() == "watch", "29 tasks are too few"
    assert follow((0.5, 0.3, 40), low, low, low).stage() == "keep", "the average is still above 0.03"


def test_one_good_audit_ends_the_streak() -> None:
    low = (0.5, 0.5, 20)
    broken = follow(low, low, (0.6, 0.5, 20), low)
    assert broken.average == pytest.approx(0.009) and broken.low == 0 and broken.stage() == "watch"


def test_between_the_two_levels_a_skill_is_watched() -> None:
    assert follow((0.52, 0.5, 10)).stage() == "watch"
    assert follow((0.53, 0.5, 10)).stage() == "keep"
    assert Standing().stage() == "unmeasured"


def test_an_audit_that_showed_the_skill_nowhere_says_nothing() -> None:
    before = follow((0.5, 0.5, 10))
    assert before.after(0.0, 0) == before


@pytest.mark.parametrize("audit", [(1.2, 0.0, 1), (0.5, float("nan"), 1), (0.5, 0.5, -1)])
def test_bad_audits_are_refused(audit: tuple[float, float, int]) -> None:
    with pytest.raises(UserError):
        follow(audit)


@pytest.mark.parametrize("rules", [{"decay": 1.0}, {"decay": -0.1}, {"low": 0.1}, {"patience": 0}])
def test_bad_rules_are_refused(rules: dict[str, float]) -> None:
    with pytest.raises(UserError):
        Rules(**rules)  # pyright: ignore[reportArgumentType]
