"""SOAR: a teacher proposes problems, and is paid by what a student learns from them for problems that are too hard
(2601.18778).

Teacher and student begin as copies. In each step the teacher writes g sets of problems with answers, which nobody
verifies. For each set a copy of the student learns from it, for a few steps of RLOO; the set earns
    R = success of that copy on the hard problems - success of the student before
which all its problems share; the teacher learns by RLOO over the g sets. The copies are thrown away, unless the average
reward of the last three steps exceeds 0.01: then the best copy becomes the student. The teacher never sees a hard
problem.

The teacher's answer to its own problem is here a second call of the same model. Training a fresh student on the pooled
problems at the end, the paper's second way of testing, is left out.

Here: `strings`; the hard problems are chains of four, of which the warm start shows none deeper than two.
"""

import random
import statistics
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from prowess.core.task import Task
from prowess.train.advantages import LeaveOneOut
from prowess.train.curricula import Fresh, Pool, practice
from prowess.train.losses import PolicyGradient
from prowess.train.measures import accuracy, play
from prowess.train.mechanisms.base import Example
from prowess.train.mechanisms.strings import Strings, final
from prowess.train.parts import Optim, Policy, Recipe
from prowess.train.policies.load import tiny
from prowess.train.policies.model import ModelPolicy
from prowess.train.rewards import Outcome
from prowess.train.rollouts import SingleTurn
from prowess.train.samples import Context, Episode, Group, joined
from prowess.train.study import Arm, Phase, Policies, Skills, Study
from prowess.train.trainer import Metrics, Trainer
from prowess.train.warm import imitation

STEPS, INNER = 25, 10
SETS, PROBLEMS = 4, 16
HARD, DEEPEST = 4, 4
"""Depth of the hard problems, and of the deepest that the warm start proposes."""
BATCH, COPIES = 8, 4
"""Problems and answers of each inner step."""
PROBED, TAU, AVERAGED = 64, 0.01, 3
PROPOSE = "@"
"""Asks the teacher for a problem."""

Pay = Literal["progress", "learnable"]


def world_of(seed: int) -> Strings:
    return Strings(seed, letters="abc", sizes=(0, 12, 0))


def proper(world: Strings, text: str) -> bool:
    """Whether a proposal is a problem at all."""
    chain, colon, string = text.partition(":")
    known = set(chain) <= set(world.functions) and set(string) <= set(world.letters)
    return bool(colon) and 0 < len(chain) <= DEEPEST and len(string) == world.length and known


def asking(text: str, seed: int, **meta: str) -> Task:
    return Task(
        id=str(seed), suite="soar", family="proposed", split="evidence", seed=seed, prompt=text, meta=dict(meta)
    )


def labelled(task: Task, answer: str) -> float:
    """Whether an answer agrees with the teacher's."""
    return float(final(answer) == task.meta["label"])


def lessons(world: Strings, problems: Sequence[Task]) -> Recipe:
    """What a student does with a set of problems."""
    return Recipe(
        name="lessons",
        curriculum=Pool(tuple(problems)),
        rollout=SingleTurn(world.answer_length(DEEPEST) + 1, COPIES),
        reward=Outcome(labelled),
        advantage=LeaveOneOut(),
        losses=(PolicyGradient(),),
        optim=Optim(lr=5e-4),
        prompts=BATCH,
    )


@dataclass(slots=True)
class Classroom:
    """The rollout: the teacher proposes, copies of the student learn, the best may take its place. One group of
    `SETS` episodes; a set's problems are the samples of its episode."""

    world: Strings
    pay: Pay = "progress"
    recent: deque[float] = field(default_factory=lambda: deque[float](maxlen=AVERAGED))
    promoted: int = 0

    def __call__(self, tasks: Sequence[Task], policies: Mapping[str, Any], ctx: Context) -> list[Group]:
        teacher, student = policies["actor"], policies["student"]
        prompt, total = teacher.tokens.prompt(PROPOSE), SETS * PROBLEMS
        size = DEEPEST + self.world.length + 2
        said = teacher.sample([prompt], copies=total, longest=size, temperature=ctx.temperature, seed=ctx.seed())
        before, pupils, group = self._hard(student), list[ModelPolicy](), list[Episode]()
        for k in range(SETS):
            own = said[k * PROBLEMS : (k + 1) * PROBLEMS]
            problems = self._answered([teacher.tokens.decode(c.ids) for c in own], teacher, ctx)
            pupil = student.clone("actor", trainable=True)
            if problems:
                Trainer({"actor": pupil}, lessons(self.world, problems), steps=INNER, seed=ctx.seed()).run()
            pupils.append(pupil)
            info = {
                "progress": self._hard(pupil) - before,
                "learnable": self._learnable(problems, student, ctx) if self.pay == "learnable" else 0.0,
                "proper": len(problems) / PROBLEMS,
            }
            samples = [joined(prompt, c, "actor", version=teacher.version, temperature=ctx.temperature) for c in own]
            group.append(Episode(tasks[0], samples, info=info, parts=dict(info)))
        self.recent.append(statistics.fmean(e.info["progress"] for e in group))
        if len(self.recent) == AVERAGED and statistics.fmean(self.recent) > TAU:
            student.follow(max(zip(group, pupils, strict=True), key=lambda pair: pair[0].info["progress"])[1])
            self.recent.clear()
            self.promoted += 1
        return [group]

    def _answered(self, texts: Sequence[str], teacher: Policy, ctx: Context) -> list[Task]:
        """The proper problems with the teacher's own answers, right or wrong."""
        proposed = [text for text in texts if proper(self.world, text)]
        prompts = [teacher.tokens.prompt(text) for text in proposed]
        said = teacher.sample(prompts, longest=self.world.answer_length(DEEPEST) + 1, seed=ctx.seed())
        labels = [final(teacher.tokens.decode(c.ids)) for c in said]
        pairs = zip(proposed, labels, strict=True)
        return [asking(text, i, label=label) for i, (text, label) in enumerate(pairs) if label]

    def _hard(self, student: Policy) -> float:
        """Success on the hard problems, always the same ones; greedy."""
        tasks = self.world.tasks("gate", PROBED, level=HARD)
        longest = self.world.answer_length(HARD) + 1
        return accuracy(self.world.check, tasks, {"actor": student}, longest=longest)

    def _learnable(self, problems: Sequence[Task], student: Policy, ctx: Context) -> float:
        """The reward that asks no hard problem: p (1 - p), p the student's chance of agreeing with the teacher."""
        rollout = SingleTurn(self.world.answer_length(DEEPEST) + 1, COPIES)
        groups = play(rollout, problems, {"actor": student}, temperature=1.0, seed=ctx.seed())
        chances = [statistics.fmean(labelled(e.task, e.info["answer"]) for e in g) for g in groups]
        return statistics.fmean(p * (1 - p) for p in chances) if chances else 0.0

    def state_dict(self) -> dict[str, Any]:
        return {"recent": list(self.recent), "promoted": self.promoted}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.recent, self.promoted = deque(state["recent"], maxlen=AVERAGED), state["promoted"]


