"""Defaults and site settings merged into one INI file. Easy: spelling, removal, secrets."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from random import Random

from prowess.core.task import File
from prowess.suites.workbench.family import Case, Family, House, Order, Row, Rows, Rule, value_rule
from prowess.suites.workbench.forms import Found, Value, read_ini, text

SECTIONS = ("api", "backup", "cache", "database", "export", "mail", "queue")
KEYS = (
    "base-path",
    "idle-limit",
    "log-level",
    "max-size",
    "page-width",
    "retry-count",
    "send-from",
    "time-zone",
)
WORDS = ("amber", "blue", "coral", "dune", "ember", "frost", "grove", "haze")
SORTED = Order("section, then key, both by name", "item", lambda row: (row[0], row[1]))


@dataclass(frozen=True, slots=True)
class Config(House):
    equals: str = " = "
    dash: str = "_"
    removal: str = ""
    """A site value that removes the key; `-` and the empty value both occur."""
    mask: str = "***"
    order: Order = SORTED


def make(rng: Random) -> Case:
    tag = rng.choice(WORDS) + str(rng.randint(1, 99))
    first = rng.choice(("defaults", "common", "base"))
    names = {
        "source": f"{first}_{tag}.ini",
        "other": f"{rng.choice(('site', 'local', 'override'))}_{tag}.ini",
        "target": f"{rng.choice(('merged', 'final', 'effective'))}_{tag}.ini",
    }
    sections = rng.sample(SECTIONS, 6)
    low: list[Row] = []
    high: list[Row] = []
    for section in sections:
        keys = rng.sample(KEYS, 4)
        low += [_entry(rng, section, key) for key in keys[:3]]
        high += [_entry(rng, section, key) for key in keys[2:]]
        high += [{"section": section, "key": keys[0], "value": rng.choice(("", "-"))}]
    for section in rng.sample(sections, 2):
        secret = {
            "section": section,
            "key": rng.choice(("api-secret", "user-secret")),
            "value": rng.choice(WORDS) + "!9",
        }
        rng.choice((low, high)).append(secret)
    job = (
        f"Merge the settings of `{names['source']}` and `{names['other']}` into `{names['target']}`; where both set a "
        f"key, `{names['other']}` wins."
    )
    files = (
        File(path=names["source"], data=_ini(rng, low)),
        File(path=names["other"], data=_ini(rng, high)),
    )
    return Case(job=job, names=names, tables={"low": tuple(low), "high": tuple(high)}, files=files)


def _entry(rng: Random, section: str, key: str) -> Row:
    return {"section": section, "key": key, "value": rng.choice((rng.choice(WORDS), str(rng.randint(1, 99))))}


def _ini(rng: Random, rows: list[Row]) -> bytes:
    sections: list[str] = list({row["section"]: None for row in rows})
    rng.shuffle(sections)
    lines: list[str] = []
    for section in sections:
        entries = [f"{row['key']} = {row['value']}".rstrip() for row in rows if row["section"] == section]
        rng.shuffle(entries)
        lines += [f"[{section}]", *entries]
    return ("\n".join(lines) + "\n").encode()


def rows(case: Case, house: Config) -> Iterable[tuple[Value, ...]]:
    merged: dict[tuple[str, str], str] = {}
    for row in (*case.tables["low"], *case.tables["high"]):
        merged[row["section"], row["key"].replace("-", "_")] = row["value"]
    for (section, key), value in merged.items():
        if value != house.removal:
            yield section, key, house.mask if house.mask and key.endswith("_secret") else value


def key(cell: str) -> Value | None:
    return cell.replace("-", "_")


class IniOutput:
    """An INI file."""

    rows_are = "settings"

    def write(self, rows: Rows, house: Config) -> bytes:
        sections: Mapping[Value, None] = {row[0]: None for row in rows}
        lines: list[str] = []
        for section in sections:
            lines.append(f"[{section}]")
            for _, key, value in (row for row in rows if row[0] == section):
                lines.append(f"{str(key).replace('_', house.dash)}{house.equals}{value}".rstrip())
        return ("\n".join(lines) + "\n").encode()

    def read(self, data: bytes, house: Config) -> Found:
        return read_ini(data, (text, key, text))

    def rules(self, house: Config) -> tuple[Rule, ...]:
        spaces = "a space on both sides of" if house.equals == " = " else "no spaces around"
        other = {"_": "-", "-": "_"}[house.dash]
        return (
            Rule(
                kind="form",
                name="equals",
                text=f"there must be {spaces} the equals sign",
                off={"equals": "=" if house.equals == " = " else " = "},
                seen=lambda found: found.marks.get("equals") == house.equals,
            ),
            Rule(
                kind="form",
                name="spelling",
                text=f"keys are written with {house.dash!r} instead of {other!r}",
                off={"dash": other},
                seen=lambda found: found.matches(1, rf"[^{other}]+"),
            ),
        )

    def words(self, house: Config) -> dict[str, str]:
        return {"equals": house.equals}


def own_rules(house: Config) -> tuple[Rule, ...]:
    removal = repr(house.removal) if house.removal else "empty"
    return (
        value_rule(
            "removal", f"a key whose merged value is {removal} is left out altogether", removal="nothing is removed"
        ),
        value_rule("secrets", f"the value of every key that ends in secret is written as {house.mask}", mask=""),
    )


PROGRAM = """
import configparser

merged = {}
for path in ["$source", "$other"]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(path, encoding="utf-8")
    for section in parser.sections():
        for key, value in parser[section].items():
            merged.setdefault(section, {})[key$spelling] = value
with open("$target", "w", encoding="utf-8") as out:
    for section in sorted(merged):
        out.write(f"[{section}]\\n")
        for key, value in sorted(merged[section].items()):
            if value != "$removal":
                value = "$mask" if key.endswith("secret") else value
                out.write(f"{key}$equals{value}\\n")
"""


def words(case: Case, house: Config) -> dict[str, str]:
    return {"spelling": '.replace("-", "_")' if house.dash == "_" else ""}


FAMILY = Family(
    name="config-merge",
    title="Config merge",
    description="Merges two INI files into one by the house rules. Use when a task asks to merge settings or "
    "configuration files.",
    self_check="Each setting has the form `max_size = 12`; sections and keys are sorted; no secret can be read.",
    flow=("read", "align", "update", "filter", "normalize", "output"),
    houses={
        "base": Config(),
        "north": Config(equals="=", removal="-"),
        "south": Config(dash="-", mask="<hidden>"),
    },
    make=make,
    rows=rows,
    output=IniOutput(),
    own_rules=own_rules,
    template=PROGRAM,
    words=words,
    keys=2,
)
