# ruff: noqa: E501 (tables, and requests on one line each)
"""Row X1 of the fault matrix: whoever talks to prowess names an address inside the network, in every form there is.

Each part hands each address to one way in, everywhere where a text fits: paths, queries, headers, bodies, files. What is
counted are connections, look-ups of names and programs started while it answers; there may be none. The routes of the
hub and the tools of the MCP server come from their own tables, so that a new one is asked, too. Addresses that the owner
of a machine writes down (the upstreams of the proxy, the hub or repository of a sync) are theirs to choose; whoever
answers there must not choose another one, so redirects are answered by a server that counts who follows.

    python benchmarks/addresses.py               # the table in docs/serve.md
"""

import asyncio
import http.server
import io
import json
import logging
import os
import socket
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import quote

import anyio

from prowess.core.errors import ProwessError, UserError
from prowess.core.trajectory import Step, Trajectory

HOSTS = (
    "169.254.169.254", "127.0.0.1", "127.1", "0.0.0.0", "0", "2130706433", "0x7f000001", "0x7f.0.0.1", "017700000001",
    "0177.0.0.01", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "10.0.0.1", "172.16.0.1", "192.168.0.1",
    "100.100.100.200", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[fe80::1]", "[fd00:ec2::254]",
    "[0:0:0:0:0:ffff:7f00:1]", "[64:ff9b::a9fe:a9fe]", "localhost", "LOCALHOST.", "metadata.google.internal",
    "127.0.0.1.nip.invalid", "loopback.rebind.invalid", "\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3",
    "\uff11\uff12\uff17.0.0.1", "xn--lcalhost-66a", "127\u30020\u30020\u30021",
)  # fmt: skip
ADDRESSES = (
    *(f"http://{host}/latest/meta-data" for host in HOSTS),
    "https://169.254.169.254/latest", "http://user@127.0.0.1/", "http://allowed.example@127.0.0.1/",
    "http://127.0.0.1#@allowed.example/", "http://allowed.example\\@127.0.0.1/", "http://127.0.0.1:22/", "http://127.0.0.1:6379/",
    "//127.0.0.1/", "http:/\\127.0.0.1/", "http://127.0.0.1%00.allowed.example/", "http://127.0.0.1\t/", "file:///etc/hostname",
    "file://127.0.0.1/etc/hostname", "gopher://127.0.0.1:6379/_INFO", "ftp://127.0.0.1/", "dict://127.0.0.1:11211/stat",
    "ldap://127.0.0.1/", "jar:http://127.0.0.1!/", "ext::sh -c true", "git://127.0.0.1/x.git", "http://127.0.0.1/x.git",
)  # fmt: skip
KINDS = (301, 302, 303, 307, 308)


@contextmanager
def watched(*allowed: int) -> Iterator[list[str]]:
    """Every connection, look-up of a name and program that is tried; refused, but for connections to these ports here."""
    tried: list[str] = []
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def connects(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[0] == "127.0.0.1" and address[1] in allowed:
            return connect(self, address)
        tried.append(f"connects to {address}")
        raise OSError("no connection is opened here")

    def looks_up(host: Any, *args: Any, **more: Any) -> Any:
        if host == "127.0.0.1" and allowed:
            return look_up(host, *args, **more)
        tried.append(f"looks up {host}")
        raise OSError("no name is looked up here")

    def starts(self: Any, args: Any, *rest: Any, **more: Any) -> None:
        tried.append(f"starts {args}")
        raise OSError("nothing is started here")

    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(socket.socket, "connect", connects))
        stack.enter_context(mock.patch.object(socket.socket, "connect_ex", connects))
        stack.enter_context(mock.patch.object(socket, "getaddrinfo", looks_up))
        stack.enter_context(mock.patch.object(subprocess.Popen, "__init__", starts))
        stack.enter_context(mock.patch.object(subprocess.Popen, "__del__", return_value=None))
        yield tried


def filled(schema: dict[str, Any], text: str, whole: dict[str, Any] | None = None) -> Any:
    """A value that fits a JSON schema, with `text` wherever a text may stand."""
    whole = whole or schema
    if "$ref" in schema:
        schema = whole["$defs"][schema["$ref"].rsplit("/", 1)[-1]]
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    for choice in schema.get("anyOf", ()):
        if choice.get("type") != "null":
            return filled(choice, text, whole)
    match schema.get("type"):
        case "object":
            more = schema.get("additionalProperties")
            made = {key: filled(value, text, whole) for key, value in schema.get("properties", {}).items()}
            return made | ({text: filled(more, text, whole)} if isinstance(more, dict) else {})
        case "array":
            return [filled(schema.get("items", {}), text, whole)]
        case "integer" | "number":
            return 1
        case "boolean":
            return False
        case _:
            return text


