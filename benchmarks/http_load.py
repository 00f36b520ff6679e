"""A load of HTTP/1.1 requests from a process of its own, light enough to share two cores with what it measures.

Requests are made before the clock runs and only numbered when they are sent; answers are looked at no closer than it
takes to find their end. At a rate, requests come at Poisson intervals whatever the server does, and each latency counts
from the moment at which the request was due, so that a server which stalls is not spared the requests of that time
(G. Tene's "coordinated omission"). Without a rate each connection asks again as soon as it has its answer.
"""

import asyncio
import gc
import multiprocessing
import os
import random
import resource
import time
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from typing import cast

import uvloop

MARK = b"000000000"
"""Stands in a request where its number is to stand, in as many digits."""
TICK = 0.001
"""Seconds between two looks at which requests are due."""


@dataclass
class Told:
    """What one load saw."""

    seconds: float = 0.0
    """To the last answer."""
    latencies: list[float] = field(default_factory=list[float])
    """Seconds from when a request was due to the end of its answer."""
    firsts: list[float] = field(default_factory=list[float])
    """The same to the first byte of the answer."""
    errors: int = 0
    """Answers that were none of 2xx."""
    lost: int = 0
    """Connections that ended without an answer, and requests that had none within a minute."""
    acknowledged: list[str] = field(default_factory=list[str])
    """Ids of sessions that the hub has said to have."""
    cpu: float = 0.0
    """Seconds of processor time that the load itself took."""

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds

    @property
    def share(self) -> float:
        """Of the whole machine's processor time that the load itself took."""
        return self.cpu / (self.seconds * (os.cpu_count() or 1))

    @property
    def failed(self) -> int:
        return self.errors + self.lost


def at(values: Sequence[float], share: float) -> float:
    """A quantile, in milliseconds; nothing for nothing."""
    ordered = sorted(values)
    return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent, and how often."""

    port: int
    requests: Sequence[bytes]
    """Sent in turn."""
    seconds: float
    rate: float = 0.0
    """Requests a second; 0 for as many as `connections` bear."""
    connections: int = 32
    """With a rate, opened when they are needed, and at most 1,000."""
    first: int = 0
    """Number of the first request."""
    keep_ids: bool = False
    seed: int = 0

    def start(self) -> "Running":
        """Begins at once, in a process of its own."""
        context = multiprocessing.get_context("spawn")
        mine, its = context.Pipe()
        process = context.Process(target=_run, args=(self, its), daemon=True)
        process.start()
        return Running(process, mine)

    def run(self) -> Told:
        return self.start().told()


class Running:
    """A load under way."""

    def __init__(self, process: BaseProcess, pipe: object) -> None:
        self._process, self._pipe = process, pipe

    def told(self) -> Told:
        """What it saw, when it is over."""
        found = self._pipe.recv()  # type: ignore[attr-defined]
        self._process.join()
        return found


@contextmanager
def crowd(port: int, size: int) -> Generator[None]:
    """While the block runs, so many clients begin their headers and never end them. Who is let go comes back."""
    context = multiprocessing.get_context("spawn")
    all_there = context.Event()
    process = context.Process(target=_crowd, args=(port, size, all_there), daemon=True)
    process.start()
    all_there.wait(60)
    try:
        yield
    finally:
        process.kill()
        process.join()


def _crowd(port: int, size: int, all_there: Event) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    async def one(number: int) -> None:
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"GET / HTTP/1.1\r\nx-slow: ")
                there.add(number)
                await reader.read()
                writer.close()
            except OSError:
                await asyncio.sleep(0.1)

    async def main() -> None:
        for n in range(size):
            tasks.append(asyncio.create_task(one(n)))
            if n % 50 == 0:
                await asyncio.sleep(0.01)
        while len(there) < size:
            await asyncio.sleep(0.1)
        all_there.set()
        await asyncio.wait(tasks)

    tasks: list[asyncio.Task[None]] = []
    there: set[int] = set()
    uvloop.run(main())


def _run(load: Load, pipe: object) -> None:
    gc.disable()
    pipe.send(uvloop.run(_Sender(load).run()))  # type: ignore[attr-defined]


class _Sender:
    """Keeps the connections and what came of them."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.parts = [request.split(MARK) for request in load.requests]
        self.number = load.first
        self.free: list[_Connection] = []
        self.waiting: deque[float] = deque()
        """When requests were due for which there was no connection yet."""
        self.opening = self.open = self.out = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.told = Told()
        self.over = False

    def request(self) -> bytes:
        self.number += 1
        parts = self.parts[self.number % len(self.parts)]
        return parts[0] if len(parts) == 1 else (b"%09d" % self.number).join(parts)

    def freed(self, connection: "_Connection") -> None:
        """A connection has its answer, or is new."""
        if self.waiting:
            connection.send(self.waiting.popleft())
        elif self.load.rate == 0 and not self.over:
            connection.send(time.monotonic())
        else:
            self.free.append(connection)

    async def run(self) -> Told:
        load = self.load
        for _ in range(load.connections):
            await self._connect()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        started = time.monotonic()
        if load.rate == 0:
            for connection in self.free[:]:
                connection.send(time.monotonic())
            self.free.clear()
            await asyncio.sleep(load.seconds)
        else:
            await self._at_rate(started)
        self.over = True
        ended = resource.getrusage(resource.RUSAGE_SELF)
        self.told.cpu = ended.ru_utime + ended.ru_stime - usage.ru_utime - usage.ru_stime
        until = time.monotonic() + 60
        while (self.out or self.waiting) and time.monotonic() < until:
            await asyncio.sleep(0.01)
        self.told.seconds = time.monotonic() - started
        self.told.lost += self.out + len(self.waiting)
        return self.told

    async def _at_rate(self, started: float) -> None:
        load, draw = self.load, random.Random(self.load.seed)
        due = started + draw.expovariate(load.rate)
        while (now := time.monotonic()) < started + load.seconds:
            while due <= now:
                if self.free:
                    self.free.pop().send(due)
                else:
                    self.waiting.append(due)
                    if self.opening + self.open < 1000:
                        self.opening += 1
                        self.connect(1)
                due += draw.expovariate(load.rate)
            await asyncio.sleep(TICK)

    async def _connect(self, opening: int = 0) -> None:
        loop = asyncio.get_running_loop()
        while not self.over:
            try:
                await loop.create_connection(lambda: _Connection(self), "127.0.0.1", self.load.port)
                break
            except OSError:
                self.told.lost += 1
                await asyncio.sleep(0.05)
        self.opening -= opening

    def connect(self, opening: int = 0) -> None:
        """One more connection, soon."""
        task = asyncio.get_running_loop().create_task(self._connect(opening))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


