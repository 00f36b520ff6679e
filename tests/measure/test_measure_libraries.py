"""Whole libraries: overall, skill by skill with adjustment, history, oracle, judge beside checks."""

import json

import anyio
import pytest
from measure_parts import DiceAgent, DiceSuite, MemoryStore, bench, skill, task

from prowess.agents.models.scripted import ScriptedModel
from prowess.core.cost import Cost
from prowess.core.errors import Refused, UserError
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import Check, File, Score, Task
from prowess.core.view import View
from prowess.measure.judge import Judge
from prowess.measure.libraries import Judging, Measurement, Past, Wanted, measure_library, per_skill
from prowess.measure.stats.multiple import benjamini_hochberg, holm
from prowess.measure.trials import Arm, run_trials

POWERS = {"good": 75, "idle": 0, "harmful": -50, "never-shown": 75}
LIBRARY = Snapshot.of([skill(name, power) for name, power in POWERS.items()])
TASKS = tuple(task(i, "test", family) for family in ("good", "idle", "harmful", "plain") for i in range(24))


class ByFamily:
    """Shows a task the skill of its family's name."""

    def view(self, task: Task, library: Snapshot) -> View:
        found = library.get(task.family)
        return View(snapshot=library.digest, skills=(found,) if found else ())


def measured(agent: DiceAgent | None = None, store: MemoryStore | None = None, **more: object) -> Measurement:
    async def main() -> Measurement:
        against = more.pop("against", None)
        bench_ = bench(agent or DiceAgent(base=60), store, suite=more.pop("suite", DiceSuite()))
        return await measure_library(
            more.pop("tasks", TASKS), more.pop("library", LIBRARY), against, ByFamily(), bench_, **more  # pyright: ignore
        )  # fmt: skip

    return anyio.run(main)


def test_each_skill_is_judged_on_the_tasks_that_show_it() -> None:
    agent = DiceAgent(base=20)
    found = measured(agent)
    by_name = {s.skill: s for s in found.skills}
    assert set(by_name) == set(POWERS)
    assert by_name["good"].outcome == "better" and by_name["good"].evidence is not None
    assert by_name["good"].evidence.n == 24 and by_name["idle"].outcome == "not enough evidence"
    assert by_name["never-shown"].evidence is None and by_name["never-shown"].adjusted_p == 1.0
    raw = [s.evidence.p for s in found.skills if s.evidence]
    assert [s.adjusted_p for s in found.skills if s.evidence] == list(holm(raw)), "three were compared, not four"
    assert found.evidence.n == len(TASKS), "tasks that show no skill count for the whole"
    assert len(agent.runs) == len(TASKS) + 3 * 24, (
        "a task without a skill is run once, and no skill costs a trial of its own"
    )


def test_a_harmful_skill_is_named_with_its_harms() -> None:
    (harmful,) = (s for s in measured().skills if s.skill == "harmful")
    assert harmful.outcome == "worse" and harmful.evidence is not None
    assert len(harmful.evidence.harms) == harmful.evidence.losses > 5
    assert all(task.startswith("harmful/") for task, _ in harmful.evidence.harms)


def test_adjustment_can_take_a_claim_away() -> None:
    names = [f"s{i}" for i in range(10)]
    tasks = tuple(task(i, "test", name) for name in names for i in range(6))
    library = Snapshot.of([skill(name, 100 if name == "s0" else 0) for name in names])
    agent = DiceAgent(base=0)
    first = {s.skill: s for s in measured(agent, tasks=tasks, library=library).skills}["s0"]
    assert first.evidence is not None and first.evidence.outcome == "better" and first.evidence.p == 2 / 2**6
    assert first.adjusted_p == pytest.approx(20 / 2**6) and first.outcome == "not enough evidence"


def test_benjamini_hochberg_is_less_strict_than_holm() -> None:
    trials = anyio.run(
        run_trials,
        TASKS[:72],
        (Arm.without(), Arm("with", lambda t: ByFamily().view(t, LIBRARY))),
        (0,),
        bench(DiceAgent(base=45)),
    )
    shown = {t.id: (t.family,) for t in TASKS[:72]}
    strict, loose = (per_skill(trials, shown, "without", "with", adjust=a) for a in ("holm", "benjamini-hochberg"))
    assert all(a.adjusted_p >= b.adjusted_p for a, b in zip(strict, loose, strict=True))
    assert [s.adjusted_p for s in loose] == list(benjamini_hochberg([s.evidence.p for s in loose if s.evidence]))


def test_two_libraries() -> None:
    worse = Snapshot.of([skill("good", 10), skill("idle", 0)])
    agent = DiceAgent(base=20)
    found = measured(agent, against=worse, library=Snapshot.of([skill("good", 75), skill("idle", 0)]))
    assert (found.evidence.baseline, found.evidence.treatment, found.against) == ("old", "with", worse.digest)
    by_name = {s.skill: s for s in found.skills}
    assert by_name["good"].outcome == "better"
    idle = by_name["idle"].evidence
    assert idle is not None and (idle.wins, idle.losses) == (0, 0), "equal text shares the trial and ties"


