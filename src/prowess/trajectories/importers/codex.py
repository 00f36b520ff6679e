"""Codex: rollout files (`~/.codex/sessions/YYYY/MM/DD/rollout-….jsonl`).

Each line is `{timestamp, type, payload}`; the oldest versions wrote the payload alone. Items between two tool results
are one step. The `event_msg` lines repeat what the items say; of them, only token counts, exit codes and the like are
read. What Codex itself puts in front of a request (environment, AGENTS.md, permissions) is moved to `extra`.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import JsonValue
from pydantic_core import from_json

from prowess.core.cost import Cost
from prowess.core.trajectory import Observation, Trajectory
from prowess.trajectories.importers.records import (
    Draft,
    Json,
    Record,
    Report,
    add_costs,
    as_dict,
    as_int,
    as_list,
    as_name,
    as_text,
    exit_code,
    is_own_run,
    main_model,
    read_records,
    tool_call,
    trajectory_id,
)
from prowess.trajectories.skill_use import with_skills

_LINES = frozenset({"session_meta", "response_item", "turn_context", "event_msg", "compacted", "world_state"})
_ITEMS = frozenset(
    {"message", "reasoning", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output"}
    | {"local_shell_call", "local_shell_call_output", "web_search_call", "compaction", "ghost_snapshot"}
)
_CALLS = frozenset({"function_call", "custom_tool_call", "local_shell_call", "web_search_call"})
_TAG = r"environment_context|user_instructions|permissions instructions|INSTRUCTIONS|turn_aborted|collaboration_mode"
_SCAFFOLDING = re.compile(
    rf"\s*(?:# AGENTS\.md instructions[^\n]{{0,500}}\n\s*)?<(?P<tag>{_TAG})>[\s\S]*?</(?P=tag)>\s*"
    r"|\s*# AGENTS\.md instructions[\s\S]*\Z"
).match
_SKILL_TEXT = re.compile(r"\s*<skill>\s*<name>([^<\s]{1,64})</name>").match
_SKILL_LIST = re.compile(r"(?m)^- ([A-Za-z0-9._:-]{1,64}): [^\n]{0,2000}SKILL\.md\)?\s*$")


def read(path: Path, report: Report) -> Iterator[Trajectory]:
    builder = Builder()
    first: Record | None = None
    for record in read_records(path, report):
        first = first or record
        kind, payload = _unwrap(record.data)
        name = f"{kind}/{as_text(payload.get('type'))}" if kind in {"response_item", "event_msg"} else kind
        known = kind in _LINES and (kind != "response_item" or as_text(payload.get("type")) in _ITEMS)
        (report.known if known else report.unknown)[name] += 1
        builder.record(kind, payload, record.data)
    if first is None or not builder.drafts:
        return
    steps = [draft.step() for draft in builder.drafts]
    meta = builder.meta
    session = as_text(meta.get("id") or meta.get("session_id"))
    extra: Json = {"source": "codex", "session_id": session, **builder.extra}
    extra.setdefault("cwd", meta.get("cwd"))
    total = add_costs(steps)
    trajectory = Trajectory(
        # A file without session_meta has only its first line to be known by.
        id=trajectory_id("codex", session, None if session else first.data),
        agent=f"codex/{as_name(meta.get('cli_version')) or 'unknown'}",
        model=main_model(steps, builder.model),
        steps=tuple(steps),
        cost=total,
        extra=extra,
    )
    if is_own_run(steps, extra.get("cwd")):
        report.own_runs += 1
        return
    yield with_skills(trajectory, builder.offered, builder.loads)


def _unwrap(data: Json) -> tuple[str, Json]:
    """(line type, payload), also for the oldest files, which have items without an envelope."""
    kind = as_name(data.get("type"))
    if isinstance(data.get("payload"), dict) and kind:
        return kind, as_dict(data["payload"])
    if kind in _ITEMS:
        return "response_item", data
    if kind is None and "id" in data and "timestamp" in data:
        return "session_meta", data
    return kind or as_text(data.get("record_type")) or "no type", data


class Builder:
    """Turns the lines of one rollout into drafts of steps."""

    def __init__(self) -> None:
        self.drafts: list[Draft] = []
        self.extra: Json = {}
        self.meta: Json = {}
        self.model: str | None = None
        self.offered: list[str] = []
        self.loads: list[tuple[int, str]] = []
        self._open: Draft | None = None
        self._by_call: dict[str, Draft] = {}
        self._last_total: JsonValue = None

    def record(self, kind: str, payload: Json, whole: Json) -> None:
        stamp = as_name(whole.get("timestamp"))
        if kind == "response_item":
            self._item(payload, stamp)
        elif kind == "session_meta" and not self.meta:
            self.meta = payload
            self.extra["session_meta"] = payload
            self._offer(as_text(payload.get("instructions")) + as_text(payload.get("base_instructions")))
        elif kind == "turn_context":
            self.model = as_name(payload.get("model")) or self.model
            self._keep(whole)
        elif kind == "event_msg" and payload.get("type") == "token_count":
            self._tokens(as_dict(payload.get("info")))
            self._keep(whole)
        elif kind == "event_msg":
            self._event(payload)
            self._keep(whole)
        elif kind == "compacted":
            self._open = None
            self.drafts.append(
                Draft("system", as_text(payload.get("message")), timestamp=stamp, extra={"compacted": payload})
            )
        else:
            self._keep(whole)

    def _keep(self, whole: Json) -> None:
        if self.drafts:
            self.drafts[-1].keep("records", whole)
        else:
            kept = self.extra.setdefault("records", [])
            if isinstance(kept, list):
                kept.append(whole)

    def _agent(self, stamp: str | None) -> Draft:
        """The agent's step that is being built, or a new one."""
        if self._open is None:
            self._open = Draft("agent", model=self.model, timestamp=stamp)
            self.drafts.append(self._open)
        return self._open

    def _item(self, item: Json, stamp: str | None) -> None:
        kind = as_text(item.get("type"))
        if kind == "message":
            self._message(item, stamp)
        elif kind == "reasoning":
            draft = self._agent(stamp)
            texts = [as_text(as_dict(part).get("text")) for part in as_list(item.get("summary"))]
            texts += [as_text(as_dict(part).get("text")) for part in as_list(item.get("content"))]
            if any(texts):
                draft.think("\n\n".join(text for text in texts if text))
            left: Json = {k: v for k, v in item.items() if k not in {"type", "summary", "content"} and v is not None}
            draft.keep("reasoning", left)
        elif kind in _CALLS:
            self._call(kind, item, stamp)
        elif kind.endswith("_output"):
            self._output(item)
        else:
            self._keep({"type": "response_item", "timestamp": stamp, "payload": item})

    def _message(self, item: Json, stamp: str | None) -> None:
        role = as_text(item.get("role"))
        texts: list[str] = []
        left: list[JsonValue] = []
        for part in as_list(item.get("content")):
            block = as_dict(part)
            if "text" in block:
                texts.append(as_text(block.get("text")))
            else:
                texts.append(f"[{as_text(block.get('type')) or 'content'}]")
                left.append(part)
        if isinstance(item.get("content"), str):
            texts.append(as_text(item.get("content")))
        rest: Json = {k: v for k, v in item.items() if k not in {"type", "role", "content"} and v is not None}
        extra: Json = {}
        if rest:
            extra["item"] = rest
        if left:
            extra["parts"] = left
        if role == "assistant":
            draft = self._agent(stamp)
            draft.say("\n\n".join(texts))
            for key, value in extra.items():
                draft.keep(key, value)
            return
        self._open = None
        said, scaffolding = _strip(texts)
        for text in scaffolding:
            self._offer(text)
        text = "\n\n".join(said)
        skill = _SKILL_TEXT(text)
        if skill:
            self.loads.append((len(self.drafts), skill[1]))
        source = "user" if role == "user" and not skill and text else "system"
        if scaffolding:
            extra["scaffolding"] = list[JsonValue](scaffolding)
        self.drafts.append(Draft(source, text, timestamp=stamp, extra=extra))

    def _offer(self, text: str) -> None:
        if "SKILL.md" in text:
            self.offered += _SKILL_LIST.findall(text)

    def _call(self, kind: str, item: Json, stamp: str | None) -> None:
        draft = self._agent(stamp)
        if kind in {"function_call", "custom_tool_call"}:
            arguments = item.get("arguments") if kind == "function_call" else item.get("input")
            name = item.get("name")
        else:
            arguments, name = item.get("action"), kind.removesuffix("_call")
        call = tool_call(item.get("call_id") or item.get("id") or f"{kind}-{len(self.drafts)}", name, arguments)
        draft.tool_calls.append(call)
        self._by_call[call.id] = draft
        known = {"type", "name", "arguments", "input", "action", "call_id"}
        left = {k: v for k, v in item.items() if k not in known and v is not None}
        if left:
            draft.keep("calls", {"call_id": call.id, **left})

    def _output(self, item: Json) -> None:
        self._open = None
        call = as_text(item.get("call_id"))
        draft = self._by_call.get(call) or next((d for d in reversed(self.drafts) if d.source == "agent"), None)
        if draft is None:
            draft = Draft("system")
            self.drafts.append(draft)
        output = item.get("output")
        text, failed = _read_output(output)
        draft.observations.append(Observation.model_construct(content=text, call_id=call or None, is_error=failed))
        if output != text:
            draft.keep("results", {"call_id": call, "output": output})

    def _event(self, payload: Json) -> None:
        """The exit code of a command, where only the event has it."""
        draft = self._by_call.get(as_text(payload.get("call_id")))
        failed = payload.get("exit_code") not in (None, 0) or payload.get("success") is False
        if draft is not None and failed and payload.get("type") in ("exec_command_end", "patch_apply_end"):
            call = as_text(payload.get("call_id"))
            draft.observations = [
                o.model_copy(update={"is_error": True}) if o.call_id == call else o for o in draft.observations
            ]
            draft.extra.setdefault("failed_calls", [])
            draft.keep("failed_calls", call)

    def _tokens(self, info: Json) -> None:
        last, total = as_dict(info.get("last_token_usage")), info.get("total_token_usage")
        if not last or (total is not None and total == self._last_total):
            return  # the same count is written again after some events
        self._last_total = total
        draft = next((d for d in reversed(self.drafts) if d.source == "agent"), None)
        if draft is not None:
            cost = Cost(
                calls=1,
                prompt_tokens=as_int(last.get("input_tokens")),
                cached_tokens=as_int(last.get("cached_input_tokens")),
                completion_tokens=as_int(last.get("output_tokens")),
            )
            draft.cost = cost if draft.cost is None else draft.cost + cost


def _strip(texts: list[str]) -> tuple[list[str], list[str]]:
    """(what was said, what Codex put around it)."""
    said: list[str] = []
    scaffolding: list[str] = []
    for text in texts:
        rest = text
        while found := _SCAFFOLDING(rest):
            scaffolding.append(found[0].strip())
            rest = rest[found.end() :]
        if rest.strip():
            said.append(rest)
    return said, scaffolding


def _read_output(output: JsonValue) -> tuple[str, bool]:
    """(text, whether it failed) of any of the forms an output had over the versions."""
    if isinstance(output, str) and output.startswith("{"):
        try:
            inner: JsonValue = from_json(output)
        except ValueError:
            inner = None
        if isinstance(inner, dict) and isinstance(inner.get("output"), str):
            code = as_dict(inner.get("metadata")).get("exit_code")
            return as_text(inner["output"]), code not in (None, 0)
    if isinstance(output, dict):
        text = as_text(output.get("content") or output.get("output"))
        return text, output.get("success") is False
    if isinstance(output, list):
        return "\n".join(as_text(as_dict(part).get("text")) for part in output), False
    text = as_text(output)
    return text, exit_code(text) not in {None, 0}
