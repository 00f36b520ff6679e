"""Requests per service of a server log, as JSON. Easy: ignored lines, rounding, order."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from random import Random

from prowess.core.task import File
from prowess.suites.workbench.family import Case, Family, Order, Row, Rule, value_rule
from prowess.suites.workbench.outputs import NUMBER, TEXT, JsonHouse, JsonOutput

SERVICES = ("auth", "cart", "mail", "pay", "search", "stock", "users", "video", "wiki", "zone")
PATHS = ("/list", "/item", "/save", "/edit", "/find")
FIELDS = ("time", "service", "path", "duration")
BUSIEST = Order(
    "requests, most first; equal counts by service name",
    '(-item["{1}"], item["{0}"])',
    lambda row: (-row[1], row[0]),
)
SLOWEST = Order(
    "mean duration, longest first; equal means by service name",
    '(-item["{2}"], item["{0}"])',
    lambda row: (-row[2], row[0]),
)


@dataclass(frozen=True, slots=True)
class Log(JsonHouse):
    keys: tuple[str, ...] = ("service", "requests", "mean_ms")
    ignored: str = "/health"
    rounding: str = "up"
    order: Order = BUSIEST


def make(rng: Random) -> Case:
    tag = f"{rng.choice(('web', 'edge', 'node', 'host'))}{rng.randint(1, 40)}"
    names = {
        "source": f"{rng.choice(('access', 'server', 'requests', 'traffic'))}_{tag}.log",
        "target": f"{rng.choice(('summary', 'services', 'load'))}_{tag}.json",
    }
    rows: list[Row] = []
    for service in rng.sample(SERVICES, 6):
        # an even number of requests, so that means with one half occur
        for path in rng.choices(PATHS, k=rng.choice((2, 4))) + rng.choices(
            ("/health", "/metrics"), k=rng.randint(1, 3)
        ):
            rows.append({"service": service, "path": path, "duration": f"{rng.randint(5, 900)}ms"})
    rng.shuffle(rows)
    rows = [
        {**row, "time": f"2025-03-{tag[-1:]:0>2}T08:{i // 60:02d}:{i % 60:02d}"} for i, row in enumerate(rows, start=7)
    ]
    fields = list(FIELDS)
    rng.shuffle(fields)
    names["fields"] = ", ".join(fields)
    lines = [" ".join(row[field] for field in fields) for row in rows]
    job = (
        f"Each line of `{names['source']}` has {names['fields']}, with spaces between. Write a JSON list to "
        f"`{names['target']}` with one object per service: its name, its number of requests, and their mean duration."
    )
    files = (File(path=names["source"], data=("\n".join(lines) + "\n").encode()),)
    return Case(job=job, names=names, tables={"rows": tuple(rows)}, files=files)


def rows(case: Case, house: Log) -> Iterable[tuple[str, Decimal, Decimal]]:
    durations: dict[str, list[int]] = {}
    for row in case.rows:
        if row["path"] != house.ignored:
            durations.setdefault(row["service"], []).append(int(row["duration"][:-2]))
    mode = ROUND_HALF_UP if house.rounding == "up" else ROUND_HALF_EVEN
    return [
        (service, Decimal(len(all_ms)), (Decimal(sum(all_ms)) / len(all_ms)).quantize(Decimal(1), mode))
        for service, all_ms in durations.items()
    ]


def own_rules(house: Log) -> tuple[Rule, ...]:
    return (
        value_rule("ignored", f"lines whose path is {house.ignored} must not be counted; all others are", ignored=""),
        value_rule(
            "rounding",
            "means are whole milliseconds, and one half is rounded up (Python's round() does not)",
            rounding="even",
        ),
    )


PROGRAM = """
import json

durations = {}
for line in open("$source", encoding="utf-8"):
    row = dict(zip("$fields".replace(",", " ").split(), line.split()))
    if row["path"] != "$ignored":
        durations.setdefault(row["service"], []).append(int(row["duration"].removesuffix("ms")))
rows = []
for service, ms in durations.items():
    mean = int(sum(ms) / len(ms) + 0.5)
    rows.append({"$k0": service, "$k1": len(ms), "$k2": mean})
rows.sort(key=lambda item: $order)
with open("$target", "w", encoding="utf-8") as out:
    json.dump(rows, out)
"""


FAMILY = Family(
    name="server-log-summary",
    title="Server log summary",
    description="Summarises a server log per service as JSON by the house rules. Use when a task asks for requests or "
    "durations per service of a log.",
    self_check='Each object has the form `{"service": "auth", "requests": 12, "mean_ms": 85}`, with whole numbers.',
    flow=("read", "extract", "filter", "compute", "output"),
    houses={
        "base": Log(),
        "north": Log(keys=("name", "count", "average"), ignored="/metrics"),
        "south": Log(keys=("service", "hits", "ms"), order=SLOWEST),
    },
    make=make,
    rows=rows,
    output=JsonOutput((TEXT, NUMBER, NUMBER)),
    own_rules=own_rules,
    template=PROGRAM,
)
