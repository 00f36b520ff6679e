"""Warm starts: imitating demonstrations. A tiny model has no pretraining; this is what stands in for it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prowess.core.task import Task
from prowess.train.curricula import Fresh
from prowess.train.losses import CrossEntropy
from prowess.train.mechanisms.base import Example
from prowess.train.parts import Optim, Policy, Recipe
from prowess.train.samples import Completion, Context, Episode, Group, extend, joined


@dataclass(frozen=True, slots=True)
class Demonstrations:
    """A rollout in which nobody samples: tasks carry their answers, to be imitated."""

    policy: str = "actor"

    def __call__(self, tasks: Sequence[Task], policies: Mapping[str, Policy], ctx: Context) -> list[Group]:
        tokens = policies[self.policy].tokens
        groups: list[Group] = []
        for task in tasks:
            ids = tokens.answer(str(task.meta["answer"]))
            sample = joined(tokens.prompt(task.prompt), Completion(ids, [0.0] * len(ids), True), self.policy)
            more: Any = task.meta["more"]
            for said, answer in more:
                ids = tokens.answer(answer)
                extend(sample, Completion(ids, [0.0] * len(ids), True), tokens.reply(said))
            sample.write("w_ce", 1.0)
            groups.append([Episode(task, [sample])])
        return groups


def imitation(
    examples: Callable[[int, int], Sequence[Example]], *, rows: int = 64, lr: float = 2e-3, name: str = "warm start",
    policy: str = "actor", warmup: int = 50,
) -> Recipe:  # fmt: skip
    """Supervised fine-tuning, as a recipe like any other.

    Args:
        examples: from a number and a seed to demonstrations.
        rows: demonstrations of one step.
    """

    def tasks(n: int, seed: int) -> list[Task]:
        return [
            Task(id=f"demonstration/{i}", suite="warm", family="demonstration", split="evidence", seed=i,
                 prompt=e.prompt, meta={"answer": e.answer, "more": [list(turn) for turn in e.more]})
            for i, e in enumerate(examples(n, seed))
        ]  # fmt: skip

    return Recipe(
        name=name,
        curriculum=Fresh(tasks),
        rollout=Demonstrations(policy),
        losses=(CrossEntropy(),),
        optim=Optim(lr=lr, warmup=warmup),
        prompts=rows,
        train=(policy,),
    )
