"""Rollouts in the world of the rest of prowess: an agent does the tasks of a suite, with the policy as its model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio import to_thread

from prowess.agents.base import Agent
from prowess.agents.record import final_message
from prowess.core.errors import BoundaryError
from prowess.core.model import Model
from prowess.core.skill import Snapshot
from prowess.core.task import Task
from prowess.measure.gates import Provider
from prowess.suites.base import Suite
from prowess.train.policies.as_model import PolicyModel, Seat
from prowess.train.samples import Context, Episode, Group, joined


@dataclass(frozen=True, slots=True)
class AgentRuns:
    """`copies` runs of an agent on each task; every answer of the policy is a sample, as the agent's steps are.

    The agent is shown what `provider` shows of those skills of the library that the context still has. Whether a run
    passed is judged by the suite, as everywhere: `info["passed"]`, None where it is missing. `info["offered"]` names
    the skills that it was shown.
    """

    suite: Suite
    library: Snapshot
    provider: Provider
    agent: Callable[[Model], Agent]
    longest: int
    """Most tokens of one answer."""
    copies: int = 8
    policy: str = "actor"
    _parts: dict[tuple[str, ...], Snapshot] = field(default_factory=dict[tuple[str, ...], Snapshot], repr=False)
    """Parts of the library by names, each one object: providers keep what they know of a snapshot beside it."""

    def __call__(self, tasks: Sequence[Task], policies: Mapping[str, Any], ctx: Context) -> list[Group]:
        return anyio.run(self._played, tasks, policies[self.policy], ctx)

    def part(self, names: Mapping[str, str]) -> Snapshot:
        """The library as far as `names` go."""
        key = tuple(name for name in self.library.names if name in names)
        if key not in self._parts:
            self._parts[key] = Snapshot(skills=tuple(s for s in self.library.skills if s.name in names))
        return self._parts[key]

    async def _played(self, tasks: Sequence[Task], actor: Any, ctx: Context) -> list[Group]:
        total, shown = len(tasks) * self.copies, self.part(ctx.skills)
        model = PolicyModel(
            actor, f"policy:{actor.name}", longest=self.longest, temperature=ctx.temperature, seed=ctx.seed,
            together=total,
        )  # fmt: skip
        found: dict[int, Episode] = {}

        async def one(number: int) -> None:
            task, seat = tasks[number // self.copies], model.seat(number)
            view = self.provider.view(task, shown)
            try:
                run = await self.agent(seat).run(task, view, number % self.copies)
            finally:
                model.leave()
            passed: bool | None = None
            if run.status == "completed":
                try:
                    score = await to_thread.run_sync(self.suite.check, task, run.outputs, final_message(run))
                    passed = score.passed
                except BoundaryError:
                    pass  # what judges failed, which says nothing about the run
            offered = [s.name for s in view.skills]
            found[number] = Episode(task, _samples(seat, actor, ctx), info={"passed": passed, "offered": offered})

        async with anyio.create_task_group() as group:
            for number in range(total):
                group.start_soon(one, number)
        return [[found[i] for i in range(j, j + self.copies)] for j in range(0, total, self.copies)]


def _samples(seat: Seat, actor: Any, ctx: Context) -> list[Any]:
    samples = [
        joined(said.prompt, said.completion, actor.name, version=actor.version, temperature=ctx.temperature)
        for said in seat.said
    ]
    for position, sample in enumerate(samples):
        sample.position = position
    return samples


def passed(groups: Sequence[Group], ctx: Context) -> None:
    """Reward: 1 for a run that passed, 0 for one that did not, none for one that is missing."""
    for group in groups:
        for episode in group:
            of = episode.info["passed"]
            episode.reward = None if of is None else float(of)
            episode.parts["shown"] = float(bool(episode.info["offered"]))
