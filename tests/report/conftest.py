# ruff: noqa: E501
"""A run as the loop leaves it: two families, five proposed changes, held-out comparisons, a stream, trajectories."""

from math import comb

import pytest

from prowess.core.cost import Cost
from prowess.core.evidence import Evidence, Trial, Verdict
from prowess.core.lesson import Lesson, Reference
from prowess.core.model import ToolCall
from prowess.core.patch import AppendToSection, CreateSkill, Patch, Replace
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import Check, File, Score
from prowess.core.trajectory import Observation, Step, Trajectory
from prowess.evolve.record import Comparison, Decision, Point, RunRecord, StageCost

LEDGER_BODY = """# Ledger totals

Sum the postings of a ledger by account, the way the house keeps its books.

## Rules

- Amounts use a decimal comma and a full stop between thousands; a trailing minus means negative.
- Leave out rows whose `status` is `void`, in any case.
- Round half up to two digits, once, after the sum.
- The fiscal year starts in April: a posting of March 2025 belongs to 2024.

## Snippet

```python
from decimal import Decimal, ROUND_HALF_UP

def amount(text):
    text = text.strip().replace(".", "").replace(",", ".")
    return -Decimal(text[:-1]) if text.endswith("-") else Decimal(text)

def total(values):
    return sum(values, Decimal()).quantize(Decimal("0.01"), ROUND_HALF_UP)
```

## Check

Before you finish: the grand total equals the sum of the account totals, and no account is missing.
"""
TIMESHEET_OLD = """# Timesheets

## Rules

- Hours are quarter hours, rounded up.
- Lunch is not paid.
"""
TIMESHEET_NEW = """# Timesheets

## Rules

- Hours are quarter hours, rounded to the nearest, per day and not per entry.
- Lunch is not paid.
- An entry over midnight belongs to the day on which it starts.
"""
PROGRAM = """import csv
from decimal import Decimal, ROUND_HALF_UP

rows = list(csv.DictReader(open("ledger.csv"), delimiter=";"))
totals = {}
for row in rows:
    if row["status"].lower() == "void":
        continue
    totals.setdefault(row["account"], Decimal())
    totals[row["account"]] += amount(row["amount"])
"""


def sign_test(wins: int, losses: int) -> float:
    n = wins + losses
    return min(1.0, 2 * sum(comb(n, k) for k in range(min(wins, losses) + 1)) / 2**n) if n else 1.0


def evidence(
    wins: int, ties: int, losses: int, base: int, low: float, high: float, *, arms: str = "without/with", tag: str
) -> Evidence:
    baseline, treatment = arms.split("/")
    n = wins + ties + losses
    better, worse = low > 0, high < 0
    treated = base + wins - losses

    def trials(arm: str, passed: int, tokens: int) -> list[Trial]:
        return [
            Trial(
                task_id=f"{tag}/base/{i}", arm=arm, seed=0, passed=i < passed, trajectory=f"{tag}-{arm}-{i}",
                cost=Cost(calls=2, prompt_tokens=tokens, completion_tokens=180 + i, seconds=9.5),
            )
            for i in range(n)
        ]  # fmt: skip

    return Evidence(
        baseline=baseline,
        treatment=treatment,
        n=n,
        missing=1 if tag == "timesheet-hours" else 0,
        wins=wins,
        ties=ties,
        losses=losses,
        baseline_rate=base / n,
        treatment_rate=treated / n,
        effect=(treated - base) / n,
        low=low,
        high=high,
        p=sign_test(wins, losses),
        test="exact McNemar",
        outcome="better" if better else "worse" if worse else "not enough evidence",
        harms=tuple((f"{tag}/base/{i}", f"{tag}-{treatment}-{i}") for i in range(n - losses, n)),
        judged_by=("suite:workbench",),
        cost=Cost(
            calls=4 * n, prompt_tokens=2600 * n, cached_tokens=1900 * n, completion_tokens=380 * n, seconds=19.0 * n
        ),
        trials=(*trials(baseline, base, 1100), *trials(treatment, treated, 1480)),
    )


