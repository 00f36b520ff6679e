"""The baseline: the same executor, and no skill."""

from prowess.evolve.protocols import Recipe
from prowess.evolve.providers import NoSkills
from prowess.evolve.recipes import Setup
from prowess.evolve.recipes.human import given


def recipe(setup: Setup) -> Recipe:
    return given("none", NoSkills(), ())
