"""How far a version of a skill is trusted, what it may do, and the statements that say so.

A statement is a claim about one version of a skill (its tree digest), in the form of in-toto (Statement v1). Signed
ones can raise trust, where the key is one that the reader trusts; anybody may lower it. Making, signing and weighing
them is the work of `prowess.library.trust` and `prowess.guard`.
"""

from enum import IntEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from prowess.core.base import Frozen
from prowess.core.errors import UserError
from prowess.core.evidence import Verdict

OWN = ""
"""The principal whose machine this is: sessions and lessons that name nobody else are the user's own."""


class Tier(IntEnum):
    """How far one version of a skill is trusted. A version that nobody has vouched for is quarantined."""

    QUARANTINED = 1
    REVIEWED = 2
    TRUSTED = 3
    CERTIFIED = 4

    def __str__(self) -> str:
        return f"T{self.value}"

    @classmethod
    def parse(cls, text: str) -> "Tier":
        """The tier called `T2`, `2` or `reviewed`.

        Raises:
            UserError: no tier is called so.
        """
        for tier in cls:
            if text.casefold() in (str(tier).casefold(), str(tier.value), tier.name.casefold()):
                return tier
        raise UserError(f"no tier is called {text!r}", "say T1, T2, T3 or T4")


class Capabilities(Frozen):
    """What a skill does beyond reading and writing files in the folder of its task. Each list is sorted."""

    scripts: tuple[str, ...] = ()
    """Paths of the programs that it brings."""
    programs: tuple[str, ...] = ()
    """Other programs that those start; `*` where that cannot be known without running them."""
    paths: tuple[str, ...] = ()
    """Places outside of the work folder that it reads or writes, as it names them."""
    hosts: tuple[str, ...] = ()
    """Machines that it talks to; `*` for any."""
    env: tuple[str, ...] = ()
    """Environment variables that it reads, secrets among them; `*` for any."""
    agent: tuple[str, ...] = ()
    """Parts of the agent itself that it changes: `memory`, `settings`."""

    def beyond(self, granted: "Capabilities") -> "Capabilities":
        """What this asks for that `granted` does not hold."""
        return Capabilities.model_validate(
            {
                name: sorted(set(asked) - set(given)) if "*" not in given else ()
                for name, asked, given in self._with(granted)
            }
        )

    def __or__(self, other: "Capabilities") -> "Capabilities":
        return Capabilities.model_validate({name: sorted({*mine, *theirs}) for name, mine, theirs in self._with(other)})

    def __bool__(self) -> bool:
        return any(mine for _, mine, _ in self._with(self))

    def __str__(self) -> str:
        """`hosts api.example.org; programs git`, or `none`."""
        return "; ".join(f"{name} {', '.join(mine)}" for name, mine, _ in self._with(self) if mine) or "none"

    def _with(self, other: "Capabilities") -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
        return [(name, getattr(self, name), getattr(other, name)) for name in Capabilities.model_fields]


class Head(Frozen):
    """A ledger as it was when a statement was added: signed along with it, so that history cannot be rewritten."""

    number: int
    """Of the last entry; 0 for an empty ledger."""
    chain: str
    """SHA-256 over the chain before, the number and the SHA-256 of the entry, from the first entry on."""


class Promotion(Frozen):
    """Somebody vouches for a version up to a tier. It counts once enough of those who are trusted have done so."""

    kind: Literal["promotion"] = "promotion"
    to: Tier
    by: str
    """Name of the person."""
    reason: str = ""
    capabilities: Capabilities = Capabilities()
    """What the version may do: declared by it, and looked at by the person."""
    author: tuple[str, ...] = ()
    """Who wrote the version, as far as the ledger knows."""
    evidence: tuple[Verdict, ...] = ()


class Demotion(Frozen):
    """The version is trusted up to this tier at most, whatever was said before. Needs no signature."""

    kind: Literal["demotion"] = "demotion"
    to: Tier = Tier.QUARANTINED
    by: str
    reason: str


class Attestation(Frozen):
    """What gates found out about a version, for promotions to rest on."""

    kind: Literal["attestation"] = "attestation"
    verdicts: tuple[Verdict, ...]


class Revocation(Frozen):
    """A version, a key or a trajectory is not to be trusted any more, and nothing that rests on it. For good.

    Needs no signature, except for a key, which only its holder or one who pinned it can revoke.
    """

    kind: Literal["revocation"] = "revocation"
    what: Literal["skill", "key", "trajectory"]
    id: str
    """Name of the skill, id of the key or of the trajectory."""
    trees: tuple[str, ...] = ()
    """Every version that this takes down: all of the skill's, or all that were learned from the trajectory."""
    by: str
    reason: str


class Release(Frozen):
    """A version is published, and this is where it comes from."""

    kind: Literal["release"] = "release"
    version: str
    origin: Literal["learned", "authored", "imported"]
    parent: str | None = None
    """Tree digest of the version before."""
    authors: tuple[str, ...] = ()
    """Recipes, tools and people that wrote it."""
    trajectories: tuple[str, ...] = ()
    """Ids of those that lessons behind it refer to."""
    principals: int = 0
    """How many people's trajectories those are; their names stay at home."""
    verdicts: tuple[Verdict, ...] = ()
    """What gates said of it, without single trials."""
    tools: str = ""
    """Name and version of what made this statement."""
    files: dict[str, str] = {}
    """Every file of the folder with its SHA-256: one more, one less or another is not this release."""


class Checkpoint(Frozen):
    """The log of a library's statements as it is published: its digest, and what it has taken back, until a date."""

    kind: Literal["checkpoint"] = "checkpoint"
    size: int
    """Statements before this one."""
    root: str = Field(pattern="^[0-9a-f]{64}$")
    """The digest over their payloads (`prowess.core.merkle`), in hex."""
    expires: str
    """From then on it says nothing: something may have been revoked since. ISO 8601, UTC."""
    revoked: tuple[str, ...] = ()
    """Tree digest of every version that was taken down."""


Predicate = Annotated[
    Promotion | Demotion | Attestation | Revocation | Release | Checkpoint,
    Field(discriminator="kind"),
]


class Subject(Frozen):
    name: str
    digest: dict[str, str]
    """`sha256`: the tree digest, which is the SHA-256 of sorted lines `path NUL sha256-of-bytes LF`."""


class Statement(Frozen):
    """An in-toto statement."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    type: Literal["https://in-toto.io/Statement/v1"] = Field(default="https://in-toto.io/Statement/v1", alias="_type")
    subject: tuple[Subject, ...]
    predicate_type: str = Field(alias="predicateType")
    """`prowess/<kind>/v1`."""
    predicate: Predicate
    head: Head
    """Of the ledger that it was made in."""

    @property
    def skill(self) -> str:
        return self.subject[0].name if self.subject else ""

    @property
    def tree(self) -> str:
        return self.subject[0].digest.get("sha256", "") if self.subject else ""


class Signature(Frozen):
    key: str
    """Id of the key: `ed25519:` and 32 hex digits, or `ssh:` and the fingerprint that ssh-keygen prints."""
    value: str
    """Base64; for SSH keys the armoured signature that ssh-keygen writes."""
