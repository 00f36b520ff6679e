"""What a world is to us: an engine that plays one episode at a time, by text.

An engine is plain, synchronous Python around one simulator. It knows nothing of hosts, suites and agents, imports only
its package, the standard library and this module, and so runs as well in another process with another Python. Whatever
it shows is text; whatever it is given is text, and nonsense is answered, never raised.

What only some worlds can do is a method that only their engines have, and a name in the suite's `can`:

| name | method | what it means |
|---|---|---|
| `actions` | (`Scene.actions`) | each scene lists the actions that make sense in it |
| `gold` | `gold(start)` | actions that solve a task from its start |
| `save` | `save()`, `restore(state)` | any scene of the running episode can be returned to |
| `predicates` | `predicates()` | what is true now, as facts that a program can compare |
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Capability = Literal["actions", "gold", "save", "predicates"]
Start = Mapping[str, Any]
"""What an episode begins from, as plain JSON: the level, the seed, the parameters. Equal starts, equal episodes."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What the world shows after a start or an action."""

    text: str
    actions: tuple[str, ...] | None = None
    """Actions that make sense now; None where the world does not list them."""
    done: bool = False
    goal: str = ""
    """What the player is to do: with the first scene, and with later ones where a user asks for something new. All else
    that a world says is data."""
    understood: bool = True
    """False where the world could not make anything of the action; it has changed nothing."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How well the running episode has gone so far."""

    value: float
    """0 to 1: the world's own score, as a share of what can be had."""
    passed: bool
    message: str = ""
    """What is lacking, without giving the solution away."""
    also: Mapping[str, str] = field(default_factory=dict[str, str])
    """What else was looked at and does not decide `passed`, such as whether an attack failed: what is wrong with it, ""
    where nothing is."""


class Engine(Protocol):
    """One simulator. Made once, then used for many episodes, one after the other, by one thread."""

    def reset(self, start: Start) -> Scene:
        """Begin an episode, whatever state the last one was left in."""
        ...

    def step(self, action: str) -> Scene: ...

    def score(self) -> Outcome: ...

    def close(self) -> None: ...


class Solves(Protocol):
    """An engine that can `gold`."""

    def gold(self, start: Start) -> Sequence[str]:
        """Actions that solve the task from its start. Leaves no episode running."""
        ...


class Saves(Protocol):
    """An engine that can `save`."""

    def save(self) -> str:
        """A name for the present state, good until the next reset."""
        ...

    def restore(self, state: str) -> Scene: ...


class Tells(Protocol):
    """An engine that knows `predicates`."""

    def predicates(self) -> Sequence[str]:
        """What is true now, such as `in(apple, fridge)`; sorted."""
        ...


METHODS: Mapping[Capability, tuple[str, ...]] = {
    "actions": (),
    "gold": ("gold",),
    "save": ("save", "restore"),
    "predicates": ("predicates",),
}
"""The methods that an engine with a capability has."""
