"""SpreadsheetBench: positions, comparison, splits, hostile workbooks; on made data, and on the real set where it is."""

import io
import json
import os
import zipfile
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prowess.core.errors import UserError
from prowess.core.task import File, Split
from prowess.suites import open_suite
from prowess.suites.spreadsheetbench import Area, SpreadsheetBench, areas_of, comparable

ROOT = Path(os.environ.get("BENCHMARK_DATA", "../shared/data"))
SPLITS: tuple[Split, ...] = ("evidence", "gate", "test")
real = pytest.mark.skipif(
    not (ROOT / "spreadsheetbench" / "dataset.json").is_file(),
    reason="SpreadsheetBench-Verified is not there; BENCHMARK_DATA names the folder that holds it",
)


def book(sheets: dict[str, list[list[Any]]]) -> bytes:
    made = openpyxl.Workbook()
    made.remove(made.worksheets[0])
    for title, rows in sheets.items():
        page = made.create_sheet(title)
        for row in rows:
            page.append(row)
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


START = {"Data": [["name", "sum"], ["a", None], ["b", None]], "Other": [["x"]]}
GOLDEN = {"Data": [["name", "sum"], ["a", 1.5], ["b", datetime(2025, 3, 1, 9)]], "Other": [["x"]]}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    base = tmp_path / "spreadsheetbench"
    records = []
    for number in range(30):
        name = f"{number}-1"
        kind = "Cell-Level Manipulation" if number % 2 else "Sheet-Level Manipulation"
        records.append(
            {
                "id": name,
                "instruction": f"Fill in the sums, case {number}.",
                "instruction_type": kind,
                "answer_position": "'Data'!A1:B3",
            }
        )
        folder = base / "spreadsheet" / name
        folder.mkdir(parents=True)
        (folder / f"1_{name}_init.xlsx").write_bytes(book(START))
        (folder / f"1_{name}_golden.xlsx").write_bytes(book(GOLDEN))
    (base / "dataset.json").write_text(json.dumps(records))
    return tmp_path


def all_tasks(suite: SpreadsheetBench) -> list[Any]:
    return [task for family in suite.families for split in SPLITS for task in suite.tasks(family, split, 400)]


@pytest.mark.parametrize(
    ("position", "sheets", "areas"),
    [
        ("B6", "", [("", 6, 6, 2, 2)]),
        ("A3:D32", "LISTS", [("LISTS", 3, 32, 1, 4)]),
        ("'b2b, sez, de'!A5:V10", "", [("b2b, sez, de", 5, 10, 1, 22)]),
        ("B'!F4", "B", [("B", 4, 4, 6, 6)]),
        ("\u00a0'Sheet1'!C2:C3", "", [("Sheet1", 2, 3, 3, 3)]),
        ("Sheet3'!A:G,'Sheet4'!A:G", "", [("Sheet3", 1, None, 1, 7), ("Sheet4", 1, None, 1, 7)]),
        ("'Sheet1!'A1:A50,'Sheet2!'A1:E20", "", [("Sheet1", 1, 50, 1, 1), ("Sheet2", 1, 20, 1, 5)]),
        ("'99250!A1:F9','99251!A1:F9'", "", [("99250", 1, 9, 1, 6), ("99251", 1, 9, 1, 6)]),
        ("'Sheet1'!BD2:308", "", [("Sheet1", 2, 308, 56, 56)]),
        ("G4:G6, G11:G13", "", [("", 4, 6, 7, 7), ("", 11, 13, 7, 7)]),
        ("A1:B2,'C D'!$C$1:$D$2", "S", [("S", 1, 2, 1, 2), ("C D", 1, 2, 3, 4)]),
    ],
)
def test_positions_are_understood_as_upstream_writes_them(position: str, sheets: str, areas: list[Any]) -> None:
    assert areas_of(position, sheets) == tuple(Area(*area) for area in areas)


