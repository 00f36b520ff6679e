"""What a trainer is fed: token sequences, the episodes they belong to, and groups of comparable episodes.

An episode is a list of samples: one long one with the environment's text in it, or one for each step. Everything that
an algorithm decides about a token is written beside the token, as a *stream*; the trainer only reads streams.
"""

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from prowess.core.task import Task


class Completion(NamedTuple):
    """What a policy said to one prompt."""

    ids: list[int]
    """The tokens sampled, the end token included where it was reached."""
    logp: list[float]
    """Log-probability of each, under the distribution it was drawn from."""
    finished: bool
    """Whether the end token came before the limit."""


@dataclass(slots=True)
class Sample:
    """One token sequence with tokens of one policy in it. Ids sampled are ids trained: nothing is tokenised twice.

    Streams, one number per token: `adv` (advantage), `w_rl`, `w_ce`, `w_kl` (weights of the loss terms that read them;
    without a stream the weight is zero), `ref_logp` (log-probability under a teacher). Recipes may add their own.

    Raises:
        ValueError: the lists differ in length, the first token counts as sampled, or a log-probability is not finite.
    """

    ids: list[int]
    """Prompt, completions and the environment's text, in order."""
    mask: list[bool]
    """True where `policy` produced the token."""
    logp: list[float]
    """Log-probability at sampling time where `mask`, else 0."""
    policy: str
    version: int = 0
    """Updates that the policy had seen when it sampled."""
    role: str = "solver"
    """What it did in the episode; several roles may share one policy."""
    position: int = 0
    """Place in a chain of tasks; advantages may compare like places only."""
    turn: list[int] = field(default_factory=list[int])
    """The turn each token belongs to; empty for a single turn."""
    anchor: str = ""
    """The state that the sample starts from, for advantages that compare equal states."""
    temperature: float = 1.0
    streams: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def __post_init__(self) -> None:
        n = len(self.ids)
        if not n or len(self.mask) != n or len(self.logp) != n or (self.turn and len(self.turn) != n):
            raise ValueError(f"{n} ids, {len(self.mask)} mask, {len(self.logp)} logp and {len(self.turn)} turn entries")
        if self.mask[0]:
            raise ValueError("the first token has nothing before it, so no policy can have sampled it")
        if not all(math.isfinite(p) for p in self.logp):
            raise ValueError("a log-probability is not finite")

    @property
    def trainable(self) -> bool:
        """Whether any token carries a weight of a loss."""
        return any(any(values) for name, values in self.streams.items() if name.startswith("w_"))

    def write(self, name: str, value: float | Sequence[float], *, everywhere: bool = False) -> None:
        """Write a stream: one value for all sampled tokens (for all tokens with `everywhere`), or one per token."""
        if isinstance(value, int | float):
            self.streams[name] = [float(value) if m or everywhere else 0.0 for m in self.mask]
        elif len(value) != len(self.ids):
            raise ValueError(f"stream {name!r} has {len(value)} entries for {len(self.ids)} tokens")
        else:
            self.streams[name] = [float(v) for v in value]

    def reinforce(self, advantage: float | Sequence[float]) -> None:
        """Set the advantage, and give every sampled token the weight 1 in the policy gradient."""
        self.write("adv", advantage)
        self.write("w_rl", 1.0)


@dataclass(slots=True)
class Episode:
    """One attempt at a task, by one or several policies."""

    task: Task
    samples: list[Sample]
    reward: float | None = None
    """None: it could not be judged, and counts in no statistic."""
    parts: dict[str, float] = field(default_factory=dict[str, float])
    """Named parts of the reward, and other figures to be logged."""
    step_rewards: list[float] = field(default_factory=list[float])
    """One per sample, or per turn of a long one, for advantages that give credit step by step."""
    info: dict[str, Any] = field(default_factory=dict[str, Any])
    """Plain data that rewards and curricula need: answers, skills used, states."""


Group = list[Episode]
"""Attempts that may be compared with one another; their prompts need not be equal."""


@dataclass(slots=True)
class Context:
    """What every part may look at, and the one source of randomness."""

    rng: random.Random
    step: int = 0
    """Updates done so far."""
    steps: int = 1
    """Updates planned; schedules need it."""
    train: bool = True
    temperature: float = 1.0
    skills: dict[str, str] = field(default_factory=dict[str, str])
    """The library that rollouts may show: name → text. Audits change it."""

    @property
    def progress(self) -> float:
        """0 at the start, 1 at the planned end."""
        return min(1.0, self.step / max(1, self.steps))

    def seed(self) -> int:
        """A fresh seed for whoever draws many numbers."""
        return self.rng.getrandbits(62)


def joined(
    prompt: Sequence[int], said: Completion, policy: str, *, version: int = 0, role: str = "solver",
    temperature: float = 1.0,
) -> Sample:  # fmt: skip
    """The sample of one prompt and its completion."""
    n = len(prompt)
    return Sample(
        ids=[*prompt, *said.ids],
        mask=[False] * n + [True] * len(said.ids),
        logp=[0.0] * n + list(said.logp),
        policy=policy,
        version=version,
        role=role,
        temperature=temperature or 1.0,
    )


def extend(sample: Sample, said: Completion, before: Sequence[int]) -> None:
    """Append the environment's text and the next completion to a sample: one more turn."""
    turn = (sample.turn[-1] if sample.turn else 0) + 1
    sample.turn = sample.turn or [0] * len(sample.ids)
    sample.ids += [*before, *said.ids]
    sample.mask += [False] * len(before) + [True] * len(said.ids)
    sample.logp += [0.0] * len(before) + list(said.logp)
    sample.turn += [turn] * (len(before) + len(said.ids))


def samples_of(groups: Iterable[Group]) -> list[Sample]:
    """All samples of all episodes, in order."""
    return [sample for group in groups for episode in group for sample in episode.samples]


def dump(groups: Iterable[Group]) -> list[list[dict[str, Any]]]:
    """Groups as plain data, for checkpoints."""
    return [
        [{**asdict(episode), "task": episode.task.model_dump(mode="json")} for episode in group] for group in groups
    ]


def load(data: Iterable[Iterable[dict[str, Any]]]) -> list[Group]:
    """The groups that `dump` wrote."""
    return [
        [
            Episode(Task.model_validate(e.pop("task")), [Sample(**s) for s in e.pop("samples")], **e)
            for e in map(dict[str, Any], group)
        ]
        for group in data
    ]
