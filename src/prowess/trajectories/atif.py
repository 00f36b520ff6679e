"""Trajectories as ATIF documents (`prowess.trajectories.atif_format`), there and back without loss.

What both formats know is mapped field by field. What only prowess knows goes to `extra.prowess` of the ATIF step or
document, what only ATIF knows to `extra["atif"]` of the step or trajectory; both keys are reserved. So an export can be
imported again as it was, and the other way round, and both stay readable to other tools.
"""

from datetime import datetime
from typing import Any, TypeVar, cast

from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import from_json, to_json

from prowess.core.base import digest
from prowess.core.cost import Cost
from prowess.core.errors import UserError
from prowess.core.model import ToolCall
from prowess.core.trajectory import Observation, Step, Trajectory
from prowess.trajectories.atif_format import VERSION, AtifStep, AtifTrajectory
from prowess.trajectories.plain import Json

OURS = "prowess"
THEIRS = "atif"


def to_atif(trajectory: Trajectory) -> Json:
    """The trajectory as an ATIF document, checked against the format.

    Raises:
        UserError: `extra["atif"]`, which is reserved, holds something that does not fit the format.
    """
    steps: list[JsonValue] = []
    for number, step in enumerate(trajectory.steps, start=1):
        out = _with_theirs(_plain_step(step, number), step.extra)
        steps.append(_with_ours(out, step, _step_from(out)))
    if not steps:
        # The format wants a step; this one is taken away again on the way back.
        steps = [{"step_id": 1, "source": "system", "message": "", "extra": {OURS: {"empty": True}}}]
    document = _with_theirs(_plain_document(trajectory, steps), trajectory.extra)
    document = _checked(AtifTrajectory, document, "the trajectory cannot be written as ATIF")
    return _with_ours(document, trajectory, _trajectory_from(document, trajectory.steps))


def from_atif(document: Json) -> Trajectory:
    """The trajectory that an ATIF document (version 1.0 to 1.8) describes.

    Raises:
        UserError: the document breaks the format, or its `extra.prowess`, which is reserved, is damaged.
    """
    document = _checked(AtifTrajectory, document, "not a valid ATIF document")
    steps: list[Step] = []
    for atif_step in cast(list[Json], document["steps"]):
        ours, rest = _take_ours(atif_step)
        if ours == {"empty": True}:
            continue
        step = _restored(_step_from(rest), ours)
        theirs = _difference(rest, _plain_step(step, len(steps) + 1))
        steps.append(step.model_copy(update={"extra": step.extra | theirs}) if theirs else step)
    ours, rest = _take_ours(document)
    trajectory = _restored(_trajectory_from(rest, tuple(steps)), ours)
    theirs = _difference(rest, _plain_document(trajectory, rest["steps"]))
    return trajectory.model_copy(update={"extra": trajectory.extra | theirs}) if theirs else trajectory


# The mapping of what both know. `_plain_x` loses what ATIF lacks, `_x_from` loses what prowess lacks; comparing one
# with the way back through the other tells what has to be carried in `extra`.


def _plain_step(step: Step, number: int) -> Json:
    agent = step.source == "agent"
    calls = {call.id for call in step.tool_calls}
    out: Json = {"step_id": number, "source": step.source, "message": step.message}
    if step.timestamp is not None and _is_iso(step.timestamp):
        out["timestamp"] = step.timestamp
    if step.observations:
        out["observation"] = {"results": [_plain_result(o, calls if agent else set()) for o in step.observations]}
    if agent:
        if step.model is not None:
            out["model_name"] = step.model
        if step.reasoning:
            out["reasoning_content"] = step.reasoning
        if step.tool_calls:
            out["tool_calls"] = [
                {"tool_call_id": c.id, "function_name": c.name, "arguments": c.arguments} for c in step.tool_calls
            ]
        if step.cost is not None:
            out["metrics"] = {
                "prompt_tokens": step.cost.prompt_tokens,
                "completion_tokens": step.cost.completion_tokens,
                "cached_tokens": step.cost.cached_tokens,
                "cost_usd": step.cost.usd,
            }
            out["llm_call_count"] = step.cost.calls
    extra = {k: v for k, v in step.extra.items() if k not in {THEIRS, OURS}}
    if extra:
        out["extra"] = extra
    return out


