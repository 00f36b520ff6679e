"""Totals per account of a ledger. Easy: notation, ignored rows, order."""

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
    cents,
    csv_case,
    pick_names,
    sums,
    value_rule,
)
from prowess.suites.workbench.outputs import AMOUNT, TEXT, CsvHouse, CsvOutput, point_rule

NAMES = {
    "date": ("date", "day", "booked_on", "posted"),
    "account": ("account", "konto", "acct_no", "gl_code", "account_id"),
    "memo": ("memo", "note", "description", "remark"),
    "amount": ("amount", "value", "sum_eur", "net", "booking_amount"),
    "status": ("status", "state", "flag", "entry_state"),
}
MEMOS = ("rent", "paper", "cleaning", "phone", "travel", "repair", "coffee", "licence", "postage")


LARGEST = Order(
    "total, largest first; equal totals by account number", "(-item[1], item[0])", lambda row: (-row[1], row[0])
)
SMALLEST = Order(
    "total, smallest first; equal totals by account number", "(item[1], item[0])", lambda row: (row[1], row[0])
)
ACCOUNT = Order("account number", "item[0]", lambda row: row[0])


@dataclass(frozen=True, slots=True)
class Ledger(CsvHouse):
    header: tuple[str, ...] = ("account", "total")
    decimal: str = ","
    ignored: str = "VOID"
    order: Order = LARGEST


def make(rng: Random) -> Case:
    names = pick_names(rng, NAMES)
    stem = rng.choice(("ledger", "journal", "bookings", "gl"))
    period = f"{rng.randint(1, 12):02d}"
    names |= {"source": f"{stem}_{period}.csv", "target": f"{rng.choice(('totals', 'sums', 'accounts'))}_{period}.csv"}
    accounts = [str(n) for n in sorted(rng.sample(range(1000, 9900, 10), rng.randint(6, 8)))]
    twin, other = accounts[3], accounts[1]
    equal = [cents(rng, 500, 40_000) for _ in range(3)]
    # the higher account of two with equal totals is mentioned first, so that the order of the file is no tie-break
    entries = [(twin, amount, "POSTED") for amount in equal] + [(other, amount, "POSTED") for amount in equal[::-1]]
    for account in accounts:
        if account not in (twin, other):
            entries += [(account, cents(rng, -9_000, 90_000), "POSTED") for _ in range(rng.randint(2, 4))]
            entries += [(account, cents(rng, 500, 90_000), rng.choice(("VOID", "DRAFT"))) for _ in range(2)]
    tail = entries[1:]
    rng.shuffle(tail)
    rows: list[Row] = [
        {
            "date": f"2025-{period}-{rng.randint(1, 28):02d}",
            "account": account,
            "memo": rng.choice(MEMOS),
            "amount": f"{amount:.2f}",
            "status": status,
        }
        for account, amount, status in [entries[0], *tail]
    ]
    job = (
        f"Add up `{names['amount']}` per `{names['account']}` in `{names['source']}` and write one line per account, "
        f"account and total, to `{names['target']}`."
    )
    return csv_case(rng, job, names, rows)


def rows(case: Case, house: Ledger) -> Iterable[tuple[str, Decimal]]:
    return sums((row["account"], row["amount"]) for row in case.rows if row["status"] != house.ignored).items()


def own_rules(house: Ledger) -> tuple[Rule, ...]:
    return (
        point_rule(house.decimal, "totals", "1234", r"-?\d+"),
        value_rule("ignored", f"rows whose status is {house.ignored} must not be counted; all others are", ignored=""),
    )


PROGRAM = """
import csv
from decimal import Decimal

totals = {}
for row in csv.DictReader(open("$source", encoding="utf-8")):
    if row["$status"] != "$ignored":
        totals[row["$account"]] = totals.get(row["$account"], Decimal(0)) + Decimal(row["$amount"])
with open("$target", "w", encoding="utf-8") as out:
    out.write("$header\\n")
    for account, total in sorted(totals.items(), key=lambda item: $order):
        out.write(account + "$separator" + f"{total:.2f}"$decimal + "\\n")
"""


def words(case: Case, house: Ledger) -> dict[str, str]:
    return {"decimal": '.replace(".", ",")' if house.decimal == "," else ""}


FAMILY = Family(
    name="ledger-totals",
    title="Ledger totals",
    description="Adds up a ledger or journal CSV per account by the house rules. Use when a task asks for totals or "
    "sums per account.",
    self_check="Each line of the output has the form `4010;1234,50`; there is no dot and no space in it.",
    flow=("read", "filter", "compute", "normalize", "output"),
    houses={
        "base": Ledger(),
        "north": Ledger(decimal=".", separator="\t", ignored="DRAFT", order=SMALLEST),
        "south": Ledger(header=("konto", "summe"), separator="|", order=ACCOUNT),
    },
    make=make,
    rows=rows,
    output=CsvOutput((TEXT, AMOUNT)),
    own_rules=own_rules,
    template=PROGRAM,
    words=words,
)
