"""SLIM: which skills a policy is shown follows what each still contributes while it learns (2605.10923).

GRPO with skills in the prompt. Every few steps up to four skills are left out in turn, on validation tasks that show
them: u = success with it - success without it, into a moving average. A skill whose average is low several audits in a
row, on enough tasks, is retired: because it never helped, or because the policy no longer needs it. A family that fails
often, succeeds seldom and has no skill that helps is given a new one, two at most in an audit. The rules, with their
constants, are those that libraries of frozen models use: `prowess.measure.contribution`.

The paper chooses skills for an audit by use; here by use since their last audit, so that all get their turn. New skills
are written by an external model from failures; here the environment says what would have been right, and the writer
reads the rule off that. Prompts get the one skill of the task's family, without a search by meaning.

Here: `rules` with nine families. Three have a useful skill. Three are known by heart, so that theirs is useless; two
are known by heart and have a wrong skill, which harms; one has none.
"""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from prowess.core.task import Task
from prowess.measure.contribution import Rules as Constants
from prowess.measure.contribution import Standing
from prowess.train.advantages import GroupNorm
from prowess.train.losses import PolicyGradient
from prowess.train.mechanisms.base import Example
from prowess.train.mechanisms.rules import Rules
from prowess.train.parts import Audit, Optim, Policy, Recipe
from prowess.train.policies.load import tiny
from prowess.train.recipes.skill0 import Judged, Withdraw, helped
from prowess.train.rollouts import SingleTurn
from prowess.train.samples import Context, Group
from prowess.train.skills import shown, success, with_and_without
from prowess.train.study import Arm, Phase, Policies, Skills, Study
from prowess.train.trainer import Metrics
from prowess.train.warm import imitation

STEPS = 150
CONSTANTS = Constants()
USEFUL, USELESS, HARMFUL, WITHOUT = "ABC", "DEF", "GH", "I"
KNOWN = USELESS + HARMFUL
"""Families that the warm start knows by heart."""
AUDITED, ROUTED = 4, 16
"""Skills of one audit, and the validation tasks of each."""
FAILURES, GAP, NEW = 20, 0.4, 2
"""Failed episodes that make a gap, the success below which it is one, and new skills of one audit."""


def world_of(seed: int) -> Rules:
    return Rules(seed, families=9)


def library(world: Rules) -> dict[str, str]:
    """The skills at the start: right rules, and wrong ones."""
    wrong = dict.fromkeys(HARMFUL, world.rules[WITHOUT][::-1])
    return {name: wrong.get(name, rule) for name, rule in world.rules.items() if name != WITHOUT}


