"""SKILL0: reinforcement with skills in the prompt, which are withdrawn by what they still help (2604.02268).

Early on skills make success likely enough to learn from; at the end the policy must stand alone. Every audit plays
validation tasks with and without skills. For each skill, delta = success with - success without. Those with delta
below 0 are dropped; of the rest the highest stay, as many as the schedule allows in this part of training: [6, 3, 0],
so that the last third trains without. GRPO, no KL, -0.1 for an action that is none.

The paper also renders prompts as images and lets the policy choose how small; that is left out. Its code asserts that
the schedule divides the number of audits; here parts of equal length are taken by progress.

Here: `rules`, six families with a hidden rule each; a skill is the rule before the prompt. On a library of one's own:
`prowess.train.internalise`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from prowess.train.advantages import GroupNorm
from prowess.train.curricula import practice
from prowess.train.losses import PolicyGradient
from prowess.train.mechanisms.rules import Rules
from prowess.train.parts import Optim, Policy, Recipe
from prowess.train.policies.load import tiny
from prowess.train.rollouts import SingleTurn
from prowess.train.samples import Context, Group
from prowess.train.skills import shown, success, with_and_without
from prowess.train.study import Arm, Phase, Policies, Skills, Study
from prowess.train.trainer import Metrics
from prowess.train.warm import imitation

STEPS = 240
AUDIT_EVERY = 10
AUDITED = 16
"""Validation tasks for each skill."""
INVALID = -0.1


def keep(deltas: Mapping[str, float], most: int, general: Sequence[str] = ()) -> list[str]:
    """The skills that stay: general ones first, then the most helpful that do not harm; none where `most` is 0."""
    if most == 0:
        return []
    ranked = sorted(deltas, key=lambda name: -deltas[name])
    helpful = [name for name in ranked if deltas[name] >= 0 and name not in general]
    return [*general, *helpful[: max(0, most - len(general))]]


def allowed(progress: float, schedule: Sequence[int]) -> int:
    """How many skills this part of training may show; all parts are equally long."""
    return schedule[min(len(schedule) - 1, int(progress * len(schedule)))]


Delta = Callable[[str, Mapping[str, Policy], Context], float]
"""Success with a skill less success without it, on validation tasks that show it."""


@dataclass(frozen=True, slots=True)
class Withdraw:
    """The audit: measure every skill that is still shown, and keep what the rule keeps.

    `by` chooses what is kept: `delta` the method; `fixed` ignores the measurement, `lowest` turns it round.
    """

    delta: Delta
    schedule: tuple[int, ...] = (6, 3, 0)
    by: str = "delta"

    def __call__(self, policies: Mapping[str, Policy], ctx: Context) -> None:
        most = allowed(ctx.progress, self.schedule)
        if not ctx.skills or (self.by == "fixed" and most >= len(ctx.skills)):
            return
        measured = self.by != "fixed" and most > 0  # where none may stay, nothing need be known of them
        deltas = {name: self.delta(name, policies, ctx) if measured else 0.0 for name in ctx.skills}
        if self.by == "lowest":
            deltas = {name: 1.0 - delta for name, delta in deltas.items()}
        kept = keep(deltas, most)
        ctx.skills = {name: text for name, text in ctx.skills.items() if name in kept}


def helped(world: Rules) -> Delta:
    """Delta in the world of rules."""

    def delta(name: str, policies: Mapping[str, Policy], ctx: Context) -> float:
        used, alone = with_and_without(world, name, AUDITED, policies, ctx)
        return used - alone

    return delta


@dataclass(frozen=True, slots=True)
class Judged:
    """Success, and a small penalty for what is no action."""

    world: Rules

    def __call__(self, groups: Sequence[Group], ctx: Context) -> None:
        for group in groups:
            for e in group:
                answer = e.info["answer"]
                e.reward = self.world.check(e.task, answer) + (0.0 if self.world.valid(answer) else INVALID)
                e.parts["shown"] = float(str(e.task.meta["family"]) in ctx.skills)


def recipe(seed: int, *, start: int = 6, audit: str = "delta") -> Recipe:
    """SKILL0 on the world of a seed; an empty `audit` never withdraws."""
    world = Rules(seed)
    return Recipe(
        name=f"SKILL0, {start} skills, {audit or 'never'} withdrawn",
        curriculum=practice(world),
        rollout=SingleTurn(world.longest, copies=8, prompt=shown(world)),
        reward=Judged(world),
        advantage=GroupNorm(),
        losses=(PolicyGradient(0.2, 0.2),),
        optim=Optim(lr=1e-3),
        prompts=24,
        skills=dict(list(world.rules.items())[:start]),
        audits=(Withdraw(helped(world), by=audit),) if audit else (),
        audit_every=AUDIT_EVERY,
    )


def measure(policies: Policies, skills: Skills, seed: int, n: int) -> Metrics:
    """Greedy success on held-out tasks, with every skill in the prompt and with none."""
    world = Rules(seed)
    tasks = world.tasks("test", n, seed=1)
    return {
        "without skills": success(world, tasks, policies, {}),
        "with skills": success(world, tasks, policies, world.rules),
    }


def study() -> Study:
    return Study(
        name="skill0",
        source="SKILL0: In-Context Agentic Reinforcement Learning for Skill Internalization, arXiv 2604.02268",
        claim="Skills that are shown and then withdrawn leave more behind than skills never shown, or always shown.",
        substituted="A decoder of 0.1 M parameters and families with hidden rules for Qwen2.5-VL and ALFWorld; text "
        "for images.",
        headline="without skills",
        start=lambda seed: tiny(width=64, layers=2, context=32, seed=seed),
        warm=lambda seed: Phase(imitation(lambda n, s: Rules(seed).warm_start(n, seed=s)), 600),
        arms={
            "SKILL0": Arm("withdrawn by what they help", lambda seed: [Phase(recipe(seed), STEPS)]),
            "never shown": Arm("GRPO without skills", lambda seed: [Phase(recipe(seed, start=0, audit=""), STEPS)]),
            "always shown": Arm("GRPO with skills", lambda seed: [Phase(recipe(seed, audit=""), STEPS)]),
            "fixed schedule": Arm("withdrawn unmeasured", lambda seed: [Phase(recipe(seed, audit="fixed"), STEPS)]),
            "keep lowest": Arm("the least helpful stay", lambda seed: [Phase(recipe(seed, audit="lowest"), STEPS)]),
        },
        measure=measure,
    )
