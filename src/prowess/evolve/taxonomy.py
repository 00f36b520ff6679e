"""A tree of domains (SkillFoundry, 2604.03964) or of verbs (Uni-Skill, 2603.02623), and how much of it skills cover."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from prowess.core.skill import Skill, Snapshot

if TYPE_CHECKING:
    from prowess.search.index import SearchIndex


@dataclass(frozen=True)
class Taxonomy:
    """Leaves of a tree: path, such as `("move", "pick", "pick up a named object")` → a line on what belongs there."""

    leaves: dict[tuple[str, ...], str]

    @cached_property
    def _index(self) -> "SearchIndex":
        from prowess.search.index import SearchIndex

        return SearchIndex.of(
            Snapshot.of(
                [
                    Skill(name=f"leaf-{i}", description=f"{' '.join(path)}. {about}", body="\n")
                    for i, (path, about) in enumerate(self.leaves.items())
                ]
            )
        )

    def near(self, text: str, n: int = 1) -> tuple[tuple[str, ...], ...]:
        """The leaves that fit `text` best by their words, best first; fewer where fewer share any."""
        paths = list(self.leaves)
        return tuple(paths[int(hit.name.removeprefix("leaf-"))] for hit in self._index.search(text, n))

    def coverage(self, skills: Iterable[Skill]) -> dict[tuple[str, ...], tuple[str, ...]]:
        """Names of the skills at each leaf; a skill stands at the leaf that it fits best, or nowhere."""
        found: dict[tuple[str, ...], tuple[str, ...]] = dict.fromkeys(self.leaves, ())
        for skill in skills:
            for path in self.near(f"{skill.name.replace('-', ' ')}. {skill.description}"):
                found[path] = (*found[path], skill.name)
        return found

    def frontier(self, skills: Iterable[Skill], n: int) -> tuple[tuple[str, ...], ...]:
        """The `n` leaves with the fewest skills; of equals the earlier ones."""
        covered = self.coverage(skills)
        return tuple(sorted(covered, key=lambda path: len(covered[path]))[:n])
