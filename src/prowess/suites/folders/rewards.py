"""What a verifier leaves: the reward file, and the names of the tests behind it. It may have been led by the answer."""

import json
import math
import re
from typing import Any, Final, cast

from prowess.core.task import Check
from prowess.sandbox.rooms import Ran

REWARDS: Final = ("logs/verifier/reward.json", "logs/verifier/reward.txt")
CTRF: Final = "logs/verifier/ctrf.json"
MOST_TESTS: Final = 200
_MOST: Final = 1 << 16
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e]")


def read(ran: Ran, seconds: float) -> tuple[float, tuple[Check, ...]]:
    """(score, checks) of a verifier's run; without a readable reward 0, since the answer may have prevented it."""
    files = {file.path: file.data for file in ran.files}
    found = next((files[path] for path in REWARDS if path in files), None)
    value = None if found is None or len(found) > _MOST else _reward(found.decode("utf-8", "replace"))
    tests = _tests(files.get(CTRF, b""))
    if value is None:
        why = f"was stopped after {seconds:g} s" if ran.timed_out else f"ended with exit code {ran.exit_code}"
        return 0.0, (Check(name="reward", passed=False, message=f"the verifier left no reward and {why}"), *tests)
    passed = value >= 1
    said = "" if passed else f"the verifier gave {value:.3g}"
    return value, (Check(name="reward", passed=passed, message=said), *tests)


def outputs_of(instruction: str, work: str, files: list[str]) -> tuple[str, ...]:
    """The files that an instruction asks for, as far as it names them below `work`: new ones, else those to change."""
    named = [p.rstrip(".") for p in re.findall(rf"(?<![\w/]){re.escape(work)}/([\w./-]*\w\.\w+)", instruction)]
    fresh = [path for path in dict.fromkeys(named) if path not in files and ".." not in path]
    return tuple(fresh) or tuple(path for path in files if path in instruction) or tuple(files[:1])


def _reward(text: str) -> float | None:
    """Harbor's two forms: a number, or an object of numbers, of which `reward` counts, else the only one."""
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict):
        numbers = cast("dict[str, object]", value)
        value = numbers.get("reward", next(iter(numbers.values())) if len(numbers) == 1 else None)
    if isinstance(value, bool | int | float) and math.isfinite(value):
        return min(max(float(value), 0.0), 1.0)
    return None


def _tests(data: bytes) -> tuple[Check, ...]:
    """Names and outcomes of single tests, where the verifier lists them; their messages would give answers away."""
    try:
        found: Any = json.loads(data[: 1 << 22])["results"]["tests"]
        rows = [(str(row["name"]), str(row["status"])) for row in found[:MOST_TESTS]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ()
    return tuple(Check(name=_UNPRINTABLE.sub("?", name)[:200], passed=status == "passed") for name, status in rows)
