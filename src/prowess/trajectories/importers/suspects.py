"""Finds which lines of a file may hold which secrets, many times faster than the rules of redaction could.

Every rule names literals, one of which each of its matches holds. Four bytes of each literal are looked up at every
position of a block at once, as two pairs in two tables of 65,536 bit sets. A line without a hit needs no rule at all,
and one with hits only the rules of those literals.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from prowess.guard.redact import RULES, Rule

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

_ANY = bytes(range(256))
_AFTER = {"oken": _ANY.replace(b"s", b""), "SK": b"0123456789abcdef"}
"""What can follow a literal: "tokens" is never a secret, and one key goes on in hexadecimal."""
_OWN_BITS = 36
"""The first literals, those of common words, get a bit of their own; the others share the rest of 64."""
_PIECE = 2**16
"""Bytes looked up at a time, so that the intermediate arrays stay in the processor's cache."""

Gram = tuple[bytes, bytes, bytes, bytes]


def suspects(block: bytes, starts: list[int]) -> list[tuple[Rule, ...]]:
    """For each line of `block`, given by the offset it starts at, the rules that may match in it."""
    import numpy as np

    out: list[tuple[Rule, ...]] = [()] * len(starts)
    if len(block) < 4:
        return [RULES] * len(starts)
    first, second = _tables()
    data = np.frombuffer(block, dtype=np.uint8)
    offsets = np.asarray(starts)
    masks: dict[int, int] = {}
    for at in range(0, len(block) - 3, _PIECE):
        piece = data[at : at + _PIECE + 3]
        pairs = piece[:-1].astype(np.uint16)
        pairs <<= 8
        pairs |= piece[1:]
        bits = first.take(pairs[:-2])
        bits &= second.take(pairs[2:])
        hits = np.flatnonzero(bits)
        if len(hits) == 0:
            continue
        lines = np.searchsorted(offsets, hits + at, side="right") - 1
        cuts = np.flatnonzero(np.diff(lines, prepend=-1))
        found: Any = np.bitwise_or.reduceat(bits[hits], cuts)
        for line, mask in zip(lines[cuts].tolist(), found.tolist(), strict=True):
            masks[line] = masks.get(line, 0) | mask
    for line, mask in masks.items():
        out[line] = _rules(mask)
    return out


@lru_cache(maxsize=1)
def _tables() -> "tuple[NDArray[numpy.uint64], NDArray[numpy.uint64]]":
    import numpy as np

    first, second = np.zeros(65536, dtype=np.uint64), np.zeros(65536, dtype=np.uint64)
    for number, (gram, _) in enumerate(_grams()):
        for table, (left, right) in ((first, gram[:2]), (second, gram[2:])):
            pairs = [a << 8 | b for a in left for b in right]
            table[pairs] |= np.uint64(1 << _bit(number))
    return first, second


def _bit(number: int) -> int:
    return number if number < _OWN_BITS else _OWN_BITS + number % (64 - _OWN_BITS)


@lru_cache(maxsize=1024)
def _rules(mask: int) -> tuple[Rule, ...]:
    kinds: set[int] = set()
    for number, (_, rules) in enumerate(_grams()):
        if mask >> _bit(number) & 1:
            kinds |= rules
    return tuple(rule for number, rule in enumerate(RULES) if number in kinds)


@lru_cache(maxsize=1)
def _grams() -> list[tuple[Gram, frozenset[int]]]:
    """Four classes of bytes for each literal, and the rules (by place) that it stands for."""
    # Escaped ASCII (`\u00` and a digit) may hide any literal.
    found: dict[Gram, set[int]] = {(b"u", b"0", b"0", b"234567"): set(range(len(RULES)))}
    for number in reversed(range(len(RULES))):
        for hint in RULES[number].hints:
            found.setdefault(_gram(hint), set()).add(number)
    # The vaguest first, since those get bits of their own.
    ordered = sorted(found.items(), key=lambda item: -max(map(len, item[0])))
    return [(gram, frozenset(rules)) for gram, rules in ordered]


def _gram(hint: str) -> Gram:
    classes = [bytes([byte]) for byte in hint.encode()] + ([_AFTER[hint]] if hint in _AFTER else [])
    classes += [_AFTER.get(hint, _ANY)] * (4 - len(classes))
    windows = [classes[i : i + 4] for i in range(len(classes) - 3)]
    # Of a long literal, the four bytes that are least like prose.
    a, b, c, d = max(windows, key=lambda window: sum(not chr(byte[0]).islower() for byte in window))
    return (a, b, c, d)
