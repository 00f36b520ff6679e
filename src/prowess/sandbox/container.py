"""A container as sandbox, by the command line of Docker or Podman: for tasks whose software is an image.

Files go in and come out as archives, so that no folder of the host is ever mounted, nothing of the image is hidden, and
an engine on another machine will do. The container has no network and no capabilities beyond those of an ordinary one;
programs may be root in it, as such tasks expect. It is a border as strong as the engine's.
"""

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import IO

import anyio

from prowess.core.errors import SandboxError
from prowess.core.room import Room
from prowess.core.task import File
from prowess.sandbox.base import Limits, Result
from prowess.sandbox.files import MAX_FILES, check_path, is_sound
from prowess.sandbox.process import Captured, run_tree

ENGINES = ("docker", "podman")
CALL_SECONDS = 60.0
"""That one request to the engine may take."""
_NOT_STARTED = 125
"""Exit code of an engine that could not start the command."""


@cache
def find_engine() -> str | None:
    """The first container engine that answers; None where there is none. The answer is kept."""
    for name in ENGINES:
        program = shutil.which(name)
        if program is not None:
            try:
                if subprocess.run([program, "info"], capture_output=True, timeout=20, check=False).returncode == 0:
                    return program
            except (OSError, subprocess.TimeoutExpired):
                continue
    return None


async def call(
    engine: str,
    arguments: list[str],
    stdin: bytes | None = None,
    *,
    check: bool = True,
    seconds: float = CALL_SECONDS,
    output: int = 65_536,
) -> Captured:
    """One request to the engine.

    Raises:
        SandboxError: it could not be asked, or, where that is checked, it refused or did not answer in time.
    """
    try:
        done = await run_tree(
            [engine, *arguments],
            env=dict(os.environ),
            cwd=Path(tempfile.gettempdir()),
            seconds=seconds,
            output_bytes=output,
            stdin=stdin,
        )
    except OSError as error:
        raise SandboxError(f"{engine} could not be started: {error}", retryable=True) from error
    if check and (done.exit_code != 0 or done.timed_out):
        why = f"did not {arguments[0]} in {seconds:.0f} s" if done.timed_out else f"failed to {arguments[0]}"
        raise SandboxError(f"{Path(engine).name} {why}: {done.stderr.strip()[-300:]}")
    return done


async def built(engine: str, context: Path, tag: str, seconds: float) -> None:
    """Build the Dockerfile in `context` as `tag`, unless there is such an image."""
    if (await call(engine, ["image", "inspect", tag], check=False)).exit_code != 0:
        await call(engine, ["build", "--quiet", "--tag", tag, str(context)], seconds=seconds)


async def contents(engine: str, image: str, work: str | None, file_bytes: int) -> tuple[str, tuple[File, ...]]:
    """The working folder of an image, unless it is named, and what lies in it; nothing, where it is the root."""
    container = (await call(engine, ["create", "--", image, "true"], seconds=CALL_SECONDS * 10)).stdout.strip()
    try:
        if work is None:
            told = await call(engine, ["inspect", "--format", "{{.Config.WorkingDir}}", container])
            work = told.stdout.strip()
        asked = bool(work.strip("/"))
        files = (await anyio.to_thread.run_sync(fetch, engine, container, work, file_bytes))[0] if asked else {}
    finally:
        with anyio.CancelScope(shield=True):
            await call(engine, ["rm", "-f", "-v", container], check=False)
    return work, tuple(File(path=path, data=data) for path, data in sorted(files.items()))


def fetch(engine: str, container: str, folder: str, file_bytes: int) -> "Unpacked":
    """The regular files of a container's folder, named below it; a folder that is not there is empty."""
    most = 4 * file_bytes
    with tempfile.TemporaryFile() as archive:
        line = [engine, "cp", f"{container}:{folder}/.", "-"]
        with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            left, deadline = most + (MAX_FILES << 10), time.monotonic() + CALL_SECONDS  # with the archive's headers
            while left > 0 and time.monotonic() < deadline and (data := os.read(process.stdout.fileno(), 1 << 16)):
                archive.write(data[:left])
                left -= len(data)
            process.kill()
        archive.seek(0)
        return unpack(archive, file_bytes, most)


