"""Conversations in the form of OpenAI's chat messages: JSON or JSONL, one conversation or many.

Read are a list of messages, an object with `messages`, a list of such objects, JSONL of such objects, and JSONL of
single messages (then the file is one conversation).
"""

from collections.abc import Iterator
from pathlib import Path

from pydantic import JsonValue

from prowess.core.base import digest
from prowess.core.cost import Cost
from prowess.core.trajectory import Observation, Trajectory
from prowess.trajectories.importers.records import (
    MAX_LINE,
    Broken,
    Draft,
    Json,
    Report,
    add_costs,
    as_dict,
    as_int,
    as_list,
    as_name,
    as_text,
    clean_json,
    is_own_run,
    main_model,
    read_records,
    tool_call,
)
from prowess.trajectories.skill_use import with_skills

ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})


def read(path: Path, report: Report) -> Iterator[Trajectory]:
    for conversation in _conversations(path, report):
        trajectory = trajectory_of(conversation, report)
        if trajectory is None:
            continue
        if is_own_run(list(trajectory.steps), conversation.get("cwd")):
            report.own_runs += 1
        else:
            yield trajectory


def _conversations(path: Path, report: Report) -> Iterator[Json]:
    if path.suffix.lower() == ".jsonl":
        loose: list[JsonValue] = []
        for record in read_records(path, report):
            if "messages" in record.data:
                yield record.data
            else:
                loose.append(record.data)
        if loose:
            yield {"messages": loose}
        return
    data = read_json(path, report)
    items: list[JsonValue] = data if isinstance(data, list) else [data]
    if items and all("role" in as_dict(item) for item in items):
        yield {"messages": items}
        return
    for item in items:
        if "messages" in as_dict(item):
            yield as_dict(item)
        elif item is not None:
            report.unknown["no messages"] += 1


def read_json(path: Path, report: Report) -> JsonValue:
    """The value of a whole JSON file; None, and a line in the report, when it is not one."""
    size = path.stat().st_size
    report.bytes += size
    if size > MAX_LINE:
        report.broke(1, f"longer than {MAX_LINE} bytes")
        return None
    raw = path.read_bytes()
    report.lines = raw.count(b"\n") + 1
    data = clean_json(raw, report)
    if isinstance(data, Broken):
        report.broke(1, data.why)
        return None
    return data


def trajectory_of(conversation: Json, report: Report) -> Trajectory | None:
    drafts: list[Draft] = []
    by_call: dict[str, Draft] = {}
    for message in as_list(conversation.get("messages")):
        role = as_text(as_dict(message).get("role"))
        if role not in ROLES:
            report.unknown[f"role {role[:30]}" if role else "no role"] += 1
            if drafts:
                drafts[-1].keep("records", message)
            continue
        report.known[role] += 1
        _message(role, dict(as_dict(message)), drafts, by_call)
    if not drafts:
        return None
    steps = [draft.step() for draft in drafts]
    rest = {k: v for k, v in conversation.items() if k != "messages"}
    usage = as_dict(conversation.get("usage"))
    trajectory = Trajectory(
        # There is no session to be known by: the whole content is the identity.
        id=digest(["chat", conversation])[:32],
        agent=as_name(conversation.get("agent")) or "chat/unknown",
        model=main_model(steps, conversation.get("model")),
        steps=tuple(steps),
        cost=_cost(usage) if usage else add_costs(steps),
        extra={"source": "chat", **({"conversation": rest} if rest else {})},
    )
    return with_skills(trajectory, ())


def _message(role: str, message: Json, drafts: list[Draft], by_call: dict[str, Draft]) -> None:
    del message["role"]
    text, parts = _content(message.pop("content", None))
    if role in {"tool", "function"}:
        call = as_text(message.pop("tool_call_id", None)) or as_text(message.get("name"))
        draft = by_call.get(call) or next((d for d in reversed(drafts) if d.source == "agent"), None)
        if draft is None:
            draft = Draft("system")
            drafts.append(draft)
        failed = message.get("is_error") is True or message.get("status") == "error"
        draft.observations.append(Observation.model_construct(content=text, call_id=call or None, is_error=failed))
        if message or parts:
            draft.keep("results", {**message, **({"content": parts} if parts else {})})
        return
    draft = Draft("agent" if role == "assistant" else "user" if role == "user" else "system", text)
    drafts.append(draft)
    if role == "assistant":
        draft.reasoning = as_text(message.pop("reasoning_content", None) or message.pop("reasoning", None))
        draft.model = as_name(message.pop("model", None))
        usage = as_dict(message.get("usage"))
        draft.cost = _cost(usage) if usage else None
        _calls(message, draft, by_call)
    draft.timestamp = as_name(message.pop("timestamp", None))
    if role == "developer":
        message["role"] = role
    if message:
        draft.extra["message"] = message
    if parts:
        draft.extra["parts"] = parts


def _calls(message: Json, draft: Draft, by_call: dict[str, Draft]) -> None:
    calls = as_list(message.pop("tool_calls", None))
    if isinstance(message.get("function_call"), dict):
        function = as_dict(message.pop("function_call"))
        calls.append({"id": function.get("name"), "function": function})
    for number, item in enumerate(calls):
        function = as_dict(as_dict(item).get("function")) or as_dict(as_dict(item).get("custom"))
        arguments = function.get("arguments", function.get("input"))
        call = tool_call(as_dict(item).get("id") or f"call-{number}", function.get("name"), arguments)
        draft.tool_calls.append(call)
        by_call[call.id] = draft


def _content(content: JsonValue) -> tuple[str, list[JsonValue]]:
    """(text, the parts when they are more than text)."""
    if not isinstance(content, list):
        return as_text(content), []
    texts: list[str] = []
    plain = True
    for part in content:
        block = as_dict(part)
        if isinstance(block.get("text"), str):
            texts.append(as_text(block["text"]))
        else:
            plain = False
            texts.append(f"[{as_text(block.get('type')) or 'content'}]")
    return "\n".join(texts), [] if plain and len(content) == 1 else content


def _cost(usage: Json) -> Cost:
    return Cost(
        calls=1,
        prompt_tokens=as_int(usage.get("prompt_tokens")),
        cached_tokens=as_int(as_dict(usage.get("prompt_tokens_details")).get("cached_tokens")),
        completion_tokens=as_int(usage.get("completion_tokens")),
    )
