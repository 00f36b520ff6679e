"""Published methods as compositions of parts: one file each. A recipe is a function from `Setup` to `Recipe`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

from prowess.agents.sandbox import Sandbox
from prowess.core.errors import UserError
from prowess.core.task import Split, Task
from prowess.evolve.protocols import Recipe
from prowess.measure.gates import Provider
from prowess.measure.regression import RegressionGate
from prowess.suites.base import Suite

RECIPES = {
    "none": "the baseline: no skill is ever learned",
    "human": "the upper bound: the skills that a person wrote, taken as they are",
    "trace2skill": "lessons from each trajectory against a frozen library, then gated patches (2603.25158)",
    "skillos": "a curator inserts, updates and deletes skills along a stream of tasks (2605.06614)",
    "lifecycle": "audits every skill, retires what does not contribute, grows where tasks fail (2605.10923)",
}
"""Name → what it is."""

REGRESSION = 4
"""Gate tasks of a family that must stay solved when another family's skill changes."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a recipe is built for: tasks by split, and the budget of its search. Splits never share a task."""

    suite: Suite
    sandbox: Sandbox
    families: tuple[str, ...]
    variant: str = "base"
    evidence: int = 6
    """Tasks per family that lessons may come from."""
    gate: int = 12
    """Tasks per family that verdicts may rest on."""
    samples: int = 16
    """Programs that a search may sample per task."""
    seed: int = 0
    """Chooses the tasks, too: another seed draws others, so that runs of several seeds are independent."""

    def tasks(self, family: str, split: Split, n: int, variant: str | None = None) -> tuple[Task, ...]:
        return self.suite.tasks(family, split, n, variant or self.variant, start=self.seed * n)

    def all_tasks(self, split: Split, n: int) -> tuple[Task, ...]:
        """`n` tasks of each family, family after family: the grouped stream of SkillOS and of SkillFlow's protocol."""
        return tuple(task for family in self.families for task in self.tasks(family, split, n))

    def regression(self, provider: Provider) -> RegressionGate:
        """Gate tasks of every family, a few of each, so that what is learned for one does not harm another."""
        few = (task for family in self.families for task in self.tasks(family, "gate", self.gate)[:REGRESSION])
        return RegressionGate(tuple(few), provider)


def check(name: str, suite: Suite, families: Sequence[str]) -> None:
    """Raises UserError where no recipe is called `name`, or the suite has not all of `families`."""
    if name not in RECIPES:
        raise UserError(f"no recipe is called {name!r}", f"choose one of {', '.join(RECIPES)}")
    unknown = sorted(set(families) - set(suite.families))
    if unknown:
        raise UserError(
            f"suite {suite.name} has no family {', '.join(unknown)}", f"choose from {', '.join(suite.families)}"
        )


def build(name: str, setup: Setup) -> Recipe:
    """The recipe called `name` for `setup`; raises as `check` does."""
    check(name, setup.suite, setup.families)
    make: Callable[[Setup], Recipe] = import_module(f"{__name__}.{name}").recipe
    return make(setup)