Part = Callable[[Path, tuple[str, ...], int], tuple[int, list[str]]]
"""Given a folder, addresses, and n to use every n-th of them at each place: how much was asked, and what was tried."""


def _turns(addresses: tuple[str, ...], number: int, each: int) -> tuple[str, ...]:
    return addresses[number % each :: each]


def _hub(folder: Path) -> Any:
    from prowess.serve.hub.service import Hub

    hub = Hub.open(folder / "hub")
    hub.accounts.add("alice", admin=True)
    hub.accounts.add_project("red", "alice")
    return hub


def hub_routes(folder: Path, addresses: tuple[str, ...], each: int) -> tuple[int, list[str]]:
    """Every route of the API; then the work that the hub does in the background on what was given."""
    from starlette.testclient import TestClient

    from prowess.serve.hub.api import ROUTES
    from prowess.serve.hub.app import application
    from prowess.serve.hub.evolver import Evolver
    from prowess.trajectories.atif import to_atif

    hub, asked = _hub(folder), 0
    client = TestClient(application(hub), base_url="http://hub", raise_server_exceptions=False)
    token = {"authorization": f"Bearer {hub.accounts.issue('alice')[1]}"}
    with watched() as tried:
        for number, route in enumerate(ROUTES):
            for address in _turns(addresses, number, each):
                bare = quote(address, safe="")
                path = "/".join(
                    "red" if part == "{project}" else bare if part.startswith("{") else part
                    for part in route.path.split("/")
                )
                body: Any = None
                if route.body is bytes:
                    steps = (Step(source="user", message=address), Step(source="agent", message=address, model=address))
                    session = Trajectory(id=f"s{asked}", agent="a", model=address, steps=steps, task_id=None)
                    body = json.dumps(to_atif(session)).encode()
                elif route.body is not None:
                    body = json.dumps(filled(route.body.model_json_schema(), address)).encode()  # type: ignore[union-attr]
                query = filled(route.query.model_json_schema(), address)
                named = {
                    "x-forwarded-host": "169.254.169.254",
                    "host": "169.254.169.254",
                    "referer": bare,
                    "origin": bare,
                }
                with suppress(UnicodeError):
                    client.request(route.method, path, params=query, content=body, headers={**token, **named})
                asked += 1
        for kind in ("learn", "validate", "vouch", "tidy"):
            hub.jobs.ask("red", kind, "alice", addresses[0])
        worker = Evolver(hub)
        while worker.once() is not None:
            asked += 1
    hub.close()
    return asked, tried


def hub_pages(folder: Path, addresses: tuple[str, ...], each: int) -> tuple[int, list[str]]:
    """Every page and form of the web site of a hub."""
    from starlette.routing import Route
    from starlette.testclient import TestClient

    from prowess.serve.hub.app import Known, application
    from prowess.serve.hub.pages import pages

    hub, asked = _hub(folder), 0
    client = TestClient(
        application(hub, pages), base_url="http://hub", raise_server_exceptions=False, follow_redirects=False
    )
    client.post("/login", data={"token": hub.accounts.issue("alice")[1]})
    table = [route for route in pages(hub, Known(hub)) if isinstance(route, Route)]
    with watched() as tried:
        for number, route in enumerate(table):
            for address in _turns(addresses, number, each):
                bare = quote(address, safe="")
                path = "/".join(
                    bare if part.startswith("{") and part != "{project}" else part for part in route.path.split("/")
                )
                path = path.replace("{project}", "red")
                client.get(path, params={"q": address, "next": address, "from": address, "to": address})
                form = dict.fromkeys(("token", "text", "reason", "action", "next", "url"), address)
                client.post(path, data=form, headers={"origin": "http://hub"})
                asked += 2
    hub.close()
    return asked, tried


def mcp_tools(folder: Path, addresses: tuple[str, ...], each: int) -> tuple[int, list[str]]:
    """Every tool and resource of the MCP server."""
    from mcp import Client

    from prowess.guard.keys import Keyring
    from prowess.library import Library
    from prowess.serve.access import Access
    from prowess.serve.mcp import server
    from prowess.trajectories.store import TrajectoryStore

    asked = 0

    async def ask(access: Access) -> list[str]:
        nonlocal asked
        answered = 0
        async with Client(server(access)) as client:
            tools = (await client.list_tools()).tools
            with watched() as tried:
                for number, tool in enumerate(tools):
                    for address in _turns(addresses, number, each):
                        with suppress(Exception):
                            answered += not (
                                await client.call_tool(tool.name, filled(tool.input_schema, address))
                            ).is_error
                        asked += 1
                for address in addresses:
                    for uri in (address, f"skill://{quote(address, safe='')}/SKILL.md"):
                        with suppress(Exception):
                            await client.read_resource(uri)
                        asked += 1
                assert answered, "no tool did anything, so nothing was tried"
                return tried

    with TrajectoryStore(folder / "t.db") as store:
        access = Access(Library.open(folder / "library", create=True), store, Keyring(folder / "keys"))
        logging.disable(logging.CRITICAL)  # the SDK draws a picture of every refusal
        try:
            tried = anyio.run(ask, access)
        finally:
            logging.disable(logging.NOTSET)
        return asked, tried


