"""SpreadsheetBench-Verified: 300 questions from spreadsheet forums, each with its start and golden workbook.

Source: RUCKBReasoning/SpreadsheetBench (CC BY-SA 4.0). An answer is right when the cells named by the data set hold the
golden values, compared like upstream: numbers and numeric text to two decimals, days without their time, times to the
minute, no value equal to empty text. Formulas count only by the value stored with them: nothing is calculated here.
"""

import io
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, TypeAdapter, ValidationError

from prowess.core.errors import UserError
from prowess.core.skill import Skill
from prowess.core.task import Check, File, Score, Split, Task
from prowess.suites.data import DataSet, broken
from prowess.suites.safety import Unreadable, check_zip

FAMILIES = {"cell-level": "Cell-Level Manipulation", "sheet-level": "Sheet-Level Manipulation"}
SPLITS: tuple[Split, ...] = ("evidence", "gate", "test")
_PACKED, _UNPACKED = 20_000_000, 100_000_000
_MOST_CELLS = 400_000


class Record(BaseModel):
    """One entry of `dataset.json`."""

    id: str | int
    instruction: str
    instruction_type: str
    answer_position: str
    answer_sheet: str = ""

    @property
    def name(self) -> str:
        return str(self.id)


class Area(NamedTuple):
    """Cells that are looked at. Bounds are inclusive and count from 1; None for an open end."""

    sheet: str
    """Empty for the first sheet."""
    first_row: int
    last_row: int | None
    first_column: int
    last_column: int


Cells = Mapping[tuple[int, int], Any]
"""Row and column to value; empty cells are left out."""


class Seen(NamedTuple):
    """The cells of one area as found in a workbook; `cells` is None when it lacks the sheet."""

    sheet: str
    cells: Cells | None


_RANGE = r"\$?([A-Z]{1,3})?\$?(\d{1,7})?(?::\$?([A-Z]{1,3})?\$?(\d{1,7})?)?"
_AREA = re.compile(rf"\s*(?:{_RANGE}|([^!]+)!{_RANGE})\s*(?:,|$)")


def areas_of(position: str, sheets: str = "") -> tuple[Area, ...]:
    """The areas of an `answer_position`, whose quotes are often broken upstream, as in `A'!B2:C3,'D, E!'F:G`.

    Areas without a sheet lie on the first name of `sheets`.

    Raises:
        ValueError: it cannot be understood.
    """
    clean = re.sub(r"['\u2018\u2019\u00a0]", "", position)
    default = re.sub(r"['\u2018\u2019\u00a0]", "", sheets).strip()
    out: list[Area] = []
    at = 0
    while at < len(clean):
        match = _AREA.match(clean, at)
        if match is None or match.end() == at:
            raise ValueError(f"answer position {position!r} cannot be understood")
        at = match.end()
        sheet = match[5]
        left, top, right, bottom = match.group(6, 7, 8, 9) if sheet else match.group(1, 2, 3, 4)
        if left is None:
            raise ValueError(f"answer position {position!r} names no column")
        whole = ":" in match[0].rpartition("!")[2]
        out.append(
            Area(
                sheet=sheet.strip() if sheet else default,
                first_row=int(top or 1),
                last_row=int(bottom) if bottom else int(top) if top and not whole else None,
                first_column=_column(left),
                last_column=_column(right or left),
            )
        )
    return tuple(out)


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number


def comparable(value: Any) -> Any:
    """What of a cell's value counts; two cells agree when these are equal."""
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        return float(round((value - datetime(1899, 12, 30)).total_seconds() / 86_400))
    if isinstance(value, date):
        return float((value - date(1899, 12, 30)).days)
    if isinstance(value, time):
        return value.strftime("%H:%M")
    if isinstance(value, int | float | str):
        try:
            number = round(float(value), 2)
        except (ValueError, OverflowError):
            return value
        return number if math.isfinite(number) else str(value)
    return str(value)


