"""The control flow of a skill as a picture: Mermaid text, or standalone SVG.

All text in a structure may come from a model or a stranger, so both escape it.
"""

from xml.sax.saxutils import escape

from prowess.search.structure import END, Layers, Scene, Step
from prowess.search.views import arrows


def mermaid(layers: Layers) -> str:
    """The control flow between scenes as a Mermaid flowchart, with one line for each step."""
    numbers = {scene.id: f"n{i}" for i, scene in enumerate(layers.scenes)} | {END: "stop"}
    lines = ["flowchart TD", "  start([start])", "  stop([end])"]
    for scene in layers.scenes:
        text = "<br/>".join([f"{scene.type}: {_label(scene.goal)}", *(_label(_line(step)) for step in scene.steps)])
        lines.append(f'  {numbers[scene.id]}["{text}"]')
    lines.append(f"  start --> {numbers.get(layers.first, 'stop')}")
    for source, target, when in arrows(layers):
        label = f'|"{_label(when)}"|' if when else ""
        lines.append(f"  {numbers[source]} -->{label} {numbers.get(target, 'stop')}")
    return "\n".join(lines) + "\n"


def _label(text: str, width: int = 60) -> str:
    """Text that cannot end a Mermaid label or bring in markup."""
    short = text if len(text) <= width else text[: width - 1] + "…"
    return "".join(c if c.isalnum() or c in " .,:;-_/→…+%=" else f"#{ord(c)};" for c in short)


def _line(step: Step) -> str:
    return f"{step.act} {step.does}"


WIDTH, _BOX, _LEFT, _ROW, _GAP, _TOP = 720, 520, 20, 17, 34, 26
_COLOURS = {"NETWORK": "#b3261e", "CREDENTIALS": "#b3261e", "USER_DATA": "#9a6700", "PROCESS": "#6639ba"}


def svg(layers: Layers) -> str:
    """The same picture as standalone SVG: scenes from top to bottom, jumps back on the right, scopes in colour."""
    tops: dict[str, int] = {}
    y = _TOP
    parts: list[str] = []
    for scene in layers.scenes:
        tops[scene.id] = y
        parts.append(_box(scene, y))
        y += _height(scene) + _GAP
    tops[END] = y
    heights = {scene.id: _height(scene) for scene in layers.scenes}
    for lane, (source, target, when) in enumerate(arrows(layers)):
        parts.append(_arrow(tops[source], heights[source], tops.get(target, y), lane, when))
    parts.append(f'<text x="{_LEFT + _BOX // 2}" y="{y + 14}" text-anchor="middle" font-weight="bold">end</text>')
    height = y + 26
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="12" role="img" aria-label="control flow">'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#57606a"/></marker></defs>' + "".join(parts) + "</svg>\n"
    )


def _height(scene: Scene) -> int:
    return _ROW * (len(scene.steps) + 1) + 14


def _box(scene: Scene, y: int) -> str:
    rows = [
        f'<rect x="{_LEFT}" y="{y}" width="{_BOX}" height="{_height(scene)}" rx="6" fill="#f6f8fa" stroke="#57606a"/>',
        f'<text x="{_LEFT + 10}" y="{y + _ROW}" font-weight="bold">{_cut(f"{scene.type} · {scene.goal}", 70)}</text>',
    ]
    for i, step in enumerate(scene.steps, 2):
        colour = _COLOURS.get(step.scope, "#24292f")
        text = f"{step.act} · {step.does}" + ("" if step.scope == "MEMORY" else f" [{step.scope}]")
        rows.append(f'<text x="{_LEFT + 18}" y="{y + _ROW * i}" fill="{colour}">{_cut(text, 76)}</text>')
    return "".join(rows)


def _arrow(top: int, height: int, target: int, lane: int, when: str) -> str:
    """Straight down to the next scene; else around on the right, each in a lane of its own."""
    label = escape(when[:24])
    if target == top + height + _GAP:
        x = _LEFT + _BOX // 2
        text = f'<text x="{x + 6}" y="{top + height + 20}" fill="#57606a">{label}</text>' if label else ""
        return f'<path d="M{x} {top + height}V{target - 2}" stroke="#57606a" marker-end="url(#tip)"/>{text}'
    edge, x = _LEFT + _BOX, _LEFT + _BOX + 22 + 14 * (lane % 8)
    start, end = top + height // 2, target + 10
    path = f"M{edge} {start}H{x}V{end}H{edge + 2}"
    text = f'<text x="{x + 4}" y="{(start + end) // 2}" fill="#57606a">{label}</text>' if label else ""
    return f'<path d="{path}" fill="none" stroke="#57606a" marker-end="url(#tip)"/>{text}'


def _cut(text: str, width: int) -> str:
    clean = "".join(c if c.isprintable() else " " for c in text)
    return escape(clean if len(clean) <= width else clean[: width - 1] + "…")
