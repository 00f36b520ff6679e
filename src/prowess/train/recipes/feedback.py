"""Learning from language feedback: a teacher who knows more gives hints, and the student learns to do without
(2602.16066).

A single-turn task becomes a dialogue: the student answers, the teacher, who can check the answer, says what is wrong
and never the answer, the student tries again. GRPO over eight dialogues a task; a turn earns gamma to the turns still
to go until success, gamma = 0.7; no KL; four turns in training. The same dialogues teach the student to predict the
teacher: cross-entropy on the hints. Afterwards it can criticise itself, and correct itself without a teacher.

The paper's teacher is the same model with the solution; here it is the program that checks. The weight of the
prediction is not stated where we could read it: 0.1, the usual one for predicting observations. "Q-priming" (starting
some dialogues later) is left out.

Here: `constraints`; a hint is the number of the first constraint that is not met, `@2`, or `@0` for none.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prowess.core.task import Task
from prowess.train.advantages import TurnNorm
from prowess.train.curricula import practice
from prowess.train.losses import CrossEntropy, PolicyGradient
from prowess.train.measures import play
from prowess.train.mechanisms.base import Example, Heard
from prowess.train.mechanisms.constraints import Constraints, holds
from prowess.train.parts import Optim, Policy, Recipe
from prowess.train.policies.load import tiny
from prowess.train.rewards import turn_returns
from prowess.train.rollouts import Episodes
from prowess.train.samples import Context, Group
from prowess.train.study import Arm, Phase, Policies, Skills, Study
from prowess.train.trainer import Metrics
from prowess.train.warm import imitation

STEPS = 250
LEVEL = 3
TURNS, TESTED = 4, 8
"""Turns in training, and in tests."""
GAMMA = 0.7
PREDICTION = 0.1
RIGHT, NOTHING = "@0", "@9"
"""The teacher's words for an answer that meets all, and for what is no answer."""


def hint(world: Constraints, task: Task, answer: str) -> str:
    """What the teacher says to an answer."""
    if not world.valid(answer):
        return NOTHING
    asked = task.prompt.rstrip("=").split()
    return next((f"@{i}" for i, constraint in enumerate(asked, 1) if not holds(constraint, answer)), RIGHT)


@dataclass(slots=True)
class Dialogue:
    """The environment: answers and hints, until all constraints are met."""

    world: Constraints
    task: Task
    turns: int = 0

    def reset(self) -> str:
        return self.task.prompt

    def step(self, action: str) -> Heard:
        said, self.turns = hint(self.world, self.task, action), self.turns + 1
        right = said == RIGHT
        return Heard(said, float(right), right, {"solved": self.turns - 1, "last": said} if right else {})


@dataclass(frozen=True, slots=True)
class Discounted:
    """What each turn earns: gamma to the turns still to go; nothing without success."""

    gamma: float = GAMMA

    def __call__(self, groups: Sequence[Group], ctx: Context) -> None:
        for e in (e for group in groups for e in group):
            e.step_rewards = turn_returns(len(e.info["answers"]), e.info.get("solved"), self.gamma)
            e.parts |= {"solved": e.reward or 0.0, "turns": float(len(e.info["answers"]))}


@dataclass(frozen=True, slots=True)
class Predict:
    """Lets the student learn the teacher's words: weights cross-entropy on the hints, the last one, which no dialogue
    goes on from, included."""

    def __call__(self, groups: Sequence[Group], policies: Mapping[str, Policy], ctx: Context) -> None:
        for e in (e for group in groups for e in group):
            [sample] = e.samples
            last = policies[sample.policy].tokens.reply(str(e.info.get("last", "")))
            turn = (sample.turn or [0])[-1] + 1
            sample.turn = [*(sample.turn or [0] * len(sample.ids)), *[turn] * len(last)]
            sample.ids += last
            sample.mask += [False] * len(last)
            sample.logp += [0.0] * len(last)
            sample.streams = {name: [*values, *[0.0] * len(last)] for name, values in sample.streams.items()}
            pairs = zip(sample.mask, sample.turn, strict=True)
            sample.write("w_ce", [float(not sampled and turn > 0) for sampled, turn in pairs])


def recipe(*, gamma: float = GAMMA, prediction: float = PREDICTION, turns: int = TURNS) -> Recipe:
    """The method; one turn is GRPO on answers alone, with as many more dialogues as it has fewer turns."""
    world = Constraints()
    return Recipe(
        name=f"feedback, gamma {gamma:g}, prediction {prediction:g}, {turns} turns",
        curriculum=practice(world, level=LEVEL),
        rollout=_rollout(world, 8, turns),
        reward=Discounted(gamma),
        advantage=TurnNorm(within="group"),
        teacher=Predict() if prediction else None,
        losses=(PolicyGradient(0.2, 0.2), CrossEntropy(prediction)),
        optim=Optim(lr=5e-4),
        prompts=16 * TURNS // turns,
    )


