"""SkillLearnBench's levels 1 and 2 (2604.20087) without a judge: key points, by the words that say them.

The paper lets a model judge whether a key point is mentioned. Here a point counts as said when most of its words that
carry meaning are: cruder, free, the same for every recipe and repeatable.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

from prowess.core.skill import Skill, Snapshot
from prowess.core.trajectory import Trajectory
from prowess.evolve.bench.record import Levels
from prowess.guard.scan import scan
from prowess.library.lint import lint
from prowess.suites.base import Suite

SAID = 0.6
"""Share of a point's words from which on it counts as said."""
_WORD = re.compile(r"[a-z][a-z0-9_]{2,}|\d+")
_COMMON = frozenset(
    [
        "the",
        "and",
        "for",
        "with",
        "that",
        "this",
        "from",
        "are",
        "not",
        "use",
        "used",
        "all",
        "any",
        "each",
        "its",
        "then",
        "when",
        "into",
        "must",
        "may",
        "can",
        "you",
        "your",
        "has",
        "have",
        "of",
    ]
)


def key_points(skill: Skill) -> tuple[frozenset[str], ...]:
    """What a skill says: the words of each item of a list, or of each sentence where it has no lists; code left out."""
    text = re.sub(r"(?ms)^(```|~~~).*?^\1", "", skill.body)
    items = re.findall(r"(?m)^\s*(?:[-*+]|\d+[.)])\s+(.+)$", text)
    found = items or re.split(r"(?<=[.!?])\s+", re.sub(r"(?m)^#.*$", "", text))
    return tuple(dict.fromkeys(words for item in found if len(words := _words(item)) >= 2))


def levels(skills: Snapshot, families: Sequence[str], suite: Suite, runs: Sequence[Trajectory]) -> Levels:
    """The measures of `skills` and of held-out `runs` with them; `task_id` of a run begins with its family."""
    human = [(family, skill) for family in families if (skill := suite.human_skill(family)) is not None]
    points = {family: key_points(skill) for family, skill in human}
    text = _words("\n".join(f"{s.description}\n{s.body}" for s in skills.skills))
    covered = [_said(point, text) for own in points.values() for point in own]
    recalls: list[float] = []
    orders: list[float] = []
    for run in runs:
        own = next((p for f, p in points.items() if (run.task_id or "").startswith(f"{f}/")), ())
        at = [place for point in own if (place := _place(point, run)) is not None]
        if own:
            recalls.append(len(at) / len(own))
        if len(at) > 1:
            orders.append(sum(a <= b for a, b in pairwise(at)) / (len(at) - 1))
    offered = [run for run in runs if run.offered]
    return Levels(
        coverage=_mean([float(c) for c in covered]) if skills.skills else None,
        executability=_mean([float(all(p.severity != "error" for p in lint(s))) for s in skills.skills]),
        safety=_mean([float(not list(scan(s, learned=True))) for s in skills.skills]),
        recall=_mean(recalls),
        order=_mean(orders),
        usage=_mean([float(bool(run.used)) for run in offered]),
    )


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.lower())) - _COMMON


def _said(point: frozenset[str], words: frozenset[str]) -> bool:
    return len(point & words) >= SAID * len(point)


def _place(point: frozenset[str], run: Trajectory) -> int | None:
    """The first step of the agent by which `point` is said."""
    so_far: frozenset[str] = frozenset()
    for i, step in enumerate(run.steps):
        if step.source == "agent":
            so_far |= _words(f"{step.message} {step.reasoning}")
            if _said(point, so_far):
                return i
    return None


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
