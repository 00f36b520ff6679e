"""`skills-lock.json`, the lock file of `npx skills`: read, written, and compared with a library.

Its hash of a skill covers other bytes than ours (`prowess.library.lock`), and its entries say where a skill came from,
not who vouched for it; so it stands beside `prowess.lock` and replaces nothing. Entries of other tools are kept as they
are, those with fields that we do not know included.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from prowess.core.errors import UserError
from prowess.library.disk import write_file
from prowess.library.lock import Drift
from prowess.library.trees import Tree

NAME: Final = "skills-lock.json"
VERSION: Final = 1
OURS: Final = "prowess"
"""What `source` says of skills that prowess installed."""
_PUNCTUATION: Final = "_-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$"
"""In the order of the collation that the tool sorts paths by."""


class Entry(BaseModel):
    """One skill. Fields that later versions add survive."""

    model_config = ConfigDict(extra="allow", frozen=True)
    source: str
    sourceType: str
    computedHash: str = Field(pattern=r"^[0-9a-f]{64}$")


class SkillsLock(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="allow", frozen=True)
    version: int = VERSION
    skills: dict[str, Entry] = {}


def computed_hash(tree: Tree) -> str:
    """The tool's own hash of a folder: SHA-256 over path and content of each file, in its order of paths."""
    found = hashlib.sha256()
    for path in sorted(tree, key=_collated):
        if not any(part in (".git", "node_modules") for part in path.split("/")[:-1]):
            found.update(path.encode())
            found.update(tree[path])
    return found.hexdigest()


def read(path: Path) -> SkillsLock:
    """Raises UserError when the file is missing or is no such lock file."""
    try:
        lock = SkillsLock.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}", "write it first") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        hint = "settle its conflict, or let `npx skills` mend it"
        raise UserError(f"{path} is no lock file of skills: {where}: {first['msg']}", hint) from error
    if lock.version > VERSION:
        raise UserError(f"{path} has version {lock.version}, which is not known here", "upgrade prowess")
    return lock


def write(path: Path, trees: Mapping[str, Tree]) -> None:
    """Writes the entries of these skills among those that are there; equal skills give equal bytes.

    Entries of ours whose skill is gone go too.
    """
    old = read(path) if path.exists() else SkillsLock()
    kept = {name: entry for name, entry in old.skills.items() if entry.source != OURS}
    made = {name: _entry(tree, old.skills.get(name)) for name, tree in trees.items()}
    skills = {name: entry.model_dump() for name, entry in sorted({**kept, **made}.items())}
    data = {**old.model_dump(), "version": VERSION, "skills": skills}
    text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    try:
        write_file(path, text.encode(), path.absolute().parent)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}", "make room or give yourself access") from error


def check(path: Path, trees: Mapping[str, Tree]) -> list[Drift]:
    """Where skills and lock file differ, by name; `added` ones are not locked, `missing` ones not there."""
    locked = {name: entry.computedHash for name, entry in read(path).skills.items()}
    found = {name: computed_hash(tree) for name, tree in trees.items()}
    drift: list[Drift] = []
    for name in sorted({*locked, *found}):
        was, now = locked.get(name), found.get(name)
        if was != now:
            kind = "added" if was is None else "missing" if now is None else "changed"
            drift.append(Drift(name=name, kind=kind, locked=was, found=now))
    return drift


def _entry(tree: Tree, old: Entry | None) -> Entry:
    """An entry of another tool keeps what it says of where the skill came from."""
    if old is not None:
        return old.model_copy(update={"computedHash": computed_hash(tree)})
    return Entry(source=OURS, sourceType="local", computedHash=computed_hash(tree))


def _collated(path: str) -> tuple[list[tuple[int, int, str]], list[bool]]:
    """Punctuation before digits before letters, case only where all else is equal (small first), as ICU collates."""
    weights: list[tuple[int, int, str]] = []
    for char in path:
        place = _PUNCTUATION.find(char)
        if place >= 0 or char == " ":
            weights.append((0, place, ""))
        else:
            weights.append((1 if char.isdigit() else 2, 0, char.casefold()))
    return weights, [char.isupper() for char in path]