def trajectory(name: str, task: str, passed: bool | None, *, offered: tuple[str, ...] = ()) -> Trajectory:
    checks = (
        Check(name="opens", passed=True),
        Check(name="columns", passed=True),
        Check(name="totals", passed=bool(passed), message="" if passed else "3 of 11 account totals differ"),
        Check(
            name="void rows", passed=bool(passed), message="" if passed else "rows that should be left out are counted"
        ),
    )
    return Trajectory(
        id=name,
        task_id=task,
        agent="code/1",
        model="qwen2.5-coder-1.5b-instruct-q4_k_m",
        offered=offered,
        loaded=offered,
        used=offered if passed else (),
        status="missing" if passed is None else "completed",
        error="the model timed out after 120 s" if passed is None else None,
        score=None
        if passed is None
        else Score(value=1.0 if passed else 0.5, passed=passed, checks=checks, verifier="suite:workbench", trusted=True),
        cost=Cost(calls=2, prompt_tokens=1480, cached_tokens=900, completion_tokens=312, seconds=17.4),
        steps=(
            Step(source="system", message="You write one Python program that does the task. Files lie in the present folder."),
            Step(source="user", message=f"Task {task}: sum ledger.csv by account and write totals.csv with account and total."),
            Step(
                source="agent",
                message="I read the rows, leave out the void ones and sum by account.",
                tool_calls=(ToolCall(id="1", name="run_program", arguments={"program": PROGRAM}),),
                observations=(
                    Observation(content="" if passed else "NameError: name 'amount' is not defined", is_error=not passed),
                ),
            ),
            *(() if passed else (Step(source="agent", message="I will parse the amounts myself.", reasoning="amount() is missing. " * 300),)),
        ),
        outputs=(File(path="totals.csv", data=b"account;total\n"),),
    )  # fmt: skip


