"""The log of a publisher: every statement of their library in order, under one signed digest that others can check.

A checkpoint is that digest, signed, with a date and with all that was taken back. A release travels with a checkpoint
and the proof that it stands in the log; a newer checkpoint, in a file of its own, says that nothing was revoked since.
Each comes with proofs that the log has only grown since the checkpoints before. Who checks remembers the newest one:
a log that was rewritten, forked or cut back is noticed, and so is one that has been silent for too long.
"""

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from pydantic import Field

from prowess.core.base import Frozen
from prowess.core.errors import Refused, UserError
from prowess.core.merkle import consistency, extends, included, inclusion, root
from prowess.core.trust import Checkpoint, Signature, Statement
from prowess.guard.keys import Key, Keyring
from prowess.guard.signatures import PAYLOAD
from prowess.library import Library
from prowess.library.records import Stated
from prowess.library.trust import Sign

VALID: Final = timedelta(days=30)
"""How long a checkpoint counts."""
EARLIER: Final = 100
"""Checkpoints before, newest first, from which the way to this one is proven."""
CAP: Final = 4_000_000
"""Bytes of a release or checkpoint that are read."""

_MEMORY: Final = "logs.json"
"""Of the keyring: the newest checkpoint seen, by key and skill."""

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Proof = Annotated[tuple[Digest, ...], Field(max_length=64)]


class Envelope(Frozen):
    """A signed statement, as other tools read it too (DSSE 1.0)."""

    class Signed(Frozen):
        keyid: str
        sig: str

    payloadType: str
    payload: str
    signatures: tuple[Signed, ...]


class Since(Frozen):
    """The proof that a checkpoint's log begins with what the log was when it had `size` statements."""

    size: int
    path: Proof


class Published(Frozen):
    """A checkpoint as it travels."""

    checkpoint: Envelope
    since: Annotated[tuple[Since, ...], Field(max_length=EARLIER)] = ()


class Logged(Published):
    """The proof that a statement stands in the log of a checkpoint."""

    index: int
    path: Proof


def publish(library: Library, sign: Sign) -> Stated:
    """Adds a checkpoint to the ledger, good for `VALID`; returns the entry, of which `published` makes a file."""
    expires = datetime.fromisoformat(library.trust.now()) + VALID
    return library.trust.publish(expires.astimezone(UTC).isoformat(timespec="seconds"), sign)


def published(library: Library, entry: Stated) -> Published:
    """What others need to check that checkpoint, the way from earlier ones included."""
    before = [each for each in library.trust.statements() if each.number < entry.number]
    leaves = [each.payload.encode() for each in before]
    sizes = dict.fromkeys(c.size for each in before if (c := _checkpoint(each.statement)) is not None and c.size)
    since = tuple(Since(size=n, path=_hex(consistency(leaves, n))) for n in list(sizes)[-EARLIER:])
    return Published(checkpoint=enclosed(entry), since=since)


def logged(library: Library, entry: Stated, checkpoint: Stated) -> Logged:
    """The proof that a statement stands in the log of a checkpoint that came after it."""
    before = [each for each in library.trust.statements() if each.number < checkpoint.number]
    index = [each.number for each in before].index(entry.number)
    made = published(library, checkpoint)
    path = _hex(inclusion([each.payload.encode() for each in before], index))
    return Logged(checkpoint=made.checkpoint, since=made.since, index=index, path=path)


def check(
    keyring: Keyring,
    key: Key,
    statement: Statement,
    payload: bytes,
    proof: Logged,
    newest: Published | None = None,
    *,
    accept: bool = False,
    now: datetime | None = None,
) -> Checkpoint:
    """The newest checkpoint of the log that a release stands in, after everything about it has held.

    What is the log, by its signature and its proofs, is remembered also where it has expired or revoked the release.

    Args:
        key: The trusted key that signed the release; the log is its holder's.
        newest: A checkpoint from the publisher that is newer than the release's own.
        accept: Take the log as it is, although it is not the one that was seen before.
        now: For tests.

    Raises:
        Refused: the release is not in the log, the log was rewritten, forked or cut back, has expired, or has taken
            this version back; the text says which.
    """
    own = _signed(keyring, key, proof)
    if not included(payload, proof.index, own.size, _bytes(proof.path), bytes.fromhex(own.root)):
        raise Refused(f"this release is not in the log of {key.name}", "take it from its publisher again")
    log = f"{key.id} {statement.skill}"
    seen = None if accept else keyring.noted(_MEMORY, Published).get(log)
    known = [(_signed(keyring, key, each), each) for each in (seen, newest) if each is not None]
    last, travels = max([(own, Published(checkpoint=proof.checkpoint, since=proof.since)), *known], key=_size)
    for told in (own, *(told for told, _ in known)):
        _grew(key, told, last, travels.since)
    keyring.note(_MEMORY, Published, log, travels)  # before it is refused: what was revoked once stays known
    if (expired := (now or datetime.now(UTC)) - _time(last.expires)) >= timedelta(0):
        raise Refused(
            f"the log of {key.name} has been silent for too long: its checkpoint expired {expired.days} days ago, on "
            f"{last.expires[:10]}, and what was revoked since is not known",
            "get a newer checkpoint from the publisher (`prowess sign --checkpoint FILE`), and give it with "
            "--checkpoint",
        )
    if statement.tree in last.revoked:
        raise Refused(f"{key.name} has revoked this version of {statement.skill}", "do not use it")
    return last


