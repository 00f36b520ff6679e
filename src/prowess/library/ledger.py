"""The files of a library's ledger, one for each entry: a line with the SHA-256 of the rest, then the record as JSON."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from prowess.core.trust import Head
from prowess.library.disk import Batch
from prowess.library.records import RECORD, Change, Entry
from prowess.library.trees import is_component


class Ledger:
    """The folder of entries below a library's own folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.own = path / ".prowess"
        self.ledger = self.own / "ledger"
        self.staging = self.own / "staging"

    def entries(self) -> Iterator[tuple[int, str, Entry | None]]:
        """Number, digest and content of every ledger entry in order; content None where it is damaged."""
        for number in sorted(int(path.stem) for path in self.ledger.iterdir() if self.is_entry(path)):
            yield (number, *self.entry(number))

    def is_entry(self, path: Path) -> bool:
        """Whether the name and kind of a file are those of a ledger entry; its content may still be damaged."""
        named = path.parent == self.ledger and re.fullmatch(r"[0-9]{8,18}\.json", path.name, re.ASCII)
        return bool(named) and path == self.entry_path(int(path.stem)) and path.is_file() and not path.is_symlink()

    def last_number(self) -> int:
        """Number of the last ledger entry that has a file; 0 for none."""
        return max((int(path.stem) for path in self.ledger.iterdir() if self.is_entry(path)), default=0)

    def write_entry(self, number: int, body: bytes, *, swapped: bool = False) -> str:
        """Puts the file of a ledger entry into place for good; returns its digest.

        Args:
            number: Its place in the ledger.
            body: The record as JSON.
            swapped: Skill folders were renamed, which must be on the disk before the entry that says so.
        """
        digest = hashlib.sha256(body).hexdigest()
        with Batch(self.staging) as batch:
            if swapped:
                batch.also(self.path)
            batch.file(self.entry_path(number), digest.encode() + b"\n" + body)
        return digest

    def entry_path(self, number: int) -> Path:
        return self.ledger / f"{number:08d}.json"

    def entry(self, number: int) -> tuple[str, Entry | None]:
        """An entry is one line with the SHA-256 of the rest, then the record as JSON."""
        try:
            head, _, body = self.entry_path(number).read_bytes().partition(b"\n")
            if hashlib.sha256(body).hexdigest().encode() != head:
                return "", None
            record = RECORD.validate_json(body)
            sound = record.number == number
            if isinstance(record, Change):
                sound = sound and all(is_component(name) for name in record.trees)
            return (head.decode(), record) if sound else ("", None)
        except (OSError, ValidationError):
            return "", None

    def heads(self) -> list[Head]:
        """Every head of the ledger, from the empty one to the last; made from the bytes as they lie there."""
        found = [Head(number=0, chain="")]
        for path in sorted(self.ledger.glob("[0-9]*.json")):
            body = path.read_bytes().partition(b"\n")[2]
            number = int(path.stem)
            link = f"{found[-1].chain} {number} {hashlib.sha256(body).hexdigest()}"
            found.append(Head(number=number, chain=hashlib.sha256(link.encode()).hexdigest()))
        return found
