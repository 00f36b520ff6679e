"""Skill-SD: the policy is its own teacher, with skills in the prompt (2604.10674).

The student answers the plain prompt. The teacher is the same policy, as it is now, reading the skills as well; it
answers nothing, it only scores the student's tokens. The loss is GRPO's plus lambda times the distance to the teacher
on those tokens, corrected for the policy that sampled them: ratio * (exp(-l) - 1 + l), where l is the student's less
the teacher's log-probability. Lambda is 0.001; 0.01 is too much, says the paper.

The paper's skills are written by an external model from rollouts, and chosen by UCB over what they helped; here every
family has its one skill, the rule itself. Retrieval is therefore not what is tested.

Here: `rules`, six families with a hidden rule each.
"""

from prowess.train.advantages import GroupNorm
from prowess.train.curricula import practice
from prowess.train.losses import Distill, PolicyGradient
from prowess.train.mechanisms.rules import Rules
from prowess.train.parts import Loss, Optim, Recipe
from prowess.train.policies.load import tiny
from prowess.train.recipes.skill0 import measure
from prowess.train.rewards import Outcome
from prowess.train.rollouts import SingleTurn
from prowess.train.samples import Episode
from prowess.train.study import Arm, Phase, Study
from prowess.train.teachers import Scored
from prowess.train.warm import imitation

STEPS = 240


def recipe(seed: int, *, scale: float = 0.001, reinforce: bool = True, teacher: str = "actor") -> Recipe:
    """Skill-SD on the world of a seed. `scale` 0 is GRPO; without `reinforce` it is distillation alone; the teacher
    `reference` stays what the warm start was."""
    world = Rules(seed)

    def with_skill(episode: Episode) -> str:
        return world.shown(episode.task, world.skill(str(episode.task.meta["family"])))

    losses: tuple[Loss, ...] = (PolicyGradient(0.2, 0.2, scale=float(reinforce)), Distill(scale))
    return Recipe(
        name=f"Skill-SD, lambda {scale:g}, {'with' if reinforce else 'without'} GRPO, teacher {teacher}",
        curriculum=practice(world),
        rollout=SingleTurn(world.longest, copies=8),
        reward=Outcome(world.check),
        advantage=GroupNorm(),
        teacher=Scored(teacher, prompt=with_skill),
        losses=losses,
        optim=Optim(lr=1e-3),
        prompts=24,
    )


def study() -> Study:
    return Study(
        name="skill_sd",
        source="Skill-SD, arXiv 2604.10674",
        claim="A little distillation from oneself with skills beats GRPO alone, and distillation alone.",
        substituted="A decoder of 0.1 M parameters and families with hidden rules for Qwen3-4B and AppWorld; given "
        "rules for skills written by a model.",
        headline="without skills",
        start=lambda seed: tiny(width=64, layers=2, context=32, seed=seed),
        warm=lambda seed: Phase(imitation(lambda n, s: Rules(seed).warm_start(n, seed=s)), 600),
        arms={
            "Skill-SD": Arm("GRPO and distillation", lambda seed: [Phase(recipe(seed), STEPS)]),
            "GRPO": Arm("no teacher", lambda seed: [Phase(recipe(seed, scale=0.0), STEPS)]),
            "distillation": Arm("no reward", lambda seed: [Phase(recipe(seed, reinforce=False), STEPS)]),
            "frozen teacher": Arm(
                "the warm start teaches", lambda seed: [Phase(recipe(seed, teacher="reference"), STEPS)]
            ),
            "lambda 0.01": Arm("ten times the distillation", lambda seed: [Phase(recipe(seed, scale=0.01), STEPS)]),
        },
        measure=measure,
    )
