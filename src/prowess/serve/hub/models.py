"""What goes in and out of the hub's API; the client and the OpenAPI description are made of the same."""

from typing import Annotated, Literal

from pydantic import Field

from prowess.core.base import Frozen
from prowess.core.evidence import Verdict
from prowess.core.trajectory import Trajectory
from prowess.serve.hub.accounts import NAME, RIGHTS, Role, Settings, Token

Name = Annotated[str, Field(pattern=f"^{NAME}$")]
Text = Annotated[str, Field(max_length=2000)]
Digest = str
"""64 hexadecimal digits."""


class Health(Frozen):
    status: Literal["ok"] = "ok"
    version: str


class Me(Frozen):
    account: str
    admin: bool
    roles: dict[str, str]
    """By project."""
    rights: tuple[str, ...]


class NewAccount(Frozen):
    name: Name
    admin: bool = False


class NewToken(Frozen):
    label: Annotated[str, Field(max_length=100)] = ""
    rights: tuple[str, ...] = Field(default=RIGHTS, max_length=len(RIGHTS))
    project: Name | None = None
    """Binds the token to one project."""
    days: Annotated[float, Field(gt=0, le=3650)] | None = None


class IssuedToken(Frozen):
    token: Token
    secret: str
    """Shown this once."""


class NewProject(Frozen):
    name: Name
    manager: Name


class ProjectView(Frozen):
    name: str
    role: str
    settings: Settings


class NewRole(Frozen):
    role: Role


class SkillView(Frozen):
    """A skill in a list."""

    name: str
    description: str
    digest: Digest
    """Of its folder."""


class SkillList(Frozen):
    head: str
    """Changes whenever the list may have."""
    skills: tuple[SkillView, ...]


class SkillFile(Frozen):
    path: str
    data: bytes
    """Base64 in JSON."""


class WholeSkill(Frozen):
    name: str
    digest: Digest
    files: tuple[SkillFile, ...]


class Found(Frozen):
    name: str
    description: str
    score: float


class SearchQuery(Frozen):
    q: Annotated[str, Field(max_length=20_000)]
    limit: Annotated[int, Field(ge=1, le=50)] = 5


class UploadQuery(Frozen):
    format: Annotated[str, Field(max_length=20)] = "atif"


class Uploaded(Frozen):
    ids: tuple[str, ...]
    """Of the sessions as the hub knows them."""


class PageQuery(Frozen):
    before: Annotated[float, Field(ge=0, le=1e12)] = 1e12
    """Seconds since 1970: only what is older."""
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class WholeSession(Frozen):
    account: str
    received: float
    trajectory: Trajectory


class NewProposal(Frozen):
    """The whole of a skill as it should be; no files at all to have it removed."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    files: tuple[SkillFile, ...] = Field(default=(), max_length=200)
    reason: Text = ""
    base: Digest | None = None
    """Digest of the skill that it was made from; a proposal for another one than is there is a conflict."""


class ProposalView(Frozen):
    id: str
    when: str
    by: str
    reason: str
    skills: tuple[str, ...]
    verdicts: tuple[Verdict, ...]


class WholeProposal(ProposalView):
    diff: str
    conflict: str = ""
    """Why it does not fit the library any more."""


class Use(Frozen):
    text: Annotated[str, Field(max_length=65_536)] | None = None
    """Another SKILL.md than the proposal has."""
    foreign: bool = False
    """Let it change a skill that prowess did not write."""


class Skip(Frozen):
    reason: Text = ""


class Decided(Frozen):
    change: str
    held: dict[str, str] = {}
    """Skills that stay in quarantine, each with what stands against more."""


class ChangeView(Frozen):
    id: str
    when: str
    kind: str
    by: str
    reason: str
    skills: tuple[str, ...]


class NewJob(Frozen):
    kind: Literal["learn", "validate", "tidy"]
    given: Annotated[str, Field(max_length=64)] = ""
    """For `validate`, the id of a proposal."""


class AuditQuery(Frozen):
    before: Annotated[str, Field(max_length=64)] = "~"
    limit: Annotated[int, Field(ge=1, le=500)] = 100


class Deleted(Frozen):
    sessions: int
    revoked: int
    """Of them, those that a skill rests on: the skill is in quarantine now."""
