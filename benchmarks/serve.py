"""What the proxy adds to a model call, and how long calls over MCP take: all on loopback, nothing leaves the machine.

    python benchmarks/serve.py [--rate N] [--seconds N] [--skills N] [--only proxy|mcp] [--json FILE]

Proxy: a load of its own process opens N streaming chats a second at Poisson intervals (seed 0), each answered by a fake
upstream with 20 events, first directly and then through `prowess serve proxy`, recording and not. The overhead is the
difference of quantiles. MCP: the official client calls each tool 200 times over HTTP, on a library of so many skills.
Needs `prowess[serve,mcp]`.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

EVENTS = 20
PROMPT = "Sum the ledger by account under the house rules and write totals.csv. " * 30
START = "from prowess.cli.main import run; run()"


# Three processes of this very file: the upstream, the load, and the one that reports.


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

    asyncio.run(main())


def load(port: int, rate: float, seconds: float) -> None:
    """Sends the load and prints, as JSON, seconds to the first byte and to the last of every answer, and errors."""
    chance = random.Random(0)
    firsts: list[float] = []
    lasts: list[float] = []
    errors: list[str] = []
    free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def one(number: int) -> None:
        body = json.dumps(
            {"model": "m", "stream": True, "messages": [{"role": "user", "content": f"{number} {PROMPT}"}]}
        )
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}"
        started = time.perf_counter()
        try:
            reader, writer = free.pop() if free else await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"{head}\r\n\r\n{body}".encode())
            answer = await reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(b"HTTP/1.1 200"):
                raise ValueError(answer[:60].decode("latin-1"))
            firsts.append(time.perf_counter() - started)
            while size := int(await reader.readline(), 16):
                await reader.readexactly(size + 2)
            await reader.readexactly(2)
            lasts.append(time.perf_counter() - started)
            free.append((reader, writer))
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            errors.append(repr(error)[:100])

    async def main() -> None:
        tasks: list[asyncio.Task[None]] = []
        due = started = time.perf_counter()
        while due < started + seconds:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(one(len(tasks))))
            due += chance.expovariate(rate)
        await asyncio.wait(tasks, timeout=60)

    asyncio.run(main())
    print(json.dumps({"first": firsts, "last": lasts, "errors": errors}))


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


def quantile(values: list[float], share: float) -> float:
    """In milliseconds."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] * 1000


def measured(port: int, rate: float, seconds: float) -> dict[str, Any]:
    run = [sys.executable, __file__, "load", str(port)]
    subprocess.run([*run, "20", "2"], stdout=subprocess.DEVNULL, check=True)  # warm
    done = subprocess.run([*run, str(rate), str(seconds)], stdout=subprocess.PIPE, check=True)
    found = json.loads(done.stdout)
    shares = ((name, share) for name in ("first", "last") for share in (0.5, 0.99))
    figures = {f"{name} p{int(share * 100)}": quantile(found[name], share) for name, share in shares}
    return {"n": len(found["last"]), "errors": found["errors"], **figures}


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
            argv = [
                sys.executable,
                "-c",
                START,
                "serve",
                "proxy",
                "--http",
                str(front),
                "--upstreams",
                str(upstreams),
                what,
            ]
            served = subprocess.Popen(argv, env={**os.environ, "PROWESS_DATA": str(folder)}, stderr=subprocess.DEVNULL)
            try:
                wait_for(front)
                before = cpu_ms(served.pid)
                row = measured(front, rate, seconds)
                row["cpu ms a call"] = (cpu_ms(served.pid) - before) / (row["n"] + 40)  # 40 warm it up
                names = [name for name in row if " p" in name]
                row |= {f"+{name}": row[name] - rows[0][name] for name in names}
                rows.append({"what": f"proxy {what}", "rss_mb": resident(served.pid), **row})
            finally:
                served.terminate()
                served.wait(60)
    finally:
        provider.terminate()
        provider.wait(10)
    return rows


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
    argv = [sys.executable, "-c", START, "serve", "mcp", "--http", str(port), "-l", str(library.path)]
    served = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
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
                rows.append({"what": tool, "n": len(times), "first call": times[0] * 1000, "p50": quantile(times, 0.5),
                             "p99": quantile(times, 0.99), "max": max(times) * 1000})  # fmt: skip

    try:
        wait_for(port)
        anyio.run(ask)
    finally:
        served.terminate()
        served.wait(30)
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row if name != "errors"))
    print("| " + " | ".join(names) + " | errors |")
    print("|" + "---|" * (len(names) + 1))
    for row in rows:
        cells = [f"{row[n]:.1f}" if isinstance(row.get(n), float) else str(row.get(n, "")) for n in names]
        print("| " + " | ".join(cells) + f" | {len(row.get('errors', []))} |")
    print()


def main() -> None:
    if sys.argv[1:2] == ["upstream"]:
        upstream(int(sys.argv[2]))
        return
    if sys.argv[1:2] == ["load"]:
        load(int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--skills", type=int, default=1000)
    parser.add_argument("--only", choices=["proxy", "mcp"])
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; ms"
    )
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
