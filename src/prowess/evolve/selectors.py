"""Which of the snapshots that the rounds left behind is the result."""

from collections.abc import Sequence

from prowess.core.skill import Snapshot


class Last:
    """The last one: right where every change has passed a gate that measures."""

    def choose(self, snapshots: Sequence[Snapshot]) -> Snapshot:
        return snapshots[-1]
