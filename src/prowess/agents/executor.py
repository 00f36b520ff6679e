"""Runs many things at once on this machine: bounded, in stable order, one failure alone."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

import anyio

from prowess.core.errors import BoundaryError

Item = TypeVar("Item")
Out = TypeVar("Out")


class Executor(Protocol):
    """Applies a function to many items; another machine may do it."""

    async def map(
        self,
        fn: Callable[[Item], Awaitable[Out]],
        items: Sequence[Item],
        concurrency: int,
        on_done: Callable[[int, Out | BoundaryError], None] | None = None,
    ) -> list[Out | BoundaryError]: ...


class LocalExecutor:
    """The executor of one machine: an anyio task group."""

    async def map(
        self,
        fn: Callable[[Item], Awaitable[Out]],
        items: Sequence[Item],
        concurrency: int,
        on_done: Callable[[int, Out | BoundaryError], None] | None = None,
    ) -> list[Out | BoundaryError]:
        """`fn` of every item, at most `concurrency` at a time, started and returned in the order of `items`.

        A `BoundaryError` takes the place of its result and leaves the others alone. Anything else (`BudgetExceeded`,
        a bug, cancellation) stops the rest and is raised as itself. `on_done(index, result)` is called as each ends.
        """
        if concurrency < 1:
            raise ValueError(f"concurrency must be at least 1, not {concurrency}")
        results: dict[int, Out | BoundaryError] = {}
        queue = iter(enumerate(items))
        raised: list[Exception] = []

        async def work(group: anyio.abc.TaskGroup) -> None:
            # Workers that take the next item keep the order of starting, and make no task per item.
            for index, item in queue:
                try:
                    try:
                        result: Out | BoundaryError = await fn(item)
                    except BoundaryError as error:
                        result = error
                    results[index] = result
                    if on_done is not None:
                        on_done(index, result)
                except Exception as error:
                    # Kept aside, so that the caller gets this one and not a group around it.
                    raised.append(error)
                    group.cancel_scope.cancel()
                    return

        async with anyio.create_task_group() as group:
            for _ in range(min(concurrency, len(items))):
                group.start_soon(work, group)
        if raised:
            raise raised[0]
        return [results[index] for index in range(len(items))]
