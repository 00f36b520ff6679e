"""Skill retrieval augmentation taken apart: is the skill found, is it loaded, does it help? (SRA, arXiv 2604.24594)

A provider decides what an agent is offered: nothing, the right skill (oracle), the top of a ranking, that if it fits,
what a model selects from a ranking, or the right skill among distractors. The agent decides what it loads; the suite
decides what passed. The three are counted apart, since most of what is lost is lost between finding and using.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from prowess.core.cost import Cost, total
from prowess.core.evidence import Evidence, Trial
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import Task
from prowess.core.trajectory import Trajectory
from prowess.core.view import View
from prowess.measure.compare import compare
from prowess.measure.selection import Selector
from prowess.measure.stats.proportions import wilson
from prowess.measure.trials import Arm, Bench, run_trials, stored_trajectory
from prowess.search.index import SearchIndex
from prowess.search.need import fit
from prowess.search.routers import Router

POOL = 50
"""Skills that a model selects from, as in SRA."""


def gold(task: Task) -> tuple[str, ...]:
    """Names of the skills that answer `task`; none where its suite does not say."""
    names = task.meta.get("gold")
    return tuple(str(name) for name in names) if isinstance(names, list) else ()


def question(task: Task) -> str:
    """What is looked for: the bare question where the suite gives it, else the prompt."""
    return str(task.meta.get("question", task.prompt))


class Provider(Protocol):
    """Decides what an agent is offered for a task."""

    async def offer(self, task: Task, library: Snapshot) -> tuple[Skill, ...]: ...


class Nothing:
    async def offer(self, task: Task, library: Snapshot) -> tuple[Skill, ...]:
        return ()


class Oracle:
    """The skills that the task needs."""

    async def offer(self, task: Task, library: Snapshot) -> tuple[Skill, ...]:
        return tuple(s for name in gold(task) if (s := library.get(name)) is not None)


@dataclass(frozen=True, slots=True)
class Ranking:
    """A router over the index of the library that providers offer from."""

    router: Router
    index: SearchIndex

    async def best(self, task: Task, library: Snapshot, k: int) -> tuple[Skill, ...]:
        """The first `k` skills for `task`."""
        hits = await self.router.rank(question(task), self.index, k)
        return tuple(s for hit in hits if (s := library.get(hit.name)) is not None)


@dataclass(frozen=True, slots=True)
class AmongDistractors:
    """The skills that the task needs, and `distractors` of the best that it does not need, in a drawn order."""

    ranking: Ranking
    distractors: int = 4
    seed: int = 0

    async def offer(self, task: Task, library: Snapshot) -> tuple[Skill, ...]:
        right = await Oracle().offer(task, library)
        best = await self.ranking.best(task, library, self.distractors + len(right))
        shown = [*right, *[s for s in best if s not in right][: self.distractors]]
        return tuple(random.Random(f"{self.seed}/{task.id}").sample(shown, len(shown)))


@dataclass(frozen=True, slots=True)
class Top:
    """The first `k` of a ranking."""

    ranking: Ranking
    k: int = 1

    async def offer(self, task: Task, library: Snapshot) -> tuple[Skill, ...]:
        return await self.ranking.best(task, library, self.k)


@dataclass(frozen=True, slots=True)
class Fitting:
    """Of the first `k` of a ranking those that fit by `prowess.search.need`: none where no skill is needed."""

    ranking: Ranking
    k: int = 1

    async def offer(self, task: Task, library: Snapshot) -> tuple[Skill, ...]:
        best = await self.ranking.best(task, library, self.k)
        return tuple(s for s in best if fit(question(task), s, self.ranking.index).needed)


@dataclass(frozen=True, slots=True)
class Selected:
    """What a selector (a model) chooses from the first fifty of a ranking; nothing where it wants none."""

    ranking: Ranking
    selector: Selector
    pool: int = POOL

    async def offer(self, task: Task, library: Snapshot) -> tuple[Skill, ...]:
        options = await self.ranking.best(task, library, self.pool)
        chosen = (await self.selector.choose(question(task), options)).skill if options else None
        return tuple(s for s in options if s.name == chosen)


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many, with the 95 % Wilson interval."""

    k: int
    n: int

    @property
    def value(self) -> float | None:
        return self.k / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.k, self.n)


