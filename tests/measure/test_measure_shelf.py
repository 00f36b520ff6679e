"""Lint: look-alikes, descriptions that never win, long bodies; and what agents do not show."""

from prowess.core.skill import Skill, Snapshot
from prowess.measure.shelf import crowded, losses, rendered
from prowess.measure.triggers.catalogue import listing, preset, presets
from prowess.search.lint import lint, own_queries, similar


def skill(name: str, description: str, body: str = "x\n") -> Skill:
    return Skill(name=name, description=description, body=body)


MANY = Snapshot.of([skill(f"skill-{i:02d}", f"Does thing {i} " + "very " * 100 + "well.") for i in range(60)])


def test_all_is_shown_where_it_fits() -> None:
    for agent in presets().values():
        few = Snapshot(skills=MANY.skills[:5])
        listed = listing(few, agent)
        assert losses(listed, agent) == () and crowded(few, [agent]) == ()
        assert "skill-03: Does thing 3 very" in rendered(listed, agent)


def test_every_loss_has_a_reason() -> None:
    claude, uses = preset("claude-code"), {"skill-59": 9, "skill-58": 3}
    listed = listing(MANY, claude, uses)
    lost = {loss.name: loss for loss in losses(listed, claude, uses)}
    assert "skill-59" not in lost and lost["skill-57"].shown == "name only"
    assert "8,000 characters; used 0 times" in lost["skill-57"].why
    text = rendered(listed, claude)
    assert text.endswith("- skill-56\n- skill-57") and len(text) <= 8_000, "no colon stays behind"
    codex = preset("codex", 120_000)
    shortened = losses(listing(MANY, codex), codex)
    assert {loss.shown for loss in shortened} == {"shortened"} and "used" not in shortened[0].why
    long = Snapshot.of([skill("a", "word " * 400)])
    (loss,) = losses(listing(long, claude), claude)
    assert loss.shown == "shortened" and "1,536" in loss.why


def test_a_crowded_shelf_is_a_problem_for_each_agent_with_a_budget() -> None:
    found = crowded(MANY, list(presets().values()))
    assert [p.kind for p in found] == ["shelf", "shelf"] and "name only" in found[0].what
    assert "skill-10" in found[0].advice, "the longest come first"


TWINS = [
    skill("pdf-tables", "Extract tables from PDF files into CSV.", "# PDF tables\n\nUse camelot. camelot lattice.\n"),
    skill("pdf-grids", "Extract tables from PDF files into CSV.", "# PDF grids\n\nUse tabula. tabula stream.\n"),
    skill("garden", "Plan which seeds to plant in which month, and where.", "# Seed plan\n\nSow peas.\n"),
]


def kinds(problems) -> dict[str, list[tuple[str, ...]]]:
    found: dict[str, list[tuple[str, ...]]] = {}
    for problem in problems:
        found.setdefault(problem.kind, []).append(problem.skills)
    return found


def test_lint_names_look_alikes_and_the_words_that_tell_them_apart() -> None:
    (alike,) = [p for p in lint(TWINS) if p.kind == "look-alike"]
    assert set(alike.skills) == {"pdf-tables", "pdf-grids"}
    assert "tabula" in alike.advice and "camelot" in alike.advice
    assert similar(TWINS)[0][0] > 0.6 > similar(TWINS, 0.0)[1][0]
    same = [skill("a", TWINS[0].description), skill("b", TWINS[0].description)]
    assert any("merge them" in p.advice for p in lint(same))


def test_lint_finds_the_description_that_never_wins() -> None:
    loser = skill("helper", "General help for tasks of many kinds.", "# Merge invoices by tax\n\nMerge the invoices.\n")
    winner = skill("invoice-merge", "Merge invoices by tax and account.", "# Merging\n\nDo it well and fast.\n")
    assert own_queries(loser) == ("Merge invoices by tax Merge the invoices.",)
    (problem,) = [p for p in lint([loser, winner, *TWINS]) if p.kind == "never-wins" and p.skills[0] == "helper"]
    assert problem.skills == ("helper", "invoice-merge") and "invoice" in problem.advice
    assert not [p for p in lint([loser]) if p.kind == "never-wins"], "alone it always wins"
    helped = lint([loser, winner], queries={"helper": ["general help for many tasks"]})
    assert not [p for p in helped if p.kind == "never-wins" and p.skills[0] == "helper"]


def test_lint_finds_empty_descriptions_and_tells_what_is_wrong_with_the_text() -> None:
    big, short = skill("big", "Some description of the big one here.", "word " * 5000), skill("no", "A")
    found = kinds(lint([*MANY.skills, big, short]))
    assert ("no",) in found["says-little"] and ("big",) in found["error"]
    assert lint([]) == () and kinds(lint(TWINS[2:])) == {"warning": [("garden",)]}
