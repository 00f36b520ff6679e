"""The rules of the scanner, read from `rules.toml`, and what a fired rule leaves behind.

Every word that a finding says stands in the table; passes only name a rule and show what they saw. The tables of hosts,
places and names that the passes need stand there too.
"""

import math
import re
import time
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal

from prowess.core.base import Frozen

Severity = Literal["block", "review"]
Scope = Literal["prose", "code", "shell", "python", "script", "comment", "head", "data", "any"]

Told = Literal["ordered", "announced", "reported"]
"""How the text around puts it: as something to do, below a heading for bad examples, in a sentence that warns of it."""

EXCERPT: Final = 160
"""Characters of evidence that a finding shows."""
PIECE: Final = 2_000
"""Longer texts are searched in pieces of this many characters, which overlap by `_OVERLAP`."""
_OVERLAP: Final = 500
OURS: Final = re.compile("[!-~]")
"""What every rule has in it: text without any is in another script, and is passed over."""


class Rule(Frozen):
    """One thing that is looked for. The head of `rules.toml` says what each field means."""

    id: str
    threat: str
    """The id of the class of threats."""
    severity: Severity
    why: str
    fix: str
    scope: tuple[Scope, ...] = ()
    hints: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    source: str = ""
    together: tuple[str, ...] = ()
    """Raised where the first of these rules and any of the others have fired."""
    described: bool = False
    quiet: bool = False
    learned: Severity | None = None
    """The severity in text that was learned from runs, where it differs."""


class Tables(Frozen):
    """The whole of `rules.toml`, parts filled in."""

    threats: dict[str, str]
    rules: tuple[Rule, ...]
    stores: tuple[tuple[str, str], ...]
    vendors: dict[str, tuple[str, ...]]
    publishers: tuple[str, ...]
    registries: tuple[str, ...]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that fired."""

    rule: str
    severity: Severity
    threat: str
    why: str
    fix: str
    file: str
    line: int
    """From 1; 0 for the file as a whole."""
    excerpt: str
    """What fired, printable, at most `EXCERPT` characters."""


@dataclass(frozen=True, slots=True)
class Hit:
    """What a pass saw, before it becomes a finding."""

    rule: str
    line: int
    """From 1, within the text that the pass was given."""
    text: str


@cache
def tables() -> Tables:
    """The table of rules, once for the process."""
    raw: dict[str, Any] = tomllib.loads(files("prowess.guard.scan").joinpath("rules.toml").read_text("utf-8"))
    parts: dict[str, str] = raw["parts"]
    rules = [
        Rule.model_validate({**row, "patterns": tuple(_filled(p, parts) for p in row.get("patterns", ()))})
        for row in raw["rules"]
    ]
    return Tables(
        threats=raw["threats"],
        rules=tuple(rules),
        stores=tuple((name, pattern) for name, pattern in raw["places"]["stores"]),
        vendors={name: tuple(hosts) for name, hosts in raw["vendors"].items()},
        publishers=tuple(raw["publishers"]["hosts"]),
        registries=tuple(raw["publishers"]["registries"]),
        names=tuple(raw["known"]["names"]),
    )


def rules() -> dict[str, Rule]:
    """All rules by id."""
    return _by_id()


def finding(
    rule: str, file: str, line: int, text: str, told: Told = "ordered", learned: bool = False
) -> Finding | None:
    """The finding that `rule` makes of `text`; None where the sentence only speaks of what the rule looks for.

    A skill may teach how attacks look: then a block becomes a review. A sentence that forbids it says nothing bad.

    Args:
        learned: The text was learned from runs.
    """
    r = _by_id()[rule]
    severity = (r.learned or r.severity) if learned else r.severity
    if told != "ordered" and r.described:
        if severity == "review" and told == "reported":
            return None
        severity = "review"
    return Finding(rule, severity, r.threat, r.why, r.fix, file, line, shown(text))


def shown(text: str) -> str:
    """`text` on one line, safe to print."""
    folded = re.sub(r"\s+", " ", text[: 2 * EXCERPT]).strip()[:EXCERPT]
    return "".join(char if char.isprintable() else f"\\u{{{ord(char):x}}}" for char in folded)[:EXCERPT]


def search(text: str, scopes: frozenset[str], deadline: float = math.inf) -> list[tuple[str, int, str]]:
    """The first matches of every rule of these scopes in `text`: rule, offset, matched text.

    Args:
        deadline: Of `time.thread_time`; what is found until then is returned.
    """
    found: list[tuple[str, int, str]] = []
    ours = text.encode("ascii", "ignore").lower()
    starts = [at for at in range(0, len(text), PIECE - _OVERLAP) if OURS.search(text, at, at + PIECE) is not None]
    # Few of the words of a text are said once, and hundreds of hints are looked up; none of most is longer than a word.
    words = b" ".join(set(ours.split()))
    for rule, hints, pattern in _compiled(scopes) if starts else ():
        if hints and not any(hint in (ours if b" " in hint else words) for hint in hints):
            continue
        for start in starts:
            if start and time.thread_time() > deadline:
                return found
            if (match := pattern.search(text, start, min(len(text), start + PIECE))) is not None:
                found.append((rule.id, match.start(), match.group()))
                # One match of a rule shows the reader where to look; a long text full of them shows no more.
                if sum(id == rule.id for id, _, _ in found) >= 3:
                    break
    return found


@cache
def _compiled(scopes: frozenset[str]) -> tuple[tuple[Rule, tuple[bytes, ...], "re.Pattern[str]"], ...]:
    return tuple(
        (
            rule,
            tuple(h.encode() for h in rule.hints),
            re.compile("|".join(f"(?:{p})" for p in rule.patterns), re.IGNORECASE | re.MULTILINE),
        )
        for rule in tables().rules
        if rule.patterns and ("any" in rule.scope or scopes & set(rule.scope))
    )


@cache
def _by_id() -> dict[str, Rule]:
    return {rule.id: rule for rule in tables().rules}


def _filled(pattern: str, parts: dict[str, str]) -> str:
    for name, part in parts.items():
        pattern = pattern.replace(f"{{{name}}}", part)
    return pattern
