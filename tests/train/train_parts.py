"""Small worlds for tests of training: samples made by hand, a fresh tiny decoder, a task of one token."""

from collections.abc import Sequence

from prowess.core.task import Task
from prowess.train.policies.load import tiny
from prowess.train.policies.model import ModelPolicy
from prowess.train.samples import Context, Episode, Group, Sample


def task(prompt: str = "a", id: str = "t", **meta: str) -> Task:
    return Task(id=id, suite="test", family="f", split="evidence", seed=0, prompt=prompt, meta=dict(meta))


def sample(ids: Sequence[int] = (5, 6, 7), *, start: int = 1, policy: str = "actor", **fields: object) -> Sample:
    """A sample whose tokens from `start` on were sampled, with log-probability -1."""
    mask = [i >= start for i in range(len(ids))]
    return Sample(list(ids), mask, [-1.0 if m else 0.0 for m in mask], policy, **fields)  # type: ignore[arg-type]


def group(*rewards: float | None, **fields: object) -> Group:
    return [Episode(task(), [sample(**fields)], reward=r) for r in rewards]  # type: ignore[arg-type]


def context(**fields: object) -> Context:
    import random

    return Context(random.Random(0), **fields)  # type: ignore[arg-type]


def actor(name: str = "actor", seed: int = 0, **sizes: int) -> ModelPolicy:
    return tiny(name, **{"width": 32, "layers": 2, "heads": 4, "context": 64, **sizes}, seed=seed)
