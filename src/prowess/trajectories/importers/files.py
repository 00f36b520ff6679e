"""Which file is of which format, and importing files and folders one by one."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import cast

from pydantic_core import from_json

from prowess.core.errors import UserError
from prowess.core.trajectory import Trajectory
from prowess.core.trust import OWN
from prowess.guard.taint import owned_by
from prowess.trajectories.importers.records import Imported, Json, Report, as_name

FORMATS = ("claude-code", "codex", "chat", "atif")
_MODULES = {"claude-code": "claude_code", "codex": "codex", "chat": "chat", "atif": "atif"}
_PEEK = 60
"""Lines looked at to tell the format; the first may be broken or of a kind that many programs write."""
_HEAD = 256 * 1024
_CODEX = frozenset({"session_meta", "response_item", "turn_context", "event_msg", "compacted", "world_state"})
_CLAUDE = frozenset({"user", "assistant", "system", "result", "summary", "file-history-snapshot", "queue-operation"})
_CODEX_OLD = frozenset({"message", "reasoning", "function_call", "function_call_output", "local_shell_call"})


@dataclass(frozen=True, slots=True)
class Progress:
    """Where an import stands; sent after every file."""

    path: Path
    files: int
    files_total: int
    bytes: int
    bytes_total: int


def detect(path: Path | str) -> str | None:
    """The format of a file, told from its content: one of `FORMATS`, or None when it is none of them."""
    path = Path(path)
    if path.suffix.lower() not in {".json", ".jsonl"}:
        return None
    try:
        with path.open("rb") as file:
            if path.suffix.lower() == ".json":
                return _of_json(file.read(_HEAD))
            formats = map(_of_line, islice(iter(lambda: file.readline(_HEAD), b""), _PEEK))
            return next((found for found in formats if found), None)
    except OSError:
        return None


def _of_line(line: bytes) -> str | None:
    try:
        record = from_json(line)
    except ValueError:
        return None
    return _of_record(cast(Json, record)) if isinstance(record, dict) else None


def _of_json(head: bytes) -> str | None:
    # A whole file may be large: its head says enough.
    if b'"schema_version"' in head and b'"ATIF-v' in head:
        return "atif"
    return "chat" if b'"role"' in head and b'"content"' in head else None


def _of_record(record: Json) -> str | None:
    kind = as_name(record.get("type"))
    if isinstance(record.get("schema_version"), str) and str(record["schema_version"]).startswith("ATIF-v"):
        return "atif"
    if isinstance(record.get("messages"), list):
        return "chat"
    if "role" in record and "content" in record and "type" not in record:
        return "chat"
    if kind in _CODEX and isinstance(record.get("payload"), dict):
        return "codex"
    if kind in _CODEX_OLD or (kind is None and {"id", "timestamp", "instructions"} <= record.keys()):
        return "codex"
    if kind in _CLAUDE and ({"sessionId", "session_id", "uuid", "leafUuid", "messageId"} & record.keys()):
        return "claude-code"
    return None


def import_path(
    path: Path | str,
    on_progress: Callable[[Progress], None] | None = None,
    *,
    format: str | None = None,
    principal: str = OWN,
) -> Iterator[Imported]:
    """Import a file, or every file of a known format below a folder, one after another.

    Yields every trajectory with the report of its file; a file without any yields its report alone. Secrets are taken
    out. Importing the same session again gives the same id. Runs that prowess started itself are left out.

    Args:
        path: A file or a folder; links are not followed.
        on_progress: Called after each file.
        format: One of `FORMATS`, instead of telling it from the content.
        principal: Whose sessions they are, where they are not the user's own; what they say of that does not count.

    Raises:
        UserError: there is nothing at `path`, or the one file named is of no known format.
    """
    path = Path(path)
    if format is not None and format not in _MODULES:
        raise UserError(f"there is no format {format!r}", f"use one of {', '.join(FORMATS)}")
    if path.is_file():
        found = [(path, format or detect(path))]
        if found[0][1] is None:
            raise UserError(
                f"{path} is not a session log that prowess knows ({', '.join(FORMATS)})",
                "name a .json or .jsonl file or a folder of them, or say which format it is",
            )
    elif path.is_dir():
        found = [(file, format or detect(file)) for file in _files(path)]
    else:
        raise UserError(f"there is nothing at {path}", "name a file or a folder of session logs")
    wanted = [(file, kind) for file, kind in found if kind is not None]
    sizes = [file.stat().st_size for file, _ in wanted]
    for number, (file, kind) in enumerate(wanted):
        yield from _import_file(file, kind, principal)
        if on_progress is not None:
            done = sum(sizes[: number + 1])
            on_progress(Progress(file, number + 1, len(wanted), done, sum(sizes)))


def _files(folder: Path) -> Iterator[Path]:
    for base, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            file = Path(base, name)
            if name.lower().endswith((".json", ".jsonl")) and not file.is_symlink():
                yield file


def _import_file(path: Path, format: str, principal: str) -> Iterator[Imported]:
    report = Report(path, format)
    read = cast(
        Callable[[Path, Report], Iterator[Trajectory]],
        import_module(f"prowess.trajectories.importers.{_MODULES[format]}").read,
    )
    try:
        for trajectory in read(path, report):
            report.trajectories += 1
            yield Imported(owned_by(trajectory, principal), report)
    except OSError as error:
        report.broke(0, f"cannot be read: {error.strerror}")
    if report.trajectories == 0:
        yield Imported(None, report)
