"""Where a run's tasks come from."""

from collections.abc import Sequence
from dataclasses import dataclass

from prowess.core.errors import UserError
from prowess.core.skill import Snapshot
from prowess.core.task import Split, Task
from prowess.evolve.parts import Episode
from prowess.suites.base import Suite


@dataclass(frozen=True, slots=True)
class Stream:
    """A fixed order of tasks, a batch of `per_round` of them each round."""

    stream: tuple[Task, ...]
    per_round: int

    def tasks(self, round_: int, library: Snapshot, history: Sequence[Episode]) -> tuple[Task, ...]:
        start = round_ * self.per_round
        return self.stream[start : start + self.per_round]

    @property
    def rounds(self) -> int:
        return -(-len(self.stream) // self.per_round)


def grouped(suite: Suite, families: Sequence[str], split: Split, n: int) -> tuple[Task, ...]:
    """`n` tasks of each family, family after family: the grouped stream of SkillOS and of SkillFlow's protocol.

    Raises:
        UserError: a family is not in the suite.
    """
    unknown = sorted(set(families) - set(suite.families))
    if unknown:
        raise UserError(
            f"no family {', '.join(unknown)} in suite {suite.name}", f"choose from {', '.join(suite.families)}"
        )
    return tuple(task for family in families for task in suite.tasks(family, split, n))
