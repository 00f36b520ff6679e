"""What the structure of a skill is good for: text to search, a table of side effects, a picture, a diff.

All text in a structure may come from a model or a stranger: pictures escape it.
"""

from dataclasses import dataclass
from typing import Literal
from xml.sax.saxutils import escape

from prowess.search.structure import END, Layers, Rule, Scene, Scope, Step

Layer = Literal["scheduling", "structural", "logical"]
_CHANGING = {"WRITE", "DELETE", "CALL_TOOL", "REQUEST", "NOTIFY"}
_OUTSIDE = {"NETWORK", "CREDENTIALS", "USER_DATA"}


def search_text(layers: Layers) -> str:
    """The structure as words for an index: what the skill takes, does and touches, without prose."""
    parts = [
        layers.goal,
        *layers.intents,
        *layers.tags,
        *layers.inputs,
        *layers.outputs,
        *layers.dependencies,
        *(scene.goal for scene in layers.scenes),
        *(step.object for step in layers.steps),
        *(step.target for step in layers.steps),
    ]
    return "\n".join(dict.fromkeys(part for part in parts if part))


@dataclass(frozen=True, slots=True, order=True)
class Effect:
    """One way in which a skill reaches beyond the conversation."""

    scope: Scope
    act: str
    target: str
    """Empty where the text does not say."""
    step: str
    """Id of the step, or several with commas."""
    does: str


def side_effects(layers: Layers) -> tuple[Effect, ...]:
    """Every step that changes something, or touches network, credentials or personal data; equal ones joined."""
    found: dict[tuple[Scope, str, str], list[Step]] = {}
    for step in layers.steps:
        changes = step.act in _CHANGING and step.scope != "MEMORY"
        if changes or step.scope in _OUTSIDE:
            found.setdefault((step.scope, step.act, step.target), []).append(step)
    return tuple(
        sorted(
            Effect(scope, act, target, ", ".join(step.id for step in steps), steps[0].does)
            for (scope, act, target), steps in found.items()
        )
    )


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which the structure of two versions differs."""

    mark: Literal["+", "-"]
    layer: Layer
    what: str
    """`scene`, `input`, `side effect`, …"""
    text: str
    alarming: bool = False
    """A scope that the older version did not touch at all."""


def compare(old: Layers, new: Layers) -> tuple[Difference, ...]:
    """What `new` has that `old` had not, and the other way round, layer by layer. Ids do not count."""
    before = {effect.scope for effect in side_effects(old)}
    found: list[Difference] = []
    rows: tuple[tuple[Layer, str, tuple[str, ...], tuple[str, ...]], ...] = (
        ("scheduling", "goal", (old.goal,), (new.goal,)),
        ("scheduling", "pattern", (old.pattern,), (new.pattern,)),
        ("scheduling", "input", old.inputs, new.inputs),
        ("scheduling", "output", old.outputs, new.outputs),
        ("scheduling", "dependency", old.dependencies, new.dependencies),
        ("structural", "scene", _scenes(old), _scenes(new)),
        ("structural", "order of scenes", (_order(old),), (_order(new),)),
    )
    for layer, what, was, now in rows:
        found += [Difference("-", layer, what, text) for text in was if text not in now]
        found += [Difference("+", layer, what, text) for text in now if text not in was]
    olds, news = ({(e.scope, e.act, e.target): e for e in side_effects(layers)} for layers in (old, new))
    found += [Difference("-", "logical", "side effect", _says(e)) for key, e in olds.items() if key not in news]
    found += [
        Difference("+", "logical", "side effect", _says(e), alarming=e.scope not in before)
        for key, e in news.items()
        if key not in olds
    ]
    return tuple(found)


def _scenes(layers: Layers) -> tuple[str, ...]:
    return tuple(f"{scene.type}: {scene.goal}" for scene in layers.scenes)


def _order(layers: Layers) -> str:
    types = {scene.id: str(scene.type) for scene in layers.scenes} | {END: END}
    return ", ".join(f"{types[a]} → {types[b]}{f' [{when}]' if when else ''}" for a, b, when in arrows(layers))


def _says(effect: Effect) -> str:
    return f"{effect.act} {effect.scope} {effect.target or effect.does}"


def arrows(layers: Layers) -> list[tuple[str, str, str]]:
    """(from, to, condition) between scenes; a scene without rules goes to the end."""
    return [(s.id, rule.to, rule.when) for s in layers.scenes for rule in s.next or (Rule(to=END),)]


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
