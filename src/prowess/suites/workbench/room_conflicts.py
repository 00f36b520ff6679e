"""Clashing meetings per room. Hard: pairs, clearing time, tentative meetings."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from prowess.suites.workbench.family import Case, Family, Order, Row, Rule, clock, csv_case, pick_names, value_rule
from prowess.suites.workbench.outputs import NUMBER, TEXT, CsvHouse, CsvOutput

NAMES = {
    "room": ("room", "hall", "location", "place"),
    "title": ("title", "meeting", "subject", "event"),
    "start": ("start", "begins", "time_from", "opens"),
    "end": ("end", "ends", "time_to", "closes"),
    "state": ("state", "status", "booking", "kind"),
}
TITLES = ("audit", "board", "budget", "demo", "hiring", "intro", "legal", "press", "review", "sales", "sync", "town")
ROOM = Order("room, then first meeting, then second meeting", "(item[0], item[1], item[2])", lambda row: row[:3])
LONGEST = Order(
    "minutes, most first; equal minutes by first meeting, then second meeting",
    "(-item[3], item[1], item[2])",
    lambda row: (-row[3], row[1], row[2]),
)


@dataclass(frozen=True, slots=True)
class Rooms(CsvHouse):
    header: tuple[str, ...] = ("room", "first", "second", "minutes")
    ignored: str = "TENTATIVE"
    clearing: int = 15
    order: Order = ROOM


def make(rng: Random) -> Case:
    names = pick_names(rng, NAMES)
    day = f"{rng.randint(1, 12):02d}{rng.randint(1, 28):02d}"
    names |= {
        "source": f"{rng.choice(('calendar', 'meetings', 'rooms', 'agenda'))}_{day}.csv",
        "target": f"{rng.choice(('conflicts', 'clashes', 'overlaps'))}_{day}.csv",
    }
    rows: list[Row] = []
    for room in rng.sample(("Aula", "Birch", "Cedar", "Dome", "Elm"), 3):
        begins = sorted(rng.sample(range(8 * 60, 15 * 60, 5), 5))
        for begin, title in zip(begins, rng.sample(TITLES, 5), strict=True):
            state = rng.choice(("FIRM", "FIRM", "TENTATIVE", "INTERNAL"))
            end = begin + rng.choice((30, 45, 60, 75, 90))
            rows.append({"room": room, "title": title, "start": clock(begin), "end": clock(end), "state": state})
    rng.shuffle(rows)
    job = (
        f"In `{names['source']}`, find every two meetings that clash in one room. Write one line per pair to "
        f"`{names['target']}`: room, the meeting that begins first, the other, and by how many minutes the first runs "
        "into the other."
    )
    return csv_case(rng, job, names, rows)


def minutes(time: str) -> int:
    return int(time[:2]) * 60 + int(time[3:])


def rows(case: Case, house: Rooms) -> Iterable[tuple[str, str, str, Decimal]]:
    kept = [row for row in case.rows if row["state"] != house.ignored]
    for first in kept:
        for second in kept:
            begin = minutes(second["start"])
            over = minutes(first["end"]) + house.clearing - begin
            if first["room"] == second["room"] and minutes(first["start"]) < begin and over > 0:
                yield first["room"], first["title"], second["title"], Decimal(over)


def own_rules(house: Rooms) -> tuple[Rule, ...]:
    return (
        value_rule("ignored", f"meetings that are {house.ignored} clash with nothing; all others count", ignored=""),
        value_rule(
            "clearing",
            f"each meeting holds its room for {house.clearing} minutes after its end; these count as part of it",
            clearing=0,
        ),
    )


PROGRAM = """
import csv

def minutes(time):
    return int(time[:2]) * 60 + int(time[3:])

rows = [row for row in csv.DictReader(open("$source", encoding="utf-8")) if row["$state"] != "$ignored"]
pairs = []
for a in rows:
    for b in rows:
        over = minutes(a["$end"]) + $clearing - minutes(b["$start"])
        if a["$room"] == b["$room"] and a["$start"] < b["$start"] and over > 0:
            pairs.append((a["$room"], a["$title"], b["$title"], over))
pairs.sort(key=lambda item: $order)
with open("$target", "w", encoding="utf-8") as out:
    out.write("$header\\n")
    for room, first, second, over in pairs:
        out.write(f"{room}$separator{first}$separator{second}$separator{over}\\n")
"""


FAMILY = Family(
    name="room-conflicts",
    title="Room conflicts",
    description="Lists clashing meetings per room from a calendar CSV by the house rules. Use when a task asks for "
    "meetings that overlap or clash.",
    self_check="Each line of the output has the form `Aula;audit;board;25`; the last field is a whole number above 0.",
    flow=("read", "filter", "normalize", "compare", "detect", "output"),
    houses={
        "base": Rooms(),
        "north": Rooms(separator="|", clearing=10, order=LONGEST),
        "south": Rooms(header=("place", "a", "b", "overlap"), ignored="INTERNAL", clearing=20),
    },
    make=make,
    rows=rows,
    output=CsvOutput((TEXT, TEXT, TEXT, NUMBER)),
    own_rules=own_rules,
    template=PROGRAM,
    keys=3,
)
