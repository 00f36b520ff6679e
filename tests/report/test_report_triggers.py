"""The pages of triggers and of the funnel: what they say, and that hostile text stays text."""

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_report_page import HOSTILE, browse, pixels, read

from prowess.core.skill import Skill, Snapshot
from prowess.measure.funnel import funnel
from prowess.measure.triggers.catalogue import listing, preset
from prowess.measure.triggers.record import TriggerRecord
from prowess.measure.triggers.results import Confusion, compare_descriptions, results
from prowess.measure.triggers.sets import Query
from prowess.measure.triggers.trials import Decision
from prowess.report.triggers import DRAWN, funnel_sentence, matrix, render_funnel, render_triggers, sentence
from prowess.trajectories.store import Use

__all__ = ["browse"]


def record(text: str = "fill in my form", names: int = 12, compare: bool = False) -> TriggerRecord:
    skills = [Skill(name=f"skill-{i:02}", description=f"{text} {i} " + "x" * 700, body="b\n") for i in range(names)]
    library = Snapshot.of(skills)
    listed = listing(library, preset("claude-code"))
    queries = tuple(
        Query(query=f"{text} {i}", should=(s.name,), should_not=("skill-00",) if i else (), part="held-out")
        for i, s in enumerate(library.skills)
    )
    arms = ("old", "new") if compare else ("library",)
    decisions = tuple(
        Decision(
            query=q.key,
            arm=arm,
            seed=seed,
            loaded=None if i == 3 else (q.should if i % 2 else ("skill-00",)),
            ended="missing" if i == 3 else "turns",
            trajectory="t",
            error=text if i == 3 else "",
        )
        for i, q in enumerate(queries)
        for arm in arms
        for seed in (0, 1)
    )
    shown = dict.fromkeys(arms, listed)
    return TriggerRecord(
        preset=preset("claude-code"),
        queries=queries,
        decisions=decisions,
        arms=tuple(results(queries, decisions, listed, arm=arm, agent=text) for arm in arms),
        comparison=compare_descriptions(queries, decisions, "skill-00", shown) if compare else None,
    )


def test_the_page_says_what_was_measured() -> None:
    found = record()
    text = " ".join(" ".join(read(render_triggers(found)).text).split())
    assert sentence(found) in text
    for part in (
        "Of 22 runs that should load a skill, 12 did",
        "2 missing runs",
        "name only",
        "10 whole",
        "should load",
        "Claude Code",
        "8,000",
    ):
        assert part in text
    assert "lists its skills itself" in " ".join(read(render_triggers(found, external=True)).text)


def test_a_comparison_shows_verdict_and_both_descriptions() -> None:
    page = render_triggers(record(compare=True))
    text = " ".join(" ".join(read(page).text).split())
    assert "Not enough evidence" in text and "Not enough evidence that the new description of skill-00" in text
    assert "fill in my form 0 xxx" in text and "that should not" in text


def test_empty_records_are_pages_too() -> None:
    bare = record(names=1)
    bare = bare.model_copy(
        update={"decisions": (), "arms": (results(bare.queries, (), bare.arms[0].listing, arm="x", agent="a"),)}
    )
    assert "No run came to its end" in render_triggers(bare)
    assert "no skills were offered" in render_funnel(funnel([]))


def test_the_matrix_keeps_those_with_most_mistakes() -> None:
    found = [Confusion(expected=f"s{i:02}", loaded="", runs=i) for i in range(50)]
    drawn = matrix(found)
    assert drawn.left_out == 50 - DRAWN and len(drawn.rows) == DRAWN and drawn.rows[-1].label == "s49"
    assert all(0 <= cell.shade <= 1 for cell in drawn.cells)
    one = matrix([Confusion(expected="a", loaded="b", runs=1), Confusion(expected="a", loaded="a", runs=3)])
    cells = {cell.says: cell for cell in one.cells}
    assert cells["3 of 4: should load a, loaded a"].right and cells["1 of 4: should load a, loaded b"].shade == 0.25
    assert matrix([]).rows == ()


def uses(name: str = "ledger-totals") -> list[Use]:
    def one(offered: bool, passed: bool, i: int) -> Use:
        names = (name,) if offered else ()
        return Use(f"t{i}", "a", "m", 0, "completed", passed, names, names, names)

    return [one(offered, offered or i < 3, i) for i in range(12) for offered in (False, True)]


def test_the_funnel_page_has_every_denominator() -> None:
    found = funnel(uses())
    text = " ".join(" ".join(read(render_funnel(found)).text).split())
    assert funnel_sentence(found) in text
    for part in ("12 of 24", "12 of 12", "+75 points", "9 won · 3 tied · 0 lost"):
        assert part in text


@pytest.mark.parametrize(
    "page",
    [render_triggers(record(HOSTILE, compare=True)), render_funnel(funnel(uses(HOSTILE)))],
    ids=["triggers", "funnel"],
)
def test_hostile_text_stays_text(page: str) -> None:
    reader = read(page)
    assert reader.tags.count("script") == 1 and reader.tags.count("style") == 1 and "img" not in reader.tags
    for name, value in reader.attributes:
        assert not name.startswith("on") and name not in {"src", "style", "action"}
        assert name != "href" or (value or "").startswith("#")
    assert "alert(1)" in "".join(reader.text) and not re.search(r"url\(|@import|https?://", page)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(codec="utf-8"), min_size=1, max_size=40))
def test_any_text_gives_a_well_formed_page(text: str) -> None:
    for page in (render_triggers(record(text, names=3)), render_funnel(funnel(uses(text)))):
        page.encode()
        assert read(page).tags.count("script") == 1


@pytest.mark.browser
@pytest.mark.parametrize("kind", ["triggers", "funnel"])
def test_pictures_are_not_blank(browse, tmp_path: Path, kind: str) -> None:
    page, picture = tmp_path / "page.html", tmp_path / "page.png"
    page.write_text(
        render_triggers(record(compare=True)) if kind == "triggers" else render_funnel(funnel(uses())), "utf-8"
    )
    browse(page, "--window-size=1200,1600", f"--screenshot={picture}")
    width, height, rows = pixels(picture)
    assert (width, height) == (1200, 1600) and len(rows) > 200
