"""The blobs of a library: every file and folder manifest that a version ever had, each named by its SHA-256."""

import hashlib
import re
from contextlib import suppress
from pathlib import Path

from prowess.core.errors import UserError
from prowess.library.disk import Batch
from prowess.library.trees import Tree, manifest, paths_of


class Blobs:
    """The folder of blobs below a library's own folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.own = path / ".prowess"
        self.blobs = self.own / "blobs"
        self.staging = self.own / "staging"

    def put(self, tree: Tree) -> str:
        """Stores a folder's content for good; returns its digest."""
        with Batch(self.staging) as batch:
            return self._add(batch, tree)

    def _add(self, batch: Batch, tree: Tree) -> str:
        for data in tree.values():
            self._add_blob(batch, data)
        return self._add_blob(batch, manifest(tree))

    def tree(self, digest: str) -> dict[str, bytes]:
        """The content of a folder by its digest.

        Raises:
            UserError: a blob is missing or damaged.
        """
        try:
            return {path: self.blob(sha) for path, sha in paths_of(self.blob(digest)).items()}
        except ValueError as error:
            raise self._damaged(digest, str(error)) from error

    def file(self, digest: str, path: str) -> bytes | None:
        """One file of a folder's content; None where it holds none of this path. Raises as `tree` does."""
        try:
            sha = paths_of(self.blob(digest)).get(path)
        except ValueError as error:
            raise self._damaged(digest, str(error)) from error
        return self.blob(sha) if sha is not None else None

    def blob_path(self, sha: str) -> Path:
        return self.blobs / sha[:2] / sha[2:]

    def put_blob(self, data: bytes) -> str:
        """Stores `data` for good; returns its SHA-256."""
        with Batch(self.staging) as batch:
            return self._add_blob(batch, data)

    def _add_blob(self, batch: Batch, data: bytes) -> str:
        sha = hashlib.sha256(data).hexdigest()
        path = self.blob_path(sha)
        with suppress(OSError):
            if path.read_bytes() == data:
                return sha
        path.parent.mkdir(exist_ok=True)
        batch.also(self.blobs)
        batch.file(path, data)
        return sha

    def blob_files(self) -> list[Path]:
        """Whatever lies where blobs lie, links and strange things included."""
        found: list[Path] = []
        for first in sorted(self.blobs.iterdir()):
            found += sorted(first.iterdir()) if first.is_dir() and not first.is_symlink() else [first]
        return found

    def is_blob(self, path: Path) -> bool:
        """Whether the name and kind of a file are those of a blob; its content may still be damaged."""
        sha = path.parent.name + path.name
        named = path.parent.parent == self.blobs and re.fullmatch(r"[0-9a-f]{64}", sha) and path == self.blob_path(sha)
        return bool(named) and path.is_file() and not path.is_symlink()

    def blob(self, sha: str) -> bytes:
        """Raises UserError for a blob that is missing or damaged."""
        if not re.fullmatch(r"[0-9a-f]{64}", sha):
            raise self._damaged(sha, "this is no SHA-256")
        try:
            data = self.blob_path(sha).read_bytes()
        except OSError as error:
            raise self._damaged(sha, str(error.strerror)) from error
        if hashlib.sha256(data).hexdigest() != sha:
            raise self._damaged(sha, "its content has another digest")
        return data

    def _damaged(self, sha: str, reason: str) -> UserError:
        return UserError(
            f"version {sha[:12]!r} cannot be read from the library at {self.path}: {reason}",
            "restore .prowess/blobs from a backup; skills as they are now are not affected",
        )
