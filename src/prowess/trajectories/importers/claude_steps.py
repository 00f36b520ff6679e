"""The records of one thread of Claude Code, turned into steps. Lines with one `message.id` are one step."""

import re

from pydantic import JsonValue

from prowess.core.cost import Cost
from prowess.core.trajectory import Observation
from prowess.trajectories.importers.claude_threads import blocks, is_talk
from prowess.trajectories.importers.records import (
    Draft,
    Json,
    Record,
    as_dict,
    as_int,
    as_list,
    as_name,
    as_text,
    tool_call,
)

_SKILL_BASE = re.compile(r"Base directory for this skill: \S{0,500}?([A-Za-z0-9._-]{1,64})/?\s").match
_PROGRAM_TEXT = re.compile(
    r"\s*(?:<(?:command-name|command-message|command-args|local-command-(?:stdout|stderr|caveat)|bash-(?:input|stdout|stderr)"
    r"|system-reminder|task-notification|user-memory-input)>|\[Request interrupted by user|Caveat: The messages below"
    r"|This session is being continued from a previous conversation)"
).match


def cost_of(usage: Json) -> Cost:
    cached = as_int(usage.get("cache_read_input_tokens"))
    fresh = as_int(usage.get("input_tokens")) + as_int(usage.get("cache_creation_input_tokens"))
    return Cost(
        calls=1,
        prompt_tokens=fresh + cached,
        cached_tokens=cached,
        completion_tokens=as_int(usage.get("output_tokens")),
    )


class Builder:
    """Turns the records of one thread into drafts of steps."""

    def __init__(self) -> None:
        self.drafts: list[Draft] = []
        self.extra: Json = {}
        self.init: Json = {}
        self.offered: list[str] = []
        self.loads: list[tuple[int, str]] = []
        self._by_message: dict[str, Draft] = {}
        self._by_call: dict[str, Draft] = {}

    def add(self, record: Record) -> None:
        """The next record of the thread."""
        if not is_talk(record):
            self._side_record(record)
        elif record.data.get("type") == "assistant":
            self._assistant(record)
        else:
            self._user(record)

    def _side_record(self, record: Record) -> None:
        """A record that is no message: known ones have a place of their own, others stay with the step before."""
        data = record.data
        kind = data.get("type")
        if kind == "system" and data.get("subtype") == "init" and not self.init:
            self.init = data
            self.extra["init"] = data
            self.extra["cwd"] = data.get("cwd")
            self.offered += [name for name in as_list(data.get("skills")) if isinstance(name, str)]
        elif kind == "result" and "result" not in self.extra:
            self.extra["result"] = data
        elif self.drafts:
            self.drafts[-1].keep("records", data)
        else:
            kept = self.extra.setdefault("records", [])
            if isinstance(kept, list):
                kept.append(data)
        if kind == "attachment":
            self.offered += _listed_skills(as_dict(data.get("attachment")))

    def _assistant(self, record: Record) -> None:
        data, message = record.data, as_dict(record.data.get("message"))
        rest = _without(data, "type", "message")
        envelope = _without(message, "content", "id", "role", "type", "model")
        id = as_text(message.get("id"))
        draft = self._by_message.get(id) if id else None
        if draft is None:
            synthetic = message.get("model") == "<synthetic>"
            draft = Draft(
                "system" if synthetic else "agent",
                model=None if synthetic else as_name(message.get("model")),
                timestamp=as_name(data.get("timestamp")),
            )
            draft.extra = {"message_id": id, "message": envelope}
            self.drafts.append(draft)
            self._by_message[id] = draft
        else:
            merged = as_dict(draft.extra.get("message"))
            # The last line of a message has its final figures.
            draft.extra["message"] = merged | {k: v for k, v in envelope.items() if v is not None}
        draft.keep("lines", rest)
        usage = as_dict(message.get("usage"))
        if usage and draft.source == "agent":
            draft.cost = cost_of(usage)
        for block in blocks(record):
            self._assistant_block(draft, block)

    def _assistant_block(self, draft: Draft, block: Json) -> None:
        kind = block.get("type")
        left = _without(block, "type")
        if kind == "text":
            draft.say(as_text(left.pop("text", None)))
        elif kind == "thinking":
            draft.think(as_text(left.pop("thinking", None)))
        elif kind == "tool_use":
            call = tool_call(left.pop("id", None), left.pop("name", None), left.pop("input", None))
            draft.tool_calls.append(call)
            self._by_call[call.id] = draft
        # The order of blocks, and whatever else they hold, is kept beside the step.
        draft.keep("blocks", [kind, left] if left else [kind])

    def _user(self, record: Record) -> None:
        data = record.data
        rest = _without(data, "type", "message")
        by_program = bool(data.get("isMeta") or data.get("isSynthetic") or data.get("isCompactSummary"))
        texts: list[str] = []
        left: list[JsonValue] = []
        for block in blocks(record):
            if block.get("type") == "tool_result":
                self._result(block, rest)
            elif block.get("type") == "text":
                texts.append(as_text(block.get("text")))
            else:
                texts.append(f"[{as_text(block.get('type'))}]")
                left.append(block)
        if not texts:
            return
        text = "\n\n".join(texts)
        by_program = by_program or _PROGRAM_TEXT(text) is not None
        draft = Draft("system" if by_program else "user", text, timestamp=as_name(data.get("timestamp")))
        draft.extra = {"lines": [rest]}
        if left:
            draft.extra["blocks"] = left
        self.drafts.append(draft)
        base = _SKILL_BASE(text + "\n") if by_program else None
        if base:
            self.loads.append((len(self.drafts) - 1, base[1]))

    def _result(self, block: Json, rest: Json) -> None:
        call = as_text(block.get("tool_use_id"))
        draft = self._by_call.get(call) or next((d for d in reversed(self.drafts) if d.source == "agent"), None)
        if draft is None:
            draft = Draft("system", timestamp=as_name(rest.get("timestamp")))
            self.drafts.append(draft)
        content = block.get("content")
        texts: list[str] = [content] if isinstance(content, str) else []
        for part in as_list(content):
            inner = part if isinstance(part, dict) else {"type": "text", "text": part}
            kind = as_text(inner.get("type"))
            texts.append(as_text(inner.get("text")) if kind == "text" else f"[{kind}]")
        draft.observations.append(
            Observation.model_construct(
                content="\n".join(texts), call_id=call or None, is_error=block.get("is_error") is True
            )
        )
        kept = dict(rest)
        if not isinstance(content, str):
            kept["content"] = content
        draft.keep("results", kept)


def _listed_skills(attachment: Json) -> list[str]:
    if attachment.get("type") != "skill_listing":
        return []
    names = [name for name in as_list(attachment.get("names")) if isinstance(name, str)]
    return names or re.findall(r"(?m)^- ([A-Za-z0-9._:-]{1,64}):", as_text(attachment.get("content")))


def _without(data: Json, *keys: str) -> Json:
    return {k: v for k, v in data.items() if k not in keys}
