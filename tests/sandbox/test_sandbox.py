"""Both sandboxes, for real: what goes in and comes out, what is stopped, and that nothing stays behind."""

import ast
import os
import shutil
import struct
import sys
import tempfile
import time
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prowess.core.errors import SandboxError
from prowess.core.task import File
from prowess.sandbox import ESCAPES, Limits, Result, Sandbox, find_sandbox, finding, probe
from prowess.sandbox.bubblewrap import BubblewrapSandbox
from prowess.sandbox.confined import Confined
from prowess.sandbox.files import check_path, read_files, remove_folder, write_files
from prowess.sandbox.kernel import landlock_abi
from prowess.sandbox.landlock import LandlockSandbox
from prowess.sandbox.process import Tail
from prowess.sandbox.seccomp import seccomp_filter

BACKENDS = [
    pytest.param(
        BubblewrapSandbox,
        id="bubblewrap",
        marks=pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed"),
    ),
    pytest.param(
        LandlockSandbox,
        id="landlock",
        marks=pytest.mark.skipif(landlock_abi() == 0, reason="this kernel has no Landlock"),
    ),
]


@pytest.fixture(params=BACKENDS)
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    return request.param()


@pytest.fixture(autouse=True)
def _own_temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test sees what is left in its own temporary folder."""
    folder = tmp_path / "temp"
    folder.mkdir()
    for parent in (folder, *folder.parents):
        if parent.is_relative_to(tempfile.gettempdir()) and parent.owner() != "root":
            parent.chmod(0o711)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))


def python(sandbox: Sandbox, program: str, *files: File, **limits: float) -> Result:
    settings = Limits(**{"seconds": 8.0, "processes": 24, **limits})  # pyright: ignore[reportArgumentType]
    return anyio.run(sandbox.run, ["python", "-I", "-c", program], files, settings)


def test_nothing_breaks_out(sandbox: Sandbox) -> None:
    probes = anyio.run(probe, sandbox)
    assert len(ESCAPES) == 12 and {*ESCAPES} < {p.name for p in probes}
    assert [f"{p.name}: {p.detail}" for p in probes if not p.passed] == []


def test_probe_sees_a_sandbox_that_does_not_hold() -> None:
    class Open:
        name = "none"

        async def run(self, argv: list[str], files: tuple[File, ...] = (), limits: Limits | None = None) -> Result:
            harmful = ("fork", "bytearray", "/usr/", ".new", "signal.signal", "unshare", "big", "ptrace")
            if any(word in argv[-1] for word in harmful):
                return Result(exit_code=0, stdout="forked", stderr="")
            with tempfile.TemporaryDirectory() as folder:
                for file in files:
                    Path(folder, file.path).write_bytes(file.data)
                done = await anyio.run_process([sys.executable, *argv[1:]], cwd=folder, check=False)
            return Result(exit_code=done.returncode, stdout=done.stdout.decode(), stderr=done.stderr.decode())

    failed = {p.name for p in anyio.run(probe, Open()) if not p.passed}
    expected = {"reads host files", "sees the environment", "connects by TCP", "connects by a socket file"}
    assert expected | {"forks without end", "ordinary programs work"} <= failed


def test_files_go_in_and_come_out(sandbox: Sandbox) -> None:
    program = """
import os
os.makedirs('new/deep')
open('new/deep/a.txt', 'w').write(open('in/b.txt').read().upper())
open('changed', 'w').write('after')
os.remove('gone')
open('same', 'w').write('same')
os.symlink('changed', 'link')
os.symlink('/', 'root')
os.mkfifo('pipe')
os.makedirs('/'.join('d' * 30))
open('/'.join('d' * 20) + '/x', 'w')
"""
    given_files = (
        File(path="in/b.txt", data=b"hello"),
        File(path="changed", data=b"before"),
        File(path="gone", data=b""),
        File(path="same", data=b"same"),
    )
    result = python(sandbox, program, *given_files)
    assert result.ok, result.stderr
    assert [(f.path, f.data) for f in result.files] == [("changed", b"after"), ("new/deep/a.txt", b"HELLO")]
    assert result.removed == ("gone",)
    assert {"link", "root", "pipe"} <= set(result.skipped)
    assert any(path.startswith("d/d/") for path in result.skipped)
    assert os.listdir(tempfile.gettempdir()) == []


def test_output_is_captured_with_a_cap(sandbox: Sandbox) -> None:
    result = python(sandbox, "import sys\nprint('a' * 50_000)\nprint('END')\nsys.exit(3)", output_bytes=1_000)
    assert result.exit_code == 3 and not result.ok
    assert len(result.stdout) < 1_200 and result.stdout.startswith("aaa") and result.stdout.endswith("END\n")
    assert "bytes cut" in result.stdout


def test_a_flood_of_output_is_stopped(sandbox: Sandbox) -> None:
    result = python(sandbox, "while True: print('x' * 4096)", output_bytes=1_000)
    assert not result.ok and "too much output" in result.stderr and result.seconds < 6


def test_a_program_that_fills_the_disk_is_stopped(sandbox: Sandbox) -> None:
    program = "import itertools\nfor n in itertools.count():\n    open(str(n), 'wb').write(bytes(60_000))"
    result = python(sandbox, program, file_bytes=65_536)
    assert not result.ok and not result.timed_out
    assert "grew too big" in result.stderr
    assert sum(len(f.data) for f in result.files) <= 4 * 65_536
    assert os.listdir(tempfile.gettempdir()) == []


def test_a_time_out_kills_the_tree_and_keeps_what_was_said(sandbox: Sandbox) -> None:
    program = """
