"""The record of one run: what was tried, decided and measured. Reports and `--json` read nothing else."""

from pydantic import JsonValue

from prowess.core.base import Frozen
from prowess.core.cost import Cost
from prowess.core.evidence import Evidence, Noise, Verdict
from prowess.core.lesson import Lesson
from prowess.core.patch import Patch
from prowess.core.skill import Snapshot
from prowess.core.upkeep import Audit


class Decision(Frozen):
    """One patch, the lessons behind it, the gates' answers, and what became of it."""

    round: int
    patch: Patch
    lessons: tuple[Lesson, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    accepted: bool
    change: str | None = None
    """Id of the change in the library's ledger, when accepted into a library on disk."""


class Comparison(Frozen):
    """A measured difference between two arms, under a label that a person understands."""

    label: str
    """`ledger-totals, held-out tasks`."""
    family: str | None = None
    shifted: bool = False
    """Whether its tasks follow other rules than those that the run learned from."""
    evidence: Evidence


class Point(Frozen):
    """One task of the stream, in order: the raw material of the learning curve."""

    position: int
    round: int
    task_id: str
    family: str
    passed: bool | None
    offered: tuple[str, ...] = ()
    trajectory: str


class StageCost(Frozen):
    """What one kind of stage cost, and how much work it was."""

    stage: str
    values: int
    cost: Cost


class RunRecord(Frozen):
    id: str
    recipe: str
    suite: str
    families: tuple[str, ...]
    model: str
    agent: str
    seed: int
    settings: dict[str, JsonValue] = {}
    machine: str = ""
    started: str = ""
    """ISO 8601."""
    seconds: float = 0.0
    """Wall time, over all resumptions."""
    before: Snapshot
    after: Snapshot
    decisions: tuple[Decision, ...] = ()
    audits: tuple[Audit, ...] = ()
    """What leaving out single skills showed, where the recipe has a maintainer that asks."""
    comparisons: tuple[Comparison, ...] = ()
    """Test split only: none of these tasks was used for evidence or for a gate."""
    noise: Noise | None = None
    """None where nothing was learned, or no A/A run was asked for."""
    curve: tuple[Point, ...] = ()
    costs: tuple[StageCost, ...] = ()
    unusable: int = 0
    """Answers of the model that could not be used, at whatever stage of learning."""
    ended: str = ""
    """Why learning ended before its time, where it did: its allowance was spent."""
    resumed: int = 0
    """How often the run was stopped and taken up again."""