@given(st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_position_is_understood_or_refused(position: str) -> None:
    try:
        areas = areas_of(position)
    except ValueError:
        return
    assert all(area.first_row >= 0 and area.first_column >= 1 for area in areas)


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (None, "", True),
        (1.004, 1, True),
        (1.006, 1, False),
        ("1.50", 1.5, True),
        ("a", "A", False),
        ("a", None, False),
        (0, None, False),
        (datetime(2025, 3, 1, 2), 45717, True),
        (datetime(2025, 3, 1), datetime(2025, 3, 1, 8), True),
        (datetime(2025, 3, 1), datetime(2025, 3, 2), False),
        (date(2025, 3, 1), datetime(2025, 3, 1), True),
        (time(9, 30, 5), time(9, 30), True),
        (time(9, 30), "09:30", True),
        ("nan", "nan", True),
        (10**400, "x", False),
    ],
)
def test_cells_agree_like_upstream(left: Any, right: Any, equal: bool) -> None:
    assert (comparable(left) == comparable(right)) is equal


def test_golden_passes_start_fails_and_splits_are_disjoint(root: Path) -> None:
    suite = SpreadsheetBench(root)
    tasks = all_tasks(suite)
    assert len({task.id for task in tasks}) == len(tasks) == 30
    assert {task.split for task in tasks} == set(SPLITS)
    for task in tasks[:4]:
        assert suite.check(task, suite.oracle(task)).passed
        score = suite.check(task, (File(path=task.outputs[0], data=task.files[0].data),))
        assert [check.name for check in score.failures] == ["cells"]
        assert "2 of the cells" in score.failures[0].message and "Data!B2, Data!B3" in score.failures[0].message
        assert "1.5" not in score.failures[0].message


def test_what_is_wrong_with_a_workbook_is_said(root: Path) -> None:
    suite = SpreadsheetBench(root)
    task = all_tasks(suite)[0]

    def failures(data: bytes) -> dict[str, str]:
        score = suite.check(task, (File(path=task.outputs[0], data=data),))
        return {check.name: check.message for check in score.failures}

    formulas = failures(book({"Data": [["name", "sum"], ["a", "=1+0.5"], ["b", 45717]]}))
    assert "formulas" in formulas["cells"] and "Data!B2" in formulas["cells"]
    assert failures(book({"DATA": [["name", "sum"], ["a", 1.5], ["b", 45717]]})) == {}
    assert set(failures(book({"Elsewhere": [["x"]]}))) == {"sheets", "cells"}
    assert set(failures(b"")) == set(failures(b"PK\x03\x04")) == {"written", "sheets", "cells"}
    assert not suite.check(task, ()).passed


def test_archive_bombs_and_entities_are_refused(root: Path) -> None:
    suite = SpreadsheetBench(root)
    task = all_tasks(suite)[0]
    bomb, entity = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * 120_000_000)
    with zipfile.ZipFile(entity, "w") as archive:
        archive.writestr("xl/workbook.xml", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'.encode("utf-16"))
    for data, reason in ((bomb, "unpacks"), (entity, "entities")):
        score = suite.check(task, (File(path=task.outputs[0], data=data.getvalue()),))
        assert reason in score.failures[0].message


@given(st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_a_damaged_workbook_never_raises(seed: int) -> None:
    from random import Random

    from prowess.suites.safety import Unreadable
    from prowess.suites.spreadsheetbench import look

    rng, data = Random(seed), bytearray(book(GOLDEN))
    for _ in range(rng.randint(1, 20)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    try:
        seen = look(bytes(data), areas_of("'Data'!A:B,'Other'!A1"))
    except Unreadable:
        return
    assert len(seen) == 2


def test_missing_or_broken_data_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not at"):
        open_suite("spreadsheetbench", root=tmp_path)
    folder = tmp_path / "spreadsheetbench"
    folder.mkdir()
    (folder / "dataset.json").write_text("[{]")
    with pytest.raises(UserError, match="not the data set"):
        SpreadsheetBench(tmp_path)
    record = {
        "id": "../../etc",
        "instruction": "",
        "instruction_type": "Cell-Level Manipulation",
        "answer_position": "A1",
    }
    (folder / "dataset.json").write_text(json.dumps([record]))
    with pytest.raises(UserError, match="cannot be used"):
        SpreadsheetBench(tmp_path)


@real
def test_the_real_set_is_whole_and_its_golden_workbooks_pass() -> None:
    suite = SpreadsheetBench(ROOT)
    tasks = all_tasks(suite)
    assert len({task.id for task in tasks}) == len(tasks) == 300
    small = sorted(tasks, key=lambda task: len(task.files[0].data))[:40]
    passed = [suite.check(task, suite.oracle(task)).passed for task in small]
    unchanged = [suite.check(t, (File(path=t.outputs[0], data=t.files[0].data),)).passed for t in small]
    assert all(passed) and not any(unchanged)
