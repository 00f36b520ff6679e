"""Where engines run: each on a seat, which is a thread of its own, in this process or with a process behind it.

A call of an engine may take long, hang or die. So no caller ever runs one itself: it hands the call to the seat's
thread and waits for a bounded time. A seat on which something went wrong is thrown away, with its process; the next
episode gets a new one. Seats that ended well are kept warm: a Java machine takes seconds to start.
"""

import asyncio
import atexit
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from importlib import import_module
from pathlib import Path
from typing import Any, Final
from weakref import WeakSet

from prowess.core.errors import WorldError
from prowess.suites.worlds import child
from prowess.suites.worlds.engine import Engine, Outcome, Scene

START_SECONDS: Final = 120.0
"""For an engine to be there: imports, and a virtual machine where there is one."""
CALL_SECONDS: Final = 60.0
"""For one call. The slowest start of an episode that we know takes five."""
LINE_BYTES: Final = 8 << 20
"""The longest answer that a process may give."""
_SAID: Final = 400
_WAIT: Final = 0.01
_ENVIRONMENT: Final = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "JAVA_HOME", "PYTHONPATH"),
    *("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "PROWESS_CACHE", "PROWESS_CONFIG"),
)
"""What processes of worlds are told of ours: no keys."""


class Child:
    """An engine in a process of its own. Calls block; `kill`, from another thread, ends one that hangs."""

    def __init__(self, engine: str, python: str = sys.executable) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        try:
            self._process = subprocess.Popen(
                [python, "-u", "-P", child.__file__, engine],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                start_new_session=True,
                env=_environment(),
            )
        except OSError as error:
            raise WorldError(f"{engine} could not be started with {python}: {error}") from error
        self._engine = engine
        try:
            self._answer()
        except WorldError:
            self.kill()
            raise

    def reset(self, start: Any) -> Scene:
        return scene(self.call("reset", start))

    def step(self, action: str) -> Scene:
        return scene(self.call("step", action))

    def score(self) -> Outcome:
        return Outcome(**self.call("score"))

    def gold(self, start: Any) -> Sequence[str]:
        return tuple(map(str, self.call("gold", start)))

    def save(self) -> str:
        return str(self.call("save"))

    def restore(self, state: str) -> Scene:
        return scene(self.call("restore", state))

    def predicates(self) -> Sequence[str]:
        return tuple(map(str, self.call("predicates")))

    def close(self) -> None:
        with contextlib.suppress(WorldError):
            self.call("close")
        self.kill()

    def kill(self) -> None:
        """End the process and all that it started, at once."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def call(self, method: str, *arguments: Any) -> Any:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps([method, arguments]).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise self._died() from None
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline(LINE_BYTES)
        if not line.endswith(b"\n"):
            raise self._died()
        try:
            found: dict[str, Any] = json.loads(line)
            if "error" in found:
                raise WorldError(f"{self._engine}: {str(found['error'])[:2_000]}")
            return found["result"]
        except (ValueError, KeyError, TypeError) as error:
            raise WorldError(f"{self._engine} answered with no JSON: {error}") from None

    def _died(self) -> WorldError:
        self.kill()
        self._errors.seek(max(self._errors.seek(0, os.SEEK_END) - _SAID, 0))
        said = self._errors.read().decode("utf-8", "replace").strip()
        return WorldError(
            f"{self._engine} has died (exit code {self._process.returncode}): {said or 'it said nothing'}"
        )


def _environment() -> dict[str, str]:
    from prowess.settings import variables  # engines run where its packages are not

    return variables(*_ENVIRONMENT)


def scene(found: Any) -> Scene:
    """A scene as a process told it. Raises `WorldError` where it is none."""
    try:
        actions = found["actions"]
        return Scene(
            str(found["text"]),
            None if actions is None else tuple(map(str, actions)),
            bool(found["done"]),
            str(found["goal"]),
            bool(found["understood"]),
        )
    except (KeyError, TypeError) as error:
        raise WorldError(f"a world answered with no scene: {error!r}") from None


def load(engine: str) -> Engine:
    """The engine named by `module:Class`, in this process."""
    module, _, name = engine.partition(":")
    return getattr(import_module(module), name)()


class Seat:
    """A thread with one engine, made there by `make`.

    Calls from the event loop and from threads alike; one at a time, which the holder sees to.
    """

    def __init__(self, make: Callable[[], Engine]) -> None:
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], Callable[[Any, BaseException | None], None]] | None]
        self._jobs = queue.SimpleQueue()
        self._make = make
        self._engine: Engine | None = None
        self.broken = False
        """Whether a call failed or is still under way: the engine is in no known state."""
        threading.Thread(target=self._work, daemon=True, name="world").start()

    async def call(self, method: str, *arguments: Any, seconds: float = CALL_SECONDS) -> Any:
        """What the engine's `method` returns.

        Raises:
            WorldError: it failed, or did not answer within `seconds` (the first call also has `START_SECONDS`).
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()

        def settle(result: Any, error: BaseException | None) -> None:
            if not future.done():
                future.set_result(result) if error is None else future.set_exception(error)

        def told(result: Any, error: BaseException | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop may be closed by now
                loop.call_soon_threadsafe(settle, result, error)

        limit = self._limit(seconds)
        late = loop.call_later(limit, settle, None, self._silent(method, limit))
        self.broken = True
        self._jobs.put((lambda: self._do(method, arguments), told))
        try:
            result = await future
        finally:
            late.cancel()
            if self.broken and future.cancelled():
                self.kill()
        self.broken = False
        return result

    def call_now(self, method: str, *arguments: Any, seconds: float = CALL_SECONDS) -> Any:
        """`call`, for callers without an event loop: waits in the calling thread."""
        future: Future[Any] = Future()

        def told(result: Any, error: BaseException | None) -> None:
            future.set_result(result) if error is None else future.set_exception(error)

        limit = self._limit(seconds)
        self.broken = True
        self._jobs.put((lambda: self._do(method, arguments), told))
        try:
            result = future.result(limit)
        except TimeoutError:
            raise self._silent(method, limit) from None
        self.broken = False
        return result

    def close(self) -> None:
        """End the engine, gently where it is in order."""
        if not self.broken and self._engine is not None:
            with contextlib.suppress(WorldError):
                self.call_now("close", seconds=5)
        self.kill()

    def kill(self) -> None:
        """End the engine's process at once, where it has one, and the thread as soon as it is free."""
        self.broken = True
        self._jobs.put(None)
        self._kill()

    def _kill(self) -> None:
        if (kill := getattr(self._engine, "kill", None)) is not None:
            kill()

    def _limit(self, seconds: float) -> float:
        return seconds if self._engine is not None else seconds + START_SECONDS

    def _silent(self, method: str, seconds: float) -> WorldError:
        return WorldError(f"the world did not answer `{method}` within {seconds:g} seconds")

    def _do(self, method: str, arguments: tuple[Any, ...]) -> Any:
        if self._engine is None:
            self._engine = self._make()
        return getattr(self._engine, method)(*arguments)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            do, told = job
            try:
                result, error = do(), None
            except WorldError as failure:
                result, error = None, failure
            except Exception as failure:  # a world may fail in any way
                result, error = None, WorldError(f"the world failed: {type(failure).__name__}: {failure}")
            told(result, error)
        self._kill()  # an engine that was still being made when its seat was given up


class Pool:
    """Seats of one world: at most `most` are held at once, and as many are kept warm."""

    def __init__(self, make: Callable[[], Engine], most: int) -> None:
        self._make = make
        self._free = threading.Semaphore(most)
        self._warm: list[Seat] = []
        self.held: set[Seat] = set()
        """Seats with an episode."""
        self._most = most
        _POOLS.add(self)

    @property
    def warm(self) -> int:
        """Seats that wait for an episode."""
        return len(self._warm)

    async def take(self) -> Seat:
        """A seat, as soon as one may be had; to be given back."""
        while not self._free.acquire(blocking=False):
            await asyncio.sleep(_WAIT)
        return self.extra()

    def extra(self) -> Seat:
        """A seat at once, whatever is held: for judging, which must not wait for those who wait for it."""
        try:
            seat = self._warm.pop()
        except IndexError:
            seat = Seat(self._make)
        self.held.add(seat)
        return seat

    def give(self, seat: Seat, *, extra: bool = False) -> None:
        """Back from `take`, or from `extra`. A broken seat is thrown away."""
        self.held.discard(seat)
        if seat.broken:
            seat.kill()
        elif len(self._warm) < self._most:
            self._warm.append(seat)
        else:
            seat.close()
        if not extra:
            self._free.release()

    def close(self) -> None:
        """End all seats."""
        for seat in list(self.held):
            seat.kill()
        while self._warm:
            self._warm.pop().close()


_POOLS: WeakSet[Pool] = WeakSet()


@atexit.register
def _close_all() -> None:
    for pool in list(_POOLS):
        pool.close()


def in_process(engine: str) -> Callable[[], Engine]:
    """Makes engines in this process: for worlds that are quick and well-behaved."""
    return lambda: load(engine)


def in_child(engine: str, python: Path | None = None) -> Callable[[], Engine]:
    """Makes engines in processes of their own, with this Python or another."""
    return lambda: Child(engine, str(python or sys.executable))
