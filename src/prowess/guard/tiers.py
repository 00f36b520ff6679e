"""Which tier each version of a skill has.

A tier is never stored: it follows from the statements in the ledger and from the keys that this user trusts. So a
library that was cloned, shared or tampered with brings statements along, but no trust. Three rules carry it:

- what raises trust must be signed by a key that is trusted here; what lowers it need not be signed;
- a version that nobody vouched for is quarantined, and every edit makes a new version;
- if history was cut back or rewritten since it was seen here, nothing in the library is trusted.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from prowess.core.base import Frozen
from prowess.core.errors import UserError
from prowess.core.evidence import Verdict
from prowess.core.trust import (
    Attestation,
    Capabilities,
    Checkpoint,
    Demotion,
    Promotion,
    Release,
    Revocation,
    Statement,
    Tier,
)
from prowess.guard.keys import SELF, Key, Keyring, Seen, signer
from prowess.guard.signatures import fingerprints
from prowess.library import Library
from prowess.library.records import Stated
from prowess.library.trees import tree_digest

UNNAMED: Final = frozenset({"", SELF, "by hand"})
"""What a ledger calls the person who works on it, whoever that was."""


class Standing(Frozen):
    """How far one version of a skill is trusted, and why not further."""

    tier: Tier = Tier.QUARANTINED
    why: str = "nobody has vouched for this version"
    granted: Capabilities = Capabilities()
    """What it may do; nothing below T3."""
    publisher: str = ""
    """Id of the trusted key that has released it."""
    revoked: bool = False


@dataclass(slots=True)
class _Version:
    """What the ledger says of a version, as far as it counts."""

    promotions: dict[str, Promotion] = field(default_factory=dict[str, Promotion])
    """The last of each trusted key, by its id."""
    lowered: str = ""
    revoked: str = ""
    publisher: str = ""


@dataclass(frozen=True, slots=True)
class Heard:
    """A statement that can be read, and the trusted keys under it."""

    entry: Stated
    statement: Statement
    signers: tuple[Key, ...]


def heard(library: Library, keyring: Keyring) -> list[Heard]:
    """All statements of a library, oldest first, with the signatures that count. Keys that were revoked do not."""
    keys = keyring.keys()
    entries = [(entry, told) for entry in library.trust.statements() if (told := entry.statement) is not None]
    found = [Heard(entry, told, _signers(entry, keys)) for entry, told in entries]
    gone: set[str] = set()
    for each in found:
        predicate = each.statement.predicate
        if isinstance(predicate, Revocation) and predicate.what == "key" and each.signers:
            gone.add(predicate.id)
    if not gone:
        return found
    return [
        Heard(h.entry, h.statement, tuple(k for k in h.signers if not gone & set(fingerprints(k.public))))
        for h in found
    ]


def standings(library: Library, keyring: Keyring) -> dict[str, Standing]:
    """Of every version that a statement is about, by tree digest; all others stand as `Standing()`."""
    told = heard(library, keyring)
    found = {tree: _standing(version) for tree, version in _weighed(told).items()}
    if broken := history(library, keyring, told):
        why = f"the ledger cannot be trusted: {broken[0]}"
        return {tree: Standing(why=why, revoked=s.revoked) for tree, s in found.items()}
    return found


def standings_now(library: Library, keyring: Keyring) -> dict[str, Standing]:
    """Of every skill as it lies there now, by name."""
    known = standings(library, keyring)
    return {name: known.get(tree_digest(tree), Standing()) for name, tree in library.trees().items()}


def standing(library: Library, keyring: Keyring, name: str) -> Standing:
    """Of a skill as it lies there now.

    Raises:
        UserError: there is no such skill.
    """
    found = standings_now(library, keyring)
    if name not in found:
        raise UserError(f"the library has no skill {name!r}", "`prowess show` lists its skills")
    return found[name]


def attested(told: Iterable[Heard], tree: str) -> dict[str, Verdict]:
    """The last verdict of each gate on a version, of those that a trusted approver has signed."""
    found: dict[str, Verdict] = {}
    for each in told:
        predicate = each.statement.predicate
        by_approver = any("approver" in key.roles for key in each.signers)
        if isinstance(predicate, Attestation) and each.statement.tree == tree and by_approver:
            found |= {verdict.gate: verdict for verdict in predicate.verdicts}
    return found


def history(library: Library, keyring: Keyring, told: Sequence[Heard] | None = None) -> list[str]:
    """What is wrong with the ledger as a whole: signed over another history, cut back, or rewritten; empty when sound.

    Notes the newest head where somebody trusted has signed something, so that a later cut is seen.
    """
    signed = [h for h in (heard(library, keyring) if told is None else told) if h.signers]
    # In this order: another process may add an entry, and note that it has seen it, between the two.
    seen = keyring.seen(library.path)
    heads = {head.number: head for head in library.trust.heads()}
    last = heads[max(heads)]
    broken = [
        f"entry {h.entry.number} was signed over another history"
        for h in signed
        if h.entry.number > seen.accepted
        and (heads.get(h.statement.head.number) != h.statement.head or h.statement.head.number != h.entry.number - 1)
    ]
    if heads.get(seen.head.number) != seen.head:
        what = "cut back" if last.number < seen.head.number else "rewritten"
        broken.append(f"it was {what} since it was seen here with {seen.head.number} entries")
    if not broken and signed and seen.head != last:
        # Where this cannot be kept, the next look compares with an older head: less is seen, nothing is trusted more.
        with suppress(UserError):
            keyring.remember(library.path, seen.model_copy(update={"head": last}))
    return broken


def accept(library: Library, keyring: Keyring) -> None:
    """Takes the ledger as it is now, whatever was wrong with it: a person has looked at it."""
    last = library.trust.heads()[-1]
    keyring.remember(library.path, Seen(head=last, accepted=last.number))


def _wrote(key: Key, authors: Iterable[str]) -> bool:
    """Whether the key's holder is among the authors of a version."""
    return bool(({*UNNAMED} if key.name == SELF else {key.name, key.id}) & set(authors))


