"""What a finished run of an agent is written down as."""

from prowess.core.base import digest
from prowess.core.cost import total
from prowess.core.task import File, Task
from prowess.core.trajectory import Step, Trajectory
from prowess.core.view import View


def trajectory_of(
    agent: str,
    model: str,
    task: Task,
    view: View,
    seed: int,
    *,
    loaded: tuple[str, ...],
    used: tuple[str, ...],
    steps: tuple[Step, ...],
    outputs: tuple[File, ...],
    error: str | None,
) -> Trajectory:
    """A trajectory whose id is made of its content; `agent` is the full name, of which the first word is stored.

    With `error` the run is missing: it says nothing about the skills.
    """
    return Trajectory(
        id=digest([agent, task.digest, view.digest, view.snapshot, seed, error, steps, outputs])[:16],
        task_id=task.id,
        agent=agent.split(maxsplit=1)[0],
        model=model,
        seed=seed,
        snapshot=view.snapshot,
        offered=tuple(skill.name for skill in view.skills),
        loaded=loaded,
        used=used,
        steps=steps,
        outputs=outputs,
        status="missing" if error else "completed",
        error=error,
        cost=total([step.cost for step in steps if step.cost]),
    )


def final_message(trajectory: Trajectory) -> str:
    """The last message of the agent: the answer, for tasks that ask for no files."""
    return next((step.message for step in reversed(trajectory.steps) if step.source == "agent" and step.message), "")