def _plain_result(observation: Observation, calls: set[str]) -> Json:
    out: Json = {"content": observation.content}
    if observation.call_id is not None and observation.call_id in calls:
        out["source_call_id"] = observation.call_id
    if observation.is_error:
        out["extra"] = {"is_error": True}
    return out


def _step_from(atif: Json) -> Step:
    metrics = atif.get("metrics")
    calls = cast(list[Json], atif.get("tool_calls") or [])
    results = cast(list[Json], cast(Json, atif.get("observation") or {}).get("results") or [])
    return Step(
        source=cast(Any, atif["source"]),
        message=_text(atif.get("message")),
        reasoning=_text(atif.get("reasoning_content")),
        tool_calls=tuple(
            ToolCall(id=_text(c["tool_call_id"]), name=_text(c["function_name"]), arguments=cast(Json, c["arguments"]))
            for c in calls
        ),
        observations=tuple(
            Observation(
                content=_text(r.get("content")),
                call_id=cast(str | None, r.get("source_call_id")),
                is_error=cast(Json, r.get("extra") or {}).get("is_error") is True,
            )
            for r in results
        ),
        model=cast(str | None, atif.get("model_name")),
        timestamp=cast(str | None, atif.get("timestamp")),
        cost=_cost_from(cast(Json, metrics), atif.get("llm_call_count")) if metrics is not None else None,
        extra=cast(Json, atif.get("extra") or {}),
    )


def _cost_from(metrics: Json, calls: JsonValue) -> Cost:
    return Cost(
        calls=cast(int, calls) if calls is not None else 1,
        prompt_tokens=cast(int, metrics.get("prompt_tokens") or 0),
        completion_tokens=cast(int, metrics.get("completion_tokens") or 0),
        cached_tokens=cast(int, metrics.get("cached_tokens") or 0),
        usd=cast(float, metrics.get("cost_usd") or 0.0),
    )


def _plain_document(trajectory: Trajectory, steps: JsonValue) -> Json:
    name, _, version = trajectory.agent.partition("/")
    cost = trajectory.cost
    out: Json = {
        "schema_version": VERSION,
        "trajectory_id": trajectory.id,
        "agent": {"name": name or "unknown", "version": version or "unknown", "model_name": trajectory.model},
        "steps": steps,
        "final_metrics": {
            "total_prompt_tokens": cost.prompt_tokens,
            "total_completion_tokens": cost.completion_tokens,
            "total_cached_tokens": cost.cached_tokens,
            "total_cost_usd": cost.usd,
            "total_steps": len(trajectory.steps),
        },
    }
    session = trajectory.extra.get("session_id")
    named = isinstance(session, str)
    if named:
        out["session_id"] = session
    extra = {k: v for k, v in trajectory.extra.items() if k not in {THEIRS, OURS, "session_id" if named else OURS}}
    if extra:
        out["extra"] = extra
    return out


def _trajectory_from(atif: Json, steps: tuple[Step, ...]) -> Trajectory:
    agent = cast(Json, atif["agent"])
    final = cast(Json, atif.get("final_metrics") or {})
    extra = dict(cast(Json, atif.get("extra") or {}))
    if atif.get("session_id") is not None:
        extra["session_id"] = atif["session_id"]
    return Trajectory(
        id=cast(str | None, atif.get("trajectory_id")) or digest(atif)[:32],
        agent=f"{agent['name']}/{agent['version']}",
        model=cast(str | None, agent.get("model_name")) or _first_model(steps),
        steps=steps,
        cost=Cost(
            calls=sum(step.cost.calls for step in steps if step.cost is not None),
            prompt_tokens=cast(int, final.get("total_prompt_tokens") or 0),
            completion_tokens=cast(int, final.get("total_completion_tokens") or 0),
            cached_tokens=cast(int, final.get("total_cached_tokens") or 0),
            usd=cast(float, final.get("total_cost_usd") or 0.0),
        ),
        extra=extra,
    )


