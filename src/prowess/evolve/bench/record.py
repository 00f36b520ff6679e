"""The record of a comparison of recipes. The page and `--json` read nothing else."""

from typing import Literal

from prowess.core.base import Frozen
from prowess.core.cost import Cost
from prowess.core.evidence import Evidence, Trial
from prowess.core.skill import Snapshot
from prowess.evolve.record import Point

Group = Literal["later", "held-out", "other families", "other rules"]
"""Which tasks: `later`, the second half of the stream of each family, with what was learned until then; `held-out`,
tasks of these families that no part of learning saw; `other families`, which nothing was learned for; `other rules`,
families whose rules differ from those learned. The last two show negative transfer."""


class SuitePart(Frozen):
    """A suite, and the families of it that are learned from."""

    suite: str
    families: tuple[str, ...]


class BenchPlan(Frozen):
    """What to compare. Two equal plans in one folder are the same comparison."""

    parts: tuple[SuitePart, ...]
    recipes: tuple[str, ...]
    """Recipes and ablations, as `recipe.ablation`."""
    models: tuple[str, ...]
    """Each builds; every library is then used with each of them."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Each draws tasks of its own."""
    evidence: int = 8
    gate: int = 12
    test: int = 8
    """Held-out tasks of each family."""
    other: int = 2
    """Tasks of each other family, and of each other variant of those learned."""
    samples: int = 16
    tokens: int | None = None
    """Most tokens that each learning may cost."""
    start: Snapshot = Snapshot()
    """The library that every recipe begins with; where it has skills, the arm `seed` shows it as it is."""


class Levels(Frozen):
    """SkillLearnBench's (2604.20087) measures of skills and of runs with them, as far as a program can take them."""

    coverage: float | None = None
    """Level 1: share of the human skill's key points that the skills' text holds; None where no person wrote one."""
    executability: float | None = None
    """Level 1: share of skills without an error that lint can see; None where there is no skill, as below."""
    safety: float | None = None
    """Level 1: share of skills in which the scan finds nothing."""
    recall: float | None = None
    """Level 2: share of the human skill's key points that the runs' own words hold."""
    order: float | None = None
    """Level 2: share of these that stand in the skill's order."""
    usage: float | None = None
    """Level 2: share of the runs offered a skill that used one."""


class Funnel(Frozen):
    """Held-out runs that were offered a skill, loaded one, used one, and passed where the run without failed."""

    runs: int = 0
    offered: int = 0
    loaded: int = 0
    used: int = 0
    helped: int = 0


class Entry(Frozen):
    """One recipe on one part under one seed: what it learned, and its trials with one model."""

    part: int
    """Index into the plan's parts."""
    recipe: str
    seed: int
    built_with: str
    used_with: str
    """Models, as the plan names them."""
    trials: dict[Group, tuple[Trial, ...]] = {}
    """Of the arms `none` and the recipe's own."""
    learning: Cost = Cost()
    seconds: float = 0.0
    """Wall time of learning."""
    ended: str = ""
    """Why learning ended before its time."""
    skills: Snapshot = Snapshot()
    """What was learned, and what it began with."""
    accepted: int = 0
    tried: int = 0
    """Patches that were decided on."""
    unusable: int = 0
    """Answers of the model that could not be used."""
    curve: tuple[Point, ...] = ()
    steps: float = 0.0
    """Mean steps of the agent in a held-out run."""
    funnel: Funnel = Funnel()
    levels: Levels = Levels()
    failure: str = ""
    """Why there is no result, where there is none."""


class Gain(Frozen):
    """One arm against another on one group of tasks, over all seeds."""

    part: int
    recipe: str
    against: str
    group: Group
    built_with: str
    used_with: str
    evidence: Evidence
    adjusted: float | None = None
    """p after Holm over the gains against `none` of all recipes on one part and group with one pair of models; None for
    ablations and for arms that are there to compare with."""


class BenchRecord(Frozen):
    plan: BenchPlan
    machine: str
    date: str
    """ISO 8601."""
    command: str = ""
    lost: int = 0
    """Attempts of the last sitting whose worker was lost; each was made again elsewhere."""
    entries: tuple[Entry, ...] = ()
    gains: tuple[Gain, ...] = ()