def _rollout(world: Constraints, copies: int, turns: int) -> Episodes:
    return Episodes(lambda task, ctx: Dialogue(world, task), world.longest, copies, turns)


def warm_start(world: Constraints, n: int, seed: int) -> list[Example]:
    """Answers that meet some constraints; after a hint, a fresh string or one letter changed, whatever the hint was."""
    rng = random.Random(f"feedback/{seed}")
    found: list[Example] = []
    for task in world.tasks("evidence", n, level=LEVEL, seed=rng.getrandbits(32)):
        answers = [world.edited(world.oracle(task), rng) if rng.random() < 0.5 else world.text(rng)]
        for _ in range(rng.randrange(TESTED)):
            answers.append(world.edited(answers[-1], rng) if rng.random() < 0.7 else world.text(rng))
        turns = [(f"@{rng.randint(1, LEVEL)}", answer) for answer in answers[1:]]
        found.append(Example(task.prompt, answers[0], tuple(turns)))
    return found


def alone(world: Constraints, tasks: Sequence[Task], policies: Policies, turns: int) -> list[list[str]]:
    """The answers of each task when the student itself says what the teacher would, until it finds nothing wrong."""
    actor, found = policies["actor"], [list[str]() for _ in tasks]
    rows = {i: actor.tokens.prompt(task.prompt) for i, task in enumerate(tasks)}
    size = len(actor.tokens.reply(RIGHT))
    for turn in range(turns):
        said = actor.sample(list(rows.values()), longest=world.longest, temperature=0.5, seed=turn)
        for i, c in zip(rows, said, strict=True):
            found[i].append(actor.tokens.decode(c.ids))
            rows[i] = [*rows[i], *c.ids]
        words = actor.sample(list(rows.values()), longest=size, temperature=0.0, seed=turn)
        rows = {
            i: [*row, *c.ids] for (i, row), c in zip(rows.items(), words, strict=True)
            if actor.tokens.decode(c.ids) != RIGHT and actor.tokens.end not in c.ids
        }  # fmt: skip
        if not rows:
            break
    return found


def _measure(policies: Policies, skills: Skills, seed: int, n: int) -> Metrics:
    """Success within so many turns: with the teacher, and of the last answer when the student is its own teacher."""
    world = Constraints()
    tasks = world.tasks("test", n, level=LEVEL, seed=1)
    taught = [e for g in play(_rollout(world, 1, TESTED), tasks, policies, temperature=0.5) for e in g]
    found = {f"taught {k}": sum(e.info.get("solved", k) < k for e in taught) / n for k in (1, 4, TESTED)}
    said = alone(world, tasks, policies, TESTED)

    def right(answers: list[list[str]], at: int) -> float:
        return sum(world.check(t, a[min(at, len(a)) - 1]) == 1.0 for t, a in zip(tasks, answers, strict=True)) / n

    return found | {"alone 1": right(said, 1), f"alone {TESTED}": right(said, TESTED)}


def study() -> Study:
    return Study(
        name="feedback",
        source="Improving Interactive In-Context Learning from Natural Language Feedback, arXiv 2602.16066",
        claim="Who learns to predict the critique corrects itself without a teacher; feedback teaches more than "
        "answers alone at equal tokens.",
        substituted="A decoder of 0.2 M parameters, strings under constraints and a checking program for Gemini 2.5 "
        "Flash, Omni-MATH and a teacher with the solution.",
        headline=f"alone {TESTED}",
        start=lambda seed: tiny(width=64, layers=3, context=160, seed=seed),
        warm=lambda seed: Phase(imitation(lambda n, s: warm_start(Constraints(), n, s)), 800),
        arms={
            "feedback": Arm("hints, discounted turns, prediction", lambda seed: [Phase(recipe(), STEPS)]),
            "no prediction": Arm("no cross-entropy on hints", lambda seed: [Phase(recipe(prediction=0.0), STEPS)]),
            "gamma 1": Arm("late success counts as much", lambda seed: [Phase(recipe(gamma=1.0), STEPS)]),
            "single turn": Arm(
                "answers alone, four times as many", lambda seed: [Phase(recipe(turns=1, prediction=0.0), STEPS)]
            ),
        },
        measure=_measure,
    )
