"""What an agent is shown of a library for one task."""

from typing import Literal

from prowess.core.base import Frozen, digest
from prowess.core.skill import Skill


class View(Frozen):
    """Skills offered to an agent, and how."""

    snapshot: str
    """Digest of the snapshot they come from."""
    skills: tuple[Skill, ...] = ()
    disclosure: Literal["preload", "progressive"] = "preload"
    """`preload`: bodies stand in the prompt. `progressive`: names and descriptions do; bodies are read on demand."""

    @property
    def digest(self) -> str:
        """Equal views show the agent equal text, whatever else the library holds."""
        return digest([self.disclosure, [s.digest for s in self.skills]])
