"""Releases: a version of a skill, published under a signature, with where it comes from.

A release is a statement in the ledger, and a bundle in a file of its own that travels beside the skill: a DSSE envelope
around an in-toto statement, which other tools can read too. Its subject is the tree digest; the predicate lists every
file, so that one more, one less or another one is not this release. A signature identifies, it does not vouch: what a
stranger has released stays quarantined.
"""

import base64
import json
from pathlib import Path
from typing import Final, NamedTuple

from prowess import __version__
from prowess.core.base import Frozen
from prowess.core.errors import Refused, UserError
from prowess.core.trust import Release, Signature, Statement
from prowess.guard.keys import Key, Keyring
from prowess.guard.signatures import PAYLOAD, fingerprints, holds, sign_with_ssh
from prowess.guard.tiers import attested, heard
from prowess.library import Library
from prowess.library.disk import read_folder
from prowess.library.records import Stated
from prowess.library.trees import manifest, paths_of, tree_digest
from prowess.library.trust import Lineage

BUNDLE: Final = ".release.json"
"""How the name of a bundle ends, after that of the skill."""
_CAP: Final = 4_000_000


class Verified(NamedTuple):
    """A folder that is to the letter what was released."""

    statement: Statement
    key: Key | None
    """The trusted key that signed; None for a stranger's."""
    signers: tuple[str, ...]
    """Ids of all keys whose signatures hold, or may hold: of a stranger's nothing is known."""


def release(library: Library, keyring: Keyring, name: str, version: str, ssh: Path | None = None) -> Stated:
    """Releases a skill as it is now; returns the ledger entry, of which `bundle` makes a file.

    Args:
        version: What its publisher calls it.
        ssh: Sign with this SSH key instead of one's own.

    Raises:
        UserError: there is no such skill, or the key cannot be used.
        Refused: the folder holds what no digest covers.
    """
    tree = library.trust.tree(name)
    folder = read_folder(library.path / name, strict=True)
    if folder.problems:
        raise Refused(f"{name} cannot be released: {'; '.join(folder.problems)}", "take that out of the folder")
    lineage = library.trust.lineage(name)
    older = [v.tree for v in library.versions(name) if v.tree not in (tree, None)]
    predicate = Release(
        version=version,
        origin="learned" if lineage.principals else "imported" if _was_added(lineage) else "authored",
        parent=older[0] if older else None,
        authors=lineage.authors,
        trajectories=tuple(sorted(lineage.principals)),
        principals=len(set(lineage.principals.values())),
        verdicts=tuple(attested(heard(library, keyring), tree).values()),
        tools=f"prowess {__version__}",
        files=paths_of(manifest(folder.files)),
    )

    def sign(payload: bytes) -> tuple[Signature, ...]:
        return (keyring.sign(payload) if ssh is None else sign_with_ssh(payload, ssh),)

    return library.trust.say(name, predicate, sign, tree)


def _was_added(lineage: Lineage) -> bool:
    """Whether text of it came from a folder, an archive or a repository: then its author is written as `add SOURCE`."""
    return any(author.startswith("add ") for author in lineage.authors)


def bundle(entry: Stated) -> str:
    """The signed statement as a DSSE envelope (JSON)."""
    payload = base64.b64encode(entry.payload.encode()).decode()
    signatures = [{"keyid": s.key, "sig": base64.b64encode(s.value.encode()).decode()} for s in entry.signatures]
    return json.dumps({"payloadType": PAYLOAD, "payload": payload, "signatures": signatures}, indent=1) + "\n"


class _Signed(Frozen):
    keyid: str
    sig: str


class _Envelope(Frozen):
    payloadType: str
    payload: str
    signatures: tuple[_Signed, ...]


def opened(data: bytes) -> tuple[bytes, Statement, tuple[Signature, ...]]:
    """Payload, statement and signatures of a bundle.

    Raises:
        UserError: it is none.
    """
    hint = "give the file that `prowess sign` wrote"
    if len(data) > _CAP:
        raise UserError(f"this is no release: it is larger than {_CAP} bytes", hint)
    try:
        found = _Envelope.model_validate_json(data)
        payload = base64.b64decode(found.payload, validate=True)
        signatures = tuple(
            Signature(key=s.keyid, value=base64.b64decode(s.sig, validate=True).decode("ascii"))
            for s in found.signatures
        )
        statement = Statement.model_validate_json(payload)
    except ValueError as error:  # pydantic, base64 and UTF-8 all raise some kind of it
        raise UserError(f"this is no release: {str(error).splitlines()[0]}", hint) from error
    if found.payloadType != PAYLOAD or not isinstance(statement.predicate, Release):
        raise UserError("this is a signed statement, but no release", hint)
    return payload, statement, signatures


def verify(folder: Path, data: bytes, keyring: Keyring) -> Verified:
    """Whether a folder is to the letter what a bundle says, and whose signature that is.

    Raises:
        UserError: the folder cannot be read, or the bundle is none.
        Refused: a file is missing, changed or one too many, or a trusted key's signature is wrong.
    """
    payload, statement, signatures = opened(data)
    release_ = statement.predicate
    assert isinstance(release_, Release)
    try:
        found = read_folder(folder, strict=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be read: {error.strerror}", "give the folder of a skill") from error
    there = paths_of(manifest(found.files))
    wrong = [*found.problems, *differences(release_.files, there)]
    if tree_digest(found.files) != statement.tree and not wrong:
        wrong = ["the list of files is not the one that was signed"]
    if folder.resolve().name != statement.skill:
        wrong.append(f"the folder is called {folder.resolve().name!r}, the skill {statement.skill!r}")
    if wrong:
        raise Refused(f"{folder} is not this release: {'; '.join(wrong[:20])}", "take it from its publisher again")
    key = next((k for s in signatures if (k := keyring.check(payload, s)) is not None), None)
    if key is None:
        known = {id: k for k in (*keyring.keys(), *keyring.pinned()) for id in fingerprints(k.public)}
        for signature in signatures:
            if (k := known.get(signature.key)) is not None:
                why = (
                    f"was revoked: {k.revoked}"
                    if k.revoked and holds(k.public, payload, signature)
                    else "does not hold"
                )
                raise Refused(f"the signature of {k.name} {why}", "take it from its publisher again")
        if not signatures:
            raise Refused("nobody has signed this release", "`prowess sign` makes one that is")
    return Verified(statement, key, tuple(s.key for s in signatures))


def differences(wanted: dict[str, str], there: dict[str, str]) -> list[str]:
    """Every file that is missing, changed or one too many, in words."""
    return [
        f"{path!r} is {'missing' if path not in there else 'one too many' if path not in wanted else 'changed'}"
        for path in sorted({*wanted, *there})
        if wanted.get(path) != there.get(path)
    ]
