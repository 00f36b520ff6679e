"""The hub as processes: killed workers, clients that are slow or send too much, and odd requests by the table."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from prowess.core.errors import UserError
from prowess.core.trajectory import Step, Trajectory
from prowess.serve.hub.api import ROUTES
from prowess.serve.hub.app import application
from prowess.serve.hub.client import Client, HubError
from prowess.serve.hub.service import Hub

START = """
import sys
from pathlib import Path
from prowess.serve import listen
from prowess.serve.hub.server import Plan, serve
listen.HEADER_SECONDS = 1.0
if __name__ == "__main__":
    serve(Plan(Path(sys.argv[1]), workers=1, evolvers=0), "127.0.0.1", 0, lambda port: print(port, flush=True))
"""


@pytest.fixture
def running(hub: Hub, tmp_path: Path) -> Iterator[tuple[int, int]]:
    """Port and process id of a hub that runs."""
    script = tmp_path / "start.py"
    script.write_text(START)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(tmp_path)}
    process = subprocess.Popen([sys.executable, str(script), str(hub.data)], stdout=subprocess.PIPE, text=True, env=env)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        _until(lambda: httpx2.get(f"http://127.0.0.1:{port}/api/health", timeout=5).status_code == 200)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(60)


def _until(done: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            if done():
                return
        except httpx2.HTTPError:
            pass
        assert time.monotonic() < end
        time.sleep(0.1)


def _serving(supervisor: int) -> list[int]:
    found: list[int] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            if parent == supervisor and b"spawn_main" in (stat.parent / "cmdline").read_bytes():
                found.append(int(stat.parent.name))
        except (OSError, ValueError):
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the processes in /proc")
def test_a_killed_process_loses_nothing_and_comes_back(running: tuple[int, int], hub: Hub) -> None:
    port, supervisor = running
    client = Client(f"http://127.0.0.1:{port}", hub.accounts.issue("bob")[1])
    given: list[str] = []
    for n in range(30):
        session = Trajectory(id=f"s{n}", agent="a", model="m", steps=(Step(source="user", message="x"),))
        if n == 15:
            for pid in _serving(supervisor):
                os.kill(pid, signal.SIGKILL)

        def give(session: Trajectory = session) -> bool:
            try:
                given.extend(client.upload("red", session).ids)
            except HubError:
                return False
            return True

        _until(give)
    assert len(given) == 30
    assert set(given) <= {s.id for s in hub.sessions.list("red", limit=1000)}
    client.close()


def test_clients_that_never_finish_are_closed(running: tuple[int, int]) -> None:
    """Those that say nothing, those whose headers never end, in size or in time; honest ones are served beside them."""
    port, _ = running

    def honest() -> None:
        started = time.monotonic()
        assert httpx2.get(f"http://127.0.0.1:{port}/api/health", timeout=10).status_code == 200
        assert time.monotonic() - started < 5

    silent = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(200)]
    honest()
    with socket.create_connection(("127.0.0.1", port), timeout=20) as flood:
        flood.sendall(b"GET /api/health HTTP/1.1\r\nhost: x\r\n")
        told = b""
        try:
            for n in range(3000):
                flood.sendall(b"x-%d: %s\r\n" % (n, b"a" * 90))
            told = flood.recv(100)
        except OSError:
            pass  # closed while we sent
        assert told == b"" or told.startswith((b"HTTP/1.1 431", b"HTTP/1.1 400"))
    with socket.create_connection(("127.0.0.1", port), timeout=20) as slow:
        try:
            for n in range(200):
                slow.sendall(b"GET /api/health HTTP/1.1\r\n" if n == 0 else b"x-%d: y\r\n" % n)
                time.sleep(0.1)
        except OSError:
            pass
        else:
            pytest.fail("headers may take as long as they like")
    for connection in silent:
        assert connection.recv(100).startswith(b"HTTP/1.1 408")
        connection.close()
    honest()


ODD_HEADS = [
    b"GET / HTTP/9\r\n\r\n",
    b"\x00" * 100,
    b"POST /api/accounts HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
    b"POST /api/accounts HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /api/accounts HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\nx\r\n0\r\n\r\n",
    b"POST /api/accounts HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\nx",
]


def test_requests_that_can_be_read_in_two_ways_are_refused(running: tuple[int, int]) -> None:
    port, _ = running
    for odd in ODD_HEADS:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(odd)
            assert connection.recv(100).startswith(b"HTTP/1.1 4"), odd
    assert httpx2.get(f"http://127.0.0.1:{port}/api/health", timeout=10).status_code == 200


# Odd requests, by the table


ODD = ["red", "blue", "bob", "..", "%00", "\x00", "a/b", "0" * 400, "🙂", "-1", "1e400"]
texts = st.text(max_size=30) | st.sampled_from(
    ["red", "blue", "bob", "..", "%00", "\x00", "a/b", "0" * 400, "🙂", "-1", "1e400"]
)
values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@settings(
    max_examples=15, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(data=st.data())
def test_no_request_breaks_the_hub(hub: Hub, data: st.DataObject) -> None:
    http = TestClient(application(hub), base_url="http://hub", raise_server_exceptions=False)
    headers = {"authorization": f"Bearer {hub.accounts.issue('alice')[1]}"}
    for route in ROUTES:
        if route.name == "end_account":
            continue  # it would end the one that asks
        path = "/".join(
            _quoted(data.draw(texts)) if part.startswith("{") and not (part == "{project}" and data.draw(st.booleans()))
            else "red" if part.startswith("{") else part
            for part in route.path.split("/")
        )  # fmt: skip
        fields = list(getattr(route.body, "model_fields", {})) if route.body is not bytes else []
        body = {name: data.draw(values) for name in fields if data.draw(st.booleans())}
        sent = _json(body) if data.draw(st.booleans()) else data.draw(st.binary(max_size=60))
        query = {name: data.draw(texts) for name in route.query.model_fields if data.draw(st.booleans())}
        answer = http.request(route.method, path, headers=headers, content=sent, params=query)
        assert answer.status_code < 500, (route.name, path, query, sent, answer.text)
        assert "Traceback" not in answer.text and str(hub.data) not in answer.text


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text.encode("utf-8", "surrogatepass"), safe="") or "x"


def _json(value: object) -> bytes:
    import json

    return json.dumps(value).encode()


def test_no_canary_leaves_the_hub(hub: Hub, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Secrets in every place where a client may put a text: in no file of the hub, no answer, no log."""
    canaries = {
        "anthropic": "sk-ant-api03-" + "cN4rY" * 18 + "AA",
        "github": "ghp_" + "c4NarY" * 6,
        "aws": "AKIA" + "C4NARYC4NARYC4NA",
    }
    told = " ".join(canaries.values())
    http = TestClient(application(hub), base_url="http://hub", raise_server_exceptions=False)
    bob = Client("http://hub", hub.accounts.issue("bob")[1], http)  # type: ignore[arg-type]
    step = Step(source="user", message=told, reasoning=told, extra={"note": told})
    bob.upload("red", Trajectory(id="s", agent="a", model="m", steps=(step,), error=told, extra={"k": told}))
    skill = f"---\nname: vat\ndescription: Knows vat. Use for vat.\n---\n\nAsk for {told}.\n"
    with pytest.raises(UserError):
        bob.propose("red", "vat", {"SKILL.md": skill.encode(), "references/x.md": told.encode()}, told)
    bob.propose("red", "vat", {"SKILL.md": skill.replace(told, "it").encode()}, told)
    secret = hub.accounts.issue("alice")[1]
    answers = [
        http.get(f"/api/projects/red/{what}", headers={"authorization": f"Bearer {secret}"}).text
        for what in ("sessions", "proposals", "audit", "jobs", "changes")
    ]
    stored = b"".join(path.read_bytes() for path in hub.data.rglob("*") if path.is_file())
    seen = capfd.readouterr()
    for name, canary in canaries.items():
        assert canary.encode() not in stored, name
        assert all(canary not in text for text in (*answers, seen.out, seen.err)), name
    assert secret.encode() not in stored


