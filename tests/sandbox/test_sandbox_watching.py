"""What a watched run tells, that watching loosens nothing, and the parts of the sandbox that need no kernel."""

import re
from pathlib import Path

import anyio
import pytest
from test_sandbox import BACKENDS, verdict

from prowess.core.errors import SandboxError
from prowess.core.task import File
from prowess.sandbox import Limits, Watched, WatchingSandbox, watching
from prowess.sandbox.seatbelt import profile
from prowess.sandbox.seccomp import SEEN, call_numbers, seccomp_filter
from prowess.sandbox.watching import can_watch

FILES = (File(path="home/key", data=b"k"), File(path="home/other", data=b"o"), File(path="home/left", data=b"l"))


@pytest.fixture(params=BACKENDS)
def sandbox(request: pytest.FixtureRequest) -> WatchingSandbox:
    if not can_watch():
        pytest.skip("this kernel cannot watch")
    return request.param()


def watch(sandbox: WatchingSandbox, program: str) -> Watched:
    return anyio.run(sandbox.watch, ["python", "-I", "-c", program], FILES, Limits(seconds=15, processes=24))


def test_everything_that_matters_is_seen_and_nothing_else_is_allowed(sandbox: WatchingSandbox) -> None:
    program = """
import ctypes, os, socket, subprocess
print(open('home/../home/key').read(), flush=True)
fd = os.open('home', os.O_RDONLY)
os.open('left', os.O_RDONLY, dir_fd=fd)
open('made', 'w').write('x')
open(os.path.join(os.environ['TMPDIR'], 'scratch'), 'w').write('x')
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
    try:
        socket.socket(family)
        print('SOCKET')
    except PermissionError:
        pass
os.symlink('home/other', 'alias')
open('alias').read()
try:
    open('/etc/shadow').read()
    print('SHADOW')
except OSError:
    pass
if ctypes.CDLL(None).unshare(0x10000000) == 0: print('UNSHARED')
subprocess.run(['sh', '-c', 'cat made; true'])
"""
    seen = watch(sandbox, program)
    assert seen.result.ok and seen.result.stdout == "k\nx", seen.result.stderr
    acts = {(act.kind, act.what) for act in seen.acts}
    assert {
        ("reads", "home/key"), ("reads", "home/left"), ("reads", "/etc/shadow"), ("reads", "home/other"),
        ("writes", "made"), ("writes", "/tmp/scratch"), ("network", "internet"), ("tries", "socket"),
        ("tries", "unshare"),
    } <= acts  # fmt: skip
    assert any(kind == "runs" and re.search(r"/sh -c cat made; true$", what) for kind, what in acts)
    assert any(kind == "runs" and what.endswith("/cat made") for kind, what in acts)
    assert [f.path for f in seen.result.files] == ["made"]


def test_files_that_nobody_reads_are_not_told(sandbox: WatchingSandbox) -> None:
    seen = watch(sandbox, "import json, os\nos.listdir('home')\nos.stat('home/key')\nprint(1)")
    assert seen.result.stdout == "1\n"
    assert not any(act.what.startswith("home/") for act in seen.acts)


def test_a_storm_of_calls_and_threads_comes_to_its_end(sandbox: WatchingSandbox) -> None:
    program = """
import os, threading
def storm():
    for n in range(150):
        open(f'f{n % 7}', 'a').close()
threads = [threading.Thread(target=storm) for _ in range(4)]
for t in threads: t.start()
for t in threads: t.join()
for _ in range(5):
    if os.fork() == 0:
        open('home/key').read()
        os._exit(0)
    os.wait()
print('end')
"""
    seen = watch(sandbox, program)
    assert seen.result.stdout == "end\n"
    assert {act.what for act in seen.acts if act.kind == "writes"} == {f"f{n}" for n in range(7)}


def test_a_flood_hides_nothing(sandbox: WatchingSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "MOST_ACTS", 40)
    program = """
import socket
for n in range(200):
    try: open(f'none{n}')
    except OSError: pass
try: socket.socket()
except OSError: pass
open('home/key').read()
print('end')
"""
    acts = watch(sandbox, program).acts
    assert len(acts) < 100 and watching.FLOOD in acts
    assert {("network", "internet"), ("reads", "home/key")} <= {(act.kind, act.what) for act in acts}


def test_a_time_out_ends_a_watched_run_too(sandbox: WatchingSandbox) -> None:
    seen = anyio.run(
        sandbox.watch, ["sh", "-c", "sleep 60"], FILES, Limits(seconds=1, processes=24)
    )  # fmt: skip
    assert seen.result.timed_out and seen.result.seconds < 6


@pytest.mark.parametrize(("machine", "architecture"), [("x86_64", 0xC000003E), ("aarch64", 0xC00000B7)])
def test_a_watched_filter_asks_where_the_plain_one_denies(machine: str, architecture: int) -> None:
    plain, watched, numbers = seccomp_filter(machine), seccomp_filter(machine, watched=True), call_numbers(machine)
    assert plain is not None and watched is not None and numbers is not None
    for name, number in numbers.items():
        before, after = (verdict(p, architecture, number) for p in (plain, watched))
        if name in SEEN:
            assert before == 0x7FFF0000 and after == 0x7FC00000, name
        elif before == 0x00050001:
            assert after == 0x7FC00000, name
        else:
            assert before == after, name
    assert verdict(watched, architecture, numbers["socket"]) == 0x7FC00000


HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


@pytest.mark.parametrize("machine", HEADERS)
def test_numbers_are_those_of_the_kernel(machine: str) -> None:
    header = HEADERS[machine]
    if not header.is_file():
        pytest.skip("the kernel's headers are not installed")
    known = dict(re.findall(r"^#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text(), re.MULTILINE))
    numbers = call_numbers(machine)
    assert numbers is not None
    compared = {name: number for name, number in numbers.items() if name in known}
    assert len(compared) > 40
    assert compared == {name: int(known[name]) for name in compared}


def test_the_profile_of_macos_denies_by_default_and_cannot_be_broken_out_of() -> None:
    text = profile(["/usr", "/opt/python"], ["/private/tmp/work"])
    assert text.splitlines()[:2] == ["(version 1)", "(deny default)"]
    assert "network" not in text and "mach-lookup" not in text
    (writes,) = [line for line in text.splitlines() if line.startswith("(allow file-write* ")]
    assert writes == '(allow file-write* (subpath "/private/tmp/work"))'
    for bad in ('/tmp/a")(allow default)("', "/tmp/a\n(allow default)", "/tmp/\\"):
        with pytest.raises(SandboxError, match="cannot stand"):
            profile(["/usr"], [bad])
