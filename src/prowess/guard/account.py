"""All that is known of the trust in one skill, in one place: what a person reads before deciding on it."""

from prowess.core.base import Frozen
from prowess.core.errors import UserError
from prowess.core.evidence import Verdict
from prowess.core.trust import (
    OWN,
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
from prowess.guard.capabilities import declared, observed
from prowess.guard.keys import Keyring
from prowess.guard.promotion import missing
from prowess.guard.tiers import Heard, Standing, attested, heard, standings
from prowess.library import Library


class Event(Frozen):
    """One step in the history of a skill."""

    when: str
    what: str
    by: str
    tree: str | None
    """Of the version that it is about; None where the skill was not there."""
    signed: str = ""
    """Name of the trusted key; empty for none."""


class Account(Frozen):
    """How one skill, as it is now, stands."""

    name: str
    tree: str
    tier: Tier
    why: str
    next: Tier | None
    """The tier above; None at the top."""
    lacks: tuple[str, ...]
    """What stands between."""
    declared: Capabilities | None
    """None where the manifest cannot be read."""
    observed: Capabilities
    granted: Capabilities
    gained: Capabilities
    """What it declares that its version before did not."""
    authors: tuple[str, ...]
    trajectories: int
    principals: int
    """People whose sessions it was learned from, the user among them."""
    strangers: tuple[str, ...]
    evidence: tuple[Verdict, ...]
    history: tuple[Event, ...]
    """Newest first."""


def account(library: Library, keyring: Keyring, name: str) -> Account:
    """Raises UserError where there is no such skill, or it cannot be read as one."""
    tree, lineage = library.trust.tree(name), library.trust.lineage(name)
    skill = library.snapshot().get(name)
    if skill is None:
        raise UserError(f"{name!r} cannot be read as a skill", "`prowess show` says what is wrong with it")
    told = heard(library, keyring)
    stands = standings(library, keyring).get(tree, Standing())
    above = None if stands.tier == Tier.CERTIFIED else Tier(stands.tier + 1)
    asked = _declared(library, name, tree)
    before = next((v.tree for v in library.versions(name) if v.tree not in (tree, None)), None)
    earlier = _declared(library, name, before) if before else None
    people = set(lineage.principals.values())
    return Account(
        name=name,
        tree=tree,
        tier=stands.tier,
        why=stands.why,
        next=above,
        lacks=tuple(missing(library, keyring, name, above)) if above else (),
        declared=asked,
        observed=observed(skill),
        granted=stands.granted,
        gained=(asked or Capabilities()).beyond(earlier or Capabilities()),
        authors=lineage.authors,
        trajectories=len(lineage.principals),
        principals=len(people),
        strangers=tuple(sorted(people - {OWN})),
        evidence=tuple(attested(told, tree).values()),
        history=_history(library, name, told),
    )


def _declared(library: Library, name: str, tree: str) -> Capabilities | None:
    skills = [s for s in library.trust.contents([tree]).get(tree, ()) if s.name == name]
    try:
        return declared(skills[0]) if skills else None
    except UserError:
        return None


def _history(library: Library, name: str, told: list[Heard]) -> tuple[Event, ...]:
    versions = library.versions(name)
    trees = {v.tree for v in versions}
    kinds = {"apply": "changed", "undo": "taken back", "external": "edited by hand"}
    events = [Event(when=v.when, what=kinds[v.kind], by=v.by, tree=v.tree) for v in versions]
    for each in told:
        hit = isinstance(each.statement.predicate, Revocation) and trees & {*each.statement.predicate.trees}
        if hit or (each.statement.skill == name and each.statement.tree in trees):
            what, by = _said(each.statement)
            tree = each.statement.tree or None
            signed = ", ".join(key.name for key in each.signers)
            events.append(Event(when=each.entry.when, what=what, by=by, tree=tree, signed=signed))
    return tuple(sorted(events, key=lambda e: e.when, reverse=True))


def _said(statement: Statement) -> tuple[str, str]:
    predicate = statement.predicate
    match predicate:
        case Promotion():
            return f"vouched for up to {predicate.to}: {predicate.reason}".rstrip(": "), predicate.by
        case Demotion():
            return f"lowered to {predicate.to}: {predicate.reason}", predicate.by
        case Revocation():
            return f"revoked with {predicate.what} {predicate.id[:16]}: {predicate.reason}", predicate.by
        case Release():
            return f"released as {predicate.version}", ""
        case Checkpoint():
            return "the log was published", ""
        case Attestation():
            gates = ", ".join(f"{v.gate} {v.status}" for v in predicate.verdicts)
            return f"attested: {gates}", ""
