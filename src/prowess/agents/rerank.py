"""A router that lets a model order the best of another router's answer, list-wise.

The model sees numbers, names and descriptions, never what tells the origin of a skill (SRA-Bench, arXiv 2604.24593,
found that ids leak it). What it says is data: numbers that are not on the list are dropped, what it leaves out keeps
its order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from prowess.agents.models.structured import Unreadable, ask
from prowess.core.base import Frozen
from prowess.core.model import Message, Model, Request
from prowess.search.filters import Filter
from prowess.search.index import EVERYTHING, Hit, SearchIndex
from prowess.search.routers import Router

POOL: Final = 50
"""Skills that the model orders."""
_WORDS: Final = 300
"""Characters of each description that it sees."""


class _Order(Frozen):
    best_first: list[int]


@dataclass(frozen=True, slots=True)
class Reranked:
    """The first `POOL` of `router`, in the order of `model`; where it gives no usable answer, in the router's own."""

    router: Router
    model: Model
    describe: Callable[[list[str]], dict[str, str]]
    """Descriptions by name."""
    name: str = "model"

    async def rank(self, query: str, skills: SearchIndex, limit: int = 10, only: Filter = EVERYTHING) -> list[Hit]:
        pool = await self.router.rank(query, skills, POOL, only)
        if len(pool) < 2:
            return pool[:limit]
        told = self.describe([hit.name for hit in pool])
        listing = "\n".join(
            f"{i}. {hit.name}: {' '.join(told.get(hit.name, '').split())[:_WORDS]}" for i, hit in enumerate(pool, 1)
        )
        prompt = (
            f"Task:\n{query}\n\nSkills:\n{listing}\n\n"
            "Order the skills by how much each would help with the task, most helpful first. "
            'Answer with JSON: {"best_first": [numbers]}. Leave out those that would not help.'
        )
        request = Request(messages=(Message(role="user", content=prompt),), max_tokens=512)
        try:
            said = (await ask(self.model, request, _Order)).best_first
        except Unreadable:
            said = []
        chosen = list(dict.fromkeys(n - 1 for n in said if 1 <= n <= len(pool)))
        order = [*chosen, *(i for i in range(len(pool)) if i not in set(chosen))]
        return [Hit(pool[i].name, 1 / (place + 1)) for place, i in enumerate(order[:limit])]
