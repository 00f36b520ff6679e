"""Splits stay apart: what taught a lesson may not judge it, and what judges it may not be reported."""

from collections.abc import Mapping, Sequence

from prowess.core.errors import UserError
from prowess.core.task import Task


def require_apart(splits: Mapping[str, Sequence[Task]]) -> None:
    """Refuse tasks that stand in two splits, by content and not by name.

    Raises:
        UserError: naming the first such pair of tasks.
    """
    seen: dict[str, tuple[str, Task]] = {}
    for name, tasks in splits.items():
        for task in tasks:
            where, twin = seen.setdefault(task.digest, (name, task))
            if where != name:
                raise UserError(
                    f"task {task.id!r} of split {name!r} is the same as {twin.id!r} of split {where!r}",
                    "give each task to one split only; suites make disjoint splits when asked for each by name",
                )
