"""What is left of a budget per department, as a workbook. Moderately hard: sign, ignored lines, total row."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from prowess.core.task import File
from prowess.suites.workbench.family import Case, Family, House, Order, Row, Rows, Rule, pick_names, sums, value_rule
from prowess.suites.workbench.forms import Found, number, text
from prowess.suites.workbench.workbooks import read_xlsx, write_xlsx

NAMES = {
    "department": ("department", "unit", "team", "cost_centre"),
    "line": ("line", "purpose", "position", "text"),
    "planned": ("planned", "budget", "approved", "plan_eur"),
    "spent": ("spent", "actual", "used", "booked"),
    "kind": ("kind", "type", "class", "status"),
}
TEAMS = ("archive", "bindery", "canteen", "design", "estate", "fleet", "garden", "helpdesk")
LINES = ("rent", "tools", "travel", "training", "licences", "repairs")
NAME = Order("name, the total row last", "item[0]", lambda row: (row[0] == "TOTAL", row[0]))
TIGHT = Order(
    "what is left, least first, the total row last; equal amounts by name",
    "(item[1], item[0])",
    lambda row: (row[0] == "TOTAL", row[1], row[0]),
)


@dataclass(frozen=True, slots=True)
class Budget(House):
    sheet: str = "Left"
    header: tuple[str, ...] = ("department", "left")
    ignored: str = "RESERVE"
    sign: int = 1
    total: bool = True
    order: Order = NAME


def make(rng: Random) -> Case:
    names = pick_names(rng, NAMES)
    year = str(rng.randint(2015, 2035))
    names |= {
        "source": f"{rng.choice(('budget', 'plan', 'finance'))}_{year}.xlsx",
        "target": f"{rng.choice(('left', 'rest', 'balance'))}_{year}.xlsx",
        "sheet": rng.choice(("Data", "Lines", "Input", "Year")),
    }
    rows: list[Row] = []
    for team in rng.sample(TEAMS, 5):
        kinds = [*rng.choices(("NORMAL", "EXTRA"), k=2), rng.choice(("RESERVE", "EXTRA"))]
        for kind, line in zip(kinds, rng.sample(LINES, 3), strict=True):
            planned = rng.randint(20, 900) * 10
            rows.append(
                {
                    "department": team,
                    "line": line,
                    "planned": str(planned),
                    "spent": str(planned + rng.randint(-40, 15) * 5),
                    "kind": kind,
                }
            )
    rng.shuffle(rows)
    fields = list(NAMES)
    rng.shuffle(fields)
    cells = [[int(row[f]) if f in ("planned", "spent") else row[f] for f in fields] for row in rows]
    job = (
        f"Sheet `{names['sheet']}` of `{names['source']}` has `{names['planned']}` and `{names['spent']}` amounts. "
        f"Write a workbook `{names['target']}` with one row per `{names['department']}`: its name and the "
        "difference of the two sums, and the total."
    )
    data = write_xlsx(names["sheet"], [[names[f] for f in fields], *cells])
    return Case(job=job, names=names, tables={"rows": tuple(rows)}, files=(File(path=names["source"], data=data),))


def rows(case: Case, house: Budget) -> Iterable[tuple[str, Decimal]]:
    kept = (row for row in case.rows if row["kind"] != house.ignored)
    left = sums((row["department"], house.sign * (int(row["planned"]) - int(row["spent"]))) for row in kept)
    return [*left.items(), *([("TOTAL", sum(left.values(), Decimal(0)))] if house.total else [])]


class SheetOutput:
    """A workbook with one sheet of names and whole numbers."""

    rows_are = "rows"

    def write(self, rows: Rows, house: Budget) -> bytes:
        return write_xlsx(house.sheet, [house.header, *((str(name), int(left)) for name, left in rows)])

    def read(self, data: bytes, house: Budget) -> Found:
        return read_xlsx(data, house.sheet, house.header, (text, number))

    def rules(self, house: Budget) -> tuple[Rule, ...]:
        return (
            Rule(
                kind="form",
                name="sheet",
                text=f"the sheet must be named {house.sheet!r}",
                off={"sheet": "Sheet"},
                seen=lambda found: found.marks.get("sheet") == house.sheet,
            ),
            Rule(
                kind="form",
                name="header",
                text=f"the first row must hold exactly {house.header[0]!r} and {house.header[1]!r}",
                off={"header": ("Name", "Difference")},
                seen=lambda found: found.header == house.header,
            ),
        )

    def words(self, house: Budget) -> dict[str, str]:
        return {"title": house.sheet, "h0": house.header[0], "h1": house.header[1]}


def own_rules(house: Budget) -> tuple[Rule, ...]:
    less, more = ("planned", "spent") if house.sign > 0 else ("spent", "planned")
    return (
        value_rule("ignored", f"lines of the kind {house.ignored} must not be counted; all others are", ignored=""),
        value_rule("sign", f"the difference is {less} minus {more}", sign=-house.sign),
        value_rule("total", "the last row is the total of all departments and is named TOTAL", total=False),
    )


PROGRAM = """
import openpyxl

rows = list(openpyxl.load_workbook("$source")["$sheet"].values)
column = {name: i for i, name in enumerate(rows[0])}
left = {}
for row in rows[1:]:
    if row[column["$kind"]] != "$ignored":
        team = row[column["$department"]]
        left[team] = left.get(team, 0) + row[column["$less"]] - row[column["$more"]]
book = openpyxl.Workbook()
page = book.active
page.title = "$title"
page.append(["$h0", "$h1"])
for team, amount in sorted(left.items(), key=lambda item: $order):
    page.append([team, amount])
page.append(["TOTAL", sum(left.values())])
book.save("$target")
"""


def words(case: Case, house: Budget) -> dict[str, str]:
    planned, spent = case.names["planned"], case.names["spent"]
    return {
        "less": planned if house.sign > 0 else spent,
        "more": spent if house.sign > 0 else planned,
    }


FAMILY = Family(
    name="budget-sheet",
    title="Budget sheet",
    description="Writes what is left of a budget per department as an XLSX workbook by the house rules. Use when a "
    "task asks to compare planned and spent amounts of a workbook.",
    self_check="The sheet holds plain numbers, no formulas, and its last row is TOTAL.",
    flow=("read", "filter", "compute", "compare", "validate", "output"),
    houses={
        "base": Budget(),
        "north": Budget(sheet="Report", header=("unit", "rest"), order=TIGHT),
        "south": Budget(ignored="EXTRA", sign=-1),
    },
    make=make,
    rows=rows,
    output=SheetOutput(),
    own_rules=own_rules,
    template=PROGRAM,
    words=words,
)
