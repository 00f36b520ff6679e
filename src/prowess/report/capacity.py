"""The capacity curve as a picture: accuracy of selection against library size, with intervals and fitted curves."""

import math
from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape

from prowess.measure.capacity import Line
from prowess.report.text import visible

_WIDTH, _HEIGHT = 760, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 216, 20, 46
_FAR = 20
"""Times the largest size beyond which a bound says nothing."""
Scale = Callable[[float], float]
_COLOURS = ("#0b6e6e", "#c2410c", "#4f46e5", "#a21caf", "#4d7c0f", "#b45309", "#0369a1", "#be123c")


def chart(lines: Sequence[Line], title: str = "Accuracy of selection") -> str:
    """A standalone SVG; library size is on a logarithmic axis. Without points it is an empty frame."""
    sizes = sorted({point.size for line in lines for point in line.points}) or [1, 10]
    low, high = math.log(sizes[0]), math.log(max(sizes[-1], sizes[0] + 1))

    def x(size: float) -> float:
        return round(_LEFT + (_WIDTH - _LEFT - _RIGHT) * (math.log(size) - low) / (high - low), 1)

    def y(share: float) -> float:
        return round(_HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * share, 1)

    parts = [_frame(sizes, x, y, title)]
    for number, line in enumerate(lines):
        colour = _COLOURS[number % len(_COLOURS)]
        parts.append(_line(line, colour, x, y, (sizes[0], sizes[-1]), aside=3 * number - 1.5 * (len(lines) - 1)))
        top = _TOP + 16 + 34 * number
        name = escape(visible(line.way)[:30])
        fitted = escape(half_lost(line))
        left = _WIDTH - _RIGHT + 14
        parts.append(
            f'<circle cx="{left}" cy="{top - 4}" r="4" fill="{colour}"/><text x="{left + 10}" y="{top}">{name}</text>'
            f'<text x="{left + 10}" y="{top + 14}" fill="#6e7781" font-size="10">{fitted}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" font-family="sans-serif" font-size="12" role="img" aria-label="{escape(title)}">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{"".join(parts)}</svg>\n'
    )


def half_lost(line: Line) -> str:
    """Where half of the accuracy is lost, in a few words; empty without a curve."""
    if line.curve is None:
        return ""
    if not line.curve.falls:
        return "no fall within these sizes"
    kappa, largest = line.curve.kappa, line.points[-1].size
    high = f"{kappa.high:,.0f}" if kappa.high <= _FAR * largest else "no end in sight"
    return f"half lost at {kappa.value:,.0f} [{kappa.low:,.0f}, {high}]"


def _frame(sizes: Sequence[int], x: Scale, y: Scale, title: str) -> str:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts: list[str] = []
    for tenth in range(0, 11, 2):
        at = y(tenth / 10)
        parts.append(f'<path d="M{_LEFT} {at}H{right}" stroke="#d0d7de"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{at + 4}" text-anchor="end" fill="#57606a">{tenth * 10} %</text>')
    last = -math.inf
    for size in sizes:
        if x(size) - last >= 34:  # labels that would touch are left out
            last = x(size)
            parts.append(f'<text x="{last}" y="{bottom + 18}" text-anchor="middle" fill="#57606a">{size:,}</text>')
    middle = (_LEFT + right) // 2
    parts.append(f'<text x="{middle}" y="{bottom + 38}" text-anchor="middle">skills in the library</text>')
    parts.append(f'<text x="{_LEFT}" y="{_TOP - 6}" font-weight="bold">{escape(title)}</text>')
    return "".join(parts)


def _line(line: Line, colour: str, x: Scale, y: Scale, ends: tuple[int, int], aside: float) -> str:
    """Curve and points; points stand a little aside, so that lines do not hide each other's."""
    parts: list[str] = []
    if line.curve is not None:
        steps = [ends[0] * (ends[1] / ends[0]) ** (i / 60) for i in range(61)]
        path = " ".join(f"{'M' if i == 0 else 'L'}{x(n)} {y(line.curve.at(n))}" for i, n in enumerate(steps))
        parts.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2" opacity="0.75"/>')
    for point in line.points:
        at = round(x(point.size) + aside, 1)
        parts.append(f'<path d="M{at} {y(point.low)}V{y(point.high)}" stroke="{colour}" opacity="0.45"/>')
        parts.append(f'<circle cx="{at}" cy="{y(point.accuracy)}" r="4" fill="{colour}"/>')
    return "".join(parts)