@dataclass(slots=True)
class Lifecycle:
    """Curriculum and audit in one: it sees which skills are used and which tasks fail, and changes the library."""

    world: Rules
    retire: bool = True
    expand: bool = True
    constants: Constants = CONSTANTS
    followed: dict[str, Standing] = field(default_factory=dict[str, Standing])
    used: Counter[str] = field(default_factory=Counter[str])
    """Times each skill was shown since its last audit."""
    failed: Counter[str] = field(default_factory=Counter[str])
    """Failed episodes of each family since it last got a skill."""

    def draw(self, n: int, ctx: Context) -> list[Task]:
        return self.world.tasks("evidence", n, seed=ctx.seed())

    def observe(self, groups: Sequence[Group], ctx: Context) -> None:
        for episode in (e for group in groups for e in group):
            family = str(episode.task.meta["family"])
            self.used[family] += family in ctx.skills
            self.failed[family] += (episode.reward or 0.0) < 1.0

    def __call__(self, policies: Mapping[str, Policy], ctx: Context) -> None:
        for name in sorted(ctx.skills, key=lambda skill: -self.used[skill])[:AUDITED]:
            used, alone = with_and_without(self.world, name, ROUTED, policies, ctx)
            self.followed[name] = self.followed.get(name, Standing()).after(used - alone, ROUTED, self.constants)
            self.used[name] = 0
            if self.retire and self.followed[name].stage(self.constants) == "retire":
                ctx.skills = {other: text for other, text in ctx.skills.items() if other != name}
        if self.expand:
            for name in self._gaps(policies, ctx)[:NEW]:
                ctx.skills = {**ctx.skills, name: self.world.skill(name)}
                self.failed[name] = 0
                self.followed.pop(name, None)

    def _gaps(self, policies: Mapping[str, Policy], ctx: Context) -> list[str]:
        """Families that fail often and have no skill, the worst first."""
        often = [name for name, times in self.failed.most_common() if times >= FAILURES and name not in ctx.skills]
        tasks = {name: self.world.tasks("gate", ROUTED, seed=ctx.step, family=name) for name in often}
        return [name for name in often if success(self.world, tasks[name], policies, ctx.skills) < GAP]

    def state_dict(self) -> dict[str, Any]:
        followed = {name: asdict(of) for name, of in self.followed.items()}
        return {"followed": followed, "used": dict(self.used), "failed": dict(self.failed)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.followed = {name: Standing(**of) for name, of in state["followed"].items()}
        self.used, self.failed = Counter(state["used"]), Counter(state["failed"])


def recipe(seed: int, *, retire: bool = True, expand: bool = True, withdraw: bool = False) -> Recipe:
    """SLIM on the world of a seed; `withdraw` is SKILL0's schedule in its place."""
    world = world_of(seed)
    lifecycle = Lifecycle(world, retire, expand)
    audit: Audit = Withdraw(helped(world), (8, 4, 0)) if withdraw else lifecycle
    return Recipe(
        name=f"SLIM, retire {retire:d}, expand {expand:d}, withdraw {withdraw:d}",
        curriculum=lifecycle,
        rollout=SingleTurn(world.longest, copies=8, prompt=shown(world)),
        reward=Judged(world),
        advantage=GroupNorm(),
        losses=(PolicyGradient(0.2, 0.2),),
        optim=Optim(lr=5e-4),
        prompts=18,
        skills=library(world),
        audits=(audit,),
        audit_every=5,
    )


def warm_start(world: Rules, n: int, seed: int) -> list[Example]:
    """Using rules that are shown, as for SKILL0; and the known families without any."""
    rng = random.Random(f"slim/{seed}")
    by_heart = [
        task for name in KNOWN for task in world.tasks("evidence", n // 10 + 1, seed=rng.getrandbits(32), family=name)
    ]
    known = [Example(task.prompt, world.oracle(task)) for task in by_heart]
    shown_ = [e for e in world.warm_start(2 * n, seed=seed) if "|" in e.prompt or e.prompt[0] not in KNOWN]
    return rng.sample(known, n // 3) + shown_[: n - n // 3]


def _measure(policies: Policies, skills: Skills, seed: int, n: int) -> Metrics:
    """Success on held-out tasks with the library as it is now and without; and what the library holds."""
    world = world_of(seed)
    tasks = world.tasks("test", n, seed=1)
    return {
        "with library": success(world, tasks, policies, skills),
        "without": success(world, tasks, policies, {}),
        "skills": float(len(skills)),
        "harmful": float(sum(name in skills for name in HARMFUL)),
        "useless": float(sum(name in skills for name in USELESS)),
        "useful": float(sum(name in skills for name in USEFUL + WITHOUT)),
    }


def study() -> Study:
    return Study(
        name="slim",
        source="Dynamic Skill Lifecycle Management for Agentic RL, arXiv 2605.10923",
        claim="Retiring and adding skills by what they contribute beats keeping all of them and withdrawing all.",
        substituted="A decoder of 0.1 M parameters and families with hidden rules for Qwen3-4B and ALFWorld; rules "
        "read off the environment's words for skills written by a model.",
        headline="with library",
        start=lambda seed: tiny(width=64, layers=2, context=32, seed=seed),
        warm=lambda seed: Phase(imitation(lambda n, s: warm_start(world_of(seed), n, s)), 800),
        arms={
            "SLIM": Arm("retired and expanded", lambda seed: [Phase(recipe(seed), STEPS)]),
            "keep all": Arm("a fixed library", lambda seed: [Phase(recipe(seed, retire=False, expand=False), STEPS)]),
            "withdraw all": Arm("SKILL0's schedule", lambda seed: [Phase(recipe(seed, withdraw=True), STEPS)]),
            "no retiring": Arm("only expanded", lambda seed: [Phase(recipe(seed, retire=False), STEPS)]),
            "no expanding": Arm("only retired", lambda seed: [Phase(recipe(seed, expand=False), STEPS)]),
        },
        measure=_measure,
    )
