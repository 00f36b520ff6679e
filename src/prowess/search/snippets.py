"""The stretch of a skill's text that shows best why it was found."""

import re
from typing import Final

from prowess.core.skill import Skill
from prowess.search.scoring import texts
from prowess.search.words import words

_LENGTH: Final = 16
"""Words of a snippet."""
_CAP: Final = 20_000
"""Characters of each text that are looked at."""


def snippet(skill: Skill, query: str) -> str:
    """The words of `skill` around the most different words of `query`, on one line, those found in square brackets.

    Descriptions come before bodies, and bodies before names, which a reader sees anyway.
    """
    wanted = set(words().count(query))
    best, most = "", -1
    fields = texts(skill)
    for text in (fields["description"], fields["body"], fields["name"]):
        found = [(m.start(), m.end()) for m in re.finditer(r"\w+", text[:_CAP])]
        terms = [set(words().count(text[start:end])) & wanted for start, end in found]
        marks = [i for i, term in enumerate(terms) if term] or [0]
        for first in marks if found else ():
            start = max(0, min(first - 2, len(found) - _LENGTH))
            last = min(start + _LENGTH, len(found))
            held = len(set[str]().union(*terms[start:last]))
            if held > most:
                best, most = _shown(text, found, terms, start, last), held
    return best


def _shown(text: str, found: list[tuple[int, int]], terms: list[set[str]], start: int, last: int) -> str:
    parts: list[str] = ["…" if start else ""]
    at = found[start][0]
    for i in range(start, last):
        left, right = found[i]
        word = text[left:right]
        parts += [text[at:left], f"[{word}]" if terms[i] else word]
        at = right
    parts.append("…" if last < len(found) else text[at:])
    return " ".join("".join(parts).split())
