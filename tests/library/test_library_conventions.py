"""What other tools of the ecosystem read and write: `skills-lock.json`, `.well-known`, `evals.json`, the plugins."""

import hashlib
import io
import json
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest

from prowess.core.errors import UserError
from prowess.core.patch import CreateSkill, Patch
from prowess.core.skill import Skill
from prowess.library import Library, skills_lock, well_known
from prowess.library.skillmd import read as read_skill
from prowess.suites import evals

ROOT = Path(__file__).parents[2]
ONE = {"SKILL.md": b"---\nname: one\ndescription: Does one thing. Use for one.\n---\n\nOne.\n"}
TWO = {"SKILL.md": ONE["SKILL.md"].replace(b"one", b"two"), "scripts/Run.py": b"#!x\n", "assets/a.bin": b"\xff\x00"}
# The order in which `localeCompare` of ICU puts them.
ICU = [
    ".hidden", "10.txt", "9.txt", "a_b.md", "a-b.md", "a.md", "A.md", "ab.md", "assets/x.md", "README.md",
    "references-old.md", "references/rates.md", "scripts/run.py", "scripts/Run2.py", "skill.md", "SKILL.md", "x-y.py",
    "x.py", "x/y.py", "z.md", "Z.md",
]  # fmt: skip


def test_the_hash_of_npx_skills_goes_over_paths_in_the_order_of_icu() -> None:
    shuffled = random.Random(0).sample(ICU, len(ICU))
    expected = hashlib.sha256(b"".join(p.encode() + p.upper().encode() for p in ICU)).hexdigest()
    assert skills_lock.computed_hash({p: p.upper().encode() for p in shuffled}) == expected
    assert skills_lock.computed_hash({**ONE, "node_modules/x": b"1"}) == skills_lock.computed_hash(ONE)


def test_entries_of_others_survive_and_ours_come_and_go(tmp_path: Path) -> None:
    path = tmp_path / "skills-lock.json"
    theirs = {"source": "o/r", "ref": "v1", "sourceType": "github", "computedHash": "0" * 64, "later": [1]}
    path.write_text(
        json.dumps({"version": 1, "skills": {"theirs": theirs, "two": {**theirs, "computedHash": "1" * 64}}})
    )
    skills_lock.write(path, {"one": ONE, "two": TWO})
    text = path.read_text()
    found = json.loads(text)
    assert list(found["skills"]) == ["one", "theirs", "two"] and text.endswith("}\n")
    assert found["skills"]["theirs"] == theirs
    assert found["skills"]["two"] == {**theirs, "computedHash": skills_lock.computed_hash(TWO)}
    assert found["skills"]["one"]["source"] == "prowess"
    skills_lock.write(path, {"one": ONE, "two": TWO})
    assert path.read_text() == text, "equal skills give equal bytes"
    assert [d.kind for d in skills_lock.check(path, {"one": ONE, "two": ONE, "new": ONE})] == [
        "added",
        "missing",
        "changed",
    ]
    skills_lock.write(path, {"two": TWO})
    assert list(json.loads(path.read_text())["skills"]) == ["theirs", "two"]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"version": 2, "skills": {}}', '{"version":1,"skills":{"x":{"source":"a"}}}', "<<<<<<< HEAD\n{}"],
)
def test_what_is_no_lock_file_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "skills-lock.json"
    path.write_text(text)
    for attempt in (lambda: skills_lock.read(path), lambda: skills_lock.write(path, {"one": ONE})):
        with pytest.raises(UserError):
            attempt()
    assert path.read_text() == text


def test_skills_are_published_with_the_digest_of_what_is_served(tmp_path: Path) -> None:
    files = well_known.published({"two": TWO, "one": ONE, "none": {"README.md": b"x"}})
    index = json.loads(files["index.json"])
    assert [(s["name"], s["type"]) for s in index["skills"]] == [("one", "skill-md"), ("two", "archive")]
    for entry in index["skills"]:
        served = files[entry["url"].removeprefix(f"/{well_known.PREFIX}/")]
        assert entry["digest"] == f"sha256:{hashlib.sha256(served).hexdigest()}"
    with zipfile.ZipFile(io.BytesIO(files["two.zip"])) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == TWO
    assert files == well_known.published({"one": ONE, "two": TWO})
    well_known.write(tmp_path, {"one": ONE, "two": TWO})
    assert (tmp_path / ".well-known/agent-skills/one/SKILL.md").read_bytes() == ONE["SKILL.md"]


