"""Runs one process tree to its end: output captured with a cap, wall time bounded, nothing left behind."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio.abc import ByteReceiveStream, Process

from prowess.sandbox.files import folder_bytes

GRACE = 3.0
"""Seconds that a tree gets to die after it was told to, and that its pipes get to close."""
FLOOD = 16
"""A program that writes this many times what is kept of its output is stopped."""
WATCH = 0.25


@dataclass(frozen=True, slots=True)
class Captured:
    exit_code: int
    stdout: str
    stderr: str
    timed_out: bool
    seconds: float


class Tail:
    """Keeps the first and the last half of `limit` bytes of a stream."""

    def __init__(self, limit: int) -> None:
        self.head = bytearray()
        self.end = bytearray()
        self.half = max(limit // 2, 1)
        self.seen = 0

    def add(self, data: bytes) -> None:
        self.seen += len(data)
        room = self.half - len(self.head)
        if room > 0:
            self.head += data[:room]
            data = data[room:]
        self.end += data
        if len(self.end) > 2 * self.half:
            del self.end[: -self.half]

    @property
    def text(self) -> str:
        end = self.end[-self.half :]
        cut = self.seen - len(self.head) - len(end)
        middle = f"\n… {cut} bytes cut …\n".encode() if cut else b""
        return (bytes(self.head) + middle + bytes(end)).decode("utf-8", "replace")


async def run_tree(
    argv: list[str],
    *,
    env: dict[str, str],
    cwd: Path,
    seconds: float,
    output_bytes: int,
    room: tuple[Path, int] | None = None,
    pass_fds: tuple[int, ...] = (),
    stop: signal.Signals = signal.SIGKILL,
    stdin: bytes | None = None,
    enough: Callable[[bytes], bool] | None = None,
) -> Captured:
    """Run `argv` in `cwd` and its own session until it ends or `seconds` are over.

    `stop` goes to the process that answers for the whole tree; the process group gets SIGKILL when that is not enough.
    The tree is stopped when the folder of `room` grows past its bytes, its output past `FLOOD` times what is kept, or
    when `enough`, given each piece of its standard output in turn, says so.

    Raises:
        OSError: the command could not be started.
    """
    began = time.monotonic()
    process = await anyio.open_process(
        argv,
        stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
        env=env,
        cwd=cwd,
        start_new_session=True,
        pass_fds=pass_fds,
    )
    tree = _Tree(process, stop, Tail(output_bytes), Tail(output_bytes), enough)
    timed_out = False
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(tree.drain, process.stdout, tree.out)
            group.start_soon(tree.drain, process.stderr, tree.err)
            if stdin is not None:
                group.start_soon(tree.feed, stdin)
            if room is not None:
                group.start_soon(tree.watch, *room)
            with anyio.move_on_after(seconds) as scope:
                await process.wait()
            if scope.cancelled_caught:
                timed_out = True
                await tree.end()
            tree.ended.set()
            # A process that left the tree could hold the pipes open; they are not waited for without end.
            group.cancel_scope.deadline = anyio.current_time() + GRACE
    finally:
        with anyio.CancelScope(shield=True):
            await tree.end()
            await process.aclose()
    code = process.returncode if process.returncode is not None else 137
    stderr = tree.err.text + (f"\n{tree.note}" if tree.note else "")
    return Captured(128 - code if code < 0 else code, tree.out.text, stderr, timed_out, time.monotonic() - began)


class _Tree:
    """A running process with what watches over it."""

    def __init__(
        self,
        process: Process,
        stop: signal.Signals,
        out: Tail,
        err: Tail,
        enough: Callable[[bytes], bool] | None = None,
    ) -> None:
        self.process = process
        self.stop = stop
        self.out = out
        self.err = err
        self.enough = enough
        self.ended = anyio.Event()
        self.note = ""

    async def drain(self, stream: ByteReceiveStream | None, tail: Tail) -> None:
        if stream is None:
            return
        try:
            async for chunk in stream:
                tail.add(chunk)
                if tail.seen > FLOOD * max(2 * tail.half, 1 << 16):
                    self.halt("too much output")
                if self.enough is not None and tail is self.out and self.enough(chunk):
                    self.halt("it did what was asked for")
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return

    async def feed(self, data: bytes) -> None:
        if self.process.stdin is None:
            return
        try:
            await self.process.stdin.send(data)
            await self.process.stdin.aclose()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            return

    async def watch(self, folder: Path, limit: int) -> None:
        while not self.ended.is_set():
            with anyio.move_on_after(WATCH):
                await self.ended.wait()
            if not self.ended.is_set() and await anyio.to_thread.run_sync(folder_bytes, folder) > limit:
                self.halt("the work folder grew too big")

    def halt(self, reason: str) -> None:
        if not self.note:
            self.note = f"stopped: {reason}"
            self.signal(self.stop)

    def signal(self, number: signal.Signals) -> None:
        try:
            self.process.send_signal(number)
        except ProcessLookupError:
            return

    async def end(self) -> None:
        """Stop the tree and wait until it is gone."""
        for number in (self.stop, signal.SIGKILL):
            if self.process.returncode is not None:
                break
            self.signal(number)
            with anyio.move_on_after(GRACE):
                await self.process.wait()
        try:
            # What is left in the group when its leader is gone; the number stays taken as long as any member lives.
            os.killpg(self.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return
