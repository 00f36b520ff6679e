"""Releases: a version of a skill, published under a signature, with where it comes from.

A release is a statement in the ledger, and a bundle in a file of its own that travels beside the skill: a DSSE envelope
around an in-toto statement, which other tools can read too, and the proof that it stands in its publisher's log. Its
subject is the tree digest; the predicate lists every file, so that one more, one less or another one is not this
release. A signature identifies, it does not vouch: what a stranger has released stays quarantined.
"""

from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from prowess import __version__
from prowess.core.errors import Refused, UserError
from prowess.core.trust import Checkpoint, Release, Signature, Statement
from prowess.guard.keys import Key, Keyring
from prowess.guard.log import CAP, Envelope, Logged, Published, as_text, check, enclosed, logged, opened, publish
from prowess.guard.signatures import fingerprints, holds
from prowess.guard.tiers import attested, heard
from prowess.library import Library
from prowess.library.disk import read_folder
from prowess.library.records import Stated
from prowess.library.trees import manifest, paths_of, tree_digest
from prowess.library.trust import Lineage

BUNDLE: Final = ".release.json"
"""How the name of a bundle ends, after that of the skill."""


class Released(NamedTuple):
    """A release in the ledger of its publisher."""

    entry: Stated
    log: Logged


class Verified(NamedTuple):
    """A folder that is to the letter what was released."""

    statement: Statement
    key: Key | None
    """The trusted key that signed; None for a stranger's."""
    signers: tuple[str, ...]
    """Ids of all keys whose signatures hold, or may hold: of a stranger's nothing is known."""
    checkpoint: Checkpoint | None
    """The newest one of its publisher's log; None for a stranger's, of which none can be believed."""


def release(library: Library, keyring: Keyring, name: str, version: str, ssh: Path | None = None) -> Released:
    """Releases a skill as it is now and publishes the log; `bundle` makes a file of what it returns.

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

    sign = keyring.signing(ssh)
    entry = library.trust.say(name, predicate, sign, tree)
    return Released(entry, logged(library, entry, publish(library, sign)))


def _was_added(lineage: Lineage) -> bool:
    """Whether text of it came from a folder, an archive or a repository: then its author is written as `add SOURCE`."""
    return any(author.startswith("add ") for author in lineage.authors)


def bundle(released: Released) -> str:
    """The file of a release: the signed statement as a DSSE envelope (JSON), and its place in the log."""
    return as_text(_Bundle(**enclosed(released.entry).model_dump(), log=released.log))


class _Bundle(Envelope):
    log: Logged


class Opened(NamedTuple):
    """What a bundle holds, nothing of it checked."""

    payload: bytes
    statement: Statement
    signatures: tuple[Signature, ...]
    log: Logged


def read(data: bytes) -> Opened:
    """Raises UserError for what is no bundle."""
    hint = "give the file that `prowess sign` wrote"
    try:
        if len(data) > CAP:
            raise ValueError(f"it is larger than {CAP} bytes")
        found = _Bundle.model_validate_json(data)
        payload, statement, signatures = opened(found)
    except ValueError as error:  # pydantic, base64 and UTF-8 all raise some kind of it
        raise UserError(f"this is no release: {str(error).splitlines()[0]}", hint) from error
    if not isinstance(statement.predicate, Release):
        raise UserError("this is a signed statement, but no release", hint)
    return Opened(payload, statement, signatures, found.log)


def verify(
    folder: Path,
    data: bytes,
    keyring: Keyring,
    newest: Published | None = None,
    *,
    accept: bool = False,
    now: datetime | None = None,
) -> Verified:
    """Whether a folder is to the letter what a bundle says, whose signature that is, and whether it still counts.

    Args:
        newest: A checkpoint of the publisher's log that is newer than the bundle.
        accept: Take that log as it is, although it is not the one that was seen here before.
        now: For tests.

    Raises:
        UserError: the folder cannot be read, or the bundle is none.
        Refused: a file is missing, changed or one too many, a trusted key's signature is wrong, or the log does not
            hold (`prowess.guard.log.check`).
    """
    payload, statement, signatures, log = read(data)
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
    last = None
    if key is not None:
        last = check(keyring, key, statement, payload, log, newest, accept=accept, now=now)
    return Verified(statement, key, tuple(s.key for s in signatures), last)


def differences(wanted: dict[str, str], there: dict[str, str]) -> list[str]:
    """Every file that is missing, changed or one too many, in words."""
    return [
        f"{path!r} is {'missing' if path not in there else 'one too many' if path not in wanted else 'changed'}"
        for path in sorted({*wanted, *there})
        if wanted.get(path) != there.get(path)
    ]