def proxy_requests(folder: Path, addresses: tuple[str, ...], each: int) -> tuple[int, list[str]]:
    """The three dialects: parameters, headers, queries, contents, and a request line with a host of its own."""
    sys.path.append(str(Path(__file__).parents[1] / "tests" / "serve"))
    from proxy_parts import KEY, Provider, proxied

    asked = 0

    async def main() -> list[str]:
        nonlocal asked
        async with Provider().running() as provider, proxied(provider, folder, record=False) as running:
            provider.script = lambda writer: writer.whole(b'{"choices":[]}')
            with watched(provider.port, running.port) as tried:
                for number, path in enumerate(
                    ("chat/completions", "responses", "messages", "messages/count_tokens", "models")
                ):
                    for address in _turns(addresses, number, each):
                        await _raw(running.port, f"/v1/{path}?api_base={quote(address)}&url={quote(address)}", address)
                        await _raw(running.port, f"http://169.254.169.254/v1/{path}", address)
                        asked += 2
            tried += [f"gives the key to {a.headers.get('host')}" for a in provider.asked
                      if KEY in str(a.headers) and a.headers.get("host") != f"127.0.0.1:{provider.port}"]  # fmt: skip
            assert any(KEY in str(a.headers) for a in provider.asked), (
                "nothing reached the provider, so nothing was tried"
            )
            return tried

    tried = anyio.run(main)
    return asked, tried


async def _raw(port: int, target: str, address: str) -> None:
    """One request by hand, with the address in every header and field that some gateway listens to."""
    content = [{"type": "image_url", "image_url": {"url": address}}, {"type": "text", "text": address}]
    body = {"model": "m-1", "max_tokens": 1, "messages": [{"role": "user", "content": content}],
            **dict.fromkeys(("api_base", "base_url", "endpoint", "api_key", "proxy", "webhook", "callback_url"), address),
            "metadata": {"api_base": address}, "tools": [{"type": "mcp", "server_url": address}]}  # fmt: skip
    data = json.dumps(body).encode()
    bare = quote(address)
    names = ("x-api-base", "x-upstream", "x-forwarded-host", "x-original-url", "forwarded", "x-litellm-api-base", "via")
    headers = "".join(f"{name}: {bare}\r\n" for name in names)
    method = "GET" if target.partition("?")[0].endswith("models") else "POST"
    head = f"{method} {target} HTTP/1.1\r\nhost: 169.254.169.254\r\n{headers}connection: close\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.encode() + data)
    with anyio.fail_after(20):
        await reader.read()
    writer.close()


def imports(folder: Path, addresses: tuple[str, ...], each: int) -> tuple[int, list[str]]:
    """Skills from archives and folders that name the address in every file that some program acts upon."""
    from prowess.guard.scan import scan_files
    from prowess.library.bundles import read_bundle

    with watched() as tried:
        for number, address in enumerate(addresses):
            text = f"---\nname: s\ndescription: d\nurl: {json.dumps(address)}\n---\n\n![x]({address})\n\n<img src='{address}'>\n"
            files = {"s/SKILL.md": text, "s/prowess.json": json.dumps({"capabilities": {"hosts": [address]}}),
                     "s/.gitmodules": f'[submodule "x"]\n\tpath = x\n\turl = {address}\n', "skills-lock.json": json.dumps({"source": address}),
                     "s/.mcp.json": json.dumps({"mcpServers": {"x": {"url": address}}})}  # fmt: skip
            made = io.BytesIO()
            with zipfile.ZipFile(made, "w") as archive:
                for name, content in files.items():
                    archive.writestr(name, content)
            path = folder / f"{number}.zip"
            path.write_bytes(made.getvalue())
            with suppress(UserError):
                for tree in read_bundle(str(path)).skills.values():
                    scan_files(tree)
    return len(addresses), tried


