"""Bounded concurrency that does not throw away what is already paid."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

import anyio

from prowess.core.errors import ProwessError

T = TypeVar("T")
R = TypeVar("R")


async def for_each(items: Iterable[T], work: Callable[[T], Awaitable[None]], concurrency: int) -> None:
    """Do `work` on every item, at most `concurrency` at once, starting them in order.

    After an error raised on purpose (a budget, a mistake of the caller) no further item is started, those in flight are
    finished, and the first such error is raised, bare. Any other error is a bug: it cancels the rest.
    """
    stopped: list[ProwessError] = []
    queue = iter(items)

    async def worker() -> None:
        for item in queue:  # shared by all workers: each takes the next item
            try:
                await work(item)
            except ProwessError as error:
                stopped.append(error)
            if stopped:
                return

    async with anyio.create_task_group() as group:
        for _ in range(max(1, concurrency)):
            group.start_soon(worker)
    if stopped:
        raise stopped[0]


async def map_each(items: Sequence[T], work: Callable[[T], Awaitable[R]], concurrency: int) -> list[R]:
    """The results of `work` on every item, in the order of the items; everything else as in `for_each`."""
    found: dict[int, R] = {}

    async def one(number: int) -> None:
        found[number] = await work(items[number])

    await for_each(range(len(items)), one, concurrency)
    return [found[number] for number in range(len(items))]
