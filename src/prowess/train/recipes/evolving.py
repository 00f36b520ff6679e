"""Evolving-RL: one policy learns to solve tasks with skills and to extract skills from its own runs (2605.10663).

For a source task: one run without a skill; N skills extracted from it; K similar tasks, each solved with each skill.
The extractor earns the mean success of its K runs, 0 where the form is wrong; the solver the success of its run.
Advantages: extractors among the N of their source; solvers, for each similar task, among the N skills. Then weights,
0.2 for the extractor and 1 for the solver. The source run is not trained on. Clip 0.1 and 0.15, KL 0.01, entropy
coefficient -0.03 on what the extractor says. The released code has two more filters that are switched off in effect.

Here: `rules`, with other rules for every source, so that nothing can be known by heart and only skills carry over. The
environment ends a run by saying what would have been right; a skill is the rule in two letters. The warm start extracts
and uses rules, both badly.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prowess.core.task import Split, Task
from prowess.train.advantages import GroupNorm, by_role
from prowess.train.curricula import Fresh
from prowess.train.losses import KL, Entropy, PolicyGradient
from prowess.train.measures import play
from prowess.train.mechanisms.base import Drawn, Example, make
from prowess.train.mechanisms.rules import FAMILIES, Rules
from prowess.train.parts import Optim, Policy, Recipe
from prowess.train.policies.load import tiny
from prowess.train.samples import Context, Episode, Group, joined
from prowess.train.study import Arm, Phase, Policies, Skills, Study
from prowess.train.teachers import Scored
from prowess.train.trainer import Metrics
from prowess.train.warm import imitation

STEPS = 150
SKILLS, SIMILAR = 8, 4
RIGHT_USE, RIGHT_EXTRACTION = 0.5, 0.3
"""Shares of right demonstrations in the warm start."""


def world_of(task: Task) -> Rules:
    """The rules that hold for a task."""
    return Rules(int(str(task.meta["world"])), families=len(FAMILIES))


def sources(split: Split, n: int, seed: int) -> list[Task]:
    """Tasks of worlds that no other task comes from."""

    def draw(rng: random.Random) -> Drawn:
        number = rng.randrange(10**6)
        [task] = Rules(number, families=len(FAMILIES)).tasks(split, 1, seed=number)
        return Drawn(task.prompt, {**task.meta, "world": number})

    return make("evolving", split, n, draw, family="source", seed=seed)


def similar(task: Task, n: int, seed: int) -> list[Task]:
    """Tasks of the same family and world."""
    found = world_of(task).tasks(task.split, n, seed=seed, family=str(task.meta["family"]))
    return [t.model_copy(update={"meta": task.meta, "id": f"{task.id}/{i}"}) for i, t in enumerate(found)]


@dataclass(frozen=True, slots=True)
class ExtractThenSolve:
    """The rollout. A group holds a source's `skills` extractions, then its runs, skill by skill."""

    skills: int = SKILLS
    similar: int = SIMILAR
    shown: bool = True
    """Whether the solver is shown the skill."""

    def __call__(self, tasks: Sequence[Task], policies: Mapping[str, Policy], ctx: Context) -> list[Group]:
        seen = self._played(tasks, [""] * len(tasks), "source", policies, ctx)
        runs = [f"{e.task.prompt}:{e.info['answer']}={world_of(e.task).oracle(e.task)}>" for e in seen]
        told = [run for run in runs for _ in range(self.skills)]
        owners = [task for task in tasks for _ in range(self.skills)]
        extracted = self._played(owners, [], "extractor", policies, ctx, told)
        later = [similar(task, self.similar, ctx.seed()) for task in tasks]
        again = [t for of in later for _ in range(self.skills) for t in of]
        given = [str(e.info["answer"]) if self.shown else "" for e in extracted for _ in range(self.similar)]
        solved = self._played(again, given, "solver", policies, ctx)
        n, m = self.skills, self.skills * self.similar
        return [extracted[i * n : (i + 1) * n] + solved[i * m : (i + 1) * m] for i in range(len(tasks))]

    def _played(
        self, tasks: Sequence[Task], skills: Sequence[str], role: str, policies: Mapping[str, Policy], ctx: Context,
        texts: Sequence[str] = (),
    ) -> list[Episode]:  # fmt: skip
        actor = policies["actor"]
        texts = texts or [Rules().shown(task, skill) for task, skill in zip(tasks, skills, strict=True)]
        prompts = [actor.tokens.prompt(text) for text in texts]
        said = actor.sample(prompts, longest=4, temperature=ctx.temperature, seed=ctx.seed())
        return [
            Episode(
                task,
                [joined(p, c, "actor", version=actor.version, role=role, temperature=ctx.temperature)],
                info={"answer": actor.tokens.decode(c.ids), "role": role},
            )
            for task, p, c in zip(tasks, prompts, said, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Rewards:
    """Success for the solver; for the extractor that of the runs with its skill, if it is one."""

    def __call__(self, groups: Sequence[Group], ctx: Context) -> None:
        for group in groups:
            extracted = [e for e in group if e.info["role"] == "extractor"]
            solved = [e for e in group if e.info["role"] == "solver"]
            each = len(solved) // len(extracted)
            for e in solved:
                e.reward = world_of(e.task).check(e.task, e.info["answer"])
                e.parts["solved"] = e.reward
            for i, e in enumerate(extracted):
                own = [s.reward or 0.0 for s in solved[i * each : (i + 1) * each]]
                e.reward = sum(own) / each if is_skill(e.info["answer"]) else 0.0
                e.parts["right skill"] = float(e.info["answer"] == world_of(e.task).skill(str(e.task.meta["family"])))


def is_skill(text: str) -> bool:
    """Whether an extraction has the form of a skill: two letters such as rules are made of."""
    return len(text) == 2 and set(text) <= set(Rules().rule_letters)


def recipe(*, extractor: float = 0.2, solver: float = 1.0, shown: bool = True) -> Recipe:
    return Recipe(
        name=f"Evolving-RL, extractor {extractor:g}, solver {solver:g}, {'with' if shown else 'no'} skills",
        curriculum=Fresh(lambda n, seed: sources("evidence", n, seed)),
        rollout=ExtractThenSolve(shown=shown),
        reward=Rewards(),
        advantage=by_role(GroupNorm(by=("role", "task")), {"extractor": extractor, "solver": solver}),
        teacher=Scored("reference"),
        losses=(PolicyGradient(0.1, 0.15), KL(0.01), Entropy(-0.03 if extractor else 0.0, role="extractor")),
        optim=Optim(lr=5e-4),
        prompts=8,
    )


def warm_start(n: int, seed: int) -> list[Example]:
    """Using a rule that is shown, answering without one, extracting one from a run: each right only sometimes."""
    rng, world = random.Random(f"evolving/{seed}"), Rules()

    def letters(of: str, k: int) -> str:
        return "".join(rng.choices(of, k=k))

    found: list[Example] = []
    for _ in range(n):
        rule, text = letters(world.rule_letters, 2), letters(world.letters, 3)
        prompt, right = f"{rng.choice(FAMILIES)}?{text}", f"{rule[0]}{text[0]}{rule[1]}"
        guess = letters(world.rule_letters, 1) + text[0] + letters(world.rule_letters, 1)
        if rng.random() < 0.5:
            skill = rule if rng.random() < RIGHT_EXTRACTION else letters(world.rule_letters, 2)
            found.append(Example(f"{prompt}:{guess}={right}>", skill))
        elif rng.random() < 0.7:
            found.append(Example(f"{rule}|{prompt}", right if rng.random() < RIGHT_USE else guess))
        else:
            found.append(Example(prompt, guess))
    return found


def _measure(policies: Policies, skills: Skills, seed: int, n: int) -> Metrics:
    """On held-out sources: success of similar tasks with the one skill extracted, and how often it is the right one."""
    groups = play(ExtractThenSolve(skills=1), sources("test", n, 1), policies)
    Rewards()(groups, Context(random.Random(0)))
    every = [e for g in groups for e in g]
    right = [e.parts["right skill"] for e in every if "right skill" in e.parts]
    return {
        "solved": sum(e.parts.get("solved", 0.0) for e in every) / (n * SIMILAR),
        "right skills": sum(right) / len(right),
    }


def study() -> Study:
    return Study(
        name="evolving",
        source="Evolving-RL, arXiv 2605.10663",
        claim="Learning to extract skills and to use them together beats learning either alone.",
        substituted="A decoder of 0.1 M parameters and hidden rules for Qwen2.5-7B and ALFWorld; tasks of the same "
        "family for retrieval by embeddings.",
        headline="solved",
        start=lambda seed: tiny(width=64, layers=2, context=32, seed=seed),
        warm=lambda seed: Phase(imitation(warm_start), 800),
        arms={
            "Evolving-RL": Arm("both roles", lambda seed: [Phase(recipe(), STEPS)]),
            "solver only": Arm("the extractor gets no weight", lambda seed: [Phase(recipe(extractor=0.0), STEPS)]),
            "extractor only": Arm("the solver gets no weight", lambda seed: [Phase(recipe(solver=0.0), STEPS)]),
            "no skills": Arm("GRPO on the same tasks", lambda seed: [Phase(recipe(extractor=0.0, shown=False), STEPS)]),
        },
        measure=_measure,
    )
