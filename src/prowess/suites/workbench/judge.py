"""Judging an answer: which house rules it breaks, told without giving the answer."""

from collections.abc import Sequence

from prowess.core.task import Check, File
from prowess.suites.safety import Unreadable
from prowess.suites.workbench.family import Case, Family, H, Rows, Rule, broken, combinations
from prowess.suites.workbench.forms import Found, Value

Cells = tuple[Value | None, ...]


def judge(family: Family[H], case: Case, house: H, outputs: tuple[File, ...]) -> tuple[Check, ...]:
    """All checks, the most useful failure first. An answer passes when all do, and only when it is right."""
    rules = family.rules(house)
    output = next((file for file in outputs if file.path == case.target), None)
    problem = ""
    found = Found(header=(), cells=(), values=())
    if output is None:
        problem = f"the program must write its result to {case.target}; there is no such file"
    else:
        try:
            found = family.output.read(output.data, house)
        except Unreadable as error:
            problem = f"{case.target} cannot be used: {error}"
        else:
            problem = "" if found.values else f"{case.target} has no rows"
    if problem:
        later = [*(rule.name for rule in rules), "values"]
        return (
            Check(name="written", passed=False, message=problem),
            *(Check(name=name, passed=False, message="not looked at, since nothing could be read") for name in later),
        )
    blamed, left = _explain(family, case, house, rules, found)
    return (
        Check(name="written", passed=True),
        *(_look(rule, found) for rule in rules if rule.kind == "form"),
        *(_check(rule.name, rule not in blamed, rule.text, rule.text) for rule in rules if rule.kind == "value"),
        _check("values", not left, _remainder(left, rules)),
        *(_look(rule, found) for rule in rules if rule.kind == "order"),
    )


def _look(rule: Rule, found: Found) -> Check:
    assert rule.seen is not None, rule.name
    return _check(rule.name, rule.seen(found), rule.text, rule.text)


def _check(name: str, passed: bool, message: str, rule: str = "") -> Check:
    return Check(name=name, passed=True) if passed else Check(name=name, passed=False, message=message, rule=rule)


def _explain(
    family: Family[H], case: Case, house: H, rules: tuple[Rule, ...], found: Found
) -> tuple[tuple[Rule, ...], list[str]]:
    """The fewest broken value rules that explain the values best, and what they leave unexplained."""
    best: tuple[tuple[Rule, ...], list[str]] | None = None
    for subset in combinations(rules):
        left = _differences(family.answer(case, broken(house, subset)), found, family.keys)
        if best is None or len(left) < len(best[1]):
            best = (subset, left)
    assert best is not None
    return best


def _differences(right: Rows, found: Found, keys: int) -> list[str]:
    wanted, got = _keyed(right, keys), _keyed(found.values, keys)
    out: list[str] = []
    for key in wanted.keys() | got.keys():
        there, here = wanted.get(key, []), got.get(key, [])
        out += ["a row is missing"] * (len(there) - len(here))
        out += ["a row stands twice" if there else "a row should not be there"] * (len(here) - len(there))
        for one, other in zip(there, here, strict=False):
            width = max(len(one), len(other))
            pairs = zip(_padded(one, width), _padded(other, width), strict=True)
            out += [f"a value in column {keys + i + 1} is wrong" for i, (a, b) in enumerate(pairs) if a != b]
    return out


def _keyed(rows: Sequence[Cells], keys: int) -> dict[Cells, list[Cells]]:
    out: dict[Cells, list[Cells]] = {}
    for row in rows:
        out.setdefault(row[:keys], []).append(row[keys:])
    return out


def _padded(row: Cells, width: int) -> Cells:
    return row + (None,) * (width - len(row))


def _remainder(left: list[str], rules: tuple[Rule, ...]) -> str:
    """What is wrong beyond the rules found broken, counted, with every rule that bears on values."""
    counted = "; ".join(f"{left.count(kind)} times: {kind}" for kind in sorted(set(left)))
    told = "; ".join(rule.text for rule in rules if rule.kind == "value")
    return f"{counted}. Rules for the values: {told}" if told else counted
