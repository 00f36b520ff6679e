"""The maintainer in the loop, in a world where the truth is known; gates by name; what a run leaves in the ledger."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
import pytest
from evolve_parts import SMALL, SUITE, WeakModel, right, run

from prowess.agents.models.scripted import ScriptedModel
from prowess.core.errors import UserError
from prowess.core.lesson import Lesson, Reference
from prowess.core.patch import CreateSkill, Patch
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import File, Score, Split, Task
from prowess.core.trajectory import Trajectory
from prowess.core.upkeep import KeptTask
from prowess.core.view import View
from prowess.evolve.cascade import with_gates
from prowess.evolve.consolidate import Unmerged
from prowess.evolve.lifecycle import Lifecycle, Retire
from prowess.evolve.loop import Evolved, evolve
from prowess.evolve.method import Setup
from prowess.evolve.protocols import Context, Episode, Recipe
from prowess.evolve.recipes import build
from prowess.evolve.recipes.human import Given
from prowess.evolve.record import Decision
from prowess.evolve.selectors import Last
from prowess.evolve.sources import Stream
from prowess.library import Library
from prowess.measure.gates import FormatGate, TrialsGate
from prowess.measure.lifecycle import Rules
from prowess.measure.stats.design import Design
from prowess.sandbox import find_sandbox
from prowess.trajectories.runstore import RunStore

CHANCES = {"good": (30, 60), "fair": (55, 40), "idle": (95, 0), "vain": (5, 0), "bad": (95, -60)}
"""Percent of success without the family's skill, and what the skill adds."""
NEEDED, USELESS = {"good", "fair"}, {"idle", "vain", "bad"}
RULES = Rules(exposure=12, patience=3, failures=3, examples=4)


def skill(family: str) -> Skill:
    return Skill(name=family, description=f"Use for {family}.", body=f"{CHANCES[family][1]}\n")


class World:
    """Suite and agent: each family has a chance of success, which the skill of its name moves."""

    name = "world"
    families = tuple(CHANCES)
    runs = 0

    def tasks(self, family: str, split: Split, n: int, variant: str = "base", start: int = 0) -> tuple[Task, ...]:
        return tuple(
            Task(id=f"{family}/{split}/{i}", suite="world", family=family, split=split, seed=i, prompt=f"{split} {i}")
            for i in range(start, start + n)
        )

    def check(self, task: Task, outputs: tuple[File, ...], answer: str = "") -> Score:
        passed = outputs[0].data == b"1"
        return Score(value=float(passed), passed=passed, verifier="suite:world", trusted=True)

    async def run(self, task: Task, view: View, seed: int) -> Trajectory:
        self.runs += 1
        base, _ = CHANCES[task.family]
        chance = base + sum(int(s.body) for s in view.skills)
        rolled = random.Random(f"{task.id} {view.digest} {seed}").uniform(0, 100)
        names = tuple(s.name for s in view.skills)
        output = File(path="o", data=b"1" if rolled < chance else b"0")
        return Trajectory(id="", agent=self.name, model="m", offered=names, used=names, outputs=(output,))


class Own:
    """Shows each task the skill of its family."""

    def view(self, task: Task, library: Snapshot) -> View:
        return View(snapshot=library.digest, skills=tuple(s for s in library.skills if s.name == task.family))


@dataclass
class Teacher:
    """Analyst and proposer: one lesson and one new skill for each family that it is shown."""

    shown: list[str]

    async def lessons(self, episodes: Sequence[Episode], library: Snapshot, context: Context) -> tuple[Lesson, ...]:
        self.shown += [task.family for task, _ in episodes]
        families = dict.fromkeys(task.family for task, _ in episodes)
        return tuple(Lesson(kind="cause", text=f, family=f, references=(Reference(trajectory="t"),)) for f in families)

    async def patches(self, lessons: Sequence[Lesson], library: Snapshot, context: Context) -> tuple[Patch, ...]:
        return tuple(
            Patch(
                base=library.digest, operations=(CreateSkill(skill=skill(lesson.text)),), reason=f"for {lesson.text}",
                lessons=(lesson.id,),
            )
            for lesson in lessons
        )  # fmt: skip


def recipe(world: World, retire: Retire = "contribution", margin: float | None = 0.2, teacher: Teacher | None = None,
           rounds: int = 5) -> Recipe:  # fmt: skip
    per_round = 4
    nothing = Given(())
    stream = tuple(
        t for r in range(rounds) for f in CHANCES for t in world.tasks(f, "evidence", per_round, start=4 * r)
    )
    gate = tuple(t for f in CHANCES for t in world.tasks(f, "gate", 50))
    return Recipe(
        name="lifecycle", source=Stream(stream, per_round * len(CHANCES)), provider=Own(), analyst=nothing,
        proposer=nothing, consolidator=Unmerged(), selector=Last(), rounds=rounds,
        gates=(FormatGate(), TrialsGate(gate, Own(), design=Design(40), seeds=(0,), removal_margin=margin)),
        maintainer=Lifecycle(Own(), RULES, retire, audited=9, analyst=teacher, proposer=teacher),
    )  # fmt: skip


