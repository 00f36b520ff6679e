"""Whether everything that a library has stored is sound: what is wrong, where, and whether it can be mended."""

import hashlib
import json
import sqlite3
from contextlib import suppress
from typing import Literal

from prowess.core.base import Frozen
from prowess.core.errors import UserError
from prowess.library.index import Index
from prowess.library.records import Change
from prowess.library.store import Store
from prowess.library.trees import manifest, paths_of

Part = Literal[
    "folders", "ledger", "versions", "index", "journal", "installs", "leftovers", "sessions", "trials", "answers"
]


class Fault(Frozen):
    """One thing that is wrong with stored data."""

    part: Part
    what: str
    """A sentence with identifiers, fit to be shown."""
    mend: str = ""
    """What mending does about it; empty where nothing can be done, and what it names is lost."""


def faults(store: Store) -> list[Fault]:
    """What is wrong with ledger, versions, index and the rest. Changes nothing; the caller holds the library's lock."""
    missing = [folder for folder in (store.blobs, store.ledger, store.staging) if not folder.is_dir()]
    if missing:
        return [Fault(part="folders", what=f"{f.name} is missing", mend="make it anew") for f in missing]
    unknown = Fault(part="folders", what="the note of the format is damaged", mend="write it anew")
    noted = [] if store.version() else [unknown]
    return [*noted, *_ledger(store), *_versions(store), *_index(store), *_rest(store)]


def _ledger(store: Store) -> list[Fault]:
    found: list[Fault] = []
    expected = 1
    for number, _, record in store.entries():
        found += [_lost(store, n, "missing") for n in range(expected, number)]
        if record is None:
            found.append(_lost(store, number, "damaged"))
        expected = number + 1
    # Entries at the end that only the index knows of.
    for number in range(expected, store.indexed_up_to() + 1):
        found.append(_lost(store, number, "missing"))
    for path in sorted(store.ledger.iterdir()):
        if not store.is_entry(path):
            what = f"ledger/{path.name} is no entry of the ledger"
            found.append(Fault(part="leftovers", what=what, mend="move it to quarantine"))
    return found


def _lost(store: Store, number: int, how: str) -> Fault:
    can = store.remembered(number) is not None
    return Fault(
        part="ledger", what=f"ledger entry {number} is {how}", mend="make it anew from the index" if can else ""
    )


def _versions(store: Store) -> list[Fault]:
    """Every blob that is there, and every one that should be."""
    found: list[Fault] = []
    here = contents_here(store)
    for path in store.blob_files():
        sha = path.parent.name + path.name
        if not store.is_blob(path):
            what = f"blobs/{path.relative_to(store.blobs)} is no version of anything"
            found.append(Fault(part="leftovers", what=what, mend="move it to quarantine"))
        elif hashlib.sha256(path.read_bytes()).hexdigest() != sha:
            mend = "write it anew from the skill's folder" if sha in here else "move it to quarantine"
            found.append(Fault(part="versions", what=f"stored file {sha[:12]} is damaged", mend=mend))
    for sha in sorted(missing_blobs(store)):
        mend = "write it anew from the skill's folder" if sha in here else ""
        found.append(Fault(part="versions", what=f"stored file {sha[:12]} is missing", mend=mend))
    return found


def _index(store: Store) -> list[Fault]:
    """Whether the index says what the ledger says, row by row."""
    anew = "make it anew from the ledger; use statistics stay where they can be read"
    if not store.database.exists():
        return [Fault(part="index", what="the index is missing", mend=anew)]
    with Index.in_memory() as fresh:
        for _, digest, record in store.known_entries():
            fresh.add(record, digest)
        expected = fresh.derived()
    try:
        with store.index() as index:
            found = [f"the index is damaged: {text}" for text in index.damage()]
            if not found:
                rows = index.derived()
                found = [f"table {t} of the index is not what the ledger says" for t in rows if rows[t] != expected[t]]
                uses = index.damaged_uses()
                found += [f"{uses} use statistics are damaged"] if uses else []
    except (UserError, sqlite3.Error) as error:
        found = [f"the index cannot be read: {error.message if isinstance(error, UserError) else error}"]
    return [Fault(part="index", what=text, mend=anew) for text in found]


def _rest(store: Store) -> list[Fault]:
    found: list[Fault] = []
    if store.journal.exists():
        found.append(Fault(part="journal", what="a change was cut short", mend="go back to the state before it"))
    try:
        installs = json.loads(store.installs.read_bytes())
        if not isinstance(installs, dict) or not all(isinstance(v, str) for v in installs.values()):  # pyright: ignore
            raise ValueError
    except FileNotFoundError:
        pass
    except (OSError, ValueError):
        mend = "move it to quarantine; skills installed elsewhere then count as yours"
        found.append(Fault(part="installs", what="the list of installed skills is damaged", mend=mend))
    return found


def contents_here(store: Store) -> dict[str, bytes]:
    """What the skill folders hold now, files and manifests, by SHA-256."""
    found: dict[str, bytes] = {}
    for folder in store.folders().values():
        for data in (*folder.files.values(), manifest(folder.files)):
            found[hashlib.sha256(data).hexdigest()] = data
    return found


def referenced(store: Store) -> tuple[set[str], set[str]]:
    """Digests of all manifests, and of all kept tasks, that the ledger names."""
    changes = [record for _, _, record in store.entries() if isinstance(record, Change)]
    trees = {sha for change in changes for _, sha in change.trees.values() if sha is not None}
    return trees, {sha for change in changes for sha in change.kept}


def missing_blobs(store: Store) -> set[str]:
    """Digests that the ledger names, by itself or by way of a manifest, and that have no file."""
    trees, kept = referenced(store)
    named = trees | kept
    for tree in trees:
        with suppress(UserError, ValueError):
            named |= set(paths_of(store.blob(tree)).values())
    return {sha for sha in named if not store.blob_path(sha).is_file()}
