"""What the ledger of a library holds: changes, proposals and what became of them, refusals, audits, trust."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from prowess.core.base import Frozen
from prowess.core.cost import Cost
from prowess.core.evidence import Verdict
from prowess.core.lesson import Lesson
from prowess.core.patch import Patch
from prowess.core.trust import Signature, Statement
from prowess.core.upkeep import Audit


class Change(Frozen):
    """One step of a library from a snapshot to the next. Change number n is followed by number n + 1."""

    record: Literal["change"] = "change"
    number: int
    """Place in the ledger, from 1; all kinds of entries are numbered together."""
    id: str
    when: str
    """ISO 8601, UTC."""
    kind: Literal["apply", "undo", "external"]
    """`external`: somebody edited the folders without prowess, which is recorded before anything else; or skills from
    elsewhere were brought in."""
    before: str
    after: str
    """Digests of the snapshots."""
    trees: dict[str, tuple[str | None, str | None]]
    """For each skill that changed, the content digests of its folder before and after; None where it is not there."""
    patch: Patch | None = None
    """As it was applied; None for `undo` and `external`."""
    patch_id: str | None = None
    """Id of the patch as it was handed in, which differs from `patch.id` when it was rebased."""
    rebased: Literal["same base", "operations fit", "merged"] = "same base"
    undoes: str | None = None
    """For `undo`: id of the change that it reverts."""
    verdicts: tuple[Verdict, ...] = ()
    lessons: tuple[Lesson, ...] = ()
    cost: Cost = Cost()
    by: str = ""
    kept: tuple[str, ...] = ()
    """SHA-256 of each `KeptTask` that it left behind, stored among the blobs."""


class Proposal(Frozen):
    """A patch that waits for a person."""

    record: Literal["proposal"] = "proposal"
    number: int
    id: str
    """Id of the patch."""
    when: str
    patch: Patch
    lessons: tuple[Lesson, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    by: str = ""


class Rejection(Frozen):
    """A person's no to a proposal."""

    record: Literal["rejection"] = "rejection"
    number: int
    proposal: str
    when: str
    reason: str = ""


class Refusal(Frozen):
    """The gates' no to a patch: nothing changed, but what was asked, answered and paid is not forgotten."""

    record: Literal["refusal"] = "refusal"
    number: int
    when: str
    patch: Patch
    lessons: tuple[Lesson, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    by: str = ""


class Audited(Frozen):
    """A finished audit of one skill."""

    record: Literal["audited"] = "audited"
    number: int
    when: str
    audit: Audit
    by: str = ""


class Stated(Frozen):
    """A statement about how far a version is trusted, with the signatures under it."""

    record: Literal["stated"] = "stated"
    number: int
    when: str
    payload: str
    """The statement as JSON, to the letter as it was signed."""
    signatures: tuple[Signature, ...] = ()

    @property
    def statement(self) -> Statement | None:
        """None for a payload that is no statement: it says nothing, and so raises no trust."""
        try:
            return Statement.model_validate_json(self.payload)
        except ValidationError:
            return None


class Version(Frozen):
    """One state of one skill."""

    name: str
    tree: str | None
    """Content digest of the folder; None where the change deleted it."""
    authored: bool
    """Whether prowess wrote the skill."""
    change: str
    number: int
    when: str
    kind: Literal["apply", "undo", "external"]
    by: str = ""


class Use(Frozen):
    """How often trajectories were offered a skill, loaded it, used it, and passed when they had used it."""

    skill: str
    offered: int = 0
    loaded: int = 0
    used: int = 0
    passed: int = 0
    """Of those that used it, how many passed by a trusted score."""
    failed: int = 0
    last_offered: str = ""
    last_loaded: str = ""
    last_used: str = ""
    last_passed: str = ""
    """When each was last told to the library, ISO 8601, UTC; empty for never."""


Entry = Change | Proposal | Rejection | Refusal | Audited | Stated
RECORD: TypeAdapter[Entry] = TypeAdapter(Annotated[Entry, Field(discriminator="record")])
