"""The page of a comparison of recipes, from a record made up for the purpose; it is looked at in a browser too."""

import random
import shutil
import subprocess
from pathlib import Path

import pytest

from prowess.core.cost import Cost
from prowess.core.evidence import Trial
from prowess.core.skill import Skill, Snapshot
from prowess.evolve.bench.gains import gains_of
from prowess.evolve.bench.record import BenchPlan, BenchRecord, Entry, Funnel, Group, Levels, SuitePart
from prowess.evolve.record import Point
from prowess.report.bench import COLUMNS, costs, curves, render_bench, standings, transfer

RATES = {"none": 0.1, "human": 0.9, "oracle": 1.0, "trace2skill": 0.8, "trace2skill.sequential": 0.5, "skillos": 0.12}
LEARNING = {"trace2skill": 190_000, "trace2skill.sequential": 160_000, "skillos": 9_000}
POISON = "</script><script>alert(1)</script>"


def made(models: tuple[str, ...] = ("small", "large"), note: str = "") -> BenchRecord:
    """Trials drawn by each recipe's rate; a library that the small model built helps the large one half as much."""
    draw = random.Random(4)
    plan = BenchPlan(
        parts=(SuitePart(suite="workbench", families=("ledger-totals", "address-list")),),
        recipes=tuple(RATES), models=models, test=8,
    )  # fmt: skip
    entries: list[Entry] = []
    for recipe, rate in RATES.items():
        for seed in plan.seeds:
            for built in models:
                for used in models if recipe in LEARNING or recipe == "human" else (built,):
                    own = rate if built == used else rate / 2
                    entries.append(_entry(draw, recipe, own, seed, built, used, note))
    record = BenchRecord(plan=plan, machine="made up", date="2026-01-01", command=f"prowess bench {note}")
    return record.model_copy(update={"entries": tuple(entries), "gains": gains_of(plan, entries)})


def _entry(draw: random.Random, recipe: str, rate: float, seed: int, built: str, used: str, note: str) -> Entry:
    def trials(arm: str, rate: float, n: int, group: str) -> tuple[Trial, ...]:
        return tuple(
            Trial(
                task_id=f"ledger-totals/{group}/{seed}-{i}", arm=arm, seed=seed, trajectory=f"{arm}{seed}{i}{group}",
                passed=draw.random() < rate, conditions=f"workbench: {used}",
                cost=Cost(calls=2, prompt_tokens=500, completion_tokens=100, usd=0.002),
            )
            for i in range(n)
        )  # fmt: skip

    groups: dict[Group, tuple[Trial, ...]] = {}
    for group, share in (("held-out", 1.0), ("other families", 0.1)):
        groups[group] = (  # type: ignore[index]
            *trials("none", 0.1, 8, group), *(trials(recipe, rate * share, 8, group) if recipe != "none" else ())
        )  # fmt: skip
    curve = tuple(
        Point(position=i, round=i, task_id=f"c{i}", family="ledger-totals", passed=i > 3 or None, trajectory=f"t{i}")
        for i in range(12)
    )
    skills = (Skill(name="ledger-totals", description="d", body="b\n"),) if recipe in LEARNING else ()
    return Entry(
        part=0, recipe=recipe, seed=seed, built_with=built, used_with=used, trials=groups,
        learning=Cost(calls=9, prompt_tokens=LEARNING.get(recipe, 0), usd=0.3), seconds=400.0,
        skills=Snapshot.of(skills), accepted=1, tried=3, unusable=2 if recipe == "skillos" else 0,
        curve=curve if recipe == "skillos" else (), steps=2.0, failure=note,
        funnel=Funnel(runs=8, offered=8, loaded=8, used=6, helped=5), levels=Levels(coverage=0.5, usage=0.75),
    )  # fmt: skip


def test_a_standing_holds_what_the_trials_say() -> None:
    record = made(("small",))
    rows = {row.recipe: row for row in standings(record, 0)}
    assert list(rows) == list(RATES) and all(len(row.cells) == len(COLUMNS) for row in rows.values())
    learned = rows["trace2skill"]
    passed = [t.passed for e in learned.entries for t in e.trials["held-out"] if t.arm == "trace2skill"]
    assert learned.n == 24 and learned.success == sum(map(bool, passed)) / 24
    assert learned.gain is not None and learned.gain.adjusted is not None
    assert learned.per_million == pytest.approx(100 * learned.gain.evidence.effect / 0.19)
    assert learned.funnel == "24/24/18/15" and rows["skillos"].notes.startswith("6 unusable")
    assert rows["none"].gain is None and rows["oracle"].per_million is rows["skillos"].per_million is None


def test_plots_lie_in_their_box() -> None:
    rows = standings(made(("small",)), 0)
    found = costs(rows)
    assert found is not None and {d.recipe for d in found.dots} == set(LEARNING)
    assert all(0 <= v <= 100 for d in found.dots for v in (d.x, d.y, d.low, d.high)) and 0 < found.zero < 100
    cheap, dear = (next(d for d in found.dots if d.recipe == name) for name in ("skillos", "trace2skill"))
    assert cheap.x < dear.x and cheap.y > dear.y, "cheaper lies left, better lies high"
    (line,) = curves(rows)
    assert line.recipe == "skillos" and line.path.startswith("M0.00") and line.last == 1.0
    assert costs([]) is None


def test_the_transfer_matrix_has_all_pairs_of_models() -> None:
    matrix = dict(transfer(made(), 0))
    assert set(matrix) == {"human", *LEARNING}
    cells = {(c.built, c.used): c.evidence for row in matrix["trace2skill"] for c in row}
    assert len(cells) == 4 and all(e is not None and e.n == 24 for e in cells.values())
    assert transfer(made(("small",)), 0) == ()


def test_text_of_models_is_inert() -> None:
    page = render_bench(made(note=POISON))
    assert POISON not in page and "&lt;script&gt;" in page


def test_a_comparison_without_results_has_a_page() -> None:
    empty = made(("small",)).model_copy(update={"entries": (), "gains": ()})
    assert "0 of 0 recipes" in render_bench(empty)


@pytest.mark.browser
def test_the_page_is_drawn(tmp_path: Path) -> None:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium on this machine")
    page, picture = tmp_path / "bench.html", tmp_path / "bench.png"
    page.write_text(render_bench(made()), "utf-8")
    command = [
        program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
        f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1200,2400", f"--screenshot={picture}", page.as_uri(),
    ]  # fmt: skip
    subprocess.run(command, capture_output=True, timeout=90, check=True)
    assert len(picture.read_bytes()) > 40_000, "a blank page is smaller"
