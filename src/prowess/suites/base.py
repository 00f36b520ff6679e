"""What a suite is: tasks with families and splits, and the checks that decide success."""

from typing import Protocol

from prowess.core.skill import Skill
from prowess.core.task import File, Score, Split, Task


class Suite(Protocol):
    """A source of tasks that can check answers.

    Equal arguments always give equal tasks. Splits are disjoint by construction: a seed belongs to one split only.
    """

    @property
    def name(self) -> str: ...

    @property
    def families(self) -> tuple[str, ...]: ...

    def variants(self, family: str) -> tuple[str, ...]:
        """Names of the rule shifts of a family, `base` first."""
        ...

    def tasks(self, family: str, split: Split, n: int, variant: str = "base", start: int = 0) -> tuple[Task, ...]:
        """Tasks number `start` to `start + n - 1` of one family, split and variant; fewer where the suite is finite."""
        ...

    def check(self, task: Task, outputs: tuple[File, ...], answer: str = "") -> Score:
        """Judge an answer. Never raises on bad answers: they are failed checks. Outputs are hostile input.

        Raises:
            BoundaryError: what judges failed itself; the trial is missing, not failed.
        """
        ...

    def oracle(self, task: Task) -> tuple[File, ...] | None:
        """The right outputs, for tests and for the oracle arm; None where the suite has none."""
        ...

    def human_skill(self, family: str) -> Skill | None:
        """The upper bound: a skill that a person wrote; None where there is none."""
        ...
