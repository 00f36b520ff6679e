"""What a file of `prowess.evolve.recipes` declares: a published method, how it is built, and what it is compared with.

`docs/recipes.md` says how to write one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from prowess.core.skill import Skill
from prowess.core.task import File, Split, Task
from prowess.evolve.protocols import Recipe
from prowess.measure.gates import FormatGate, Gate, LintGate, Provider, ScanGate, TrialsGate
from prowess.measure.permission import PermissionGate
from prowess.measure.regression import RegressionGate
from prowess.measure.stats.design import Design
from prowess.sandbox import Sandbox
from prowess.suites.base import Suite

REGRESSION = 4
"""Gate tasks of a family that must stay solved when another family's skill changes."""

FREE_GATES: tuple[Gate, ...] = (FormatGate(), ScanGate(), PermissionGate(), LintGate())
"""Those that run no agent, which every recipe has, also where its paper has no gate: nothing dangerous or broken may
enter a library."""

CostClass = Literal["free", "low", "medium", "high"]
"""What learning costs beyond the trials that every method pays: `free`, no call; `low`, about one call a task;
`medium`, several calls a task; `high`, dozens of calls or further rollouts a task."""


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
    documents: tuple[File, ...] = ()
    """Manuals and sources that a method may mine; where there are none, what the suite's people wrote down."""

    def tasks(self, family: str, split: Split, n: int, variant: str | None = None) -> tuple[Task, ...]:
        return self.suite.tasks(family, split, n, variant or self.variant, start=self.seed * n)

    def all_tasks(self, split: Split, n: int) -> tuple[Task, ...]:
        """`n` tasks of each family, family after family: the grouped stream of SkillOS and of SkillFlow's protocol."""
        return tuple(task for family in self.families for task in self.tasks(family, split, n))

    def mixed_tasks(self, split: Split, n: int) -> tuple[Task, ...]:
        """The same tasks, one of each family in turn."""
        by_family = [self.tasks(family, split, n) for family in self.families]
        return tuple(tasks[i] for i in range(n) for tasks in by_family if i < len(tasks))

    def human_skills(self) -> tuple[Skill, ...]:
        """The suite's human-written skills of the families, as far as there are any."""
        skills = (self.suite.human_skill(family) for family in self.families)
        return tuple(skill for skill in skills if skill is not None)

    def trials(self, provider: Provider) -> TrialsGate:
        """The proof: pairs on gate tasks of the families that a patch is meant for."""
        return TrialsGate(self.all_tasks("gate", self.gate), provider, design=Design(max_pairs=self.gate, batch=3))

    def regression(self, provider: Provider) -> RegressionGate:
        """Gate tasks of every family, a few of each, so that what is learned for one does not harm another."""
        few = (task for family in self.families for task in self.tasks(family, "gate", self.gate)[:REGRESSION])
        return RegressionGate(tuple(few), provider)


Build = Callable[[Setup], Recipe]


@dataclass(frozen=True, slots=True)
class Ablation:
    """A method without one idea of its paper."""

    name: str
    """Lowercase words joined by hyphens; `recipe.name` runs it."""
    without: str
    """What is left out or put in its place, in a few words."""
    build: Build


@dataclass(frozen=True, slots=True)
class Method:
    """A recipe as the registry knows it; the docstring of its file says what is faithful and what is reconstructed."""

    what: str
    """One line: what it does."""
    build: Build
    paper: str = ""
    """Name and arXiv number; empty for baselines."""
    cost: CostClass = "free"
    baseline: str = "none"
    """The recipe whose difference to this one is the method's gain."""
    ablations: tuple[Ablation, ...] = ()
    """The paper's own idea first."""
    suite: str = "workbench"
    """A suite that it can run on."""
    needs: str = ""
    """What it asks of a model that a small one cannot do, where that is so."""
