"""The baseline: the same executor, and no skill."""

from prowess.evolve.method import Method, Setup
from prowess.evolve.protocols import Recipe
from prowess.evolve.providers import NoSkills
from prowess.evolve.recipes.human import given


def recipe(setup: Setup) -> Recipe:
    return given("none", NoSkills(), ())


METHOD = Method("the baseline: no skill is ever learned", recipe)
