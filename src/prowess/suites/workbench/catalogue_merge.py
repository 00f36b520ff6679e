"""Prices from CSV and stock from JSON, merged into JSON. Moderately hard: normal form of the key, cents, gaps."""

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
    input_csv,
    input_json,
    pick_names,
    value_rule,
)
from prowess.suites.workbench.forms import number
from prowess.suites.workbench.outputs import NUMBER, TEXT, Column, JsonHouse, JsonOutput

NAMES = {
    "sku": ("sku", "article", "item", "part"),
    "price": ("price", "unit_price", "cost_eur", "list_price"),
    "label": ("label", "name", "title", "text"),
    "key": ("code", "id", "ref", "number"),
    "stock": ("stock", "on_hand", "qty", "count"),
}
LABELS = ("bolt", "clip", "drill", "file", "glue", "hook", "jack", "lamp", "nail", "pump")
ARTICLE = Order("article", 'item["{0}"]', lambda row: row[0])
PRICE = Order(
    "price, highest first; equal prices by article", '(-item["{1}"], item["{0}"])', lambda row: (-row[1], row[0])
)


@dataclass(frozen=True, slots=True)
class Catalogue(JsonHouse):
    keys: tuple[str, ...] = ("article", "price_cents", "stock")
    dash: str = ""
    """What stands between the letters and the digits of an article."""
    plain: bool = True
    cents: bool = True
    gaps: str = "drop"
    order: Order = ARTICLE


def make(rng: Random) -> Case:
    names = pick_names(rng, NAMES)
    tag = str(rng.randint(10, 99))
    names |= {
        "source": f"{rng.choice(('prices', 'catalogue', 'tariff'))}_{tag}.csv",
        "other": f"{rng.choice(('stock', 'warehouse', 'shelf'))}_{tag}.json",
        "target": f"{rng.choice(('merged', 'offer', 'articles'))}_{tag}.json",
    }
    numbers = rng.sample(range(100, 999), 16)
    articles = [f"{rng.choice('ABC')}{rng.choice('XYZ')}-{n}" for n in numbers]
    prices = [cents(rng, 105, 9_999) for _ in articles]
    prices[1] = prices[0]
    rows: list[Row] = [
        {"sku": _spelled(rng, article), "price": f"{price:.2f}", "label": rng.choice(LABELS)}
        for article, price in zip(articles, prices, strict=True)
    ]
    stocked = articles[:3] + rng.sample(articles[3:], 9)
    held: list[Row] = [{"key": _spelled(rng, article), "stock": str(rng.randint(1, 400))} for article in stocked]
    rng.shuffle(rows)
    rng.shuffle(held)
    job = (
        f"Merge the prices of `{names['source']}` (`{names['sku']}`, `{names['price']}`) with the stock of "
        f"`{names['other']}` (`{names['key']}`, `{names['stock']}`). Write a JSON list to `{names['target']}` with one "
        "object per article: article, price, stock."
    )
    objects = [{names["key"]: row["key"], names["stock"]: int(row["stock"])} for row in held]
    files = (
        input_csv(names["source"], rng, {k: names[k] for k in ("sku", "price", "label")}, rows),
        input_json(names["other"], objects),
    )
    return Case(job=job, names=names, tables={"rows": tuple(rows), "held": tuple(held)}, files=files)


def _spelled(rng: Random, article: str) -> str:
    return rng.choice((article, article.lower(), article.lower().replace("-", ""), article.replace("-", "")))


def normal(article: str, house: Catalogue) -> str:
    if not house.plain:
        return article
    bare = article.upper().replace("-", "")
    return bare[:2] + house.dash + bare[2:]


PRICE_CENTS = Column(number, lambda price, house: price if house.cents else float(price))


def rows(case: Case, house: Catalogue) -> Iterable[tuple[str, Decimal, Decimal]]:
    held = {normal(row["key"], house): Decimal(row["stock"]) for row in case.tables["held"]}
    for row in case.rows:
        article = normal(row["sku"], house)
        price = Decimal(row["price"]) * (100 if house.cents else 1)
        if article in held or house.gaps == "zero":
            yield article, price, held.get(article, Decimal(0))


def own_rules(house: Catalogue) -> tuple[Rule, ...]:
    form = f"with {house.dash!r} between letters and digits" if house.dash else "without dashes"
    gaps = {"drop": "are left out", "zero": "are listed with a stock of 0"}
    return (
        value_rule(
            "article",
            f"articles are compared and written in capitals {form}, as in AX{house.dash}123, in both files",
            plain=False,
        ),
        value_rule("cents", "prices are whole numbers of cents", cents=False),
        value_rule(
            "gaps",
            f"articles of the price list that have no stock entry {gaps[house.gaps]}",
            gaps="zero" if house.gaps == "drop" else "drop",
        ),
    )


PROGRAM = """
import csv
import json

def normal(article):
    return $normal

stock = {normal(entry["$key"]): entry["$stock"] for entry in json.load(open("$other", encoding="utf-8"))}
rows = []
for row in csv.DictReader(open("$source", encoding="utf-8")):
    article = normal(row["$sku"])
$gaps    cents = round(float(row["$price"]) * 100)
    rows.append({"$k0": article, "$k1": cents, "$k2": $held})
rows.sort(key=lambda item: $order)
with open("$target", "w", encoding="utf-8") as out:
    json.dump(rows, out)
"""


def words(case: Case, house: Catalogue) -> dict[str, str]:
    bare = 'article.upper().replace("-", "")'
    return {
        "normal": f'{bare}[:2] + "{house.dash}" + {bare}[2:]' if house.dash else bare,
        "gaps": "    if article not in stock:\n        continue\n" if house.gaps == "drop" else "",
        "held": "stock[article]" if house.gaps == "drop" else "stock.get(article, 0)",
    }


FAMILY = Family(
    name="catalogue-merge",
    title="Catalogue merge",
    description="Merges a price list (CSV) with stock (JSON) into a JSON catalogue by the house rules. Use when a task "
    "asks to merge prices and stock by article.",
    self_check='Each object has the form `{"article": "AX123", "price_cents": 1999, "stock": 5}`, with whole numbers.',
    flow=("read", "retrieve", "normalize", "align", "compute", "output"),
    houses={
        "base": Catalogue(),
        "north": Catalogue(keys=("id", "cents", "units"), gaps="zero"),
        "south": Catalogue(dash="/", order=PRICE),
    },
    make=make,
    rows=rows,
    output=JsonOutput((TEXT, PRICE_CENTS, NUMBER)),
    own_rules=own_rules,
    template=PROGRAM,
    words=words,
    parameters={
        "sku": "FIELD OF THE CSV FILE THAT NAMES THE ARTICLE",
        "price": "FIELD OF THE CSV FILE WITH THE PRICE",
        "key": "FIELD OF THE JSON FILE THAT NAMES THE ARTICLE",
        "stock": "FIELD OF THE JSON FILE WITH THE STOCK",
    },
)
