"""What must stay solved: other families, kept tasks, stored programs; and removals, which must lose nothing."""

from dataclasses import replace
from typing import Any

import anyio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measure_parts import RIGHT, WRONG, DiceAgent, DiceSuite, ShowAll, bench, skill, task, tasks

from prowess.core.errors import SandboxError, UserError
from prowess.core.evidence import Verdict
from prowess.core.patch import CreateSkill, DeleteFile, DeleteSection, DeleteSkill, Operation, Patch, Replace, WriteFile
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import File, Score, Task
from prowess.core.trajectory import Observation, Step, Trajectory
from prowess.core.upkeep import KeptTask
from prowess.core.view import View
from prowess.measure.gates import Gate, GateContext, LintGate, TrialsGate, accepted, cascade
from prowess.measure.regression import CachedOutputsGate, RegressionGate, kept_task, read_digest
from prowess.measure.stats.design import Design, chance_left, expect, fewest_pairs, stop
from prowess.measure.stats.sequential import no_loss_wealth, non_inferiority_p
from prowess.sandbox import Limits, Result

OLD = Snapshot.of([skill("old", 0)])


def view_of(library: Snapshot) -> View:
    return ShowAll().view(task(0), library)


def kept(number: int, family: str = "dice", seed: int = 0, library: Snapshot = OLD, **more: Any) -> KeptTask:
    return KeptTask(
        **{
            "task": task(number, "evidence", family), "skills": library.names, "read": read_digest(view_of(library)),
            "agent": "a", "seed": seed, "trajectory": f"t{number}", **more,
        }
    )  # fmt: skip


def context(agent: DiceAgent | None = None, **more: Any) -> GateContext:
    return GateContext(bench(agent), **more)


def ask(gate: Gate, candidate: Snapshot, ctx: GateContext, *operations: Operation, base: Snapshot = OLD) -> Verdict:
    patch = Patch(base=base.digest, operations=operations or (CreateSkill(skill=candidate.skills[0]),), reason="r")
    (verdict,) = anyio.run(cascade, [gate], candidate, base, patch, ctx)
    return verdict


# The question "is a loss ruled out?"


def test_no_loss_needs_38_pairs_without_a_difference_for_ten_points() -> None:
    design = Design(max_pairs=60, asks="no loss", futility=0)
    assert [stop(design, n, 0, 0) for n in (36, 37, 38)] == [None, None, "no loss"]
    assert stop(Design(max_pairs=60, asks="no loss", margin=0.2), 18, 0, 0) == "no loss"
    assert stop(design, 6, 0, 6) == "worse" and stop(design, 12, 6, 0) == "no loss"
    assert stop(design, 0, 0, 0) is None and fewest_pairs(0.05, 0.1) == 5


def test_a_small_but_certain_loss_is_worse_and_not_harmless() -> None:
    n, losses = 150, 8
    assert non_inferiority_p(0, losses, n, 0.2) <= 0.05
    assert stop(Design(max_pairs=200, asks="no loss", margin=0.2), n, 0, losses) == "worse"


