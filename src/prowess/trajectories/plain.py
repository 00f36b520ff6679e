"""Makes any value fit to be stored: JSON that every reader can read back.

Text from models and from log files may hold what JSON libraries disagree about. `plain` changes only these:

* unpaired surrogates become U+FFFD, since they have no UTF-8 form;
* NaN and infinities become their names as text;
* integers of more than 4,000 digits become text;
* whatever lies deeper than `MAX_DEPTH` levels becomes its own JSON text.
"""

import json
import math
import re
from collections.abc import Callable
from typing import Any, cast

from pydantic import JsonValue

Json = dict[str, JsonValue]

MAX_DEPTH = 100
"""Levels of nesting. Readers of JSON stop at about 200; a trajectory adds some of its own."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_BIG = 10**4000


def plain_text(text: str) -> str:
    """`text` without unpaired surrogates."""
    return text if text.isascii() else _SURROGATE.sub("�", text)


def plain(value: Any, text: Callable[[str], str] = plain_text, depth: int = 0) -> Any:
    """`value` as storable JSON; `text` is applied to every string, keys included."""
    if isinstance(value, str):
        return text(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (dict, list, tuple)) and depth >= MAX_DEPTH:
        return text(_as_text(cast(object, value)))
    if isinstance(value, dict):
        return {text(str(k)): plain(v, text, depth + 1) for k, v in cast(dict[Any, Any], value).items()}
    if isinstance(value, (list, tuple)):
        return [plain(v, text, depth + 1) for v in cast(list[Any], value)]
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, int):
        return value if -_BIG < value < _BIG else hex(value)
    return value


def _as_text(value: object) -> str:
    try:
        return json.dumps(value)
    except RecursionError:
        return "[nested too deeply]"
