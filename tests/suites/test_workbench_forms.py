"""Reading answers: lenient where one rule is broken, strict about the rule, and safe."""

import io
import json
import zipfile
from decimal import Decimal

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prowess.core.task import File
from prowess.suites.safety import Unreadable
from prowess.suites.workbench import Workbench
from prowess.suites.workbench.family import draw
from prowess.suites.workbench.forms import number, read_csv, read_ini, read_json, text
from prowess.suites.workbench.suite import FAMILIES
from prowess.suites.workbench.workbooks import database, read_xlsx, write_xlsx

SUITE = Workbench()


def failures(family: str, data: bytes, index: int = 0) -> dict[str, str]:
    (task,) = SUITE.tasks(family, "gate", 1, start=index)
    score = SUITE.check(task, (File(path=task.outputs[0], data=data),))
    return {check.name: check.message for check in score.failures}


def right(family: str) -> bytes:
    (task,) = SUITE.tasks(family, "gate", 1)
    return SUITE.oracle(task)[0].data


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1234,50", Decimal("1234.5")),
        ("1.234,50", Decimal("1234.5")),
        ("1,234,567.5", Decimal("1234567.5")),
        ("1'234.50", Decimal("1234.5")),
        ("(12.5)", Decimal("-12.5")),
        ("-7", Decimal(-7)),
        ("7-", Decimal(-7)),
        ("1e9", None),
        ("", None),
        ("x", None),
        ("٣", None),
        ("9" * 40, None),
    ],
)
def test_numbers_are_read_in_any_usual_notation(cell: str, value: Decimal | None) -> None:
    assert number(cell) == value


@given(st.decimals(-(10**9), 10**9, places=2), st.sampled_from([".", ","]))
def test_a_number_with_two_decimals_is_read_back(value: Decimal, point: str) -> None:
    assert number(f"{value:.2f}".replace(".", point)) == value


@given(st.text(max_size=30))
def test_any_text_is_a_number_or_none(cell: str) -> None:
    assert isinstance(number(cell), Decimal | None)


def test_a_swapped_column_order_fails_the_header_alone() -> None:
    lines = [line.split(";") for line in right("ledger-totals").decode().splitlines()]
    swapped = "\n".join(";".join(line[::-1]) for line in lines)
    assert list(failures("ledger-totals", swapped.encode())) == ["header"]


def test_a_missing_header_fails_the_header_alone() -> None:
    body = right("ledger-totals").split(b"\n", 1)[1]
    assert list(failures("ledger-totals", body)) == ["header"]


def test_line_ends_and_a_byte_order_mark_do_not_matter() -> None:
    data = b"\xef\xbb\xbf" + right("ledger-totals").replace(b"\n", b"\r\n")
    assert failures("ledger-totals", data) == {}


def test_spaces_around_fields_fail_the_separator() -> None:
    assert list(failures("timesheet-hours", right("timesheet-hours").replace(b";", b" ; "))) == ["separator", "header"]


def test_an_unexplained_wrong_value_is_counted_and_restates_the_rules_for_values() -> None:
    lines = right("ledger-totals").decode().splitlines()
    lines[1] = lines[1].split(";")[0] + ";99999999,99"
    told = failures("ledger-totals", "\n".join(lines).encode())
    assert list(told) == ["values"]
    assert told["values"].startswith("1 times: a value in column 2 is wrong") and "VOID" in told["values"]


def test_a_missing_an_extra_and_a_doubled_row_are_told_apart() -> None:
    lines = right("ledger-totals").decode().splitlines()
    assert "a row is missing" in failures("ledger-totals", "\n".join(lines[:-1]).encode())["values"]
    assert "should not be there" in failures("ledger-totals", "\n".join([*lines, "1;-9999999,00"]).encode())["values"]
    assert "stands twice" in failures("ledger-totals", "\n".join([*lines, lines[-1]]).encode())["values"]


def test_quoted_json_numbers_fail_the_keys() -> None:
    rows = [{k: str(v) for k, v in row.items()} for row in json.loads(right("server-log-summary"))]
    assert list(failures("server-log-summary", json.dumps(rows).encode())) == ["keys"]


@pytest.mark.parametrize("data", [b"{}", b"[1]", b"[" * 5000, b'[{"a": 1}, {"b": 1}]', b"[{]"])
def test_json_of_another_shape_is_unreadable(data: bytes) -> None:
    with pytest.raises(Unreadable):
        read_json(data, ("a",), (text,))


def test_a_huge_json_number_costs_nothing() -> None:
    found = read_json(b'[{"a": ' + b"9" * 200_000 + b', "b": 1e999999999, "c": NaN}]', ("a", "b", "c"), (number,) * 3)
    assert found.values == ((None, None, None),)


def test_an_ini_line_that_is_neither_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="neither"):
        read_ini(b"[a]\nwhat is this?\n", (text, text, text))


def test_mixed_spacing_in_an_ini_fails_the_spacing() -> None:
    assert list(failures("config-merge", right("config-merge").replace(b" = ", b"=", 1))) == ["equals"]


def test_long_csv_rows_are_cut() -> None:
    found = read_csv(b"a;b\n" + b"x;" * 10_000 + b"\n" + b"1;2\n" * 5_000, ("a", "b"), (text, text), ";")
    assert len(found.cells) == 2_000 and len(found.cells[0]) == 40


def test_equal_rows_give_equal_workbooks_and_databases() -> None:
    rows = [["a", 1], ["b", 2.5]]
    assert write_xlsx("S", rows) == write_xlsx("S", rows)
    assert database("x.db", "t", ["a", "b"], rows) == database("x.db", "t", ["a", "b"], rows)


def test_formulas_and_bombs_in_a_workbook_are_unreadable() -> None:
    with pytest.raises(Unreadable, match="formulas"):
        read_xlsx(write_xlsx("S", [["a", "b"], ["x", "=1+1"]]), "S", ("a", "b"), (text, number))
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"0" * 20_000_000)
    with pytest.raises(Unreadable, match="unpacks"):
        read_xlsx(bomb.getvalue(), "S", ("a", "b"), (text, number))


def test_a_far_away_cell_does_not_blow_up_a_workbook() -> None:
    book = openpyxl.Workbook()
    book.worksheets[0].append(["a", "b"])
    book.worksheets[0].cell(row=1_000_000, column=16_000, value="x")
    out = io.BytesIO()
    book.save(out)
    assert read_xlsx(out.getvalue(), "Sheet", ("a", "b"), (text, number)).cells == ()


@pytest.mark.parametrize("family", SUITE.families)
def test_inputs_hold_what_the_rules_are_about(family: str) -> None:
    """Rows that a rule leaves out are always there: else a program that does not know it would pass."""
    kind = FAMILIES[family]
    for variant, house in kind.houses.items():
        ignored = getattr(house, "ignored", None) or getattr(house, "absence", None)
        if ignored:
            rows = [row for seed in range(6) for row in draw(kind, variant, seed).rows]
            assert any(ignored in row.values() for row in rows)
            assert any(ignored not in row.values() for row in rows)