ADDRESSES = [
    f"{scheme}://{host}/latest/meta-data"
    for scheme in ("http", "https", "file", "gopher")
    for host in (
        "169.254.169.254", "127.0.0.1", "[::1]", "0.0.0.0", "2130706433", "0x7f000001", "017700000001", "localhost",
        "[::ffff:169.254.169.254]", "user@127.0.0.1",
    )
]  # fmt: skip


def test_nothing_is_fetched_that_a_client_names(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty addresses in every text of the API: the hub opens no connection."""
    assert len(ADDRESSES) == 40
    opened: list[object] = []

    def refuse(self: socket.socket, address: object) -> None:
        opened.append(address)
        raise OSError("no connection is opened here")

    http = TestClient(application(hub), base_url="http://hub", raise_server_exceptions=False)
    headers = {"authorization": f"Bearer {hub.accounts.issue('alice')[1]}"}
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    told = "\n".join(ADDRESSES)
    steps = (Step(source="user", message=told), Step(source="agent", message=told, model=ADDRESSES[0]))
    client = Client("http://hub", headers["authorization"][7:], http)  # type: ignore[arg-type]
    client.upload("red", Trajectory(id=ADDRESSES[1], agent="a", model=ADDRESSES[2], steps=steps, task_id=ADDRESSES[3]))
    for address in ADDRESSES:
        http.get("/api/projects/red/search", params={"q": address}, headers=headers)
        http.post("/api/projects/red/sessions", content=address, headers=headers)
        http.get("/api/projects/red/skills/" + _quoted(address), headers={**headers, "host": "169.254.169.254"})
        body = {"name": "vat", "files": [], "reason": address}
        http.post("/api/projects/red/proposals", json=body, headers=headers)
        http.put("/api/projects/red/settings", json={"suite": address, "families": [address]}, headers=headers)
    assert opened == []
