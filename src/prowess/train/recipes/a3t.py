"""A3T: failed tasks are tried again with random actions, whose reasons are written afterwards (ReAct meets ActRe,
2403.14589).

A policy acts by reason and action (ReAct). Where a task fails, it is tried again several times; at random steps an
action is drawn at random instead, and the policy, asked the other way round (ActRe), writes the reason for it.
Successes are put next to the failed attempt of the same task and learned from together: +1 for the success, a tempered
-1 for the failure, as weights of the log-probability. Each round learns from the data of all rounds, and begins again
at the base model.

How far the -1 is tempered is not stated where we could read it; 0.1 here. The optimiser's averages are not reset
between rounds.

Here: `grid`. A reason says what one goes for and along which axis: `kx:e` is "for the key, along x: east". The warm
start has a habit: it seldom goes north or west, so that half of the rooms are out of reach of what it does by itself.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prowess.core.task import Task
from prowess.train.curricula import practice
from prowess.train.losses import CrossEntropy
from prowess.train.measures import play
from prowess.train.mechanisms.base import Example
from prowess.train.mechanisms.grid import Grid, GridEnv, Place, moved, possible, see
from prowess.train.parts import Ids, Optim, Policy, Recipe
from prowess.train.policies.load import tiny
from prowess.train.samples import Completion, Context, Episode, Group, dump, joined, load
from prowess.train.study import Arm, Phase, Policies, Skills, Study
from prowess.train.trainer import Metrics
from prowess.train.warm import imitation

LEVEL = 1
ROUNDS, ROUND = 4, 60
"""Rounds, and the updates of each."""
TASKS, AGAIN, BATCH = 64, 6, 12
"""Tasks of a round, further attempts at each failed one, tasks of an update."""
TURNS, LONGEST = 20, 5
EXPLORED = 0.3
"""How often an attempt's action is drawn at random."""
NEGATIVE = 0.1
HABIT = {"e": 0.42, "s": 0.42, "n": 0.08, "w": 0.08, "t": 0.42}


def reason(place: Place, action: str) -> str:
    """Why one would do this here: for the key or the door, along x or y, because one is there, or for no good
    reason."""
    target, goal = ("d", place.door) if place.held else ("k", place.key)
    after = moved(place, action) if action != "t" else place
    if action == "t":
        return target + "t"
    if abs(after.x - goal[0]) < abs(place.x - goal[0]):
        return target + "x"
    return target + ("y" if abs(after.y - goal[1]) < abs(place.y - goal[1]) else "o")


@dataclass(frozen=True, slots=True)
class Attempts:
    """Plays tasks by ReAct; with `explore` some actions are drawn at random, and their reasons written by ActRe."""

    explore: float = 0.0
    reasons: bool = True

    def __call__(self, tasks: Sequence[Task], policies: Mapping[str, Policy], ctx: Context) -> list[Group]:
        actor = policies["actor"]
        envs = [GridEnv(task) for task in tasks]
        episodes = [Episode(task, [], reward=0.0) for task in tasks]
        seen = {i: env.reset() for i, env in enumerate(envs)}
        for _ in range(TURNS):
            prompts = {i: actor.tokens.prompt(text) for i, text in seen.items()}
            said = dict(zip(seen, self._sampled(actor, list(prompts.values()), ctx), strict=True))
            drawn = [i for i in seen if ctx.rng.random() < self.explore]
            acts = {i: (seen[i], ctx.rng.choice(possible(envs[i].place, envs[i].side))) for i in drawn}
            said |= self._explained(actor, acts, ctx)
            for i, c in said.items():
                sample = joined(prompts[i], c, "actor", version=actor.version, temperature=ctx.temperature)
                episodes[i].samples.append(sample)
                heard = envs[i].step(actor.tokens.decode(c.ids).rpartition(":")[2])
                seen[i] = heard.text
                episodes[i].reward = (episodes[i].reward or 0.0) + heard.reward
            seen = {i: text for i, text in seen.items() if not envs[i].done}
            if not seen:
                break
        return [[e] for e in episodes]

    def _explained(
        self, actor: Policy, acts: Mapping[int, tuple[str, str]], ctx: Context
    ) -> dict[int, Completion]:  # fmt: skip
        """Answers that do these actions, with ActRe's reason or with none."""
        prompts = [actor.tokens.prompt(f"{text}<{action}") for text, action in acts.values()]
        why = self._sampled(actor, prompts, ctx) if self.reasons else [Completion([], [], True)] * len(prompts)
        found: dict[int, Completion] = {}
        for (i, (_, action)), c in zip(acts.items(), why, strict=True):
            ids = actor.tokens.answer(f"{actor.tokens.decode(c.ids)}:{action}")
            found[i] = Completion(ids, [0.0] * len(ids), True)
        return found

    def _sampled(self, actor: Policy, prompts: Sequence[Ids], ctx: Context) -> list[Completion]:
        return actor.sample(prompts, longest=LONGEST, temperature=ctx.temperature, seed=ctx.seed())


