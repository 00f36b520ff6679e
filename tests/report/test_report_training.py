"""The page of a training study: what it says, what it draws, and that hostile names stay text."""

import re

from prowess.report.training import plot, render_study, sentence
from prowess.train.record import ArmRecord, Point, SeedRun, StudyRecord

HOSTILE = "<script>alert(1)</script>{{ 7 * 7 }}\N{RIGHT-TO-LEFT OVERRIDE}"


def run(seed: int, *values: float) -> SeedRun:
    points = (Point(step=10 * i, tokens=100 * i, figures={"gain": v, "other": 0.5}) for i, v in enumerate(values))
    return SeedRun(seed=seed, points=tuple(points), seconds=60.0)


def record(name: str = "method", seeds: int = 3) -> StudyRecord:
    def arm(name: str, end: float) -> ArmRecord:
        return ArmRecord(name=name, what=name, runs=tuple(run(s, 0.0, end / 2, end + s / 100) for s in range(seeds)))

    return StudyRecord(
        study=name, source=name, claim=name, substituted=name, headline="gain", model="1 parameter", machine="one",
        arms=(arm(name, 0.9), arm("baseline", 0.2), arm("the same", 0.9)),
    )  # fmt: skip


def test_the_sentence_claims_no_more_than_the_seeds_show() -> None:
    said = sentence(record())
    assert "Against baseline: +0.70, ahead." in said and "Against the same: +0.00, not enough evidence." in said
    assert "no more than a direction" in sentence(record(seeds=1))


def test_the_axis_holds_zero_one_and_what_lies_beyond() -> None:
    drawn = plot(record(), "gain")
    assert drawn.steps == 20 and [label for _, label in drawn.marks] == ["0", "0.5", "1"]
    assert drawn.lines[0].mean.startswith("M0.00 100.00 L50.00 55.00") and len(drawn.lines[0].seeds) == 3
    below = record().model_copy(update={"arms": (ArmRecord(name="a", what="", runs=(run(0, -1.0, 1.0),)),)})
    assert plot(below, "gain").lines[0].mean == "M0.00 100.00 L100.00 0.00" and plot(below, "gain").marks[0][0] == 50


def test_the_page_stands_alone_and_hostile_text_is_inert() -> None:
    html = render_study(record(HOSTILE))
    assert "<script>alert" not in html and "49" not in re.sub(r"[\d.]+ [\d.]+", "", html.split("<main>")[1])
    assert "⟨U+202E⟩" in html and "http" not in html.split("<body>")[1]
    assert "3 seeds" in html and "0.91" in html