def _weighed(told: Iterable[Heard]) -> dict[str, _Version]:
    versions: dict[str, _Version] = {}
    for each in told:
        predicate, tree = each.statement.predicate, each.statement.tree
        version = versions.setdefault(tree, _Version())
        match predicate:
            case Revocation():
                for hit in predicate.trees:
                    versions.setdefault(
                        hit, _Version()
                    ).revoked = f"{predicate.what} {predicate.id[:16]}: {predicate.reason}"
            case Demotion():
                left = {k: p.model_copy(update={"to": min(p.to, predicate.to)}) for k, p in version.promotions.items()}
                version.promotions = left if predicate.to > Tier.QUARANTINED else {}
                version.lowered = f"{predicate.by} lowered it: {predicate.reason}"
            case Promotion():
                for key in each.signers:
                    if "approver" in key.roles and not (predicate.to >= Tier.TRUSTED and _wrote(key, predicate.author)):
                        version.promotions[key.id] = predicate
            case Release():
                version.publisher = next((k.id for k in each.signers if "publisher" in k.roles), version.publisher)
            case Attestation() | Checkpoint():
                pass
    versions.pop("", None)
    return versions


def _standing(version: _Version) -> Standing:
    if version.revoked:
        return Standing(why=f"revoked with {version.revoked}", revoked=True)
    waits = ""
    for tier in (Tier.CERTIFIED, Tier.TRUSTED, Tier.REVIEWED):
        backers = [p for p in version.promotions.values() if p.to >= tier]
        if not backers:
            continue
        asked = backers[-1].capabilities
        if tier == Tier.CERTIFIED and not version.publisher:
            waits = "T4 waits for a release by a trusted publisher"
        elif tier >= Tier.TRUSTED and len(backers) < 2 and asked.scripts and (asked.programs or asked.hosts):
            waits = f"{tier} waits for a second person, since its scripts start programs or use the network"
        else:
            names = ", ".join(dict.fromkeys(p.by for p in backers))
            granted = asked if tier >= Tier.TRUSTED else Capabilities()
            why = "; ".join(filter(None, [f"{names} vouched for it", waits]))
            return Standing(tier=tier, why=why, granted=granted, publisher=version.publisher)
    return Standing(why=version.lowered or waits or Standing().why, publisher=version.publisher)


def _signers(entry: Stated, keys: Sequence[Key]) -> tuple[Key, ...]:
    payload = entry.payload.encode()
    return tuple(key for s in entry.signatures if (key := signer(keys, payload, s)) is not None)
