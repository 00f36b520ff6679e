from dataclasses import dataclass

import anyio
import pytest
from measure_parts import DiceAgent, context, show_all, skill, task, tasks

from prowess.core.errors import UserError
from prowess.core.evidence import Verdict
from prowess.core.patch import CreateSkill, Patch
from prowess.core.skill import Skill, Snapshot
from prowess.measure.gates import (
    ApprovalGate,
    Context,
    FormatGate,
    Gate,
    RegressionGate,
    ScanGate,
    TrialsGate,
    accepted,
    cascade,
    proposed,
)

BASE = Snapshot()


def judge(gates: list[Gate], new: Skill, ctx: Context | None = None, base: Snapshot = BASE) -> tuple[Verdict, ...]:
    patch = Patch(base=base.digest, operations=(CreateSkill(skill=new),), reason="test")
    return anyio.run(cascade, gates, base.with_skill(new), base, patch, ctx or context())


@dataclass
class Found:
    severity: str


def test_a_helping_skill_passes_with_evidence() -> None:
    (verdict,) = judge([TrialsGate()], skill("helper", 75))
    assert verdict.status == "pass" and verdict.evidence is not None
    e = verdict.evidence
    assert (
        e.outcome == "better" and e.p <= 0.05 and e.low > 0 and e.baseline == "without" and e.treatment == "candidate"
    )
    assert e.n < 20, "it stops early"
    assert verdict.cost == e.cost and verdict.cost.calls == 2 * e.n
    assert accepted([verdict])


def test_useless_and_harmful_skills_fail() -> None:
    for power in (0, -50):
        (verdict,) = judge([TrialsGate()], skill("other", power), context(DiceAgent(base=60)))
        assert verdict.status == "fail" and not accepted([verdict])


def test_a_patch_that_no_task_shows_fails_without_cost() -> None:
    agent = DiceAgent()
    ctx = Context(context(agent).bench, lambda snapshot, task: show_all(BASE, task), tasks(20))
    (verdict,) = judge([TrialsGate()], skill("hidden", 75), ctx)
    assert verdict.status == "fail" and "no gate task" in verdict.note and agent.runs == []


def test_too_few_pairs_are_refused_before_any_is_paid() -> None:
    agent = DiceAgent()
    with pytest.raises(UserError, match="5 pairs can never decide"):
        judge([TrialsGate(seeds=(0,))], skill("helper", 75), context(agent, count=5))
    assert agent.runs == []


def test_first_failure_stops_and_nothing_dearer_is_paid() -> None:
    agent = DiceAgent()
    gates: list[Gate] = [
        FormatGate(validate=lambda s: ["name is too plain"]),
        TrialsGate(),
    ]
    verdicts = judge(gates, skill("helper", 75), context(agent))
    assert [v.gate for v in verdicts] == ["format"] and "too plain" in verdicts[0].note and agent.runs == []


def test_only_touched_skills_are_looked_at() -> None:
    seen: list[str] = []

    def validate(s: Skill) -> list[str]:
        seen.append(s.name)
        return []

    judge([FormatGate(validate=validate)], skill("new", 1), base=Snapshot.of([skill("kept", 1), skill("new", 2)]))
    assert seen == ["new"]


@pytest.mark.parametrize(
    ("severities", "status"), [([], "pass"), (["review"], "propose"), (["review", "block"], "fail")]
)
def test_scan_blocks_or_asks_for_a_person(severities: list[str], status: str) -> None:
    (verdict,) = judge([ScanGate(scan=lambda s: [Found(x) for x in severities])], skill("new", 1))
    assert verdict.status == status


def test_a_proposal_goes_on_to_the_trials_but_is_not_accepted() -> None:
    verdicts = judge([ScanGate(scan=lambda s: [Found("review")]), TrialsGate(), ApprovalGate()], skill("helper", 75))
    assert [v.status for v in verdicts] == ["propose", "pass", "propose"]
    assert not accepted(verdicts) and proposed(verdicts)


def test_no_verdict_is_no_acceptance() -> None:
    assert not accepted([]) and not proposed([])


def test_regression_set_is_kept_or_the_patch_fails() -> None:
    ctx = context(DiceAgent(base=95), regression=tasks(40, "evidence", 500))
    (kept,) = judge([RegressionGate()], skill("same", 0), ctx)
    assert kept.status == "pass" and kept.evidence is not None
    (broken,) = judge([RegressionGate()], skill("breaks", -60), ctx)
    assert broken.status == "fail" and broken.evidence is not None
    assert broken.evidence.outcome == "worse" and len(broken.evidence.harms) == broken.evidence.losses > 0


def test_a_small_regression_set_says_what_it_cannot_tell() -> None:
    (verdict,) = judge(
        [RegressionGate()], skill("same", 5), context(DiceAgent(base=100), regression=tasks(5, "evidence", 500))
    )
    assert verdict.status == "pass" and "too few to rule out" in verdict.note
    (verdict,) = judge(
        [RegressionGate()], skill("same", 5), context(DiceAgent(base=100), regression=tasks(40, "evidence", 500))
    )
    assert "is ruled out" in verdict.note


@pytest.mark.parametrize(
    "more",
    [
        {"evidence": (task(3, "evidence"),)},
        {"regression": (task(3, "evidence"),)},
        {"evidence": (task(900, "test"),)},
    ],
)
def test_overlapping_splits_are_refused_by_content(more: dict[str, object]) -> None:
    agent = DiceAgent()
    with pytest.raises(UserError, match="task 'dice/base/"):
        judge([TrialsGate()], skill("helper", 75), context(agent, **more))
    assert agent.runs == []


def test_gate_tasks_must_be_of_the_gate_split() -> None:
    with pytest.raises(UserError, match="split 'evidence' stands among the gate tasks"):
        judge([TrialsGate()], skill("h", 75), Context(context().bench, show_all, tasks(20, "evidence")))
