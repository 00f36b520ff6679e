"""Requests put together as sessions: each request repeats the conversation so far, so each is the one before, and more.

A trajectory is known by how its conversation began, up to the first reply, and by the session that the client names,
so nothing has to be remembered between requests, workers or starts of the proxy. Where a conversation is taken up from
an earlier point, the branch is a trajectory of its own, known by where it leaves the other.
"""

from collections.abc import Callable
from typing import Final

from pydantic import JsonValue

from prowess.core.base import digest
from prowess.core.trajectory import Step, Trajectory
from prowess.trajectories.importers.records import add_costs

BRANCHES: Final = 64
"""Branches of one conversation that are told apart at most; of more, the last is overwritten."""


def placed(new: Trajectory, known: Callable[[str], Trajectory | None]) -> Trajectory:
    """`new` with its id, joined with what is known of the same conversation.

    Args:
        known: The trajectory of an id that is kept already, or None.
    """
    turns = [_turn(step) for step in new.steps if step.source != "system"]
    first = next(
        (i for i, step in enumerate(s for s in new.steps if s.source != "system") if step.source == "agent"), 0
    )
    id = digest(["proxy", new.extra.get("session_id"), new.agent, turns[: first + 1]])[:32]
    for _ in range(BRANCHES):
        old = known(id)
        if old is None:
            break
        theirs = [_turn(step) for step in old.steps if step.source != "system"]
        shared = next((i for i, pair in enumerate(zip(theirs, turns)) if pair[0] != pair[1]), None)  # noqa: B905
        if shared is None:
            return _joined(old, new) if len(turns) >= len(theirs) else old
        id = digest([id, turns[shared]])[:32]
    return new.model_copy(update={"id": id})


def _turn(step: Step) -> JsonValue:
    """What of a step stays the same when a client sends it back: not the white space around it, nor how it was made."""
    return [step.source, step.message.strip(), [[call.id, call.name, call.arguments] for call in step.tool_calls]]


def _joined(old: Trajectory, new: Trajectory) -> Trajectory:
    """The newer steps, with what only the moment of a reply tells: time, cost, tokens, thoughts."""
    past = iter([step for step in old.steps if step.source == "agent"])
    steps = [_with_past(step, next(past, None)) if step.source == "agent" else step for step in new.steps]
    return new.model_copy(
        update={
            "id": old.id,
            "steps": tuple(steps),
            "offered": tuple(dict.fromkeys([*old.offered, *new.offered])),
            "cost": add_costs(steps),
            "extra": {**old.extra, **new.extra},
        }
    )


def _with_past(step: Step, past: Step | None) -> Step:
    if past is None or step.cost is not None:
        return step
    return step.model_copy(
        update={
            "reasoning": step.reasoning or past.reasoning,
            "model": past.model,
            "timestamp": past.timestamp,
            "cost": past.cost,
            "extra": {**step.extra, **past.extra},
        }
    )
