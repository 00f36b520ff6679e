"""Where work runs: in this process, or as tasks of a Ray cluster. Rollouts, trials and questions to models go this way.

Work is a function and its arguments. For a cluster both are pickled, so they say how to open a model or make an agent
instead of holding one; `Placed` agents and models do that. What comes back is stored by whoever asked, under its
content key: a worker that dies in the middle leaves nothing behind, and a rollout counts once, however often it ran.
"""

import pickle
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib import import_module
from typing import Any, Protocol, TypeVar

import anyio

from prowess.agents.base import Agent
from prowess.agents.models.meter import Meter
from prowess.core.cost import Cost
from prowess.core.errors import BoundaryError, ModelError, ProwessError, UserError
from prowess.core.model import Model, Request, Response
from prowess.core.task import Task
from prowess.core.trajectory import Trajectory
from prowess.core.view import View

R = TypeVar("R")
TRIES = 4
"""How often one piece of work is tried on a cluster whose workers are lost under it."""


class Executor(Protocol):
    """Runs pieces of work, so many at once."""

    @property
    def width(self) -> int:
        """Pieces of work that are worth keeping in flight."""
        ...

    @property
    def lost(self) -> int:
        """Attempts so far whose place was lost under them."""
        ...

    async def run(self, function: Callable[..., Awaitable[R]], *args: Any) -> R:
        """The result of `function(*args)`.

        Raises:
            ProwessError: the function raised it.
            BoundaryError: the place where it ran was lost, and so were all others that it was tried in.
        """
        ...


@dataclass(frozen=True, slots=True)
class Local:
    """This process, with at most `width` pieces of work in flight."""

    width: int = 4
    lost: int = field(default=0, init=False)
    _room: list[anyio.CapacityLimiter] = field(default_factory=list[anyio.CapacityLimiter], compare=False, repr=False)

    async def run(self, function: Callable[..., Awaitable[R]], *args: Any) -> R:
        if not self._room:  # a limiter belongs to a running event loop
            self._room.append(anyio.CapacityLimiter(self.width))
        async with self._room[0]:
            return await function(*args)


class OnRay:
    """A Ray cluster: each piece of work is a task, retried elsewhere when its worker or node is lost.

    Ray's own retries are off, so that every loss is counted and told.
    """

    def __init__(
        self,
        address: str = "",
        *,
        width: int = 0,
        tries: int = TRIES,
        told: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Join the cluster at `address`, or start one on this machine where that is empty.

        Args:
            address: As `ray.init` has it: `auto`, `HOST:PORT` or `ray://HOST:PORT`.
            width: Pieces of work in flight: more than there are cores where work mostly waits for an endpoint; 0 for
                one a core.
            tries: Per piece of work.
            told: Told when a worker is lost.

        Raises:
            UserError: Ray is not installed, or no cluster answers.
        """
        try:
            self._ray: Any = import_module("ray")
        except ImportError as error:
            raise UserError(
                "this executor needs Ray, which is not installed", "run `pip install 'prowess[ray]'`"
            ) from error
        where = address or "local"
        try:
            if not self._ray.is_initialized():
                self._ray.init(address=where, log_to_driver=False, include_dashboard=False, logging_level="error")
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise UserError(f"no Ray cluster answers at {where}: {error}", "name one that runs") from error
        cores = self._ray.cluster_resources().get("CPU", 1.0)
        self._width = width or max(1, int(cores))
        share = max(0.001, round(min(1.0, cores / self._width), 3))  # of a core, for each piece of work
        self._task: Any = self._ray.remote(_in_worker).options(num_cpus=share, max_retries=0)
        self._tries, self._told, self._lost = tries, told, 0

    @property
    def width(self) -> int:
        return self._width

    @property
    def lost(self) -> int:
        return self._lost

    async def run(self, function: Callable[..., Awaitable[R]], *args: Any) -> R:
        import asyncio

        errors: Any = self._ray.exceptions
        for _ in range(self._tries):
            there = self._task.remote(function, *args)
            try:
                ok, value = await asyncio.wrap_future(there.future())
            except asyncio.CancelledError:  # its time is up: it must not go on unseen
                self._ray.cancel(there, force=True)
                raise
            except errors.RayTaskError as error:
                raise error.as_instanceof_cause() from None  # a bug, with the worker's traceback
            except errors.RayError as error:
                self._lost += 1
                self._told(f"a worker was lost: {type(error).__name__}")
                continue
            if ok:
                return value
            raise value
        raise BoundaryError(f"the worker was lost {self._tries} times", retryable=True)

    def close(self) -> None:
        """Leave the cluster; ends it where this executor started it."""
        self._ray.shutdown()


def open_executor(spec: str, width: int, told: Callable[[str], None] = lambda text: None) -> Executor:
    """The executor that `spec` names: `local`, `ray` for a cluster on this machine, or `ray:ADDRESS`.

    `width` is how many pieces of work it keeps in flight; 0 on a cluster for one a core.

    Raises:
        UserError: it names none, Ray is not installed, or no cluster answers.
    """
    kind, _, address = spec.partition(":")
    if kind == "local" and not address:
        return Local(max(1, width))
    if kind == "ray":
        return OnRay(address, width=width, told=told)
    raise UserError(f"no executor is called {spec!r}", "write local, ray or ray:ADDRESS")


def _in_worker(function: Callable[..., Awaitable[Any]], *args: Any) -> tuple[bool, Any]:
    """Runs in a worker: whether it went well, and the result or what was raised on purpose."""
    try:
        return True, _portal()[0].call(function, *args)
    except ProwessError as error:
        try:
            return False, pickle.loads(pickle.dumps(error))
        except Exception:  # an error that cannot travel is told in words
            return False, BoundaryError(f"{type(error).__name__}: {error}")


@cache
def _portal() -> tuple[Any, Any]:
    """The event loop of a worker, in a thread of its own: clients of models live longer than one piece of work.

    With what keeps it running: it ends when that is collected.
    """
    from anyio.from_thread import start_blocking_portal

    running = start_blocking_portal()
    return running.__enter__(), running


@lru_cache(maxsize=16)
def _made(make: Callable[[], Any]) -> Any:
    """What `make` makes, once for each process."""
    return make()


@dataclass(frozen=True, slots=True)
class PlacedModel:
    """A model that answers wherever the executor runs."""

    name: str
    make: Callable[[], Model]
    """Opens it there; hashable, and for a cluster picklable."""
    executor: Executor

    async def complete(self, request: Request) -> Response:
        try:
            return await self.executor.run(_complete, self.make, request)
        except BoundaryError as error:
            raise error if isinstance(error, ModelError) else ModelError(str(error), retryable=True) from None


@dataclass(frozen=True, slots=True)
class PlacedAgent:
    """An agent that acts wherever the executor runs.

    A model that is opened there knows no budget, so `meters` are asked before each run and told afterwards: a limit may
    be passed by the runs in flight.
    """

    name: str
    make: Callable[[], Agent]
    executor: Executor
    meters: Sequence[Meter] = ()

    async def run(self, task: Task, view: View, seed: int) -> Trajectory:
        for meter in self.meters:
            meter.reserve(Cost(calls=1))
            meter.settle(Cost(calls=1), Cost())
        run = await self.executor.run(_act, self.make, task, view, seed)
        for meter in self.meters:
            meter.settle(Cost(), run.cost)
        return run


async def _complete(make: Callable[[], Model], request: Request) -> Response:
    return await _made(make).complete(request)


async def _act(make: Callable[[], Agent], task: Task, view: View, seed: int) -> Trajectory:
    return await _made(make).run(task, view, seed)
