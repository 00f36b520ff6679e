"""What the event stream of an external agent told. Unknown events and broken lines are counted and passed.

Claude Code: `claude -p --output-format stream-json --verbose`, read as `prowess import` reads it. Codex: `codex exec
--json`, which is not the form of its session files.
"""

import io
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from prowess.core.cost import Cost
from prowess.core.trajectory import Observation, Step
from prowess.trajectories.importers.claude_code import read_run
from prowess.trajectories.importers.records import (
    Draft,
    Json,
    Report,
    as_dict,
    as_int,
    as_list,
    as_name,
    as_text,
    records_of,
    tool_call,
)
from prowess.trajectories.skill_use import loads, opened_by


@dataclass(slots=True)
class Session:
    """What a stream told. Secrets are taken out."""

    version: str = ""
    model: str = ""
    steps: tuple[Step, ...] = ()
    """Those of the agent, of its sub-agents too, in the order of the stream."""
    loaded: tuple[str, ...] = ()
    """Names of skills, in order, by the Skill tool or by reading SKILL.md."""
    skills_seen: tuple[str, ...] = ()
    """All skills that the agent says it had, personal ones included."""
    cost: Cost = field(default_factory=Cost)
    ended: bool = False
    error: str | None = None
    skipped: Counter[str] = field(default_factory=Counter[str])

    @property
    def own_text(self) -> str:
        """What the agent itself wrote, calls included but those that load a skill."""
        parts: list[str] = []
        for step in self.steps:
            parts.append(step.message)
            parts += [as_text(v) for call in step.tool_calls if not opened_by(call) for v in call.arguments.values()]
        return "\n".join(parts)


def read_claude(stream: str) -> Session:
    """A session of Claude Code."""
    report = Report(Path("stdout"), "claude-code")
    trajectory = read_run(_file(stream), report)
    session = Session(skipped=_skipped(report))
    if trajectory is None:
        return session
    init, result = as_dict(trajectory.extra.get("init")), trajectory.extra.get("result")
    session.version = as_text(init.get("claude_code_version"))
    session.model = as_name(init.get("model")) or trajectory.model
    # What an import keeps of every record would only make the store of runs large.
    bare: dict[str, Json | None] = {"cost": None, "extra": {}}
    session.steps = tuple(step.model_copy(update=bare) for step in trajectory.steps if step.source == "agent")
    session.loaded = trajectory.loaded
    session.skills_seen = tuple(name for name in as_list(init.get("skills")) if isinstance(name, str))
    session.cost = trajectory.cost
    session.ended = isinstance(result, dict)
    # Too many turns is the agent's own failure; everything else that went wrong lies outside of it.
    if as_dict(result).get("subtype") != "error_max_turns":
        session.error = trajectory.error
    return session


def read_codex(stream: str) -> Session:
    """A session of Codex: every completed item is a step."""
    report = Report(Path("stdout"), "codex exec")
    session = Session()
    drafts: list[Draft] = []
    for record in records_of(_file(stream), report):
        event = record.data
        match event.get("type"):
            case "item.completed":
                item = as_dict(event.get("item"))
                draft = _codex_item(item)
                if draft is None:
                    report.unknown[f"item/{as_text(item.get('type'))}"] += 1
                else:
                    drafts.append(draft)
            case "turn.completed":
                usage = as_dict(event.get("usage"))
                session.cost += Cost(
                    calls=1,
                    prompt_tokens=as_int(usage.get("input_tokens")),
                    cached_tokens=as_int(usage.get("cached_input_tokens")),
                    completion_tokens=as_int(usage.get("output_tokens")),
                )
                session.ended = True
                session.error = None
            case "turn.failed":
                session.ended = True
                session.error = as_text(as_dict(event.get("error")).get("message")) or "the turn failed"
            case "error":
                # Followed by turn.completed when it was overcome.
                session.error = as_text(event.get("message")) or "unknown error"
            case "thread.started" | "turn.started" | "item.started" | "item.updated":
                continue
            case kind:
                report.unknown[as_text(kind)] += 1
    session.steps = tuple(draft.step() for draft in drafts)
    session.loaded = tuple(dict.fromkeys(name for _, name in loads(session.steps)))
    session.skipped = _skipped(report)
    return session


def _codex_item(item: Json) -> Draft | None:
    draft = Draft("agent")
    kind = as_text(item.get("type"))
    failed = item.get("status") == "failed"
    match kind:
        case "agent_message":
            draft.say(as_text(item.get("text")))
            return draft
        case "reasoning":
            draft.think(as_text(item.get("text")))
            return draft
        case "command_execution":
            arguments: Json = {"command": as_text(item.get("command"))}
            call = tool_call(item.get("id"), "shell", arguments)
            failed = failed or item.get("exit_code") not in (0, None)
            content = as_text(item.get("aggregated_output"))
        case "file_change" | "mcp_tool_call" | "web_search" | "todo_list":
            told: Json = {k: v for k, v in item.items() if k not in {"id", "type", "status", "result"}}
            call = tool_call(item.get("id"), kind, told)
            content = _content(item.get("result")) or as_text(item.get("status"))
        case _:
            return None
    draft.tool_calls.append(call)
    draft.observations.append(Observation(content=content, call_id=call.id, is_error=failed))
    return draft


def _file(stream: str) -> io.BytesIO:
    return io.BytesIO(stream.encode("utf-8", "replace"))


def _skipped(report: Report) -> Counter[str]:
    return report.unknown + Counter({"broken line": report.broken})


def _content(result: JsonValue) -> str:
    """Text of a tool result: a string, or blocks of which the text ones count."""
    if isinstance(result, list):
        return "\n".join(as_text(as_dict(block).get("text")) for block in result).strip()
    return as_text(result)
