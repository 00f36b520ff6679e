"""A skill as structure instead of text: the scheduling, structural and logical layers of SSL (arXiv 2604.24026).

The scheduling layer says what the skill is for, what it takes and what it gives. The structural layer cuts it into
scenes, each with a contract. The logical layer lists the steps of each scene: what is done, to what, in which scope.
Models and the extractor write `Layers`; `problems` is the program that checks them.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Literal

from prowess.core.base import Frozen

SceneType = Literal["PREPARE", "ACQUIRE", "REASON", "ACT", "VERIFY", "RECOVER", "FINALIZE"]
Act = Literal[
    "READ", "SELECT", "COMPARE", "VALIDATE", "INFER", "TRANSFORM", "WRITE", "DELETE", "CALL_TOOL", "REQUEST", "NOTIFY"
]
"""The paper's act types; TRANSFORM, DELETE and NOTIFY are ours, since its list is not given in full."""
Scope = Literal["MEMORY", "LOCAL_FS", "CODEBASE", "PROCESS", "USER_DATA", "CREDENTIALS", "NETWORK"]
Pattern = Literal["SEQUENCE", "BRANCH", "LOOP", "MIXED"]

END = "end"
"""The target of a rule that leaves the scene, or the skill."""
MOST_SCENES = 5
MOST_STEPS = 16
"""Of one scene: what a person still reads, and what a model still writes without losing itself."""


class Rule(Frozen):
    """Where to go next."""

    to: str
    """Id of a scene or step of the same level, or `end`."""
    when: str = ""
    """Empty for always."""


class Step(Frozen):
    """One act on one resource: the logical layer."""

    id: str
    act: Act
    does: str
    """What is done, in a short sentence grounded in the skill's text."""
    actor: str = "agent"
    object: str = ""
    instrument: str = ""
    """Tool, command or library that it is done with."""
    inputs: tuple[str, ...] = ()
    output: str = ""
    """The name under which later steps find the result; empty when there is none."""
    scope: Scope = "MEMORY"
    target: str = ""
    """The resource itself: a path, host, command or variable."""
    quote: str = ""
    """The words of the skill that say so, as they stand there; empty where nobody gave any."""
    requires: tuple[str, ...] = ()
    effects: tuple[str, ...] = ()
    next: tuple[Rule, ...] = ()
    """Empty for the step that follows in the list."""


class Scene(Frozen):
    """A stretch with one purpose and a contract: the structural layer."""

    id: str
    type: SceneType
    goal: str
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    """Each is the output of one of the steps."""
    starts_when: str = ""
    ends_when: str = ""
    first: str
    """Id of the step that it starts with."""
    steps: tuple[Step, ...]
    next: tuple[Rule, ...] = ()
    """Empty for the end of the skill."""


class Layers(Frozen):
    """What is written about a skill; its own fields are the scheduling layer."""

    goal: str
    intents: tuple[str, ...] = ()
    """Requests that the skill answers."""
    tags: tuple[str, ...] = ()
    pattern: Pattern = "SEQUENCE"
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    control: tuple[str, ...] = ()
    """Features of the control flow in words: `repeats until the checks pass`."""
    first: str
    """Id of the scene that it starts with."""
    scenes: tuple[Scene, ...]

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(step for scene in self.scenes for step in scene.steps)


class Structure(Frozen):
    """The layers of one version of a skill, and who wrote them."""

    skill: str
    """Digest of the skill."""
    by: str
    """`extractor/1`, or the name of a model."""
    layers: Layers


def problems(layers: Layers) -> list[str]:
    """Everything wrong with `layers`, in words that a model can act upon; empty when they are sound.

    The paper's checks (unique ids, transitions and entry points that exist, each step in one scene, outputs that some
    step produces) and two of ours: every scene can be reached, and from every scene the end can.
    """
    found: list[str] = []
    if not 1 <= len(layers.scenes) <= MOST_SCENES:
        found.append(f"there are {len(layers.scenes)} scenes; write 1 to {MOST_SCENES}")
    ids = Counter([scene.id for scene in layers.scenes] + [step.id for step in layers.steps])
    found += [f"the id {id!r} stands {n} times; ids are unique over scenes and steps" for id, n in ids.items() if n > 1]
    found += [f"{id!r} is no id" for id in ids if id == END or not id.strip()]
    scenes = [scene.id for scene in layers.scenes]
    if layers.first not in scenes:
        found.append(f"the skill starts with scene {layers.first!r}, which does not exist")
    for scene in layers.scenes:
        found += _scene_problems(scene, scenes)
    if not found:
        found += _dead_ends(layers)
    return found


def _scene_problems(scene: Scene, scenes: list[str]) -> list[str]:
    found: list[str] = []
    where = f"scene {scene.id!r}"
    if not 1 <= len(scene.steps) <= MOST_STEPS:
        found.append(f"{where} has {len(scene.steps)} steps; write 1 to {MOST_STEPS}")
    steps = [step.id for step in scene.steps]
    if scene.first not in steps:
        found.append(f"{where} starts with step {scene.first!r}, which is not one of its steps")
    produced = {step.output for step in scene.steps}
    found += [
        f"{where} gives {name!r}, which no step of it has as output" for name in scene.outputs if name not in produced
    ]
    found += _targets(where, scene.next, scenes, "scene")
    for step in scene.steps:
        found += _targets(f"step {step.id!r}", step.next, steps, f"step of scene {scene.id!r}")
    return found


def _targets(where: str, rules: Iterable[Rule], known: list[str], kind: str) -> list[str]:
    wrong = [rule.to for rule in rules if rule.to != END and rule.to not in known]
    return [f"{where} goes on to {to!r}, which is no {kind}" for to in wrong]


def _dead_ends(layers: Layers) -> list[str]:
    after = {scene.id: [rule.to for rule in scene.next] or [END] for scene in layers.scenes}
    before: dict[str, list[str]] = {}
    for scene, targets in after.items():
        for target in targets:
            before.setdefault(target, []).append(scene)
    reached, ending = _closure(layers.first, after), _closure(END, before)
    return [f"scene {s!r} is never reached" for s in after if s not in reached] + [
        f"from scene {s!r} the end is never reached" for s in after if s not in ending
    ]


def _closure(start: str, edges: dict[str, list[str]]) -> set[str]:
    seen, waiting = {start}, [start]
    while waiting:
        for target in edges.get(waiting.pop(), []):
            if target not in seen:
                seen.add(target)
                waiting.append(target)
    return seen
