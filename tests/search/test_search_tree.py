"""The category tree: every skill once, small nodes, upkeep that leaves the rest alone, and routing through it."""

import random

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

from prowess.core.skill import Skill, Snapshot
from prowess.library.derived import Derived
from prowess.search.filters import Filter
from prowess.search.hierarchy import Hierarchical
from prowess.search.index import EVERYTHING, SearchIndex
from prowess.search.tree import FANOUT, FLAT, Tree, by_verb, grow, kept_tree, renamed, tend

SUBJECTS = {
    "invoice": "invoice ledger account payment tax",
    "protein": "protein structure fold residue sequence",
    "video": "video clip frame codec subtitle",
    "database": "database table query index row",
    "poster": "poster layout font colour print",
    "garden": "garden soil seed plant water",
}


def library(each: int, seed: int = 0) -> list[Skill]:
    """`each` skills on each of six subjects, with words of their own."""
    draw = random.Random(seed)
    found: list[Skill] = []
    for subject, words in SUBJECTS.items():
        for i in range(each):
            said = " ".join(draw.sample(words.split(), 3))
            found.append(
                Skill(
                    name=f"{subject}-{i}", description=f"Handles {subject} {said} number{i}.", body=f"{words} {said}\n"
                )
            )
    return found


def names(tree: Tree) -> list[str]:
    return sorted(tree.root.skills)


def test_a_small_library_stays_flat() -> None:
    tree = grow(library(5))
    assert len(library(5)) == FLAT and not tree.root.children and len(tree.root.members) == FLAT
    assert grow([]).root.members == ()


def test_categories_follow_subjects_and_have_telling_names() -> None:
    tree = grow(library(15))
    pure = 0
    for leaf in tree.root.leaves:
        subjects = [name.rpartition("-")[0] for name in leaf.members]
        pure += max(subjects.count(s) for s in set(subjects))
    assert pure >= 0.9 * 90
    for subject in SUBJECTS:
        assert any(subject in leaf.name for leaf in tree.root.leaves), [leaf.name for leaf in tree.root.leaves]
    assert grow(list(reversed(library(15)))) == tree, "the order given does not matter"


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 120), st.sets(st.integers(0, 149), max_size=60), st.sets(st.integers(0, 149), max_size=60))
def test_upkeep_keeps_every_skill_once_and_nodes_small(start: int, gone: set[int], new: set[int]) -> None:
    all_skills = library(25)
    before = all_skills[:start]
    after = [s for i, s in enumerate(all_skills) if (i < start and i not in gone) or i in new]
    tree = tend(grow(before), after)
    assert names(tree) == sorted(s.name for s in after)
    assert all(len(leaf.members) <= max(FANOUT, FLAT) for leaf in tree.root.leaves)
    assert len(tree.root.children) <= FANOUT
    categories = [leaf.name for leaf in tree.root.leaves]
    assert len(set(categories)) == len(categories)
    assert tend(tree, after) == tree


def test_upkeep_leaves_other_categories_as_they_are() -> None:
    skills = library(15)
    tree = renamed(grow(skills), {node.name: f"kept {i}" for i, node in enumerate(grow(skills).root.leaves)})
    new = Skill(name="protein-99", description="Handles protein fold residue sequence.", body="protein fold\n")
    after = tend(tree, [*skills, new])
    old = {leaf.name: leaf for leaf in tree.root.leaves}
    changed = [leaf for leaf in after.root.leaves if old.get(leaf.name) != leaf]
    assert len(changed) <= 2 and any("protein-99" in leaf.members for leaf in changed)
    gone = tend(tree, skills[1:])
    assert sum(old.get(leaf.name) != leaf for leaf in gone.root.leaves) == 1


def test_a_full_category_is_split_in_place() -> None:
    skills = library(15)
    tree = grow(skills)
    more = [
        Skill(name=f"video-{i}", description=f"Handles video clip frame codec subtitle {i}.", body="video clip\n")
        for i in range(100, 126)
    ]
    after = tend(tree, [*skills, *more])
    assert names(after) == sorted(s.name for s in [*skills, *more])
    assert all(len(leaf.members) <= FANOUT for leaf in after.root.leaves)


def test_names_from_elsewhere_never_clash() -> None:
    tree = grow(library(15))
    first, second, *_ = [leaf.name for leaf in tree.root.leaves]
    one = renamed(tree, {first: "Books", second: "Books"})
    assert sum(leaf.name == "Books" for leaf in one.root.leaves) == 1
    assert renamed(tree, {first: "  ", second: "<>"}) == tree
    assert any(leaf.name == "a /name x" for leaf in renamed(tree, {first: "a</name>\nx"}).root.leaves)


def test_the_tree_is_kept_beside_the_library_and_survives_damage(tmp_path) -> None:
    kept, skills = Derived(tmp_path), library(10)
    tree = kept_tree(skills, kept)
    kept.put(
        "tree", "categories", renamed(tree, {next(iter(tree.root.leaves)).name: "mine"}).model_dump_json().encode()
    )
    assert any(leaf.name == "mine" for leaf in kept_tree(skills[:-1], kept).root.leaves)
    twice = tree.model_copy(update={"root": tree.root.model_copy(update={"children": tree.root.children * 2})})
    for damage in (b"\xff", b"{}", twice.model_dump_json().encode()):
        kept.put("tree", "categories", damage)
        assert kept_tree(skills, kept) == tree


def test_verbs_make_a_tree_of_what_skills_do() -> None:
    def skill(name: str, description: str) -> Skill:
        return Skill(name=name, description=description, body="\n")

    tree = by_verb(
        [
            skill("a", "Converts CSV files."),
            skill("b", "Translating text"),
            skill("c", "A thing."),
            skill("run-it", "x"),
        ]
    )
    where = {name: leaf.name for leaf in tree.root.leaves for name in leaf.members}
    assert where == {"a": "change/convert", "b": "change/translate", "c": "other/other", "run-it": "operate/run"}


def test_going_down_the_tree_finds_what_a_flat_ranking_finds() -> None:
    skills = library(15)
    by_name, index = {s.name: s for s in skills}, SearchIndex.of(Snapshot.of(skills))

    def found(tree: Tree, query: str, only: Filter = EVERYTHING) -> list[str]:
        router = Hierarchical.of(tree, by_name)
        return [hit.name for hit in anyio.run(router.rank, query, index, 5, only)]

    tree = grow(skills)
    assert found(tree, "protein fold number7")[0] == "protein-7" and len(found(tree, "protein")) == 5
    assert found(tree, "zzz") == [] and found(tree, "") == []
    assert found(tree, "protein fold", EVERYTHING.among(["protein-3", "invoice-1"])) == ["protein-3"]
    assert found(tree, "protein fold", Filter(kind="adapter")) == []
    assert found(grow(skills[:5]), "invoice number3")[0] == "invoice-3", "a library without categories is flat"
