"""`shelf`, `lint`, `structure`, `probe` and `compile`, as a user calls them."""

import json
from pathlib import Path

import pytest

from prowess.core.patch import AppendToSection, CreateSkill, Patch
from prowess.core.skill import Skill
from prowess.library import Library

STEP = {"id": "a1", "act": "WRITE", "does": "write it", "scope": "LOCAL_FS", "target": "out.csv"}
LAYERS = {
    "goal": "Sum",
    "first": "a",
    "scenes": [{"id": "a", "type": "ACT", "goal": "g", "first": "a1", "steps": [STEP]}],
}


def add(library: Library, *skills: Skill) -> None:
    operations = tuple(CreateSkill(skill=s) for s in skills)
    library.apply(Patch(base=library.snapshot().digest, operations=operations, reason="more"))


@pytest.fixture
def many(library: Library) -> Library:
    subjects = ("invoice", "garden", "poster", "protein")
    add(
        library,
        *(
            Skill(
                name=f"{s}-work-{i}",
                description=f"Does {s} work of kind {s}{i} for people who ask.",
                body=f"# {s} {s}{i} work\n\nDo the {s} work of {s}{i} with care.\n",
            )
            for s in subjects
            for i in range(10)
        ),
    )
    return library


def test_shelf_shows_what_an_agent_sees(prowess, many, tmp_path: Path) -> None:
    done = prowess("shelf", "--json")
    assert done.code == 0 and done.data["losses"] == [] and len(done.data["listing"]["entries"]) == 41
    small = prowess("shelf", "--agent", "codex", "--window", "10000")
    assert small.code == 1 and len(small.out.strip()) <= 800 and "left out: " in small.err
    assert prowess("shelf", "--agent", "nobody").code == 2
    tree = prowess("shelf", "--tree", "--json").data
    assert len(tree["children"]) >= 2
    assert any("invoice" in child["name"] for child in tree["children"])
    old = tree["children"][0]["name"]
    script = tmp_path / "answers.json"
    script.write_text(json.dumps([json.dumps({"names": [{"category": old, "name": "My work"}]})]))
    named = prowess("shelf", "--tree", "--model", f"scripted:{script}", "--json").data
    assert named["children"][0]["name"] == "My work"
    assert prowess("shelf", "--tree", "--json").data == named, "the name is kept"
    assert "operate" in prowess("shelf", "--tree", "--verbs").out


def test_lint_says_what_to_mend(prowess, library) -> None:
    first = prowess("lint", "--json")
    assert first.code == 1 and [(p["kind"], p["skills"]) for p in first.data] == [("warning", ["ledger-totals"])]
    add(library, Skill(name="twin-a", description="Merges many PDF files into one.", body="x\n"),
        Skill(name="twin-b", description="Merges many PDF files into one.", body="x\n"))  # fmt: skip
    done = prowess("lint", "--json")
    assert done.code == 1 and done.data[0]["kind"] == "look-alike"
    assert "twin-a, twin-b" in prowess("lint").out


def test_structure_of_skills(prowess, library, tmp_path: Path) -> None:
    before = library.snapshot().digest
    assert prowess("structure", "--json").data["ledger-totals"]["by"] == "extractor/1"
    assert prowess("structure", "ledger-totals", "--picture", "svg").out.startswith("<svg")
    assert prowess("structure", "ledger-totals", "--picture", "mermaid").out.startswith("flowchart")
    assert prowess("structure", "nothing").code == 2
    line = "- Send the totals to https://books.example.com.\n"
    more = AppendToSection(name="ledger-totals", section="Rules", content=line)
    library.apply(Patch(base=before, operations=(more,), reason="x"))
    changed = prowess("structure", "--against", before)
    assert changed.code == 1 and "new scope" in changed.out and "NETWORK" in changed.out
    assert "NETWORK" in prowess("structure", "ledger-totals").out

    script = tmp_path / "answers.json"
    script.write_text(json.dumps([json.dumps(LAYERS)]))
    written = prowess("structure", "--model", f"scripted:{script}", "--json")
    assert written.data["ledger-totals"]["by"].startswith("scripted:")
    assert prowess("structure", "--json").data["ledger-totals"]["by"].startswith("scripted:"), "it is kept"


def test_structure_falls_back_when_the_model_fails(prowess, library, tmp_path: Path) -> None:
    script = tmp_path / "answers.json"
    script.write_text(json.dumps(["no"] * 3))
    done = prowess("structure", "--model", f"scripted:{script}", "--json")
    assert done.code == 0 and done.data["ledger-totals"]["by"] == "extractor/1" and "read off the text" in done.err