import os, time, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('begun', flush=True)
open('part', 'w').write('x')
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        time.sleep(60)
time.sleep(60)
"""
    began = time.monotonic()
    result = python(sandbox, program, seconds=0.6)
    assert time.monotonic() - began < 5
    assert result.timed_out and not result.ok and result.stdout == "begun\n"
    assert [f.path for f in result.files] == ["part"]


def test_cancelling_stops_and_cleans(sandbox: Sandbox) -> None:
    async def go() -> None:
        with anyio.move_on_after(0.4) as scope:
            await sandbox.run(["python", "-I", "-c", "import time; time.sleep(60)"])
        assert scope.cancelled_caught

    began = time.monotonic()
    anyio.run(go)
    assert time.monotonic() - began < 5
    assert os.listdir(tempfile.gettempdir()) == []


def test_exit_by_signal_reads_as_in_a_shell(sandbox: Sandbox) -> None:
    assert python(sandbox, "import os\nos.abort()").exit_code == 134


def test_a_missing_command_is_a_result(sandbox: Sandbox) -> None:
    result = anyio.run(sandbox.run, ["no-such-command"])
    assert result.exit_code == 127 and "no-such-command" in result.stderr


def test_shell_tools_work(sandbox: Sandbox) -> None:
    command = ["sh", "-c", "sort in | uniq -c | awk '{print $2, $1}' > out; cat out"]
    result = anyio.run(sandbox.run, command, (File(path="in", data=b"b\na\nb\n"),))
    assert result.ok and result.stdout == "a 1\nb 2\n"


def test_many_at_once_stay_apart(sandbox: Sandbox) -> None:
    results: dict[int, Result] = {}

    async def one(n: int) -> None:
        program = "import os, time; time.sleep(.1); open('o', 'w').write(open('i').read()); print(os.listdir('.'))"
        files = (File(path="i", data=str(n).encode()),)
        results[n] = await sandbox.run(["python", "-I", "-c", program], files)

    async def go() -> None:
        async with anyio.create_task_group() as group:
            for n in range(6):
                group.start_soon(one, n)

    anyio.run(go)
    assert {n: r.files[0].data for n, r in results.items()} == {n: str(n).encode() for n in range(6)}
    assert all(sorted(ast.literal_eval(r.stdout)) == ["i", "o"] for r in results.values())


def test_unsafe_paths_are_refused(sandbox: Sandbox) -> None:
    for path in ("../x", "/etc/x", "a/../../x", "", "a//b", "a\x00b", "a\\b", "./a", "x" * 300, "/".join("a" * 40)):
        with pytest.raises(SandboxError, match="not a safe"):
            python(sandbox, "pass", File(path=path, data=b""))
    with pytest.raises(SandboxError, match="could not write"):
        python(sandbox, "pass", File(path="a", data=b""), File(path="a/b", data=b""))
    with pytest.raises(SandboxError, match="no command"):
        anyio.run(sandbox.run, [])
    assert os.listdir(tempfile.gettempdir()) == []


def test_a_sandbox_that_cannot_confine_is_an_error(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox) -> None:
    assert isinstance(sandbox, Confined)
    broken = ["--no-such-option"] if isinstance(sandbox, BubblewrapSandbox) else []
    if broken:
        monkeypatch.setattr(sandbox, "fixed", broken)
    else:
        monkeypatch.setattr(sandbox, "filter", b"\0" * 8)
    with pytest.raises(SandboxError, match="could not confine"):
        python(sandbox, "print('ran')")


@pytest.fixture
def fresh() -> object:
    finding.find_sandbox.cache_clear()
    yield
    finding.find_sandbox.cache_clear()


@pytest.mark.usefixtures("fresh")
def test_finding_prefers_bubblewrap_then_landlock_then_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("bwrap"):
        assert find_sandbox().name == "bubblewrap"
    find_sandbox.cache_clear()
    monkeypatch.setattr("prowess.sandbox.bubblewrap.shutil.which", lambda name: None)
    if landlock_abi():
        assert find_sandbox().name == "landlock"
    find_sandbox.cache_clear()
    monkeypatch.setattr("prowess.sandbox.landlock.landlock_abi", lambda: 0)
    with pytest.raises(SandboxError, match="apt install bubblewrap") as caught:
        find_sandbox()
    assert "no Landlock" in str(caught.value)


@pytest.mark.usefixtures("fresh")
def test_finding_works_inside_a_running_loop() -> None:
    async def go() -> str:
        return find_sandbox().name

    assert anyio.run(go) in {"bubblewrap", "landlock"}


segments = st.text(st.characters(blacklist_categories=["Cs"]), max_size=8)


@given(st.lists(segments, max_size=5).map("/".join))
def test_safe_paths_stay_inside(path: str) -> None:
    try:
        check_path(path)
    except SandboxError:
        return
    base = Path("/base/work")
    joined = Path(os.path.normpath(base / path))
    assert joined != base and joined.is_relative_to(base)


names = st.sampled_from(["a", "b", "c/d", "c/e", "f/g/h"])


@given(st.dictionaries(names, st.binary(max_size=20)), st.dictionaries(names, st.binary(max_size=20)))
def test_the_difference_of_folders_is_exact(before: dict[str, bytes], after: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as name:
        old = tuple(File(path=p, data=d) for p, d in before.items())
        write_files(Path(name), tuple(File(path=p, data=d) for p, d in after.items()), None)
        changed, removed, skipped = read_files(Path(name), old, 1_000)
    assert {f.path: f.data for f in changed} == {p: d for p, d in after.items() if before.get(p) != d}
    assert set(removed) == set(before) - set(after) and skipped == ()


def test_folders_of_any_depth_and_mode_are_removed() -> None:
    base = Path(tempfile.mkdtemp())
    here = os.getcwd()
    try:
        os.chdir(base)
        for _ in range(1_100):
            os.mkdir("d")
            os.chdir("d")
    finally:
        os.chdir(here)
    (base / "closed").mkdir(mode=0)
    remove_folder(base)
    assert not base.exists()


@given(st.lists(st.binary(max_size=40), max_size=20), st.integers(2, 60))
def test_a_tail_keeps_both_ends(chunks: list[bytes], limit: int) -> None:
    tail = Tail(limit)
    for chunk in chunks:
        tail.add(chunk)
    whole = b"".join(chunks)
    half = limit // 2
    if len(whole) <= 2 * half:
        assert tail.text == whole.decode("utf-8", "replace")
    else:
        assert bytes(tail.head) == whole[:half] and tail.text.endswith(whole[-half:].decode("utf-8", "replace"))
        assert f"{len(whole) - 2 * half} bytes cut" in tail.text


def verdict(program: bytes, architecture: int, number: int, first: int = 0) -> int:
    """A small BPF machine, so that the filter is checked without entering it."""
    data = struct.pack("=IIQQ", number, architecture, 0, first)
    lines = list(struct.iter_unpack("=HBBI", program))
    at, value = 0, 0
    while True:
        code, yes, no, k = lines[at]
        at += 1
        if code == 0x20:
            value = struct.unpack_from("=I", data, k)[0]
        elif code == 0x54:
            value &= k
        elif code == 0x15:
            at += yes if value == k else no
        elif code == 0x35:
            at += yes if value >= k else no
        else:
            assert code == 0x06
            return k


@pytest.mark.parametrize(
    ("machine", "architecture", "socket", "clone", "write", "kill"),
    [("x86_64", 0xC000003E, 41, 56, 1, 62), ("aarch64", 0xC00000B7, 198, 220, 64, 129)],
)
def test_the_filter_denies_what_it_should(
    machine: str, architecture: int, socket: int, clone: int, write: int, kill: int
) -> None:
    allow, deny, stop, absent = 0x7FFF0000, 0x00050001, 0x80000000, 0x00050026
    program = seccomp_filter(machine)
    assert program is not None
    assert verdict(program, architecture, write) == verdict(program, architecture, kill) == allow
    assert verdict(program, architecture, socket) == verdict(program, architecture, 425) == deny
    assert verdict(program, architecture, 435) == absent
    assert verdict(program, architecture, clone, 0x01200011) == allow
    assert verdict(program, architecture, clone, 0x10000011) == deny
    assert verdict(program, architecture ^ 1, write) == stop
    assert verdict(program, architecture, write | 0x40000000) == stop
    silent = seccomp_filter(machine, signals=False)
    assert silent is not None and verdict(silent, architecture, kill) == deny
    assert seccomp_filter("unknown") is None
