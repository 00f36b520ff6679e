"""What a person does with a proposal: use it, tweak it, or skip it. The same on the hub and on one's own machine."""

from typing import NamedTuple

from prowess.core.errors import PatchConflict, Refused, UserError
from prowess.core.evidence import Verdict
from prowess.core.patch import CreateSkill, DeleteSkill, Patch
from prowess.core.skill import Skill, Snapshot
from prowess.core.trust import Tier
from prowess.guard.keys import Keyring
from prowess.guard.promotion import promote
from prowess.guard.redact import redact
from prowess.guard.scan import scan_change
from prowess.library import Change, Library, Proposal
from prowess.library.patching import touched
from prowess.library.skillmd import parse


class Used(NamedTuple):
    """What became of a proposal that somebody used."""

    change: Change
    held: dict[str, str]
    """Skills of it that stay in quarantine, each with what stands against more."""


def find(library: Library, id: str) -> Proposal:
    """The waiting proposal of this id; UserError where none waits."""
    found = next((proposal for proposal in library.proposals() if proposal.id == id), None)
    if found is None:
        raise UserError(f"no proposal {id!r} waits", "somebody may have decided on it meanwhile")
    return found


def use(library: Library, keyring: Keyring, id: str, *, by: str, foreign: bool = False) -> Used:
    """Applies a proposal as it is; who says so has read it, so its skills are reviewed unless something stands against.

    Raises:
        PatchConflict: it does not fit the library any more.
        Refused: it would change a skill that prowess did not write, and `foreign` is not set.
        UserError: none of this id waits.
    """
    change = library.accept(find(library, id).id, by=by, allow_foreign=foreign)
    return Used(change, reviewed(library, keyring, change, by))


def tweak(library: Library, keyring: Keyring, id: str, text: str, *, by: str, foreign: bool = False) -> Used:
    """Applies a proposal with another SKILL.md than it has. What gates measured was another text.

    Raises:
        UserError: the text is no valid SKILL.md of that skill, or holds something dangerous; or as `use` does.
    """
    proposal = find(library, id)
    after = candidate(library, proposal)
    name = only_skill(proposal, after)
    old = library.snapshot()
    was, meant = old.get(name), after.get(name)
    assert meant is not None  # `only_skill` has seen it
    skill = parse(redact(text), "the tweaked SKILL.md").model_copy(update={"files": meant.files})
    if skill.name != name:
        raise UserError(f"the tweaked text is of a skill {skill.name!r}", f"keep the name {name!r}")
    if skill == meant:
        return use(library, keyring, id, by=by, foreign=foreign)
    if blocked := [found for found in scan_change(skill, was) if found.severity == "block"]:
        raise UserError(f"the tweaked skill is not safe: {blocked[0].why}", "take that out")
    patch = Patch(
        base=old.digest,
        operations=(*([DeleteSkill(name=name)] if was is not None else []), CreateSkill(skill=skill)),
        reason=f"{proposal.patch.reason}, tweaked by {by}",
        lessons=proposal.patch.lessons,
        author=by,
    )
    told = Verdict(gate="review", status="pass", note=f"{by} tweaked proposal {proposal.id} and took it")
    change = library.apply(patch, verdicts=(told,), lessons=proposal.lessons, by=by, allow_foreign=foreign)
    library.reject(proposal.id, f"tweaked into change {change.id}")
    return Used(change, reviewed(library, keyring, change, by))


def skip(library: Library, id: str, reason: str = "", *, by: str) -> None:
    """Takes a proposal from the queue for good; UserError where none of this id waits."""
    library.reject(find(library, id).id, f"{by}: {redact(reason)}" if reason else by)


def candidate(library: Library, proposal: Proposal) -> Snapshot:
    """The library as it would be with the proposal; PatchConflict where it does not fit."""
    return library.preview(proposal.patch)


def only_skill(proposal: Proposal, after: Snapshot) -> str:
    """The one skill that a proposal writes; UserError where there are more, or none."""
    names = [name for name in touched(proposal.patch) if after.get(name) is not None]
    if len(names) != 1:
        raise UserError(
            "this proposal does not write just one skill, so there is no one text to tweak", "use or skip it"
        )
    return names[0]


def differing(library: Library, proposal: Proposal) -> tuple[list[tuple[Skill | None, Skill | None]], str]:
    """Each skill that it would change, as it is and as it would be; and why it does not fit, where it does not."""
    now = library.snapshot()
    try:
        after = candidate(library, proposal)
    except PatchConflict as conflict:
        return [], "; ".join(conflict.conflicts)
    pairs = [(now.get(name), after.get(name)) for name in touched(proposal.patch)]
    return [pair for pair in pairs if pair[0] != pair[1]], ""


def reviewed(library: Library, keyring: Keyring, change: Change, by: str) -> dict[str, str]:
    """Vouches at T2 for what somebody has read and taken; the skills where that may not be, each with the reason."""
    held: dict[str, str] = {}
    for name, (_, tree) in change.trees.items():
        if tree is not None:
            try:
                promote(
                    library, keyring, name, Tier.REVIEWED, by=by, reason=f"accepted change {change.id[:8]}", tree=tree
                )
            except Refused as refused:
                held[name] = refused.message
    return held
