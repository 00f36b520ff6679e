"""Routing through a category tree: choose among categories, then among the skills of those chosen."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from prowess.core.skill import Skill, Snapshot
from prowess.search.encoders import Encoder
from prowess.search.filters import Filter
from prowess.search.index import EVERYTHING, Hit, SearchIndex
from prowess.search.routers import Lexical, Router
from prowess.search.tree import Node, Tree, as_skill


@dataclass(frozen=True, slots=True)
class Hierarchical:
    """Two routers in one: categories first, then the skills of the best categories, level by level."""

    tree: Tree
    categories: SearchIndex
    """Every category but the root, dressed as a skill."""
    router: Router = field(default_factory=Lexical)
    """Ranks on each level."""
    beam: int = 2
    """Categories that are looked into on each level; 1 is what a model that chooses does."""
    name: str = "hierarchical"

    @classmethod
    def of(
        cls,
        tree: Tree,
        skills: Mapping[str, Skill],
        router: Router | None = None,
        encoder: Encoder | None = None,
        beam: int = 2,
    ) -> "Hierarchical":
        """A router over `tree`, whose categories are described by the skills in them.

        Args:
            skills: Those of the tree, by name.
            encoder: That of the index which will be searched, where `router` goes by vectors.
        """
        nodes = [node for node in tree.root.below if node.members or node.children]
        dressed = Snapshot.of([as_skill(node, skills) for node in nodes])
        return cls(tree, SearchIndex.of(dressed, encoder), router or Lexical(), beam)

    async def rank(self, query: str, skills: SearchIndex, limit: int = 10, only: Filter = EVERYTHING) -> list[Hit]:
        """Categories in which nothing fits are left; where none fits, none is named."""
        nodes: list[Node] = [self.tree.root]
        while any(node.children for node in nodes):
            below = {child.name: child for node in nodes for child in (node.children or (node,))}
            best = await self.router.rank(query, self.categories, self.beam, EVERYTHING.among(below))
            if not best:
                return []
            nodes = [below[hit.name] for hit in best]
        return await self.router.rank(query, skills, limit, only.among(n for node in nodes for n in node.members))