def test_evals_of_skill_creator_are_tasks_and_back() -> None:
    given = {
        "skill_name": "one",
        "evals": [
            {"id": 1, "prompt": "do it", "expected_output": "a table", "files": ["evals/files/in.csv"],
             "expectations": ["It has a header.", "It has totals."]},
            {"id": "b", "prompt": "do more", "assertions": [], "expected_output": "a list", "unknown": 1},
        ],
    }  # fmt: skip
    tree = {**ONE, "evals/evals.json": json.dumps(given).encode(), "evals/files/in.csv": b"a;b\n"}
    first, second = evals.tasks(tree)
    assert (first.id, first.files[0].path, first.files[0].data) == ("one/1", "in.csv", b"a;b\n")
    assert evals.rubric(first) == ("It has a header.", "It has totals.")
    assert evals.rubric(second) == ("The work is what was expected: a list",)
    written = evals.dump("one", (first, second))
    rows = json.loads(written[0].data)["evals"]
    assert rows[0]["assertions"] == ["It has a header.", "It has totals."] and rows[0]["files"] == [
        "evals/files/1/in.csv"
    ]
    again = evals.tasks({f.path: f.data for f in written})
    assert [(t.prompt, t.files, evals.rubric(t)) for t in again] == [
        (t.prompt, t.files, evals.rubric(t)) for t in (first, second)
    ]
    assert evals.tasks(ONE) == ()


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b'{"skill_name":"x"}', b'{"skill_name":"x","evals":[{"id":1,"prompt":""}]}', b"\xff",
     b'{"skill_name":"x","evals":[{"id":1,"prompt":"p","files":["../../etc/passwd"]}]}',
     b'{"skill_name":"x","evals":[{"id":1,"prompt":"p","files":["nowhere.txt"]}]}'],
)  # fmt: skip
def test_evals_that_do_not_fit_are_refused(data: bytes) -> None:
    with pytest.raises(UserError):
        evals.tasks({**ONE, "evals/evals.json": data})


# Files of this repository that other programs read


def load(path: str) -> Any:
    return json.loads((ROOT / path).read_text("utf-8"))


def test_the_plugins_name_what_is_there_and_the_version_of_the_package() -> None:
    from prowess import __version__

    for market, plugin in (
        (".claude-plugin/marketplace.json", ".claude-plugin"),
        (".agents/plugins/marketplace.json", ".codex-plugin"),
    ):
        (entry,) = load(market)["plugins"]
        source = entry["source"] if isinstance(entry["source"], str) else entry["source"]["path"]
        folder = ROOT / source
        made = load(f"{source}/{plugin}/plugin.json")
        assert made["name"] == entry["name"] == "prowess" and made["version"] == __version__
        for key in ("skills", "mcpServers", "hooks"):
            assert key not in made or (folder / made[key]).exists()
    skill = (ROOT / "plugins/prowess/skills/prowess/SKILL.md").read_text("utf-8")
    assert read_skill(skill, "prowess").problems == ()


def test_the_plugin_calls_verbs_that_exist() -> None:
    import re

    from prowess.cli.reference import reference

    known = set(re.findall(r"^### ([\w-]+)", reference(), re.M))
    text = "".join(p.read_text("utf-8") for p in (ROOT / "plugins").rglob("*.*") if p.is_file())
    named = set(re.findall(r"`?\bprowess ([a-z]+)\b", re.sub(r"\"args\"", "", text)))
    assert {"search", "capture", "review", "measure"} <= named
    assert named - known <= {"runs", "turns"}, "words behind the name that are no verbs"
    hook = load("plugins/prowess/hooks/hooks.json")["hooks"]["SessionEnd"][0]["hooks"][0]["command"]
    assert hook == "prowess capture --hook"
    assert load("plugins/prowess/.mcp.json")["mcpServers"]["prowess"]["args"] == ["serve", "mcp"]


def test_the_action_is_valid_and_puts_no_input_into_a_command() -> None:
    import yaml

    action = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
    runs = [step["run"] for step in action["runs"]["steps"] if "run" in step]
    assert len(runs) == 4 and not any("${{" in run for run in runs), "a branch's name could else run programs"


def test_a_library_is_exported_to_both(tmp_path: Path) -> None:
    library = Library.open(tmp_path / "library", create=True)
    skill = Skill(name="late-fees", description="Works out late fees. Use for reminders.", body="Ten.\n")
    library.apply(Patch(base=library.snapshot().digest, operations=(CreateSkill(skill=skill),), reason="made"))
    path = tmp_path / "skills-lock.json"
    skills_lock.write(path, library.trees())
    assert skills_lock.check(path, library.trees()) == []
