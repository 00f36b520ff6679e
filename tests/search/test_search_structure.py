"""SSL: what the validator refuses, what the extractor reads, and what is made of it."""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prowess.core.skill import Skill
from prowess.core.task import File
from prowess.library.derived import Derived
from prowess.report.structure import mermaid, svg
from prowess.search.extract import extract
from prowess.search.scripts import Touch, facts_of
from prowess.search.sidecar import keep, structure_of
from prowess.search.structure import Layers, Rule, Scene, Step, problems
from prowess.search.views import compare, search_text, side_effects


def step(id: str, **more: object) -> Step:
    return Step.model_validate({"id": id, "act": "READ", "does": "read it", **more})


def scene(id: str, *steps: Step, **more: object) -> Scene:
    return Scene.model_validate(
        {"id": id, "type": "ACT", "goal": "do it", "first": steps[0].id, "steps": steps, **more}
    )


SOUND = Layers(
    goal="Sum",
    first="a",
    scenes=(
        scene("a", step("a1", output="rows"), outputs=("rows",), next=(Rule(to="b"),)),
        scene("b", step("b1"), next=(Rule(to="a", when="wrong"), Rule(to="end"))),
    ),
)


def change(**more: object) -> Layers:
    return SOUND.model_copy(update=more)


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        (change(first="c"), "starts with scene 'c'"),
        (change(scenes=()), "0 scenes"),
        (change(scenes=(scene("a", step("a")),)), "stands 2 times"),
        (change(scenes=(scene("a", step("a1"), next=(Rule(to="z"),)),)), "goes on to 'z', which is no scene"),
        (change(scenes=(scene("a", step("a1", next=(Rule(to="b"),))), scene("b", step("b1")))), "no step of scene 'a'"),
        (change(scenes=(scene("a", step("a1"), outputs=("rows",)),)), "no step of it has as output"),
        (change(scenes=(scene("a", step("a1"), first="a2"),)), "starts with step 'a2'"),
        (change(scenes=(scene("a", step("a1"), next=(Rule(to="a"),)),)), "the end is never reached"),
        (change(scenes=(scene("a", step("a1")), scene("b", step("b1")))), "'b' is never reached"),
        (change(scenes=tuple(scene(f"s{i}", step(f"t{i}")) for i in range(6))), "6 scenes"),
        (change(scenes=(scene("end", step("a1")),), first="end"), "'end' is no id"),
    ],
)  # fmt: skip
def test_every_breach_is_named(layers: Layers, said: str) -> None:
    assert any(said in problem for problem in problems(layers)), problems(layers)


def test_a_sound_structure_has_no_problems() -> None:
    assert problems(SOUND) == []


BODY = """# Invoices

## Setup

```bash
pip install openpyxl
```

## Workflow

1. Read `invoices.csv`.
2. **Compute** the totals for each account.
3. If a total is negative, stop.
4. Write `summary.xlsx`.
5. Send the summary to https://books.example.com/api with the API key.

## Check

- Verify that the totals match.
"""
SCRIPT = """
import os, argparse, requests
import pandas as pd
p = argparse.ArgumentParser(); p.add_argument("--month")
rows = pd.read_csv("ledger.csv")
if len(rows):
    requests.post("https://books.example.com", headers={"k": os.environ["BOOKS_TOKEN"]})
open("out.json", "w").write("{}")
os.remove("ledger.tmp")
"""
INVOICES = Skill(
    name="invoice-totals",
    description="Sum invoices by account. Use when the user asks for invoice totals.",
    body=BODY,
    files=(File(path="scripts/sum.py", data=SCRIPT.encode()),),
)


def test_the_extractor_reads_headings_lists_code_and_scripts() -> None:
    found = extract(INVOICES)
    layers = found.layers
    assert found.by.startswith("extractor/") and found.skill == INVOICES.digest
    assert problems(layers) == []
    assert layers.goal == "Sum invoices by account."
    assert layers.intents == ("Use when the user asks for invoice totals.",)
    assert layers.pattern == "MIXED"
    assert {"month", "invoices.csv", "ledger.csv"} <= set(layers.inputs)
    assert {"summary.xlsx", "out.json"} <= set(layers.outputs)
    assert layers.dependencies == ("pandas", "requests")
    assert [s.type for s in layers.scenes] == ["PREPARE", "ACT", "VERIFY", "ACT"]
    does = {step.does: step for step in layers.steps}
    assert does["Read invoices.csv." if "Read invoices.csv." in does else "Read `invoices.csv`."].act == "READ"
    assert does["Compute the totals for each account."].act == "TRANSFORM"
    assert "If a total is negative, stop." not in does  # no verb in front: not an act


