"""ExIt: bootstrapping a space of tasks from the policy's own unfinished work (2509.04575).

A policy that is to improve an answer many times is trained on single steps of improvement. A buffer keeps states
(a task and the latest answer) with a score, the variance of the rewards that a group earned there. With probability p,
once there are enough, an episode starts from a state drawn by exp(kappa * score); else from a fresh task. With
probability p_div the prompt asks for something quite different. Children enter with their parent's score, the parent
gets the one observed. GRPO, times how far an answer lies from the others of its group; KL to a moving average.

p, p_div, kappa and the sizes are not stated where we could read them: the values here are ours.

Here: `constraints`; a state is a string, the reward the share of constraints that it meets. Tested for 1 to 16 steps.
"""

import math
import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prowess.core.task import Task
from prowess.train.advantages import GroupNorm
from prowess.train.losses import KL, PolicyGradient
from prowess.train.measures import play
from prowess.train.mechanisms.base import Example
from prowess.train.mechanisms.constraints import Constraints
from prowess.train.parts import Optim, Recipe
from prowess.train.policies.load import tiny
from prowess.train.rollouts import SingleTurn
from prowess.train.samples import Context, Episode, Group
from prowess.train.study import Arm, Phase, Policies, Skills, Study
from prowess.train.teachers import Scored
from prowess.train.trainer import Metrics
from prowess.train.warm import imitation

STEPS = 250
LEVEL = 4
IMPROVE, DIVERGE = ">", "~"


def asked(task: Task, candidate: str, word: str = IMPROVE) -> Task:
    """The task of making one step from a candidate, which is empty at the start."""
    return task.model_copy(
        update={
            "prompt": f"{task.prompt.partition('=')[0]}={candidate}{word}",
            "meta": {**task.meta, "state": candidate},
        }
    )


@dataclass(slots=True)
class State:
    task: Task
    candidate: str
    score: float


