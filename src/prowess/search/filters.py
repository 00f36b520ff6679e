"""What a skill is apart from its text, and which skills a search may answer with.

How far a skill is trusted is none of it: that changes without the skill, and `prowess.guard.tiers` says it by name.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypedDict

from prowess.core.skill import Skill


class Facets(TypedDict):
    kind: str
    """`program` when scripts lie in its folder, else `text`; metadata `kind` overrides."""
    tags: list[str]
    """From metadata `tags`, parted by commas or blanks."""
    tools: list[str]
    """Tools that it expects: the words of `allowed-tools`, without their arguments."""


def facets(skill: Skill) -> Facets:
    scripts = any(file.path.startswith("scripts/") for file in skill.files)
    return {
        "kind": skill.metadata.get("kind", "program" if scripts else "text"),
        "tags": sorted(set(skill.metadata.get("tags", "").replace(",", " ").casefold().split())),
        "tools": sorted({word.partition("(")[0] for word in (skill.allowed_tools or "").split()}),
    }


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions that all must hold; the empty one lets everything through."""

    kind: str | None = None
    tags: frozenset[str] = frozenset()
    """A skill must have them all."""
    tools: frozenset[str] | None = None
    """The tools that are available: a skill that expects others is left out. None: whatever it expects."""
    names: frozenset[str] | None = None
    """Only these skills; None for all."""

    def among(self, names: Iterable[str]) -> "Filter":
        """The same conditions, for some skills only."""
        return replace(self, names=frozenset(names) if self.names is None else self.names & frozenset(names))

    def admits(self, facets: Facets) -> bool:
        """Whether a skill with these facets may be answered, whatever it is called."""
        return (
            self.kind in (None, facets["kind"])
            and self.tags <= set(facets["tags"])
            and (self.tools is None or self.tools >= set(facets["tools"]))
        )


def admits(filter: Filter, stored: str) -> bool:
    """The same for facets as they are stored."""
    return filter.admits(json.loads(stored))
