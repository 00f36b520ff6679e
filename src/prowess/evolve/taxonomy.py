"""A tree of what a library could be about, laid over what it is about: coverage, and the frontier to work on next.

Places are the leaves of a `prowess.search.tree.Tree`: domains of a field (SkillFoundry, section 3), or the verbs of
`search/verbs.toml`, class over verb, as in the SkillFolder of Uni-Skill (2603.02623).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from prowess.core.skill import Skill
from prowess.search.likeness import about, cosine, lexical
from prowess.search.tree import Node, Tree
from prowess.search.verbs import verb_of, verbs

T = TypeVar("T")
ALIKE = 0.1
"""Cosine from which a text belongs to a domain by its words."""


@dataclass(frozen=True, slots=True)
class Place:
    """A leaf, and what is known of it."""

    name: str
    """From the root: `office/ledgers`."""
    words: str
    """What it is about."""
    skills: tuple[str, ...] = ()
    tried: int = 0
    """Attempts that brought no skill."""
    resources: int = 0
    """Documents or demonstrations at hand."""


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """A tree without skills, and how texts find their leaf."""

    tree: Tree
    by_verb: bool = False
    """A text belongs to the leaf of its first verb; else to the domain whose words it holds most."""

    @classmethod
    def verbs(cls) -> "Taxonomy":
        """Every verb that is known, under its class."""
        classes = tuple(
            Node(name=kind, children=tuple(Node(name=f"{kind}/{verb}", words=(verb,)) for verb in found))
            for kind, found in verbs().items()
        )
        return cls(Tree(root=Node(name="all", children=classes)), by_verb=True)

    @classmethod
    def domains(cls, leaves: Mapping[str, str]) -> "Taxonomy":
        """Leaves by path (`office/ledgers`) with what each is about."""
        return cls(Tree(root=_grown((), {tuple(filter(None, path.split("/"))): told for path, told in leaves.items()})))

    def leaf(self, text: str) -> str | None:
        """The leaf that `text` belongs to; None where it belongs to none."""
        if self.by_verb:
            found = verb_of(text)
            return None if found is None else "/".join(found)
        leaves = [leaf for leaf in self.tree.root.leaves if leaf.words]
        rows = lexical([text, *(" ".join(leaf.words) for leaf in leaves)])
        alike = [cosine(rows[0], row) for row in rows[1:]]
        best = max(range(len(leaves)), key=lambda i: alike[i], default=None)
        return leaves[best].name if best is not None and alike[best] >= ALIKE else None

    def places(
        self, skills: Iterable[Skill], tried: Sequence[str] = (), resources: Mapping[str, int] | None = None
    ) -> tuple[Place, ...]:
        """Every leaf, with the skills that lie there.

        Args:
            skills: Of the library.
            tried: A leaf's name for each attempt that brought no skill.
            resources: Number of documents or demonstrations by leaf.
        """
        homes: dict[str, list[str]] = {}
        for skill in skills:
            home = self.leaf(skill.description if self.by_verb else about(skill))
            homes.setdefault(home or "", []).append(skill.name)
        known = resources or {}
        return tuple(
            Place(leaf.name, " ".join(leaf.words), tuple(homes.get(leaf.name, ())), tried.count(leaf.name), n)
            for leaf in self.tree.root.leaves
            if (n := known.get(leaf.name, 0)) or not known
        )

    def nearest(self, text: str, entries: Sequence[tuple[str, T]], k: int) -> tuple[T, ...]:
        """The `k` entries, of those (text, thing), that are nearest to `text`: same leaf first, then same class, then
        by their words."""
        home = self.leaf(text) or ""
        rows = lexical([text, *(told for told, _ in entries)])

        def near(i: int) -> tuple[int, float]:
            there = self.leaf(entries[i][0]) or "/"
            levels = 2 if there == home else int(there.partition("/")[0] == home.partition("/")[0])
            return levels, cosine(rows[0], rows[i + 1])

        order = sorted(range(len(entries)), key=near, reverse=True)
        return tuple(entries[i][1] for i in order[:k])


def coverage(places: Sequence[Place]) -> float:
    """Share of places that have a skill; 1 where there is no place."""
    return sum(bool(place.skills) for place in places) / len(places) if places else 1.0


def frontier(places: Sequence[Place], most: int) -> tuple[Place, ...]:
    """Where to work next: places without a skill that were tried least, then those with the fewest skills; of equals,
    those with most resources. This is SkillFoundry's order *todo, frontier, covered*."""
    return tuple(sorted(places, key=lambda p: (bool(p.skills), p.tried, len(p.skills), -p.resources, p.name))[:most])


def _grown(path: tuple[str, ...], leaves: Mapping[tuple[str, ...], str]) -> Node:
    """The node at `path` with all that lies below; a path that leads on is no leaf."""
    depth = len(path)
    steps = dict.fromkeys(leaf[: depth + 1] for leaf in leaves if leaf[:depth] == path and len(leaf) > depth)
    children = tuple(_grown(step, leaves) for step in steps)
    words = () if children else tuple(leaves.get(path, "").split())
    return Node(name="/".join(path) or "all", words=words, children=children)
