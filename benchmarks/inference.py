"""How fast the embedded model is: tokens per second, by the clock, by the engine's own count, and at most.

    python benchmarks/inference.py --model embedded:qwen2.5-coder-1.5b --repeat 5 --json inference.json

`prefill` reads a fresh prompt, `decode` writes an answer to a prompt already read, `8 streams` sends eight requests at
once that share most of their prompt. `clock` is what a caller sees; `engine` is the engine's own time for the same
tokens. `limit` is how often the memory could deliver the whole model in a second, which no decoder of one token at a
time can exceed. Intervals are 95 %, Student's t over the repeats. Run it on a quiet machine: the load is printed.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import stats

from prowess.agents.models import open_model
from prowess.agents.models.processors import idle_processors
from prowess.agents.models.pull import find
from prowess.core.model import Message, Model, Request, Response

RULES = "Write the amounts with two digits, order the rows by date, and leave out the void ones. "


def request(text: str, tokens: int) -> Request:
    return Request(messages=(Message(role="user", content=text),), max_tokens=tokens)


def timed(model: Model, requests: list[Request]) -> tuple[float, list[Response]]:
    """Seconds by the clock for all requests at once, and their answers."""
    answers: list[Response] = []

    async def one(asked: Request) -> None:
        answers.append(await model.complete(asked))

    async def run() -> float:
        start = time.perf_counter()
        async with anyio.create_task_group() as group:
            for asked in requests:
                group.start_soon(one, asked)
        return time.perf_counter() - start

    return anyio.run(run), answers


def prefill(model: Model, number: int) -> dict[str, float]:
    clock, (got,) = timed(model, [request(f"{number} is the number of this text. {RULES * 20}", 1)])
    fresh = got.cost.prompt_tokens - got.cost.cached_tokens
    return {"clock": fresh / clock, "engine": fresh / got.cost.seconds, "tokens": fresh}


def decode(model: Model, number: int) -> dict[str, float]:
    text = f"Count from {number + 1} to 200, one number a line."
    timed(model, [request(text, 1)])
    clock, (got,) = timed(model, [request(text, 96)])
    done = got.cost.completion_tokens
    return {"clock": done / clock, "engine": done / got.cost.seconds, "tokens": done}


def streams(model: Model, number: int) -> dict[str, float]:
    shared = f"{number} is the number of this task. {RULES * 15}"
    asked = [request(f"{shared} Count from {i + 1} to 200, one number a line.", 64) for i in range(8)]
    clock, answers = timed(model, asked)
    done = sum(a.cost.completion_tokens for a in answers)
    reused = sum(a.cost.cached_tokens for a in answers) / sum(a.cost.prompt_tokens for a in answers)
    return {
        "clock": done / clock,
        "engine": done / sum(a.cost.seconds for a in answers),
        "tokens": done,
        "prompt_reused": reused,
    }


def bandwidth(threads: int) -> float:
    """Bytes per second that `threads` readers get from memory together, the best of five rounds.

    Each takes the scalar product of two arrays far larger than any cache: like decoding it only reads, and its
    arithmetic is small beside the reading. (A copy also writes, and would give a limit that decoding passes.)
    """
    pairs = [(np.ones(32 << 20, np.float32), np.ones(32 << 20, np.float32)) for _ in range(threads)]
    read = sum(left.nbytes + right.nbytes for left, right in pairs)
    best = 0.0
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(5):
            start = time.perf_counter()
            list(pool.map(lambda pair: np.dot(*pair), pairs))
            best = max(best, read / (time.perf_counter() - start))
    return best


def interval(values: list[float]) -> dict[str, Any]:
    mean = float(np.mean(values))
    half = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)) if len(values) > 1 else float("nan")
    return {"n": len(values), "mean": mean, "low": mean - half, "high": mean + half}


def machine(threads: int) -> dict[str, Any]:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.processor(),
        "processors": os.cpu_count(),
        "threads": threads,
        "load": list(os.getloadavg()),
        "system": platform.platform(),
        "engine": f"xllamacpp {importlib.metadata.version('xllamacpp')}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", default="embedded", help="embedded, or embedded:NAME")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0, help="0 chooses as the product does")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    chosen = parser.parse_args()

    threads = chosen.threads or idle_processors()
    before = machine(threads)
    file = find(chosen.model.partition(":")[2])
    model = open_model(chosen.model, threads=threads)
    timed(model, [request("Say hello.", 1)])  # loads the file

    parts: dict[str, Callable[[Model, int], dict[str, float]]] = {
        "prefill": prefill,
        "decode": decode,
        "8 streams": streams,
    }
    found: dict[str, Any] = {}
    for name, measure in parts.items():
        rounds = [measure(model, number) for number in range(chosen.repeat)]
        found[name] = {key: interval([r[key] for r in rounds]) for key in rounds[0]}
    speed = bandwidth(threads)
    out = {
        "model": model.name,
        "bytes": file.size,
        "machine": before | {"load_after": list(os.getloadavg())},
        "bandwidth": speed,
        "limit": speed / file.size,
        "tokens_per_second": found,
    }

    table = Table(title=f"{model.name}, {threads} threads, tokens per second, n = {chosen.repeat}")
    for column in ("", "clock", "95 % interval", "engine", "limit"):
        table.add_column(column, justify="right")
    for name, part in found.items():
        clock = part["clock"]
        table.add_row(
            name,
            f"{clock['mean']:.1f}",
            f"{clock['low']:.1f} to {clock['high']:.1f}",
            f"{part['engine']['mean']:.1f}",
            "" if name == "prefill" else f"{out['limit']:.1f}",
        )
    console = Console()
    console.print(table)
    console.print(
        f"{before['processor']}, load {before['load'][0]:.1f} before and {os.getloadavg()[0]:.1f} after; "
        f"memory reads at {speed / 1e9:.1f} GB/s; "
        f"{found['8 streams']['prompt_reused']['mean']:.0%} of the eight prompts was read from the cache"
    )
    if chosen.json:
        chosen.json.write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
