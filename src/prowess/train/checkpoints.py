"""Checkpoints that survive a crash at any instant: the newest is written whole before the one before it goes."""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from prowess.core.errors import UserError
from prowess.library.disk import write_file

KEPT = 2
"""Checkpoints of one run that stay on disk."""
_DIGEST = 32


def save(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write the state of a step. The file begins with the SHA-256 of what follows."""
    folder.mkdir(parents=True, exist_ok=True)
    out = io.BytesIO()
    torch.save(state, out)
    body = out.getvalue()
    path = folder / f"step-{step:08}.ckpt"
    write_file(path, hashlib.sha256(body).digest() + body, folder)
    for old in sorted(folder.glob("step-*.ckpt"))[:-KEPT]:
        old.unlink()
    return path


def latest(folder: Path, note: Callable[[str], object] = lambda text: None) -> dict[str, Any] | None:
    """The newest state that is whole; None where nothing was ever saved.

    Args:
        note: told of files that were passed over because they are damaged.

    Raises:
        UserError: there are checkpoints, and all are damaged.
    """
    found = sorted(folder.glob("step-*.ckpt"), reverse=True)
    for path in found:
        try:
            return read(path)
        except UserError as error:
            note(error.message)
    if found:
        raise UserError(f"every checkpoint in {folder} is damaged", "delete the folder to begin anew")
    return None


def read(path: Path) -> dict[str, Any]:
    """The state in a file. Data only: nothing in it is ever run.

    Raises:
        UserError: it is no checkpoint, or damaged.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}", "name another checkpoint") from error
    body = data[_DIGEST:]
    if hashlib.sha256(body).digest() != data[:_DIGEST]:
        raise UserError(f"{path.name} is no checkpoint, or was damaged", "use an older one, or begin anew")
    return torch.load(io.BytesIO(body), weights_only=True, map_location="cpu")