def problems(library: Library) -> list[str]:
    """Checkpoints in a library's own ledger that are not the digest of the statements before them."""
    entries = library.trust.statements()
    found: list[str] = []
    for place, entry in enumerate(entries):
        told = _checkpoint(entry.statement)
        if told is not None and (
            told.size != place or told.root != root([e.payload.encode() for e in entries[:place]]).hex()
        ):
            found.append(f"entry {entry.number} published a log with other statements")
    return found


def newest(library: Library) -> Checkpoint | None:
    """The last checkpoint of a library; None where none was published."""
    told = [c for entry in library.trust.statements() if (c := _checkpoint(entry.statement)) is not None]
    return told[-1] if told else None


def read(data: bytes) -> Published:
    """Raises UserError for a file that is no checkpoint."""
    try:
        if len(data) > CAP:
            raise ValueError(f"it is larger than {CAP} bytes")
        return Published.model_validate_json(data)
    except ValueError as error:
        hint = "give the file that `prowess sign --checkpoint` wrote"
        raise UserError(f"this is no checkpoint: {str(error).splitlines()[0]}", hint) from error


def enclosed(entry: Stated) -> Envelope:
    """A statement of the ledger with its signatures."""
    signatures = (Envelope.Signed(keyid=s.key, sig=_text(s.value.encode())) for s in entry.signatures)
    return Envelope(payloadType=PAYLOAD, payload=_text(entry.payload.encode()), signatures=tuple(signatures))


def opened(envelope: Envelope) -> tuple[bytes, Statement, tuple[Signature, ...]]:
    """Payload, statement and signatures. Raises ValueError where it holds no statement."""
    payload = base64.b64decode(envelope.payload, validate=True)
    signatures = tuple(
        Signature(key=s.keyid, value=base64.b64decode(s.sig, validate=True).decode("ascii"))
        for s in envelope.signatures
    )
    if envelope.payloadType != PAYLOAD:
        raise ValueError("it is of another type")
    return payload, Statement.model_validate_json(payload), signatures


def as_text(travels: Frozen) -> str:
    """As it is written into a file."""
    return json.dumps(travels.model_dump(mode="json"), indent=1) + "\n"


def _signed(keyring: Keyring, key: Key, found: Published) -> Checkpoint:
    try:
        payload, statement, signatures = opened(found.checkpoint)
        told = _checkpoint(statement)
    except ValueError:
        told, payload, signatures = None, b"", ()
    if told is None or all(
        by is None or by.id != key.id for by in (keyring.check(payload, signature) for signature in signatures)
    ):
        raise Refused(f"the checkpoint is none that {key.name} has signed", "take it from its publisher again")
    return told


def _grew(key: Key, before: Checkpoint, last: Checkpoint, since: Sequence[Since]) -> None:
    """Raises Refused where the log of `last` does not begin with what it was before, or nothing shows that it does."""
    path = next((each.path for each in since if each.size == before.size), None)
    if path is None and before.size < last.size:
        raise Refused(
            f"the log of {key.name} has {last.size} statements, and nothing shows what became of the first "
            f"{before.size}, which this machine or the release knows",
            "get the newest checkpoint from the publisher, and give it with --checkpoint",
        )
    steps = _bytes(path or ()) if before.size < last.size else []
    if not extends(before.size, bytes.fromhex(before.root), last.size, bytes.fromhex(last.root), steps):
        raise Refused(
            f"the log of {key.name} was rewritten, or is another one: with {before.size} statements it was not what "
            f"it is now with {last.size}",
            "ask its publisher; `prowess verify --accept` takes the one that is here, whatever was seen before",
        )


def _size(known: tuple[Checkpoint, Published]) -> int:
    return known[0].size


def _checkpoint(statement: Statement | None) -> Checkpoint | None:
    predicate = statement.predicate if statement is not None else None
    return predicate if isinstance(predicate, Checkpoint) else None


def _time(text: str) -> datetime:
    """Raises Refused for a date that cannot be read: then nothing says that it still counts."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refused(f"the checkpoint expires at {text[:40]!r}, which is no date", "ask its publisher") from error
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _hex(path: Sequence[bytes]) -> tuple[str, ...]:
    return tuple(step.hex() for step in path)


def _bytes(path: Sequence[str]) -> list[bytes]:
    return [bytes.fromhex(step) for step in path]


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
