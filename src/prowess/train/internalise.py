"""A library's skills into weights: SKILL0 on the tasks that the skills are for, and the proof that they arrived.

Training shows the skills and withdraws them by what they still help (`recipes.skill0`), on tasks of the split
`evidence`, through the agent, the suite and the view that trials use. Afterwards three questions are asked of each
skill, on tasks of the split `gate` that show it, by pairs of trials:

* `unneeded`: without the skill, does the trained policy lose nothing? The gate of every removal.
* `learned`: without the skill, does the trained policy do better than the untrained one? Two policies that fail alike,
  with or without a skill, lose nothing either, and have learned nothing.
* `kept`: does the trained policy without the skill do no worse than the untrained one with it? Training may spoil what
  the skill was good for.

A skill is internalised when all three are answered yes. Each has its own error of 5 %, and so has their conjunction: a
skill that is not internalised fails one of the questions in truth, and passes that one by chance in at most 5 %.

Answers are greedy, so a task is tried once: a second seed would repeat the first and count it twice.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from prowess.agents.base import Agent
from prowess.core.evidence import Trial, Verdict
from prowess.core.model import Model
from prowess.core.patch import Patch
from prowess.core.skill import Snapshot
from prowess.core.task import Split, Task
from prowess.library.archive import removal
from prowess.library.patching import apply
from prowess.measure.compare import compare
from prowess.measure.gates import GateContext, Provider, TrialsGate, arms, cascade, verdict
from prowess.measure.stats.sequential import non_inferiority_p
from prowess.measure.trials import Arm as Side
from prowess.measure.trials import Bench, Store, run_trials
from prowess.suites.base import Suite
from prowess.train.advantages import GroupNorm
from prowess.train.agent_runs import AgentRuns, passed
from prowess.train.curricula import Pool
from prowess.train.losses import PolicyGradient
from prowess.train.measures import play
from prowess.train.parts import Optim, Policy, Recipe
from prowess.train.policies.as_model import PolicyModel, fingerprint
from prowess.train.policies.model import ModelPolicy
from prowess.train.recipes.skill0 import AUDIT_EVERY, Withdraw
from prowess.train.samples import Context, Group
from prowess.train.study import Arm, Phase, Policies, Skills, Study
from prowess.train.trainer import Metrics

METHOD = "SKILL0"
ALPHA = 0.05
TOGETHER = 32
"""Trials in flight at once: as many answers in one batch."""
PATIENCE = 3600.0
"""Seconds for one trial, which waits for its batch at every answer."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """A library and the work that its skills are for, as trials see it."""

    library: Snapshot
    suite: Suite
    families: tuple[str, ...]
    provider: Provider
    agent: Callable[[Model], Agent]
    longest: int = 500
    """Most tokens of one answer."""

    def tasks(self, split: Split, n: int, start: int = 0) -> tuple[Task, ...]:
        """`n` tasks of each family."""
        return tuple(t for family in self.families for t in self.suite.tasks(family, split, n, start=start))

    @property
    def skills(self) -> dict[str, str]:
        """Name → text."""
        return {skill.name: skill.body for skill in self.library.skills}

    def runs(self, copies: int) -> AgentRuns:
        return AgentRuns(self.suite, self.library, self.provider, self.agent, self.longest, copies)

    def shown(self, name: str, tasks: Sequence[Task]) -> list[Task]:
        """The tasks on which the agent is shown the skill `name`."""
        return [t for t in tasks if any(s.name == name for s in self.provider.view(t, self.library).skills)]

    def success(self, tasks: Sequence[Task], policies: Mapping[str, Policy], skills: Skills) -> float:
        """Share of greedy runs that pass; missing ones count in none."""
        groups: list[Group] = play(self.runs(1), tasks, policies, skills=skills)
        found = [bool(e.info["passed"]) for group in groups for e in group if e.info["passed"] is not None]
        return sum(found) / max(1, len(found))

    def bench(self, policy: ModelPolicy, source: str, store: Store) -> Bench:
        """What trials of a policy have in common; `source` says of which model it has the weights."""
        model = PolicyModel(policy, f"policy:{source}@{fingerprint(policy)}", longest=self.longest)
        return Bench(self.agent(model), self.suite, store, concurrency=TOGETHER, timeout=PATIENCE)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything."""

    steps: int = 180
    tasks: int = 60
    """Of each family, to train on."""
    audited: int = 8
    """Validation tasks of each family, beyond those trained on, for what skills still help."""
    prompts: int = 16
    copies: int = 8
    lr: float = 1e-4
    measured: int = 8
    """Held-out tasks of each family for the learning curve."""
    schedule: tuple[float, ...] = (1.0, 0.5, 0.0)
    """Share of the skills that each part of training may show."""


