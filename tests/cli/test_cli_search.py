"""Finding skills on the command line: search, route, index, router train."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from prowess.core.patch import CreateSkill, Patch
from prowess.core.skill import Skill
from prowess.library import Library
from prowess.search import keeping
from prowess.search.keeping import index_path

sys.path.append(str(Path(__file__).parents[1] / "search"))
from search_parts import Synonyms

QUERY = ("sum", "the", "ledger", "by", "account", "under", "the", "house", "rules")


def add(library: Library, *skills: Skill) -> None:
    base = library.snapshot().digest
    library.apply(Patch(base=base, operations=tuple(CreateSkill(skill=s) for s in skills), reason="test"))


def made(name: str, description: str, **more: object) -> Skill:
    return Skill.model_validate({"name": name, "description": description, "body": f"# {name}\n", **more})


@pytest.fixture
def vectors(monkeypatch: pytest.MonkeyPatch) -> Synonyms:
    """The encoder that any name stands for."""
    encoder = Synonyms()
    for module in ("prowess.search.encoders", "prowess.search.keeping"):
        monkeypatch.setattr(f"{module}.open_encoder", lambda source, cache: encoder)
    return encoder


# search


def test_the_index_follows_every_change(prowess, library: Library) -> None:
    assert prowess("search", "zeppelin").code == 1
    add(library, made("airship", "Flies a zeppelin."))
    assert prowess("search", "zeppelin", "--json").data[0]["name"] == "airship"
    (library.path / "airship" / "SKILL.md").write_text("---\nname: airship\ndescription: Flies a balloon.\n---\n\nx\n")
    assert prowess("search", "zeppelin").code == 1 and prowess("search", "balloon").code == 0
    shutil.rmtree(library.path / "airship")
    assert prowess("search", "balloon").code == 1
    (library.path / "ledger-totals" / "SKILL.md").write_text("no frontmatter: no skill")
    assert prowess("search", "void", "rows").code == 1


def test_only_what_changed_is_read(library: Library, tmp_path: Path) -> None:
    index = keeping.open_index(library, tmp_path)
    add(library, made("one", "first"), made("two", "second"))
    assert keeping.refresh(index, library) == keeping.Kept(3, 0)
    assert keeping.refresh(index, library) == keeping.Kept(0, 0)
    (library.path / "one" / "notes.md").write_text("more")
    assert keeping.refresh(index, library) == keeping.Kept(1, 0)
    shutil.rmtree(library.path / "one")
    assert keeping.refresh(index, library) == keeping.Kept(0, 1)


def test_filters_and_snippets(prowess, library: Library) -> None:
    add(library, made("git-merge", "Merges branches.", metadata={"tags": "git"}, allowed_tools="Bash"))
    assert [row["name"] for row in prowess("search", "merges", "--tag", "git", "--json").data] == ["git-merge"]
    assert prowess("search", "merges", "--tag", "csv").code == 1
    assert prowess("search", "merges", "--tool", "Read").code == 1
    assert prowess("search", "merges", "--tool", "Bash").code == 0
    assert prowess("search", "merges", "--kind", "program").code == 1
    assert "[Merges]" in prowess("search", "merges").out


def test_tiers_are_those_that_somebody_vouched_for(prowess, library: Library) -> None:
    add(library, made("git-merge", "Merges branches.", metadata={"tier": "T4"}), made("git-pick", "Merges one commit."))
    assert prowess("trust", "git-pick", "--to", "T2", "--yes").code == 0

    def found(*tier: str) -> list[str]:
        return sorted(row["name"] for row in prowess("search", "merges", *tier, "--json").data)

    assert found() == found("--tier", "T1") == ["git-merge", "git-pick"]
    assert found("--tier", "reviewed") == ["git-pick"], "what a skill says of itself counts for nothing"
    assert prowess("route", "merges", "--tier", "T3").code == 1
    prowess("trust", "git-pick", "--to", "T1", "--reason", "a finding")
    assert found("--tier", "T2") == []
    assert prowess("search", "merges", "--tier", "T9").code == 2
    assert prowess("search", "merges", "--tier", "T2", "--skills", library.path).code == 2


def test_two_libraries_the_project_counts(prowess, library: Library, home: Path) -> None:
    project = Library.open(Path.cwd() / ".agents" / "skills", create=True)
    add(project, made("ledger-totals", "Sums ledgers of this project."), made("local", "Reads ledgers here."))

    def found(word: str, *scope: str) -> dict[str, str]:
        return {row["name"]: row["library"] for row in prowess("search", word, *scope, "--json").data}

    ours, mine = str(project.path), str(library.path)
    assert found("ledgers") == {"ledger-totals": ours, "local": ours}
    assert found("void", "--scope", "user") == {"ledger-totals": mine}
    assert found("void") == {}, "the project's skill of that name hides it"
    assert found("ledgers", "--scope", "project").keys() == {"ledger-totals", "local"}
    assert prowess("search", "void", "--scope", "moon").code == 2
    assert prowess("search", "void", "--scope", "user", "--library", library.path).code == 2


def test_a_broken_index_is_made_anew(prowess, library: Library) -> None:
    assert prowess("search", "void").code == 0
    for suffix in ("-wal", "-shm"):
        Path(f"{index_path(library)}{suffix}").unlink(missing_ok=True)
    index_path(library).write_bytes(b"junk" * 1000)
    assert "ledger-totals" in prowess("search", "void").out


# route


def test_route_names_the_skill_or_says_that_none_is_needed(prowess, library: Library) -> None:
    done = prowess("route", *QUERY)
    assert done.code == 0 and "ledger-totals" in done.out and "chance" in done.out
    none = prowess("route", "what", "is", "the", "capital", "of", "france")
    assert none.code == 1 and none.out == "" and "no skill is needed" in none.err
    data = prowess("route", *QUERY, "--json").data
    assert data["needed"] and data["router"] == "lexical" and 0.5 < data["skills"][0]["chance"] <= 1


def test_categories_may_route(prowess, library: Library) -> None:
    kinds = ("invoice", "garden", "protein", "video")
    add(library, *(made(f"{kind}-{i}", f"Handles {kind} of sort {kind}{i}.") for kind in kinds for i in range(10)))
    found = prowess("search", "garden", "garden7", "--router", "hierarchical", "--json").data
    assert found[0]["name"] == "garden-7"
    assert prowess("search", "zeppelin", "--router", "hierarchical").code == 1


def test_a_damaged_router_is_told_and_not_used(prowess, library: Library, vectors: Synonyms) -> None:
    prowess("index", "--encoder", "folder")
    (library.own / "router.npz").write_bytes(b"junk")
    done = prowess("search", "void")
    assert done.code == 0 and "ledger-totals" in done.out and "without what was learned" in done.err


@pytest.mark.parametrize("router", ["dense", "hybrid", "learned", "nonsense"])
def test_routers_that_are_not_ready_say_what_to_do(prowess, library: Library, router: str) -> None:
    done = prowess("route", "x", "--router", router)
    assert done.code == 2 and done.err.count("→") == 1


def test_a_model_may_route(prowess, library: Library, tmp_path: Path) -> None:
    add(library, made("ledger-other", "Sums ledgers by account under the house rules, too."))
    first = prowess("search", *QUERY, "--json").data[0]["name"]
    script = tmp_path / "answers.json"
    script.write_text(json.dumps([json.dumps({"best_first": [2, 1]})]))
    done = prowess("route", *QUERY, "--router", "model", "--model", f"scripted:{script}", "--json")
    assert done.code == 0, done.err
    assert done.data["router"] == "model" and done.data["skills"][0]["name"] != first


# index


def test_index_says_what_is_in_it(prowess, library: Library) -> None:
    assert prowess("index", "--json").data["indexed"] == 1
    again = prowess("index", "--json").data
    assert (again["skills"], again["indexed"], again["encoder"]) == (1, 0, "")
    assert prowess("index", "--rebuild", "--json").data["indexed"] == 1
    assert "1 skills can be found by words" in prowess("index").out
    (library.path / "broken").mkdir()
    (library.path / "broken" / "SKILL.md").write_text("no frontmatter")
    assert prowess("index", "--json").data["unreadable"] == ["broken"] and "left out: broken" in prowess("index").err


def test_an_encoder_stays_until_it_is_taken_away(prowess, library: Library, vectors: Synonyms) -> None:
    add(library, made("garage", "Repairs a vehicle."))
    assert prowess("index", "--encoder", "folder", "--json").data["encoder"] == "synonyms"
    assert prowess("search", "automobile", "-n", "1", "--json").data[0]["name"] == "garage"
    assert prowess("route", "automobile", "--json").data["router"] == "hybrid"
    assert prowess("index", "--json").data["encoder"] == "synonyms"
    assert prowess("index", "--encoder", "none", "--json").data["encoder"] == ""
    assert prowess("search", "automobile").code == 1


def test_a_lost_encoder_leaves_search_by_words(prowess, library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    keeping.refresh(keeping.SearchIndex(index_path(library), Synonyms()), library)
    done = prowess("search", "void")
    assert done.code == 0 and "ledger-totals" in done.out and "by words alone" in done.err


# router train


def log_file(path: Path, count: int, helper: str) -> Path:
    rows = [{"query": f"please handle topic case{i}", "skill": helper, "helped": True} for i in range(count)]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def test_a_better_router_is_used_and_one_that_is_not_is_refused(
    prowess, library: Library, vectors: Synonyms, tmp_path: Path
) -> None:
    add(library, *(made(f"tool-{i}", f"Tool t{i} for general work on a case.") for i in range(8)))
    prowess("index", "--encoder", "folder")
    log = log_file(tmp_path / "log.jsonl", 80, "tool-5")
    first = prowess("router", "train", "--from", log, "--json")
    assert first.code == 0, first.err
    assert first.data["used"] and first.data["evidence"]["outcome"] == "better" and first.data["old"] == "hybrid"
    assert prowess("route", "please handle topic", "--json").data["router"] == "learned"
    assert prowess("search", "please handle topic", "--json").data[0]["name"] == "tool-5"
    again = prowess("router", "train", "--from", log)
    assert again.code == 1 and "the old router stays" in again.out and "not enough evidence" in again.out


def test_too_little_or_wrong_experience(prowess, library: Library, vectors: Synonyms, tmp_path: Path) -> None:
    prowess("index", "--encoder", "folder")
    assert "only 0 queries" in prowess("router", "train").err
    assert prowess("router", "train", "--from", tmp_path / "absent").code == 2
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"query": "a", "skill": "b", "helped": true}\n{"query": 3}\n')
    done = prowess("router", "train", "--from", bad)
    assert done.code == 2 and "line 2" in done.err


def test_without_vectors_there_is_nothing_to_train(prowess, library: Library, tmp_path: Path) -> None:
    done = prowess("router", "train", "--from", log_file(tmp_path / "log.jsonl", 80, "ledger-totals"))
    assert done.code == 2 and "--encoder static" in done.err