@dataclass(frozen=True, slots=True)
class Paid:
    """What a set earns."""

    by: Pay

    def __call__(self, groups: Sequence[Group], ctx: Context) -> None:
        for e in (e for group in groups for e in group):
            e.reward = e.info[self.by]


def recipe(seed: int, *, pay: Pay = "progress", lr: float = 1e-3) -> Recipe:
    """SOAR on the world of a seed; a rate of 0 leaves the teacher as it was."""
    return Recipe(
        name=f"SOAR, paid by {pay}, rate {lr:g}",
        curriculum=Fresh(lambda n, s: [asking(PROPOSE, s)]),
        rollout=Classroom(world_of(seed), pay),
        reward=Paid(pay),
        advantage=LeaveOneOut(episodes=True),
        losses=(PolicyGradient(),),
        optim=Optim(lr=lr),
        prompts=1,
    )


def hard_only(seed: int) -> Recipe:
    """The student on the hard problems themselves."""
    world = world_of(seed)
    return Recipe(
        name="hard problems only",
        curriculum=practice(world, level=HARD),
        rollout=SingleTurn(world.answer_length(HARD) + 1, COPIES, policy="student"),
        reward=Outcome(world.check),
        advantage=LeaveOneOut(),
        losses=(PolicyGradient(),),
        optim=Optim(lr=5e-4),
        prompts=BATCH,
        train=("student",),
    )


def warm_start(world: Strings, n: int, seed: int) -> list[Example]:
    """Single steps, chains of two, and proposals of every depth."""
    rng = random.Random(f"soar/{seed}")

    def problem(depth: int) -> str:
        chain = "".join(rng.sample(list(world.functions), depth))
        return f"{chain}:{''.join(rng.choices(world.letters, k=world.length))}"

    found: list[Example] = []
    for _ in range(n):
        if rng.random() < 0.2:
            found.append(Example(PROPOSE, problem(rng.randint(1, DEEPEST))))
        else:
            asked = problem(rng.choice((1, 2)))
            found.append(Example(asked, world.trace(asked)))
    return found


def _measure(policies: Policies, skills: Skills, seed: int, n: int) -> Metrics:
    """The student's success by depth; how deep, and how varied, the teacher's problems are."""
    world, student, teacher = world_of(seed), {"actor": policies["student"]}, policies["actor"]
    found = {
        f"depth {level}": accuracy(
            world.check, world.tasks("test", n, level=level, seed=1), student, longest=world.answer_length(level) + 1
        )
        for level in range(1, HARD + 1)
    }  # fmt: skip
    prompt, size = teacher.tokens.prompt(PROPOSE), DEEPEST + world.length + 2
    proposed = [teacher.tokens.decode(c.ids) for c in teacher.sample([prompt], copies=n, longest=size, seed=seed)]
    depths = [text.index(":") for text in proposed if proper(world, text)]
    return found | {
        "proposed depth": statistics.fmean(depths) if depths else 0.0,
        "different": len(set(proposed)) / n,
    }


def study() -> Study:
    def arm(what: str, **how: Any) -> Arm:
        return Arm(what, lambda seed: [Phase(recipe(seed, **how), STEPS)])

    return Study(
        name="soar",
        source="Teaching Models to Teach Themselves: Reasoning at the Edge of Learnability, arXiv 2601.18778",
        claim="A teacher paid by progress on problems that are too hard lifts the student on them; the problems "
        "themselves, or a teacher paid by learnability, do less.",
        substituted="A decoder of 0.2 M parameters and chains of string functions for Llama-3.2-3B and mathematics; 4 "
        "sets of 16 problems for 64.",
        headline=f"depth {HARD}",
        start=lambda seed: tiny(width=64, layers=3, context=64, seed=seed),
        warm=lambda seed: Phase(imitation(lambda n, s: warm_start(world_of(seed), n, s)), 1200),
        arms={
            "SOAR": arm("paid by progress"),
            "hard only": Arm("RLOO on the hard problems", lambda seed: [Phase(hard_only(seed), STEPS * INNER)]),
            "learnable": arm("paid by what is neither easy nor hard", pay="learnable"),
            "untrained teacher": arm("proposals of the warm start", lr=0.0),
        },
        measure=_measure,
        cast=lambda actor: {"actor": actor, "student": actor.clone("student", trainable=True)},
    )