def skill0_study(
    shelf: Shelf, start: Callable[[int], ModelPolicy], sizes: Sizes, warm: Callable[[int], Phase] | None = None
) -> Study:
    """SKILL0 on a library, beside the same training with skills never, and always, in the prompt."""
    audited = shelf.tasks("evidence", sizes.audited, start=sizes.tasks)
    skills = shelf.skills
    schedule = tuple(round(share * len(skills)) for share in sizes.schedule)

    def delta(name: str, policies: Mapping[str, Policy], ctx: Context) -> float:
        tasks = shelf.shown(name, audited)
        others = {other: text for other, text in ctx.skills.items() if other != name}
        if not tasks:
            return -1.0  # nothing shows it, so nothing is learned from it
        return shelf.success(tasks, policies, ctx.skills) - shelf.success(tasks, policies, others)

    def recipe(name: str, shown: Skills, *, withdraw: bool = False) -> Recipe:
        return Recipe(
            name=f"{METHOD} on a library, {name}",
            curriculum=Pool(shelf.tasks("evidence", sizes.tasks)),
            rollout=shelf.runs(sizes.copies),
            reward=passed,
            advantage=GroupNorm(),
            losses=(PolicyGradient(0.2, 0.2),),
            optim=Optim(lr=sizes.lr),
            prompts=sizes.prompts,
            skills=shown,
            audits=(Withdraw(delta, schedule),) if withdraw else (),
            audit_every=AUDIT_EVERY,
        )

    def measure(policies: Policies, now: Skills, seed: int, n: int) -> Metrics:
        del now, seed
        tasks = shelf.tasks("test", n)
        return {
            "without skills": shelf.success(tasks, policies, {}),
            "with skills": shelf.success(tasks, policies, skills),
        }

    return Study(
        name="skill0",
        source="SKILL0: In-Context Agentic Reinforcement Learning for Skill Internalization, arXiv 2604.02268",
        claim=f"{len(skills)} skills of a library, shown and then withdrawn, on {shelf.suite.name}.",
        substituted="nothing: the library, its tasks and its agent are those of trials",
        headline="without skills",
        start=start,
        warm=warm,
        arms={
            METHOD: Arm(
                "withdrawn by what they help",
                lambda seed: [Phase(recipe("withdrawn", skills, withdraw=True), sizes.steps)],
            ),
            "never shown": Arm("GRPO without skills", lambda seed: [Phase(recipe("never", {}), sizes.steps)]),
            "always shown": Arm("GRPO with skills", lambda seed: [Phase(recipe("always", skills), sizes.steps)]),
        },
        measure=measure,
        measured=sizes.measured,
        cast=lambda actor: {"actor": actor},
    )


@dataclass(frozen=True, slots=True)
class AgainstUntrained:
    """Gate: the trained policy without the skill, beside the untrained one without it (`gain`) or with it (`no loss`).

    All tasks that show the skill are tried, a number fixed beforehand.
    """

    name: str
    asks: Literal["gain", "no loss"]
    tasks: Sequence[Task]
    provider: Provider
    untrained: Bench
    margin: float = 0.1

    async def check(self, candidate: Snapshot, base: Snapshot, patch: Patch, context: GateContext) -> Verdict:
        old, new = arms(candidate, base, self.provider)
        tasks = [t for t in self.tasks if old.view_for(t).digest != new.view_for(t).digest]
        before = f"untrained {'with' if self.asks == 'no loss' else 'without'}"
        side = Side(before, old.view_for if self.asks == "no loss" else new.view_for)
        after = Side("trained without", new.view_for)
        trials = [
            *_alike(await run_trials(tasks, (side,), (0,), self.untrained)),
            *_alike(await run_trials(tasks, (after,), (0,), context.bench)),
        ]
        e = compare(trials, before, after.name, ALPHA)
        p = e.p if self.asks == "gain" else non_inferiority_p(e.wins, e.losses, e.n, self.margin)
        yes = e.outcome == "better" if self.asks == "gain" else p <= ALPHA
        asked = "better" if self.asks == "gain" else f"no loss of {100 * self.margin:g} points"
        note = (
            f"{asked if yes else f'{asked} is not shown'}: {before} {e.baseline_rate:.0%} -> {after.name} "
            f"{e.treatment_rate:.0%} on {e.n} pairs ({e.wins} won, {e.ties} tied, {e.losses} lost), p = {p:.2g}"
        )
        return verdict(self.name, "pass" if yes else "fail", note, e)


def _alike(trials: Sequence[Trial]) -> list[Trial]:
    """The trials without their conditions: the policy, which is part of them, is what differs here."""
    return [trial.model_copy(update={"conditions": ""}) for trial in trials]


async def internalised(
    shelf: Shelf, name: str, why: str, trained: Bench, untrained: Bench, tasks: Sequence[Task], *, margin: float = 0.1
) -> tuple[Patch, tuple[Verdict, ...]]:
    """The patch that takes the skill `name` from the shelf, and the answers to the three questions.

    Args:
        why: The reason, for the ledger.
        tasks: Of the split `gate`.
        margin: Loss of success that must be ruled out.

    Raises:
        UserError: there is no such skill.
    """
    patch = removal(shelf.library, name, why, "train")
    gates = (
        TrialsGate(tuple(tasks), shelf.provider, "unneeded", seeds=(0,), removal_margin=margin),
        AgainstUntrained("learned", "gain", tasks, shelf.provider, untrained),
        AgainstUntrained("kept", "no loss", tasks, shelf.provider, untrained, margin),
    )
    return patch, await cascade(gates, apply(patch, shelf.library), shelf.library, patch, GateContext(trained))
