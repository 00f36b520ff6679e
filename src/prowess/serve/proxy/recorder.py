"""The line between the proxy and the process that records: bounded, in order, and never waited for."""

import asyncio
import logging
import os
import signal
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Final

from prowess.serve.proxy.recording import Exchange, Recorded, record

WAITING_BYTES: Final = 256 * 2**20
"""Of exchanges that wait to be recorded; what comes on top is let go."""
BATCH_BYTES: Final = 16 * 2**20
"""Of exchanges that are recorded in one transaction."""
_log = logging.getLogger(__name__)


class Recorder:
    """Keeps exchanges in the store at `path`. `tell` hears what became of each."""

    def __init__(self, path: Path, tell: Callable[[Recorded], None]) -> None:
        self._path = path
        self._tell = tell
        self._waiting: deque[Exchange] = deque()
        self._bytes = 0
        self._more = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def add(self, exchange: Exchange) -> None:
        """Keep this one, soon."""
        size = _size(exchange)
        if self._bytes + size > WAITING_BYTES:
            self._tell(Recorded("dropped", exchange.provider))
            return
        self._bytes += size
        self._waiting.append(exchange)
        self._idle.clear()
        self._more.set()

    async def run(self) -> None:
        """Records until it is cancelled; wait for `drained` before that."""
        pool = _pool()
        try:
            while True:
                await self._more.wait()
                self._more.clear()
                while self._waiting:
                    pool = await self._one_batch(pool)
                self._idle.set()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    async def drained(self) -> None:
        """Returns when nothing waits."""
        await self._idle.wait()

    async def _one_batch(self, pool: ProcessPoolExecutor) -> ProcessPoolExecutor:
        batch: list[Exchange] = []
        size = 0
        while self._waiting and (not batch or size + _size(self._waiting[0]) <= BATCH_BYTES):
            batch.append(self._waiting.popleft())
            size += _size(batch[-1])
        try:
            told = await asyncio.get_running_loop().run_in_executor(pool, record, self._path, batch)
        except Exception as error:  # killed, a full disk, a damaged store: the proxy goes on, and the figures say so
            _log.error("not recorded: %s", error)
            told = [Recorded("dropped", exchange.provider) for exchange in batch]
            if isinstance(error, BrokenProcessPool):
                pool = _pool()
        self._bytes -= size
        for each in told:
            self._tell(each)
        return pool


def _size(exchange: Exchange) -> int:
    return len(exchange.request) + len(exchange.reply)


def _pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_tied)


def _tied() -> None:
    """This process ends with the one that started it and not before: an interrupt at the keyboard reaches both, and
    kill -9 only the other."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(10)  # whoever streams comes first
    parent = parent_process()
    assert parent is not None

    def end() -> None:
        parent.join()
        os._exit(0)

    threading.Thread(target=end, daemon=True).start()
