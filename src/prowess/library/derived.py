"""Things worked out from skills that are kept beside them: structures by a model, the category tree.

    <library>/.prowess/derived/<kind>/<key>.json

They can be made again, at a price; keys are content digests or fixed names. Each file is written in one step, so
readers need no lock, and of two writers the last one wins. They may go into git with the rest of the library.
"""

import os
import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from prowess.core.errors import UserError

CAP: Final = 16 * 1024 * 1024
"""Bytes of one file that are read."""
_KEY: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,80}")


class Derived:
    """What is kept beside the skills of one library."""

    def __init__(self, library: Path) -> None:
        self._folder = library / ".prowess" / "derived"

    def get(self, kind: str, key: str) -> bytes | None:
        """The bytes kept under `key`; None when there are none that can be read."""
        try:
            with (self._folder / _checked(kind) / f"{_checked(key)}.json").open("rb") as file:
                data = file.read(CAP + 1)
        except OSError:
            return None
        return data if len(data) <= CAP else None

    def put(self, kind: str, key: str, data: bytes) -> None:
        """Keeps `data`, in place of what was there.

        Raises:
            UserError: the disk is full or the library cannot be written.
        """
        folder = self._folder / _checked(kind)
        scratch = folder / f".{_checked(key)}.{secrets.token_hex(4)}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with scratch.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            scratch.replace(folder / f"{key}.json")
        except OSError as error:
            raise UserError(
                f"cannot write below {folder}: {error.strerror or error}",
                "make room on the disk or give yourself access",
            ) from error
        finally:
            with suppress(OSError):
                scratch.unlink()


def _checked(name: str) -> str:
    if not _KEY.fullmatch(name):
        raise ValueError(f"{name!r} is no key")
    return name