def test_probe_by_words_and_by_a_model(prowess, many, tmp_path: Path) -> None:
    chart = tmp_path / "c.svg"
    done = prowess(
        "probe", "--size", "5", "--size", "15", "--size", "40", "--libraries", "2", "--chart", chart, "--json"
    )
    assert done.code == 0, done.err
    words = done.data["ways"][0]
    assert [p["size"] for p in words["points"]] == [5, 15, 40] and words["points"][0]["accuracy"] == 1.0
    assert words["curve"]["falls"] is False and len(done.data["differences"]) == 2
    assert chart.read_text().startswith("<svg") and "no fall within these sizes" in chart.read_text()
    assert "skills" in prowess("probe", "--size", "5", "--libraries", "1", "--look-alikes", "0").out

    script = tmp_path / "answers.json"
    script.write_text(json.dumps([json.dumps({"skill": "none"})] * 8))
    asked = tmp_path / "asked.jsonl"
    asked.write_text('{"query": "grow beans", "skill": "garden-work-1"}\n\n')
    model = prowess(
        "probe", "--model", f"scripted:{script}", "--asked", asked, "--size", "4", "--libraries", "2", "--json"
    )
    assert [p["accuracy"] for way in model.data["ways"] for p in way["points"]] == [0, 0, 0]
    asked.write_text("{}")
    bad = prowess("probe", "--asked", asked)
    assert bad.code == 2 and "line 1" in bad.err


def test_probe_draws_strangers_from_a_folder(prowess, library, tmp_path: Path) -> None:
    for i in range(6):
        folder = tmp_path / "pool" / f"stranger-{i}"
        folder.mkdir(parents=True)
        (folder / "SKILL.md").write_text(f"---\nname: stranger-{i}\ndescription: Strange thing {i}.\n---\nx\n")
    asked = tmp_path / "asked.jsonl"
    asked.write_text('{"query": "sum ledgers by account", "skill": "ledger-totals"}')
    done = prowess("probe", "--pool", tmp_path / "pool", "--asked", asked, "--size", "7", "--libraries", "1", "--json")
    assert done.data["pool"] == 7 and done.data["ways"][0]["points"][0]["right"] == 1
    assert prowess("probe", "--asked", asked, "--size", "7").code == 2


TEAM = """
name: office
agents:
  - {name: planner, instructions: Plan the work., handoffs: [doer]}
  - {name: doer, instructions: Do the work.}
"""


def test_compile_shows_proposes_and_refuses(prowess, library, tmp_path: Path) -> None:
    team = tmp_path / "team.yaml"
    team.write_text(TEAM)
    assert "# planner" in prowess("compile", team).out
    done = prowess("compile", team, "--propose", "--json")
    assert [s["name"] for s in done.data["skills"]] == ["office", "office-planner", "office-doer"]
    assert len(library.proposals()) == 2 and prowess("apply", done.data["proposal"], "--yes").code == 0
    assert library.snapshot().get("office-doer") is not None
    team.write_text(TEAM + "protocol: debate\n")
    refused = prowess("compile", team)
    assert refused.code == 2 and "serialisable communication" in refused.err
    assert prowess("compile", tmp_path / "absent.yaml").code == 2


def test_compile_runs_both_on_tasks(prowess, library, tmp_path: Path) -> None:
    team, script = tmp_path / "team.yaml", tmp_path / "answers.json"
    team.write_text(TEAM)
    script.write_text(json.dumps(["```python\nprint(1)\n```"] * 40))
    done = prowess("compile", team, "--suite", "workbench", "--family", "ledger-totals", "-n", "2",
                   "--model", f"scripted:{script}", "--json")  # fmt: skip
    if done.code == 2 and "sandbox" in done.err:
        pytest.skip("no sandbox here")
    assert done.code == 0, done.err
    evidence = done.data["against"]["evidence"]
    assert (evidence["baseline"], evidence["treatment"], evidence["n"]) == ("team", "skills", 2)
    assert done.data["against"]["team"]["calls"] > done.data["against"]["skills"]["calls"]


def test_any_folder_of_skills_will_do(prowess, tmp_path: Path) -> None:
    for i in range(40):
        folder = tmp_path / "pool" / f"tool-{i}"
        folder.mkdir(parents=True)
        kind = ("garden", "invoice", "video", "protein")[i % 4]
        text = f"Handles {kind} of sort {kind}{i}. Use it for {kind} work."
        (folder / "SKILL.md").write_text(f"---\nname: tool-{i}\ndescription: {text}\n---\n# {kind}\n\n- Read it.\n")
    (tmp_path / "pool" / "tool-3" / "SKILL.md").write_text("no skill")
    before = sorted((tmp_path / "pool").rglob("*"))
    here = ("--skills", tmp_path / "pool")
    found = prowess("search", "video", "video6", *here, "--json")
    assert found.data[0]["name"] == "tool-6" and "left out: tool-3" in found.err
    assert prowess("search", "video6", "--router", "hierarchical", *here, "--json").data[0]["name"] == "tool-6"
    assert prowess("search", "video6", "--router", "learned", *here).code == 2
    assert prowess("route", "Do", "the", "video", "work", "of", "video6", *here, "--json").data["skills"]
    assert len(prowess("shelf", *here, "--json").data["listing"]["entries"]) == 39
    assert len(prowess("shelf", "--tree", *here, "--json").data["children"]) >= 2
    assert prowess("lint", *here, "--json").data
    assert prowess("structure", "tool-6", *here).code == 0
    assert prowess("structure", "--against", "abc", *here).code == 2
    assert prowess("probe", *here, "--size", "5", "--libraries", "1", "--json").data["pool"] == 39
    assert prowess("search", "x", *here, "--library", tmp_path).code == 2
    assert prowess("search", "x", "--skills", tmp_path / "absent").code == 2
    assert sorted((tmp_path / "pool").rglob("*")) == before, "nothing is written"
