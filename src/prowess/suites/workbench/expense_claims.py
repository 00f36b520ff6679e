"""What to pay out per person for expense claims in JSON. Moderately hard: caps, mileage, missing receipts."""

import json
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from prowess.core.task import File
from prowess.suites.workbench.forms import Found, number, read_csv, text, write_csv
from prowess.suites.workbench.parts import (
    Case,
    Family,
    House,
    Order,
    Row,
    Rows,
    Rule,
    cents,
    fill,
    header_rule,
    order_rule,
    pick_names,
    quoted,
    separator_rule,
)

NAMES = {
    "person": ("person", "employee", "claimant", "traveller"),
    "kind": ("kind", "category", "type", "purpose"),
    "amount": ("amount", "cost", "eur", "claimed"),
    "km": ("km", "distance", "kilometres", "driven_km"),
    "receipt": ("receipt", "has_receipt", "voucher", "proof"),
}
PEOPLE = ("abel", "brook", "cole", "dunn", "ember", "frost", "grant", "hale")
NAME = Order("person", "item[0]", lambda row: row[0])
MOST = Order("amount, largest first; equal amounts by person", "(-item[1], item[0])", lambda row: (-row[1], row[0]))


@dataclass(frozen=True, slots=True)
class Claims(House):
    separator: str = ";"
    header: tuple[str, ...] = ("person", "payout")
    decimal: str = ","
    cap: int = 28
    """Euros paid at most for one meal; 0 for no cap."""
    per_km: str = "0.30"
    """Euros per kilometre of a car claim; empty to pay the claimed amount."""
    receipts: bool = True
    order: Order = NAME


def make(rng: Random) -> Case:
    names = pick_names(rng, NAMES)
    tag = f"{rng.choice(('q1', 'q2', 'q3', 'q4'))}_{rng.randint(10, 40)}"
    names |= {
        "source": f"{rng.choice(('claims', 'expenses', 'trips'))}_{tag}.json",
        "target": f"{rng.choice(('payout', 'refund', 'paid'))}_{tag}.csv",
    }
    rows: list[Row] = []
    for person in rng.sample(PEOPLE, 6):
        for kind in ["MEAL", "CAR", *rng.choices(("MEAL", "HOTEL", "TRAIN"), k=2)]:
            rows.append(
                {
                    "person": person,
                    "kind": kind,
                    "amount": str(cents(rng, 900, 6_500) if kind == "MEAL" else cents(rng, 2_000, 19_000)),
                    "km": str(rng.randint(20, 400) if kind == "CAR" else 0),
                    "receipt": rng.choice(("yes", "yes", "no")),
                }
            )
    rng.shuffle(rows)
    fields = list(NAMES)
    rng.shuffle(fields)
    objects = [{names[f]: int(row[f]) if f == "km" else row[f] for f in fields} for row in rows]
    job = (
        f"`{names['source']}` is a JSON list of expense claims. Work out what is paid to each `{names['person']}` and "
        f"write one line per person, person and amount, to `{names['target']}`."
    )
    data = "[" + ",\n ".join(json.dumps(item) for item in objects) + "]\n"
    return Case(
        job=job, names=names, tables={"rows": tuple(rows)}, files=(File(path=names["source"], data=data.encode()),)
    )


def payout(row: Row, house: Claims) -> Decimal:
    amount = Decimal(row["amount"])
    if row["kind"] == "CAR" and house.per_km:
        return int(row["km"]) * Decimal(house.per_km)
    if house.receipts and row["receipt"] == "no" and row["kind"] != "CAR":
        return Decimal(0)
    return min(amount, Decimal(house.cap)) if row["kind"] == "MEAL" and house.cap else amount


def answer(case: Case, house: Claims) -> Rows:
    sums: dict[str, Decimal] = {}
    for row in case.rows:
        sums[row["person"]] = sums.get(row["person"], Decimal(0)) + payout(row, house)
    return tuple(sorted(sums.items(), key=house.order.key))


def write(rows: Rows, house: Claims) -> bytes:
    cells = [(str(person), f"{total:.2f}".replace(".", house.decimal)) for person, total in rows]
    return write_csv(house.header, cells, house.separator)


def read(data: bytes, house: Claims) -> Found:
    return read_csv(data, house.header, (text, number), house.separator)


def rules(house: Claims) -> tuple[Rule, ...]:
    point = {",": "a comma instead of the decimal point", ".": "a decimal point"}[house.decimal]
    return (
        separator_rule(house.separator),
        header_rule(house.header, house.separator),
        Rule(
            kind="form",
            name="numbers",
            text=f"amounts must be written with two decimals and {point}, as in 123{house.decimal}50",
            off={"decimal": "." if house.decimal == "," else ","},
            seen=lambda found: found.matches(1, rf"\d+\{house.decimal}\d\d"),
        ),
        Rule(
            kind="value",
            name="mileage",
            text=f"a CAR claim pays {house.per_km} for each kilometre instead of its amount, with or without a receipt",
            off={"per_km": ""},
        ),
        Rule(
            kind="value",
            name="receipts",
            text="all other claims without a receipt (no) pay nothing",
            off={"receipts": False},
        ),
        Rule(
            kind="value",
            name="cap",
            text=f"a MEAL claim pays its amount, but at most {house.cap}.00",
            off={"cap": 0},
        ),
        order_rule(house.order),
    )


PROGRAM = """
import json
from decimal import Decimal

sums = {}
for claim in json.load(open("$source", encoding="utf-8")):
    paid = Decimal(claim["$amount"])
    if claim["$kind"] == "CAR":
        paid = Decimal("$per_km") * claim["$km"]
    elif claim["$receipt"] == "no":
        paid = Decimal(0)
    elif claim["$kind"] == "MEAL":
        paid = min(paid, Decimal($cap))
    sums[claim["$person"]] = sums.get(claim["$person"], Decimal(0)) + paid
with open("$target", "w", encoding="utf-8") as out:
    out.write("$header\\n")
    for person, total in sorted(sums.items(), key=lambda item: $order):
        out.write(person + "$separator" + f"{total:.2f}"$decimal + "\\n")
"""


def program(case: Case, house: Claims) -> str:
    return fill(
        PROGRAM,
        case.names,
        per_km=house.per_km,
        cap=str(house.cap),
        header=house.separator.join(house.header),
        order=house.order.code,
        separator=quoted(house.separator),
        decimal='.replace(".", ",")' if house.decimal == "," else "",
    )


FAMILY = Family(
    name="expense-claims",
    title="Expense claims",
    description="Works out the payout per person for expense claims in JSON by the house rules. Use when a task asks "
    "what is paid or refunded for expenses.",
    self_check="Each line of the output has the form `abel;123,50`; every person of the claims has one.",
    flow=("read", "filter", "normalize", "compare", "compute", "output"),
    houses={
        "base": Claims(),
        "north": Claims(separator="|", decimal=".", cap=20, order=MOST),
        "south": Claims(header=("name", "refund"), per_km="0.45", cap=35),
    },
    make=make,
    answer=answer,
    write=write,
    read=read,
    rules=rules,
    program=program,
)
