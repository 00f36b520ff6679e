"""The upper bound: the suite's human-written skills, taken as they are, with no gate but the format."""

from collections.abc import Sequence
from dataclasses import dataclass

from prowess.core.lesson import Lesson
from prowess.core.patch import CreateSkill, Patch
from prowess.core.skill import Skill, Snapshot
from prowess.evolve.consolidate import Unmerged
from prowess.evolve.method import Method, Setup
from prowess.evolve.protocols import Context, Episode, Recipe
from prowess.evolve.providers import BestMatches
from prowess.evolve.selectors import Last
from prowess.evolve.sources import Stream
from prowess.measure.gates import FormatGate, Provider


@dataclass(frozen=True, slots=True)
class Given:
    """Proposer: skills that exist already. Also an analyst that learns nothing."""

    skills: tuple[Skill, ...]

    async def lessons(self, episodes: Sequence[Episode], library: Snapshot, context: Context) -> tuple[Lesson, ...]:
        return ()

    async def patches(self, lessons: Sequence[Lesson], library: Snapshot, context: Context) -> tuple[Patch, ...]:
        if not self.skills:
            return ()
        operations = tuple(CreateSkill(skill=skill) for skill in self.skills)
        return (Patch(base=library.digest, operations=operations, reason="written by a person", author="human"),)


def given(name: str, provider: Provider, skills: tuple[Skill, ...]) -> Recipe:
    """A recipe that takes `skills` and runs no task."""
    source = Given(skills)
    return Recipe(
        name=name,
        source=Stream((), per_round=1),
        provider=provider,
        analyst=source,
        proposer=source,
        consolidator=Unmerged(),
        gates=(FormatGate(),),
        selector=Last(),
    )


def recipe(setup: Setup) -> Recipe:
    return given("human", BestMatches(), setup.human_skills())


METHOD = Method("the upper bound: the skills that a person wrote, taken as they are", recipe)
