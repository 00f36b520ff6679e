"""From a team of agents to one agent with skills (2601.04748): compiled, compared with the team, kept if as good.

As in the paper: each agent of the team becomes a skill, a hand-off the next step, what they say to each other the one
context; only teams that speak in turn, hide nothing and share a model are compiled; accuracy and tokens are compared
with those of the team itself; a choice in two levels takes the place of a long flat list.

Ours: the team is an office, with a reception that hands a task to the specialist for it, each of whom knows what people
wrote down for one family; the comparison takes evidence tasks in pairs, and the skills are kept unless they lose more
than a tenth; the first level of the choice is the search, which shows the one skill that fits. `prowess compile` takes
any other team.

Reconstructed: the team, for the paper's are of benchmarks without families.

Without the paper's ideas: `flat` shows all skills at once; `unchecked` takes them without the comparison.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from prowess.core.lesson import Lesson, Reference
from prowess.core.patch import CreateSkill, Patch
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import Task
from prowess.evolve.compiling import Hand, Role, Team, compile_team
from prowess.evolve.compiling.team import against_team
from prowess.evolve.consolidate import Unmerged
from prowess.evolve.documents import manuals
from prowess.evolve.method import FREE_GATES, Ablation, Method, Setup
from prowess.evolve.protocols import Context, Episode, Recipe
from prowess.evolve.providers import BestMatches, Everything
from prowess.evolve.recipes.human import Given
from prowess.evolve.selectors import Last
from prowess.evolve.sources import Stream
from prowess.measure.trials import Bench

LOSS = 0.1
"""Share of tasks that one agent may lose against the team."""


def office(setup: Setup) -> Team | None:
    """A reception and a specialist for each family; None where nobody wrote anything down."""
    known = dict(manuals(setup))
    if not known:
        return None
    roles = [Role(name="reception", instructions="Find out whose work the task is, and hand it on to them.")]
    hands: list[Hand] = []
    for family, rules in known.items():
        skill = setup.suite.human_skill(family)
        about = skill.description if skill is not None else family
        roles.append(Role(name=family, description=about, instructions=rules))
        hands += [Hand(source="reception", target=family, when=f"it is {family.replace('-', ' ')}")]
    return Team(name="office", roles=tuple(roles), hands=tuple(hands), entry="reception")


@dataclass(frozen=True, slots=True)
class Compiled:
    """Analyst: compares the skills with the team that they come from. Proposer: takes them where they are as good."""

    team: Team
    skills: tuple[Skill, ...]
    tasks: tuple[Task, ...]
    checked: bool

    async def lessons(self, episodes: Sequence[Episode], library: Snapshot, context: Context) -> tuple[Lesson, ...]:
        if not self.checked:
            return ()
        found = await against_team(
            self.team, self.skills, context.model, self.tasks, Bench.of(context), seed=context.seed
        )
        e = found.evidence
        rates = f"team {e.baseline_rate:.0%}, skills {e.treatment_rate:.0%} of {e.n} tasks"
        said = f"{rates}, with {found.tokens:.0%} of its tokens"
        context.tell("analyse", said, effect=e.effect, tokens=found.tokens)
        kept = e.n > 0 and e.effect >= -LOSS
        references = tuple(Reference(trajectory=trial.trajectory) for trial in e.trials[:8])
        return (Lesson(kind="success" if kept else "memory", text=said, references=references),)

    async def patches(self, lessons: Sequence[Lesson], library: Snapshot, context: Context) -> tuple[Patch, ...]:
        if self.checked and not any(lesson.kind == "success" for lesson in lessons):
            return ()
        return (
            Patch(
                base=library.digest,
                operations=tuple(CreateSkill(skill=skill) for skill in self.skills if library.get(skill.name) is None),
                reason=f"{self.team.name}: a team as skills",
                lessons=tuple(lesson.id for lesson in lessons),
                author="compile_mas",
            ),
        )


def recipe(setup: Setup, hierarchy: bool = True, checked: bool = True) -> Recipe:
    team = office(setup)
    part = Given(()) if team is None else Compiled(
        team, compile_team(team), setup.all_tasks("evidence", setup.evidence), checked
    )  # fmt: skip
    return Recipe(
        name="compile_mas",
        source=Stream((), per_round=1),
        provider=BestMatches() if hierarchy else Everything(),
        analyst=part,
        proposer=part,
        consolidator=Unmerged(),
        gates=FREE_GATES,
        selector=Last(),
    )


METHOD = Method(
    "a team of agents becomes one agent with skills, if it does as well",
    recipe,
    paper="When single-agent with skills replaces multi-agent systems (2601.04748)",
    cost="medium",
    ablations=(
        Ablation(
            "flat", "the choice in two levels: all skills are shown", lambda setup: recipe(setup, hierarchy=False)
        ),
        Ablation("unchecked", "the comparison with the team", lambda setup: recipe(setup, checked=False)),
    ),
)