def test_the_table_of_wealth_is_the_test() -> None:
    for n, margin in ((1, 0.1), (17, 0.25), (60, 0.1), (60, 0.5)):
        table = no_loss_wealth(60, n, margin)
        for wins, losses in ((0, 0), (1, 0), (0, 1), (n // 2, n // 3), (n, 0), (0, n)):
            if wins + losses <= n:
                p = min(1.0, 1 / table[wins, losses])
                assert p == pytest.approx(non_inferiority_p(wins, losses, n, margin), rel=1e-6)


def test_a_removal_that_loses_the_margin_is_let_pass_at_most_at_alpha() -> None:
    """Exact: chances over all paths, at every look, for several rates of noise."""
    for margin in (0.1, 0.2):
        design = Design(max_pairs=60, asks="no loss", margin=margin, futility=0.0, batch=1)
        for noise in (0.0, 0.05, 0.2):
            assert expect(design, noise, noise + margin).better <= 0.05
            assert expect(replace(design, futility=0.02), noise, noise + margin).better <= 0.05
    useless = expect(Design(max_pairs=60, asks="no loss"), 0.0, 0.0)
    assert useless.better == pytest.approx(1.0) and useless.pairs == 38


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(0, 40), st.integers(0, 40), st.sampled_from([0.1, 0.2, 0.4]))
def test_a_win_never_makes_no_loss_less_likely(n: int, wins: int, losses: int, margin: float) -> None:
    wins, losses = min(wins, n), min(losses, max(0, n - wins))
    design = Design(max_pairs=41, asks="no loss", margin=margin)
    if wins + losses < n:
        more = chance_left(design, n, wins + 1, losses)
        assert more >= chance_left(design, n, wins, losses) - 1e-6 or stop(design, n, wins + 1, losses) == "worse"
    assert 0 <= chance_left(design, n, wins, losses) <= 1


@pytest.mark.parametrize("margin", [0.0, -0.1, 0.51, float("nan")])
def test_a_margin_that_makes_no_sense_is_refused(margin: float) -> None:
    with pytest.raises(UserError):
        Design(margin=margin)


@pytest.mark.parametrize(
    ("operations", "removes"),
    [
        ((DeleteSkill(name="a"),), True),
        ((DeleteSection(name="a", section="s"), DeleteFile(name="a", file="f")), True),
        ((Replace(name="a", old="x", new=""),), True),
        ((Replace(name="a", old="x", new="y"),), False),
        ((DeleteSkill(name="a"), CreateSkill(skill=skill("a", 1))), False),
        ((WriteFile(name="a", file="f", content=""),), False),
        ((), False),
    ],
)
def test_which_patches_only_remove(operations: tuple[Operation, ...], removes: bool) -> None:
    assert Patch(base="b", operations=operations, reason="r").only_removes == removes


def without(power: int, base: int, n: int = 60, **more: Any) -> Verdict:
    library = Snapshot.of([skill("old", power)])
    gate = TrialsGate(tasks(n), ShowAll(), seeds=(0,), **more)
    return ask(gate, Snapshot(), context(DiceAgent(base=base)), DeleteSkill(name="old"), base=library)


def test_a_useless_skill_may_go_and_a_helpful_one_may_not() -> None:
    gone = without(0, base=100)
    assert gone.status == "pass" and gone.note.startswith("no loss of 10 points: 100% -> 100% on 38 pairs")
    assert gone.evidence is not None and gone.cost.calls == 76
    stays = without(75, base=20)
    assert stays.status == "fail" and "is not shown: 100% -> 0% on 2 pairs" in stays.note, "two losses are enough"
    unclear = without(0, base=100, n=20)
    assert unclear.status == "fail" and "no loss of 10 points is not shown" in unclear.note


def test_a_harmful_skill_goes_quickly() -> None:
    gone = without(-70, base=90)
    assert gone.status == "pass" and gone.evidence is not None and gone.evidence.n < 20


def test_removals_pass_unproven_only_where_that_is_said() -> None:
    free = without(75, base=20, removal_margin=None)
    assert free.status == "pass" and free.evidence is None and "need no proof" in free.note


def test_helpful_skills_stay_whatever_the_noise() -> None:
    """Libraries drawn at random: a skill worth the margin or more leaves in at most 5 % of them, a useless one does."""
    draw = np.random.default_rng(7)
    design = Design(max_pairs=60, asks="no loss", margin=0.2)

    def leaves(effect: float) -> bool:
        flip = draw.uniform(0, 0.2)
        win, loss = flip / 2, flip / 2 + effect
        n = wins = losses = 0
        while True:
            rolled = draw.random(design.batch)
            n, wins, losses = (
                n + design.batch, wins + int((rolled < win).sum()),
                losses + int(((rolled >= win) & (rolled < win + loss)).sum()),
            )  # fmt: skip
            ending = stop(design, n, wins, losses)
            if ending or n >= design.max_pairs:
                return ending == "no loss"

    assert sum(leaves(0.2) for _ in range(400)) <= 0.05 * 400
    assert sum(leaves(0.4) for _ in range(400)) <= 0.01 * 400
    assert sum(leaves(0.0) for _ in range(200)) >= 0.6 * 200


# Other families


def test_a_patch_for_one_family_that_harms_another_fails() -> None:
    class ShowByFamily:
        """Shows `dice` its own skill; shows `cards` whatever is newest, as a search by words may."""

        def view(self, task: Task, library: Snapshot) -> View:
            return View(snapshot=library.digest, skills=library.skills[-1:])

    cards = tuple(task(100 + n, family="cards") for n in range(8))
    gate = RegressionGate((*tasks(8), *cards), ShowByFamily())
    agent = DiceAgent(base=90)
    ctx = context(agent, families=("dice",))
    verdict = ask(gate, OLD.with_skill(skill("zz", -90)), ctx)
    assert verdict.status == "fail" and verdict.evidence is not None
    assert {id.split("/")[0] for id, _ in verdict.evidence.harms} == {"cards"}
    assert {run[0].split("/")[0] for run in agent.runs} == {"cards"}, "its own family is left to the trials"
    assert ask(gate, OLD.with_skill(skill("zz", 5)), context(DiceAgent(base=100), families=("dice",))).status == "pass"


def test_a_loss_is_looked_at_again_before_it_is_believed() -> None:
    class Once(DiceAgent):
        """Fails once under seed 0 with the candidate, never again."""

        async def run(self, task: Task, view: View, seed: int) -> Trajectory:
            done = await super().run(task, view, seed)
            wrong = seed == 0 and len(view.skills) == 2 and task.seed == 0
            return done.model_copy(update={"outputs": (WRONG if wrong else RIGHT,)})

    gate = RegressionGate(tasks(5), ShowAll())
    verdict = ask(gate, OLD.with_skill(skill("new", 0)), context(Once()))
    assert verdict.status == "pass" and verdict.evidence is not None
    assert (verdict.evidence.n, verdict.evidence.losses) == (10, 1)
    once = ask(replace(gate, seeds=(0,)), OLD.with_skill(skill("new", 0)), context(Once()))
    assert once.status == "fail" and once.evidence is not None and once.evidence.n == 5


# Kept tasks


def test_a_kept_task_is_tried_under_other_seeds_than_the_one_that_chose_it() -> None:
    agent = DiceAgent(base=100)
    ctx = context(agent, kept=(kept(1, seed=0), kept(2, seed=4)))
    verdict = ask(RegressionGate((), ShowAll()), OLD.with_skill(skill("new", 0)), ctx)
    assert verdict.status == "pass" and "2 tasks kept by earlier changes" in verdict.note
    assert {(id, seed) for id, _, seed in agent.runs} == {("dice/base/1", 1), ("dice/base/2", 5)}


def test_what_earlier_changes_left_behind_must_stay_solved() -> None:
    ctx = context(DiceAgent(base=100), kept=tuple(kept(n) for n in range(4)))
    broken = ask(RegressionGate((), ShowAll()), OLD.with_skill(skill("new", -100)), ctx)
    assert broken.status == "fail" and broken.evidence is not None and len(broken.evidence.harms) >= 4


def test_tasks_that_taught_the_patch_are_left_out() -> None:
    taught = kept(1)
    other = kept(2, family="cards")
    agent = DiceAgent(base=100)
    suite = replace(DiceSuite(), families=("dice", "cards"))
    ctx = GateContext(bench(agent, suite=suite), (taught.task, other.task), ("dice",), (taught, other))
    ask(RegressionGate((), ShowAll()), OLD.with_skill(skill("new", 0)), ctx)
    assert {id for id, _, _ in agent.runs} == {"cards/base/2"}


def test_kept_tasks_of_another_suite_or_family_are_passed_over() -> None:
    strange = kept(1).task.model_copy(update={"suite": "elsewhere"})
    agent = DiceAgent()
    ctx = context(agent, kept=(kept(1, task=strange), kept(2, family="unheard-of")))
    verdict = ask(RegressionGate((), ShowAll()), OLD.with_skill(skill("new", 0)), ctx)
    assert verdict.status == "pass" and agent.runs == []


@pytest.mark.parametrize("gate", [RegressionGate(tasks(20), ShowAll()), CachedOutputsGate(ShowAll(), None)])  # type: ignore[arg-type]
def test_kept_tasks_of_other_splits_are_an_error(gate: Gate) -> None:
    agent = DiceAgent()
    for split in ("gate", "test"):
        ctx = context(agent, kept=(kept(1, task=task(900, split)),))
        with pytest.raises(UserError, match=f"of split '{split}' stands among the kept tasks"):
            ask(gate, OLD.with_skill(skill("new", 0)), ctx)
    assert agent.runs == []


def test_a_kept_task_that_is_a_gate_task_by_content_is_an_error() -> None:
    with pytest.raises(UserError, match="is the same as gate task"):
        ask(RegressionGate(tasks(20), ShowAll()), OLD.with_skill(skill("new", 0)), context(kept=(kept(3),)))


# What a trial leaves behind


def trajectory(passed: bool) -> Trajectory:
    score = Score(value=float(passed), passed=passed, verifier="suite:dice", trusted=True)
    program = Step(source="agent", message="```python\nprint(1)\n```", observations=(Observation(content=""),))
    return Trajectory(
        id="t", agent="a", model="m", seed=3, steps=(program, Step(source="agent", message="1")), outputs=(RIGHT,),
        score=score,
    )  # fmt: skip


def test_a_passed_trial_with_a_skill_leaves_a_check() -> None:
    made = kept_task(task(1, "evidence"), view_of(OLD), trajectory(True))
    assert made is not None and made.program == "print(1)\n" and made.answer == "1" and made.seed == 3
    assert made.outputs == (RIGHT,) and made.skills == ("old",)
    assert kept_task(task(1, "evidence"), view_of(OLD), trajectory(False)) is None
    assert kept_task(task(1, "evidence"), View(snapshot="x"), trajectory(True)) is None


# Stored programs


class Box:
    """A sandbox that says what the skill's script says."""

    name = "box"

    def __init__(self, broken: bool = False) -> None:
        self.ran = 0
        self.broken = broken

    async def run(self, command: Any, files: tuple[File, ...], limits: Limits | None = None) -> Result:
        self.ran += 1
        if self.broken:
            raise SandboxError("no sandbox")
        script = next((f.data for f in files if f.path.endswith("/say.py")), b"")
        return Result(exit_code=0, stdout="", stderr="", files=(*files, RIGHT if script == b"right" else WRONG))


def scripted(says: bytes, body: str = "0\n") -> Snapshot:
    return Snapshot.of([Skill(name="old", description="Use.", body=body, files=(File(path="say.py", data=says),))])


@pytest.mark.parametrize(
    ("candidate", "program", "stored", "status", "ran"),
    [
        (scripted(b"wrong"), "import say", RIGHT, "fail", 1),
        (scripted(b"right "), "import say", WRONG, "pass", 1),
        (scripted(b"wrong", body="1\n"), "import say", RIGHT, "pass", 0),
        (scripted(b"right"), "import say", RIGHT, "pass", 0),
        (scripted(b"wrong"), "", RIGHT, "pass", 0),
    ],
    ids=["script broken", "task no longer valid", "text changed too", "nothing changed", "no program"],
)
def test_stored_programs_must_pass_beside_the_new_scripts(
    candidate: Snapshot, program: str, stored: File, status: str, ran: int
) -> None:
    base, box, agent = scripted(b"right"), Box(), DiceAgent()
    ctx = context(agent, kept=(kept(1, library=base, program=program, outputs=(stored,)),))
    verdict = ask(CachedOutputsGate(ShowAll(), box), candidate, ctx, base=base)  # type: ignore[arg-type]
    assert verdict.status == status and box.ran == ran and agent.runs == [] and verdict.cost.calls == 0
    assert ("lost: dice/base/1" in verdict.note) == (status == "fail")


def test_a_sandbox_that_fails_says_nothing_about_the_patch() -> None:
    base = scripted(b"right")
    ctx = context(kept=(kept(1, library=base, program="import say", outputs=(RIGHT,)),))
    verdict = ask(CachedOutputsGate(ShowAll(), Box(broken=True)), scripted(b"wrong"), ctx, base=base)  # type: ignore[arg-type]
    assert verdict.status == "pass" and "1 could not be run" in verdict.note


# Lint


def test_lint_fails_on_errors_and_only_notes_opinions() -> None:
    vague = Skill(name="vague", description="Sums.", body="Sum.\n")
    noted = ask(LintGate(), Snapshot.of([vague]), context(), base=Snapshot())
    assert noted.status == "pass" and "vague/SKILL.md: the description does not say when" in noted.note
    broken = vague.model_copy(update={"files": (File(path="scripts/a.py", data=b"def"),)})
    failed = ask(LintGate(), Snapshot.of([broken]), context(), base=Snapshot())
    assert failed.status == "fail" and "vague/scripts/a.py: does not parse" in failed.note
    assert accepted([noted]) and not accepted([failed])


def test_lint_knows_the_files_of_the_evidence_tasks() -> None:
    tasks_ = [task(n, "evidence").model_copy(update={"files": (File(path=f"in_{n}.csv", data=b""),)}) for n in (1, 2)]
    leaky = Skill(name="leaky", description="Use for sums.", body="- Read in_1.csv first.\n")
    verdict = ask(LintGate(), Snapshot.of([leaky]), context(evidence=tuple(tasks_)), base=Snapshot())
    assert verdict.status == "fail" and "'in_1.csv'" in verdict.note
