"""Executors: here and on a Ray cluster of two nodes, one of which is killed in the middle of the work."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from executor_parts import Echo, MakeClerk, dies, dies_once, doubled, fails, noted, ticks

from prowess.agents.executor import Executor, Local, OnRay, PlacedAgent, PlacedModel, open_executor
from prowess.agents.models.meter import Budget, Meter
from prowess.core.cost import total
from prowess.core.errors import BoundaryError, BudgetExceeded, ModelError, UserError
from prowess.core.model import Message, Request
from prowess.measure.pool import map_each
from prowess.measure.trials import Arm, Bench, run_trials
from prowess.suites.workbench import Workbench
from prowess.trajectories.runstore import RunStore

SUITE = Workbench()
ASK = Request(messages=(Message(role="user", content="who?"),))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of two cores each, on this machine."""
    pytest.importorskip("ray", reason="the executor needs Ray: pip install 'prowess[ray]'")
    from ray.cluster_utils import Cluster

    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)  # workers import these tests
    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    made.add_node(num_cpus=2)
    yield made
    import ray

    ray.shutdown()
    made.shutdown()


@pytest.fixture(scope="module")
def on_ray(cluster: Any) -> OnRay:
    return OnRay(cluster.address)


@pytest.fixture(params=["local", "ray"])
def executor(request: pytest.FixtureRequest) -> Executor:
    return Local(4) if request.param == "local" else request.getfixturevalue("on_ray")


def test_work_comes_back_in_order(executor: Executor) -> None:
    async def main() -> list[int]:
        return await map_each(range(12), lambda n: executor.run(doubled, n, 0.01), executor.width)

    assert executor.width == 4 and anyio.run(main) == [2 * n for n in range(12)]


@pytest.mark.parametrize(
    ("kind", "error"),
    [("model", ModelError), ("user", UserError), ("budget", BudgetExceeded), ("bug", ZeroDivisionError)],
)
def test_what_is_raised_there_is_raised_here(executor: Executor, kind: str, error: type[Exception]) -> None:
    with pytest.raises(error) as raised:
        anyio.run(executor.run, fails, kind)
    assert getattr(raised.value, "hint", None) in (None, "mend it", "raise it")
    assert getattr(raised.value, "retryable", True)


def test_a_local_executor_holds_its_width() -> None:
    busy, most = 0, 0

    async def work(n: int) -> None:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await anyio.sleep(0.001)
        busy -= 1

    async def main() -> None:
        local = Local(3)
        await map_each(range(20), lambda n: local.run(work, n), 20)

    anyio.run(main)
    assert most == 3


def test_a_model_answers_and_an_agent_acts_elsewhere(on_ray: OnRay, tmp_path: Path) -> None:
    (task,) = SUITE.tasks("ledger-totals", "evidence", 1)
    model = PlacedModel("echo", Echo(), on_ray)
    agent = PlacedAgent("clerk", MakeClerk(str(tmp_path), 0.0), on_ray)

    async def main() -> tuple[str, str]:
        said = await model.complete(ASK)
        run = await agent.run(task, Arm.without().view_for(task), 0)
        return said.text, run.steps[0].message

    pid, done = anyio.run(main)
    assert int(pid) != os.getpid() and done != f"done by {os.getpid()}"


def test_a_budget_holds_for_what_is_spent_elsewhere(on_ray: OnRay, tmp_path: Path) -> None:
    meter = Meter(Budget(calls=2))
    agent = PlacedAgent("clerk", MakeClerk(str(tmp_path), 0.0), on_ray, (meter,))
    tasks = SUITE.tasks("ledger-totals", "evidence", 3)

    async def main() -> None:
        for task in tasks:
            await agent.run(task, Arm.without().view_for(task), 0)

    with pytest.raises(BudgetExceeded):
        anyio.run(main)
    assert meter.spent.calls == 2 and len(list(tmp_path.iterdir())) == 2


def test_a_lost_worker_is_counted_told_and_replaced(cluster: Any, tmp_path: Path) -> None:
    told: list[str] = []
    executor = OnRay(cluster.address, tries=2, told=told.append)
    assert anyio.run(executor.run, dies_once, str(tmp_path / "flag")) == "alive"
    assert executor.lost == len(told) == 1 and "lost" in told[0]
    with pytest.raises(BoundaryError, match="2 times"):
        anyio.run(executor.run, dies)
    with pytest.raises(ModelError, match="lost"):
        anyio.run(PlacedModel("x", dies_as_a_model, executor).complete, ASK)


def dies_as_a_model() -> Any:
    os._exit(7)


def test_a_node_that_dies_in_the_middle_costs_time_and_nothing_else(cluster: Any, tmp_path: Path) -> None:
    """Every trial is there once and is paid once, although some were begun twice."""
    node = cluster.add_node(num_cpus=2)
    executor = OnRay(cluster.address)
    attempts, store = tmp_path / "attempts", RunStore(tmp_path / "run.db")
    attempts.mkdir()
    agent = PlacedAgent("clerk", MakeClerk(str(attempts), 1.5), executor)
    tasks = SUITE.tasks("ledger-totals", "evidence", 15)

    async def kill() -> None:
        while not any(path.name.startswith(node.node_id) for path in attempts.iterdir()):  # it is at work
            await anyio.sleep(0.02)
        await anyio.to_thread.run_sync(lambda: cluster.remove_node(node, allow_graceful=False))

    async def main() -> Any:
        async with anyio.create_task_group() as group:
            group.start_soon(kill)
            bench = Bench(agent, SUITE, store, concurrency=6)
            return await run_trials(tasks, [Arm.without()], (0,), bench)

    trials = anyio.run(main)
    assert executor.lost >= 1
    assert len(trials) == len({t.trajectory for t in trials}) == 15 and all(t.passed is False for t in trials)
    assert len(list(store.keys("trajectory"))) == 15 and not list(store.keys("missing"))
    assert total([s.cost for s in store.spent()]).calls == 15
    begun = len(list(attempts.iterdir()))
    assert 15 <= begun <= 15 + executor.lost, "what was lost was begun again, and nothing else"


def test_work_whose_time_is_up_is_stopped_there(on_ray: OnRay, tmp_path: Path) -> None:
    async def main() -> None:
        with anyio.move_on_after(3):
            await on_ray.run(ticks, str(tmp_path / "ticks"))
        await anyio.sleep(1)
        seen = (tmp_path / "ticks").stat().st_size
        await anyio.sleep(0.5)
        assert 0 < seen == (tmp_path / "ticks").stat().st_size

    anyio.run(main)


def test_only_known_executors_open(monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_executor("local", 3).width == 3
    for spec in ("nowhere", "local:x", ""):
        with pytest.raises(UserError, match="no executor"):
            open_executor(spec, 1)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError) as absent:
        open_executor("ray", 1)
    assert "prowess[ray]" in absent.value.hint


def test_noted_work_is_attempted_once_where_nothing_fails(executor: Executor, tmp_path: Path) -> None:
    async def main() -> list[int]:
        return await map_each(range(6), lambda n: executor.run(noted, str(tmp_path), n, 0.0), 4)

    assert anyio.run(main) == list(range(6)) and len(list(tmp_path.iterdir())) == 6
