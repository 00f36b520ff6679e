"""What agents see: budgets are held, losses are named, nothing depends on chance."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prowess.core.errors import UserError
from prowess.core.skill import Skill
from prowess.search.lint import lint, own_queries, similar
from prowess.search.shelf import preset, presets, shelve


def skill(name: str, description: str, body: str = "x\n") -> Skill:
    return Skill(name=name, description=description, body=body)


MANY = [skill(f"skill-{i:02d}", f"Does thing {i} " + "very " * 40 + "well.") for i in range(60)]


def test_all_is_shown_where_it_fits() -> None:
    for agent in presets().values():
        shelf = shelve(MANY[:5], agent)
        assert shelf.losses == () and shelf.over == 0 and len(shelf.shown) == 5
        assert "Does thing 3" in shelf.text


def test_claude_code_keeps_names_and_drops_descriptions_of_the_least_used() -> None:
    shelf = shelve(MANY, preset("claude-code"), uses={"skill-59": 9, "skill-58": 3})
    assert shelf.budget == 8_000 and len(shelf.text) <= 8_000 and shelf.over == 0
    assert len(shelf.shown) == 60
    lost = {loss.name for loss in shelf.losses}
    assert "skill-59" not in lost and "skill-58" not in lost and "skill-57" in lost
    assert {loss.lost for loss in shelf.losses} == {"description"}
    assert "- skill-57\n" in shelf.text, "no colon stays behind"
    assert "used 0 times" in shelf.losses[-1].why
    assert shelve(MANY, preset("claude-code"), budget=100).over > 0, "names never go"


def test_codex_shortens_all_alike_then_leaves_entries_out() -> None:
    codex = preset("codex")
    assert codex.budget() == 8_000 and codex.budget(200_000) == 16_000
    shelf = shelve(MANY, codex)
    assert len(shelf.text) <= 8_000 and len(shelf.shown) == 60
    assert len({loss.characters for loss in shelf.losses}) <= 2
    tiny = shelve(MANY, codex, budget=300)
    assert len(tiny.text) <= 300 and 0 < len(tiny.shown) < 60
    assert {loss.lost for loss in tiny.losses} >= {"entry"}


def test_one_entry_is_cut_at_the_agents_own_length() -> None:
    shelf = shelve([skill("a", "word " * 400)], preset("claude-code"))
    (loss,) = shelf.losses
    assert loss.lost == "end of description" and "1,536" in loss.why


@settings(max_examples=80, deadline=None)
@given(
    st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.text(max_size=120), max_size=12),
    st.integers(1, 900),
    st.sampled_from(sorted(presets())),
)
def test_budgets_hold_and_every_loss_is_named(described: dict[str, str], budget: int, agent: str) -> None:
    skills = [skill(name, text) for name, text in described.items()]
    shelf = shelve(skills, preset(agent), budget=budget)
    assert len(shelf.text) <= budget or (shelf.over and agent == "claude-code")
    whole = {name: " ".join(text.split()) for name, text in described.items()}
    untouched = set(whole) - {loss.name for loss in shelf.losses}
    assert all(name in shelf.shown and whole[name] in shelf.text for name in untouched)
    assert shelve(list(reversed(skills)), preset(agent), budget=budget) == shelf


def test_unknown_agents_and_budgets() -> None:
    with pytest.raises(UserError, match="not known"):
        preset("nobody")
    with pytest.raises(UserError, match="at least 1"):
        shelve(MANY, preset("codex"), budget=0)


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


def test_lint_finds_full_shelves_long_bodies_and_empty_descriptions() -> None:
    big, short = skill("big", "Some description of the big one here.", "word " * 5000), skill("no", "A")
    found = kinds(lint([*MANY, big, short]))
    assert ("big",) in found["long-body"] and ("no",) in found["says-little"]
    assert len(found["shelf"]) == 2, "two agents have budgets"
    assert lint([]) == () and kinds(lint(TWINS[2:])) == {}