def sources(folder: Path, addresses: tuple[str, ...], each: int) -> tuple[int, list[str]]:
    """What `add` and `scan` take for a repository: https, ssh and files only. All else is told to be no source."""
    from prowess.library.bundles import read_bundle

    tried: list[str] = []
    bad = _turns(tuple(a for a in addresses if not a.startswith(("https://", "file://"))), 0, each)
    for address in bad:
        for form in (address, f"{address}.git"):
            with _listening() as (port, hits), suppress(UserError, ValueError):
                read_bundle(form.replace("127.0.0.1", f"127.0.0.1:{port}", 1) if ":22" not in form else form)
                tried.append(f"{form} was read")
            tried += [f"{form} was fetched"] * len(hits)
    return 2 * len(bad), tried


def upstreams(folder: Path, addresses: tuple[str, ...], each: int) -> tuple[int, list[str]]:
    """The owner's own file takes addresses of http alone, and none that hides who is asked."""
    from prowess.serve.proxy.upstreams import load

    strange = [a for a in addresses if not a.startswith(("http://", "https://")) or "@" in a or "#" in a]
    taken: list[str] = []
    for address in strange:
        path = folder / "upstreams.toml"
        path.write_text(f"[[upstream]]\nurl = {json.dumps(address)}\ndialects = ['chat']\n", "utf-8")
        with suppress(UserError):
            load(path, lambda *names: {})
            taken.append(f"{address} is an upstream")
    return len(strange), taken


@contextmanager
def _listening(status: int = 404, to: str = "") -> Iterator[tuple[int, list[str]]]:
    """A web server that answers everything alike; its port, and the requests that it got."""
    hits: list[str] = []

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hits.append(f"{self.path} {self.headers.get('authorization', '')}")
            self.send_response(status)
            if to:
                self.send_header("location", to + self.path)
            self.send_header("content-length", "0")
            self.end_headers()

        do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1], hits
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def redirects(folder: Path, addresses: tuple[str, ...], each: int) -> tuple[int, list[str]]:
    """A hub, a repository and an upstream that send on to another address."""
    from prowess.library import Library
    from prowess.serve.hub.client import Client
    from prowess.serve.sync.git import GitRemote

    library, tried, asked = Library.open(folder / "library", create=True), list[str](), 0
    for status in KINDS:
        with _listening() as (port, hits), _listening(status, f"http://127.0.0.1:{port}") as (first, seen):
            with suppress(ProwessError), Client(f"http://127.0.0.1:{first}", "secret") as hub:
                hub.health()
            with suppress(ProwessError):
                GitRemote(library, f"http://127.0.0.1:{first}/team.git").trees({})  # type: ignore[arg-type]
            tried += [f"{status} was followed: {hit}" for hit in hits]
            asked += len(seen)
    return asked + len(KINDS), tried + _of_the_proxy(folder)


def _of_the_proxy(folder: Path) -> list[str]:
    sys.path.append(str(Path(__file__).parents[1] / "tests" / "serve"))
    from proxy_parts import Provider, proxied

    async def main() -> list[str]:
        async with Provider().running() as provider, proxied(provider, folder, record=False) as running:
            with watched(provider.port, running.port) as tried:
                for status in KINDS:
                    more = "location: http://169.254.169.254/\r\n"
                    provider.script = lambda writer, s=status, m=more: writer.whole(b"", f"{s} Moved", more=m)
                    await _raw(running.port, "/v1/chat/completions", "x")
            return tried

    return anyio.run(main)


PARTS: dict[str, Part] = {
    "hub: every route, and its background work": hub_routes, "hub: every page and form": hub_pages,
    "MCP: every tool and resource": mcp_tools, "proxy: three dialects": proxy_requests,
    "proxy: the owner's upstreams": upstreams, "import: archives that name it": imports,
    "import: what is no repository": sources, "redirects of hub, repository and upstream": redirects,
}  # fmt: skip


def run(part: str, each: int = 1) -> tuple[int, list[str]]:
    with tempfile.TemporaryDirectory(prefix="prowess-bench-") as folder:
        home = {"HOME": folder, **{f"XDG_{name}_HOME": f"{folder}/{name}" for name in ("DATA", "CONFIG", "CACHE")}}
        with mock.patch.dict(os.environ, home):
            return PARTS[part](Path(folder), ADDRESSES, each)


def main() -> None:
    print(f"{len(ADDRESSES)} addresses\n\n| way in | asked | connections, look-ups, programs |\n|---|---:|---:|")
    failed = False
    for part in PARTS:
        asked, tried = run(part)
        failed |= bool(tried)
        print(f"| {part} | {asked:,} | {len(tried)}{f' ({tried[0]})' if tried else ''} |", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
