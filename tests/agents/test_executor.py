"""The local executor: order, bound, isolation of failures, cancellation."""

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prowess.agents.executor import LocalExecutor
from prowess.core.errors import BoundaryError, BudgetExceeded, ModelError


@given(st.lists(st.integers(0, 5), max_size=20), st.integers(1, 6))
def test_results_keep_the_order_of_items_and_the_bound(delays: list[int], concurrency: int) -> None:
    running, most, started, done = 0, 0, [], []

    async def fn(item: tuple[int, int]) -> int:
        nonlocal running, most
        index, delay = item
        started.append(index)
        running += 1
        most = max(most, running)
        for _ in range(delay):
            await anyio.lowlevel.checkpoint()
        running -= 1
        return index * 10

    results = anyio.run(
        LocalExecutor().map,
        fn,
        list(enumerate(delays)),
        concurrency,
        lambda index, result: done.append((index, result)),
    )
    assert results == [i * 10 for i in range(len(delays))]
    assert started == list(range(len(delays))) and most <= concurrency
    assert sorted(done) == [(i, i * 10) for i in range(len(delays))]


def test_a_boundary_error_stands_for_its_item_only() -> None:
    async def fn(item: int) -> int:
        await anyio.lowlevel.checkpoint()
        if item % 2:
            raise ModelError(f"item {item}")
        return item

    results = anyio.run(LocalExecutor().map, fn, range(5), 2)
    assert [r if isinstance(r, int) else str(r) for r in results] == [0, "item 1", 2, "item 3", 4]
    assert isinstance(results[1], BoundaryError)


@pytest.mark.parametrize("error", [BudgetExceeded("spent"), KeyError("a bug")])
def test_other_errors_stop_the_rest_and_are_raised_as_themselves(error: Exception) -> None:
    started: list[int] = []
    cleaned: list[int] = []

    async def fn(item: int) -> None:
        started.append(item)
        if item == 1:
            raise error
        try:
            await anyio.sleep(30)
        finally:
            cleaned.append(item)

    with pytest.raises(type(error)) as caught:
        anyio.run(LocalExecutor().map, fn, range(50), 3)
    assert caught.value is error
    assert len(started) <= 4 and sorted([*cleaned, 1]) == started


def test_an_error_of_on_done_is_raised_as_itself() -> None:
    def full(index: int, result: object) -> None:
        raise OSError("disk full")

    async def fn(item: int) -> int:
        return item

    with pytest.raises(OSError, match="disk full"):
        anyio.run(LocalExecutor().map, fn, range(5), 2, full)


def test_cancelling_is_clean() -> None:
    cleaned: list[int] = []
    done: list[int] = []

    async def fn(item: int) -> int:
        try:
            await anyio.sleep(30 if item else 0)
        finally:
            cleaned.append(item)
        return item

    async def go() -> bool:
        with anyio.move_on_after(0.05) as scope:
            await LocalExecutor().map(fn, range(9), 2, lambda index, _: done.append(index))
        return scope.cancelled_caught

    assert anyio.run(go)
    assert done == [0] and sorted(cleaned) == [0, 1, 2]


def test_a_concurrency_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        anyio.run(LocalExecutor().map, anyio.sleep, [0], 0)
