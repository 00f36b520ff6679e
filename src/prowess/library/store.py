"""A library on disk: skill folders, blobs, the ledger, and the step from one state to the next.

    <library>/<skill>/...            the truth for text
    <library>/.prowess/ledger/       one file for each change, proposal and rejection; the truth for history
    <library>/.prowess/blobs/        every file and folder manifest that a version ever had, by SHA-256
    <library>/.prowess/library.db    the index, made from the ledger
    <library>/.prowess/search.db     the search index, made and kept by `prowess.search`
    <library>/.prowess/journal.json  there only while a change is under way
    <library>/.prowess/staging/      unfinished files

A change is made so: blobs, new folders in staging, the journal, folders swapped one by one, the ledger entry, clean up.
The rename that puts the ledger entry into place is the commit. Whoever next takes the lock and finds a journal whose
entry is not in the ledger swaps the old folders back (from staging, or made anew from blobs); otherwise it tidies up.
All methods need the lock to be held by the caller unless they say otherwise.
"""

import hashlib
import json
import logging
import os
import re
import sqlite3
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from prowess.core.base import canonical_json
from prowess.core.errors import UserError
from prowess.library.blobs import Blobs
from prowess.library.database import Kept
from prowess.library.disk import (
    Batch,
    Folder,
    exchange,
    flush,
    locked,
    read_folder,
    remove_folder,
    stamp_folder,
    write_file,
    write_folder,
)
from prowess.library.index import Index, Row
from prowess.library.ledger import Ledger
from prowess.library.records import RECORD, Change, Entry
from prowess.library.trees import Tree, is_component, tree_digest

FORMAT: Final = "1"
_IGNORED: Final = "library.db*\nsearch.db*\nlock\nstaging/\njournal.json\ninstalls.json\n"
_log = logging.getLogger(__name__)


