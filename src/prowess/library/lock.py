"""`prowess.lock`: which skills, in which exact content, a project was tested with.

Sorted JSON without times, so that it changes only when a skill does and merges well.
`check` compares it with a library.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

from pydantic import ValidationError

from prowess.core.base import Frozen, digest
from prowess.core.errors import UserError
from prowess.core.trust import Tier
from prowess.library.disk import read_folder, write_file
from prowess.library.library import Library
from prowess.library.trees import tree_digest


class Entry(Frozen):
    """One skill."""

    digest: str
    """SHA-256 over sorted lines `path NUL sha256-of-bytes`, each ended by a line feed."""
    parent: str | None = None
    """Digest of the version before."""
    evidence: str | None = None
    """Id of the newest evidence with which this version was accepted: the first 16 digits of its digest."""
    source: Literal["prowess", "foreign"]
    """Who wrote the skill."""
    tier: Tier | None = None
    """How far it was trusted."""
    publisher: str | None = None
    """Id of the key that released this version, where a trusted one did."""


class Lock(Frozen):
    """All skills of a library, by name."""

    version: Literal[1] = 1
    skills: dict[str, Entry]


class Drift(Frozen):
    """A difference between the lock file and the library."""

    name: str
    kind: Literal["changed", "missing", "added", "extra", "lowered", "signer"]
    """`missing`: locked but not in the library; `added`: in the library but not locked; `extra`: its folder holds files
    that no digest covers; `lowered`: it is trusted less; `signer`: another key has released it."""
    locked: str | None = None
    found: str | None = None


class Trusted(NamedTuple):
    """How a skill stands, as `prowess.guard` knows it."""

    tier: Tier
    publisher: str | None = None


def of(library: Library, trusted: Mapping[str, Trusted] = MappingProxyType({})) -> Lock:
    """The lock of the library as it is now; `trusted` says by name how its skills stand."""
    skills: dict[str, Entry] = {}
    for name, tree in library.trees().items():
        now = tree_digest(tree)
        versions = library.versions(name)
        made = next((v for v in versions if v.tree == now), None)
        older = [v.tree for v in versions if v.tree not in (now, None) and (made is None or v.number < made.number)]
        evidence = None
        if made is not None:
            found = [v.evidence for v in library.change(made.change).verdicts if v.evidence is not None]
            evidence = digest(found[-1])[:16] if found else None
        skills[name] = Entry(
            digest=now,
            parent=older[0] if older else None,
            evidence=evidence,
            source="prowess" if library.is_authored(name) else "foreign",
            tier=trusted[name].tier if name in trusted else None,
            publisher=trusted[name].publisher if name in trusted else None,
        )
    return Lock(skills=dict(sorted(skills.items())))


def write(path: Path, lock: Lock) -> None:
    """Writes the lock file; equal locks give equal bytes."""
    text = json.dumps(lock.model_dump(exclude_none=True), indent=2, sort_keys=True) + "\n"
    try:
        write_file(path, text.encode(), path.parent)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}", "make room or give yourself access") from error


def read(path: Path) -> Lock:
    """Raises UserError when the file is missing or is no lock file."""
    try:
        return Lock.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}", "write it first") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{path} is not a lock file: {where}: {first['msg']}", "write it anew") from error


def check(path: Path, library: Library, trusted: Mapping[str, Trusted] = MappingProxyType({})) -> list[Drift]:
    """Every difference between the lock file and the library, by name; empty when they agree.

    A skill that is trusted more than it was when it was locked is no difference.
    """
    locked = read(path).skills
    found = {name: tree_digest(tree) for name, tree in library.trees().items()}
    drift: list[Drift] = []
    for name in sorted({*locked, *found}):
        was, now = locked[name].digest if name in locked else None, found.get(name)
        if was != now:
            kind = "added" if was is None else "missing" if now is None else "changed"
            drift.append(Drift(name=name, kind=kind, locked=was, found=now))
        if name not in locked or now is None:
            continue
        entry, stands = locked[name], trusted.get(name)
        extra = read_folder(library.path / name, strict=True).problems
        drift += [Drift(name=name, kind="extra", found=problem) for problem in extra]
        if stands is None:
            continue
        if entry.tier is not None and stands.tier < entry.tier:
            drift.append(Drift(name=name, kind="lowered", locked=str(entry.tier), found=str(stands.tier)))
        if entry.publisher is not None and stands.publisher != entry.publisher:
            drift.append(Drift(name=name, kind="signer", locked=entry.publisher, found=stands.publisher))
    return drift
