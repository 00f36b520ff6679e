"""Which of the snapshots that the rounds left behind is the result."""

from collections.abc import Sequence

from prowess.core.skill import Snapshot
from prowess.evolve.protocols import Context


class Last:
    """The last one: right where every change has passed a gate that measures."""

    async def choose(self, snapshots: Sequence[Snapshot], context: Context) -> Snapshot:
        return snapshots[-1]
