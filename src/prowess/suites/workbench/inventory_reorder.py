"""What to reorder from an inventory. Moderately hard: threshold, target level, whole packs."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from prowess.suites.workbench.family import Case, Family, Order, Row, Rule, csv_case, pick_names, value_rule
from prowess.suites.workbench.outputs import NUMBER, TEXT, CsvHouse, CsvOutput

NAMES = {
    "sku": ("sku", "item", "article", "part_no", "product"),
    "supplier": ("supplier", "vendor", "source_firm", "maker"),
    "stock": ("stock", "on_hand", "qty", "available"),
    "minimum": ("minimum", "min_stock", "reorder_level", "floor"),
    "pack": ("pack", "pack_size", "per_box", "unit_pack"),
    "state": ("state", "status", "lifecycle", "listing"),
}
SUPPLIERS = ("Arbor", "Birk", "Coast", "Delta", "Elm", "Fern")


SUPPLIER = Order("supplier, then item", "(item[0], item[1])", lambda row: (row[0], row[1]))
QUANTITY = Order(
    "quantity to order, largest first; equal quantities by item", "(-item[2], item[1])", lambda row: (-row[2], row[1])
)


@dataclass(frozen=True, slots=True)
class Inventory(CsvHouse):
    header: tuple[str, ...] = ("supplier", "sku", "packs")
    ignored: str = "ENDED"
    at_minimum: bool = True
    factor: int = 2
    packs: bool = True
    order: Order = SUPPLIER


def make(rng: Random) -> Case:
    names = pick_names(rng, NAMES)
    site = rng.choice(("depot", "store", "yard", "shop", "hall")) + str(rng.randint(1, 30))
    names |= {
        "source": f"{rng.choice(('inventory', 'stock', 'parts'))}_{site}.csv",
        "target": f"{rng.choice(('reorder', 'orders', 'to_buy'))}_{site}.csv",
    }
    suppliers = rng.sample(SUPPLIERS, 3)
    rows: list[Row] = []
    for number_ in rng.sample(range(100, 999), 18):
        minimum = rng.randint(6, 60)
        stock = rng.choice((minimum, rng.randint(0, minimum - 1), rng.randint(minimum + 1, 3 * minimum)))
        rows.append(
            {
                "sku": f"{rng.choice('ABCD')}{number_}",
                "supplier": rng.choice(suppliers),
                "stock": str(stock),
                "minimum": str(minimum),
                "pack": str(rng.choice((4, 5, 6, 10, 12))),
                "state": rng.choice(("ACTIVE", "ACTIVE", "ACTIVE", "ENDED", "HOLD")),
            }
        )
    job = (
        f"`{names['source']}` is our inventory. For every item that runs low (`{names['stock']}` against "
        f"`{names['minimum']}`) write one line with supplier, item and quantity to order to `{names['target']}`."
    )
    return csv_case(rng, job, names, rows)


def rows(case: Case, house: Inventory) -> Iterable[tuple[str, str, Decimal]]:
    for row in case.rows:
        stock, minimum, pack = (int(row[k]) for k in ("stock", "minimum", "pack"))
        low = stock <= minimum if house.at_minimum else stock < minimum
        missing = house.factor * minimum - stock
        if row["state"] != house.ignored and low:
            yield row["supplier"], row["sku"], Decimal(-(-missing // pack) if house.packs else missing)


def own_rules(house: Inventory) -> tuple[Rule, ...]:
    return (
        value_rule("ignored", f"items in the state {house.ignored} are never ordered; all others may be", ignored=""),
        value_rule(
            "threshold",
            "an item runs low when its stock is "
            + ("at or below its minimum" if house.at_minimum else "below its minimum, not at it"),
            at_minimum=not house.at_minimum,
        ),
        value_rule("level", f"order as much as fills the stock up to {house.factor} times the minimum", factor=1),
        value_rule("packs", "the quantity is given in whole packs, rounded up", packs=False),
    )


PROGRAM = """
import csv
import math

orders = []
for row in csv.DictReader(open("$source", encoding="utf-8")):
    stock, minimum, pack = int(row["$stock"]), int(row["$minimum"]), int(row["$pack"])
    if row["$state"] != "$ignored" and stock $low minimum:
        packs = math.ceil(($factor * minimum - stock) / pack)
        orders.append((row["$supplier"], row["$sku"], packs))
orders.sort(key=lambda item: $order)
with open("$target", "w", encoding="utf-8") as out:
    out.write("$header\\n")
    for supplier, sku, packs in orders:
        out.write(f"{supplier}$separator{sku}$separator{packs}\\n")
"""


def words(case: Case, house: Inventory) -> dict[str, str]:
    return {"low": "<=" if house.at_minimum else "<"}


FAMILY = Family(
    name="inventory-reorder",
    title="Inventory reorder",
    description="Writes the reorder list of an inventory CSV by the house rules. Use when a task asks what to reorder "
    "or which stock runs low.",
    self_check="Each line of the output has the form `Arbor;A123;4`, the last field a small whole number of packs.",
    flow=("read", "filter", "compare", "compute", "output"),
    houses={
        "base": Inventory(),
        "north": Inventory(separator="\t", at_minimum=False, factor=3),
        "south": Inventory(header=("vendor", "item", "boxes"), ignored="HOLD", order=QUANTITY),
    },
    make=make,
    rows=rows,
    output=CsvOutput((TEXT, TEXT, NUMBER)),
    own_rules=own_rules,
    template=PROGRAM,
    words=words,
    keys=2,
    parameters={
        "stock": "COLUMN WITH HOW MANY ARE IN STOCK",
        "minimum": "COLUMN WITH THE LEVEL TO REORDER AT",
        "pack": "COLUMN WITH HOW MANY ARE IN A PACK",
    },
)
