"""Geometry of the charts. Templates draw them as inline SVG; nothing here makes markup.

Horizontal positions are percentages of the drawing's width, so that charts fit any screen while text, dots and lines
keep their size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from prowess.core.evidence import Evidence
from prowess.evolve.record import Point, RunRecord
from prowess.measure.libraries import SkillEffect, State
from prowess.report.text import points


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    """Percent of the width."""
    label: str


@dataclass(frozen=True, slots=True)
class Effect:
    """One line of the forest plot."""

    label: str
    group: str
    evidence: Evidence
    at: float
    low: float
    high: float
    """Percent of the width."""


@dataclass(frozen=True, slots=True)
class Forest:
    effects: tuple[Effect, ...]
    zero: float
    ticks: tuple[Tick, ...]
    tests: tuple[str, ...] = ()
    judges: tuple[str, ...] = ()
    """Who judged, over all effects."""


def forest(record: RunRecord) -> Forest:
    """Effects on held-out tasks first, then those that the gates saw."""
    labels = list(dict.fromkeys(c.label for c in record.comparisons))  # what shares a label stands together
    found: list[tuple[str, str, Evidence]] = [
        ("held-out tasks", c.label, c.evidence) for c in sorted(record.comparisons, key=lambda c: labels.index(c.label))
    ]
    for number, decision in enumerate(record.decisions, 1):
        found += [
            ("gate trials", f"change {number}, gate “{verdict.gate}”", verdict.evidence)
            for verdict in decision.verdicts
            if verdict.evidence is not None
        ]
    return forest_of(found)


def forest_of(found: Sequence[tuple[str, str, Evidence]]) -> Forest:
    """The forest plot of effects, each with its group and label."""
    if not found:
        return Forest((), 0, ())
    left = min(-0.25, *(e.low for _, _, e in found))
    right = max(0.25, *(e.high for _, _, e in found))
    left, right = left - 0.04, right + 0.04

    def place(value: float) -> float:
        return round(100 * (value - left) / (right - left), 2)

    step = 0.25 if right - left <= 1.3 else 0.5
    marks = [i * step for i in range(-8, 9) if left <= i * step <= right]
    return Forest(
        effects=tuple(
            Effect(label, group, e, place(e.effect), place(e.low), place(e.high)) for group, label, e in found
        ),
        zero=place(0),
        ticks=tuple(Tick(place(m), points(m)) for m in marks),
        tests=tuple(sorted({e.test for _, _, e in found})),
        judges=tuple(sorted({judge for _, _, e in found for judge in e.judged_by})),
    )


@dataclass(frozen=True, slots=True)
class Step:
    """A state of the library on its learning curve, in percent of the drawing."""

    at: float
    share: float
    low: float
    high: float
    state: State


def steps(states: Sequence[State]) -> tuple[Step, ...]:
    """The learning curve over the states of a library that could be tried, first to last."""
    tried = [state for state in states if state.n]
    width = 100 / max(1, len(tried))
    return tuple(
        Step(
            round((i + 0.5) * width, 2),
            *(round(100 - 100 * share, 2) for share in (s.passed / s.n, s.low, s.high)),
            state=s,
        )
        for i, s in enumerate(tried)
    )


@dataclass(frozen=True, slots=True)
class Price:
    """What the points of one skill cost."""

    skill: str
    points: float
    """Gained, of 100; those of skills that gain nothing have no price."""
    to_learn: float | None
    """Tokens of the ledger's trials for each point gained."""
    to_use: float
    """Tokens more for each task and point gained; below zero where the skill saves some."""
    share: float
    """Of the dearest one's `to_learn`, in percent."""


def prices(skills: Sequence[SkillEffect]) -> tuple[Price, ...]:
    """Cost for each point gained, cheapest first, of the skills that are shown to help."""
    found: list[tuple[str, float, float | None, float]] = []
    for skill in skills:
        if skill.evidence is None or skill.outcome != "better":
            continue
        gained = 100 * skill.evidence.effect
        learned = skill.learned_for.tokens / gained if skill.learned_for.tokens else None
        found.append((skill.skill, gained, learned, _tokens_more(skill.evidence) / gained))
    most = max((learned or 0.0 for _, _, learned, _ in found), default=0.0)
    found.sort(key=lambda f: (f[2] or 0.0, f[0]))
    return tuple(Price(*f, share=round(100 * (f[2] or 0.0) / most, 2) if most else 0.0) for f in found)


def _tokens_more(evidence: Evidence) -> float:
    """Mean tokens of a task in the treatment, less those in the baseline."""
    arms = [[t.cost.tokens for t in evidence.trials if t.arm == a] for a in (evidence.treatment, evidence.baseline)]
    new, old = (sum(tokens) / len(tokens) if tokens else 0.0 for tokens in arms)
    return new - old


@dataclass(frozen=True, slots=True)
class Cell:
    """One task of the stream."""

    left: float
    width: float
    """Percent of the width."""
    point: Point


@dataclass(frozen=True, slots=True)
class Curve:
    window: int
    """Tasks that the running share looks back on."""
    path: str
    """SVG path of the running share, in a box of 100 by 100."""
    cells: tuple[Cell, ...]
    rounds: tuple[Tick, ...]
    first: float | None
    last: float | None
    """Share passed over the first and the last window."""


def curve(stream: Sequence[Point]) -> Curve | None:
    """The share of tasks passed over a sliding window; None for fewer than two tasks. Missing runs count nowhere."""
    stream = sorted(stream, key=lambda p: p.position)
    if len(stream) < 2:
        return None
    n = len(stream)
    window = min(max(5, n // 6), n)
    width = 100 / n
    shares: list[tuple[float, float]] = []
    for i in range(n):
        seen = [p.passed for p in stream[max(0, i + 1 - window) : i + 1] if p.passed is not None]
        if len(seen) >= min(3, n):
            shares.append(((i + 0.5) * width, sum(seen) / len(seen)))
    path = " ".join(f"{'M' if k == 0 else 'L'}{x:.2f} {100 - 100 * y:.2f}" for k, (x, y) in enumerate(shares))
    starts = [
        Tick(i * width, f"round {p.round + _from_zero(stream)}") for i, p in enumerate(stream) if _starts(stream, i)
    ]
    return Curve(
        window=window,
        path=path,
        cells=tuple(Cell(round(i * width, 3), round(width, 3), p) for i, p in enumerate(stream)),
        rounds=tuple(starts),
        first=_share(stream[:window]),
        last=_share(stream[-window:]),
    )


def _starts(stream: Sequence[Point], i: int) -> bool:
    return i == 0 or stream[i].round != stream[i - 1].round


def _from_zero(stream: Sequence[Point]) -> int:
    return 1 if min(p.round for p in stream) == 0 else 0  # people count rounds from one


def _share(stream: Sequence[Point]) -> float | None:
    seen = [p.passed for p in stream if p.passed is not None]
    return sum(seen) / len(seen) if seen else None
