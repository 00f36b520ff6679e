"""A provider that misbehaves, under a whole comparison: rows P1 and X2 of the fault matrix.

A server on this machine speaks the chat protocol and answers a share of all requests with one of the faults, drawn from
a seed: 1 %, 20 %, every request. Trials of 200 tasks run against it, then again against a sound provider, as a user
would go on. Wanted:

- every question ends within a bounded number of tries, and the whole run before its deadline, also at 100 %;
- no trial is finished by an answer that was cut, empty, garbled or refused; what could not be had is *missing*;
- gone on with, every trial is there once, with the result of an undisturbed run;
- the provider's key stands in no stored file and no result, also where the provider repeats it (row X2);
- what a finished trial cost is the answers that it was given, each once, and never more than the provider billed.

Answers are not streamed, so faults in the middle of a stream are those of a body that is cut, drips or never ends.
Pauses between tries are not waited for; how long they are, `tests/agents/test_models_providers.py` holds.

    python benchmarks/provider_faults.py             # the table
    python benchmarks/provider_faults.py --seed 3 --tasks 50
"""

import argparse
import json
import os
import platform
import random
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio

from prowess.agents.models import calls, open_model
from prowess.core.errors import BoundaryError
from prowess.core.model import Message, Model, Request
from prowess.core.task import File, Score, Task
from prowess.core.trajectory import Step, Trajectory
from prowess.core.view import View
from prowess.measure.trials import Arm, Bench, run_trials
from prowess.trajectories.runstore import RunStore

KEY = "sk-canary-Zq81hunter2kk77Wm"
RIGHT = "right, naïve 日本"
TIMEOUT = 1.0
"""Seconds that the client waits for one answer."""
DEADLINE = 240.0
"""Seconds for all trials at one rate."""


@dataclass
class Reply:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0
    """Bytes that are announced and never sent."""
    drip: float = 0.0
    """Seconds between single bytes."""
    silence: float = 0.0
    """Seconds before anything is sent."""
    hang_up: bool = False


def answer(text: str | None = RIGHT, finish: str = "stop", **changes: Any) -> bytes:
    message = {"role": "assistant", "content": text, **changes.pop("message", {})}
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    whole = {"model": "m", "choices": [{"message": message, "finish_reason": finish}], "usage": usage} | changes
    return json.dumps(whole, ensure_ascii=False).encode()


FAULTS: dict[str, Reply] = {
    "no answer in time": Reply(silence=TIMEOUT * 1.5),
    "hung up": Reply(hang_up=True),
    "429": Reply(429, b'{"error": {"message": "slow down"}}'),
    "429 with Retry-After": Reply(429, b"{}", {"retry-after": "1"}),
    "500": Reply(500, b'{"error": {"message": "oops"}}'),
    "500 that names the key": Reply(500, json.dumps({"error": {"message": f"bad key {KEY}"}}).encode()),
    "503 with a page": Reply(503, b"<html>down</html>"),
    "529": Reply(529, b'{"error": {"message": "overloaded"}}'),
    "slow drip": Reply(body=answer(), drip=0.05),
    "body cut off": Reply(body=answer()[:-40], cut=40),
    "body cut, length agrees": Reply(body=answer()[:-40]),
    "empty body": Reply(),
    "no JSON": Reply(body=b'{"choices": ['),
    "another shape": Reply(body=b'{"choices": [], "content": "right"}'),
    "a list": Reply(body=b"[]"),
    "no text": Reply(body=answer(None)),
    "refusal": Reply(body=answer(None, message={"refusal": "no"})),
    "safety stop": Reply(body=answer("ri", "content_filter")),
    "usage is no number": Reply(body=answer().replace(b"100", b"NaN")),
    "padded answer, which is right": Reply(body=b" " * 200_000 + answer()),
    "broken characters": Reply(body=answer().replace("日".encode(), b"\xe6\x97")),
}


