"""Claude Code: session files (`~/.claude/projects/…/<session>.jsonl`) and the output of `--output-format stream-json`.

Both hold the same messages in different envelopes. A session file is a tree (`parentUuid`): its main thread becomes the
trajectory, what the user took back is kept in `extra["abandoned"]`. Lines with one `message.id` are one step. Each
sub-agent, and each stretch after `/clear`, is a trajectory of its own.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from prowess.core.cost import Cost
from prowess.core.trajectory import Observation, Trajectory
from prowess.trajectories.importers.records import (
    Draft,
    Json,
    Record,
    Report,
    add_costs,
    as_dict,
    as_float,
    as_int,
    as_list,
    as_name,
    as_text,
    is_own_run,
    main_model,
    read_records,
    tool_call,
    trajectory_id,
)
from prowess.trajectories.skill_use import with_skills

_KNOWN = frozenset(
    {"user", "assistant", "system", "result", "summary", "attachment", "progress", "custom-title", "agent-name"}
    | {"ai-title", "file-history-snapshot", "file-history-delta", "queue-operation", "mode", "last-prompt", "pr-link"}
    | {"stream_event", "rate_limit_event", "tool_progress", "permission-mode", "agent-setting", "tag"}
)
_CLEAR = re.compile(r"<command-name>/?clear</command-name>").search
_SKILL_BASE = re.compile(r"Base directory for this skill: \S{0,500}?([A-Za-z0-9._-]{1,64})/?\s").match
_PROGRAM_TEXT = re.compile(
    r"\s*(?:<(?:command-name|command-message|command-args|local-command-(?:stdout|stderr|caveat)|bash-(?:input|stdout|stderr)"
    r"|system-reminder|task-notification|user-memory-input)>|\[Request interrupted by user|Caveat: The messages below"
    r"|This session is being continued from a previous conversation)"
).match


@dataclass(slots=True)
class _Thread:
    """Records that make one trajectory."""

    key: str
    """`main/<n>` or `side/<id of the sub-agent>`."""
    session: str = ""
    parent_call: str | None = None
    talk: list[Record] = field(default_factory=list[Record])
    others: list[Record] = field(default_factory=list[Record])
    abandoned: list[Record] = field(default_factory=list[Record])


def read(path: Path, report: Report) -> Iterator[Trajectory]:
    records: list[Record] = []
    for record in read_records(path, report):
        kind = as_name(record.data.get("type")) or "no type"
        (report.known if kind in _KNOWN else report.unknown)[kind] += 1
        records.append(record)
    tree = any("parentUuid" in record.data for record in records)
    threads = _threads_of_session(records) if tree else _threads_of_stream(records)
    mains: dict[str, str] = {}
    own: set[str] = set()
    for thread in threads:
        trajectory = _trajectory(thread, mains)
        if trajectory is None:
            continue
        if not thread.key.startswith("side/"):
            mains.setdefault(thread.session, trajectory.id)
        if thread.session in own or is_own_run(list(trajectory.steps), trajectory.extra.get("cwd")):
            own.add(thread.session)  # its sub-agents name no folder of their own
            report.own_runs += 1
            continue
        yield trajectory


def _session(record: Record) -> str:
    data = record.data
    return as_text(data.get("sessionId") or data.get("session_id"))


def _is_talk(record: Record) -> bool:
    return record.data.get("type") in ("user", "assistant") and isinstance(record.data.get("message"), dict)


def _threads_of_stream(records: list[Record]) -> list[_Thread]:
    threads: dict[tuple[str, str], _Thread] = {}
    session = ""
    for record in records:
        session = _session(record) or session
        call = as_text(record.data.get("parent_tool_use_id"))
        key = f"side/{call}" if call else "main/0"
        thread = threads.get((session, key))
        if thread is None:
            thread = threads[session, key] = _Thread(key, session, parent_call=call or None)
        (thread.talk if _is_talk(record) else thread.others).append(record)
    return list(threads.values())


def _threads_of_session(records: list[Record]) -> list[_Thread]:
    threads: dict[str, _Thread] = {}
    where: dict[str, str] = {}  # uuid -> key of its thread
    prompts = _prompts_of_subagents(records)
    main = "main/0"
    for record in records:
        data = record.data
        uuid, parent = as_text(data.get("uuid")), as_name(data.get("parentUuid"))
        if data.get("isSidechain"):
            agent = as_text(data.get("agentId"))
            above = where.get(parent or "", "")
            key = f"side/{agent}" if agent else above if above.startswith("side/") else f"side/{uuid}"
        elif parent is not None and where.get(parent, "").startswith("main/"):
            key = where[parent]
        elif parent is None and _starts_over(record) and main in threads and threads[main].talk:
            key = f"main/{int(main[5:]) + 1}"
        else:
            key = main
        if key not in threads:
            threads[key] = _Thread(key, _session(record))
        thread = threads[key]
        thread.session = thread.session or _session(record)
        if _is_talk(record):
            if not thread.talk and key.startswith("side/"):
                thread.parent_call = prompts.get(_plain_text(record).strip())
            thread.talk.append(record)
        else:
            thread.others.append(record)
        if uuid:
            where[uuid] = key
        if key.startswith("main/"):
            main = key
            if _is_talk(record) and _CLEAR(_plain_text(record)):
                main = f"main/{int(main[5:]) + 1}"
                where[uuid] = main
                threads.setdefault(main, _Thread(main, thread.session))
    for thread in threads.values():
        _keep_main_path(thread)
    return list(threads.values())


def _starts_over(record: Record) -> bool:
    """A prompt without a parent: the user went back to the very start. A compaction also has none, but goes on."""
    data = record.data
    return data.get("type") == "user" and not data.get("isCompactSummary") and not data.get("logicalParentUuid")


def _prompts_of_subagents(records: list[Record]) -> dict[str, str]:
    """Prompt -> id of the call that gave it to a sub-agent."""
    prompts: dict[str, str] = {}
    for record in records:
        for block in as_list(as_dict(record.data.get("message")).get("content")):
            if isinstance(block, dict) and block.get("type") == "tool_use" and block.get("name") in ("Task", "Agent"):
                prompts[as_text(as_dict(block.get("input")).get("prompt")).strip()] = as_text(block.get("id"))
    return prompts


def _keep_main_path(thread: _Thread) -> None:
    """Move what does not lead to the last message into `abandoned`."""
    by_uuid = {as_text(r.data.get("uuid")): r for r in [*thread.talk, *thread.others]}
    path: set[int] = set()
    record: Record | None = thread.talk[-1] if thread.talk else None
    while record is not None and record.line not in path:
        path.add(record.line)
        above = as_name(record.data.get("parentUuid")) or as_name(record.data.get("logicalParentUuid"))
        following, record = record, by_uuid.get(above or "")
        if record is None and above is not None:
            # Its parent is not in this file: all that came before is taken as its past.
            path |= {r.line for r in thread.talk if r.line < following.line}
    messages = {_message_id(r) for r in thread.talk if r.line in path} - {""}
    calls = {
        as_text(block.get("id"))
        for r in thread.talk
        if r.line in path or _message_id(r) in messages
        for block in _blocks(r)
        if block.get("type") == "tool_use"
    }
    kept: list[Record] = []
    for r in thread.talk:
        # Parallel calls hang side by side in the tree: their results belong to the path though they do not lie on it.
        answers = [as_text(b.get("tool_use_id")) for b in _blocks(r) if b.get("type") == "tool_result"]
        answers.append(as_text(r.data.get("sourceToolUseID")))
        on_path = r.line in path or _message_id(r) in messages or any(call in calls for call in answers)
        (kept if on_path else thread.abandoned).append(r)
    thread.talk = kept


def _message_id(record: Record) -> str:
    return as_text(as_dict(record.data.get("message")).get("id"))


def _blocks(record: Record) -> list[Json]:
    content = as_dict(record.data.get("message")).get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for block in as_list(content) if isinstance(block, dict)]


def _plain_text(record: Record) -> str:
    return "\n".join(as_text(b.get("text")) for b in _blocks(record) if b.get("type") == "text")


def _trajectory(thread: _Thread, mains: dict[str, str]) -> Trajectory | None:
    if not thread.talk:
        return None
    builder = _Builder()
    others = iter(thread.others)
    other = next(others, None)
    for record in thread.talk:
        while other is not None and other.line < record.line:
            builder.side_record(other)
            other = next(others, None)
        builder.talk(record)
    while other is not None:
        builder.side_record(other)
        other = next(others, None)
    steps = [draft.step() for draft in builder.drafts]
    first = thread.talk[0].data
    extra: Json = {"source": "claude-code", "session_id": thread.session, "thread": thread.key, **builder.extra}
    for name, key in (("cwd", "cwd"), ("git_branch", "gitBranch"), ("slug", "slug")):
        if name not in extra and key in first:
            extra[name] = first[key]
    if thread.key.startswith("side/"):
        extra["parent_trajectory"] = mains.get(thread.session)
        extra["parent_call"] = thread.parent_call
    if thread.abandoned:
        extra["abandoned"] = [r.data for r in thread.abandoned]
    result = as_dict(builder.extra.get("result"))
    version = as_name(builder.init.get("claude_code_version")) or as_name(first.get("version")) or "unknown"
    trajectory = Trajectory(
        id=trajectory_id("claude-code", thread.session, [thread.key[:4], first.get("uuid") or first]),
        agent=f"claude-code/{version}",
        model=main_model(steps, builder.init.get("model")),
        steps=tuple(steps),
        error=as_text(result.get("result") or result.get("subtype"))[:500] if result.get("is_error") else None,
        cost=_total(steps=add_costs(steps), result=result),
        extra=extra,
    )
    return with_skills(trajectory, builder.offered, builder.loads)


def _total(steps: Cost, result: Json) -> Cost:
    """What the program reports of itself where it does; its stream names only part of the tokens of each message."""
    usage = as_dict(result.get("usage"))
    total = _cost(usage) if usage else steps
    return total.model_copy(
        update={
            "calls": steps.calls,
            "seconds": as_float(result.get("duration_api_ms")) / 1000,
            "usd": as_float(result.get("total_cost_usd")),
        }
    )


def _cost(usage: Json) -> Cost:
    cached = as_int(usage.get("cache_read_input_tokens"))
    fresh = as_int(usage.get("input_tokens")) + as_int(usage.get("cache_creation_input_tokens"))
    return Cost(
        calls=1,
        prompt_tokens=fresh + cached,
        cached_tokens=cached,
        completion_tokens=as_int(usage.get("output_tokens")),
    )


class _Builder:
    """Turns the records of one thread into drafts of steps."""

    def __init__(self) -> None:
        self.drafts: list[Draft] = []
        self.extra: Json = {}
        self.init: Json = {}
        self.offered: list[str] = []
        self.loads: list[tuple[int, str]] = []
        self._by_message: dict[str, Draft] = {}
        self._by_call: dict[str, Draft] = {}

    def side_record(self, record: Record) -> None:
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

    def talk(self, record: Record) -> None:
        if record.data.get("type") == "assistant":
            self._assistant(record)
        else:
            self._user(record)

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
            draft.cost = _cost(usage)
        for block in _blocks(record):
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
        for block in _blocks(record):
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