def build() -> tuple[RunRecord, dict[str, Trajectory]]:
    ledger = Skill(
        name="ledger-totals",
        description="Sums a ledger by account under the house rules for amounts, void rows and rounding. Use for ledger.csv.",
        body=LEDGER_BODY,
        files=(
            File(path="scripts/check.py", data=b"import csv, sys\n\nassert sum(parts) == grand, 'totals differ'\n"),
        ),
    )
    old = Skill(name="timesheet-hours", description="Adds up timesheets.", body=TIMESHEET_OLD)
    new = Skill(name="timesheet-hours", description="Adds up timesheets.", body=TIMESHEET_NEW)
    before, after = Snapshot.of([old]), Snapshot.of([ledger, new])

    def refs(*names: str, quote: str) -> tuple[Reference, ...]:
        return tuple(Reference(trajectory=n, first_step=2, last_step=3, quote=quote) for n in names)

    ledger_lessons = (
        Lesson(
            kind="cause",
            text="Totals were wrong because amounts with a decimal comma were read as text and void rows were summed.",
            family="ledger-totals",
            references=refs("stream-3", "stream-7", quote="NameError: name 'amount' is not defined"),
        ),
        Lesson(
            kind="program",
            text="This program passed on four instances that it had not seen.",
            family="ledger-totals",
            references=refs("stream-11", quote='if row["status"].lower() == "void":\n        continue'),
            payload=PROGRAM,
        ),
    )
    sheet_lessons = (
        Lesson(
            kind="memory",
            text="Quarter hours are rounded to the nearest per day, not up per entry.",
            family="timesheet-hours",
            skill="timesheet-hours",
            references=refs("stream-18", quote="hours: expected fewer for 2 of 9 people"),
        ),
    )
    ok = (Verdict(gate="format", status="pass"), Verdict(gate="scan", status="pass"))
    decisions = (
        Decision(
            round=0,
            patch=Patch(base=before.digest, operations=(CreateSkill(skill=ledger),), author="trace2skill",
                        reason="A verified program and its rules for ledgers", lessons=tuple(x.id for x in ledger_lessons)),
            lessons=ledger_lessons,
            verdicts=(*ok, Verdict(gate="trials", status="pass", note="12 pairs, then stopped: enough evidence",
                                   evidence=evidence(10, 2, 0, 1, 0.52, 0.97, tag="gate-ledger"),
                                   cost=Cost(calls=48, prompt_tokens=31000, completion_tokens=4600, seconds=228))),
            accepted=True,
            change="c41f09a2be77d013",
        ),
        Decision(
            round=0,
            patch=Patch(base=before.digest, author="trace2skill", reason="Say that the output is sorted by account",
                        operations=(AppendToSection(name="timesheet-hours", section="Rules", content="- Sort by name.\n"),)),
            verdicts=(*ok, Verdict(gate="trials", status="fail", note="no effect over 12 pairs",
                                   evidence=evidence(1, 10, 1, 4, -0.22, 0.22, tag="gate-sort"),
                                   cost=Cost(calls=48, prompt_tokens=30100, completion_tokens=4410, seconds=221))),
            accepted=False,
        ),
        Decision(
            round=1,
            patch=Patch(base=before.digest, author="trace2skill", reason="Round to the nearest quarter, per day",
                        operations=(Replace(name="timesheet-hours", old="- Hours are quarter hours, rounded up.",
                                            new="- Hours are quarter hours, rounded to the nearest, per day and not per entry."),
                                    AppendToSection(name="timesheet-hours", section="Rules",
                                                    content="- An entry over midnight belongs to the day on which it starts.\n"))),
            lessons=sheet_lessons,
            verdicts=(*ok, Verdict(gate="trials", status="pass",
                                   evidence=evidence(7, 5, 0, 3, 0.25, 0.84, arms="old/candidate", tag="gate-sheets"),
                                   cost=Cost(calls=48, prompt_tokens=29000, completion_tokens=4100, seconds=214))),
            accepted=True,
            change="9be20d7714c3aa58",
        ),
        Decision(
            round=1,
            patch=Patch(base=before.digest, author="trace2skill", reason="Always write the result as JSON",
                        operations=(AppendToSection(name="ledger-totals", section="Rules", content="- Write JSON.\n"),)),
            verdicts=(*ok, Verdict(gate="trials", status="fail", note="stopped after 8 pairs: it harms",
                                   evidence=evidence(0, 2, 6, 7, -0.93, -0.31, tag="gate-json"),
                                   cost=Cost(calls=32, prompt_tokens=21000, completion_tokens=3300, seconds=150))),
            accepted=False,
        ),
        Decision(
            round=1,
            patch=Patch(base=before.digest, author="trace2skill", reason="A skill with the passwords of the share",
                        operations=(CreateSkill(skill=Skill(name="share-login", description="Logs in.", body="# Login\n")),)),
            verdicts=(Verdict(gate="format", status="pass"),
                      Verdict(gate="scan", status="fail", note="holds what looks like a secret in SKILL.md, line 4")),
            accepted=False,
        ),
    )  # fmt: skip
    points, runs = [], {}
    for i in range(48):
        family = "ledger-totals" if i % 3 else "timesheet-hours"
        passed = None if i == 20 else (i * 7) % 10 < (2 if i < 16 else 5 if i < 30 else 8)
        offered = (family,) if i >= 16 else ()
        task = f"{family}/base/{i}"
        points.append(
            Point(position=i, round=i // 24, task_id=task, family=family, passed=passed, offered=offered,
                  trajectory=f"stream-{i}")
        )  # fmt: skip
        runs[f"stream-{i}"] = trajectory(f"stream-{i}", task, passed, offered=offered)
    comparisons = (
        Comparison(label="ledger-totals", family="ledger-totals", evidence=evidence(15, 5, 0, 1, 0.55, 0.91, tag="ledger-totals")),
        Comparison(label="timesheet-hours", family="timesheet-hours", evidence=evidence(5, 14, 1, 6, -0.04, 0.44, tag="timesheet-hours")),
        Comparison(label="ledger-totals", family="ledger-totals",
                   evidence=evidence(18, 2, 0, 1, 0.72, 0.99, arms="without/human", tag="human-ledger")),
        Comparison(label="timesheet-hours", family="timesheet-hours",
                   evidence=evidence(11, 9, 0, 6, 0.34, 0.77, arms="without/human", tag="human-sheets")),
        Comparison(label="both families", evidence=evidence(20, 19, 1, 7, 0.3, 0.62, tag="both")),
    )  # fmt: skip
    for comparison in comparisons:
        for trial in comparison.evidence.trials:
            runs[trial.trajectory] = trajectory(trial.trajectory, trial.task_id, trial.passed)
    record = RunRecord(
        id="5d2c9a0f31e84b77",
        recipe="trace2skill",
        suite="workbench",
        families=("ledger-totals", "timesheet-hours"),
        model="qwen2.5-coder-1.5b-instruct-q4_k_m",
        agent="code/1",
        seed=0,
        settings={"rounds": 2, "budget_usd": 0, "disclosure": "preload"},
        machine="x86_64, 2 cores, Linux",
        started="2025-03-02T09:41:00Z",
        seconds=1985.0,
        before=before,
        after=after,
        decisions=decisions,
        comparisons=comparisons,
        curve=tuple(points),
        costs=(
            StageCost(stage="explore", values=48, cost=Cost(calls=96, prompt_tokens=68200, cached_tokens=40100, completion_tokens=15100, seconds=611)),
            StageCost(stage="analyse", values=31, cost=Cost(calls=31, prompt_tokens=52100, cached_tokens=9000, completion_tokens=6200, seconds=184)),
            StageCost(stage="propose", values=5, cost=Cost(calls=9, prompt_tokens=14100, cached_tokens=1800, completion_tokens=4800, seconds=96)),
            StageCost(stage="gate", values=88, cost=Cost(calls=176, prompt_tokens=111100, cached_tokens=81000, completion_tokens=16410, seconds=813)),
            StageCost(stage="test", values=60, cost=Cost(calls=120, prompt_tokens=91000, cached_tokens=70200, completion_tokens=11900, seconds=160)),
        ),
        resumed=1,
    )  # fmt: skip
    return record, runs


@pytest.fixture(scope="session")
def run() -> tuple[RunRecord, dict[str, Trajectory]]:
    return build()
