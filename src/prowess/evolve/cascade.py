"""Which gates a run asks: the recipe's own, those that the user named in their place, and what the library adds.

Names are those of `prowess.core.gates.GATES`, and so is the order. Gates that only a recipe knows stay, between those
that run no agent and those that do.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from prowess.core.gates import GATES, known_gates
from prowess.core.model import Model
from prowess.evolve.method import Setup
from prowess.evolve.protocols import Recipe
from prowess.measure.behaviour import BehaviourGate
from prowess.measure.gates import ApprovalGate, FormatGate, Gate, LintGate, ScanGate
from prowess.measure.permission import PermissionGate
from prowess.measure.regression import CachedOutputsGate
from prowess.measure.safety import SafetyGate
from prowess.measure.semantic import SemanticGate

_FREE = GATES[: GATES.index("regression")]
"""Gates that run no agent."""


def with_gates(
    recipe: Recipe, setup: Setup, model: Model, named: Sequence[str] = (), added: Sequence[str] = ()
) -> Recipe:
    """`recipe` with its gates chosen by name, the recipe's own gate wherever it has one of that name.

    Args:
        recipe: What is built already.
        setup: Gives the tasks of gates that the recipe lacks.
        model: Reads skills for the gate `semantic`.
        named: In place of the standard gates that the recipe lists; empty: those.
        added: Asked for as well.

    Raises:
        UserError: a name is no gate.
    """
    own = {gate.name: gate for gate in recipe.gates}
    wanted = known_gates([*(named or (n for n in own if n in GATES)), *added], "the list of gates")
    make: dict[str, Callable[[], Gate]] = {
        "format": FormatGate,
        "scan": ScanGate,
        "permission": PermissionGate,
        "lint": LintGate,
        "semantic": lambda: SemanticGate(model),
        "behaviour": lambda: BehaviourGate(setup.sandbox),
        "cached-outputs": lambda: CachedOutputsGate(recipe.provider, setup.sandbox),
        "regression": lambda: setup.regression(recipe.provider),
        "safety": SafetyGate,
        "trials": lambda: setup.trials(recipe.provider),
        "approval": ApprovalGate,
    }
    standard = {name: own[name] if name in own else make[name]() for name in wanted}
    special = [gate for name, gate in own.items() if name not in GATES]
    cheap = [gate for name, gate in standard.items() if name in _FREE]
    dear = [gate for name, gate in standard.items() if name not in _FREE]
    return replace(recipe, gates=(*cheap, *special, *dear))
