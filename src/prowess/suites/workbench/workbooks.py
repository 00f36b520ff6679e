"""Workbooks and databases: made with equal bytes for equal data, and read safely from hostile answers."""

import io
import sqlite3
import zipfile
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from prowess.core.task import File
from prowess.suites.safety import Unreadable, check_zip
from prowess.suites.workbench.forms import (
    MAX_BYTES,
    MAX_COLUMNS,
    MAX_ROWS,
    Found,
    Reader,
    arrange,
)

_UNPACKED = 2_000_000
_EPOCH = datetime(2025, 1, 1)


def write_xlsx(sheet: str, rows: Sequence[Sequence[str | int | float]]) -> bytes:
    """A workbook with one sheet. Stored, not packed, and without times: equal rows give equal bytes."""
    import openpyxl

    book = openpyxl.Workbook()
    page = book.worksheets[0]
    page.title = sheet
    for row in rows:
        page.append(list(row))
    book.properties.created = book.properties.modified = _EPOCH
    packed = io.BytesIO()
    book.save(packed)
    plain = io.BytesIO()
    with zipfile.ZipFile(packed) as source, zipfile.ZipFile(plain, "w", zipfile.ZIP_STORED) as target:
        for name in sorted(source.namelist()):
            data = source.read(name)
            if name == "docProps/core.xml":
                # saving stamps the time of the day whatever was set
                stamp = book.properties.modified.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
                data = data.replace(stamp, b"2025-01-01T00:00:00Z")
            target.writestr(zipfile.ZipInfo(name, (2025, 1, 1, 0, 0, 0)), data)
    return plain.getvalue()


def read_xlsx(data: bytes, sheet: str, header: Sequence[str], readers: Sequence[Reader]) -> Found:
    """The sheet of that name, or else the first one; the mark `sheet` has its name.

    Raises:
        Unreadable: it is no workbook, is too big, or holds formulas.
    """
    import openpyxl

    check_zip(data, MAX_BYTES, _UNPACKED)
    try:
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True)
        page = book[sheet] if sheet in book.sheetnames else book.worksheets[0]
        found = [
            [_shown(value) for value in row]
            for row in page.iter_rows(max_row=MAX_ROWS, max_col=MAX_COLUMNS, values_only=True)
        ]
        title = str(page.title)
        book.close()
    except Exception as error:
        # A parser of hostile files may fail in any way; whatever it is, the answer cannot be read.
        raise Unreadable(f"it is not a readable workbook ({type(error).__name__})") from None
    rows = [trimmed for row in found if (trimmed := _trimmed(row))]
    if any(cell.startswith("=") for row in rows for cell in row):
        raise Unreadable("it holds formulas; write the values themselves")
    if not rows:
        raise Unreadable("its sheet is empty")
    return arrange(rows[0], rows[1:], header, readers, sheet=title)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return repr(round(value, 6))
    return "" if value is None else str(value)


def _trimmed(row: list[str]) -> list[str]:
    while row and not row[-1]:
        row = row[:-1]
    return row


def database(path: str, table: str, columns: Sequence[str], rows: Sequence[Sequence[str | int | float]]) -> File:
    """A SQLite file with one table. Columns have no type, so that values are stored as they are given."""
    connection = sqlite3.connect(":memory:")
    connection.execute(f'CREATE TABLE "{table}" ({", ".join(columns)})')
    connection.executemany(f'INSERT INTO "{table}" VALUES ({", ".join("?" * len(columns))})', rows)
    connection.commit()
    data = bytearray(connection.serialize())
    connection.close()
    data[96:100] = bytes(4)  # the version of the library that wrote it, which no reader needs
    return File(path=path, data=bytes(data))
