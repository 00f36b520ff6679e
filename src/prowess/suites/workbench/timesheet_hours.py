"""Hours per person of a timesheet. Moderately hard: rounding per entry, breaks, absences."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from prowess.suites.workbench.family import (
    Case,
    Family,
    Order,
    Row,
    Rule,
    clock,
    csv_case,
    pick_names,
    sums,
    value_rule,
)
from prowess.suites.workbench.outputs import HUNDREDTHS, TEXT, CsvHouse, CsvOutput

NAMES = {
    "date": ("date", "day", "work_date", "shift_date"),
    "person": ("employee", "worker", "person", "staff", "colleague"),
    "start": ("start", "begin", "clock_in", "started"),
    "end": ("end", "finish", "clock_out", "ended"),
    "kind": ("type", "kind", "category", "code"),
}
FIRST = ("Ada", "Bela", "Carl", "Dora", "Emil", "Fay", "Gus", "Hana", "Ivo", "Jana")
LAST = ("Abel", "Brook", "Cole", "Dunn", "Ember", "Frost", "Grant", "Hale", "Innes", "Joyce", "Kern", "Lang")


SURNAME = Order("last name", "item[0].split()[-1]", lambda row: row[0].split()[-1:])
MOST = Order("hours, most first; equal hours by full name", "(-item[1], item[0])", lambda row: (-row[1], row[0]))


@dataclass(frozen=True, slots=True)
class Timesheet(CsvHouse):
    header: tuple[str, ...] = ("name", "hours")
    absence: str = "LEAVE"
    quarter: str = "down"
    pause: int = 30
    """Minutes taken off an entry of more than six hours."""
    order: Order = SURNAME


def make(rng: Random) -> Case:
    names = pick_names(rng, NAMES)
    week = f"w{rng.randint(1, 52):02d}"
    names |= {
        "source": f"{rng.choice(('timesheet', 'clock', 'shifts', 'presence'))}_{week}.csv",
        "target": f"{rng.choice(('hours', 'worked', 'payroll'))}_{week}.csv",
    }
    people = [f"{first} {last}" for first, last in zip(rng.sample(FIRST, 5), rng.sample(LAST, 5), strict=True)]
    rows: list[Row] = []
    for person in people:
        # at least one long entry each, so that breaks matter, and one short one
        lengths = [rng.randint(365, 560), rng.randint(100, 340), rng.randint(100, 560)]
        kinds = ["WORK", "WORK", rng.choice(("WORK", "TRAINING")), *rng.sample(["LEAVE", "SICK"], rng.randint(1, 2))]
        for kind, length in zip(kinds, [*lengths, 240, 240], strict=False):
            begin = rng.randint(6 * 60, 12 * 60)
            rows.append(
                {
                    "date": f"2025-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}",
                    "person": person,
                    "start": clock(begin),
                    "end": clock(begin + length),
                    "kind": kind,
                }
            )
    rng.shuffle(rows)
    job = (
        f"Add up the hours per `{names['person']}` in `{names['source']}` (from `{names['start']}` to "
        f"`{names['end']}`) and write one line per person, name and hours, to `{names['target']}`."
    )
    return csv_case(rng, job, names, rows)


def minutes(row: Row, house: Timesheet) -> int:
    begin, end = (int(row[k][:2]) * 60 + int(row[k][3:]) for k in ("start", "end"))
    length = end - begin
    if length > 360:
        length -= house.pause
    if house.quarter == "down":
        return length // 15 * 15
    return -(-length // 15) * 15 if house.quarter == "up" else length


def rows(case: Case, house: Timesheet) -> Iterable[tuple[str, Decimal]]:
    totals = sums((row["person"], minutes(row, house)) for row in case.rows if row["kind"] != house.absence)
    return [(person, (total / 60).quantize(Decimal("0.01"))) for person, total in totals.items()]


def own_rules(house: Timesheet) -> tuple[Rule, ...]:
    return (
        value_rule(
            "absence", f"entries of the kind {house.absence} must not be counted; all other kinds are", absence=""
        ),
        value_rule("break", f"an entry of more than 6 hours loses {house.pause} minutes for the break", pause=0),
        value_rule(
            "quarters",
            f"each entry, after its break, is rounded {house.quarter} to a full quarter of an hour before adding; "
            "hours are decimal with two decimals, as in 7.75",
            quarter="",
        ),
    )


PROGRAM = """
import csv

totals = {}
for row in csv.DictReader(open("$source", encoding="utf-8")):
    if row["$kind"] == "$absence":
        continue
    h1, m1 = row["$start"].split(":")
    h2, m2 = row["$end"].split(":")
    minutes = int(h2) * 60 + int(m2) - int(h1) * 60 - int(m1)
    if minutes > 360:
        minutes -= $pause
    minutes = $quarter
    totals[row["$person"]] = totals.get(row["$person"], 0) + minutes
with open("$target", "w", encoding="utf-8") as out:
    out.write("$header\\n")
    for name, minutes in sorted(totals.items(), key=lambda item: $order):
        out.write(name + "$separator" + f"{minutes / 60:.2f}" + "\\n")
"""


def words(case: Case, house: Timesheet) -> dict[str, str]:
    return {"quarter": {"down": "minutes // 15 * 15", "up": "-(-minutes // 15) * 15", "": "minutes"}[house.quarter]}


FAMILY = Family(
    name="timesheet-hours",
    title="Timesheet hours",
    description="Adds up worked hours per person from a timesheet CSV by the house rules. Use when a task asks for "
    "hours from start and end times.",
    self_check="Each line of the output has the form `Ada Abel;37.75`, and its decimals are 00, 25, 50 or 75.",
    flow=("read", "filter", "extract", "normalize", "compute", "output"),
    houses={
        "base": Timesheet(),
        "north": Timesheet(separator="\t", absence="SICK", quarter="up"),
        "south": Timesheet(header=("who", "total"), separator=",", pause=45, order=MOST),
    },
    make=make,
    rows=rows,
    output=CsvOutput((TEXT, HUNDREDTHS)),
    own_rules=own_rules,
    template=PROGRAM,
    words=words,
)
