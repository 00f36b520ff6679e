"""Forms of output that several families share: delimited tables and JSON lists, each with its house rules."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from prowess.suites.workbench.family import House, Rows, Rule
from prowess.suites.workbench.forms import Found, Reader, number, read_csv, read_json, text, write_csv, write_json

SEPARATORS = {";": "semicolons", ",": "commas", "\t": "tabs", "|": "vertical bars"}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an output: how a cell is read, and how its value is written for a house."""

    read: Reader
    write: Callable[[Any, Any], object] = lambda value, house: value


TEXT = Column(text)
NUMBER = Column(number)
HUNDREDTHS = Column(number, lambda value, house: f"{value:.2f}")
AMOUNT = Column(number, lambda value, house: f"{value:.2f}".replace(".", house.decimal))
"""With two decimals, after what the field `decimal` of the house says."""


@dataclass(frozen=True, slots=True)
class CsvHouse(House):
    separator: str = ";"
    header: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CsvOutput:
    """A delimited table with a header."""

    columns: tuple[Column, ...]
    rows_are: str = "lines"

    def write(self, rows: Rows, house: CsvHouse) -> bytes:
        cells = [
            [str(column.write(value, house)) for column, value in zip(self.columns, row, strict=True)] for row in rows
        ]
        return write_csv(house.header, cells, house.separator)

    def read(self, data: bytes, house: CsvHouse) -> Found:
        return read_csv(data, house.header, [column.read for column in self.columns], house.separator)

    def rules(self, house: CsvHouse) -> tuple[Rule, ...]:
        separator, header = house.separator, house.header
        return (
            Rule(
                kind="form",
                name="separator",
                text=f"fields must be separated by {SEPARATORS[separator]} ({separator!r}), without spaces around them",
                off={"separator": "," if separator != "," else ";"},
                seen=lambda found: (
                    found.marks.get("separator") == separator
                    and all(cell == cell.strip() for row in found.cells for cell in row)
                ),
            ),
            Rule(
                kind="form",
                name="header",
                text=f"the first line must be exactly {separator.join(header)!r}",
                off={"header": tuple(name.title() + "s" for name in header)},
                seen=lambda found: found.header == header,
            ),
        )

    def words(self, house: CsvHouse) -> Mapping[str, str]:
        # the separator stands inside a string literal
        return {"header": house.separator.join(house.header), "separator": house.separator.replace("\t", "\\t")}


@dataclass(frozen=True, slots=True)
class JsonHouse(House):
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JsonOutput:
    """A JSON list of flat objects, of whose values only the first is text."""

    columns: tuple[Column, ...]
    rows_are: str = "objects"

    def write(self, rows: Rows, house: JsonHouse) -> bytes:
        cells = [[column.write(value, house) for column, value in zip(self.columns, row, strict=True)] for row in rows]
        return write_json(house.keys, cells)

    def read(self, data: bytes, house: JsonHouse) -> Found:
        return read_json(data, house.keys, [column.read for column in self.columns])

    def rules(self, house: JsonHouse) -> tuple[Rule, ...]:
        keys = house.keys
        return (
            Rule(
                kind="form",
                name="keys",
                text=f"each object must have exactly the keys {', '.join(keys)}, in this order; numbers stand without "
                "quotes",
                off={"keys": tuple(name.upper() + "_" for name in keys)},
                seen=lambda found: (
                    found.header == keys
                    and all(found.matches(index, r"-?\d+(\.\d+)?") for index in range(1, len(keys)))
                ),
            ),
        )

    def words(self, house: JsonHouse) -> Mapping[str, str]:
        """The keys as `k0`, `k1` and so on; the code of an order names them by number too."""
        named = {f"k{index}": key for index, key in enumerate(house.keys)}
        return {**named, "order": house.order.code.format(*house.keys)}


def point_rule(point: str, what: str, whole: str, digits: str) -> Rule:
    """How amounts are written, in the second column; the house has a field `decimal`."""
    told = {",": "a comma instead of the decimal point", ".": "a decimal point"}[point]
    return Rule(
        kind="form",
        name="numbers",
        text=f"{what} must be written with two decimals and {told}, as in {whole}{point}50",
        off={"decimal": "." if point == "," else ","},
        seen=lambda found: found.matches(1, rf"{digits}\{point}\d\d"),
    )
