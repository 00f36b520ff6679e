"""A comparison of recipes on one family with a played model, in this process or in one that kills itself.

As a script, `bench_parts.py <out> <point> <n>` kills itself when the n-th answer is paid but not yet handed over
(`call`), or before the n-th value is stored (`put`). Each paid call is a line of `<out>/paid`.
"""

import itertools
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
from evolve_parts import SUITE, WeakModel, fenced, task_in

from prowess.agents.executor import Local
from prowess.core.cost import Cost
from prowess.core.model import Model, Request, Response
from prowess.evolve.bench.record import BenchPlan, BenchRecord, SuitePart
from prowess.evolve.bench.run import run_bench
from prowess.trajectories.runstore import RunStore

PLAN = BenchPlan(
    parts=(SuitePart(suite="workbench", families=("ledger-totals",)),),
    recipes=("human", "oracle", "trace2skill", "trace2skill.sequential", "skillos", "skillos.insert-only"),
    models=("weak",),
    seeds=(0, 1),
    evidence=5,
    gate=6,
    test=2,
    other=0,
    samples=6,
)
SHORT = PLAN.model_copy(update={"recipes": ("human", "skillos"), "evidence": 2})


class Player(WeakModel):
    """The weak model that is also a curator: it writes down the right program of the first task that fails."""

    async def complete(self, request: Request) -> Response:
        if request.json_schema is None:
            return await super().complete(request)
        self.requests.append(request)
        self.on_call(request)
        told = request.messages[-1].content
        call: dict[str, Any] = {"operation": "none"}
        if "none yet" in told:
            task = task_in(request, self.families)
            skill = SUITE.human_skill(task.family)
            content = f"# {task.family}\n\nThis worked:\n\n{fenced(SUITE.program(task))}"
            call = {
                "operation": "insert",
                "skill_name": skill.name,
                "description": skill.description,
                "content": content,
            }
        cost = Cost(calls=1, prompt_tokens=500, completion_tokens=100, usd=0.001)
        return Response(text=json.dumps(call), model=self.name, cost=cost)


def bench(plan: BenchPlan, out: Path, open_: Callable[[str], Model], **more: Any) -> BenchRecord:
    options: dict[str, Any] = {"executor": Local(1), "report": lambda event: None} | more

    async def main() -> BenchRecord:
        return await run_bench(plan, open_=lambda name: lambda: open_(name), out=out, **options)

    return anyio.run(main)


def main(out: Path, point: str, n: int) -> None:
    counted = {name: itertools.count(1) for name in ("call", "put")}

    def reach(name: str) -> None:
        if name == point and next(counted[name]) == n:
            os.kill(os.getpid(), signal.SIGKILL)

    def paid(request: Request) -> None:
        with (out / "paid").open("a") as file:
            file.write(request.digest + "\n")
        reach("call")

    put = RunStore.put

    def watched(*args: Any, **more: Any) -> None:
        reach("put")
        put(*args, **more)

    RunStore.put = watched
    record = bench(SHORT, out, lambda name: Player(on_call=paid))
    (out / "record.json").write_text(record.model_dump_json())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
