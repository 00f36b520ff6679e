"""Raising and lowering a skill: what each tier asks for, and the statement that moves it.

Raising is slow and needs evidence about the very version; lowering is instant and needs a reason. The scan and the
permissions are looked at anew at each promotion, everything else must have been attested.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from prowess.core.errors import Refused, UserError
from prowess.core.evidence import Verdict
from prowess.core.skill import Skill
from prowess.core.trust import OWN, Attestation, Demotion, Promotion, Release, Revocation, Tier
from prowess.guard.capabilities import MANIFEST, beyond_tier, declared, observed
from prowess.guard.keys import SELF, Keyring
from prowess.guard.scan import scan
from prowess.guard.taint import supported
from prowess.guard.tiers import UNNAMED, Heard, Standing, attested, heard, history, standing, standings
from prowess.library import Library
from prowess.library.disk import read_folder
from prowess.library.records import Stated
from prowess.library.trust import Lineage

GATES: Final = ("behaviour", "trials")
"""What must have passed, with a signed attestation, before T3: it did no harm in the sandbox, and it helps."""
ACTED_UPON: Final = (".md", ".py", ".sh", ".js")
"""What the scan reads before all else: instructions, and programs that it follows."""
PROBATION: Final = timedelta(days=30)
"""How long a version stands at T3 before it can be T4."""


def attest(library: Library, keyring: Keyring, name: str, verdicts: Iterable[Verdict], tree: str | None = None) -> None:
    """Signs what gates found out about a version of a skill, by default the present one; the same is signed once.

    Raises:
        UserError: there is no such skill or version.
    """
    version = tree or library.trust.tree(name)
    known = attested(heard(library, keyring), version)
    new = tuple(verdict for verdict in map(_without_trials, verdicts) if known.get(verdict.gate) != verdict)
    if new:
        library.trust.say(name, Attestation(verdicts=new), keyring.signing(), version)


def _without_trials(verdict: Verdict) -> Verdict:
    if verdict.evidence is None:
        return verdict
    return verdict.model_copy(update={"evidence": verdict.evidence.model_copy(update={"trials": ()})})


def missing(library: Library, keyring: Keyring, name: str, to: Tier) -> list[str]:
    """What stands between a skill, as it is now, and a tier, each as a sentence; empty when it may be promoted.

    Raises:
        UserError: there is no such skill.
    """
    return _missing(library, keyring, _Case.of(library, keyring, name), to)


@dataclass(frozen=True, slots=True)
class _Case:
    """One version of a skill, and all that is known of it at one instant."""

    name: str
    tree: str
    skill: Skill | None
    lineage: Lineage
    told: list[Heard]
    authors: tuple[str, ...]

    @classmethod
    def of(cls, library: Library, keyring: Keyring, name: str) -> "_Case":
        tree = library.trust.tree(name)
        lineage, told = library.trust.lineage(name), heard(library, keyring)
        skill = next((s for s in library.trust.contents([tree]).get(tree, ()) if s.name == name), None)
        # The ledger calls everybody "user" who works on it; whoever has released the version first was that user.
        released = (h for h in told if h.statement.tree == tree and isinstance(h.statement.predicate, Release))
        publisher = next((key for h in released for key in h.signers), None)
        authors = lineage.authors
        if publisher is not None and publisher.name != SELF:
            authors = tuple(publisher.id if author in UNNAMED else author for author in authors)
        return cls(name, tree, skill, lineage, told, authors)


def _missing(library: Library, keyring: Keyring, case: _Case, to: Tier) -> list[str]:
    if case.skill is None:
        return ["it cannot be read as a skill"]
    found = [f"the ledger cannot be trusted: {problem}" for problem in history(library, keyring, case.told)]
    found += [f"the folder holds what is not versioned: {p}" for p in read_folder(library.path / case.name).problems]
    if (now := standings(library, keyring).get(case.tree, Standing())).revoked:
        found.append(f"this version is {now.why}")
    learned = bool(case.lineage.principals) or library.is_authored(case.name)
    seen = scan(case.skill, learned=learned)
    found += [f"the scan blocks {f.file}, line {f.line}: {f.why}" for f in seen if f.severity == "block"][:5]
    # Harm lies where nobody looks: behind a page of blanks, or behind other files.
    unread = (f for f in seen if f.rule == "unread" and f.file.endswith(ACTED_UPON))
    found += [f"the scan has not read all of {f.file}: {f.excerpt}" for f in unread][:1]
    principals = case.lineage.principals.values()
    if not supported(principals):
        found.append("it was learned from strangers, and too few of them show the same")
    verdicts = attested(case.told, case.tree)
    for gate in GATES if to >= Tier.TRUSTED else GATES[:1] if set(principals) - {OWN} else ():
        if (verdict := verdicts.get(gate)) is None:
            found.append(f"nobody has attested that it passes the gate {gate}")
        elif verdict.status != "pass":
            found.append(f"it did not pass the gate {gate}: {verdict.note or verdict.status}")
    if to >= Tier.TRUSTED:
        if (read := verdicts.get("semantic")) is not None and read.status == "fail":
            found.append(f"it did not pass the gate semantic: {read.note}")
        found += permission(case.skill, to)
        if UNNAMED & set(case.authors):
            found.append(
                "you wrote it, so somebody else must vouch for it; where somebody else did, they sign it first"
            )
    if to == Tier.CERTIFIED:
        found += _certification(case.told, case.tree, library.trust.now())
    return found


def permission(skill: Skill, to: Tier) -> list[str]:
    """What a skill does without having declared it, and what it declares that its tier does not allow."""
    try:
        asked = declared(skill)
    except UserError as error:
        return [error.message]
    found: list[str] = []
    if hidden := observed(skill).beyond(asked):
        found.append(f"it does more than it declares in {MANIFEST}: {hidden}")
    if denied := beyond_tier(asked, to):
        found.append(f"{to} does not allow: {denied}")
    return found


def promote(
    library: Library,
    keyring: Keyring,
    name: str,
    to: Tier,
    *,
    by: str = SELF,
    reason: str = "",
    tree: str | None = None,
) -> Standing:
    """Vouches for a skill as it is now, with one's own key; returns how it stands then.

    Scripts that start other programs or use the network need two people for T3 and above: until the second one has said
    so, the skill stays where it is.

    Args:
        tree: Digest of the version that was looked at; another one is not vouched for.

    Raises:
        Refused: something is missing, and the text says all of it; or the skill is another version by now.
        UserError: there is no such skill.
    """
    case = _Case.of(library, keyring, name)
    if tree not in (None, case.tree):
        raise Refused(f"{name} was changed meanwhile", "look at it again")
    if found := _missing(library, keyring, case, to):
        raise Refused(f"{name} cannot be {to}: {'; '.join(found)}", f"`prowess trust {name}` shows where it stands")
    assert case.skill is not None
    passed = tuple(v for v in attested(case.told, case.tree).values() if v.status == "pass")
    promotion = Promotion(
        to=to, by=by, reason=reason, capabilities=declared(case.skill), author=case.authors, evidence=passed
    )
    library.trust.say(name, promotion, keyring.signing(), case.tree)
    return standings(library, keyring).get(case.tree, Standing())


def demote(
    library: Library, keyring: Keyring, name: str, to: Tier = Tier.QUARANTINED, *, by: str = SELF, reason: str
) -> Standing:
    """Lowers a skill as it is now, at once; returns how it stands then.

    Raises:
        UserError: there is no such skill.
    """
    library.trust.say(name, Demotion(to=to, by=by, reason=reason))
    return standing(library, keyring, name)


def vouch(library: Library, keyring: Keyring, name: str) -> bool:
    """Promotes a skill to T2 without a person, where that may be; says whether.

    It may where everything behind it is the user's own and the semantic gate has passed the text.
    """
    own = set(library.trust.lineage(name).principals.values()) <= {OWN}
    read = attested(heard(library, keyring), library.trust.tree(name)).get("semantic")
    if not own or read is None or read.status != "pass" or missing(library, keyring, name, Tier.REVIEWED):
        return False
    promote(library, keyring, name, Tier.REVIEWED, by="gates", reason="own sessions only, and every gate passed")
    return True


def revoke(library: Library, keyring: Keyring, what: Revocation) -> Stated:
    """Revokes a skill, a key, or a trajectory with everything that was learned from it, in one ledger entry.

    Raises:
        UserError: nothing here rests on it.
    """
    entry = library.trust.revoke(what, keyring.signing())
    standings(library, keyring)  # notes the head, so that the entry cannot be cut off again
    return entry


def _certification(told: Iterable[Heard], tree: str, now: str) -> list[str]:
    """What T4 asks for beside T3: a publisher's release, and a month without anything bad."""
    since, released = "", False
    for each in told:
        predicate = each.statement.predicate
        if each.statement.tree != tree:
            continue
        if isinstance(predicate, Demotion):
            since = ""
        elif isinstance(predicate, Promotion) and each.signers and predicate.to >= Tier.TRUSTED:
            since = since or each.entry.when
        elif isinstance(predicate, Release):
            released = released or any("publisher" in key.roles for key in each.signers)
    found = [] if released else ["no trusted publisher has released it"]
    if not since or datetime.fromisoformat(now) - datetime.fromisoformat(since) < PROBATION:
        found.append(
            f"it must stand at T3 for {PROBATION.days} days" + (f", and does since {since[:10]}" if since else "")
        )
    return found
