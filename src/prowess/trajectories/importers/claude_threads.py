"""Claude Code's records, sorted into threads: each makes one trajectory.

A session file is a tree (`parentUuid`), of which one path is what was said in the end. Each sub-agent, and each stretch
after `/clear`, is a thread of its own.
"""

import re
from dataclasses import dataclass, field

from prowess.trajectories.importers.records import Json, Record, as_dict, as_list, as_name, as_text

_CLEAR = re.compile(r"<command-name>/?clear</command-name>").search


@dataclass(slots=True)
class Thread:
    """Records that make one trajectory."""

    key: str
    """`main/<n>` or `side/<id of the sub-agent>`."""
    session: str = ""
    parent_call: str | None = None
    talk: list[Record] = field(default_factory=list[Record])
    others: list[Record] = field(default_factory=list[Record])
    abandoned: list[Record] = field(default_factory=list[Record])

    @property
    def records(self) -> list[Record]:
        """What was not abandoned, in the order of the file."""
        return sorted([*self.talk, *self.others], key=lambda record: record.line)

    def add(self, record: Record) -> None:
        (self.talk if is_talk(record) else self.others).append(record)


def _session(record: Record) -> str:
    data = record.data
    return as_text(data.get("sessionId") or data.get("session_id"))


def is_talk(record: Record) -> bool:
    return record.data.get("type") in ("user", "assistant") and isinstance(record.data.get("message"), dict)


def threads_of_stream(records: list[Record]) -> list[Thread]:
    threads: dict[tuple[str, str], Thread] = {}
    session = ""
    for record in records:
        session = _session(record) or session
        call = as_text(record.data.get("parent_tool_use_id"))
        key = f"side/{call}" if call else "main/0"
        thread = threads.get((session, key))
        if thread is None:
            thread = threads[session, key] = Thread(key, session, parent_call=call or None)
        thread.add(record)
    return list(threads.values())


def whole(records: list[Record]) -> Thread:
    """All records as one thread, sub-agents included."""
    thread = Thread("main/0", next((session for record in records if (session := _session(record))), ""))
    for record in records:
        thread.add(record)
    return thread


def threads_of_session(records: list[Record]) -> list[Thread]:
    threads: dict[str, Thread] = {}
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
            threads[key] = Thread(key, _session(record))
        thread = threads[key]
        thread.session = thread.session or _session(record)
        if is_talk(record) and not thread.talk and key.startswith("side/"):
            thread.parent_call = prompts.get(_plain_text(record).strip())
        thread.add(record)
        if uuid:
            where[uuid] = key
        if key.startswith("main/"):
            main = key
            if is_talk(record) and _CLEAR(_plain_text(record)):
                main = f"main/{int(main[5:]) + 1}"
                where[uuid] = main
                threads.setdefault(main, Thread(main, thread.session))
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


def _keep_main_path(thread: Thread) -> None:
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
        for block in blocks(r)
        if block.get("type") == "tool_use"
    }
    kept: list[Record] = []
    for r in thread.talk:
        # Parallel calls hang side by side in the tree: their results belong to the path though they do not lie on it.
        answers = [as_text(b.get("tool_use_id")) for b in blocks(r) if b.get("type") == "tool_result"]
        answers.append(as_text(r.data.get("sourceToolUseID")))
        on_path = r.line in path or _message_id(r) in messages or any(call in calls for call in answers)
        (kept if on_path else thread.abandoned).append(r)
    thread.talk = kept


def _message_id(record: Record) -> str:
    return as_text(as_dict(record.data.get("message")).get("id"))


def blocks(record: Record) -> list[Json]:
    content = as_dict(record.data.get("message")).get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for block in as_list(content) if isinstance(block, dict)]


def _plain_text(record: Record) -> str:
    return "\n".join(as_text(b.get("text")) for b in blocks(record) if b.get("type") == "text")
