"""Skills and snapshots of them, as plain data. Reading and writing folders is the library's work."""

from itertools import pairwise

from prowess.core.base import Frozen, digest
from prowess.core.errors import UserError
from prowess.core.task import File


class Skill(Frozen):
    """One skill: the frontmatter fields of the Agent Skills format, the body, and the other files of its folder."""

    name: str
    description: str
    body: str
    """Markdown after the frontmatter, without a leading blank line, ending in a newline."""
    license: str | None = None
    compatibility: str | None = None
    allowed_tools: str | None = None
    metadata: dict[str, str] = {}
    files: tuple[File, ...] = ()
    """All files but SKILL.md, sorted by path."""

    @property
    def digest(self) -> str:
        """Identity of the content; equal text means equal digest, wherever the skill lies."""
        return digest(
            [
                [self.name, self.description, self.license, self.compatibility, self.allowed_tools, self.metadata],
                self.body,
                [(f.path, f.sha256) for f in self.files],
            ]
        )

    def file(self, path: str) -> File | None:
        return next((f for f in self.files if f.path == path), None)


class Snapshot(Frozen):
    """The whole library at one instant; a value, so that analysts and trials can share it safely."""

    skills: tuple[Skill, ...] = ()
    """Sorted by name; names are unique."""

    @classmethod
    def of(cls, skills: "list[Skill] | tuple[Skill, ...]") -> "Snapshot":
        """A snapshot of `skills` in canonical order.

        Raises:
            UserError: two skills share a name.
        """
        ordered = tuple(sorted(skills, key=lambda s: s.name))
        for left, right in pairwise(ordered):
            if left.name == right.name:
                raise UserError(f"two skills are named {left.name!r}", "rename one of them")
        return cls(skills=ordered)

    @property
    def digest(self) -> str:
        return digest([(s.name, s.digest) for s in self.skills])

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(s.name for s in self.skills)

    def get(self, name: str) -> Skill | None:
        return next((s for s in self.skills if s.name == name), None)

    def with_skill(self, skill: Skill) -> "Snapshot":
        """This snapshot with `skill` added, or put in place of the one of its name."""
        return Snapshot.of([s for s in self.skills if s.name != skill.name] + [skill])

    def without(self, name: str) -> "Snapshot":
        return Snapshot(skills=tuple(s for s in self.skills if s.name != name))
