"""Trials, evidence and verdicts."""

from typing import Literal

from prowess.core.base import Frozen
from prowess.core.cost import Cost

Outcome = Literal["better", "worse", "not enough evidence"]


class Trial(Frozen):
    """One run of task x arm x seed."""

    task_id: str
    arm: str
    """`without`, `with`, `old`, `candidate`, `oracle`."""
    seed: int
    passed: bool | None
    """None when the run is missing: the model or sandbox failed, so it says nothing about the skill."""
    value: float | None = None
    """Graded score, 0 to 1, where the verifier gives one."""
    trajectory: str
    """Id of the trajectory."""
    judged_by: str = ""
    """The verifier whose trusted score decided `passed`; empty when missing."""
    conditions: str = ""
    """Suite, agent with all its settings and budget, and model: equal in all arms of one comparison. Empty when
    missing, and in the arm `oracle`, where no agent runs."""
    cost: Cost = Cost()


class Noise(Frozen):
    """What A/A runs of a suite with an agent and its model showed: equal task, equal view, another seed."""

    n: int
    """Pairs in which both sides finished."""
    flips: int
    """Pairs whose two sides differ although nothing but the seed does."""
    low: float
    high: float
    """Exact 95 % interval of the flip rate."""
    false_accepts: float
    """Chance that the gate's design says *better* of two alike libraries at this flip rate."""

    @property
    def flip_rate(self) -> float:
        return self.flips / self.n


class Evidence(Frozen):
    """A finished comparison of two arms, paired on task and seed."""

    baseline: str
    treatment: str
    """Names of the two arms."""
    n: int
    """Complete pairs."""
    missing: int = 0
    """Pairs of which one side or both are missing."""
    wins: int
    """Pairs where only the treatment passed."""
    ties: int
    losses: int
    baseline_rate: float
    treatment_rate: float
    effect: float
    """Difference of success rates, treatment minus baseline."""
    low: float
    high: float
    """Interval of the effect at `level`."""
    level: float = 0.95
    p: float
    """Two-sided, from `test`."""
    test: str
    outcome: Outcome
    harms: tuple[tuple[str, str], ...] = ()
    """(task id, trajectory id) of every pair that got worse."""
    judged_by: tuple[str, ...] = ()
    noise: Noise | None = None
    """What is known of the noise of this suite with this agent and model; None where no A/A run was ever made."""
    cost: Cost = Cost()
    trials: tuple[Trial, ...] = ()


class Verdict(Frozen):
    """The answer of one gate on one patch."""

    gate: str
    status: Literal["pass", "fail", "propose"]
    """`propose`: nothing speaks against it, but only a person may apply it."""
    note: str = ""
    evidence: Evidence | None = None
    cost: Cost = Cost()
