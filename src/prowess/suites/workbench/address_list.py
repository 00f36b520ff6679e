"""A cleaned address list. Easy: capitals, spelled-out streets, duplicates, order."""

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from prowess.suites.workbench.family import Case, Family, Order, Row, Rule, csv_case, pick_names, value_rule
from prowess.suites.workbench.forms import Value
from prowess.suites.workbench.outputs import TEXT, CsvHouse, CsvOutput

NAMES = {
    "name": ("name", "addressee", "recipient", "person"),
    "street": ("street", "line1", "road", "address"),
    "code": ("code", "postcode", "zip", "postal"),
    "city": ("city", "town", "locality", "place"),
}
FIRST = ("Ada", "Bela", "Carl", "Dora", "Emil", "Fay", "Gus", "Hana")
LAST = ("Abel", "Brook", "Cole", "Dunn", "Ember", "Frost", "Grant", "Hale")
ROADS = ("Mill", "Church", "Station", "Garden", "River", "Market")
CITIES = ("Aldham", "Barton", "Corby", "Dover", "Exton", "Fleet")
CODE = Order("postcode; equal postcodes by name", "(item[2], item[0])", lambda row: (row[2], row[0]))
CITY = Order("city, then name", "(item[3], item[0])", lambda row: (row[3], row[0]))


@dataclass(frozen=True, slots=True)
class Addresses(CsvHouse):
    header: tuple[str, ...] = ("name", "street", "postcode", "city")
    capitals: str = "city"
    streets: str = "Street"
    unique: bool = True
    order: Order = CODE


def make(rng: Random) -> Case:
    names = pick_names(rng, NAMES)
    tag = str(rng.randint(1, 99))
    names |= {
        "source": f"{rng.choice(('addresses', 'contacts', 'mailing'))}_{tag}.txt",
        "target": f"{rng.choice(('clean', 'letters', 'labels'))}_{tag}.csv",
        "delimiter": rng.choice(("/", "|", "#")),
    }
    codes = [str(code) for code in rng.sample(range(10_000, 99_999), 4)]
    people = [f"{first} {last}" for first, last in zip(rng.sample(FIRST, 7), rng.sample(LAST, 7), strict=True)]
    rows: list[Row] = []
    for person in people:
        code = rng.choice(codes)
        row = {
            "name": person,
            "street": f"{rng.randint(1, 99)} {rng.choice(ROADS)} {rng.choice(('St.', 'Street'))}",
            "code": code,
            "city": CITIES[codes.index(code)],
        }
        # a repeated address differs in capitals of the city or in how the street is written, never in its sense
        twin = {**row, "city": rng.choice((row["city"], row["city"].lower()))}
        rows += [row, twin] if rng.random() < 0.35 else [row]
    rng.shuffle(rows)
    job = (
        f"Clean the address list `{names['source']}`, whose fields are separated by {names['delimiter']!r}, and write "
        f"it to `{names['target']}` with name, street, postcode and city, one address per line."
    )
    return csv_case(rng, job, names, rows, names["delimiter"])


def rows(case: Case, house: Addresses) -> Iterable[tuple[Value, ...]]:
    found: list[tuple[Value, ...]] = []
    for row in case.rows:
        name, street, city = row["name"], row["street"], row["city"]
        if house.streets:
            street = " ".join([*street.split()[:-1], house.streets])
        if house.capitals == "city":
            city = city.upper()
        if house.capitals == "name":
            name, city = name.upper(), city.title()
        cleaned = (name, street, row["code"], city)
        if not house.unique or cleaned not in found:
            found.append(cleaned)
    return found


CAPITALS = {
    "city": "cities are written in capitals",
    "name": "names are written in capitals, cities with one capital letter",
}


def own_rules(house: Addresses) -> tuple[Rule, ...]:
    other = "St." if house.streets == "Street" else "Street"
    return (
        value_rule("capitals", CAPITALS[house.capitals], capitals=""),
        value_rule("streets", f"streets are written with {house.streets!r}, never with {other!r}", streets=""),
        value_rule("unique", "addresses that are equal after cleaning are written once", unique=False),
    )


PROGRAM = """
import csv

seen = []
for row in csv.DictReader(open("$source", encoding="utf-8"), delimiter="$delimiter"):
    street = row["$street"].replace("$long", "$short")
    item = ($name, street, row["$code"], $city)
    if item not in seen:
        seen.append(item)
seen.sort(key=lambda item: $order)
with open("$target", "w", encoding="utf-8") as out:
    out.write("$header\\n")
    for item in seen:
        out.write("$separator".join(item) + "\\n")
"""


def words(case: Case, house: Addresses) -> dict[str, str]:
    name, city = f'row["{case.names["name"]}"]', f'row["{case.names["city"]}"]'
    return {
        "name": f"{name}.upper()" if house.capitals == "name" else name,
        "city": f"{city}.upper()" if house.capitals == "city" else f"{city}.title()",
        "long": "St." if house.streets == "Street" else "Street",
        "short": house.streets,
    }


FAMILY = Family(
    name="address-list",
    title="Address list",
    description="Cleans an address list into a CSV by the house rules. Use when a task asks to clean, unify or "
    "deduplicate addresses.",
    self_check="Each line of the output has the form `Ada Abel;12 Mill Street;41590;DOVER`, and no two are equal.",
    flow=("read", "extract", "normalize", "detect", "update", "output"),
    houses={
        "base": Addresses(),
        "north": Addresses(separator="\t", streets="St.", capitals="name"),
        "south": Addresses(header=("to", "street", "zip", "town"), separator="|", order=CITY),
    },
    make=make,
    rows=rows,
    output=CsvOutput((TEXT, TEXT, TEXT, TEXT)),
    own_rules=own_rules,
    template=PROGRAM,
    words=words,
)
