"""The original beside what it was compiled to: the team as an agent, and the comparison of both on the same tasks."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from prowess.agents.base import Agent
from prowess.core.base import digest
from prowess.core.cost import Cost, total
from prowess.core.errors import BoundaryError
from prowess.core.evidence import Evidence, Trial
from prowess.core.model import Message, Model, Request
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import Task
from prowess.core.trajectory import Step, Trajectory
from prowess.core.view import View
from prowess.evolve.compiling.definition import Hand, Role, Team
from prowess.measure.compare import compare
from prowess.measure.trials import WITHOUT, Arm, Bench, run_trials

_NEXT = re.compile(r"^\W*NEXT\W+(.+?)\W*$", re.MULTILINE | re.IGNORECASE)
_SAID = 4_000
"""Characters of one message that the others are shown."""


class TeamAgent:
    """Runs a team: each role speaks in a context of its own and sees the task and what was said.

    The role that ends the work is played by `worker`, an ordinary agent with the same model, since tasks are done and
    not talked about; where the end is a choice of a role, `worker` does the task with all that was said.
    """

    def __init__(
        self, team: Team, model: Model, worker: Agent, *, max_tokens: int = 800, turns: int | None = None
    ) -> None:
        self.team = team
        self.model = model
        self.worker = worker
        self.max_tokens = max_tokens
        self.turns = turns or 3 * len(team.roles)
        """Messages after which the work is ended, whatever the roles say."""

    @property
    def name(self) -> str:
        settings = f"turns={self.turns} tokens={self.max_tokens}"
        return f"team/1 team={digest(self.team)[:8]} {settings} worker=[{self.worker.name}]"

    async def run(self, task: Task, view: View, seed: int) -> Trajectory:
        said: list[Step] = []
        role: Role | None = self.team.role(self.team.entry)
        try:
            while role is not None and self.team.after(role.name) and len(said) < self.turns:
                step, role = await self._speak(role, task, said, seed)
                said.append(step)
        except BoundaryError as failure:
            return Trajectory(
                id="", agent=self.name.split()[0], model=self.model.name, snapshot=view.snapshot, steps=tuple(said),
                status="missing", error=f"{type(failure).__name__}: {failure}", cost=_cost(said),
            )  # fmt: skip
        notes = _history(said)
        if role is not None:
            notes += f"\nYou are {role.name}. {role.instructions}"
        briefed = task.model_copy(update={"prompt": f"{task.prompt}\n\n{notes}".strip()})
        done = await self.worker.run(briefed, view, seed)
        return done.model_copy(
            update={"agent": "team/1", "steps": (*said, *done.steps), "cost": _cost(said) + done.cost}
        )

    async def _speak(self, role: Role, task: Task, said: Sequence[Step], seed: int) -> tuple[Step, Role | None]:
        hands = self.team.after(role.name)
        routes = f"\nEnd with a line NEXT: and one of: {', '.join(map(_option, hands))}." if len(hands) > 1 else ""
        response = await self.model.complete(
            Request(
                messages=(
                    Message(role="system", content=f"You are {role.name}. {role.instructions}{routes}"),
                    Message(role="user", content=f"{task.prompt}\n\n{_history(said)}".strip()),
                ),
                max_tokens=self.max_tokens,
                seed=seed,
            )
        )
        step = Step(source="agent", message=f"{role.name}: {response.text}", model=response.model, cost=response.cost)
        chosen = _chosen(response.text, hands)
        return step, None if chosen.target is None else self.team.role(chosen.target)


def _chosen(text: str, hands: Sequence[Hand]) -> Hand:
    """The hand-off that the last `NEXT:` line names; the first one where it names none."""
    for name in reversed(_NEXT.findall(text)):
        for hand in hands:
            if (hand.target or "end").casefold() == name.strip("`'\"*. ").casefold():
                return hand
    return hands[0]


def _option(hand: Hand) -> str:
    return (hand.target or "end") + (f" (when {hand.when})" if hand.when else "")


def _history(said: Sequence[Step]) -> str:
    return "Said so far:\n" + "\n\n".join(step.message[:_SAID] for step in said) if said else ""


def _cost(said: Sequence[Step]) -> Cost:
    return total([step.cost for step in said if step.cost is not None])


@dataclass(frozen=True, slots=True)
class Against:
    """The team and the single agent with its skills on the same tasks."""

    evidence: Evidence
    """Baseline `team`, treatment `skills`."""
    team: Cost
    skills: Cost

    @property
    def tokens(self) -> float:
        """Tokens of the single agent as a share of the team's; 1 where neither used any."""
        return self.skills.tokens / self.team.tokens if self.team.tokens else 1.0


async def against_team(
    team: Team, skills: Sequence[Skill], model: Model, tasks: Sequence[Task], bench: Bench, *, seed: int = 0
) -> Against:
    """Both on `tasks`, in pairs; `bench.agent` is the single agent, and the worker of the team.

    Raises:
        BudgetExceeded: a limit was reached; the same call resumes.
    """
    snapshot = Snapshot.of(list(skills))
    original = Arm("team", lambda task: WITHOUT)
    compiled = Arm("skills", lambda task: View(snapshot=snapshot.digest, skills=snapshot.skills))
    crowd = replace(bench, agent=TeamAgent(team, model, bench.agent))
    trials: list[Trial] = []
    for arm, where in ((original, crowd), (compiled, bench)):
        trials += await run_trials(tasks, (arm,), (seed,), where, order_seed=seed)
    # Two agents are compared, so their conditions differ by design; suite, model and budget are those of `bench`.
    trials = [t.model_copy(update={"conditions": ""}) for t in trials]
    team_cost, skills_cost = (total([t.cost for t in trials if t.arm == arm.name]) for arm in (original, compiled))
    return Against(compare(trials, original.name, compiled.name), team_cost, skills_cost)
