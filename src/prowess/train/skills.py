"""Skills in a policy's prompt: how they are shown, and what each still helps."""

from collections.abc import Mapping, Sequence

from prowess.core.task import Task
from prowess.train.measures import accuracy
from prowess.train.mechanisms.rules import Rules
from prowess.train.parts import Policy
from prowess.train.rollouts import Prompt
from prowess.train.samples import Context


def shown(world: Rules) -> Prompt:
    """The task with the library's skill for its family before it; alone where there is none."""
    return lambda task, ctx: world.shown(task, ctx.skills.get(str(task.meta["family"]), ""))


def success(world: Rules, tasks: Sequence[Task], policies: Mapping[str, Policy], skills: Mapping[str, str]) -> float:
    """Share of tasks that greedy answers solve with this library."""
    return accuracy(world.check, tasks, policies, longest=world.longest, prompt=shown(world), skills=skills)


def with_and_without(
    world: Rules, name: str, n: int, policies: Mapping[str, Policy], ctx: Context
) -> tuple[float, float]:
    """Success on `n` gate tasks that show the skill, and on the same ones with this skill alone left out."""
    tasks = world.tasks("gate", n, seed=ctx.step, family=name)
    others = {other: text for other, text in ctx.skills.items() if other != name}
    return success(world, tasks, policies, ctx.skills), success(world, tasks, policies, others)
