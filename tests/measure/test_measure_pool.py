"""Many at once: order, bound, and what an error leaves behind."""

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prowess.core.errors import BudgetExceeded, ModelError, UserError
from prowess.measure.pool import for_each


@given(st.lists(st.integers(0, 5), max_size=20), st.integers(0, 6))
def test_items_are_started_in_order_and_never_too_many_at_once(delays: list[int], concurrency: int) -> None:
    running, most, started = 0, 0, []

    async def work(index: int) -> None:
        nonlocal running, most
        started.append(index)
        running += 1
        most = max(most, running)
        for _ in range(delays[index]):
            await anyio.lowlevel.checkpoint()
        running -= 1

    anyio.run(for_each, range(len(delays)), work, concurrency)
    assert started == list(range(len(delays))) and most <= max(1, concurrency) and running == 0


@pytest.mark.parametrize("error", [BudgetExceeded("spent"), UserError("a mistake"), ModelError("down")])
def test_an_error_on_purpose_starts_nothing_more_and_loses_nothing_that_is_paid(error: Exception) -> None:
    started: list[int] = []
    finished: list[int] = []

    async def work(item: int) -> None:
        started.append(item)
        if item == 1:
            raise error
        await anyio.sleep(0.05)
        finished.append(item)

    with pytest.raises(type(error)) as caught:
        anyio.run(for_each, range(50), work, 3)
    assert caught.value is error
    assert started == [0, 1, 2] and sorted(finished) == [0, 2]


def test_a_bug_cancels_the_rest() -> None:
    cleaned: list[int] = []

    async def work(item: int) -> None:
        if item == 1:
            raise KeyError("a bug")
        try:
            await anyio.sleep(30)
        finally:
            cleaned.append(item)

    with pytest.raises(ExceptionGroup) as caught:
        anyio.run(for_each, range(50), work, 3)
    assert [type(e) for e in caught.value.exceptions] == [KeyError] and len(cleaned) <= 2
