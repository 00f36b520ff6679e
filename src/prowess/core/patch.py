"""Patches: proposed operations on a library, against a named base, with the lessons that justify them.

Applying one is pure and lives in `prowess.library.patching`. Anchors (`section`, `anchor`, `old`) are exact text; one
that is not found, or is found twice, is a conflict and never a silent skip.
"""

from typing import Annotated, Literal

from pydantic import Field

from prowess.core.base import Frozen, digest
from prowess.core.skill import Skill


class CreateSkill(Frozen):
    op: Literal["create_skill"] = "create_skill"
    skill: Skill


class DeleteSkill(Frozen):
    op: Literal["delete_skill"] = "delete_skill"
    name: str


class RenameSkill(Frozen):
    op: Literal["rename_skill"] = "rename_skill"
    name: str
    new_name: str


class SetDescription(Frozen):
    op: Literal["set_description"] = "set_description"
    name: str
    description: str


class Replace(Frozen):
    """Replace `old` by `new` in a file of a skill; an empty `new` deletes."""

    op: Literal["replace"] = "replace"
    name: str
    file: str = "SKILL.md"
    old: str
    new: str


class Insert(Frozen):
    """Insert `content` before or after the line that holds `anchor`."""

    op: Literal["insert"] = "insert"
    name: str
    file: str = "SKILL.md"
    where: Literal["before", "after"]
    anchor: str
    content: str


class AppendToSection(Frozen):
    """Append `content` to the end of a section (`section` is its heading without the `#`)."""

    op: Literal["append_to_section"] = "append_to_section"
    name: str
    file: str = "SKILL.md"
    section: str
    content: str


class AddSection(Frozen):
    """Add a level-two section; at the end, or after the section named `after`."""

    op: Literal["add_section"] = "add_section"
    name: str
    file: str = "SKILL.md"
    section: str
    content: str
    after: str | None = None


class DeleteSection(Frozen):
    op: Literal["delete_section"] = "delete_section"
    name: str
    file: str = "SKILL.md"
    section: str


class WriteFile(Frozen):
    """Create or overwrite a file other than SKILL.md. The same patch must link it from SKILL.md."""

    op: Literal["write_file"] = "write_file"
    name: str
    file: str
    content: str


class DeleteFile(Frozen):
    op: Literal["delete_file"] = "delete_file"
    name: str
    file: str


Operation = Annotated[
    CreateSkill
    | DeleteSkill
    | RenameSkill
    | SetDescription
    | Replace
    | Insert
    | AppendToSection
    | AddSection
    | DeleteSection
    | WriteFile
    | DeleteFile,
    Field(discriminator="op"),
]


class Patch(Frozen):
    base: str
    """Digest of the snapshot that the author of the patch saw."""
    operations: tuple[Operation, ...]
    reason: str
    lessons: tuple[str, ...] = ()
    """Ids of the lessons that justify it."""
    author: str = ""
    """Recipe, tool or person."""

    @property
    def id(self) -> str:
        return digest(self)[:16]

    @property
    def only_removes(self) -> bool:
        """Whether it takes text or files away and adds none: then the question is what is lost, not what is gained."""
        return bool(self.operations) and all(
            isinstance(op, DeleteSkill | DeleteSection | DeleteFile) or (isinstance(op, Replace) and not op.new)
            for op in self.operations
        )
