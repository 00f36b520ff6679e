"""What an agent is: a loop that turns a task and a view of the library into a trajectory."""

from collections.abc import Callable, Collection
from typing import Protocol

from prowess.core.task import Task
from prowess.core.trajectory import Trajectory
from prowess.core.view import View

Until = Callable[[Task, Collection[str]], bool]
"""Whether a run may end, given the names of the skills loaded so far: for callers that only ask what is loaded."""


class Agent(Protocol):
    @property
    def name(self) -> str:
        """Name, version and settings that change behaviour; part of every trial's content key."""
        ...

    async def run(self, task: Task, view: View, seed: int) -> Trajectory:
        """Do the task. Leaves `score` empty: agents never judge themselves.

        Failures of the model or the sandbox give a trajectory with status `missing`; `BudgetExceeded` is raised.
        """
        ...
