"""SCoRe: teaching a model to correct itself by reinforcement (2409.12917).

Two attempts: an answer, then "there might be an error, try again", then another answer. Trained at once for both, a
model learns to answer well first and to repeat itself. SCoRe trains in two stages. Stage I: the second attempt must be
right, the first is held to the base model by KL. Stage II: both must be right, and the second earns a bonus of
`alpha` times what it improved: r2 + alpha * (r2 - r1). REINFORCE with KL, alpha 10.

The bonus goes to the tokens of the second attempt only; given to the first as well, it would pay for being wrong first.
That is our reading; the paper's formula adds it to the reward of the second attempt.

Here: `expr`. The first attempt must be said by heart, and is often wrong; the second may be written out. The warm start
shows every habit of the second attempt: repeating (mostly), changing at random, and, seldom, working it out.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from prowess.core.task import Task
from prowess.train.advantages import TurnNorm
from prowess.train.curricula import practice
from prowess.train.losses import KL, PolicyGradient
from prowess.train.measures import play
from prowess.train.mechanisms.base import Example, Heard, split_of
from prowess.train.mechanisms.expr import Expressions
from prowess.train.parts import Optim, Recipe
from prowess.train.policies.load import tiny
from prowess.train.rollouts import Episodes
from prowess.train.samples import Context, Group, Sample
from prowess.train.study import Arm, Phase, Policies, Skills, Study
from prowess.train.teachers import Scored
from prowess.train.trainer import Metrics
from prowess.train.warm import imitation

ASK = "?"
"""Stands for the paper's request to look again."""
LEVEL = 2
STEPS = 150
HABITS = {"repeat": 0.75, "change": 0.19, "work out": 0.06}
"""What second attempts of the warm start do."""


def shaped(r1: float, r2: float, alpha: float = 10.0) -> tuple[float, float]:
    """Stage II's rewards of the two attempts."""
    return r1, r2 + alpha * (r2 - r1)


@dataclass(slots=True)
class TwoAttempts:
    """The environment: an answer, the request, another answer. Only the last `=` of each counts."""

    world: Expressions
    task: Task
    asked: bool = False

    def reset(self) -> str:
        return self.task.prompt

    def step(self, action: str) -> Heard:
        first, self.asked = not self.asked, True
        by_heart = not first or len(action) == 2  # what is written out at once is no attempt by heart
        right = self.world.check(self.task, action) if by_heart else 0.0
        return Heard(ASK if first else "", right, done=not first)


@dataclass(frozen=True, slots=True)
class Rewards:
    """What each attempt earns in a stage."""

    stage: int
    alpha: float = 10.0

    def __call__(self, groups: Sequence[Group], ctx: Context) -> None:
        for group in groups:
            for e in group:
                r1, r2 = e.info["rewards"]
                e.reward = r2 if self.stage == 1 else r1 + r2
                e.step_rewards = [r2, r2] if self.stage == 1 else list(shaped(r1, r2, self.alpha))
                e.parts |= {"first": r1, "second": r2}


def stage(number: int, *, alpha: float = 10.0, beta1: float = 0.01, beta2: float = 0.1) -> Recipe:
    """One of the two stages. Stage II with alpha 0 and beta 0 is plain multi-turn REINFORCE."""
    world = Expressions()
    beta = beta2 if number == 1 else beta1

    def held(sample: Sample, at: int) -> float:
        return float(number == 2 or sample.turn[at] == 0)

    return Recipe(
        name=f"stage {number}, alpha {alpha:g}",
        curriculum=practice(world, level=LEVEL),
        rollout=_rollout(world, copies=4),
        reward=Rewards(number, alpha),
        advantage=TurnNorm(),
        teacher=Scored("reference", weight=held) if beta else None,
        losses=(PolicyGradient(), KL(beta)) if beta else (PolicyGradient(),),
        optim=Optim(lr=3e-4),
        prompts=32,
    )


def _rollout(world: Expressions, copies: int) -> Episodes:
    return Episodes(lambda task, ctx: TwoAttempts(world, task), world.answer_length(LEVEL), copies, turns=2)


def warm_start(world: Expressions, n: int, seed: int) -> list[Example]:
    """A first answer by heart, right half of the time, and a second one by one of the habits."""
    rng = random.Random(f"score/{seed}")
    found: list[Example] = []
    while len(found) < n:
        prompt = world.expression(rng, LEVEL)
        if split_of(prompt) != "evidence":
            continue
        steps = world.steps(prompt)
        first = steps[-2:] if rng.random() < 0.5 else f"={rng.randrange(world.modulus)}"
        habit = rng.choices(list(HABITS), list(HABITS.values()))[0]
        second = {"repeat": first, "change": f"={rng.randrange(world.modulus)}", "work out": steps}[habit]
        found.append(Example(prompt, first, ((ASK, second),)))
    return found


def _measure(policies: Policies, skills: Skills, seed: int, n: int) -> Metrics:
    """Accuracy of both attempts, and what the second made of the first."""
    world = Expressions()
    tasks = world.tasks("test", n, level=LEVEL, seed=1)
    pairs = [e.info["rewards"] for g in play(_rollout(world, 1), tasks, policies) for e in g]
    return {
        "first": sum(r1 for r1, _ in pairs) / n,
        "second": sum(r2 for _, r2 in pairs) / n,
        "gain": sum(r2 - r1 for r1, r2 in pairs) / n,
        "wrong to right": sum(r1 < r2 for r1, r2 in pairs) / n,
        "right to wrong": sum(r1 > r2 for r1, r2 in pairs) / n,
    }


def study() -> Study:
    def two(alpha: float) -> list[Phase]:
        return [Phase(stage(1), STEPS), Phase(stage(2, alpha=alpha), STEPS)]

    return Study(
        name="score",
        source="Training Language Models to Self-Correct via Reinforcement Learning, arXiv 2409.12917",
        claim="Two stages and the bonus make second attempts better than first ones; plain training gains less.",
        substituted="A decoder of 0.1 M parameters and arithmetic modulo 7 for Gemini and MATH; REINFORCE with rewards "
        "normalised over the batch.",
        headline="gain",
        start=lambda seed: tiny(width=64, layers=2, context=64, seed=seed),
        warm=lambda seed: Phase(imitation(lambda n, s: warm_start(Expressions(), n, s)), 1500),
        arms={
            "SCoRe": Arm("two stages, bonus 10", lambda seed: two(10.0)),
            "plain": Arm("both attempts at once, no bonus", lambda seed: [Phase(stage(2, alpha=0.0), 2 * STEPS)]),
            "no stage I": Arm("bonus only", lambda seed: [Phase(stage(2), 2 * STEPS)]),
            "no bonus": Arm("two stages, no bonus", lambda seed: two(0.0)),
        },
        measure=_measure,
        measured=256,
    )
