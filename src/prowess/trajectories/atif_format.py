"""The models of ATIF, the Agent Trajectory Interchange Format, version 1.8; they also take 1.0 to 1.7."""

import re
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from prowess.trajectories.plain import Json

VERSION = "ATIF-v1.8"


def _iso(value: object) -> object:
    if isinstance(value, str):
        datetime.fromisoformat(value)
    return value


Timestamp = Annotated[str, BeforeValidator(_iso)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class ImageSource(_Model):
    media_type: str
    path: str


class ContentPart(_Model):
    """Text, or an image that lies beside the document."""

    type: Literal["text", "image"]
    text: str | None = None
    source: ImageSource | None = None


Content = str | tuple[ContentPart, ...]


class SubagentRef(_Model):
    """Where the trajectory of a sub-agent is."""

    trajectory_id: str | None = None
    session_id: str | None = None
    trajectory_path: str | None = None
    extra: Json | None = None


class AtifToolCall(_Model):
    tool_call_id: str
    function_name: str
    arguments: Json
    extra: Json | None = None


class ObservationResult(_Model):
    source_call_id: str | None = None
    content: Content | None = None
    subagent_trajectory_ref: tuple[SubagentRef, ...] | None = None
    extra: Json | None = None


class AtifObservation(_Model):
    results: tuple[ObservationResult, ...]


class Metrics(_Model):
    """Of the model calls of one step."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    cost_usd: float | None = None
    prompt_token_ids: tuple[int, ...] | None = None
    completion_token_ids: tuple[int, ...] | None = None
    logprobs: tuple[float, ...] | None = None
    extra: Json | None = None


class FinalMetrics(_Model):
    total_prompt_tokens: int | None = None
    total_completion_tokens: int | None = None
    total_cached_tokens: int | None = None
    total_cost_usd: float | None = None
    total_steps: int | None = None
    extra: Json | None = None


class AtifAgent(_Model):
    name: str
    version: str
    model_name: str | None = None
    tool_definitions: tuple[Json, ...] | None = None
    extra: Json | None = None


_AGENT_ONLY = ("model_name", "reasoning_effort", "reasoning_content", "tool_calls", "metrics")


class AtifStep(_Model):
    step_id: int
    timestamp: Timestamp | None = None
    source: Literal["system", "user", "agent"]
    model_name: str | None = None
    reasoning_effort: str | float | None = None
    message: Content
    reasoning_content: str | None = None
    tool_calls: tuple[AtifToolCall, ...] | None = None
    observation: AtifObservation | None = None
    metrics: Metrics | None = None
    is_copied_context: bool | None = None
    """The step was taken over from an earlier session; nothing may be learned from it twice."""
    llm_call_count: int | None = None
    extra: Json | None = None

    @model_validator(mode="after")
    def _only_what_fits(self) -> Self:
        if self.source != "agent":
            wrong = [name for name in _AGENT_ONLY if getattr(self, name) is not None]
            if wrong:
                raise ValueError(f"a {self.source} step cannot have {', '.join(wrong)}")
        calls = {call.tool_call_id for call in self.tool_calls or ()}
        for result in self.observation.results if self.observation else ():
            if result.source_call_id is not None and result.source_call_id not in calls:
                raise ValueError(f"observation of an unknown call {result.source_call_id!r}")
        return self


class AtifTrajectory(_Model):
    schema_version: str
    session_id: str | None = None
    trajectory_id: str | None = None
    agent: AtifAgent
    steps: tuple[AtifStep, ...]
    """At least one."""
    notes: str | None = None
    final_metrics: FinalMetrics | None = None
    continued_trajectory_ref: str | None = None
    subagent_trajectories: tuple["AtifTrajectory", ...] | None = None
    extra: Json | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        found = re.fullmatch(r"ATIF-v1\.(\d{1,2})", self.schema_version)
        if found is None or int(found[1]) > 8:
            raise ValueError(f"schema_version {self.schema_version!r} is not ATIF-v1.0 to ATIF-v1.8")
        if not self.steps:
            raise ValueError("there must be at least one step")
        if [step.step_id for step in self.steps] != list(range(1, len(self.steps) + 1)):
            raise ValueError("step_id must count 1, 2, 3, …")
        return self