def test_history_is_tried_on_the_same_tasks_and_shares_trials() -> None:
    store, agent = MemoryStore(), DiceAgent(base=20)
    measured(agent, store)
    paid = len(agent.runs)
    states = (
        Past("the first", Snapshot.of([skill("good", 30)]), Cost(calls=4, prompt_tokens=100)),
        Past("all", LIBRARY, Cost(calls=9, prompt_tokens=900)),
    )
    found = measured(agent, store, wanted=Wanted(past=states))
    assert len(agent.runs) == paid + 24, "only the older text of one skill is new"
    first, last = found.states
    assert (first.label, first.n, last.n) == ("the first", 96, 96) and last.spent.prompt_tokens == 900
    assert last.passed == round(found.evidence.treatment_rate * 96) and last.low < last.passed / 96 < last.high


def test_the_oracle_names_tasks_whose_right_answer_fails() -> None:
    class Half(DiceSuite):
        def check(self, task: Task, outputs: tuple[File, ...], answer: str = "") -> Score:
            if task.family == "idle" and task.seed < 3:
                return Score(value=0, passed=False, checks=(Check(name="c", passed=False),), verifier="v", trusted=True)
            return super().check(task, outputs, answer)

    agent = DiceAgent(base=0)
    found = measured(agent, suite=Half())
    assert found.oracle is not None and (found.oracle.n, found.oracle.passed) == (96, 93)
    assert found.oracle.broken == tuple(f"idle/base/{i}" for i in range(3))

    class Unknown(DiceSuite):
        def oracle(self, task: Task) -> tuple[File, ...] | None:
            return None

    assert measured(agent, suite=Unknown()).oracle is None


def test_an_a_a_run_is_stored_and_stands_on_every_verdict_after_it() -> None:
    store = MemoryStore()
    assert measured(store=store).evidence.noise is None
    found = measured(store=store, wanted=Wanted(calibrate=True))
    noise = found.evidence.noise
    assert noise is not None and noise.n == 96 and noise.low <= noise.flip_rate <= noise.high
    assert all(s.evidence.noise == noise for s in found.skills if s.evidence is not None)
    assert measured(store=store).evidence.noise == noise, "it is known from now on"
    assert measured(DiceAgent(name="dice/2 model=die"), store=store).evidence.noise is None, "not of another agent"


def yes(request: object) -> str:
    return json.dumps({"criteria": [{"reason": "fine", "met": True}]})


def test_a_judge_beside_checks_decides_nothing_and_its_agreement_is_reported() -> None:
    judging = Judging(Judge(ScriptedModel(yes, "die-2"), ("The answer is right.",)), "die")
    found = measured(wanted=Wanted(judging=judging))
    assert found.agreement is not None and found.agreement.n >= 96 and found.evidence.judged_by == ("suite:dice",)
    assert found.agreement.agreed < found.agreement.n


def test_a_judge_of_the_same_family_is_refused_as_sole_evidence() -> None:
    judge = Judge(ScriptedModel(yes, "die-2"), ("The answer is right.",))
    untrusted = DiceSuite(trusted=False)
    with pytest.raises(Refused, match="same family"):
        measured(suite=untrusted, wanted=Wanted(judging=Judging(judge, "die")))
    found = measured(suite=untrusted, wanted=Wanted(judging=Judging(judge, "die", allow_same_family=True)))
    assert found.evidence.judged_by == ("judge:die-2",) and found.agreement is None


def test_graded_scores_may_decide() -> None:
    found = measured(wanted=Wanted(graded=True))
    assert "permutation" in found.evidence.test and all(
        "permutation" in s.evidence.test for s in found.skills if s.evidence
    )


def test_no_tasks_one_task_and_all_ties() -> None:
    with pytest.raises(UserError, match="no trial"):
        measured(tasks=())
    one = measured(tasks=TASKS[:1])
    assert one.evidence.n == 1 and one.evidence.outcome == "not enough evidence"
    ties = measured(DiceAgent(base=100), library=Snapshot.of([skill("good", 0)]))
    assert ties.evidence.ties == 96 and ties.evidence.p == 1.0 and ties.skills[0].outcome == "not enough evidence"


def test_several_skills_on_one_task_each_get_its_trials() -> None:
    both = Snapshot.of([Skill(name="a", description="A.", body="30\n"), Skill(name="b", description="B.", body="30\n")])
    trials = anyio.run(
        run_trials, TASKS[:20], (Arm.without(), Arm.showing("with", both)), (0,), bench(DiceAgent(base=20))
    )
    found = per_skill(trials, {t.id: ("a", "b") for t in TASKS[:20]}, "without", "with")
    assert [s.skill for s in found] == ["a", "b"] and all(s.evidence is not None and s.evidence.n == 20 for s in found)