def tended(tmp_path: Path, start: Snapshot, retire: Retire = "contribution", seed: int = 0, **more) -> Evolved:
    world = World()
    foreign = more.pop("foreign", frozenset())
    context = Context(
        world, world, ScriptedModel([]), RunStore(tmp_path / f"{retire}-{seed}.db"), seed, foreign=foreign
    )  # type: ignore[arg-type]  # fmt: skip
    return anyio.run(lambda: evolve(recipe(world, retire, **more), start, context))


ALL = Snapshot.of([skill(family) for family in CHANCES])


def test_what_helps_is_kept_and_what_does_not_goes_with_proof(tmp_path: Path) -> None:
    """Over four seeds: not one needed skill is lost, and most useless and harmful ones leave."""
    kept: list[set[str]] = [set(tended(tmp_path, ALL, seed=seed).snapshot.names) for seed in range(4)]
    assert all(names >= NEEDED for names in kept)
    left = [len(names & USELESS) for names in kept]
    assert sum(left) <= 0.5 * 4 * len(USELESS), left


def test_every_removal_stands_on_a_proof_of_no_loss_on_other_tasks(tmp_path: Path) -> None:
    evolved = tended(tmp_path, ALL)
    gone = [d for d in evolved.decisions if d.accepted]
    assert gone and len(gone) == len(ALL.skills) - len(evolved.snapshot.skills)
    for decision in gone:
        proof = decision.verdicts[-1].evidence
        assert "no loss of 20 points" in decision.verdicts[-1].note and proof is not None
        assert all("/gate/" in trial.task_id for trial in proof.trials)
        assert "low in" in decision.patch.reason
    assert {a.skill for a in evolved.audits} == set(ALL.names)
    assert all(a.evidence.trials == () and a.agent == "world" and a.suite == "world" for a in evolved.audits)


def test_a_second_sitting_pays_for_nothing_and_decides_the_same(tmp_path: Path) -> None:
    assert tended(tmp_path, ALL) == tended(tmp_path, ALL)
    world = World()
    context = Context(world, world, ScriptedModel([]), RunStore(tmp_path / "contribution-0.db"))  # type: ignore[arg-type]
    anyio.run(lambda: evolve(recipe(world), ALL, context))
    assert world.runs == 0


def test_the_baselines_do_what_they_are_named_for(tmp_path: Path) -> None:
    assert tended(tmp_path, ALL, "none").decisions == ()
    assert tended(tmp_path, ALL, "all", margin=None).snapshot.names == ()
    by_use = tended(tmp_path, ALL, "usage", margin=None)
    assert set(by_use.snapshot.names) == USELESS, "counts take what came up lately for what is needed"
    proven = tended(tmp_path, ALL, "all", seed=1)
    assert set(proven.snapshot.names) >= NEEDED, "whatever nominates: what helps cannot be proven useless"


def test_audits_made_before_count(tmp_path: Path) -> None:
    early = tended(tmp_path, ALL, rounds=2)
    assert not [d for d in early.decisions if d.accepted], "two audits are too few"
    world = World()
    context = Context(world, world, ScriptedModel([]), RunStore(tmp_path / "later.db"))  # type: ignore[arg-type]
    later = anyio.run(lambda: evolve(recipe(world, rounds=1), ALL, context, audits=early.audits))
    assert [d.patch.reason for d in later.decisions]


def test_skills_that_a_person_wrote_are_proposed_for_removal_and_stay(tmp_path: Path) -> None:
    evolved = tended(tmp_path, ALL, foreign=frozenset(ALL.names))
    assert evolved.snapshot == ALL
    asked = [d for d in evolved.decisions if d.verdicts[-1].gate == "approval"]
    assert asked and all(d.verdicts[-1].status == "propose" and not d.accepted for d in asked)
    assert {d.patch.operations[0].name for d in asked} <= USELESS  # type: ignore[union-attr]


def test_the_library_grows_where_tasks_fail_and_only_there(tmp_path: Path) -> None:
    teacher = Teacher([])
    evolved = tended(tmp_path, Snapshot(), teacher=teacher)
    assert set(teacher.shown) <= {"good", "vain", "fair"}, "the others do not fail"
    assert "good" in evolved.snapshot.names and "vain" not in evolved.snapshot.names
    grown = next(d for d in evolved.decisions if d.accepted)
    assert grown.lessons and grown.verdicts[-1].evidence is not None


