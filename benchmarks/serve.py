"""What the proxy adds to a model call, and how long calls over MCP take: all on loopback, nothing leaves the machine.

    python benchmarks/serve.py [--rate N] [--seconds N] [--skills N] [--only proxy|mcp] [--json FILE]

Proxy: a load of its own process (`http_load.py`) opens N streaming chats a second at Poisson intervals (seed 0), each
answered by a fake upstream with 20 events, first directly and then through `prowess serve proxy`, recording and not.
What is added is the difference of quantiles. MCP: the official client calls each tool 200 times over HTTP, on a library
of so many skills. With the defaults it takes two and a half minutes. Needs `prowess[serve,mcp]`.
"""

import argparse
import asyncio
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop
from http_load import MARK, Load, at

from prowess.evolve.run import machine

EVENTS = 20
PROMPT = "Sum the ledger by account under the house rules and write totals.csv. " * 30
START = "from prowess.cli.main import run; run()"
ADDED = {"p50": (0.5, 5.0), "p99": (0.99, 45.0)}
"""Milliseconds that the proxy may add, by quantile of the time to the last byte."""
CALL_MS = 1000.0
"""That a call over MCP may take."""


def upstream(port: int) -> None:
    """Answers any request with a stream of `EVENTS` events, each in a chunk of its own."""
    texts = [{"delta": {"content": f"word {n} "}, "finish_reason": None} for n in range(EVENTS)]
    texts.append({"delta": {}, "finish_reason": "stop"})
    events = [
        b"data: " + json.dumps({"id": "c", "model": "m", "choices": [{"index": 0, **text}]}).encode() + b"\n\n"
        for text in texts
    ]
    chunks = [b"%x\r\n%s\r\n" % (len(event), event) for event in [*events, b"data: [DONE]\n\n"]]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = next((int(x[15:]) for x in head.split(b"\r\n") if x.lower().startswith(b"content-length:")), 0)
                await reader.readexactly(size)
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
                )
                for chunk in chunks:
                    writer.write(chunk)
                    await asyncio.sleep(0)
                writer.write(b"0\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def main() -> None:
        await (await asyncio.start_server(serve, "127.0.0.1", port)).serve_forever()

    uvloop.run(main())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit(f"nothing listens at port {port}")


def measured(port: int, rate: float, seconds: float) -> dict[str, Any]:
    body = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": MARK.decode() + PROMPT}]})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}"
    asked = [f"{head}\r\n\r\n{body}".encode()]
    Load(port, asked, 2, 50).run()  # warm
    told = Load(port, asked, seconds, rate, connections=8, first=1000).run()
    sides = (("first", told.firsts), ("last", told.latencies))
    times = {f"{side} {name}": at(values, share) for side, values in sides for name, (share, _) in ADDED.items()}
    return {"rate": told.rate, "errors": told.failed, **times, "load": f"{100 * told.share:.0f} %"}


def proxy(rate: float, seconds: float, folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    port = free_port()
    provider = subprocess.Popen([sys.executable, __file__, "upstream", str(port)])
    try:
        wait_for(port)
        rows.append({"what": "direct", **measured(port, rate, seconds)})
        upstreams = folder / "upstreams.toml"
        upstreams.write_text(f'[[upstream]]\nurl = "http://127.0.0.1:{port}/v1"\ndialects = ["chat"]\n', "utf-8")
        for what in ("--no-record", "--record"):
            front = free_port()
            served = started("proxy", "--http", str(front), "--upstreams", str(upstreams), what, folder=folder)
            try:
                wait_for(front)
                before = cpu_ms(served.pid)
                row = measured(front, rate, seconds)
                row["proxy ms a call"] = (cpu_ms(served.pid) - before) / (row["rate"] * seconds + 100)  # 100 warm it up
                added = {name: row[f"last {name}"] - rows[0][f"last {name}"] for name in ADDED}
                row |= {f"added {name}": found for name, found in added.items()}
                row["target"] = " and ".join(f"{name} {most:.0f} ms" for name, (_, most) in ADDED.items())
                good = all(added[name] <= most for name, (_, most) in ADDED.items())
                row["met"] = "yes" if good and not row["errors"] else "no"
                rows.append({"what": f"proxy {what}", **row, "MB": resident(served.pid)})
            finally:
                served.terminate()
                served.wait(60)
    finally:
        provider.terminate()
        provider.wait(10)
    return rows


def started(*argv: str, folder: Path) -> "subprocess.Popen[bytes]":
    """`prowess serve …`, with all that it writes in the folder."""
    command = [sys.executable, "-c", START, "serve", *argv]
    return subprocess.Popen(command, env={**os.environ, "PROWESS_DATA": str(folder)}, stderr=subprocess.DEVNULL)


def cpu_ms(pid: int) -> float:
    """Processor time of one process, without its children."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")
    except OSError:
        return float("nan")


def resident(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024
    except OSError:
        return float("nan")


def mcp(skills: int, folder: Path) -> list[dict[str, Any]]:
    import anyio
    from mcp import Client

    from prowess.core.patch import CreateSkill, Patch
    from prowess.core.skill import Skill
    from prowess.core.trust import Tier
    from prowess.guard.keys import Keyring
    from prowess.guard.promotion import promote
    from prowess.library import Library

    library = Library.open(folder / "library", create=True)
    chance = random.Random(0)
    words = [f"{a}{b}" for a in ("ledger", "fee", "stock", "claim", "order", "room") for b in range(200)]
    made: list[CreateSkill] = []
    for number in range(skills):
        about = " ".join(chance.sample(words, 8))
        skill = Skill(name=f"skill-{number}", description=f"Works on {about}. Use for {about}.", body=f"# {about}\n")
        made.append(CreateSkill(skill=skill))
    library.apply(Patch(base=library.snapshot().digest, operations=tuple(made), reason="benchmark"))
    ring = Keyring()
    for operation in made[: min(50, skills)]:
        promote(library, ring, operation.skill.name, Tier.REVIEWED)
    port = free_port()
    served = started("mcp", "--http", str(port), "-l", str(library.path), folder=folder)
    calls: list[tuple[str, dict[str, Any]]] = [
        ("search_skills", {"query": "ledger3 fee7 stock9"}), ("load_skill", {"name": "skill-1"}),
        ("read_skill_file", {"name": "skill-1", "path": "SKILL.md"}),
        ("report_outcome", {"task": "t", "outcome": "succeeded", "skills": ["skill-1"]}),
    ]  # fmt: skip
    rows: list[dict[str, Any]] = []

    async def ask() -> None:
        async with Client(f"http://127.0.0.1:{port}/mcp") as client:
            for tool, arguments in calls:
                times: list[float] = []
                for _ in range(200):
                    started = time.perf_counter()
                    result = await client.call_tool(tool, arguments)
                    times.append(time.perf_counter() - started)
                    assert not result.is_error, result
                most = max(times) * 1000
                rows.append({"what": tool, "n": len(times), "first call": times[0] * 1000, "p50": at(times, 0.5),
                             "p99": at(times, 0.99), "max": most, "target": f"max {CALL_MS:.0f} ms",
                             "met": "yes" if most <= CALL_MS else "no"})  # fmt: skip

    try:
        wait_for(port)
        anyio.run(ask)
    finally:
        served.terminate()
        served.wait(30)
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    names = list(dict.fromkeys(name for row in reversed(rows) for name in row))
    print("| " + " | ".join(names) + " |")
    print("|" + "---|" * len(names))
    for row in rows:
        cells = [f"{row[n]:.1f}" if isinstance(row.get(n), float) else str(row.get(n, "")) for n in names]
        print("| " + " | ".join(cells) + " |")
    print(flush=True)


def main() -> None:
    if sys.argv[1:2] == ["upstream"]:
        upstream(int(sys.argv[2]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--skills", type=int, default=1000)
    parser.add_argument("--only", choices=["proxy", "mcp"])
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    print(f"{machine()}, seed 0; times in ms, shares of all cores\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for name in ("DATA", "CONFIG", "CACHE"):
            os.environ[f"XDG_{name}_HOME"] = str(place / name.lower())
        os.environ["HOME"] = folder
        found: dict[str, Any] = {"rate": given.rate, "seconds": given.seconds, "skills": given.skills}
        if given.only != "mcp":
            found["proxy"] = proxy(given.rate, given.seconds, place)
            show(found["proxy"])
        if given.only != "proxy":
            found["mcp"] = mcp(given.skills, place)
            show(found["mcp"])
    if given.json:
        given.json.write_text(json.dumps(found, indent=1), "utf-8")


if __name__ == "__main__":
    main()
