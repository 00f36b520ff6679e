"""How numbers and hostile text are written for a person to read."""

import re

from prowess.core.cost import Cost

MINUS = "\N{MINUS SIGN}"

_KEPT = {"\n", "\t"}
# Controls, invisible format characters (direction overrides among them) and lone surrogates: text from models may use
# them to look like something else than it is.
_SUSPECT = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """`text` with every invisible or direction-changing character replaced by its name in brackets."""
    return _SUSPECT.sub(_name, text.replace("\r\n", "\n"))


def _name(match: re.Match[str]) -> str:
    char = match.group()
    return char if char in _KEPT else f"⟨U+{ord(char):04X}⟩"


def points(effect: float) -> str:
    """A difference of rates in percentage points, with its sign: `+48`, `−3`, `0`."""
    value = round(effect * 100)
    return "0" if value == 0 else f"{'+' if value > 0 else MINUS}{abs(value)}"


def percent(share: float) -> str:
    return f"{round(share * 100)} %"


def probability(p: float) -> str:
    """`p = 0.012`, or `p < 0.0001`."""
    if p < 0.0001:
        return "p < 0.0001"
    return f"p = {p:.2g}" if p < 0.01 else f"p = {p:.2f}"


def duration(seconds: float) -> str:
    """`8 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def money(usd: float) -> str:
    """Dollars; `$0` for none, four digits below one cent."""
    if usd == 0:
        return "$0"
    return f"${usd:.4f}" if usd < 0.01 else f"${usd:,.2f}"


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 skill`, `12 skills`, `no skills`."""
    if number == 0:
        return f"no {plural or noun + 's'}"
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def spent(cost: Cost) -> str:
    """`412,310 tokens, 31 min in the model, $0`."""
    return f"{cost.tokens:,} tokens, {duration(cost.seconds)} in the model, {money(cost.usd)}"
