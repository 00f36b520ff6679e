"""SPEAR: learning again from one's own good episodes, ever more, while a bonus for using tools fades (2509.22601).

    loss = GRPO(this step's episodes) + c(t) * GRPO(replayed episodes)         c rises from 0 to 1 as half a cosine
Replayed are episodes whose advantage was high, ten steps old at most, with an advantage estimated anew: reward less the
median of all recent rewards. The reward is the outcome, plus min(1, 0.1 * tool calls), which fades as c rises. Both
terms leave out a few of the tokens whose covariance of advantage and log-probability is high. The baseline that it
builds on ("Dr.BoT"): no KL, clip 0.2 and 0.28, no division by the deviation, sums over the longest row, and only the
three quarters of the groups that vary most.

The paper keeps advantages above 1, where success pays 10; here it pays 1 and a group's best is never so far above its
mean, so the bound is 0.5. The buffer is as much smaller as the batch is.

Here: `grid`, one reward at the very end of up to 28 steps; a tool call is an action that does something.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from prowess.core.task import Task
from prowess.train.advantages import GroupNorm, MostVaried
from prowess.train.curricula import practice
from prowess.train.losses import CovarianceClip, PolicyGradient
from prowess.train.measures import play
from prowess.train.mechanisms.base import Env
from prowess.train.mechanisms.grid import Grid
from prowess.train.parts import Loss, Optim, Recipe
from prowess.train.policies.load import tiny
from prowess.train.replay import WEIGHT, SelfImitation, rising
from prowess.train.rollouts import Episodes
from prowess.train.samples import Context, Group
from prowess.train.study import Arm, Phase, Policies, Skills, Study
from prowess.train.trainer import Metrics
from prowess.train.warm import imitation

STEPS = 150
LEVEL = 2
LONGEST = 28
"""Steps that the largest room of this level needs at most, twice over."""
RISE = 100
"""Steps until the replayed term has its full weight and the bonus is gone."""
INVALID = -0.1


def bonus(step: int, over: int, calls: int) -> float:
    """The reward for tool calls: min(1, 0.1 * calls), times a factor that falls from 1 to 0 as half a cosine."""
    return min(1.0, 0.1 * calls) * (1 + math.cos(math.pi * min(step, over) / over)) / 2


@dataclass(frozen=True, slots=True)
class Rewards:
    """The outcome, -0.1 a step for actions that are none, and the bonus."""

    tools: bool = True

    def __call__(self, groups: Sequence[Group], ctx: Context) -> None:
        for e in (e for group in groups for e in group):
            pairs = zip(e.samples, e.info["answers"], strict=True)
            valid = [len(did) == 1 and did in sample.anchor.partition("|")[2] for sample, did in pairs]
            outcome = sum(e.info["rewards"])
            e.parts |= {"outcome": outcome, "steps": float(len(valid))}
            extra = bonus(ctx.step, RISE, sum(valid)) if self.tools else 0.0
            e.reward = outcome + INVALID * valid.count(False) / len(valid) + extra


def recipe(*, imitate: bool = True, rise: int | None = RISE, tools: bool = True, estimate: bool = True) -> Recipe:
    """SPEAR; without `imitate` it is the baseline; `rise` None replays with full weight from the start; without
    `estimate` replayed episodes keep the advantage that they once had."""
    world = Grid()
    losses: tuple[Loss, ...] = (CovarianceClip(PolicyGradient(0.2, 0.28, aggregate="length")),)
    if imitate:
        scale = rising(rise) if rise else 1.0
        losses = (*losses, CovarianceClip(PolicyGradient(0.2, 0.28, aggregate="length", weight=WEIGHT, scale=scale)))
    what = f"replay over {rise}" if imitate else "no replay"
    return Recipe(
        name=f"SPEAR, {what}{'' if tools else ', no bonus'}{'' if estimate else ', old advantages'}",
        curriculum=practice(world, level=LEVEL),
        rollout=_rollout(world, 8),
        reward=Rewards(tools),
        advantage=MostVaried(GroupNorm(std=False)),
        replay=SelfImitation(capacity=32, threshold=0.5, estimate=estimate) if imitate else None,
        losses=losses,
        optim=Optim(lr=5e-4, tokens=16_384),  # one batch: covariances are about all of it
        prompts=8,
    )


def grpo() -> Recipe:
    """GRPO as it was, on the outcome alone."""
    return Recipe(
        name="GRPO",
        curriculum=practice(Grid(), level=LEVEL),
        rollout=_rollout(Grid(), 8),
        reward=Rewards(tools=False),
        advantage=GroupNorm(),
        losses=(PolicyGradient(0.2, 0.2),),
        optim=Optim(lr=5e-4),
        prompts=8,
    )


def _rollout(world: Grid, copies: int) -> Episodes:
    def env(task: Task, ctx: Context) -> Env:
        return world.env(task)

    return Episodes(env, world.longest, copies, turns=LONGEST, style="steps", history=0)


def _measure(policies: Policies, skills: Skills, seed: int, n: int) -> Metrics:
    """Success and steps of greedy walks; and how undecided the policy still is, in nats a token."""
    world = Grid()
    tasks = world.tasks("test", n, level=LEVEL, seed=1)
    episodes = [e for g in play(_rollout(world, 1), tasks, policies) for e in g]
    drawn = [e for g in play(_rollout(world, 1), tasks, policies, temperature=1.0) for e in g]
    surprise = [-p for e in drawn for s in e.samples for p, m in zip(s.logp, s.mask, strict=True) if m]
    return {
        "success": statistics.fmean(sum(e.info["rewards"]) for e in episodes),
        "sampled": statistics.fmean(sum(e.info["rewards"]) for e in drawn),
        "steps": statistics.fmean(len(e.samples) for e in drawn),
        "entropy": statistics.fmean(surprise),
    }


def study() -> Study:
    return Study(
        name="spear",
        source="SPEAR: Self-imitation with Progressive Exploration for Agentic RL, arXiv 2509.22601",
        claim="Replaying good episodes, ever more, finds rare successes sooner than GRPO; from the start it narrows "
        "the policy too early.",
        substituted="A decoder of 0.1 M parameters and rooms with a key for Qwen2.5 and ALFWorld; a warm start of "
        "random steps.",
        headline="sampled",
        start=lambda seed: tiny(width=64, layers=2, context=48, seed=seed),
        warm=lambda seed: Phase(imitation(lambda n, s: Grid().warm_start(n, seed=s)), 400),
        arms={
            "SPEAR": Arm("replay that grows, bonus that fades", lambda seed: [Phase(recipe(), STEPS)]),
            "GRPO": Arm("the outcome alone", lambda seed: [Phase(grpo(), STEPS)]),
            "no replay": Arm("the baseline it builds on", lambda seed: [Phase(recipe(imitate=False), STEPS)]),
            "always on": Arm("full replay from the start", lambda seed: [Phase(recipe(rise=None), STEPS)]),
            "old advantages": Arm("not estimated anew", lambda seed: [Phase(recipe(estimate=False), STEPS)]),
        },
        measure=_measure,
    )
