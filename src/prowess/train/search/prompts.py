"""Ways of asking: the task alone, after examples, or with a request for steps."""

from collections.abc import Sequence

from prowess.core.task import Task
from prowess.train.mechanisms.base import Example
from prowess.train.search.base import Ask

STEPS = "Let's think step by step."


def plain(task: Task) -> str:
    """The task's own prompt."""
    return task.prompt


def few_shot(examples: Sequence[Example], ask: Ask = plain, between: str = "\n\n") -> Ask:
    """After worked examples, each a prompt and its answer."""
    shown = between.join(f"{e.prompt}{e.answer}" for e in examples)
    return lambda task: f"{shown}{between}{ask(task)}" if shown else ask(task)


def step_by_step(ask: Ask = plain, words: str = STEPS) -> Ask:
    """With a request to show the steps (2205.11916)."""
    return lambda task: f"{ask(task)}\n{words}"
