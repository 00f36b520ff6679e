"""The whole loop on the real workbench in the real sandbox, with a weak model played by a script."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
import pytest
from evolve_parts import SMALL, SUITE, WeakModel, by_another_office, fenced, noted, right, run
from hypothesis import given, settings
from hypothesis import strategies as st

from prowess.agents.code import CodeAgent
from prowess.agents.models.cache import Cached
from prowess.agents.models.meter import Budget, Meter, Metered
from prowess.agents.models.scripted import ScriptedModel
from prowess.core.cost import total
from prowess.core.errors import BudgetExceeded, ModelError, UserError
from prowess.core.model import Request, Response
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import Split, Task
from prowess.evolve.loop import Evolved, evolve
from prowess.evolve.method import Setup
from prowess.evolve.protocols import Context, Event
from prowess.evolve.providers import BestMatches, NoSkills
from prowess.evolve.recipes import build
from prowess.evolve.recipes.human import Given
from prowess.evolve.record import RunRecord
from prowess.library import Library
from prowess.measure.trials import stored_trajectory
from prowess.report import render
from prowess.sandbox import find_sandbox
from prowess.trajectories.runstore import RunStore


@dataclass(frozen=True)
class Done:
    """A finished run and what it left behind."""

    record: RunRecord
    model: WeakModel
    events: list[Event]
    out: Path
    library: Library


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    out = tmp_path_factory.mktemp("run")
    model, events, library = WeakModel(), list[Event](), Library.open(out / "library", create=True)
    return Done(run(SMALL, model, out, library, report=noted(events)), model, events, out, library)


def test_a_skill_is_learned_from_a_fix_that_the_checks_confirmed(done: Done) -> None:
    (decision,) = done.record.decisions
    assert decision.accepted and done.record.after.names == ("ledger-totals",)
    (skill,) = done.record.after.skills
    assert "Rows whose status is VOID must not be counted" in skill.body
    assert [file.path for file in skill.files] == ["scripts/ledger_totals.py"]
    kinds = [lesson.kind for lesson in decision.lessons]
    assert kinds.count("program") == 1 and kinds.count("cause") >= 3
    assert {lesson.id for lesson in decision.lessons} == set(decision.patch.lessons)


def test_every_lesson_leads_back_to_the_steps_behind_it(done: Done) -> None:
    store = RunStore(done.out / "run.db")
    for lesson in done.record.decisions[0].lessons:
        for reference in lesson.references:
            search = store.get("exploration", reference.trajectory)
            shown = search or store.get("trajectory", reference.trajectory)
            assert shown is not None, lesson
            if lesson.kind == "cause":
                assert reference.quote in shown.decode()


def test_the_gates_verdicts_say_why_with_n_and_p(done: Done) -> None:
    verdicts = done.record.decisions[0].verdicts
    cheap = ["format", "scan", "permission", "lint", "cached-outputs"]
    assert [v.gate for v in verdicts] == [*cheap, "unseen", "regression", "trials"]
    evidence = verdicts[-1].evidence
    assert evidence is not None and evidence.outcome == "better"
    assert (evidence.n, evidence.wins, evidence.losses) == (6, 6, 0) and evidence.p <= 0.05
    assert "0% -> 100% on 6 pairs" in verdicts[-1].note and "p = 0.05" in verdicts[-1].note


def test_an_accepted_skill_leaves_checks_that_cost_nothing_and_are_of_no_other_split(done: Done) -> None:
    kept = done.library.upkeep.kept()
    unseen = {t.id for t in SUITE.tasks("ledger-totals", "evidence", 6)[2:]}
    assert len(kept) == 2 and {k.task.id for k in kept} < unseen
    assert all(k.program and k.outputs and k.skills == ("ledger-totals",) for k in kept)
    uses = done.library.uses()
    assert uses == {} or set(uses) == {"ledger-totals"}, "tasks were tried before there was a skill"


def test_held_out_tasks_are_compared_with_and_without_and_with_a_human_skill(done: Done) -> None:
    learned, human = done.record.comparisons
    for comparison, arm in ((learned, "with"), (human, "human")):
        e = comparison.evidence
        assert (e.baseline, e.treatment, e.n, e.wins, e.losses) == ("without", arm, 6, 6, 0)
        assert e.p == pytest.approx(2 * 0.5**6) and e.low > 0 and e.judged_by == ("suite:workbench",)
    assert {t.task_id for t in learned.evidence.trials} == {t.id for t in SUITE.tasks("ledger-totals", "test", 6)}


def test_tasks_with_other_rules_are_compared_apart(tmp_path: Path) -> None:
    """The agent writes nothing that passes, with the skill or without; what is compared is what counts."""
    model = ScriptedModel(lambda request: fenced("pass\n"))
    record = run(replace(TINY, recipe="human", shifted=2), model, tmp_path)
    whole, other = record.comparisons
    assert not whole.shifted and other.shifted
    assert {t.task_id for t in other.evidence.trials} == {
        t.id for v in ("north", "south") for t in SUITE.tasks("ledger-totals", "test", 2, v)
    }
    assert (other.evidence.n, other.evidence.treatment_rate) == (4, 0.0)


def test_no_task_stands_in_two_splits_of_the_run(done: Done) -> None:
    gate = done.record.decisions[0].verdicts[-1].evidence
    assert gate is not None
    used = [
        {point.task_id for point in done.record.curve},
        {trial.task_id for trial in gate.trials},
        {trial.task_id for c in done.record.comparisons for trial in c.evidence.trials},
    ]
    assert all(used) and sum(map(len, used)) == len(set.union(*used))


def test_all_that_was_paid_is_in_the_record(done: Done) -> None:
    paid = total([stage.cost for stage in done.record.costs])
    assert paid.calls == len(done.model.requests)
    assert paid.seconds == pytest.approx(0.25 * paid.calls) and paid.usd == pytest.approx(0.001 * paid.calls)
    verdict = done.record.decisions[0].verdicts[-1]
    assert verdict.cost.calls == 12  # six pairs, one call each


def test_the_record_renders_with_its_trajectories(done: Done) -> None:
    store = RunStore(done.out / "run.db")
    page = render(done.record, lambda id: stored_trajectory(store, id))
    assert "learned 1 skill (ledger-totals)" in page and "ledger-totals, held-out tasks" in page
    assert "csv.DictReader" in page  # a program of some session


def test_progress_tells_the_stages_in_order(done: Done) -> None:
    stages = list(dict.fromkeys(event.stage for event in done.events))
    assert stages == ["explore", "propose", "gate", "test"]


def test_the_skill_is_on_disk_until_it_is_undone(done: Done, tmp_path: Path) -> None:
    shutil.copytree(done.library.path, tmp_path / "library")
    library = Library.open(tmp_path / "library")
    folder = library.path / "ledger-totals"
    assert "## House rules" in (folder / "SKILL.md").read_text()
    assert "def ledger_totals(" in (folder / "scripts" / "ledger_totals.py").read_text()
    assert library.snapshot() == done.record.after
    (change,) = library.log()
    assert change.id == done.record.decisions[0].change and change.by == "trace2skill"
    library.undo(change.id)
    assert not folder.exists() and library.snapshot() == Snapshot()


def test_the_same_call_again_pays_nothing_and_says_the_same(done: Done) -> None:
    paid = len(done.model.requests)
    again = run(SMALL, done.model, done.out, done.library)
    assert again == done.record and len(done.model.requests) == paid and len(done.library.log()) == 1


def test_several_families_are_learned_and_compared_apart(tmp_path: Path) -> None:
    families = ("ledger-totals", "room-conflicts")
    plan = replace(SMALL, evidence=5, families=families, test=2, human=False)
    record = run(plan, WeakModel(families), tmp_path)
    assert record.after.names == families and [d.accepted for d in record.decisions] == [True, True]
    assert [c.family for c in record.comparisons] == [None, *families]
    assert [c.evidence.n for c in record.comparisons] == [4, 2, 2]
    assert all(c.evidence.treatment_rate == 1.0 and c.evidence.baseline_rate == 0.0 for c in record.comparisons)


# What must not be learned


def test_a_program_that_learned_its_task_by_heart_is_not_kept(tmp_path: Path) -> None:
    def by_heart(task: Task) -> str:
        (output,) = SUITE.oracle(task)
        return f"open({output.path!r}, 'wb').write({output.data!r})\n"

    library = Library.open(tmp_path / "library", create=True)
    record = run(SMALL, WeakModel(explored=by_heart), tmp_path, library)
    (decision,) = record.decisions
    assert not decision.accepted and decision.change is None and library.log() == []
    assert decision.verdicts[-1].gate == "unseen" and "0 of 4 unseen tasks passed" in decision.verdicts[-1].note
    assert [c.evidence.treatment for c in record.comparisons] == ["human"]


def skill(program: str) -> Skill:
    text = f"# Ledger totals\n\nTotals per account.\n\n```python\n{program}```\n"
    return Skill(name="ledger-totals", description="Adds up a ledger per account. Use for totals.", body=text)


def gated(given: Skill, out: Path, unskilled: Callable[[Task], str]) -> Evolved:
    """The loop of `trace2skill` with `given` for its proposal."""
    store, sandbox = RunStore(out / "run.db"), find_sandbox()
    setup = Setup(SUITE, sandbox, ("ledger-totals",), evidence=4, gate=8)
    recipe = build("trace2skill", setup)
    recipe = replace(recipe, proposer=Given((given,)), gates=(recipe.gates[0], recipe.gates[-1]))
    model = Cached(WeakModel(unskilled=unskilled), out / "answers.db")
    agent = CodeAgent(model, sandbox, attempts=1)
    return anyio.run(evolve, recipe, Snapshot(), Context(SUITE, agent, model, store, concurrency=2))


def test_a_useless_skill_is_rejected_for_want_of_evidence(tmp_path: Path) -> None:
    useless = skill("print('take care')\n")
    evolved = gated(useless, tmp_path, by_another_office)
    (decision,) = evolved.decisions
    evidence = decision.verdicts[-1].evidence
    assert not decision.accepted and evolved.snapshot == Snapshot()
    assert evidence is not None and evidence.outcome == "not enough evidence" and evidence.wins == 0
    assert "more pairs would hardly show better" in decision.verdicts[-1].note and evidence.n < 8


def test_a_harmful_skill_is_rejected_and_its_harms_are_named(tmp_path: Path) -> None:
    harmful = skill(by_another_office(SUITE.tasks("ledger-totals", "evidence", 1)[0]))
    evolved = gated(harmful, tmp_path, right)
    (decision,) = evolved.decisions
    evidence = decision.verdicts[-1].evidence
    assert not decision.accepted and evolved.snapshot == Snapshot()
    assert evidence is not None and evidence.wins == 0 and evidence.losses == evidence.n == len(evidence.harms) > 0
    store = RunStore(tmp_path / "run.db")
    for task_id, trajectory in evidence.harms:
        found = stored_trajectory(store, trajectory)
        assert found is not None and found.task_id == task_id and found.passed is False


# Models that fail

TINY = replace(SMALL, evidence=5, test=2, samples=3, human=False)


def test_garbage_is_a_failure_and_nothing_is_learned(tmp_path: Path) -> None:
    model = ScriptedModel(lambda request: "As a language model, I \x00 <|im_end|> ```\n{{{ \ud800")
    record = run(TINY, model, tmp_path)
    assert record.after == Snapshot() and record.decisions == () and record.comparisons == ()
    assert [point.passed for point in record.curve] == [False, False]
    assert sum(stage.cost.calls for stage in record.costs) == len(model.requests) > 0


def refuses(request: Request) -> Response:
    raise ModelError("the provider refused: 429 too many requests", retryable=True)


def test_a_model_that_never_answers_makes_runs_missing_and_not_failed(tmp_path: Path) -> None:
    record = run(TINY, ScriptedModel(refuses), tmp_path)
    assert record.after == Snapshot() and record.decisions == ()
    assert [point.passed for point in record.curve] == [None, None]
    human = run(replace(TINY, human=True), ScriptedModel(refuses), tmp_path / "human").comparisons[0].evidence
    assert (human.n, human.missing, human.outcome) == (0, 2, "not enough evidence")


def test_a_model_that_fails_in_the_search_leaves_no_lesson_and_is_asked_again_later(tmp_path: Path) -> None:
    weak, down = WeakModel(), True

    def answer(request: Request) -> str | Response:
        if down and request.temperature > 0:
            raise ModelError("the engine stopped", retryable=True)
        return fenced(weak.program(request))

    plan = replace(TINY, samples=4)
    model = ScriptedModel(answer)
    record = run(plan, model, tmp_path)
    assert record.after == Snapshot() and record.decisions == ()
    down = False
    again = run(plan, model, tmp_path)
    assert again.after.names == ("ledger-totals",)


def test_an_agent_that_hangs_is_missing_after_its_time(tmp_path: Path) -> None:
    from prowess.measure.trials import run_trial

    class Hanging(WeakModel):
        async def complete(self, request: Request) -> Response:
            await anyio.sleep_forever()
            raise AssertionError

    store = RunStore(tmp_path / "run.db")
    agent = CodeAgent(Hanging(), find_sandbox())
    (task,) = SUITE.tasks("ledger-totals", "evidence", 1)

    async def main() -> None:
        view = NoSkills().view(task, Snapshot())
        found = await run_trial(task, view, 0, agent, SUITE, store, timeout=0.05, attempts=2)
        assert found.status == "missing" and found.passed is None and "0.05 seconds" in str(found.error)

    anyio.run(main)
    assert list(store.keys("trajectory")) == [] and len(list(store.keys("missing"))) == 2


@pytest.mark.parametrize("limit", [3, 9])
def test_a_spent_budget_stops_and_a_larger_one_goes_on_where_it_was(tmp_path: Path, limit: int) -> None:
    model, library = WeakModel(), Library.open(tmp_path / "library", create=True)
    with pytest.raises(BudgetExceeded, match="run the same command again"):
        run(TINY, Metered(model, Meter(Budget(calls=limit))), tmp_path, library)
    assert len(model.requests) == limit
    record = run(TINY, Metered(model, Meter(Budget(calls=100))), tmp_path, library)
    digests = [request.digest for request in model.requests]
    assert len(digests) == len(set(digests)), "a call was paid twice"
    assert record.after.names == ("ledger-totals",) and record.resumed == 1 and len(library.log()) == 1
    assert sum(stage.cost.calls for stage in record.costs) == len(digests)


# Recipes


def test_the_baseline_learns_nothing_and_compares_with_the_human_skill_only(tmp_path: Path) -> None:
    record = run(replace(TINY, recipe="none", human=True), WeakModel(), tmp_path)
    assert record.after == Snapshot() and record.decisions == () and record.curve == ()
    assert [c.evidence.treatment for c in record.comparisons] == ["human"]


def test_the_human_recipe_takes_skills_as_they_are(tmp_path: Path) -> None:
    library = Library.open(tmp_path / "library", create=True)
    record = run(replace(TINY, recipe="human"), WeakModel(), tmp_path, library)
    assert record.after.skills == (SUITE.human_skill("ledger-totals"),) and library.snapshot() == record.after
    assert record.comparisons[0].evidence.treatment_rate == 1.0


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        (replace(TINY, recipe="nothing"), "no recipe is called 'nothing'"),
        (replace(TINY, families=("ledger-totals", "knitting")), "no family knitting"),
        (replace(TINY, suite="fuse-box"), "no suite 'fuse-box'"),
        (replace(TINY, variant="west"), "no variant 'west'"),
        (replace(TINY, gate=3), "6 are needed"),
    ],
)
def test_a_plan_that_cannot_be_run_is_refused_before_anything_is_paid(plan, says: str, tmp_path: Path) -> None:
    model = WeakModel()
    with pytest.raises(UserError, match=says):
        run(plan, model, tmp_path)
    assert model.requests == []


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(SUITE.families[:6]),
    st.sampled_from(["base", "north", "south"]),
    st.tuples(*[st.integers(0, 9)] * 3),
)
def test_splits_never_share_a_task(family: str, variant: str, sizes: tuple[int, int, int]) -> None:
    setup = Setup(SUITE, find_sandbox(), (family,), variant)
    splits: tuple[Split, ...] = ("evidence", "gate", "test")
    tasks = [task for split, n in zip(splits, sizes, strict=True) for task in setup.tasks(family, split, n)]
    assert len(tasks) == sum(sizes) == len({task.digest for task in tasks}) == len({task.id for task in tasks})


# What an agent is shown


def test_providers_show_nothing_the_best_or_always_the_same() -> None:
    ledger, rooms = SUITE.human_skill("ledger-totals"), SUITE.human_skill("room-conflicts")
    library = Snapshot.of([ledger, rooms])
    (task,) = SUITE.tasks("ledger-totals", "test", 1)
    (other,) = SUITE.tasks("room-conflicts", "test", 1)
    assert NoSkills().view(task, library).skills == ()
    assert BestMatches().view(task, library).skills == (ledger,)
    assert BestMatches().view(other, library).skills == (rooms,)
    assert BestMatches(k=5).view(task, library).skills == (ledger,), "the other one does not fit"
    assert BestMatches().view(task, Snapshot()).skills == ()
    changed = library.with_skill(rooms.model_copy(update={"description": ledger.description, "body": task.prompt}))
    assert BestMatches().view(task, changed).skills == (changed.get("room-conflicts"),)
    capital = task.model_copy(update={"prompt": "What is the capital of France?"})
    assert BestMatches().view(capital, library).skills == () == BestMatches(k=5).view(capital, library).skills
    assert {provider.view(task, library).snapshot for provider in (NoSkills(), BestMatches())} == {library.digest}