class _Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self, sender: _Sender) -> None:
        self.sender = sender
        self.due = 0.0
        self.head = self.body = b""
        self.left = -1
        """Bytes of the body that are to come; -1 within the headers, -2 until the last chunk."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.sender.open += 1
        self.sender.freed(self)

    def send(self, due: float) -> None:
        self.due, self.head, self.left = due, b"", -1
        self.sender.out += 1
        self.transport.write(self.sender.request())

    def data_received(self, data: bytes) -> None:
        if self.left == -1:
            if not self.head:
                self.sender.told.firsts.append(time.monotonic() - self.due)
            self.head += data
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return
            self.head, data = self.head[:end].lower(), self.head[end + 4 :]
            size = self.head.find(b"\r\ncontent-length:")
            self.left = -2 if size < 0 else int(self.head[size + 17 :].split(b"\r\n", 1)[0])
            self.body = b""
        if self.left == -2:
            self.body = (self.body + data)[-5:]
            if self.body == b"0\r\n\r\n":
                self._answered()
            return
        self.body += data
        if len(self.body) >= self.left:
            self._answered()

    def _answered(self) -> None:
        told = self.sender.told
        told.latencies.append(time.monotonic() - self.due)
        if self.head[9:10] != b"2":
            told.errors += 1
        elif self.sender.load.keep_ids:
            told.acknowledged.append(self.body[self.body.find(b'["') + 2 : self.body.rfind(b'"]')].decode())
        self.due = 0.0
        self.sender.out -= 1
        self.sender.freed(self)

    def connection_lost(self, exc: Exception | None) -> None:
        sender = self.sender
        sender.open -= 1
        if self.due:
            sender.told.lost += 1
            sender.out -= 1
        elif self in sender.free:
            sender.free.remove(self)
        if not sender.over:
            sender.connect()
