"""Reading answers safely and leniently, and writing right ones.

Answers are hostile: every reader has size limits, evaluates nothing, and raises only `Unreadable`. Readers are lenient
where a house rule is broken, so that one broken rule fails one check and not all.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast

from prowess.suites.safety import Unreadable

Value = str | Decimal
Reader = Callable[[str], Value | None]
"""Turns the text of a cell into its value, whatever the notation; None when it has none."""

MAX_BYTES = 256_000
MAX_ROWS = 2_000
MAX_COLUMNS = 40
MAX_CELL = 400


@dataclass(frozen=True, slots=True)
class Found:
    """An output as it was found."""

    header: tuple[str, ...]
    """Empty when there is none."""
    cells: tuple[tuple[str, ...], ...]
    """Text as written, columns in the order of the right header where they can be told."""
    values: tuple[tuple[Value | None, ...], ...]
    marks: Mapping[str, str] = field(default_factory=dict[str, str])
    """What the form has beside its cells: `separator`, `sheet`."""

    def column(self, index: int) -> list[str]:
        return [row[index] for row in self.cells if index < len(row)]

    def matches(self, index: int, pattern: str) -> bool:
        """Whether every cell of a column is written like `pattern`."""
        return all(re.fullmatch(pattern, cell, re.ASCII) for cell in self.column(index))

    def ordered(self, key: Callable[[tuple[Any, ...]], Any]) -> bool:
        """Whether the rows stand in the order of `key`; False when a value is missing."""
        if any(value is None for row in self.values for value in row):
            return False
        return list(self.values) == sorted(self.values, key=key)


def text(cell: str) -> Value | None:
    return cell.strip()


def number(cell: str) -> Value | None:
    """A number in any usual notation: comma or dot, grouped or not, minus sign or parentheses."""
    stripped = cell.strip()
    negative = stripped.startswith(("-", "(")) or stripped.endswith("-")
    bare = stripped.strip("-()").replace(" ", "").replace("'", "")
    if not re.fullmatch(r"[0-9][0-9.,]{0,20}", bare):
        return None
    point = max(bare.rfind("."), bare.rfind(","))
    grouped = point >= 0 and bare.count(bare[point]) > 1
    whole, fraction = (bare, "") if point < 0 or grouped else (bare[:point], bare[point + 1 :])
    value = Decimal(re.sub(r"[.,]", "", whole) + "." + (fraction or "0"))
    return (-value if negative else value).normalize()


def decode(data: bytes) -> str:
    """The text of an answer.

    Raises:
        Unreadable: it is empty, too big, or not UTF-8.
    """
    if len(data) > MAX_BYTES:
        raise Unreadable(f"it is too big ({len(data)} bytes)")
    try:
        content = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable("it is not UTF-8 text") from None
    if not content.strip():
        raise Unreadable("it is empty")
    return content


def arrange(
    header: Sequence[str], body: Sequence[Sequence[str]], right: Sequence[str], readers: Sequence[Reader], **marks: str
) -> Found:
    """A `Found` from text cells; columns that only stand in another order are put into the right one."""
    folded = [name.strip().casefold() for name in header]
    wanted = [name.casefold() for name in right]
    same = header and sorted(folded) == sorted(wanted)
    order = [folded.index(name) for name in wanted] if same else list(range(len(readers)))
    cells: list[tuple[str, ...]] = []
    for row in body[:MAX_ROWS]:
        cut = [cell[:MAX_CELL] for cell in row[:MAX_COLUMNS]]
        if len(cut) == len(order):
            cut = [cut[index] for index in order]
        cells.append(tuple(cut))
    values = tuple(
        tuple(reader(row[i]) if i < len(row) else None for i, reader in enumerate(readers))
        + ((None,) if len(row) > len(readers) else ())
        for row in cells
    )
    return Found(header=tuple(header), cells=tuple(cells), values=values, marks=marks)


def read_csv(data: bytes, header: Sequence[str], readers: Sequence[Reader], separator: str) -> Found:
    """A delimited table. The separator is guessed; a first line that holds data is not taken for a header."""
    content = decode(data)
    first = content.strip("\r\n").splitlines()[0]
    used = next((s for s in (separator, ";", ",", "\t", "|") if first.count(s) == len(readers) - 1), separator)
    try:
        lines = [row for row in csv.reader(io.StringIO(content, newline=""), delimiter=used) if any(row)]
    except csv.Error as error:
        raise Unreadable(f"it is not a table: {error}") from None
    if not lines:
        raise Unreadable("it is empty")
    telling = [(reader, cell) for reader, cell in zip(readers, lines[0], strict=False) if reader is not text]
    if telling and all(reader(cell) is not None for reader, cell in telling):
        return arrange((), lines, header, readers, separator=used)
    return arrange(lines[0], lines[1:], header, readers, separator=used)


def write_csv(header: Sequence[str], rows: Sequence[Sequence[str]], separator: str) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=separator, lineterminator="\n")
    if header:
        writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue().encode()


def read_json(data: bytes, header: Sequence[str], readers: Sequence[Reader]) -> Found:
    """A JSON list of flat objects. Cells are JSON text, so that `12` and `"12"` can be told apart.

    Raises:
        Unreadable: it is not such a list.
    """
    content = decode(data)
    try:
        loaded: Any = json.loads(content, parse_int=_Digits, parse_float=_Digits, parse_constant=_Digits)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"it is not JSON: {str(error)[:100]}") from None
    if not isinstance(loaded, list) or not all(isinstance(item, dict) for item in cast("list[Any]", loaded)):
        raise Unreadable("it must be a JSON list of objects")
    objects = cast("list[dict[str, Any]]", loaded)[:MAX_ROWS]
    names = tuple(name[:MAX_CELL] for name in list(objects[0])[:MAX_COLUMNS]) if objects else ()
    if any(tuple(item) != names for item in objects):
        raise Unreadable("its objects must all have the same keys in the same order")
    plain = arrange(names, [[_plain(v) for v in item.values()] for item in objects], header, readers)
    shown = arrange(names, [[_shown(v) for v in item.values()] for item in objects], header, readers)
    return Found(header=names, cells=shown.cells, values=plain.values)


class _Digits(str):
    """The text of a JSON number, never converted: a number of a million digits costs nothing."""

    __slots__ = ()


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else "a list, an object, true or false"


def _shown(value: Any) -> str:
    return str(value) if isinstance(value, _Digits) else json.dumps(value) if isinstance(value, str) else "null"


def write_json(header: Sequence[str], rows: Sequence[Sequence[object]]) -> bytes:
    """A list of objects; a `Decimal` becomes a whole number."""
    cells = [[int(v) if isinstance(v, Decimal) else v for v in row] for row in rows]
    return (json.dumps([dict(zip(header, row, strict=True)) for row in cells], indent=1) + "\n").encode()


def read_ini(data: bytes, readers: Sequence[Reader]) -> Found:
    """An INI file as rows of section, key and value; the mark `equals` is what stands between key and value.

    Raises:
        Unreadable: a line is no section, no `key = value`, no comment.
    """
    rows: list[tuple[str, ...]] = []
    section, used = "", set[str]()
    for line in decode(data).splitlines()[:MAX_ROWS]:
        if match := re.fullmatch(r"\[([^\[\]]{1,100})\]\s*", line):
            section = match[1]
        elif match := re.fullmatch(r"([\w.-]{1,100})(\s*[=:]\s*)(\S.{0,400})?", line):
            rows.append((section, match[1], match[3] or ""))
            if match[3]:
                used.add(match[2])
        elif line.strip() and line[0] not in "#;":
            raise Unreadable(f"it has a line that is neither a section nor key and value: {line[:40]!r}")
    return arrange((), rows, (), readers, equals=used.pop() if len(used) == 1 else "mixed")
