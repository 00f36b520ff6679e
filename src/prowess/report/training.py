"""The page of a training study: learning curves by seed, ends with intervals, and what the method gained."""

from collections.abc import Sequence
from dataclasses import dataclass

from prowess.report.page import page
from prowess.train.record import ArmRecord, Interval, StudyRecord, difference, interval

COLOURS = 6
"""Arms are told apart by so many line styles; more than that share them."""


@dataclass(frozen=True, slots=True)
class Line:
    """One arm's curve, in a box of 100 by 100."""

    arm: str
    style: int
    mean: str
    """SVG path of the mean over seeds."""
    seeds: tuple[str, ...]
    """SVG path of each seed."""


@dataclass(frozen=True, slots=True)
class Plot:
    """One figure over the steps of training."""

    figure: str
    lines: tuple[Line, ...]
    marks: tuple[tuple[float, str], ...]
    """Height in percent, and what stands there."""
    steps: int


@dataclass(frozen=True, slots=True)
class Row:
    """One arm at its end."""

    arm: ArmRecord
    style: int
    start: Interval
    end: Interval
    ahead: Interval | None
    """How much more the method reached; None for the method itself."""
    seconds: float
    tokens: float


def render_study(record: StudyRecord) -> str:
    """The page, as HTML text to be stored as UTF-8."""
    figures = sorted({f for arm in record.arms for run in arm.runs for point in run.points for f in point.figures})
    figures = [record.headline, *(f for f in figures if f != record.headline)]
    return page(
        "training.html",
        record=record,
        sentence=sentence(record),
        rows=_rows(record),
        plots=[plot(record, figure) for figure in figures],
        seeds=len(record.arms[0].runs),
    )


def sentence(record: StudyRecord) -> str:
    """What came out, in plain words: the method against each other arm."""
    method, *others = record.arms
    own = interval(method.last(record.headline))
    parts = [f"{method.name} ends at {own} in “{record.headline}”, over {own.n} seed{'s' * (own.n > 1)}."]
    for other in others:
        ahead = difference(method, other, record.headline)
        if ahead is None:
            continue
        if ahead.low is None or ahead.high is None:
            word = "one seed shows no more than a direction"
        else:
            word = "ahead" if ahead.low > 0 else "behind" if ahead.high < 0 else "not enough evidence"
        parts.append(f"Against {other.name}: {ahead.mean:+.2f}, {word}.")
    return " ".join(parts)


def _rows(record: StudyRecord) -> list[Row]:
    method, h = record.arms[0], record.headline
    return [
        Row(
            arm, i % COLOURS,
            interval([run.points[0].figures[h] for run in arm.runs]),
            interval(arm.last(h)),
            None if arm is method else difference(method, arm, h),
            sum(run.seconds for run in arm.runs) / len(arm.runs),
            sum(run.points[-1].tokens for run in arm.runs) / len(arm.runs),
        )
        for i, arm in enumerate(record.arms)
    ]  # fmt: skip


def plot(record: StudyRecord, figure: str) -> Plot:
    """The curves of one figure; the axis holds 0 and 1, and whatever lies beyond them."""
    values = [p.figures[figure] for a in record.arms for r in a.runs for p in r.points if figure in p.figures]
    low, high = min(0.0, *values), max(1.0, *values)
    steps = max((p.step for a in record.arms for r in a.runs for p in r.points), default=0) or 1

    def path(points: Sequence[tuple[int, float]]) -> str:
        return " ".join(
            f"{'L' if i else 'M'}{100 * step / steps:.2f} {100 - 100 * (value - low) / (high - low):.2f}"
            for i, (step, value) in enumerate(points)
        )

    lines: list[Line] = []
    for i, arm in enumerate(record.arms):
        curves = [[(p.step, p.figures[figure]) for p in run.points if figure in p.figures] for run in arm.runs]
        at = [dict(curve) for curve in curves]
        shared = sorted(step for step in at[0] if all(step in a for a in at)) if at else []
        means = [(step, sum(a[step] for a in at) / len(at)) for step in shared]
        lines.append(Line(arm.name, i % COLOURS, path(means), tuple(path(c) for c in curves)))
    marks = tuple((round(100 - 100 * (v - low) / (high - low), 2), f"{v:g}") for v in (0.0, 0.5, 1.0))
    return Plot(figure, tuple(lines), marks, steps)