def test_an_accepted_patch_leaves_checks_of_the_evidence_split_for_the_next(tmp_path: Path) -> None:
    world, left = World(), list[KeptTask]()
    context = Context(world, world, ScriptedModel([]), RunStore(tmp_path / "left.db"))  # type: ignore[arg-type]

    def settle(decision: Decision, kept: tuple[KeptTask, ...]) -> None:
        assert decision.accepted or not kept
        left.extend(kept)

    anyio.run(lambda: evolve(recipe(world, teacher=Teacher([]), rounds=2), Snapshot(), context, settle))
    assert left and {k.task.family for k in left} <= NEEDED and all(k.task.split == "evidence" for k in left)
    assert len(left) == len({k.id for k in left})


# Gates by name


TEXT = ("format", "scan", "permission", "lint")
"""Gates that read a patch and run nothing."""
SETUP = Setup(SUITE, find_sandbox(), ("ledger-totals", "room-conflicts"))


def names(recipe: Recipe) -> list[str]:
    return [gate.name for gate in recipe.gates]


@pytest.mark.parametrize(
    ("base", "named", "added", "expected"),
    [
        ("skillos", (), (), [*TEXT, "regression"]),
        ("skillos", ("trials", "format"), (), ["format", "trials"]),
        ("skillos", (), ("approval", "trials"), [*TEXT, "regression", "trials", "approval"]),
        ("skillos", ("format",), ("scan",), ["format", "scan"]),
        ("human", ("cached-outputs", "lint"), (), ["lint", "cached-outputs"]),
        ("trace2skill", (), (), [*TEXT, "cached-outputs", "unseen", "regression", "trials"]),
        ("trace2skill", ("approval", "scan"), (), ["scan", "unseen", "approval"]),
        ("lifecycle", (), (), [*TEXT, "cached-outputs", "regression", "trials"]),
        ("skillos", (), ("semantic",), [*TEXT, "semantic", "regression"]),
    ],
)
def test_gates_are_chosen_by_name_and_asked_cheap_first(base: str, named, added, expected: list[str]) -> None:
    made = build(base, SETUP)
    chosen = with_gates(made, SETUP, ScriptedModel([]), named, added)
    assert names(chosen) == expected
    own = {gate.name: gate for gate in made.gates}
    assert all(gate is own[gate.name] for gate in chosen.gates if gate.name in own)


def test_an_unknown_gate_is_an_error_that_says_which_are_known() -> None:
    with pytest.raises(UserError, match="'trails'") as error:
        with_gates(build("human", SETUP), SETUP, ScriptedModel([]), ("trails",))
    assert "did you mean trials" in str(error.value)


def test_regression_tasks_never_stand_in_another_split() -> None:
    evidence = {t.digest for t in SETUP.all_tasks("evidence", SETUP.evidence)}
    test = {t.digest for t in SETUP.all_tasks("test", 20)}
    for name in ("trace2skill", "skillos", "lifecycle"):
        made = build(name, SETUP)
        gate = {t.digest for g in made.gates for t in getattr(g, "tasks", ()) if g.name in ("regression", "trials")}
        assert gate and not gate & evidence and not gate & test
        assert {t.digest for t in made.checks} <= evidence


# What a run leaves in the ledger

TINY = replace(SMALL, recipe="human", test=2, human=False, calibrate=False)


def test_a_library_that_asks_for_a_person_gets_proposals(tmp_path: Path) -> None:
    library = Library.open(tmp_path / "library", create=True)
    (library.path / ".prowess" / "config.toml").write_text('gates = ["approval"]\n')
    for _ in range(2):
        record = run(TINY, WeakModel(), tmp_path, library)
    (proposal,) = library.proposals()
    assert [v.gate for v in proposal.verdicts] == ["format", "approval"] and record.after == Snapshot()
    library.accept(proposal.id)
    assert library.snapshot().names == ("ledger-totals",)


def test_a_refused_patch_stands_in_the_ledger_with_verdicts_and_costs(tmp_path: Path) -> None:
    library = Library.open(tmp_path / "library", create=True)
    for _ in range(2):
        run(replace(TINY, gates=("format", "trials")), WeakModel(unskilled=right), tmp_path, library)
    (refusal,) = library.upkeep.refused()
    assert [(v.gate, v.status) for v in refusal.verdicts] == [("format", "pass"), ("trials", "fail")]
    assert refusal.verdicts[1].evidence is not None and refusal.verdicts[1].cost.calls > 0
    assert library.log() == [] and library.snapshot() == Snapshot()
