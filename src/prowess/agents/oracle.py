"""The oracle: hands in the suite's own right answers, to see what the checks let through. It asks no model."""

from dataclasses import dataclass

from anyio import to_thread

from prowess.core.errors import AgentError
from prowess.core.task import Task
from prowess.core.trajectory import Step, Trajectory
from prowess.core.view import View
from prowess.suites.base import Suite

ORACLE = "oracle"


@dataclass(frozen=True, slots=True)
class Oracle:
    """An agent that knows the answers; skills and seed change nothing."""

    suite: Suite
    name: str = ORACLE

    async def run(self, task: Task, view: View, seed: int) -> Trajectory:
        """The right outputs of `task`.

        Raises:
            AgentError: the suite has no right answer to hand in.
        """
        outputs = await to_thread.run_sync(self.suite.oracle, task)
        if outputs is None:
            raise AgentError(f"suite {self.suite.name} has no right answer for {task.id}")
        said = outputs[0].text if outputs and not task.outputs else "the right answer"
        return Trajectory(
            id="",
            agent=ORACLE,
            model="",
            snapshot=view.snapshot,
            steps=(Step(source="agent", message=said),),
            outputs=outputs,
        )
