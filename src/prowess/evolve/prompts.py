"""Prompts as files: what a recipe asks a model lies beside it in `recipes/<recipe>.toml`, one table a question.

    [curate]
    system = "Who the model is and what it may do."
    user = "Skills: $names\\n\\n$lesson"
    max_tokens = 600
    [[curate.examples]]
    user = "Skills: none yet ..."
    answer = '{"operation": "none"}'

Examples are shown as turns before the question. `$name` is filled in with text that is never read as a template.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from string import Template

from pydantic import TypeAdapter

from prowess.core.base import Frozen
from prowess.core.model import Message, Request


class Example(Frozen):
    """A question of the kind, and a good answer."""

    user: str
    answer: str


class _Table(Frozen):
    system: str
    user: str
    max_tokens: int = 400
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """One question to a model, still without what it is about."""

    name: str
    """`recipe/question`."""
    system: str
    user: str
    """With a `$name` for each value."""
    max_tokens: int = 400
    """Of the answer."""
    examples: tuple[Example, ...] = ()

    def request(self, values: dict[str, str], *, seed: int = 0, temperature: float = 0.0) -> Request:
        """The question about `values`.

        Raises:
            KeyError: a `$name` has no value: a mistake of the recipe.
        """
        shown = [
            message
            for example in self.examples
            for message in (
                Message(role="user", content=example.user.strip()),
                Message(role="assistant", content=example.answer.strip()),
            )
        ]
        return Request(
            messages=(
                Message(role="system", content=self.system),
                *shown,
                Message(role="user", content=Template(self.user).substitute(values)),
            ),
            max_tokens=self.max_tokens,
            temperature=temperature,
            seed=seed,
        )


@cache
def prompts(recipe: str) -> dict[str, Prompt]:
    """The questions of a recipe, by name; empty where it has no file."""
    file = resources.files("prowess.evolve.recipes").joinpath(f"{recipe}.toml")
    if not file.is_file():
        return {}
    tables = TypeAdapter(dict[str, _Table]).validate_python(tomllib.loads(file.read_text("utf-8")))
    return {
        name: Prompt(f"{recipe}/{name}", t.system.strip(), t.user.strip(), t.max_tokens, t.examples)
        for name, t in tables.items()
    }