class ContainerSandbox:
    """Runs commands in fresh containers of `room.image`; `python` means the image's `python3`."""

    def __init__(self, engine: str, room: Room) -> None:
        self.engine = engine
        self.room = room

    @property
    def name(self) -> str:
        return f"container {Path(self.engine).name}"

    async def run(self, argv: list[str], files: tuple[File, ...] = (), limits: Limits | None = None) -> Result:
        most = limits or Limits()
        if not argv:
            raise SandboxError("no command to run")
        archive = await anyio.to_thread.run_sync(packed, self.room, files)
        container = (await call(self.engine, self._creation(argv, most))).stdout.strip()
        found: dict[str, bytes] = {}
        skipped: list[str] = []
        try:
            await call(self.engine, ["cp", "-", f"{container}:/"], stdin=archive)
            ran = await self._started(container, most)
            for folder in self.room.folders or (self.room.work,):
                prefix = f"{folder.lstrip('/')}/" if self.room.folders else ""
                there, left = await anyio.to_thread.run_sync(fetch, self.engine, container, folder, most.file_bytes)
                found |= {prefix + path: data for path, data in there.items()}
                skipped += [prefix + path for path in left]
        finally:
            with anyio.CancelScope(shield=True):
                await call(self.engine, ["rm", "-f", "-v", container], check=False)
        known = {file.path: file.data for file in files}
        return Result(
            exit_code=ran.exit_code,
            stdout=ran.stdout,
            stderr=ran.stderr,
            timed_out=ran.timed_out,
            files=tuple(File(path=p, data=d) for p, d in sorted(found.items()) if known.get(p) != d),
            removed=tuple(sorted(path for path in known if path not in found and path not in skipped)),
            skipped=tuple(sorted(skipped)),
            seconds=ran.seconds,
        )

    def _creation(self, argv: list[str], limits: Limits) -> list[str]:
        line = ["create", "--label", "prowess", "--security-opt", "no-new-privileges", "--entrypoint", ""]
        line += ["--memory", f"{limits.memory_mb}m", "--pids-limit", str(limits.processes)]
        line += ["--ulimit", f"fsize={limits.file_bytes}", "--workdir", self.room.work]
        line += [] if self.room.network else ["--network", "none"]
        line += [part for name, value in self.room.env for part in ("--env", f"{name}={value}")]
        return [*line, "--", self.room.image, "python3" if argv[0] == "python" else argv[0], *argv[1:]]

    async def _started(self, container: str, limits: Limits) -> Captured:
        line = ["start", "--attach", container]
        ran = await call(self.engine, line, check=False, seconds=limits.seconds, output=limits.output_bytes)
        if ran.timed_out:
            await call(self.engine, ["stop", "-t", "0", container], check=False)
        elif ran.exit_code == _NOT_STARTED:
            raise SandboxError(f"{self.name} could not start: {ran.stderr.strip()[-300:]}")
        return ran


def packed(room: Room, files: tuple[File, ...]) -> bytes:
    """An archive from the root with the room's folders and `files`, open to whichever user the image runs as.

    Raises:
        SandboxError: an unsafe path.
    """
    for file in files:
        check_path(file.path)
    inside = {room.path(file.path).lstrip("/"): file.data for file in files}
    folders = {folder.lstrip("/") for folder in (room.folders or (room.work,))}
    for path in inside:
        above = [str(parent) for parent in Path(path).parents]
        folders |= {parent for parent in above if any(parent.startswith(f"{folder}/") for folder in folders)}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for folder in sorted(folders):
            about = tarfile.TarInfo(folder)
            about.type, about.mode = tarfile.DIRTYPE, 0o777
            archive.addfile(about)
        for path, data in inside.items():
            about = tarfile.TarInfo(path)
            about.size, about.mode = len(data), 0o666
            archive.addfile(about, io.BytesIO(data))
    return out.getvalue()


Unpacked = tuple[dict[str, bytes], tuple[str, ...]]
"""Content by path, and what was left out."""


def unpack(archive: IO[bytes], file_bytes: int, total: int) -> Unpacked:
    """What an archive holds that hostile programs filled: regular files with safe names, nothing written anywhere."""
    files: dict[str, bytes] = {}
    skipped: list[str] = []
    try:
        with tarfile.open(fileobj=archive, mode="r:") as opened:
            for about in opened:
                path = about.name.removeprefix("./")
                if about.isdir():
                    continue
                fits = about.isreg() and is_sound(path) and about.size <= min(file_bytes, total)
                stream = opened.extractfile(about) if fits and len(files) < MAX_FILES else None
                if stream is not None:
                    files[path] = stream.read()
                    total -= about.size
                elif len(skipped) < MAX_FILES:
                    skipped.append(about.name.encode("utf-8", "replace").decode("utf-8", "replace"))
    except (tarfile.TarError, OSError, EOFError, ValueError):
        skipped.append(".")
    return files, tuple(skipped)
