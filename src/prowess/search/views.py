"""What the structure of a skill is good for: text to search, a table of side effects, a diff of two versions."""

from dataclasses import dataclass
from typing import Literal

from prowess.search.structure import END, Layers, Rule, Scope, Step

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