def test_side_effects_name_scope_and_target() -> None:
    table = {(e.scope, e.act, e.target) for e in side_effects(extract(INVOICES).layers)}
    assert ("NETWORK", "REQUEST", "https://books.example.com") in table
    assert ("NETWORK", "REQUEST", "pip install openpyxl") in table
    assert ("CREDENTIALS", "READ", "$BOOKS_TOKEN") in table
    assert ("LOCAL_FS", "DELETE", "ledger.tmp") in table
    assert ("CREDENTIALS", "NOTIFY", "books.example.com") in table  # the sentence names the key
    assert not any(act == "READ" and scope == "LOCAL_FS" for scope, act, _ in table)


def test_scripts_that_cannot_be_read_have_no_facts() -> None:
    assert facts_of("a.rb", "puts 1") is None
    broken = facts_of("a.py", "def (")
    assert broken is not None and broken.touches == ()
    npm = facts_of("bash", "npm test\nnpm install test\n")
    assert npm is not None
    assert npm.touches == (Touch("runs", "PROCESS", "npm test"), Touch("calls", "NETWORK", "npm install test"))
    shell = facts_of("bash", "FOO=1 rm -rf build && curl -H $API_KEY x > out.txt\nfor f in *; do git add $f; done")
    assert shell is not None and shell.loops
    assert {Touch("deletes", "LOCAL_FS", "build"), Touch("writes", "LOCAL_FS", "out.txt")} <= set(shell.touches)
    assert {t.scope for t in shell.touches} >= {"NETWORK", "CREDENTIALS", "CODEBASE"}


@settings(max_examples=150, deadline=None)
@given(
    st.text(max_size=60),
    st.lists(
        st.one_of(
            st.sampled_from(
                ["# Setup", "## Steps", "- Read a.csv", "1. Write b.csv", "```bash", "```", "rm -rf x", "> y"]
            ),
            st.text(max_size=40),
        ),
        max_size=60,
    ),
)
def test_any_text_has_a_sound_structure_and_pictures(description: str, lines: list[str]) -> None:
    layers = extract(Skill(name="x", description=description, body="\n".join(lines))).layers
    assert problems(layers) == []
    ET.fromstring(svg(layers))
    assert mermaid(layers).startswith("flowchart TD\n")
    search_text(layers), side_effects(layers)


def test_pictures_escape_hostile_text() -> None:
    nasty = '"]; click n0 "javascript:alert(1)" <script>'
    layers = change(scenes=(scene("a", step("a1", does=nasty), goal=nasty, next=(Rule(to="end", when=nasty),)),))
    drawn = mermaid(layers)
    assert '"]' in drawn and "javascript:alert(1)" not in drawn and "<script" not in drawn
    assert "<script" not in svg(layers)
    ET.fromstring(svg(layers))


def test_a_diff_of_structures_raises_alarm_at_a_new_scope() -> None:
    old = extract(
        INVOICES.model_copy(update={"body": "1. Read `invoices.csv`.\n2. Write `summary.xlsx`.\n", "files": ()})
    )
    new = extract(INVOICES.model_copy(update={"files": ()}))
    found = compare(old.layers, new.layers)
    alarms = {d.text for d in found if d.alarming}
    assert "REQUEST NETWORK pip install openpyxl" in alarms
    assert any(d.what == "scene" and d.mark == "+" and d.text.startswith("VERIFY") for d in found)
    assert not any(d.alarming for d in compare(new.layers, old.layers))
    assert compare(new.layers, new.layers) == ()


def test_what_is_kept_beside_the_library_counts_for_its_version_only(tmp_path) -> None:
    kept = Derived(tmp_path)
    written = extract(INVOICES).model_copy(update={"by": "model-x", "layers": SOUND})
    assert structure_of(INVOICES, kept).by == "extractor/1"
    keep(written, kept)
    assert structure_of(INVOICES, kept) == written
    assert structure_of(INVOICES.model_copy(update={"body": "other\n"}), kept).by == "extractor/1"
    for damage in (b"{", b"[]", written.model_copy(update={"layers": change(first="zz")}).model_dump_json().encode()):
        kept.put("structure", INVOICES.digest, damage)
        assert structure_of(INVOICES, kept).by == "extractor/1"
    assert not list(tmp_path.rglob(".*.*")), "no scratch file stays"
    with pytest.raises(ValueError):
        kept.put("structure", "../x", b"")