def _first_model(steps: tuple[Step, ...]) -> str:
    return next((step.model for step in steps if step.model), "unknown")


# Carrying what the mapping loses.


def _with_theirs(plain: Json, extra: Json) -> Json:
    """`plain` with the ATIF fields that an import carried in; null stands for a field to leave out."""
    theirs = extra.get(THEIRS)
    if theirs is None:
        return plain
    if not isinstance(theirs, dict):
        raise UserError(f"extra[{THEIRS!r}] is reserved for ATIF fields and must be an object", "rename that key")
    out = _drop_none({**plain, **theirs})
    if "step_id" in plain:
        return _checked(AtifStep, out, f"step {plain['step_id']} cannot be written as ATIF")
    return out


def _with_ours(out: Json, noun: Step | Trajectory, back: Step | Trajectory) -> Json:
    """`out` with those fields of `noun` that reading it again, as `back`, would not give."""
    mine = noun.model_dump(mode="json", exclude={"steps", "extra"})
    there = back.model_dump(mode="json", exclude={"steps", "extra"})
    lost: Json = {name: value for name, value in mine.items() if value != there[name]}
    extra = {k: v for k, v in noun.extra.items() if k != THEIRS}
    if extra != back.extra:
        lost["extra"] = extra
    return {**out, "extra": {**cast(Json, out.get("extra") or {}), OURS: lost}} if lost else out


def _take_ours(atif: Json) -> tuple[Json, Json]:
    """(our own fields in its extra, the rest)."""
    extra = dict(cast(Json, atif.get("extra") or {}))
    if OURS not in extra:
        return {}, atif
    ours = extra.pop(OURS)
    if not isinstance(ours, dict):
        raise UserError(f"extra.{OURS} of the ATIF document is reserved, and damaged", "rename that key")
    rest = {k: v for k, v in atif.items() if k != "extra"}
    return ours, {**rest, "extra": extra} if extra else rest


Noun = TypeVar("Noun", Step, Trajectory)


def _restored(found: Noun, ours: Json) -> Noun:
    if not ours:
        return found
    if unknown := sorted(set(ours) - set(type(found).model_fields)):
        raise UserError(f"extra.{OURS} of the ATIF document has unknown fields: {unknown}", "export it again")
    try:
        # Checked as JSON, where bytes are base64; the steps are not ours to carry.
        whole = found.model_dump_json(exclude={"steps"})
        mended = type(found).model_validate_json(to_json({**from_json(whole), **ours}))
    except ValidationError as error:
        raise UserError(f"extra.{OURS} of the ATIF document is damaged: {_first(error)}", "export it again") from error
    return found.model_copy(update={name: getattr(mended, name) for name in ours})


def _difference(atif: Json, plain: Json) -> Json:
    """What of the ATIF side the mapping alone would not write again, ready for `extra`."""
    theirs: Json = {name: value for name, value in atif.items() if plain.get(name) != value}
    theirs |= {name: None for name in plain if name not in atif}
    return {THEIRS: theirs} if theirs else {}


def _checked(model: type[BaseModel], value: Json, what: str) -> Json:
    try:
        return _drop_none(model.model_validate(value).model_dump(mode="json"))
    except ValidationError as error:
        raise UserError(f"{what}: {_first(error)}", "correct that field, then try again") from error


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'document'}: {first['msg']}"


def _drop_none(value: Json) -> Json:
    """Without absent fields, at the places where the format has them; never inside `arguments` or `extra`."""
    out: Json = {}
    for name, item in value.items():
        if item is None:
            continue
        if name in {"arguments", "extra", "tool_definitions"}:
            out[name] = item
        elif isinstance(item, dict):
            out[name] = _drop_none(item)
        elif isinstance(item, list):
            out[name] = [_drop_none(part) if isinstance(part, dict) else part for part in item]
        else:
            out[name] = item
    return out


def _text(content: JsonValue) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [cast(Json, part) for part in content if isinstance(part, dict)]
    return "\n".join(_text(part.get("text")) if part.get("type") == "text" else "[image]" for part in parts)


def _is_iso(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
