"""Claude Code: session files (`~/.claude/projects/…/<session>.jsonl`) and the output of `--output-format stream-json`.

Both hold the same messages in different envelopes. A session file is a tree (`parentUuid`): its main thread becomes the
trajectory, what the user took back is kept in `extra["abandoned"]`. Lines with one `message.id` are one step. Each
sub-agent, and each stretch after `/clear`, is a trajectory of its own.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from prowess.core.cost import Cost
from prowess.core.trajectory import Trajectory
from prowess.trajectories.importers.claude_steps import Builder, cost_of
from prowess.trajectories.importers.claude_threads import Thread, threads_of_session, threads_of_stream, whole
from prowess.trajectories.importers.records import (
    Json,
    Record,
    Report,
    add_costs,
    as_dict,
    as_float,
    as_name,
    as_text,
    is_own_run,
    main_model,
    read_records,
    records_of,
    trajectory_id,
)
from prowess.trajectories.skill_use import with_skills

_KNOWN = frozenset(
    {"user", "assistant", "system", "result", "summary", "attachment", "progress", "custom-title", "agent-name"}
    | {"ai-title", "file-history-snapshot", "file-history-delta", "queue-operation", "mode", "last-prompt", "pr-link"}
    | {"stream_event", "rate_limit_event", "tool_progress", "permission-mode", "agent-setting", "tag"}
)


def read(path: Path, report: Report) -> Iterator[Trajectory]:
    records = [*_counted(read_records(path, report), report)]
    tree = any("parentUuid" in record.data for record in records)
    threads = threads_of_session(records) if tree else threads_of_stream(records)
    mains: dict[str, str] = {}
    own: set[str] = set()
    for thread in threads:
        if not thread.talk:
            continue
        trajectory = _trajectory(thread, mains)
        if not thread.key.startswith("side/"):
            mains.setdefault(thread.session, trajectory.id)
        if thread.session in own or is_own_run(list(trajectory.steps), trajectory.extra.get("cwd")):
            own.add(thread.session)  # its sub-agents name no folder of their own
            report.own_runs += 1
            continue
        yield trajectory


def read_run(stream: BinaryIO, report: Report) -> Trajectory | None:
    """The output of one run of ours as one trajectory, with the steps of sub-agents among the others; None for none."""
    records = [*_counted(records_of(stream, report), report)]
    return _trajectory(whole(records), {}) if records else None


def _counted(records: Iterable[Record], report: Report) -> Iterator[Record]:
    for record in records:
        kind = as_name(record.data.get("type")) or "no type"
        (report.known if kind in _KNOWN else report.unknown)[kind] += 1
        yield record


def _trajectory(thread: Thread, mains: dict[str, str]) -> Trajectory:
    builder = Builder()
    for record in thread.records:
        builder.add(record)
    steps = [draft.step() for draft in builder.drafts]
    first = (thread.talk or thread.others)[0].data
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
    total = cost_of(usage) if usage else steps
    return total.model_copy(
        update={
            "calls": steps.calls,
            "seconds": as_float(result.get("duration_api_ms")) / 1000,
            "usd": as_float(result.get("total_cost_usd")),
        }
    )
