"""SkillOS: a curator of skills, paid by what its edits do to the tasks that follow (2605.06614).

A frozen executor works through a stream of related tasks with a repository that is empty at first. After each task the
curator reads what happened and inserts, updates or deletes a skill. The whole stream is one rollout, with the reward
    r = r_task + 1.0 r_calls + 0.1 r_content + 0.05 r_compression
of which r_task is the success on all tasks but the first: only edits can change that. GRPO, eight streams a group, KL
0.001. The paper's streams hold ten tasks of a kind; without the grouping, it says, nothing is learned.

The sources do not say which of 0.1 and 0.05 goes with content and which with compression. Doing nothing counts here as
a valid call.

Here: hidden rules (`rules`), new ones in every stream, so that nothing can be known by heart. The executor is a script
that succeeds in 0.9 of the tasks with the right rule, in 0.1 with a wrong one, in 0.2 with none; a judge by program
finds content valid that the last task has shown to be right.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from prowess.core.task import Split, Task
from prowess.train.advantages import GroupNorm
from prowess.train.curricula import Fresh
from prowess.train.losses import KL, PolicyGradient
from prowess.train.measures import play
from prowess.train.mechanisms.base import Drawn, Example, make
from prowess.train.mechanisms.rules import FAMILIES, Rules
from prowess.train.parts import Optim, Policy, Recipe
from prowess.train.policies.load import tiny
from prowess.train.policies.scripted import ScriptedPolicy
from prowess.train.samples import Context, Episode, Group, Sample, joined
from prowess.train.study import Arm, Phase, Policies, Skills, Study
from prowess.train.teachers import Scored
from prowess.train.trainer import Metrics
from prowess.train.warm import imitation

STEPS = 150
LENGTH = 8
"""Tasks of a stream."""
LONGEST = 5
CHANCES = {"right": 0.9, "none": 0.2, "wrong": 0.1}
"""How often the executor succeeds, by the skill it was given."""
WEIGHTS = {"task": 1.0, "calls": 1.0, "content": 0.1, "compression": 0.05}


class Edit(NamedTuple):
    """What a call did to the repository."""

    kind: str
    """`I`nsert, `U`pdate, `D`elete, `-` for nothing; empty for an invalid call."""
    repository: dict[str, str]
    rule: str = ""


def edited(repository: Mapping[str, str], call: str) -> Edit:
    """The repository after a call: `ICxp` inserts rule xp for family C where there is none, `UCxp` replaces one that is
    there, `DC` deletes it, `-` does nothing. Anything else is invalid and changes nothing."""
    kind, family, rule = call[:1], call[1:2], call[2:]
    there, now = family in repository, dict(repository)
    if call == "-":
        return Edit("-", now)
    if kind == "D" and there and not rule:
        del now[family]
        return Edit("D", now)
    if kind in ("I", "U") and there == (kind == "U") and family in list(FAMILIES) and len(family + rule) == 3:
        return Edit(kind, {**now, family: rule}, rule)
    return Edit("", now)


def streams(split: Split, n: int, seed: int, *, grouped: bool = True) -> list[Task]:
    """Streams of tasks: of two families each, or, not grouped, of as many families as tasks."""

    def draw(rng: random.Random) -> Drawn:
        world = rng.randrange(10**6)
        chosen = rng.sample(FAMILIES, 2 if grouped else LENGTH)
        order = [chosen[i % len(chosen)] for i in range(LENGTH)]
        rng.shuffle(order)
        return Drawn(f"{''.join(order)} {world}", {"world": world, "order": "".join(order)})

    return make("curation", split, n, draw, family="stream", seed=seed)


@dataclass(slots=True)
class _Stream:
    """One stream while it lasts. Luck is a matter of the seed, not of what the curator does."""

    task: Task
    luck: random.Random
    episode: Episode
    repository: dict[str, str] = field(default_factory=dict[str, str])
    tried: str = ""
    solved: list[bool] = field(default_factory=list[bool])
    edits: list[tuple[str, bool]] = field(default_factory=list[tuple[str, bool]])
    """Kind of each edit, and whether its content had just been shown to be right."""

    def act(self, place: int) -> str:
        """Let the executor do the next task; returns what the curator reads of it: `xp>Cxp+`."""
        family = str(self.task.meta["order"])[place]
        world = Rules(int(str(self.task.meta["world"])), families=len(FAMILIES))
        rule, given = world.skill(family), self.repository.get(family, "")
        chance = CHANCES["none" if not given else "right" if given == rule else "wrong"]
        draw, other = self.luck.random(), "".join(self.luck.choice(world.rule_letters) for _ in range(2))
        self.solved.append(draw < chance)
        self.tried = rule if self.solved[-1] else other
        return f"{given}>{family}{self.tried}{'+' if self.solved[-1] else '-'}"

    def take(self, sample: Sample, call: str, place: int) -> None:
        sample.position = place
        self.episode.samples.append(sample)
        edit = edited(self.repository, call)
        self.repository = edit.repository
        self.edits.append((edit.kind, self.solved[-1] and edit.rule == self.tried))


@dataclass(frozen=True, slots=True)
class Curation:
    """The rollout: executor and curator take turns along a stream; all streams at once."""

    copies: int = 8

    def __call__(self, tasks: Sequence[Task], policies: Mapping[str, Policy], ctx: Context) -> list[Group]:
        actor = policies["actor"]
        seeds = [ctx.seed() for _ in tasks]
        groups = [
            [_Stream(task, random.Random(seed), Episode(task, [])) for _ in range(self.copies)]
            for task, seed in zip(tasks, seeds, strict=True)
        ]
        every = [stream for group in groups for stream in group]
        for place in range(LENGTH):
            prompts = [actor.tokens.prompt(stream.act(place)) for stream in every]
            said = actor.sample(prompts, longest=LONGEST, temperature=ctx.temperature, seed=ctx.seed())
            for stream, prompt, c in zip(every, prompts, said, strict=True):
                sample = joined(prompt, c, "actor", version=actor.version, role="curator", temperature=ctx.temperature)
                stream.take(sample, actor.tokens.decode(c.ids), place)
        for stream in every:
            stream.episode.info |= {
                "solved": stream.solved, "edits": [list(e) for e in stream.edits], "size": len(stream.repository)
            }  # fmt: skip
        return [[stream.episode for stream in group] for group in groups]


@dataclass(frozen=True, slots=True)
class Composite:
    """The reward of a stream, by the weights of its parts."""

    weights: Mapping[str, float]

    def __call__(self, groups: Sequence[Group], ctx: Context) -> None:
        for group in groups:
            for e in group:
                e.parts |= parts(e.info["solved"], e.info["edits"], e.info["size"])
                e.reward = sum(self.weights[name] * e.parts[name] for name in WEIGHTS)


def parts(solved: Sequence[bool], edits: Sequence[Sequence[object]], size: int) -> dict[str, float]:
    """The four parts: success after the first task, valid calls, valid contents, how small the repository stayed."""
    contents = [bool(right) for kind, right in edits if kind in ("I", "U")]
    return {
        "task": sum(solved[1:]) / (len(solved) - 1),
        "calls": sum(kind != "" for kind, _ in edits) / len(edits),
        "content": sum(contents) / len(contents) if contents else 0.0,
        "compression": 1 - min(1.0, size / len(solved)),
    }


def recipe(*, grouped: bool = True, task: float = WEIGHTS["task"]) -> Recipe:
    return Recipe(
        name=f"SkillOS, task weight {task:g}, {'grouped' if grouped else 'mixed'} streams",
        curriculum=Fresh(lambda n, seed: streams("evidence", n, seed, grouped=grouped)),
        rollout=Curation(),
        reward=Composite({**WEIGHTS, "task": task}),
        advantage=GroupNorm(),
        teacher=Scored("reference"),
        losses=(PolicyGradient(0.2, 0.2), KL(0.001)),
        optim=Optim(lr=5e-4),
        prompts=8,
    )


def warm_start(n: int, seed: int) -> list[Example]:
    """Calls of the right form about what was just seen, good and bad alike."""
    rng, letters = random.Random(f"skillos/{seed}"), Rules().rule_letters
    found: list[Example] = []
    for _ in range(n):
        family, tried, other = rng.choice(FAMILIES), *("".join(rng.choices(letters, k=2)) for _ in range(2))
        given = rng.choice(("", tried, other))
        rule = rng.choice((tried, tried, "".join(rng.choices(letters, k=2))))
        call = rng.choice((f"I{family}{rule}", f"U{family}{rule}", f"D{family}", "-"))
        found.append(Example(f"{given}>{family}{tried}{rng.choice('+-')}", call))
    return found


def insert_all(prompt: str, rng: random.Random) -> str:
    """The curator that keeps whatever was tried last."""
    given, _, seen = prompt.partition(">")
    return ("U" if given else "I") + seen[:3]


def _measure(policies: Policies, skills: Skills, seed: int, n: int) -> Metrics:
    """Success after the first task of held-out streams; size of the repository; share of updates among the edits."""
    tasks = streams("test", n, 1)

    def success(curator: Policies) -> tuple[float, list[Episode]]:
        episodes = [e for g in play(Curation(1), tasks, curator) for e in g]
        return sum(sum(e.info["solved"][1:]) for e in episodes) / (n * (LENGTH - 1)), episodes

    reached, episodes = success(policies)
    kinds = [kind for e in episodes for kind, _ in e.info["edits"]]
    return {
        "success": reached,
        "size": sum(e.info["size"] for e in episodes) / n,
        "updates": kinds.count("U") / max(1, len(kinds) - kinds.count("-") - kinds.count("")),
        "no curator": success({"actor": ScriptedPolicy("actor", lambda prompt, rng: "-")})[0],
        "insert all": success({"actor": ScriptedPolicy("actor", insert_all)})[0],
    }


def study() -> Study:
    return Study(
        name="skillos",
        source="SkillOS: Learning Skill Curation for Self-Evolving Agents, arXiv 2605.06614",
        claim="A curator paid by later tasks of the same kind raises their success; without that part, or with mixed "
        "streams, it does not.",
        substituted="A decoder of 0.1 M parameters for Qwen3-8B, a script for the frozen executor, hidden rules for "
        "ALFWorld, a program for the judge of contents.",
        headline="success",
        start=lambda seed: tiny(width=64, layers=2, context=32, seed=seed),
        warm=lambda seed: Phase(imitation(warm_start), 600),
        arms={
            "SkillOS": Arm("the composite reward, grouped streams", lambda seed: [Phase(recipe(), STEPS)]),
            "no task reward": Arm("valid, true and short only", lambda seed: [Phase(recipe(task=0.0), STEPS)]),
            "mixed streams": Arm("tasks that share nothing", lambda seed: [Phase(recipe(grouped=False), STEPS)]),
        },
        measure=_measure,
    )
