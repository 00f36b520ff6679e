"""What an agent is shown of a library."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trigger_parts import LIBRARY, skill

from prowess.core.errors import UserError
from prowess.core.skill import Snapshot
from prowess.measure.triggers.catalogue import listing, preset, presets, view

lengths = st.lists(st.integers(1, 1024), min_size=1, max_size=60)


def library(sizes: list[int]) -> Snapshot:
    return Snapshot.of([skill(f"skill-{i:03}", "x" * n) for i, n in enumerate(sizes)])


def test_presets_name_their_source() -> None:
    assert set(presets()) == {"claude-code", "codex", "all"}
    assert preset("claude-code").budget == 8_000, "anthropics/claude-code#64606"
    assert preset("codex").budget == 5_440 * 4, "openai/codex#24299"
    assert preset("all").budget is None
    assert preset("codex", 100_000).budget == 8_000
    assert all("http" not in p.source and "20" in p.source for p in presets().values())
    with pytest.raises(UserError, match="choose one of claude-code"):
        preset("cursor")


@settings(deadline=None)
@given(lengths, st.sampled_from(["claude-code", "codex", "all"]), st.integers(1_000, 40_000))
def test_a_list_keeps_to_its_budget(sizes: list[int], name: str, window: int) -> None:
    snapshot, chosen = library(sizes), preset(name, window)
    found = listing(snapshot, chosen)
    assert sorted(e.name for e in found.entries) == list(snapshot.names)
    lines = [chosen.line.format(name=e.name, description=e.description) for e in found.entries if e.shown != "left out"]
    assert found.used == sum(len(line) + 1 for line in lines)
    if chosen.budget is not None and any(e.description for e in found.entries):
        assert found.used <= chosen.budget
    if name == "claude-code":
        assert all(e.shown != "left out" for e in found.entries), "every name is listed"
    for e in found.entries:
        whole = snapshot.get(e.name)
        assert whole is not None and whole.description.startswith(e.description)
        assert (e.shown == "whole") == (e.description == whole.description)


def test_claude_code_drops_whole_descriptions_of_those_used_least() -> None:
    snapshot = library([900] * 20)
    fresh = listing(snapshot, preset("claude-code"))
    assert [e.shown for e in fresh.entries] == ["whole"] * 8 + ["name only"] * 12
    used = listing(snapshot, preset("claude-code"), {"skill-019": 5, "skill-007": 1})
    assert [e.name for e in used.entries[:3]] == ["skill-019", "skill-007", "skill-000"]
    assert used.entry("skill-006").shown == "name only"  # type: ignore[union-attr]


@settings(deadline=None)
@given(lengths, st.integers(1_000, 30_000))
def test_codex_gives_characters_out_in_turn(sizes: list[int], window: int) -> None:
    chosen = preset("codex", window)
    found = listing(library(sizes), chosen)
    given_out = [len(e.description) for e in found.entries]
    room = (chosen.budget or 0) - sum(
        len(chosen.line.format(name=e.name, description="")) + 1 for e in found.entries if e.shown != "left out"
    )
    if any(e.shown == "left out" for e in found.entries):
        assert not any(given_out)
        return
    slow = [0] * len(sizes)
    while room > 0 and any(got < size for got, size in zip(slow, sizes, strict=True)):
        for i, size in enumerate(sizes):
            if room > 0 and slow[i] < size:
                slow[i], room = slow[i] + 1, room - 1
    assert given_out == slow


def test_the_view_shows_what_is_listed_and_no_more() -> None:
    snapshot = library([900] * 400)
    found = listing(snapshot, preset("codex"))
    seen = view(snapshot, found)
    assert seen.disclosure == "progressive" and len(seen.skills) < 400
    assert {s.name: s.description for s in seen.skills} == {
        e.name: e.description for e in found.entries if e.shown != "left out"
    }
    assert all(s.body == "Do it.\n" for s in seen.skills), "what is loaded is the whole skill"
    small = listing(LIBRARY, preset("claude-code"))
    assert {e.shown for e in small.entries} == {"whole"} and view(LIBRARY, small).skills == LIBRARY.skills


def test_lines_of_a_description_become_one() -> None:
    snapshot = Snapshot.of([skill("a", "one\n  two\tthree")])
    assert listing(snapshot, preset("all")).entries[0].description == "one two three"
    assert listing(Snapshot(), preset("codex")).entries == ()
