"""Addresses inside the network, named by whoever asks: a small form of benchmarks/addresses.py, row X1."""

import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import addresses

NEEDS = {"hub": "starlette", "MCP": "mcp", "proxy": "aiohttp", "redirects": "aiohttp"}


@pytest.mark.parametrize("part", addresses.PARTS)
def test_nothing_is_fetched_that_somebody_else_names(part: str) -> None:
    if (needed := NEEDS.get(part.partition(":")[0].split()[0])) is not None:
        pytest.importorskip(needed, reason="the extra is not installed")
    asked, tried = addresses.run(part, each=8)
    assert asked > 0 and tried == []


def test_there_are_forty_addresses_and_more_in_many_forms() -> None:
    assert len(set(addresses.ADDRESSES)) == len(addresses.ADDRESSES) >= 40


def test_what_is_tried_is_seen() -> None:
    with addresses.watched() as tried:
        for act in (
            lambda: urllib.request.urlopen("http://127.0.0.1:9/"), lambda: socket.create_connection(("::1", 9)),
            lambda: subprocess.run(["true"], check=False), lambda: socket.getaddrinfo("localhost", 80),
        ):  # fmt: skip
            with pytest.raises(OSError):
                act()
    assert len(tried) >= 4
