"""The registry: every file here that declares a `METHOD` is a recipe, under the file's name.

A recipe's ablation is called `recipe.ablation` wherever a recipe is named.
"""

import pkgutil
from collections.abc import Sequence
from functools import cache
from importlib import import_module, resources

from pydantic import TypeAdapter

from prowess.core.base import Frozen
from prowess.core.errors import SandboxError, UserError
from prowess.core.task import File
from prowess.evolve.method import Ablation, Method, Setup
from prowess.evolve.protocols import Recipe
from prowess.sandbox import Limits, Result
from prowess.suites import open_suite
from prowess.suites.base import Suite

BASELINES = ("none", "human")
"""What every comparison of recipes holds besides them."""


class Measured(Frozen):
    """The latest result of a recipe on held-out tasks, as `prowess bench recipes` found it."""

    date: str
    suite: str
    families: tuple[str, ...]
    model: str
    seeds: int
    n: int
    """Pairs of tasks and seeds."""
    success: float
    effect: float
    """Against no skills, in shares of 1."""
    low: float
    high: float
    tokens: float
    """Of learning, a run."""


@cache
def names() -> tuple[str, ...]:
    """Names of all recipes: the baselines first, then as the alphabet has them."""
    found = [module.name for module in pkgutil.iter_modules(__path__)]
    return (*BASELINES, *sorted(set(found) - set(BASELINES)))


def method(name: str) -> Method:
    """What the file called `name` declares.

    Raises:
        UserError: there is none.
    """
    if name not in names():
        raise UserError(f"no recipe is called {name!r}", f"choose one of {', '.join(names())}")
    return import_module(f"{__name__}.{name}").METHOD


def documentation(name: str) -> str:
    """The docstring of the file called `name`."""
    method(name)
    return (import_module(f"{__name__}.{name}").__doc__ or "").strip()


def ablation(spec: str) -> Ablation | None:
    """The ablation that `recipe.ablation` names; None for a recipe itself.

    Raises:
        UserError: there is no such recipe or ablation.
    """
    name, _, left_out = spec.partition(".")
    declared = method(name).ablations
    if not left_out:
        return None
    found = next((a for a in declared if a.name == left_out), None)
    if found is None:
        known = ", ".join(f"{name}.{a.name}" for a in declared) or "none"
        raise UserError(f"recipe {name} has no ablation {left_out!r}", f"its ablations: {known}")
    return found


def check(spec: str, suite: Suite, families: Sequence[str]) -> None:
    """Raises UserError where no recipe or ablation is called `spec`, or the suite has not all of `families`."""
    ablation(spec)
    unknown = sorted(set(families) - set(suite.families))
    if unknown:
        raise UserError(
            f"suite {suite.name} has no family {', '.join(unknown)}", f"choose from {', '.join(suite.families)}"
        )


def build(spec: str, setup: Setup) -> Recipe:
    """The recipe or ablation called `spec` for `setup`; raises as `check` does."""
    check(spec, setup.suite, setup.families)
    return (ablation(spec) or method(spec)).build(setup)


class _NoSandbox:
    """For recipes that are only looked at."""

    name = "none"

    async def run(self, argv: list[str], files: tuple[File, ...] = (), limits: Limits | None = None) -> Result:
        raise SandboxError("a recipe that is looked at runs nothing")


PARTS = ("source", "provider", "analyst", "proposer", "consolidator", "maintainer", "branch", "selector")


def parts(spec: str) -> dict[str, str]:
    """What a recipe is made of, as it is built for its suite: kind of part → names; empty where the suite is absent.

    Raises:
        UserError: there is no such recipe or ablation.
    """
    found = method(spec.partition(".")[0])
    try:
        suite = open_suite(found.suite)
    except UserError:
        return {}
    made = build(spec, Setup(suite, _NoSandbox(), suite.families[:1]))
    named = {kind: type(part).__name__ for kind in PARTS if (part := getattr(made, kind)) is not None}
    return named | {"gates": " ".join(gate.name for gate in made.gates)}


@cache
def measured() -> dict[str, Measured]:
    """The latest committed result of each recipe that has one."""
    text = resources.files(__name__).joinpath("measured.json").read_bytes()
    return TypeAdapter(dict[str, Measured]).validate_json(text)
