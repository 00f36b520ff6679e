"""Cuts long sessions into units: one request of the user with the agent's work on it."""

from dataclasses import dataclass

from prowess.core.trajectory import Trajectory


@dataclass(frozen=True, slots=True)
class Unit:
    """A stretch of a trajectory."""

    trajectory: str
    first_step: int
    last_step: int
    """Inclusive; indices into `Trajectory.steps`."""
    request: str
    """What the user asked; empty where the log does not hold it."""


def segment(trajectory: Trajectory) -> list[Unit]:
    """The units of a trajectory, in order; together they cover all of its steps.

    A unit starts at a user's message and ends before the next one that follows work of the agent: several messages in
    a row are one request. What stands before the first message belongs to the first unit when the agent did nothing
    there, and is a unit without request otherwise.
    """
    if not trajectory.steps:
        return []
    starts: list[int] = []
    worked = True
    for index, step in enumerate(trajectory.steps):
        if step.source == "user" and worked:
            starts.append(index)
            worked = False
        elif step.source == "agent":
            if not starts:
                starts.append(0)
            worked = True
    starts = starts or [0]
    starts[0] = 0  # instructions before the first request belong to it
    ends = [start - 1 for start in starts[1:]] + [len(trajectory.steps) - 1]
    return [
        Unit(trajectory.id, first, last, _request(trajectory, first, last))
        for first, last in zip(starts, ends, strict=True)
    ]


def _request(trajectory: Trajectory, first: int, last: int) -> str:
    messages: list[str] = []
    for step in trajectory.steps[first : last + 1]:
        if step.source == "user" and step.message:
            messages.append(step.message)
        elif step.source == "agent":
            break
    return "\n\n".join(messages)
