"""Routing through a category tree: choose among categories, then among the skills of those chosen."""

from collections.abc import Callable, Mapping, Sequence

from prowess.core.skill import Skill, Snapshot
from prowess.search.lexical import LexicalIndex
from prowess.search.tree import Node, Tree, as_skill

Ranking = Callable[[str], Sequence[str]]
"""Names for a query, best first; those that do not fit at all may be left out."""
Ranker = Callable[[Sequence[Skill]], Ranking]
"""Makes the ranking of a fixed list of skills, or of categories dressed as such."""


def lexical(skills: Sequence[Skill], most: int = 50) -> Ranking:
    """By words, as `prowess search` does; the first `most`."""
    index = LexicalIndex(Snapshot.of(list(skills)))
    return lambda query: [hit.name for hit in index.search(query, most)]


def by_description(skills: Sequence[Skill], most: int = 1) -> Ranking:
    """By the words of names and descriptions alone: what can be known before a skill is read."""
    return lexical([skill.model_copy(update={"body": "", "files": ()}) for skill in skills], most)


class Descent:
    """Ranks a library level by level; what a node's ranking needs is made once, when it is first met."""

    def __init__(self, tree: Tree, skills: Mapping[str, Skill], ranker: Ranker = lexical, beam: int = 2) -> None:
        """`beam`: categories that are looked into at each level; 1 is what a model that chooses does."""
        self._tree = tree
        self._skills = skills
        self._ranker = ranker
        self._beam = beam
        self._rankings: dict[tuple[str, ...], Ranking] = {}

    def rank(self, query: str) -> list[str]:
        """Names of skills, best first. Categories in which nothing fits are left; none fits, none is named."""
        nodes = [self._tree.root]
        while any(node.children for node in nodes):
            children = {child.name: child for node in nodes for child in (node.children or (node,))}
            dressed = [as_skill(child, self._skills) for child in children.values()]
            best = self._ranking(tuple(children), dressed)(query)[: self._beam]
            if not best:
                return []
            nodes = [children[name] for name in best]
        return list(self._ranking(tuple(node.name for node in nodes), self._members(nodes))(query))

    def _members(self, nodes: Sequence[Node]) -> list[Skill]:
        return [self._skills[name] for node in nodes for name in node.members if name in self._skills]

    def _ranking(self, key: tuple[str, ...], options: Sequence[Skill]) -> Ranking:
        if key not in self._rankings:
            self._rankings[key] = self._ranker(options)
        return self._rankings[key]
