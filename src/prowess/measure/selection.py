"""Choosing one skill from a catalogue: by words, by a model, or by either in two steps through categories.

What is measured here is the choice alone, by name and description, as an agent makes it before it reads any skill.
"""

import random
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from pydantic import TypeAdapter, create_model

from prowess.agents.models.structured import read
from prowess.agents.prompting import catalogue
from prowess.core.base import digest
from prowess.core.cost import Cost
from prowess.core.model import Message, Model, Request
from prowess.core.skill import Skill
from prowess.search.hierarchy import Hierarchical
from prowess.search.index import SearchIndex, listed
from prowess.search.tree import as_skill, grow

T = TypeVar("T")
NONE = "none"
"""What a model answers when no skill fits."""


class Choice(NamedTuple):
    """What was chosen, and what that cost."""

    skill: str | None
    """None when nothing fits, or the answer named no skill."""
    cost: Cost = Cost()


class Selector(Protocol):
    """Chooses from a catalogue. Raises `ModelError` when no answer came."""

    @property
    def name(self) -> str: ...

    async def choose(self, query: str, options: tuple[Skill, ...]) -> Choice: ...


class _Recent(Generic[T]):
    """What was made of the last few catalogues, since many requests are put to each."""

    def __init__(self, make: Callable[[tuple[Skill, ...]], T]) -> None:
        self._make = make
        self._made: dict[tuple[tuple[str, str], ...], T] = {}

    def __call__(self, options: tuple[Skill, ...]) -> T:
        key = tuple((s.name, s.description) for s in options)
        if key not in self._made:
            if len(self._made) >= 64:
                self._made.pop(next(iter(self._made)))
            self._made[key] = self._make(options)
        return self._made[key]


class ByWords:
    """The best match by words, in names and descriptions only."""

    name = "words"

    def __init__(self) -> None:
        self._index = _Recent(_indexed)

    async def choose(self, query: str, options: tuple[Skill, ...]) -> Choice:
        return Choice(next((hit.name for hit in self._index(options).search(query, 1)), None))


def _indexed(options: tuple[Skill, ...]) -> SearchIndex:
    return SearchIndex.of(listed(options))


class ByModel:
    """A model reads the catalogue and names one skill.

    The order of the catalogue is drawn from its content, so that no skill is favoured by its letter and equal
    catalogues are equal prompts, which an engine reads once.
    """

    def __init__(self, model: Model) -> None:
        self._model = model

    @property
    def name(self) -> str:
        return f"model:{self._model.name}"

    async def choose(self, query: str, options: tuple[Skill, ...]) -> Choice:
        names = [s.name for s in options]
        shown = random.Random(digest(sorted(names))).sample(options, len(options))
        answer: TypeAdapter[Any] = TypeAdapter(create_model("Answer", skill=(str, ...)))
        request = Request(
            messages=(
                Message(role="system", content=f"{ASK}\n{catalogue(tuple(shown))}"),
                Message(role="user", content=f"Request: {query}"),
            ),
            max_tokens=64,
            json_schema={
                "type": "object",
                "properties": {"skill": {"enum": [*(s.name for s in shown), NONE]}},
                "required": ["skill"],
                "additionalProperties": False,
            },
        )
        response = await self._model.complete(request)
        try:
            said = str(read(response.text, answer).skill).strip()
        except ValueError:
            said = response.text.strip()
        return Choice(said if said in names else None, response.cost)


ASK = (
    "Choose the one skill that serves the request best. Answer with JSON: "
    f'{{"skill": NAME}}, or {{"skill": "{NONE}"}} when none fits. The skills:'
)


class WordsByTree:
    """By words through categories: two categories are looked into, by the descriptions of all skills in them."""

    name = "tree:words"

    def __init__(self) -> None:
        self._index = _Recent(_indexed)
        self._router = _Recent(_hierarchical)

    async def choose(self, query: str, options: tuple[Skill, ...]) -> Choice:
        hits = await self._router(options).rank(query, self._index(options), 1)
        return Choice(next((hit.name for hit in hits), None))


def _hierarchical(options: tuple[Skill, ...]) -> Hierarchical:
    return Hierarchical.of(grow(options), {s.name: s for s in options})


class ByTree:
    """Chooses a category by its name, words and skills, then a skill in it, with another selector at each step."""

    def __init__(self, selector: Selector) -> None:
        self._selector = selector
        self._tree = _Recent(grow)

    @property
    def name(self) -> str:
        return f"tree:{self._selector.name}"

    async def choose(self, query: str, options: tuple[Skill, ...]) -> Choice:
        skills = {s.name: s for s in options}
        node, cost = self._tree(options).root, Cost()
        while node.children:
            dressed = tuple(as_skill(child, skills) for child in node.children)
            chosen = await self._selector.choose(query, dressed)
            cost += chosen.cost
            found = next((child for child in node.children if child.name == chosen.skill), None)
            if found is None:
                return Choice(None, cost)
            node = found
        chosen = await self._selector.choose(query, tuple(skills[name] for name in node.members))
        return Choice(chosen.skill, cost + chosen.cost)
