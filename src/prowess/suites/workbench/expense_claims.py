"""What to pay out per person for expense claims in JSON. Moderately hard: caps, mileage, missing receipts."""

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
    input_json,
    pick_names,
    sums,
    value_rule,
)
from prowess.suites.workbench.outputs import AMOUNT, TEXT, CsvHouse, CsvOutput, point_rule

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
class Claims(CsvHouse):
    header: tuple[str, ...] = ("name", "payout")
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
    return Case(job=job, names=names, tables={"rows": tuple(rows)}, files=(input_json(names["source"], objects),))


def payout(row: Row, house: Claims) -> Decimal:
    amount = Decimal(row["amount"])
    if row["kind"] == "CAR" and house.per_km:
        return int(row["km"]) * Decimal(house.per_km)
    if house.receipts and row["receipt"] == "no" and row["kind"] != "CAR":
        return Decimal(0)
    return min(amount, Decimal(house.cap)) if row["kind"] == "MEAL" and house.cap else amount


def rows(case: Case, house: Claims) -> Iterable[tuple[str, Decimal]]:
    return sums((row["person"], payout(row, house)) for row in case.rows).items()


def own_rules(house: Claims) -> tuple[Rule, ...]:
    return (
        point_rule(house.decimal, "amounts", "123", r"\d+"),
        value_rule(
            "mileage",
            f"a CAR claim pays {house.per_km} for each kilometre instead of its amount, with or without a receipt",
            per_km="",
        ),
        value_rule("receipts", "all other claims without a receipt (no) pay nothing", receipts=False),
        value_rule("cap", f"a MEAL claim pays its amount, but at most {house.cap}.00", cap=0),
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


def words(case: Case, house: Claims) -> dict[str, str]:
    return {"decimal": '.replace(".", ",")' if house.decimal == "," else ""}


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
    rows=rows,
    output=CsvOutput((TEXT, AMOUNT)),
    own_rules=own_rules,
    template=PROGRAM,
    words=words,
    script=False,  # after "JSON list" a small model writes `import json` whatever it was told
)