@dataclass(slots=True)
class TaskSpace:
    """The curriculum: fresh tasks, and states that the policy itself has reached."""

    world: Constraints
    again: float = 0.6
    """Probability of starting from a kept state."""
    diverge: float = 0.2
    kappa: float = 8.0
    """How strongly states of high variance are preferred; 0 draws them evenly."""
    least: int = 32
    most: int = 256
    states: list[State] = field(default_factory=list[State])
    drawn: dict[str, State] = field(default_factory=dict[str, State])
    """States that this step's tasks came from, by task id."""

    def draw(self, n: int, ctx: Context) -> list[Task]:
        fresh = self.world.tasks("evidence", n, level=LEVEL, seed=ctx.seed())
        self.drawn = {}
        found: list[Task] = []
        for i, task in enumerate(fresh):
            ready = len(self.states) >= self.least and ctx.rng.random() < self.again
            if not ready:
                found.append(asked(task, ""))
                continue
            weights = [math.exp(self.kappa * state.score) for state in self.states]
            state = ctx.rng.choices(self.states, weights)[0]
            word = DIVERGE if ctx.rng.random() < self.diverge else IMPROVE
            step = asked(state.task, state.candidate, word).model_copy(update={"id": f"{state.task.id}/{ctx.step}-{i}"})
            self.drawn[step.id] = state
            found.append(step)
        return found

    def observe(self, groups: Sequence[Group], ctx: Context) -> None:
        for group in groups:
            score = statistics.pvariance([e.reward or 0.0 for e in group])
            parent = self.drawn.get(group[0].task.id)
            if parent is not None:
                parent.score = score
            child = ctx.rng.choice(group)
            if self.world.valid(child.info["answer"]) and (child.reward or 0.0) < 1.0:
                task = parent.task if parent is not None else group[0].task
                self.states.append(State(task, child.info["answer"], score))
        self.states = sorted(self.states, key=lambda s: -s.score)[: self.most]

    def state_dict(self) -> dict[str, Any]:
        return {"states": [[s.task.model_dump(mode="json"), s.candidate, s.score] for s in self.states]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.states = [State(Task.model_validate(t), c, s) for t, c, s in state["states"]]


@dataclass(frozen=True, slots=True)
class Diverse:
    """GRPO's advantage times how far each answer lies from the centre of its group, 1 on average.

    Answers are placed by their counts of letters, which stands for the paper's embedding."""

    letters: str

    def __call__(self, groups: Sequence[Group], ctx: Context) -> None:
        GroupNorm()(groups, ctx)
        for group in groups:
            for episode, distance in zip(group, self._distances(group), strict=True):
                for sample in episode.samples:
                    if "adv" in sample.streams:
                        sample.write("adv", [distance * a for a in sample.streams["adv"]])

    def _distances(self, group: Group) -> list[float]:
        places = [[e.info["answer"].count(c) for c in self.letters] for e in group]
        centre = [statistics.fmean(column) for column in zip(*places, strict=True)]
        found = [math.dist(place, centre) for place in places]
        mean = statistics.fmean(found)
        return [d / mean for d in found] if mean > 0 else [1.0] * len(found)


@dataclass(frozen=True, slots=True)
class Follow:
    """The audit that lets the reference follow the actor."""

    share: float = 0.1

    def __call__(self, policies: Mapping[str, Any], ctx: Context) -> None:
        policies["reference"].follow(policies["actor"], self.share)


@dataclass(frozen=True, slots=True)
class Quality:
    world: Constraints

    def __call__(self, groups: Sequence[Group], ctx: Context) -> None:
        for group in groups:
            for e in group:
                e.reward = self.world.check(e.task.model_copy(update={"prompt": _task_prompt(e)}), e.info["answer"])


def _task_prompt(episode: Episode) -> str:
    return episode.task.prompt.partition("=")[0] + "="


def recipe(*, again: float = 0.6, diverge: float = 0.2, kappa: float = 8.0, diverse: bool = True) -> Recipe:
    world = Constraints()
    return Recipe(
        name=f"ExIt, again {again:g}, diverge {diverge:g}, kappa {kappa:g}{'' if diverse else ', no bonus'}",
        curriculum=TaskSpace(world, again, diverge, kappa),
        rollout=SingleTurn(world.longest, copies=8),
        reward=Quality(world),
        advantage=Diverse(world.letters) if diverse else GroupNorm(),
        teacher=Scored("reference"),
        losses=(PolicyGradient(0.2, 0.2), KL(0.01)),
        optim=Optim(lr=5e-4),
        prompts=24,
        audits=(Follow(),),
        audit_every=10,
    )


def warm_start(world: Constraints, n: int, seed: int) -> list[Example]:
    """Any string for an empty state, and the state with one letter changed at random else."""
    rng = random.Random(f"exit/{seed}")
    found: list[Example] = []
    for task in world.tasks("evidence", n, level=LEVEL, seed=rng.getrandbits(32)):
        candidate = world.text(rng) if rng.random() < 0.7 else ""
        word = DIVERGE if candidate and rng.random() < 0.2 else IMPROVE
        answer = world.edited(candidate, rng) if candidate and word == IMPROVE else world.text(rng)
        found.append(Example(asked(task, candidate, word).prompt, answer))
    return found


def _measure(policies: Policies, skills: Skills, seed: int, n: int) -> Metrics:
    """Quality after 1, 2, 4, 8 and 16 steps of self-improvement, sampled."""
    world = Constraints()
    base = world.tasks("test", n, level=LEVEL, seed=1)
    tasks = [asked(task, "") for task in base]
    found: Metrics = {}
    for k in range(1, 17):
        groups = play(SingleTurn(world.longest, copies=1), tasks, policies, temperature=0.5, seed=k)
        answers = [group[0].info["answer"] for group in groups]
        if k in (1, 2, 4, 8, 16):
            found[f"step {k}"] = statistics.fmean(map(world.check, base, answers))
        tasks = [asked(t, a if world.valid(a) else "") for t, a in zip(base, answers, strict=True)]
    return found


def study() -> Study:
    return Study(
        name="exit",
        source="Bootstrapping Task Spaces for Self-Improvement, arXiv 2509.04575",
        claim="Trained on single steps from its own states, a policy goes on improving over many of them.",
        substituted="A decoder of 0.1 M parameters and strings under constraints for a large model and mathematics; "
        "counts of letters for embeddings.",
        headline="step 16",
        start=lambda seed: tiny(width=64, layers=2, context=64, seed=seed),
        warm=lambda seed: Phase(imitation(lambda n, s: warm_start(Constraints(), n, s)), 800),
        arms={
            "ExIt": Arm("the method", lambda seed: [Phase(recipe(), STEPS)]),
            "fresh tasks": Arm(
                "GRPO on first answers only", lambda seed: [Phase(recipe(again=0.0, diverse=False), STEPS)]
            ),
            "even draws": Arm("states drawn evenly", lambda seed: [Phase(recipe(kappa=0.0), STEPS)]),
            "no divergence": Arm("never asked to diverge", lambda seed: [Phase(recipe(diverge=0.0), STEPS)]),
        },
        measure=_measure,
    )