class Store(Blobs, Ledger):
    """The folders and files of one library. Knows bytes and records, not what makes a skill valid."""

    def __init__(self, path: Path, lock_timeout: float) -> None:
        Blobs.__init__(self, path)
        Ledger.__init__(self, path)
        self.database = self.own / "library.db"
        self.journal = self.own / "journal.json"
        self.installs = self.own / "installs.json"
        self._timeout = lock_timeout
        self._kept = Kept(self.database)

    def create(self) -> None:
        """Makes the folders of an empty library around whatever lies there. Needs no lock; safe to repeat."""
        with clear_errors(self):
            self.own.mkdir(parents=True, exist_ok=True)
            with locked(self.own / "lock", True, self._timeout):
                self.make_folders()

    def make_folders(self) -> None:
        """What of an empty library is not there yet. The caller holds the lock."""
        for folder in (self.blobs, self.ledger, self.staging):
            folder.mkdir(exist_ok=True)
        if not (self.own / ".gitignore").exists():
            write_file(self.own / ".gitignore", _IGNORED.encode(), self.staging)
        if not self.version():
            write_file(self.own / "format", f"{FORMAT}\n".encode(), self.staging)

    def check_format(self) -> None:
        """Raises UserError for a library that a later prowess made, or whose own folders lead elsewhere."""
        for folder in (self.own, self.blobs, self.ledger, self.staging):
            if folder.is_symlink() or not folder.is_dir():
                raise UserError(
                    f"{folder} is missing or a link, so this is no sound library",
                    "`prowess fsck --yes` makes what is missing; nothing that lies there is touched",
                )
        self.check_version()

    def check_version(self) -> None:
        """Raises UserError for a library that a later prowess made."""
        found = self.version()
        if found not in (FORMAT, ""):
            raise UserError(
                f"the library at {self.path} has format {found}, this prowess knows {FORMAT}",
                "install the newest prowess",
            )

    def version(self) -> str:
        """The format that the library names; empty where that is missing or no number."""
        try:
            found = (self.own / "format").read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            return ""
        return found if re.fullmatch("[1-9][0-9]{0,5}", found) else ""

    @contextmanager
    def writing(self) -> Generator[None]:
        """Holds the library alone, with every unfinished change settled."""
        with locked(self.own / "lock", True, self._timeout), clear_errors(self):
            self.settle()
            yield

    @contextmanager
    def reading(self) -> Generator[None]:
        """Holds the library with other readers, with every unfinished change settled."""
        while True:
            with locked(self.own / "lock", False, self._timeout), clear_errors(self):
                if not self.journal.exists() and self._is_indexed():
                    yield
                    return
            with self.writing():
                pass

    @contextmanager
    def index(self) -> Generator[Index]:
        with Index.using(self._kept) as index:
            yield index

    # Folders

    def folders(self) -> dict[str, Folder]:
        """Every skill folder as it lies there now. Links and unreadable folders have no files and a problem."""
        found: dict[str, Folder] = {}
        for entry in sorted(os.scandir(self.path), key=lambda e: e.name):
            if entry.name.startswith(".") or (entry.is_file() and not entry.is_symlink()):
                continue
            try:
                found[entry.name] = read_folder(Path(entry.path))
            except OSError as error:
                reason = "it is a symbolic link" if entry.is_symlink() else str(error.strerror)
                found[entry.name] = Folder({}, (f"the folder cannot be read: {reason}",))
        return found

    def folder(self, name: str) -> Folder | None:
        """One skill folder as it lies there now; None where there is none, or it is a link."""
        try:
            return read_folder(self.path / name) if is_component(name) else None
        except OSError:
            return None

    def stamps(self) -> dict[str, str]:
        """Every folder that may be a skill, with a stamp of what lies in it (`disk.stamp_folder`)."""
        found: dict[str, str] = {}
        for entry in os.scandir(self.path):
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                with suppress(OSError):
                    found[entry.name] = stamp_folder(Path(entry.path))
        return found

    def _digest(self, folder: Path) -> str | None:
        """Content digest of a folder now; None where there is none, "" for something else."""
        if not os.path.lexists(folder):
            return None
        try:
            return tree_digest(read_folder(folder).files)
        except OSError:
            return ""

    # Blobs

    # Ledger

    def known_entries(self) -> Iterator[tuple[int, str, Entry]]:
        """Every entry in order that can be had: from its file, else as the index remembers it."""
        for number in range(1, max(self.last_number(), self.indexed_up_to()) + 1):
            digest, record = self.entry(number)
            if record is None and (body := self.remembered(number)) is not None:
                digest, record = hashlib.sha256(body).hexdigest(), RECORD.validate_json(body)
            if record is not None:
                yield number, digest, record

    def indexed_up_to(self) -> int:
        """Number of the last ledger entry that the index knows; 0 where it cannot be read."""
        try:
            with self.index() as index:
                return index.head()[0] if self.database.exists() else 0
        except (UserError, sqlite3.Error):
            return 0

    def remembered(self, number: int) -> bytes | None:
        """The bytes of a ledger entry as the index remembers them, if they have the digest that was noted then."""
        if not self.database.exists():
            return None
        try:
            with self.index() as index:
                found = index.entry(number)
            if found is None:
                return None
            body = canonical_json(RECORD.validate_json(found[1])) + b"\n"
        except (UserError, sqlite3.Error, ValidationError):
            return None
        return body if hashlib.sha256(body).hexdigest() == found[0] else None

    def append(self, record: Entry, *, swapped: bool = False) -> None:
        """Adds an entry to the ledger; once this returns it is there for good. The index follows as soon as it can."""
        body = canonical_json(record) + b"\n"
        try:
            digest = self.write_entry(record.number, body, swapped=swapped)
        except OSError:
            # The rename may have happened before the failure: an entry that was not acknowledged must not stay.
            self.entry_path(record.number).unlink(missing_ok=True)
            raise
        try:
            with self.index() as index:
                index.add(record, digest)
        except (UserError, sqlite3.DatabaseError) as error:
            _log.warning("the index is behind and will be mended at the next use: %s", error)

    def next_number(self) -> int:
        with self.index() as index:
            return index.head()[0] + 1

    # Changes

    def commit(self, change: Change, new: Mapping[str, Tree | None]) -> None:
        """Makes `change`: afterwards the folders named in `new` have that content and the ledger says so.

        Raises:
            OSError: nothing has changed.
        """
        stage = self.staging / f"{change.number:08d}"
        try:
            with Batch(self.staging) as batch:
                remove_folder(stage)
                os.mkdir(stage)
                for name, tree in new.items():
                    if tree is not None:
                        self._add(batch, tree)
                        batch.folder(stage / name, tree)
                plan = {"number": change.number, "id": change.id, "trees": {name: change.trees[name] for name in new}}
                # The last to be put into place: with it, a change is under way.
                batch.file(self.journal, canonical_json(plan))
            for name, tree in new.items():
                self._swap(name, stage / name, tree is not None)
                if self._digest(stage / name) != change.trees[name][0]:
                    raise UserError(f"skill {name!r} was edited during the change", "repeat it")
            self.append(change, swapped=True)
        except BaseException:
            # When even this fails, whoever takes the lock next does the same from the journal.
            with suppress(OSError, UserError):
                self._settle_journal()
                remove_folder(stage)
            raise
        with suppress(OSError):
            os.unlink(self.journal)
            remove_folder(stage)

    def _swap(self, name: str, staged: Path, wanted: bool) -> None:
        """Puts the staged folder into place and the present one into staging; either may be absent."""
        target = self.path / name
        if not wanted:
            os.rename(target, staged)
        elif os.path.lexists(target):
            exchange(target, staged)
        else:
            os.rename(staged, target)

    def settle(self) -> None:
        self._settle_journal()
        for leftover in list(os.scandir(self.staging)):
            remove_folder(Path(leftover.path))
        if not self._is_indexed():
            self.reindex()

    def _settle_journal(self) -> None:
        """Ends a change that was cut short: back to the old state unless its ledger entry was written."""
        try:
            plan = json.loads(self.journal.read_bytes())
            number, id, trees = int(plan["number"]), plan["id"], dict(plan["trees"])
            if not all(is_component(name) for name in trees):
                raise ValueError("unsafe name")
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError):
            # Written in one step, so this is damage from outside. What lies there is taken as an edit by hand.
            _log.warning("the journal of %s is damaged and left out", self.path)
            os.unlink(self.journal)
            return
        _, record = self.entry(number)
        if not (isinstance(record, Change) and record.id == id):
            stage = self.staging / f"{number:08d}"
            stage.mkdir(exist_ok=True)
            for name, (old, new) in trees.items():
                self._restore(name, old, new, stage)
            flush([self.path])
        os.unlink(self.journal)

    def _restore(self, name: str, old: str | None, new: str | None, stage: Path) -> None:
        """Puts back the old folder, unless somebody has edited the present one since: then it is left as it is."""
        target, staged = self.path / name, stage / name
        now = self._digest(target)
        if now == old or now not in (new, None):
            return
        if now == new and staged.is_dir():
            # Swapped already, so staging holds what lay there before, later edits by hand included.
            self._swap(name, staged, True)
        elif old is None:
            os.rename(target, stage / f"{name}.discarded")
        else:
            copy = stage / f"{name}.restored"
            remove_folder(copy)
            write_folder(copy, self.tree(old))
            self._swap(name, copy, True)

    # Installs

    def read_installs(self) -> dict[str, str]:
        """What prowess installed: absolute path to what it put there; nothing when the list is damaged."""
        try:
            return TypeAdapter(dict[str, str]).validate_json(self.installs.read_bytes())
        except (OSError, ValidationError):
            return {}

    def write_installs(self, owned: Mapping[str, str]) -> None:
        write_file(self.installs, canonical_json(dict(owned)), self.staging)

    # Index

    def _is_indexed(self) -> bool:
        """Whether the index ends at the ledger's last entry."""
        if not self.database.exists():
            return False
        try:
            with self.index() as index:
                number, digest = index.head()
        except sqlite3.DatabaseError:
            return False
        return not self.entry_path(number + 1).exists() and (number == 0 or self.entry(number)[0] == digest)

    def reindex(self) -> None:
        """Makes the index anew from the ledger. Use statistics are kept if readable.

        Damaged entries are first made anew from the old index, the only other copy. Missing ones are not: where git
        took the ledger back, it must stay back.
        """
        uses: list[Row] = []
        for number, _, record in self.known_entries():
            if self.entry_path(number).is_file() and not self.entry(number)[0]:
                _log.warning("ledger entry %d of %s was damaged and is made anew from the index", number, self.path)
                self.write_entry(number, canonical_json(record) + b"\n")
        try:
            if self.database.exists():
                with self.index() as index:
                    uses = index.use_rows()
        except sqlite3.DatabaseError:
            _log.warning("the index of %s was damaged and is made anew; use statistics are lost", self.path)
        self._kept.close()
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.database}{suffix}").unlink(missing_ok=True)
        with self.index() as index:
            for number, digest, record in self.entries():
                if record is None:
                    _log.warning("ledger entry %d of %s is damaged and left out", number, self.path)
                    index.pass_over(number)
                else:
                    index.add(record, digest)
            index.add_uses(uses)


@contextmanager
def clear_errors(store: Store) -> Generator[None]:
    """Turns failures of the disk into an error that says what to do."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"the library at {store.path} could not be read or written: {error.strerror or error}",
            "make room on the disk or give yourself access, then repeat; the library is in its old state",
        ) from error
    except sqlite3.DatabaseError as error:
        # The next use finds no index and makes it anew, under a lock of its own.
        store.database.unlink(missing_ok=True)
        raise UserError(
            f"the index of the library at {store.path} is damaged: {error}",
            "repeat; the index is made anew from the ledger",
        ) from error
