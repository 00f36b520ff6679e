"""What a library remembers in order to look after its skills: audits of each, and tasks that must stay solved."""

from prowess.core.base import Frozen, digest
from prowess.core.evidence import Evidence
from prowess.core.task import File, Task


class Audit(Frozen):
    """What leaving one skill out changed, and under which conditions that was measured."""

    skill: str
    digest: str
    """Of the skill's content."""
    others: str
    """Digest of the library without the skill."""
    agent: str
    """Name of the agent, which says its version, settings and model."""
    suite: str
    tasks: str
    """Digest of the tasks and the seed, so that two audits with equal outcomes are still two."""
    evidence: Evidence
    """Treatment is the library, baseline the library without the skill, on tasks that show it: a positive effect is
    what the skill contributes. Its trials lie in the store that paid for them, not here."""

    @property
    def id(self) -> str:
        return digest(self)[:16]


class KeptTask(Frozen):
    """A regression check: a task of the evidence split that the agent passed with an accepted change.

    Later changes must keep it solved. It can show a loss, never a gain: the learner has seen it.
    """

    task: Task
    skills: tuple[str, ...]
    """Names of the skills that the agent was shown."""
    read: str
    """Digest of all that the agent read of them; equal text asks for equal work."""
    agent: str
    seed: int
    """It was chosen because it passed under this seed, so it is tried under others, or luck would count for it."""
    trajectory: str
    program: str = ""
    """What the agent wrote, where it writes programs."""
    outputs: tuple[File, ...] = ()
    answer: str = ""
    """The agent's last words: the answer of tasks that ask for no file."""

    @property
    def id(self) -> str:
        """Of the task: one task is kept once, however often it is passed."""
        return self.task.digest
