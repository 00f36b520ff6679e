"""A bounded look at task files for a prompt: first lines, sheets and rows, tables and rows. As few tokens as will do.

Files may be hostile: sizes are checked before anything is unpacked, and a file that cannot be read is named, no more.
"""

import csv
import io
import json
import sqlite3
import zipfile
from typing import Any

from prowess.core.task import File
from prowess.core.text import shorten

ROWS = 4
"""Lines or rows shown per file or table."""
_LINE = 160
_UNPACKED = 64 << 20
_SQLITE = b"SQLite format 3\x00"


def preview(files: tuple[File, ...], limit: int = 1_600) -> str:
    """What `files` look like, in at most about `limit` characters; each file gets an equal share at least."""
    if not files:
        return ""
    parts: list[str] = []
    room = limit
    for index, file in enumerate(files):
        share = max(room // (len(files) - index), 60)
        part = shorten(_one(file, share), share)
        parts.append(part)
        room -= len(part)
        if room <= 0 and index + 1 < len(files):
            parts.append("and: " + shorten(", ".join(f.path for f in files[index + 1 :]), 300))
            break
    return "\n".join(parts)


def _one(file: File, share: int) -> str:
    data = file.data
    try:
        if data.startswith(_SQLITE):
            return f"{file.path} (SQLite)\n{_sqlite(data)}"
        if file.path.lower().endswith((".xlsx", ".xlsm")):
            return f"{file.path} (workbook)\n{_workbook(data)}"
    except Exception as error:
        # Any parser may fail in any way on a broken file; the agent must still hear that it exists.
        return f"{file.path} ({len(data)} bytes, unreadable: {type(error).__name__})"
    if b"\x00" in data[:4096]:
        return f"{file.path} (binary, {len(data)} bytes)"
    text = data[: 1 << 20].decode("utf-8", "replace")
    if len(text) <= min(share - len(file.path) - 20, 320):
        return f"{file.path}\n{text.rstrip()}"
    if file.path.lower().endswith(".json") and len(data) < 1 << 22:
        try:
            return f"{file.path}\n{_json(json.loads(data), share)}"
        except (ValueError, RecursionError):
            pass
    lines = text.splitlines()
    shown = "\n".join(line[:_LINE] for line in lines[:ROWS])
    return f"{file.path} ({len(lines)} lines)\n{shown}"


def _json(value: Any, share: int) -> str:
    """The start of a JSON value with long lists cut after two items."""

    def small(item: Any, depth: int) -> Any:
        if isinstance(item, list):
            items: list[Any] = [small(x, depth + 1) for x in item[:2]]  # pyright: ignore[reportUnknownVariableType]
            return items + ([f"… {len(item)} in all"] if len(item) > 2 else [])  # pyright: ignore[reportUnknownArgumentType]
        if isinstance(item, dict):
            pairs = list(item.items())[:12]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            return {str(k)[:60]: small(v, depth + 1) if depth < 6 else "…" for k, v in pairs}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        return item[:80] if isinstance(item, str) else item

    return json.dumps(small(value, 0), ensure_ascii=False)[:share]


def _workbook(data: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > _UNPACKED:
            return "(too big to show)"
    import openpyxl

    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
    try:
        parts: list[str] = []
        for sheet in book.worksheets[:6]:
            rows = list(sheet.iter_rows(max_row=ROWS, max_col=30, values_only=True))
            width = max((i + 1 for row in rows for i, value in enumerate(row) if value is not None), default=0)
            size = f"{sheet.max_row or '?'}x{sheet.max_column or '?'}"
            parts.append("\n".join([f"sheet {sheet.title!r} {size}", *(_row(row[:width]) for row in rows)]))
        if len(book.worksheets) > 6:
            parts.append(f"and {len(book.worksheets) - 6} more sheets")
        return "\n".join(parts)
    finally:
        book.close()


def _sqlite(data: bytes) -> str:
    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(data)
        # A database may carry triggers and views that call functions; only tables are read, and not for long.
        connection.execute("PRAGMA trusted_schema=OFF")
        steps = [0]

        def tick() -> int:
            steps[0] += 1
            return int(steps[0] > 2_000)

        connection.set_progress_handler(tick, 1_000)
        tables = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type='table' AND name NOT LIKE 'sqlite_%' ORDER BY name LIMIT 8"
        ).fetchall()
        parts: list[str] = []
        for (name,) in tables:
            quoted = '"' + str(name).replace('"', '""') + '"'
            cursor = connection.execute(f"SELECT * FROM {quoted} LIMIT {ROWS - 1}")
            columns = ",".join(column[0] for column in cursor.description)
            parts.append("\n".join([f"table {name}({columns})", *(_row(row) for row in cursor)]))
        return "\n".join(parts)
    finally:
        connection.close()


def _row(values: tuple[Any, ...]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(["" if v is None else str(v)[:60] for v in values])
    return out.getvalue()[:_LINE]
