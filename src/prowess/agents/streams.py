"""Event streams of external agents, line by line, into steps. Unknown events and broken lines are counted and passed.

Claude Code: `claude -p --output-format stream-json --verbose`. Codex: `codex exec --json`.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic import JsonValue

from prowess.core.cost import Cost
from prowess.core.model import ToolCall
from prowess.core.trajectory import Observation, Step

Json = dict[str, Any]
_SKILL_FILE = re.compile(r"skills/([a-z0-9][a-z0-9-]*)/SKILL\.md")


@dataclass(slots=True)
class Draft:
    """A step while its parts are still coming in."""

    message: str = ""
    reasoning: str = ""
    calls: list[ToolCall] = field(default_factory=list[ToolCall])
    observations: list[Observation] = field(default_factory=list[Observation])

    def step(self, model: str) -> Step:
        return Step(
            source="agent",
            message=self.message,
            reasoning=self.reasoning,
            tool_calls=tuple(self.calls),
            observations=tuple(self.observations),
            model=model or None,
        )


@dataclass(slots=True)
class Session:
    """What a stream told."""

    version: str = ""
    model: str = ""
    drafts: list[Draft] = field(default_factory=list[Draft])
    loaded: list[str] = field(default_factory=list[str])
    """Names of skills, in order, by the Skill tool or by reading SKILL.md."""
    loads: set[str] = field(default_factory=set[str])
    """Ids of the calls that loaded them."""
    skills_seen: tuple[str, ...] = ()
    """All skills that the agent says it had, personal ones included."""
    cost: Cost = field(default_factory=Cost)
    ended: bool = False
    error: str | None = None
    skipped: Counter[str] = field(default_factory=Counter[str])

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(draft.step(self.model) for draft in self.drafts)

    @property
    def own_text(self) -> str:
        """What the agent itself wrote, calls included but those that load a skill."""
        parts: list[str] = []
        for draft in self.drafts:
            parts.append(draft.message)
            parts += [_text(v) for call in draft.calls if call.id not in self.loads for v in call.arguments.values()]
        return "\n".join(parts)

    def called(self, draft: Draft, call: ToolCall) -> None:
        draft.calls.append(call)
        skill = call.arguments.get("skill")
        # A plugin's skill is named `plugin:skill`.
        names = [skill.rpartition(":")[2]] if call.name == "Skill" and isinstance(skill, str) else []
        if call.name not in {"Write", "Edit", "file_change"}:
            names += [name for value in call.arguments.values() for name in _SKILL_FILE.findall(_text(value))]
        for name in names:
            self.loads.add(call.id)
            if name not in self.loaded:
                self.loaded.append(name)


def read_claude(stream: str) -> Session:
    """A session of Claude Code; steps of sub-agents stand among the others, in the order of the stream."""
    session = Session()
    by_message: dict[str, Draft] = {}
    by_call: dict[str, Draft] = {}
    for event in _events(stream, session):
        message = _dict(event.get("message"))
        match event.get("type"):
            case "system" if event.get("subtype") == "init":
                session.model = session.model or _text(event.get("model"))
                session.version = _text(event.get("claude_code_version"))
                session.skills_seen = tuple(s for s in _list(event.get("skills")) if isinstance(s, str))
            case "assistant":
                # One message comes in several lines, one per block.
                draft = by_message.get(_text(message.get("id")))
                if draft is None:
                    draft = by_message[_text(message.get("id"))] = Draft()
                    session.drafts.append(draft)
                for block in _blocks(message):
                    _claude_block(session, draft, block, by_call)
            case "user":
                for block in _blocks(message):
                    owner = by_call.get(_text(block.get("tool_use_id")))
                    if block.get("type") == "tool_result" and owner is not None:
                        owner.observations.append(
                            Observation(
                                content=_content(block.get("content")),
                                call_id=_text(block.get("tool_use_id")),
                                is_error=block.get("is_error") is True,
                            )
                        )
            case "result":
                _claude_result(session, event)
            case kind:
                session.skipped[f"{_text(kind)}/{_text(event.get('subtype'))}".rstrip("/")] += 1
    session.cost = session.cost.model_copy(update={"calls": len(by_message)})
    return session


def _claude_block(session: Session, draft: Draft, block: Json, by_call: dict[str, Draft]) -> None:
    match block.get("type"):
        case "text":
            draft.message = _join(draft.message, _text(block.get("text")))
        case "thinking":
            draft.reasoning = _join(draft.reasoning, _text(block.get("thinking")))
        case "tool_use":
            call = ToolCall(
                id=_text(block.get("id")), name=_text(block.get("name")), arguments=_dict(block.get("input"))
            )
            by_call[call.id] = draft
            session.called(draft, call)
        case kind:
            session.skipped[f"block/{_text(kind)}"] += 1


def _claude_result(session: Session, event: Json) -> None:
    usage = _dict(event.get("usage"))
    cached = _int(usage.get("cache_read_input_tokens"))
    session.cost = Cost(
        prompt_tokens=cached + _int(usage.get("input_tokens")) + _int(usage.get("cache_creation_input_tokens")),
        cached_tokens=cached,
        completion_tokens=_int(usage.get("output_tokens")),
        seconds=_float(event.get("duration_api_ms")) / 1000,
        usd=_float(event.get("total_cost_usd")),
    )
    session.ended = True
    # Too many turns is the agent's own failure; everything else that went wrong lies outside of it.
    if event.get("is_error") is True and event.get("subtype") != "error_max_turns":
        session.error = _text(event.get("result")) or _text(event.get("subtype")) or "unknown error"


def read_codex(stream: str) -> Session:
    """A session of Codex: every completed item is a step."""
    session = Session()
    for event in _events(stream, session):
        match event.get("type"):
            case "item.completed":
                _codex_item(session, _dict(event.get("item")))
            case "turn.completed":
                usage = _dict(event.get("usage"))
                session.cost += Cost(
                    calls=1,
                    prompt_tokens=_int(usage.get("input_tokens")),
                    cached_tokens=_int(usage.get("cached_input_tokens")),
                    completion_tokens=_int(usage.get("output_tokens")),
                )
                session.ended = True
                session.error = None
            case "turn.failed":
                session.ended = True
                session.error = _text(_dict(event.get("error")).get("message")) or "the turn failed"
            case "error":
                # Followed by turn.completed when it was overcome.
                session.error = _text(event.get("message")) or "unknown error"
            case "thread.started" | "turn.started" | "item.started" | "item.updated":
                continue
            case kind:
                session.skipped[_text(kind)] += 1
    return session


def _codex_item(session: Session, item: Json) -> None:
    id = _text(item.get("id"))
    kind = _text(item.get("type"))
    draft = Draft()
    match kind:
        case "agent_message":
            draft.message = _text(item.get("text"))
        case "reasoning":
            draft.reasoning = _text(item.get("text"))
        case "command_execution":
            failed = item.get("exit_code") not in (0, None) or item.get("status") == "failed"
            session.called(draft, ToolCall(id=id, name="shell", arguments={"command": _text(item.get("command"))}))
            draft.observations.append(
                Observation(content=_text(item.get("aggregated_output")), call_id=id, is_error=failed)
            )
        case "file_change" | "mcp_tool_call" | "web_search" | "todo_list":
            told: dict[str, JsonValue] = {k: v for k, v in item.items() if k not in {"id", "type", "status", "result"}}
            session.called(draft, ToolCall(id=id, name=kind, arguments=told))
            content = _content(item.get("result")) or _text(item.get("status"))
            draft.observations.append(Observation(content=content, call_id=id, is_error=item.get("status") == "failed"))
        case _:
            session.skipped[f"item/{kind}"] += 1
            return
    session.drafts.append(draft)


def _events(stream: str, session: Session) -> Iterator[Json]:
    # Only at line feeds: JSON strings may hold other characters that Python takes for line ends.
    for line in stream.split("\n"):
        if not line.strip():
            continue
        try:
            event: object = json.loads(line)
        except (ValueError, RecursionError):
            event = None
        if isinstance(event, dict):
            yield cast("Json", event)
        else:
            session.skipped["broken line"] += 1


def _blocks(message: Json) -> list[Json]:
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [cast("Json", block) for block in _list(content) if isinstance(block, dict)]


def _content(value: object) -> str:
    """Text of a tool result: a string, or blocks of which the text ones count."""
    if isinstance(value, list):
        return "\n".join(_text(_dict(block).get("text")) for block in cast("list[object]", value)).strip()
    return _text(value)


def _join(left: str, right: str) -> str:
    return f"{left}\n{right}" if left and right else left or right


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _dict(value: object) -> Json:
    return cast("Json", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def _int(value: object) -> int:
    return max(int(value), 0) if isinstance(value, int | float) and abs(value) < 1e15 else 0


def _float(value: object) -> float:
    return float(value) if isinstance(value, int | float) and 0 <= value < 1e15 else 0.0