class Provider:
    """Answers right, or with a fault at the given rate."""

    def __init__(self, rate: float, rng: random.Random) -> None:
        self.requests, self.billed = 0, 0
        self.drawn: Counter[str] = Counter()
        lock = threading.Lock()
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                with lock:
                    provider.requests += 1
                    name = rng.choice(list(FAULTS)) if rng.random() < rate else ""
                    provider.drawn[name] += 1
                reply = FAULTS[name] if name else Reply(body=answer())
                provider.billed += reply.status == 200 and bool(reply.body)
                self.close_connection = True
                if reply.hang_up:
                    return
                time.sleep(reply.silence)
                with suppress(OSError):  # the client may have given up
                    self.send_response(reply.status)
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(reply.body) + reply.cut))
                    for header, value in reply.headers.items():
                        self.send_header(header, value)
                    self.end_headers()
                    step = 1 if reply.drip else max(1, len(reply.body))
                    for i in range(0, len(reply.body), step):
                        self.wfile.write(reply.body[i : i + step])
                        self.wfile.flush()
                        time.sleep(reply.drip)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def model(self) -> Model:
        url = f"http://127.0.0.1:{self.server.server_port}/v1"
        return open_model("openai:gpt-4o-mini", base_url=url, api_key=KEY, timeout=TIMEOUT)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Asking:
    """An agent of one question."""

    name = "asking/1"

    def __init__(self, model: Model) -> None:
        self.model = model

    async def run(self, task: Task, view: View, seed: int) -> Trajectory:
        known: dict[str, Any] = {"id": "", "agent": self.name, "model": "m", "snapshot": view.snapshot}
        try:
            got = await self.model.complete(Request(messages=(Message(role="user", content=task.prompt),)))
        except BoundaryError as error:
            return Trajectory(**known, status="missing", error=str(error))
        return Trajectory(**known, steps=(Step(source="agent", message=got.text, cost=got.cost),), cost=got.cost)


class Marks:
    """A suite that passes the one right answer."""

    name, families = "marks", ("f",)

    def check(self, task: Task, outputs: tuple[File, ...], answer: str = "") -> Score:
        return Score(value=float(answer == RIGHT), passed=answer == RIGHT, verifier="suite:marks", trusted=True)


def trials(store: RunStore, provider: Provider, tasks: list[Task], attempts: int) -> list[Any]:
    agent: Any = Asking(provider.model())
    suite: Any = Marks()
    bench = Bench(agent, suite, store, concurrency=8, attempts=attempts)

    async def go() -> list[Any]:
        with anyio.fail_after(DEADLINE):
            return list(await run_trials(tasks, [Arm.without()], (0,), bench))

    return anyio.run(go)


def measure(rate: float, seed: int, n: int) -> tuple[str, bool]:
    tasks = [
        Task(id=f"f/base/{i}", suite="marks", family="f", split="gate", seed=i, prompt=f"Do {i}.") for i in range(n)
    ]
    with tempfile.TemporaryDirectory() as name:
        store, bad, good = (
            RunStore(Path(name) / "run.db"),
            Provider(rate, random.Random(seed)),
            Provider(0, random.Random()),
        )
        began = time.perf_counter()
        first = trials(store, bad, tasks, 1)
        took = time.perf_counter() - began
        again = trials(store, good, tasks, 2)
        bad.close()
        good.close()
        shown = sum(KEY.encode() in p.read_bytes() for p in Path(name).rglob("*") if p.is_file())
        shown += sum(KEY in repr(t) for t in (*first, *again))
    finished = [t for t in first if t.passed is not None]
    wrong = sum(not t.passed for t in (*finished, *(t for t in again if t.passed is not None)))
    most = max(bad.requests / n, 1)
    paid = sum(t.cost.calls for t in finished)
    whole = len(again) == n and len({t.task_id for t in again}) == n and all(t.passed for t in again)
    met = wrong == 0 and shown == 0 and whole and paid == len(finished) and paid <= bad.billed and most <= calls.TRIES
    said = (
        f"{len(finished)} of {n} trials, {n - len(finished)} missing, {wrong} from a faulty answer; "
        f"{bad.requests} requests, {took:.0f} s; "
        f"gone on with: {sum(bool(t.passed) for t in again)} of {n}, {good.requests} requests more; "
        f"the key in {shown} files or results"
    )
    return said, met


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tasks", type=int, default=200)
    options = parser.parse_args()
    os.environ["NO_PROXY"] = "127.0.0.1"

    async def at_once(seconds: float) -> None:
        del seconds

    calls._sleep = at_once  # pyright: ignore[reportPrivateUsage]
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores, seed {options.seed}; "
          f"{len(FAULTS)} faults\n")  # fmt: skip
    print("| rate of faults | measured | met |\n|---|---|---|")
    for rate in (0.01, 0.2, 1.0):
        said, met = measure(rate, options.seed, options.tasks)
        print(f"| P1 at {rate:.0%} | {said} | {'yes' if met else 'NO'} |", flush=True)


if __name__ == "__main__":
    main()
