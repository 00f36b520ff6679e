"""May a team be one agent? The three conditions of arXiv 2601.04748, and what breaks them.

What the definition declares decides; what its texts only suggest is a doubt for a person.
"""

import re
from dataclasses import dataclass
from typing import Literal

from prowess.evolve.compiling.definition import Team

Condition = Literal["serialisable communication", "shared history", "homogeneous backbone"]

_SUGGESTS: tuple[tuple[Condition, re.Pattern[str], str], ...] = (
    (
        "serialisable communication",
        re.compile(r"\b(?:debate|argue against|opponent|adversar\w+|devil's advocate)\b", re.I),
        "speaks of a debate: one agent that argues with itself is no adversary",
    ),
    (
        "serialisable communication",
        re.compile(r"\b(?:vote|majority|independently|consensus|ensemble|best of)\b", re.I),
        "speaks of independent answers: those that one agent writes after each other are not",
    ),
    (
        "shared history",
        re.compile(r"\b(?:do not (?:reveal|share|disclose)|secret|confidential|hidden from|only you know)\b", re.I),
        "speaks of something that the others must not see: one agent sees all",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Doubt:
    """One reason why compiling may lose something."""

    condition: Condition
    why: str
    certain: bool
    """Declared, so that the team is not compiled; else only suggested by a text."""


def check(team: Team) -> tuple[Doubt, ...]:
    """Every reason against compiling `team`, certain ones first; empty when there is none."""
    found: list[Doubt] = []
    if team.protocol in ("debate", "vote"):
        what = {"debate": "its agents debate", "vote": "its agents answer independently and vote"}[team.protocol]
        found.append(Doubt("serialisable communication", f"{what}: that needs several contexts", True))
    if team.protocol == "parallel":
        why = "its agents work at the same time; one agent does the same work one after the other"
        found.append(Doubt("serialisable communication", why, False))
    twins = [(a.name, b.name) for i, a in enumerate(team.roles) for b in team.roles[i + 1 :]
             if a.instructions == b.instructions]  # fmt: skip
    for one, other in twins:
        why = f"{one!r} and {other!r} have the same instructions: independent samples of one agent"
        found.append(Doubt("serialisable communication", why, True))
    for role in team.roles:
        if role.private:
            why = f"{role.name!r} has memory of its own, or sees less than the others"
            found.append(Doubt("shared history", why, True))
    models = sorted({role.model for role in team.roles if role.model})
    if len(models) > 1:
        found.append(Doubt("homogeneous backbone", f"its agents run on {', '.join(models)}", True))
    for role in team.roles:
        found += [
            Doubt(condition, f"{role.name!r} {why}", False)
            for condition, pattern, why in _SUGGESTS
            if pattern.search(role.instructions)
        ]
    return tuple(sorted(found, key=lambda doubt: not doubt.certain))
