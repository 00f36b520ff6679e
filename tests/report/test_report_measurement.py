"""The page of a measurement: what it says, and that hostile names stay text."""

import re

from prowess.core.cost import Cost
from prowess.core.evidence import Evidence, Noise, Trial
from prowess.measure.libraries import Bound, Measurement, SkillEffect, State
from prowess.measure.stats.agreement import Agreement
from prowess.report.charts import prices, steps
from prowess.report.measurement import render_measurement

HOSTILE = "<script>alert(1)</script>\"'{{ 7 * 7 }}\N{RIGHT-TO-LEFT OVERRIDE}"
NOISE = Noise(n=40, flips=3, low=0.02, high=0.2, false_accepts=0.001)


def evidence(effect: float, wins: int, losses: int, tokens: int = 1300) -> Evidence:
    trials = tuple(
        Trial(
            task_id=f"f/{i}", arm=arm, seed=0, passed=True, trajectory=f"{arm}{i}",
            cost=Cost(calls=1, prompt_tokens=tokens if arm == "with" else 1000),
        )
        for i in range(20) for arm in ("without", "with")
    )  # fmt: skip
    return Evidence(
        baseline="without", treatment="with", n=20, wins=wins, ties=20 - wins - losses, losses=losses,
        baseline_rate=0.2, treatment_rate=0.2 + effect, effect=effect, low=effect - 0.2, high=effect + 0.2, p=0.01,
        test="exact McNemar, two-sided", outcome="better" if effect > 0 else "worse", noise=NOISE, trials=trials,
        harms=tuple((f"f/{i}", f"with{i}") for i in range(losses)), judged_by=("suite:workbench",),
    )  # fmt: skip


def state(label: str, passed: int, n: int = 20) -> State:
    return State(label=label, snapshot="s", passed=passed, n=n, low=0.1, high=0.9, spent=Cost(prompt_tokens=500))


def measurement(name: str = "ledger-totals") -> Measurement:
    good, bad = evidence(0.5, 10, 0), evidence(-0.3, 0, 6)
    return Measurement(
        suite="workbench", families=(name,), agent=name, seeds=(0,), library="a" * 64, against=None, evidence=good,
        skills=(
            SkillEffect(skill=name, evidence=good, adjusted_p=0.02, outcome="better",
                        learned_for=Cost(prompt_tokens=5000)),
            SkillEffect(skill="bad", evidence=bad, adjusted_p=0.2, outcome="not enough evidence"),
            SkillEffect(skill="unseen", evidence=None, adjusted_p=1.0, outcome="not enough evidence"),
        ),
        adjustment="holm",
        oracle=Bound(n=20, passed=19, broken=("f/3",)),
        states=(state("nothing ran", 0, 0), state(name, 4), state("second", 14)),
        agreement=Agreement(20, 18, 0.7, 0.4, 1.0),
    )  # fmt: skip


def words(page: str) -> str:
    page = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_page_says_what_was_found() -> None:
    text = words(render_measurement(measurement(), {}))
    for part in (
        "+50 points against no skills: better",
        "Of 3 skills: 1 shown to help, 0 to harm, 1 not enough evidence, 1 on no task",
        "adjusted for 2 skills by Holm", "No task shows unseen", "3 of 40 tasks", "Right answers pass 19 of 20",
        "right answer fails on f/3", "agrees with the checks on 18 of 20, kappa 0.70", "14 of 20", "p = 0.20",
    ):  # fmt: skip
        assert part in text, part


def test_prices_are_of_what_helps_only() -> None:
    (price,) = prices(measurement().skills)
    assert (price.skill, price.points, price.to_learn, price.to_use) == ("ledger-totals", 50.0, 100.0, 6.0)
    assert price.share == 100.0 and prices(measurement().skills[1:]) == ()


def test_curve_leaves_out_states_that_never_ran() -> None:
    first, last = steps(measurement().states)
    assert (first.at, last.at) == (25.0, 75.0) and (first.share, last.share) == (80.0, 30.0)
    assert steps(()) == ()


def test_hostile_names_stay_text() -> None:
    page = render_measurement(measurement(HOSTILE), {})
    assert "<script>alert" not in page and "\N{RIGHT-TO-LEFT OVERRIDE}" not in page and "{{ 7 * 7 }}" in words(page)
    assert page.count("<script>") == 1