@dataclass(slots=True)
class Rounds:
    """The rollout: at the start of a round new attempts, and back to the base model; then updates from all there is.

    A group is a task: its successes, and the first attempt where that failed."""

    explore: float = EXPLORED
    reasons: bool = True
    kept: list[Group] = field(default_factory=list[Group])

    def __call__(self, tasks: Sequence[Task], policies: Mapping[str, Any], ctx: Context) -> list[Group]:
        if ctx.step % ROUND == 0 or not self.kept:
            groups = self._attempted(tasks, policies, ctx)
            policies["actor"].follow(policies["reference"])
            self.kept += [g for g in groups if any(e.reward == 1.0 for e in g)]
            if not self.kept:
                return groups
        return ctx.rng.sample(self.kept, min(BATCH, len(self.kept)))

    def _attempted(self, tasks: Sequence[Task], policies: Mapping[str, Policy], ctx: Context) -> list[Group]:
        groups = Attempts()(tasks, policies, ctx)
        failed = [group for group in groups if group[0].reward != 1.0]
        again = [group[0].task for group in failed for _ in range(AGAIN)]
        more = Attempts(self.explore, self.reasons)(again, policies, ctx) if again else []
        for i, group in enumerate(failed):
            group += [e for [e] in more[i * AGAIN : (i + 1) * AGAIN] if e.reward == 1.0]
        return groups

    def state_dict(self) -> dict[str, Any]:
        return {"kept": dump(self.kept)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.kept = load(state["kept"])


@dataclass(frozen=True, slots=True)
class Contrast:
    """Weights of the log-probability: +1 for successes, `-negative` for a failure that stands beside one."""

    negative: float = NEGATIVE

    def __call__(self, groups: Sequence[Group], ctx: Context) -> None:
        for group in groups:
            solved = any(e.reward == 1.0 for e in group)
            for e in group if solved else ():
                for sample in e.samples:
                    sample.write("w_ce", 1.0 if e.reward == 1.0 else -self.negative)


def recipe(*, explore: float = EXPLORED, reasons: bool = True, negative: float = NEGATIVE) -> Recipe:
    return Recipe(
        name=f"A3T, explore {explore:g}, {'with' if reasons else 'no'} reasons, negative {negative:g}",
        curriculum=practice(Grid(), level=LEVEL),
        rollout=Rounds(explore, reasons),
        advantage=Contrast(negative),
        losses=(CrossEntropy(),),
        optim=Optim(lr=1e-3),
        prompts=TASKS,
    )


def warm_start(n: int, seed: int) -> list[Example]:
    """Acting by reason and action, with the habit; and the reason of any action."""
    rng = random.Random(f"a3t/{seed}")
    side = LEVEL + 2
    fields = [(x, y) for x in range(side) for y in range(side)]
    found: list[Example] = []
    for _ in range(n):
        start, key, door = rng.sample(fields, 3)
        place = Place(*rng.choice((start, key)), key, door, held=rng.random() < 0.5)
        said, can = see(place, side), possible(place, side)
        if rng.random() < 0.5:
            action = rng.choice(can)
            found.append(Example(f"{said}<{action}", reason(place, action)))
        else:
            action = rng.choices(can, [HABIT[a] for a in can])[0]
            found.append(Example(said, f"{reason(place, action)}:{action}"))
    return found


def _measure(policies: Policies, skills: Skills, seed: int, n: int) -> Metrics:
    """Success of one attempt at each held-out room, sampled and greedy."""
    tasks = Grid().tasks("test", n, level=LEVEL, seed=1)

    def solved(temperature: float) -> float:
        return sum(e.reward or 0.0 for [e] in play(Attempts(), tasks, policies, temperature=temperature)) / n

    return {"success": solved(1.0), "greedy": solved(0.0)}


def study() -> Study:
    def arm(what: str, **how: Any) -> Arm:
        return Arm(what, lambda seed: [Phase(recipe(**how), ROUNDS * ROUND)])

    return Study(
        name="a3t",
        source="ReAct Meets ActRe: Autonomous Annotation of Agent Trajectories, arXiv 2403.14589",
        claim="Random actions with reasons written afterwards, learned from beside failures, solve what imitation of "
        "successes does not.",
        substituted="A decoder of 0.1 M parameters and rooms with a key for Mistral-7B and ALFWorld; one model asked "
        "in two ways for two models.",
        headline="success",
        start=lambda seed: tiny(width=64, layers=2, context=48, seed=seed),
        warm=lambda seed: Phase(imitation(warm_start), 600),
        arms={
            "A3T": arm("random actions, reasons, contrast"),
            "successes only": arm("no weight on failures", negative=0.0),
            "no reasons": arm("random actions without reasons", reasons=False),
            "no exploration": arm("further attempts by ReAct alone", explore=0.0),
        },
        measure=_measure,
    )
