"""Worked examples that a search shows a small model: what rules look like as code, and lines of Python it gets wrong.

They are of no suite and hold no house rule; only searches see them, no measured arm does (docs/decisions/0081).
"""

COOKBOOK = """Lines of Python that are often needed:
- minutes of "08:15": int(text[:2]) * 60 + int(text[3:])
- days between two dates: (date.fromisoformat(a) - date.fromisoformat(b)).days
- exact money: Decimal(text), never float
- round down to a multiple of 5: n // 5 * 5; up: -(-n // 5) * 5
- half up: int(x + 0.5), since round() rounds halves to even; whole boxes, rounded up: math.ceil(n / size)
- two decimals: f"{x:.2f}"; with another mark: f"{x:.2f}".replace(".", ",")
- largest first, equal ones by name: sorted(totals.items(), key=lambda item: (-item[1], item[0]))
- last word: text.split()[-1]; capitals: text.upper(); first letters: text.title(); one space: " ".join(text.split())
- each once, in order: list(dict.fromkeys(items))
- CSV with a header: for row in csv.DictReader(open(path, encoding="utf-8"))
- JSON: json.load(open(path)); json.dump(rows, open(path, "w"))
- settings: c = configparser.ConfigParser(); c.read(path); for s in c.sections(): for key, value in c.items(s)
- SQLite: for a, b in sqlite3.connect(path).execute("SELECT a, b FROM t")
- workbook: for a, b in openpyxl.load_workbook(path)[sheet].iter_rows(min_row=2, values_only=True)
- all pairs: itertools.combinations(rows, 2)"""
EXAMPLE = (
    """`loans_may.csv` lists the books that a library lent. Count the days per `reader` and write one line per \
reader to `fines_may.csv`.

Rules, each of which the program must follow:
- rows whose kind is STAFF must not be counted; all others are
- days above 30 count double
- the first line must be exactly 'reader|days|fine'
- fields must be separated by pipes ('|')
- the fine is 0.15 per day, written with three decimals and a comma instead of the decimal point
- lines must be ordered by days, largest first; equal days by reader

Files:
loans_may.csv:
kind,reader,taken,days
GUEST,R17,2024-05-02,12
STAFF,R20,2024-05-02,41""",
    """```python
import csv

totals = {}
for row in csv.DictReader(open("loans_may.csv", encoding="utf-8")):
    # rows whose kind is STAFF must not be counted
    if row["kind"] == "STAFF":
        continue
    days = int(row["days"])
    # days above 30 count double
    if days > 30:
        days += days - 30
    totals[row["reader"]] = totals.get(row["reader"], 0) + days

# ordered by days, largest first; equal days by reader
lines = sorted(totals.items(), key=lambda item: (-item[1], item[0]))

with open("fines_may.csv", "w", encoding="utf-8") as out:
    # the first line, fields separated by pipes
    out.write("reader|days|fine\\n")
    for reader, days in lines:
        # the fine is 0.15 per day, written with three decimals and a comma instead of the decimal point
        fine = f"{days * 0.15:.3f}".replace(".", ",")
        out.write(f"{reader}|{days}|{fine}\\n")
```""",
)
"""A task of no suite with its program: what a small model needs to see before it turns rules into code."""
_MEETS = '.replace(".", ",")'
_BARE = "\n".join(line for line in EXAMPLE[1].splitlines() if not line.strip().startswith("#"))
EXAMPLE_CHANGE = (
    _BARE.replace(_MEETS, "")
    + """

Its output begins:
reader|days|fine
R17|34|5.100

Requirement: the fine is written with three decimals and a comma instead of the decimal point
The output does not meet it. Change the program so that it does and keep everything else.""",
    EXAMPLE[1],
)
"""The same task once more: a program that misses one requirement, and the one that meets it."""
_RUNS = 'int(row["days"])'
EXAMPLE_REPAIR = (
    EXAMPLE[1].replace(_RUNS, 'row["days"]')
    + """

It failed:
line 10: if days > 30:
TypeError: '>' not supported between instances of 'str' and 'int'

Files:
loans_may.csv:
kind,reader,taken,days
GUEST,R17,2024-05-02,12

Mend the program so that it runs and keep everything else.""",
    EXAMPLE[1],
)
"""And a program that does not run, with the one that does."""
