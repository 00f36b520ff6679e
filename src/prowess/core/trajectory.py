"""What one agent did on one task. `prowess.trajectories.atif` turns it into the exchange format and back."""

from typing import Literal

from pydantic import JsonValue

from prowess.core.base import Frozen
from prowess.core.cost import Cost
from prowess.core.model import ToolCall
from prowess.core.task import File, Score


class Observation(Frozen):
    """What came back from one tool call, or from running a program."""

    content: str
    call_id: str | None = None
    is_error: bool = False


class Step(Frozen):
    """One turn of a session."""

    source: Literal["system", "user", "agent"]
    message: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    observations: tuple[Observation, ...] = ()
    model: str | None = None
    timestamp: str | None = None
    """ISO 8601, where the source has it."""
    cost: Cost | None = None
    extra: dict[str, JsonValue] = {}
    """What an imported record held beyond these fields, so that import loses nothing."""


class Trajectory(Frozen):
    """Steps, outcome, cost, and the skills that were offered, loaded and used."""

    id: str
    task_id: str | None = None
    """None for imported sessions, which have no task with checks."""
    agent: str
    """Name and version of the agent loop: `code/1`, `claude-code/2.0.1`."""
    model: str
    seed: int = 0
    snapshot: str | None = None
    """Digest of the library snapshot that the agent saw."""
    offered: tuple[str, ...] = ()
    loaded: tuple[str, ...] = ()
    used: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    outputs: tuple[File, ...] = ()
    status: Literal["completed", "missing"] = "completed"
    """`missing` when something outside failed (model, sandbox): such a run says nothing about the skill."""
    error: str | None = None
    score: Score | None = None
    cost: Cost = Cost()
    extra: dict[str, JsonValue] = {}

    @property
    def passed(self) -> bool | None:
        """True or False by a trusted score; None when missing or not trusted."""
        if self.status == "missing" or self.score is None or not self.score.trusted:
            return None
        return self.score.passed