def look(data: bytes, areas: tuple[Area, ...], *, values: bool = True) -> tuple[Seen, ...]:
    """The cells of `areas`; `values` gives stored values, else formulas as text.

    Raises:
        Unreadable: it is no workbook, or too big.
    """
    import openpyxl

    check_zip(data, _PACKED, _UNPACKED)
    try:
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=values)
        pages = {page.title.casefold().strip(): page for page in book.worksheets}
        out: list[Seen] = []
        for area in areas:
            name = area.sheet.casefold()
            if name not in pages and "," in name:
                # the data set lists several sheets for one area; the first that exists is meant
                name = next((part.strip() for part in name.split(",") if part.strip() in pages), name)
            page = pages.get(name) if area.sheet else book.worksheets[0]
            out.append(Seen(area.sheet, None) if page is None else Seen(str(page.title), _cells(page, area)))
        book.close()
    except Exception as error:
        # A parser of hostile files may fail in any way; whatever it is, the answer cannot be read.
        raise Unreadable(f"it is not a readable workbook ({type(error).__name__})") from None
    return tuple(out)


def _cells(page: Any, area: Area) -> Cells:
    width = area.last_column - area.first_column + 1
    last = min(area.last_row or _MOST_CELLS, area.first_row + _MOST_CELLS // max(width, 1))
    # an open end stops where the sheet does, for a sheet pads itself up to an asked row
    end = last if area.last_row else min(last, page.max_row or last)
    found: dict[tuple[int, int], Any] = {}
    rows = page.iter_rows(area.first_row, end, area.first_column, area.last_column, values_only=True)
    for r, row in enumerate(rows, start=area.first_row):
        found.update({(r, c): v for c, v in enumerate(row, start=area.first_column) if v is not None})
    return found


@dataclass(frozen=True, slots=True)
class Entry:
    """A record with what was worked out of it."""

    record: Record
    index: int
    family: str
    split: Split
    areas: tuple[Area, ...]


class SpreadsheetBench:
    """The data set. Families follow the type of instruction, splits a hash of the id.

    Raises:
        UserError: the data are not there or are not what they should be.
    """

    name = "spreadsheetbench"
    about = "questions from spreadsheet forums, with workbooks"
    licence = "CC BY-SA 4.0"
    needs = DataSet(
        name="SpreadsheetBench-Verified",
        folder="spreadsheetbench",
        origin="https://github.com/Qwen-Applications/Trace2Skill",
        marker="dataset.json",
        within=("", "data/spreadsheetbench_verified"),
    )

    def __init__(self, root: Path | None = None) -> None:
        self.folder = self.needs.find(root)
        self._entries = _entries(self.folder)

    @property
    def families(self) -> tuple[str, ...]:
        return tuple(FAMILIES)

    def variants(self, family: str) -> tuple[str, ...]:
        return ("base",)

    def tasks(self, family: str, split: Split, n: int, variant: str = "base", start: int = 0) -> tuple[Task, ...]:
        """Tasks number `start` to `start + n - 1`; fewer where the split has no more.

        Raises:
            UserError: no such family or variant.
        """
        if family not in FAMILIES or variant != "base":
            raise UserError(
                f"{self.name} has no {family!r} of variant {variant!r}", f"choose one of {', '.join(FAMILIES)}"
            )
        chosen = [entry for entry in self._entries.values() if (entry.family, entry.split) == (family, split)]
        return tuple(self._task(entry) for entry in chosen[start : start + n])

    def check(self, task: Task, outputs: tuple[File, ...], answer: str = "") -> Score:
        """Compare the cells that count; `answer` is not looked at."""
        checks = self._checks(self._entry(task), task, outputs)
        return Score(
            value=sum(check.passed for check in checks) / len(checks),
            passed=all(check.passed for check in checks),
            checks=checks,
            verifier=f"suite:{self.name}",
            trusted=True,
        )

    def oracle(self, task: Task) -> tuple[File, ...]:
        return (File(path=task.outputs[0], data=workbook(self.folder, self._entry(task).record.name, "golden")),)

    def human_skill(self, family: str) -> Skill | None:
        return None

    def _entry(self, task: Task) -> Entry:
        name = task.id.rpartition("/")[2]
        if name not in self._entries:
            raise UserError(f"{self.name} has no task {task.id!r}", "use the data set that the task came from")
        return self._entries[name]

    def _task(self, entry: Entry) -> Task:
        name = entry.record.name
        source, target = f"{name}.xlsx", f"{name}_answer.xlsx"
        return Task(
            id=f"{entry.family}/base/{name}",
            suite=self.name,
            family=entry.family,
            split=entry.split,
            seed=entry.index,
            prompt=f"{entry.record.instruction.strip()}\n\nThe workbook is `{source}`. Save the changed workbook as "
            f"`{target}`. Only these cells are looked at: {entry.record.answer_position.strip()}. Write values, for "
            "formulas are not calculated.\n",
            files=(File(path=source, data=workbook(self.folder, name, "init")),),
            outputs=(target,),
            meta={"answer_position": entry.record.answer_position, "answer_sheet": entry.record.answer_sheet},
        )

    def _checks(self, entry: Entry, task: Task, outputs: tuple[File, ...]) -> tuple[Check, ...]:
        target = task.outputs[0]
        output = next((file for file in outputs if file.path == target), None)
        try:
            if output is None:
                raise Unreadable("there is no such file")
            got = look(output.data, entry.areas)
        except Unreadable as error:
            message = f"the changed workbook must be saved as {target}: {error}"
            later = "not looked at, since nothing could be read"
            return (
                Check(name="written", passed=False, message=message),
                Check(name="sheets", passed=False, message=later),
                Check(name="cells", passed=False, message=later),
            )
        lacking = sorted({seen.sheet for seen in got if seen.cells is None})
        wrong = _wrong(_golden(self.folder, entry.record.name, entry.areas), got)
        notes: list[str] = []
        if wrong:
            notes.append(f"{len(wrong)} of the cells that count are wrong, the first at {', '.join(wrong[:5])}")
            if _has_formulas(output.data, entry.areas):
                notes.append("some hold formulas, which are not calculated: write values")
        return (
            Check(name="written", passed=True),
            Check(
                name="sheets",
                passed=not lacking,
                message=f"the workbook lacks the sheet {', '.join(lacking)}" if lacking else "",
            ),
            Check(name="cells", passed=not wrong, message="; ".join(notes)),
        )


def _wrong(golden: tuple[Seen, ...], got: tuple[Seen, ...]) -> list[str]:
    """Addresses of cells that disagree, in order. A sheet that the golden workbook lacks does not count."""
    out: list[str] = []
    for right, found in zip(golden, got, strict=True):
        if right.cells is None:
            continue
        there, here = right.cells, found.cells or {}
        for row, column in sorted(there.keys() | here.keys()):
            if comparable(there.get((row, column))) != comparable(here.get((row, column))):
                out.append(f"{right.sheet}!{_letters(column)}{row}")
        if found.cells is None and not out:
            out.append(f"{right.sheet}!")
    return out


def _letters(column: int) -> str:
    out = ""
    while column:
        column, rest = divmod(column - 1, 26)
        out = chr(65 + rest) + out
    return out


def _has_formulas(data: bytes, areas: tuple[Area, ...]) -> bool:
    return any(
        isinstance(value, str) and value.startswith("=")
        for seen in look(data, areas, values=False)
        for value in (seen.cells or {}).values()
    )


def workbook(folder: Path, name: str, kind: str) -> bytes:
    """The `init` or `golden` workbook of an entry; upstream is not of one mind about file names.

    Raises:
        UserError: it is not there.
    """
    place = folder / "spreadsheet" / name
    try:
        return min(place.glob(f"*{kind}*.xlsx")).read_bytes()
    except (ValueError, OSError):
        raise UserError(f"there is no {kind} workbook in {place}", "fetch the data set again") from None


@lru_cache(maxsize=32)
def _golden(folder: Path, name: str, areas: tuple[Area, ...]) -> tuple[Seen, ...]:
    """Kept, since one golden workbook takes 20 seconds to open (half a million styles)."""
    try:
        return look(workbook(folder, name, "golden"), areas)
    except Unreadable as error:
        raise UserError(f"golden workbook of {name!r}: {error}", "fetch the data set again") from None


@lru_cache(maxsize=4)
def _entries(folder: Path) -> dict[str, Entry]:
    path = folder / "dataset.json"
    try:
        records = TypeAdapter(list[Record]).validate_python(json.loads(path.read_bytes()))
    except (OSError, ValueError, ValidationError) as error:
        raise broken(path, error) from None
    families = {kind: family for family, kind in FAMILIES.items()}
    out: dict[str, Entry] = {}
    for index, record in enumerate(records):
        if not re.fullmatch(r"[\w-]{1,40}", record.name) or record.instruction_type not in families:
            raise UserError(f"{path} has an entry {record.name!r} that cannot be used", "fetch the data set again")
        try:
            areas = areas_of(record.answer_position, record.answer_sheet)
        except ValueError as error:
            raise UserError(f"{path}, entry {record.name!r}: {error}", "fetch the data set again") from None
        split = SPLITS[int(sha256(record.name.encode()).hexdigest()[:8], 16) % 3]
        out[record.name] = Entry(record, index, families[record.instruction_type], split, areas)
    return out
