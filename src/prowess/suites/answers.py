"""Answers in words: which part of a message is the answer, and which number it states."""

import math
import re
from typing import Final

LONGEST: Final = 20_000
"""Characters of a message that are looked at, from its end."""
FORM: Final = "End with a line ANSWER: and"
_ANSWER: Final = re.compile(r"\banswer\b(?: is\b)?[\s:*`]{0,6}(\S.*)", re.IGNORECASE)
_AROUND: Final = re.compile(r"^[*`\s]+|[*`\s]+(?=\.?$)")
_DIGITS: Final = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d*)?|\.\d+"
_NUMBER: Final = re.compile(rf"-?(?:{_DIGITS})(?:[eE][+-]?\d+)?")
_FREE: Final = re.compile(rf"(?<![\w/^.])-?(?:{_DIGITS})(?:[eE][+-]?\d+)?")
"""A number that belongs to no unit, as the 2 of `m2` or the 1.73 of `mL/min/1.73 m2` do."""
_FRACTION: Final = re.compile(r"(-?\d{1,15}) ?/ ?(\d{1,15})")
_ITEM: Final = re.compile(r"-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


def said(text: str) -> str:
    """The answer in a message, without marks of emphasis: after the last `ANSWER:`, else its last line."""
    text = text[-LONGEST:]
    found = _ANSWER.findall(text)
    lines = found or [line for line in text.splitlines() if line.strip()]
    return _AROUND.sub("", lines[-1]) if lines else ""


def number(text: str) -> float | None:
    """The number that a text states: the only one in it, after `=` where there is one, units apart; or a fraction."""
    text = re.split(r"[=≈]", text.replace("−", "-"))[-1].strip()
    if parts := _FRACTION.fullmatch(text):
        return int(parts[1]) / int(parts[2]) if int(parts[2]) else None
    found = _FREE.findall(re.sub(r"(-?)\s*[$€£]\s*", r" \1", text))
    return _finite(found[0]) if len(found) == 1 else None


def numbers(text: str) -> list[float]:
    """All numbers of a text, where a comma may part thousands."""
    return _all(_NUMBER.findall(text.replace("−", "-")))


def items(text: str) -> list[float]:
    """All numbers of a list, where a comma parts items."""
    return _all(_ITEM.findall(text.replace("−", "-")))


def _all(found: list[str]) -> list[float]:
    return [value for part in found if (value := _finite(part)) is not None]


def _finite(digits: str) -> float | None:
    value = float(digits.replace(",", ""))
    return value if math.isfinite(value) else None
