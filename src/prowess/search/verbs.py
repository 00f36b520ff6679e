"""Verbs of skills: which act one names, which section a heading opens, and the class of what a skill does."""

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Final, cast, get_args

from prowess.search.structure import Act, SceneType

_WORD: Final = re.compile(r"[^\W\d_][\w-]*")
_BEFORE_VERB: Final = {
    "first", "second", "third", "then", "next", "now", "finally", "lastly", "always", "also", "carefully", "quickly",
    "please", "must", "should", "you", "to", "and",
}  # fmt: skip
"""Words that may stand before the verb of an instruction: `First, carefully read the file`."""


def act_of(instruction: str) -> Act | None:
    """The act of an instruction, by the verb that it begins with; None when it begins with no known one."""
    for word in _WORD.findall(instruction[:80].casefold()):
        if word not in _BEFORE_VERB:
            acts = _by_word("acts")
            return cast("Act | None", next((acts[form] for form in _stems(word, ("ing",)) if form in acts), None))
    return None


def scene_of(heading: str) -> SceneType | None:
    """What a section is for, by the words of its heading."""
    text = f" {' '.join(_WORD.findall(heading.casefold()))} "
    best: tuple[int, SceneType] | None = None
    for kind in get_args(SceneType):
        for word in _table()["scenes"][kind]:
            at = text.find(f" {word} ")
            if at >= 0 and (best is None or at < best[0]):
                best = at, kind
    return best[1] if best else None


def verb_of(text: str) -> tuple[str, str] | None:
    """(class, verb) of the first verb of the taxonomy in `text`; None when there is none."""
    for word in _WORD.findall(text.casefold()):
        stem = next((s for s in _stems(word) if s in _by_word("classes")), None)
        if stem is not None:
            return _by_word("classes")[stem], stem
    return None


def verbs() -> dict[str, list[str]]:
    """The taxonomy: class to its verbs."""
    return _table()["classes"]


def _stems(word: str, endings: tuple[str, ...] = ("s", "es", "ing", "ed", "d")) -> list[str]:
    """`word`, and what it may be a form of: `reads`, `reading`, `writing`, `planned`, `parsed`."""
    found = [word]
    for ending in endings:
        bare = word.removesuffix(ending)
        if bare != word and len(bare) > 2:
            found += [bare, bare + "e"]
            if bare[-1] == bare[-2]:
                found.append(bare[:-1])
    return found


@cache
def _table() -> dict[str, dict[str, list[str]]]:
    return tomllib.loads(files("prowess.search").joinpath("verbs.toml").read_text("utf-8"))


@cache
def _by_word(table: str) -> dict[str, str]:
    """Word to the entry that holds it; the first entry wins."""
    found: dict[str, str] = {}
    for name, words in _table()[table].items():
        for word in words:
            found.setdefault(word, name)
    return found