@dataclass(frozen=True, slots=True)
class Gap:
    """A difference of two shares of different tasks, with its 95 % interval (Newcombe's method 10)."""

    value: float | None
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Stages:
    """One provider, stage by stage."""

    provider: str
    found: Share
    """Retrieval: tasks for which a right skill was offered."""
    loaded_found: Share
    """Incorporation: tasks with any skill loaded, of those that were offered a right one ..."""
    loaded_missed: Share
    """... and of those that were offered skills, but no right one. A model that knows its need loads less here."""
    loaded_right: Share
    """Loaded skills that are right, of all that were loaded."""
    passed: Share
    passed_with: Share
    """Application: tasks passed, of those in which a right skill was loaded."""
    need: Gap
    """Share that loads where the same agent fails without skills, minus that where it passes without. Zero: unaware."""
    against_none: Evidence | None
    """Paired with the arm that offers nothing; None for that arm itself."""
    against_oracle: Evidence | None
    """Paired with the arm `oracle`: what distractors, or a miss, cost. None for that arm, and where there is none."""
    cost: Cost


async def run_sra(
    tasks: Sequence[Task],
    library: Snapshot,
    providers: Mapping[str, Provider],
    bench: Bench,
    *,
    disclosure: Literal["preload", "progressive"] = "progressive",
    seed: int = 0,
) -> tuple[Stages, ...]:
    """Every provider on the same tasks with the agent of `bench`, stage by stage; an arm `none` is always run.

    Raises:
        BudgetExceeded: a limit was reached; the same call resumes.
        ModelError: a provider that asks a model got no answer.
    """
    everyone = {"none": Nothing(), **{name: p for name, p in providers.items() if name != "none"}}
    digest = library.digest
    views: dict[tuple[str, str], View] = {}
    for name, provider in everyone.items():
        for task in tasks:
            offered = await provider.offer(task, library)
            views[name, task.id] = View(snapshot=digest, skills=offered, disclosure=disclosure)
    arms = [_arm(name, views) for name in everyone]
    trials = await run_trials(tasks, arms, (seed,), bench, order_seed=seed)
    return tuple(_stages(name, tasks, views, trials, bench) for name in everyone)


def _arm(name: str, views: Mapping[tuple[str, str], View]) -> Arm:
    return Arm(name, lambda task: views[name, task.id])


def _stages(
    name: str,
    tasks: Sequence[Task],
    views: Mapping[tuple[str, str], View],
    trials: Sequence[Trial],
    bench: Bench,
) -> Stages:
    mine = {t.task_id: t for t in trials if t.arm == name}
    runs = {id: run for id, t in mine.items() if (run := stored_trajectory(bench.store, t.trajectory)) is not None}
    alone = {t.task_id: t.passed for t in trials if t.arm == "none"}
    found, missed, right, loads = list[Trajectory](), list[Trajectory](), list[Trajectory](), list[bool]()
    hits = 0
    for task in tasks:
        offered = [s.name for s in views[name, task.id].skills]
        hit = any(n in gold(task) for n in offered)
        hits += hit
        run = runs.get(task.id)
        if run is None or not offered:
            continue
        (found if hit else missed).append(run)
        loads += [n in gold(task) for n in run.loaded]
        if any(n in gold(task) for n in run.loaded):
            right.append(run)
    offered_runs = [*found, *missed]
    fails = [bool(r.loaded) for r in offered_runs if alone.get(r.task_id or "") is False]
    passes = [bool(r.loaded) for r in offered_runs if alone.get(r.task_id or "") is True]
    judged = [t.passed for t in mine.values() if t.passed is not None]
    return Stages(
        provider=name,
        found=Share(hits, len(tasks)),
        loaded_found=Share(sum(bool(r.loaded) for r in found), len(found)),
        loaded_missed=Share(sum(bool(r.loaded) for r in missed), len(missed)),
        loaded_right=Share(sum(loads), len(loads)),
        passed=Share(sum(judged), len(judged)),
        passed_with=Share(sum(bool(r.passed) for r in right), len(right)),
        need=gap(Share(sum(fails), len(fails)), Share(sum(passes), len(passes))),
        against_none=None if name == "none" else compare(trials, "none", name),
        against_oracle=compare(trials, "oracle", name) if name != "oracle" and _has(trials, "oracle") else None,
        cost=total([t.cost for t in mine.values()]),
    )


def _has(trials: Sequence[Trial], arm: str) -> bool:
    return any(t.arm == arm for t in trials)


def gap(one: Share, two: Share) -> Gap:
    """`one` minus `two`. Source: R. Newcombe, Statistics in Medicine 17 (1998) 873, method 10."""
    if one.value is None or two.value is None:
        return Gap(None, -1.0, 1.0)
    (low1, high1), (low2, high2) = one.interval, two.interval
    difference = one.value - two.value
    low = difference - math.hypot(one.value - low1, high2 - two.value)
    high = difference + math.hypot(high1 - one.value, two.value - low2)
    return Gap(difference, max(-1.0, low), min(1.0, high))
