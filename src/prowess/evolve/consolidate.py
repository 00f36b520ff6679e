"""What becomes of several patches that were proposed in one round."""

from collections.abc import Sequence
from dataclasses import dataclass

from prowess.core.patch import Patch
from prowess.core.skill import Snapshot
from prowess.evolve.protocols import Context


@dataclass(frozen=True, slots=True)
class Unmerged:
    """Every patch on its own, those with the most lessons behind them first: prevalence, counted and not guessed."""

    async def merge(self, patches: Sequence[Patch], library: Snapshot, context: Context) -> tuple[Patch, ...]:
        unique = {patch.id: patch for patch in patches}
        return tuple(sorted(unique.values(), key=lambda patch: -len(patch.lessons)))
