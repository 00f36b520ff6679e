"""Nothing is lost on the way to ATIF and back, in either direction."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prowess.core.cost import Cost
from prowess.core.errors import UserError
from prowess.core.model import ToolCall
from prowess.core.task import Check, File, Score
from prowess.core.trajectory import Observation, Step, Trajectory
from prowess.trajectories.atif import from_atif, to_atif
from prowess.trajectories.atif_format import AtifTrajectory

text = st.text(st.characters(codec="utf-8"), max_size=12)
number = st.integers(0, 10**9)
json_value = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
# Keys that other tools use, and ours; "atif" is reserved and has its own test.
extra = st.dictionaries(
    (text | st.sampled_from(["prowess", "session_id", "is_error", "extra"])).filter(lambda k: k != "atif"),
    json_value,
    max_size=3,
)
costs = st.builds(
    Cost,
    calls=number,
    prompt_tokens=number,
    cached_tokens=number,
    completion_tokens=number,
    seconds=st.floats(0, 1e6),
    usd=st.floats(0, 1e6),
)
calls = st.builds(
    ToolCall, id=st.sampled_from(["a", "b", "c"]), name=text, arguments=st.dictionaries(text, json_value, max_size=2)
)
observations = st.builds(
    Observation, content=text, call_id=st.none() | st.sampled_from(["a", "b", "z"]), is_error=st.booleans()
)
steps = st.builds(
    Step,
    source=st.sampled_from(["system", "user", "agent"]),
    message=text,
    reasoning=text,
    tool_calls=st.lists(calls, max_size=2).map(tuple),
    observations=st.lists(observations, max_size=2).map(tuple),
    model=st.none() | text,
    timestamp=st.none() | st.sampled_from(["2026-01-02T03:04:05.678Z", "yesterday", ""]),
    cost=st.none() | costs,
    extra=extra,
)
scores = st.builds(
    Score,
    value=st.floats(0, 1),
    passed=st.booleans(),
    checks=st.lists(st.builds(Check, name=text, passed=st.booleans(), message=text), max_size=2).map(tuple),
    verifier=text,
    trusted=st.booleans(),
)
trajectories = st.builds(
    Trajectory,
    id=text,
    task_id=st.none() | text,
    agent=text | st.sampled_from(["code/1", "claude-code/2.0.1", "a/b/c", "/", ""]),
    model=text,
    seed=st.integers(0, 2**31),
    snapshot=st.none() | text,
    offered=st.lists(text, max_size=2).map(tuple),
    loaded=st.lists(text, max_size=2).map(tuple),
    used=st.lists(text, max_size=2).map(tuple),
    steps=st.lists(steps, max_size=3).map(tuple),
    outputs=st.lists(st.builds(File, path=text, data=st.binary(max_size=9)), max_size=2).map(tuple),
    status=st.sampled_from(["completed", "missing"]),
    error=st.none() | text,
    score=st.none() | scores,
    cost=costs,
    extra=extra,
)
slow = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@given(trajectories)
@slow
def test_a_trajectory_comes_back_as_it_was(trajectory: Trajectory) -> None:
    document = json.loads(json.dumps(to_atif(trajectory)))
    assert from_atif(document) == trajectory


def drop_none(value: Any, keep: bool = False) -> Any:
    if isinstance(value, dict):
        opaque = {"extra", "arguments", "tool_definitions"}
        return {k: v if k in opaque else drop_none(v) for k, v in value.items() if keep or v is not None}
    return [drop_none(v) for v in value] if isinstance(value, list) else value


parts = st.fixed_dictionaries({"type": st.just("text"), "text": text}) | st.fixed_dictionaries(
    {"type": st.just("image"), "source": st.fixed_dictionaries({"media_type": text, "path": text})}
)
content = text | st.lists(parts, min_size=1, max_size=2)
foreign = st.dictionaries(text.filter(lambda k: k not in {"prowess"}), json_value, max_size=2)
atif_calls = st.fixed_dictionaries(
    {"tool_call_id": st.sampled_from(["a", "b"]), "function_name": text, "arguments": foreign},
    optional={"extra": foreign},
)
results = st.fixed_dictionaries(
    {}, optional={"content": content, "extra": foreign, "subagent_trajectory_ref": st.just([{"trajectory_id": "x"}])}
)
metrics = st.fixed_dictionaries(
    {},
    optional={
        "prompt_tokens": number,
        "completion_tokens": number,
        "cached_tokens": number,
        "cost_usd": st.floats(0, 1e6),
        "prompt_token_ids": st.lists(number, max_size=3),
        "logprobs": st.lists(st.floats(-9, 0), max_size=3),
        "extra": foreign,
    },
)
common = {
    "timestamp": st.just("2026-01-02T03:04:05Z"),
    "observation": st.fixed_dictionaries({"results": st.lists(results, max_size=2)}),
    "is_copied_context": st.booleans(),
    "llm_call_count": st.integers(0, 5),
    "extra": foreign,
}
other_steps = st.fixed_dictionaries(
    {"source": st.sampled_from(["user", "system"]), "message": content}, optional=common
)
agent_steps = st.fixed_dictionaries(
    {"source": st.just("agent"), "message": content},
    optional=common
    | {
        "model_name": text,
        "reasoning_effort": st.sampled_from(["low", "high", 0.5]),
        "reasoning_content": text,
        "tool_calls": st.lists(atif_calls, max_size=2),
        "metrics": metrics,
    },
)
documents = st.fixed_dictionaries(
    {
        "schema_version": st.sampled_from(["ATIF-v1.8", "ATIF-v1.5"]),
        "agent": st.fixed_dictionaries(
            {"name": text, "version": text},
            optional={"model_name": text, "tool_definitions": st.lists(foreign, max_size=1), "extra": foreign},
        ),
        "steps": st.lists(other_steps | agent_steps, min_size=1, max_size=3),
    },
    optional={
        "session_id": text,
        "trajectory_id": text.filter(bool),
        "notes": text,
        "continued_trajectory_ref": text,
        "final_metrics": st.fixed_dictionaries(
            {}, optional={"total_prompt_tokens": number, "total_steps": number, "extra": foreign}
        ),
        "extra": foreign,
    },
)


@given(documents)
@slow
def test_a_document_comes_back_as_it_was(document: dict[str, Any]) -> None:
    for index, step in enumerate(document["steps"], start=1):
        step["step_id"] = index
    document = drop_none(json.loads(json.dumps(document)))
    trajectory = from_atif(document)
    assert Trajectory.model_validate_json(trajectory.model_dump_json()) == trajectory
    assert to_atif(trajectory) == document


def example() -> Trajectory:
    return Trajectory(
        id="t",
        task_id="ledger/base/1",
        agent="code/1",
        model="m",
        loaded=("totals",),
        steps=(
            Step(source="user", message="sum it"),
            Step(
                source="agent",
                message="done",
                reasoning="think",
                model="m",
                tool_calls=(ToolCall(id="c1", name="Bash", arguments={"command": "ls"}),),
                observations=(Observation(content="no such file", call_id="c1", is_error=True),),
                cost=Cost(calls=1, prompt_tokens=10, completion_tokens=5),
            ),
        ),
        cost=Cost(calls=1, prompt_tokens=10, completion_tokens=5, seconds=1.5),
    )


def test_other_tools_find_what_they_look_for() -> None:
    document = to_atif(example())
    AtifTrajectory.model_validate(document)
    assert document["schema_version"] == "ATIF-v1.8"
    assert document["agent"] == {"name": "code", "version": "1", "model_name": "m"}
    assert document["steps"][1] == {
        "step_id": 2,
        "source": "agent",
        "message": "done",
        "reasoning_content": "think",
        "model_name": "m",
        "tool_calls": [{"tool_call_id": "c1", "function_name": "Bash", "arguments": {"command": "ls"}}],
        "observation": {"results": [{"source_call_id": "c1", "content": "no such file", "extra": {"is_error": True}}]},
        "metrics": {"prompt_tokens": 10, "completion_tokens": 5, "cached_tokens": 0, "cost_usd": 0.0},
        "llm_call_count": 1,
    }
    assert document["extra"] == {
        "prowess": {"task_id": "ledger/base/1", "loaded": ["totals"], "cost": example().cost.model_dump()}
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"surprise": 1}, "surprise"),
        ({"schema_version": "ATIF-v2.0"}, "schema_version"),
        ({"schema_version": "ATIF-v1.9"}, "schema_version"),
        ({"steps": []}, "at least one step"),
        ({"steps": [{"step_id": 2, "source": "user", "message": ""}]}, "step_id"),
        ({"steps": [{"step_id": 1, "source": "user", "message": "", "model_name": "m"}]}, "model_name"),
        ({"steps": [{"step_id": 1, "source": "robot", "message": ""}]}, "source"),
        ({"steps": [{"step_id": 1, "source": "user", "message": "", "timestamp": "noon"}]}, "timestamp"),
        (
            {
                "steps": [
                    {
                        "step_id": 1,
                        "source": "agent",
                        "message": "",
                        "observation": {"results": [{"source_call_id": "q"}]},
                    }
                ]
            },
            "unknown call",
        ),
        ({"extra": {"prowess": 5}}, "reserved"),
        ({"extra": {"prowess": {"loaded": 7}}}, "damaged"),
        ({"extra": {"prowess": {"__class__": 7}}}, "unknown fields"),
    ],
)
def test_a_broken_document_is_refused_with_the_reason(change: dict[str, Any], message: str) -> None:
    document = {
        "schema_version": "ATIF-v1.8",
        "agent": {"name": "a", "version": "1"},
        "steps": [{"step_id": 1, "source": "user", "message": "hi"}],
    }
    with pytest.raises(UserError, match=message):
        from_atif(document | change)


def test_a_reserved_key_that_does_not_fit_is_refused() -> None:
    with pytest.raises(UserError, match="reserved"):
        to_atif(example().model_copy(update={"extra": {"atif": 3}}))
    with pytest.raises(UserError, match="cannot be written"):
        to_atif(example().model_copy(update={"extra": {"atif": {"steps": "gone"}}}))
