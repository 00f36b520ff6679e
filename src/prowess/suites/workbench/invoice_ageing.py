"""Open invoices by age. Hard: payment term, limits of the buckets, disputed invoices."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from random import Random

from prowess.suites.workbench.family import Case, Family, Order, Row, Rule, cents, csv_case, pick_names, value_rule
from prowess.suites.workbench.forms import Value
from prowess.suites.workbench.outputs import HUNDREDTHS, NUMBER, TEXT, CsvHouse, CsvOutput

NAMES = {
    "invoice": ("invoice", "number", "doc", "bill"),
    "customer": ("customer", "client", "debtor", "payer"),
    "issued": ("issued", "invoice_date", "dated", "sent"),
    "amount": ("amount", "gross", "open_eur", "balance"),
    "state": ("state", "status", "flag", "mark"),
}


def age(label: Value) -> int:
    """Where a bucket stands among the others, by the first number of its label."""
    digits = str(label).partition("-")[0].strip("+")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 9 else -1


YOUNGEST = Order("age, not yet due first", "labels.index(item[0])", lambda row: age(row[0]))
OLDEST = Order("age, oldest first, not yet due last", "-labels.index(item[0])", lambda row: -age(row[0]))


@dataclass(frozen=True, slots=True)
class Ageing(CsvHouse):
    header: tuple[str, ...] = ("bucket", "invoices", "sum")
    ignored: str = "DISPUTED"
    term: int = 30
    limits: tuple[int, int] = (30, 60)
    order: Order = YOUNGEST

    @property
    def labels(self) -> tuple[str, ...]:
        one, two = self.limits
        return ("current", f"1-{one}", f"{one + 1}-{two}", f"{two + 1}+")


def make(rng: Random) -> Case:
    names = pick_names(rng, NAMES)
    today = date(rng.randint(2018, 2030), rng.randint(1, 12), rng.randint(1, 28))
    tag = f"{today:%y%m}"
    names |= {
        "source": f"{rng.choice(('invoices', 'receivables', 'open_items'))}_{tag}.csv",
        "target": f"{rng.choice(('ageing', 'aged', 'overdue'))}_{tag}.csv",
        "today": today.isoformat(),
    }
    # ages on both sides of every limit, so that being one day off is seen
    edges = [term + limit + off for term in (14, 30, 45) for limit in (0, 30, 60) for off in (0, 1)]
    ages = rng.sample(edges, 10) + [rng.randint(1, 150) for _ in range(14)]
    rows: list[Row] = [
        {
            "invoice": f"R{number_}",
            "customer": f"K{rng.randint(10, 99)}",
            "issued": (today - timedelta(days=days)).isoformat(),
            "amount": f"{cents(rng, 1_000, 90_000):.2f}",
            "state": rng.choice(("OPEN", "OPEN", "OPEN", "REMINDED", "DISPUTED", "INSTALMENT")),
        }
        for number_, days in zip(rng.sample(range(1000, 9999), len(ages)), ages, strict=True)
    ]
    rng.shuffle(rows)
    job = (
        f"Age the invoices of `{names['source']}` (`{names['issued']}`, `{names['amount']}`) as of {names['today']}. "
        f"Write one line per age bucket that has any, bucket, number of invoices and sum, to `{names['target']}`."
    )
    return csv_case(rng, job, names, rows)


def rows(case: Case, house: Ageing) -> Iterable[tuple[str, Decimal, Decimal]]:
    today = date.fromisoformat(case.names["today"])
    buckets: dict[str, list[Decimal]] = {}
    for row in case.rows:
        if row["state"] != house.ignored:
            late = (today - date.fromisoformat(row["issued"])).days - house.term
            index = sum(late > limit for limit in (0, *house.limits))
            buckets.setdefault(house.labels[index], []).append(Decimal(row["amount"]))
    return [(label, Decimal(len(amounts)), sum(amounts, Decimal(0))) for label, amounts in buckets.items()]


def own_rules(house: Ageing) -> tuple[Rule, ...]:
    current, *late = house.labels
    return (
        value_rule("ignored", f"invoices that are {house.ignored} must not be counted; all others are", ignored=""),
        value_rule(
            "term",
            f"an invoice is due {house.term} days after it was issued, and its age is counted from that day",
            term=0,
        ),
        value_rule(
            "buckets",
            f"the buckets are {current!r} (not late, or due today) and, in days late, " + ", ".join(map(repr, late)),
            limits=(house.limits[0], house.limits[1] + 30),
        ),
    )


PROGRAM = """
import csv
from datetime import date
from decimal import Decimal

labels = $labels
buckets = {}
for row in csv.DictReader(open("$source", encoding="utf-8")):
    if row["$state"] != "$ignored":
        late = (date.fromisoformat("$today") - date.fromisoformat(row["$issued"])).days - $term
        label = labels[(late > 0) + (late > $one) + (late > $two)]
        count, total = buckets.get(label, (0, Decimal(0)))
        buckets[label] = (count + 1, total + Decimal(row["$amount"]))
with open("$target", "w", encoding="utf-8") as out:
    out.write("$header\\n")
    for label, (count, total) in sorted(buckets.items(), key=lambda item: $order):
        out.write(f"{label}$separator{count}$separator{total:.2f}\\n")
"""


def words(case: Case, house: Ageing) -> dict[str, str]:
    return {
        "labels": "[" + ", ".join(f'"{label}"' for label in house.labels) + "]",
        "one": str(house.limits[0]),
        "two": str(house.limits[1]),
    }


FAMILY = Family(
    name="invoice-ageing",
    title="Invoice ageing",
    description="Ages open invoices of a CSV into buckets by the house rules. Use when a task asks how old or overdue "
    "invoices are.",
    self_check="Each line of the output has the form `31-60;4;1234.50`, and there are at most four.",
    flow=("read", "filter", "compute", "compare", "align", "output"),
    houses={
        "base": Ageing(),
        "north": Ageing(separator="\t", term=14, limits=(15, 45)),
        "south": Ageing(header=("age", "count", "total"), ignored="INSTALMENT", term=45, order=OLDEST),
    },
    make=make,
    rows=rows,
    output=CsvOutput((TEXT, NUMBER, HUNDREDTHS)),
    own_rules=own_rules,
    template=PROGRAM,
    words=words,
)
