"""Revenue per fiscal quarter from a SQLite database. Hard: fiscal calendar, ignored orders, rounding of halves."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from random import Random

from prowess.suites.workbench.family import Case, Family, Order, Row, Rule, pick_names, sums, value_rule
from prowess.suites.workbench.forms import Value
from prowess.suites.workbench.outputs import NUMBER, Column, CsvHouse, CsvOutput
from prowess.suites.workbench.workbooks import database

NAMES = {
    "table": ("orders", "sales", "purchases", "deals"),
    "customer": ("customer", "client", "buyer", "account"),
    "placed": ("placed", "ordered_on", "day", "created"),
    "net": ("net", "amount", "total", "eur"),
    "state": ("state", "status", "phase", "mark"),
}
ROUNDING = {"up": ROUND_HALF_UP, "down": ROUND_DOWN, "even": ROUND_HALF_EVEN}
OLDEST = Order("quarter, oldest first", "item[0]", lambda row: row[0])
NEWEST = Order(
    "quarter, newest first",
    "(-int(item[0][2:6]), -int(item[0][-1]))",
    lambda row: (-int(row[0][:4]), -int(row[0][-1])),
)


@dataclass(frozen=True, slots=True)
class Orders(CsvHouse):
    header: tuple[str, ...] = ("quarter", "revenue")
    label: str = "FY{year}-Q{quarter}"
    first_month: int = 4
    """The fiscal year that begins in month m of year y is named y."""
    ignored: str = "CANCELLED"
    rounding: str = "up"
    order: Order = OLDEST


MONTHS = {1: "January", 4: "April", 7: "July", 10: "October"}


def make(rng: Random) -> Case:
    names = pick_names(rng, NAMES)
    tag = rng.choice(("shop", "web", "branch", "export")) + str(rng.randint(1, 60))
    names |= {
        "source": f"{tag}_{rng.choice(('orders', 'archive', 'book'))}.db",
        "target": f"{tag}_{rng.choice(('revenue', 'quarters', 'income'))}.csv",
    }
    year = rng.randint(2012, 2029)
    rows: list[Row] = [
        {
            "customer": f"C{rng.randint(100, 999)}",
            "placed": f"{year + i // 12}-{i % 12 + 1:02d}-{rng.randint(1, 28):02d}",
            "net": f"{rng.randint(40, 4000) / 2:.2f}",
            "state": state,
        }
        for i in range(rng.randint(0, 2), 20)
        for state in rng.choices(("PAID", "PAID", "OPEN", "CANCELLED", "RETURNED"), k=2)
    ]
    rng.shuffle(rows)
    fields = ["customer", "placed", "net", "state"]
    rng.shuffle(fields)
    cells = [[float(row[f]) if f == "net" else row[f] for f in fields] for row in rows]
    job = (
        f"The SQLite database `{names['source']}` has a table `{names['table']}` with `{names['placed']}` (as in "
        f"2024-05-31), `{names['net']}` and `{names['state']}`. Write one line per fiscal quarter, quarter and sum of "
        f"`{names['net']}`, to `{names['target']}`."
    )
    files = (database(names["source"], names["table"], [names[f] for f in fields], cells),)
    return Case(job=job, names=names, tables={"rows": tuple(rows)}, files=files)


def quarter(placed: str, first_month: int) -> str:
    """Year and quarter of a day, free of the label's form, as in 2024Q3."""
    months = int(placed[:4]) * 12 + int(placed[5:7]) - first_month
    return f"{months // 12}Q{months % 12 // 3 + 1}"


def label(cell: str) -> Value | None:
    found = re.fullmatch(r"\D{0,8}(\d{4})\D{1,4}([1-4])", cell.strip(), re.ASCII)
    return f"{found[1]}Q{found[2]}" if found else None


QUARTER = Column(label, lambda key, house: house.label.format(year=key[:4], quarter=key[-1]))


def rows(case: Case, house: Orders) -> Iterable[tuple[str, Decimal]]:
    kept = (row for row in case.rows if row["state"] != house.ignored)
    totals = sums((quarter(row["placed"], house.first_month), row["net"]) for row in kept)
    return [(key, total.quantize(Decimal(1), ROUNDING[house.rounding])) for key, total in totals.items()]


def own_rules(house: Orders) -> tuple[Rule, ...]:
    pattern = re.escape(house.label).replace(r"\{year\}", r"\d{4}").replace(r"\{quarter\}", "[1-4]")
    rounded = {"up": "with one half rounded up", "down": "with everything after the point cut off"}
    return (
        Rule(
            kind="form",
            name="label",
            text=f"quarters are written like {house.label.format(year='2019', quarter='3')}",
            off={"label": "{year}/{quarter}"},
            seen=lambda found: found.matches(0, pattern),
        ),
        value_rule("ignored", f"orders that are {house.ignored} must not be counted; all others are", ignored=""),
        value_rule(
            "fiscal",
            f"the fiscal year begins in {MONTHS[house.first_month]} and is named after the year it begins in",
            first_month=1,
        ),
        value_rule(
            "rounding", f"sums are whole numbers, {rounded[house.rounding]}, rounded once per quarter", rounding="even"
        ),
    )


PROGRAM = """
import sqlite3

sums = {}
query = "SELECT $placed, $net FROM $table WHERE $state != '$ignored'"
for day, net in sqlite3.connect("$source").execute(query):
    year, month = int(day[:4]), int(day[5:7])
    if month < $first:
        year, month = year - 1, month + 12
    label = f"$label"
    sums[label] = sums.get(label, 0) + net
with open("$target", "w", encoding="utf-8") as out:
    out.write("$header\\n")
    for label, total in sorted(sums.items(), key=lambda item: $order):
        out.write(f"{label}$separator{int(total$half)}\\n")
"""


def words(case: Case, house: Orders) -> dict[str, str]:
    first = str(house.first_month)
    return {
        "first": first,
        "label": house.label.replace("{quarter}", f"{{(month - {first}) // 3 + 1}}"),
        "half": " + 0.5" if house.rounding == "up" else "",
    }


FAMILY = Family(
    name="orders-report",
    title="Orders report",
    description="Reports revenue per fiscal quarter from a SQLite database by the house rules. Use when a task asks "
    "for sums per quarter of orders or sales.",
    self_check="Each line of the output has the form `FY2019-Q3;12345`, with no decimals.",
    flow=("read", "retrieve", "filter", "normalize", "compute", "output"),
    houses={
        "base": Orders(),
        "north": Orders(separator="|", first_month=7, rounding="down"),
        "south": Orders(label="FY{year}/{quarter}", first_month=10, ignored="RETURNED", order=NEWEST),
    },
    make=make,
    rows=rows,
    output=CsvOutput((QUARTER, NUMBER)),
    own_rules=own_rules,
    template=PROGRAM,
    words=words,
    script=False,  # after "SQLite" a small model writes `import sqlite3` whatever it was told
)
