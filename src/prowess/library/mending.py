"""Putting a damaged library right: made anew where a second copy exists, else moved aside, never deleted.

    ledger entries   from the index, where the digest agrees
    stored files     from the skill folders, where the digest agrees
    the index        from the ledger
    the rest         into .prowess/quarantine

What cannot be made anew stays a fault: `faults` goes on to name it.
"""

import hashlib
import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from prowess.core.errors import UserError
from prowess.library.checking import Fault, contents_here, faults, missing_blobs
from prowess.library.disk import flush, locked
from prowess.library.store import Store, clear_errors


def examine(path: Path, lock_timeout: float = 30.0) -> list[Fault]:
    """What is wrong with the library at `path`, however damaged it is. Changes nothing.

    Raises:
        UserError: there is no library, or a later prowess made it.
    """
    with _alone(path, lock_timeout) as store:
        return faults(store)


def mend(path: Path, lock_timeout: float = 30.0) -> list[Fault]:
    """Puts right what can be put right; returns what is still wrong. Skill folders are never touched.

    Raises:
        UserError: as `examine`; or the disk is full, then a second call goes on.
    """
    with _alone(path, lock_timeout) as store, clear_errors(store):
        store.make_folders()
        for number in range(1, max(store.last_number(), store.indexed_up_to()) + 1):
            _mend_entry(store, number)
        for place in (*store.ledger.iterdir(), *store.blob_files()):
            if not store.is_entry(place) and not store.is_blob(place):
                _quarantine(store, place)
        _mend_blobs(store)
        if any(fault.part == "installs" for fault in faults(store)):
            _quarantine(store, store.installs)
        if any(fault.part == "index" for fault in faults(store)):
            _mend_index(store)
        store.settle()
        return faults(store)


@contextmanager
def _alone(path: Path, lock_timeout: float) -> Generator[Store]:
    store = Store(path.absolute(), lock_timeout)
    if store.own.is_symlink() or not store.own.is_dir():
        raise UserError(f"there is no library at {path}", "name another folder with --library")
    store.check_version()
    with locked(store.own / "lock", True, lock_timeout):
        yield store


def _mend_entry(store: Store, number: int) -> None:
    _, record = store.entry(number)
    if record is not None:
        return
    remembered = store.remembered(number)
    place = store.entry_path(number)
    if os.path.lexists(place):
        _quarantine(store, place)
    if remembered is not None:
        store.write_entry(number, remembered)


def _mend_blobs(store: Store) -> None:
    for place in store.blob_files():
        if hashlib.sha256(place.read_bytes()).hexdigest() != place.parent.name + place.name:
            _quarantine(store, place)
    here = contents_here(store)
    for _ in range(2):  # manifests first, then the files that they name
        for sha in missing_blobs(store) & here.keys():
            store.put_blob(here[sha])


def _mend_index(store: Store) -> None:
    try:
        store.reindex()
    except UserError:
        # Not even its use statistics can be read: out of the way with it.
        for file in store.own.glob(f"{store.database.name}*"):
            _quarantine(store, file)
        store.reindex()


def _quarantine(store: Store, place: Path) -> None:
    """Moves aside whatever lies at `place`, without reading it or following it."""
    folder = store.own / "quarantine"
    folder.mkdir(exist_ok=True)
    os.rename(place, folder / f"{place.parent.name}-{place.name}-{secrets.token_hex(4)}")
    flush([folder, place.parent])
