"""What the parts of the loop must do: one protocol for each, of one method, and what they are given.

A recipe is a choice of parts (`prowess.evolve.recipes`); the loop that joins them is `prowess.evolve.loop`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from prowess.agents.base import Agent
from prowess.core.lesson import Lesson
from prowess.core.model import Model
from prowess.core.patch import Patch
from prowess.core.skill import Snapshot
from prowess.core.task import Score, Task
from prowess.core.trajectory import Trajectory
from prowess.core.upkeep import Audit
from prowess.evolve.record import Decision
from prowess.measure.gates import Gate, Provider
from prowess.suites.base import Suite
from prowess.suites.selfmade import NAME, SelfMadeSuite
from prowess.trajectories.runstore import RunStore


class Episode(NamedTuple):
    """A task and what an agent did on it."""

    task: Task
    trajectory: Trajectory


class Event(NamedTuple):
    """Progress for a person who waits."""

    stage: str
    """`explore`, `analyse`, `propose`, `gate`, `tend`, `apply`, `test`."""
    message: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Past:
    """What a run has seen and decided so far."""

    rounds: tuple[tuple[Episode, ...], ...] = ()
    """Episodes of every round, the present one's last once they are collected."""
    decisions: tuple[Decision, ...] = ()
    """On every patch, those refused too, so that nobody proposes the same again."""

    @property
    def episodes(self) -> tuple[Episode, ...]:
        return tuple(episode for round_ in self.rounds for episode in round_)


@dataclass(frozen=True, slots=True)
class Context:
    """What every part may use. All that costs money or time goes through `store`, so that nothing is paid twice."""

    suite: Suite
    agent: Agent
    """The executor, as it is measured."""
    model: Model
    """The model that analyses and proposes; often the executor's own."""
    store: RunStore
    seed: int = 0
    concurrency: int = 1
    foreign: frozenset[str] = frozenset()
    """Skills that a person wrote: a patch that touches one is proposed, whatever the gates say."""
    report: Callable[[Event], None] = field(default=lambda event: None)
    """Told what goes on, for a person who waits."""
    past: Past = Past()

    def suite_of(self, task: Task) -> Suite:
        """What checks `task`: the suite, or, for a task that a model made, one that trusts no answer."""
        return SelfMadeSuite() if task.suite == NAME else self.suite

    def tell(self, stage: str, message: str, **data: Any) -> None:
        self.report(Event(stage, message, data))


class Source(Protocol):
    """Where tasks come from. An empty answer ends the loop."""

    async def tasks(self, round_: int, library: Snapshot, context: Context) -> tuple[Task, ...]: ...


class Verifier(Protocol):
    """Scores runs of tasks that a model made, so that they can teach. The loop never lets such a score be trusted."""

    async def score(self, episode: Episode, context: Context) -> Score | None:
        """None where no judgement can be had."""
        ...


class Analyst(Protocol):
    """Turns episodes into lessons, each with references and blame. Works on a frozen snapshot."""

    async def lessons(self, episodes: Sequence[Episode], library: Snapshot, context: Context) -> tuple[Lesson, ...]: ...


class Proposer(Protocol):
    """Turns lessons into patches against the snapshot."""

    async def patches(self, lessons: Sequence[Lesson], library: Snapshot, context: Context) -> tuple[Patch, ...]: ...


class Consolidator(Protocol):
    """Merges patches that say the same, and orders what is left: the first is tried first."""

    async def merge(self, patches: Sequence[Patch], library: Snapshot, context: Context) -> tuple[Patch, ...]: ...


class Tending(NamedTuple):
    """What a maintainer wants done, and what it found out on the way."""

    patches: tuple[Patch, ...] = ()
    lessons: tuple[Lesson, ...] = ()
    """Behind the patches, where there are any."""
    audits: tuple[Audit, ...] = ()


class Maintainer(Protocol):
    """Tends the library after each round; its patches pass the same gates."""

    async def tend(
        self, library: Snapshot, rounds: Sequence[Sequence[Episode]], audits: Sequence[Audit], context: Context
    ) -> Tending:
        """`rounds` holds the episodes of every round, this one's last; `audits` all that were made, oldest first."""
        ...


class Selector(Protocol):
    """Chooses among the snapshots that the rounds left behind, the one at the start first."""

    async def choose(self, snapshots: Sequence[Snapshot], context: Context) -> Snapshot: ...


@dataclass(frozen=True, slots=True)
class Recipe:
    """One published method, as a composition of parts."""

    name: str
    source: Source
    provider: Provider
    analyst: Analyst
    proposer: Proposer
    consolidator: Consolidator
    gates: tuple[Gate, ...]
    selector: Selector
    maintainer: Maintainer | None = None
    verifier: Verifier | None = None
    """Scores tasks of the method's own making; those of the suite are checked by the suite."""
    branch: Selector | None = None
    """Which snapshot the next round starts from; the last one when None."""
    agent: Callable[[Agent], Agent] = lambda agent: agent
    """What the method puts around the executor, such as a planner that asks for a missing skill. It must leave the
    agent as it is where it is shown no skill, so that methods stay comparable."""
    rollouts: int = 1
    """Runs of each task of a round, under seeds of their own."""
    rounds: int = 1
    checks: tuple[Task, ...] = ()
    """Evidence tasks from which an accepted patch leaves regression checks, the first ones first. Empty: the tasks of
    the run so far, the latest first."""
