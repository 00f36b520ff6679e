"""Work for executors, importable in the workers of a cluster."""

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import anyio

from prowess.agents.base import Agent
from prowess.core.cost import Cost
from prowess.core.errors import BudgetExceeded, ModelError, UserError
from prowess.core.model import Model, Request, Response
from prowess.core.task import Task
from prowess.core.trajectory import Step, Trajectory
from prowess.core.view import View


async def doubled(n: int, seconds: float = 0.0) -> int:
    await anyio.sleep(seconds)
    return 2 * n


async def noted(folder: str, n: int, seconds: float) -> int:
    """Leaves a file for each attempt, whether or not it comes to its end."""
    Path(folder, f"{n}-{os.getpid()}-{time.monotonic_ns()}").touch()
    await anyio.sleep(seconds)
    return n


async def ticks(path: str) -> None:
    """Writes on and on."""
    while True:
        with Path(path).open("a") as file:
            file.write(".")
        await anyio.sleep(0.02)


async def fails(kind: str) -> None:
    raise {
        "model": ModelError("no answer", retryable=True),
        "user": UserError("wrong", "mend it"),
        "budget": BudgetExceeded("spent", "raise it"),
        "bug": ZeroDivisionError("a bug"),
    }[kind]


async def dies() -> None:
    os._exit(7)


async def dies_once(flag: str) -> str:
    """Kills its worker the first time."""
    if not Path(flag).exists():
        Path(flag).touch()
        os._exit(7)
    return "alive"


@dataclass(frozen=True)
class Echo:
    """Opens a model that answers after `seconds` with the process it is in."""

    seconds: float = 0.0

    def __call__(self) -> Model:
        return EchoModel(self.seconds)


@dataclass
class EchoModel:
    seconds: float
    name: str = "echo"

    async def complete(self, request: Request) -> Response:
        await anyio.sleep(self.seconds)
        cost = Cost(calls=1, prompt_tokens=10, completion_tokens=1, usd=0.01)
        return Response(text=str(os.getpid()), model=self.name, cost=cost)


def node() -> str:
    """Where this runs: a node of a cluster, else `here`."""
    ray = sys.modules.get("ray")
    return ray.get_runtime_context().get_node_id() if ray is not None and ray.is_initialized() else "here"


@dataclass(frozen=True)
class MakeClerk:
    """Makes an agent that takes `seconds` and leaves a file for each attempt."""

    folder: str
    seconds: float

    def __call__(self) -> Agent:
        return Clerk(self.folder, self.seconds)


@dataclass
class Clerk:
    folder: str
    seconds: float
    name: str = "clerk"

    async def run(self, task: Task, view: View, seed: int) -> Trajectory:
        Path(self.folder, f"{node()}-{task.seed}-{os.getpid()}-{time.monotonic_ns()}").touch()
        await anyio.sleep(self.seconds)
        steps = (Step(source="agent", message=f"done by {os.getpid()}"),)
        return Trajectory(
            id="", agent=self.name, model="m", snapshot=view.snapshot, steps=steps, cost=Cost(calls=1, usd=0.01)
        )
