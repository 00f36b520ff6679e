"""SAGE: reinforcement with a skill library, over chains of tasks (2512.17102).

A chain is two tasks of one scenario. The first is solved with an empty library; functions that it defines and that run
are kept; the second is solved with them. The reward pays for skills that help later:
    R1 = r1 + [r1 = 1][r2 = 1][my skill was called]      R2 = r2 + [r2 = 1][I called an earlier skill]
and -1 where no program came at all. Advantage: reward less the mean over the group at the same place of the chain, not
divided by its deviation. Clipped policy gradient, mean over the tokens of each answer, no KL.

Here: `macro`, programs that write letters. A skill counts as used when it ran, and was defined by the earlier task.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prowess.core.task import Task
from prowess.train.advantages import GroupNorm
from prowess.train.curricula import practice
from prowess.train.losses import PolicyGradient
from prowess.train.measures import play
from prowess.train.mechanisms.macro import Macro, run
from prowess.train.parts import Optim, Policy, Recipe
from prowess.train.policies.load import tiny
from prowess.train.samples import Context, Episode, Group, joined
from prowess.train.study import Arm, Phase, Policies, Skills, Study
from prowess.train.trainer import Metrics
from prowess.train.warm import imitation

STEPS = 150


def sage(r1: float, r2: float, used: bool, *, said1: bool = True, said2: bool = True) -> tuple[float, float]:
    """The skill-integrated rewards of the two tasks; `said`: whether a program came at all."""
    made = float(r1 == 1 and r2 == 1 and used)
    called = float(r2 == 1 and used)
    return (r1 + made if said1 else -1.0, r2 + called if said2 else -1.0)


@dataclass(frozen=True, slots=True)
class Chain:
    """Sequential rollout: the first task, what it leaves in the library, the second task. One group a chain."""

    world: Macro
    copies: int = 8

    def __call__(self, tasks: Sequence[Task], policies: Mapping[str, Policy], ctx: Context) -> list[Group]:
        actor = policies["actor"]
        pairs = [(task, self.world.second(task)) for task in tasks for _ in range(self.copies)]
        library = [""] * len(pairs)
        episodes = [Episode(first, [], info={"answers": [], "rewards": [], "used": False}) for first, _ in pairs]
        for place in (0, 1):
            shown = [self.world.shown(pair[place], known) for pair, known in zip(pairs, library, strict=True)]
            prompts = [actor.tokens.prompt(text) for text in shown]
            said = actor.sample(
                prompts, longest=self.world.limits[place] + 1, temperature=ctx.temperature, seed=ctx.seed()
            )
            for i, c in enumerate(said):
                program, episode = actor.tokens.decode(c.ids), episodes[i]
                sample = joined(prompts[i], c, "actor", version=actor.version, temperature=ctx.temperature)
                sample.position = place
                episode.samples.append(sample)
                did = run(program, library[i], self.world.letters)
                episode.info["answers"].append(program)
                episode.info["rewards"].append(self.world.check(pairs[i][place], program, library[i]))
                episode.info["used"] = episode.info["used"] or (place == 1 and did.called)
                library[i] = did.defined if did.valid else ""
        return [episodes[i : i + self.copies] for i in range(0, len(episodes), self.copies)]


@dataclass(frozen=True, slots=True)
class Rewards:
    """SAGE's rewards, or the ablations: each task's own outcome, or the chain's for both."""

    kind: str = "skill"

    def __call__(self, groups: Sequence[Group], ctx: Context) -> None:
        for group in groups:
            for e in group:
                (r1, r2), used = e.info["rewards"], bool(e.info["used"])
                said = [bool(a) for a in e.info["answers"]]
                if self.kind == "skill":
                    e.step_rewards = list(sage(r1, r2, used, said1=said[0], said2=said[1]))
                elif self.kind == "chain":
                    e.step_rewards = [(r1 + r2) / 2] * 2
                else:
                    e.step_rewards = [r if s else -1.0 for r, s in zip((r1, r2), said, strict=True)]
                e.reward = (r1 + r2) / 2
                e.parts |= {"both": float(r1 == r2 == 1), "used": float(used)}


def recipe(kind: str = "skill") -> Recipe:
    world = Macro()
    return Recipe(
        name=f"SAGE, {kind} reward",
        curriculum=practice(world),
        rollout=Chain(world),
        reward=Rewards(kind),
        advantage=GroupNorm(std=False, by=("position",)),
        losses=(PolicyGradient(0.2, 0.28, aggregate="sequence"),),
        optim=Optim(lr=5e-4),
        prompts=16,
    )


def _measure(policies: Policies, skills: Skills, seed: int, n: int) -> Metrics:
    """Share of tasks and of whole chains solved, use of skills, tokens of a chain."""
    world = Macro()
    tasks = world.tasks("test", n, seed=1)
    episodes = [e for g in play(Chain(world, 1), tasks, policies) for e in g]
    return {
        "chains": sum(e.info["rewards"] == [1.0, 1.0] for e in episodes) / n,
        "tasks": sum(sum(e.info["rewards"]) for e in episodes) / (2 * n),
        "use": sum(bool(e.info["used"]) for e in episodes) / n,
        "tokens": sum(sum(map(len, e.info["answers"])) for e in episodes) / n,
    }


def study() -> Study:
    return Study(
        name="sage",
        source="Reinforcement Learning for Self-Improving Agent with Skill Library, arXiv 2512.17102",
        claim="Paying for skills that help later solves more whole chains than paying each task's outcome.",
        substituted="A decoder of 0.1 M parameters and a machine that writes letters for a 32 B model and AppWorld; a "
        "warm start by grammar for one by an expert's trajectories.",
        headline="chains",
        start=lambda seed: tiny(width=64, layers=2, context=48, seed=seed),
        warm=lambda seed: Phase(imitation(lambda n, s: Macro().warm_start(n, seed=s)), 800),
        arms={
            "SAGE": Arm("skill-integrated reward", lambda seed: [Phase(recipe(), STEPS)]),
            "outcome": Arm("each task's own outcome", lambda seed: [Phase(recipe("outcome"), STEPS)]),
            "chain": Arm("the chain's outcome for both", lambda seed: [Phase(recipe("chain"), STEPS)]),
        },
        measure=_measure,
    )
