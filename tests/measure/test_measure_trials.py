import sqlite3
from pathlib import Path

import anyio
import pytest
from measure_parts import RIGHT, DiceAgent, DiceSuite, MemoryStore, bench, skill, task, tasks

from prowess.core.base import digest
from prowess.core.errors import BudgetExceeded, ModelError, UserError
from prowess.core.skill import Snapshot
from prowess.core.task import File, Score, Task
from prowess.core.trajectory import Step, Trajectory
from prowess.core.view import View
from prowess.measure.compare import compare
from prowess.measure.trials import Arm, Progress, run_trials, stored_trajectory, trial_key
from prowess.trajectories.runstore import RunStore

WITHOUT = Arm.without()
HELPED = Arm.showing("with", Snapshot.of([skill("helper", 60)]))


def run(*args: object, **more: object):
    async def main() -> object:
        return await run_trials(*args, **more)  # pyright: ignore

    return anyio.run(main)


def test_trials_come_in_the_order_asked_for_and_are_judged() -> None:
    store = MemoryStore()
    trials = run(tasks(3), (WITHOUT, HELPED), (0, 1), bench(store=store))
    cells = [(t.task_id, t.arm, t.seed) for t in trials]
    assert cells == [(f"dice/base/{i}", arm, seed) for i in range(3) for seed in (0, 1) for arm in ("without", "with")]
    for t in trials:
        stored = stored_trajectory(store, t.trajectory)
        assert stored is not None and stored.id == t.trajectory and stored.task_id == t.task_id
        assert stored.score is not None and stored.score.passed == t.passed
        assert t.judged_by == "suite:dice" and t.cost.calls == 1


def test_nothing_is_paid_twice_and_a_stop_resumes() -> None:
    store, agent = MemoryStore(), DiceAgent()
    first = run(tasks(4), (WITHOUT, HELPED), (0,), bench(agent, store))
    paid, ran = store.paid, len(agent.runs)
    assert run(tasks(4), (WITHOUT, HELPED), (0,), bench(agent, store)) == first
    assert len(agent.runs) == ran == 8 and store.paid == paid
    run(tasks(5), (WITHOUT, HELPED), (0,), bench(agent, store))
    assert len(agent.runs) == 10


SECRET = "ghp_" + "a1" * 18


class LeakyAgent(DiceAgent):
    async def run(self, task: Task, view: View, seed: int) -> Trajectory:
        if task.seed == 1:
            raise ModelError(f"401 for the key {SECRET}")
        told = Step(source="agent", message=f"export TOKEN={SECRET}")
        output = File(path="env", data=f"TOKEN={SECRET}".encode())
        return (await super().run(task, view, seed)).model_copy(update={"steps": (told,), "outputs": (output,)})


class LeakSuite(DiceSuite):
    def check(self, task: Task, outputs: tuple[File, ...], answer: str = "") -> Score:
        return super().check(task, (RIGHT,) if SECRET in outputs[0].text and SECRET in answer else ())


def test_what_a_run_said_and_wrote_is_judged_as_it_was_and_stored_without_secrets() -> None:
    store = MemoryStore()
    judged, missing = run(tasks(2), (WITHOUT,), (0,), bench(LeakyAgent(), store, suite=LeakSuite(), concurrency=1))
    assert judged.passed and missing.passed is None
    assert {kind for kind, _ in store.values} == {"trajectory", "missing"}
    for value in store.values.values():
        kept = Trajectory.model_validate_json(value)
        assert SECRET not in kept.model_dump_json() and not any(SECRET in file.text for file in kept.outputs)
        assert "[redacted:github-token:" in (kept.error or kept.steps[0].message)


def test_arms_with_the_same_view_share_the_trial() -> None:
    agent = DiceAgent()
    alike = Arm.showing("again", Snapshot.of([skill("helper", 60)]))
    trials = run(tasks(5), (HELPED, alike), (0,), bench(agent))
    assert len(agent.runs) == 5
    evidence = compare(trials, "with", "again")
    assert (evidence.wins, evidence.losses, evidence.ties) == (0, 0, 5)


def test_the_key_holds_all_that_may_change_the_result() -> None:
    store = MemoryStore()
    variants = [
        (task(1), WITHOUT, 0, DiceAgent()),
        (task(2), WITHOUT, 0, DiceAgent()),
        (task(1), HELPED, 0, DiceAgent()),
        (task(1), WITHOUT, 1, DiceAgent()),
        (task(1), WITHOUT, 0, DiceAgent(name="dice/2")),
    ]
    keys = {run([t], (arm,), (seed,), bench(agent, store))[0].trajectory for t, arm, seed, agent in variants}
    assert len(keys) == len(variants) == sum(len(agent.runs) for *_, agent in variants)


def test_order_is_random_by_seed_and_interleaves_arms() -> None:
    def order(seed: int) -> list[tuple[str, int, int]]:
        agent = DiceAgent()
        run(tasks(12), (WITHOUT, HELPED), (0,), bench(agent, concurrency=1), order_seed=seed)
        return agent.runs

    assert order(1) == order(1) != order(2)
    ran = order(1)
    assert all(ran[i][0] == ran[i + 1][0] for i in range(0, 24, 2)), "pairs run next to each other"
    assert {ran[i][1] for i in range(0, 24, 2)} == {0, 60}, "neither arm is always first"


def test_a_failed_run_is_missing_and_retried_a_bounded_number_of_times() -> None:
    store = MemoryStore()
    agent = DiceAgent(fails=lambda task, view, seed: task.seed == 1)
    trials = run(tasks(3), (WITHOUT,), (0,), bench(agent, store, attempts=2))
    assert [t.passed is None for t in trials] == [False, True, False]
    assert [r[0] for r in agent.runs].count("dice/base/1") == 2
    run(tasks(3), (WITHOUT,), (0,), bench(agent, store, attempts=2))
    assert [r[0] for r in agent.runs].count("dice/base/1") == 2, "spent attempts are remembered"
    mended = DiceAgent()
    trials = run(tasks(3), (WITHOUT,), (0,), bench(mended, store, attempts=3))
    assert all(t.passed is not None for t in trials) and len(mended.runs) == 1


def test_a_run_that_reports_itself_missing_or_hangs_is_missing() -> None:
    class Flaky(DiceAgent):
        async def run(self, task: Task, view: View, seed: int) -> Trajectory:
            if task.seed == 0:
                await anyio.sleep_forever()
            out = await super().run(task, view, seed)
            return out.model_copy(update={"status": "missing", "error": "sandbox gone"}) if task.seed == 1 else out

    store = MemoryStore()
    trials = run(tasks(3), (WITHOUT,), (0,), bench(Flaky(), store, timeout=0.05, attempts=1))
    assert [t.passed is None for t in trials] == [True, True, False]
    assert trials[1].cost.calls == 1, "what a missing run cost is counted"
    assert b"0.05 seconds" in (store.get("missing", trials[0].trajectory + "/1") or b"")
    assert b"sandbox gone" in (store.get("missing", trials[1].trajectory + "/1") or b"")


def test_untrusted_scores_never_decide() -> None:
    trials = run(tasks(2), (WITHOUT,), (0,), bench(suite=DiceSuite(trusted=False)))
    assert all(t.passed is None and t.value is None and t.judged_by == "" for t in trials)


def test_budget_ends_the_batch_keeps_what_is_done_and_resumes() -> None:
    class Poor(DiceAgent):
        async def run(self, task: Task, view: View, seed: int) -> Trajectory:
            if len(self.runs) >= 5:
                raise BudgetExceeded("5 calls", "raise the limit")
            out = await super().run(task, view, seed)
            await anyio.sleep(0)
            return out

    store = MemoryStore()
    with pytest.raises(BudgetExceeded):
        run(tasks(6), (WITHOUT, HELPED), (0,), bench(Poor(), store))
    assert len(store.values) == 5
    rest = DiceAgent()
    assert len(run(tasks(6), (WITHOUT, HELPED), (0,), bench(rest, store))) == 12
    assert len(rest.runs) == 7


def test_progress_counts_to_the_end() -> None:
    seen: list[Progress] = []
    store = MemoryStore()
    run(tasks(2), (WITHOUT,), (0,), bench(store=store))
    run(tasks(4), (WITHOUT,), (0,), bench(store=store, on_progress=seen.append))
    assert [p.done for p in seen] == [2, 3, 4] and all(p.total == 4 for p in seen), "what is stored is there at once"
    assert seen[-1].stored == 2 and seen[-1].cost.calls == 2 and seen[-1].missing == 0


def test_arms_under_different_conditions_are_refused() -> None:
    class Drifting(DiceAgent):
        async def run(self, task: Task, view: View, seed: int) -> Trajectory:
            out = await super().run(task, view, seed)
            return out.model_copy(update={"model": "cheaper"}) if view.skills else out

    drifted = run(tasks(2), (WITHOUT, HELPED), (0,), bench(Drifting()))
    with pytest.raises(UserError, match="'with' on dice: dice/1 model=die, answered by cheaper"):
        compare(drifted, "without", "with")


@pytest.mark.parametrize(
    ("ts", "arms", "seeds"),
    [((task(1), task(1)), (WITHOUT,), (0,)), (tasks(2), (WITHOUT, WITHOUT), (0,)), (tasks(1), (WITHOUT,), (0, 0))],
)
def test_what_stands_twice_is_refused(ts: object, arms: object, seeds: object) -> None:
    with pytest.raises(UserError, match="stands twice"):
        run(ts, arms, seeds, bench())


def test_the_store_on_disk_keeps_trials_and_bounds_retries(tmp_path: Path) -> None:
    agent = DiceAgent(fails=lambda task, view, seed: task.seed == 1)
    runs = []
    for _ in range(3):  # three processes, one after another
        store = RunStore(tmp_path / "runs.db")
        runs.append(run(tasks(3), (WITHOUT, HELPED), (0,), bench(agent, store, attempts=2)))
        store.close()
    assert [t.passed for t in runs[0]] == [t.passed for t in runs[2]]
    assert len(agent.runs) == 4 + 2 * 2, "two tasks in two arms once each; the broken one twice in each arm"


def test_the_index_alone_answers_what_was_paid_for(tmp_path: Path) -> None:
    store, agent = RunStore(tmp_path / "runs.db"), DiceAgent()
    first = run(tasks(8), (WITHOUT, HELPED, Arm.oracle()), (0, 1), bench(agent, store))
    opened: list[str] = []

    class Watched(RunStore):
        def get(self, kind: str, key: str) -> bytes | None:
            opened.append(key)
            return super().get(kind, key)

    again = run(tasks(8), (WITHOUT, HELPED, Arm.oracle()), (0, 1), bench(agent, Watched(tmp_path / "runs.db")))
    assert again == first and opened == [] and len(agent.runs) == 32, "no trajectory is opened for a verdict"


def test_a_store_without_index_or_with_a_damaged_row_is_mended_and_nothing_paid_again(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    store, agent = RunStore(path), DiceAgent()
    first = run(tasks(4), (WITHOUT,), (0,), bench(agent, store))
    store.close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE trial SET trial = '{' WHERE key = ?", (first[0].trajectory,))
        db.execute("DELETE FROM trial WHERE key = ?", (first[1].trajectory,))
    store, seen = RunStore(path), list[Progress]()
    assert run(tasks(4), (WITHOUT,), (0,), bench(agent, store, on_progress=seen.append)) == first
    assert len(agent.runs) == 4 and seen[-1].stored == 4 and seen[-1].cost.calls == 0
    assert len(store.trials({t.trajectory: "x" for t in first})) == 4


def test_the_key_is_the_digest_of_what_it_is_made_of() -> None:
    name = 'agent "ü" \\ \ud800'
    view = View(snapshot="", skills=(skill("s", 3),))
    assert trial_key(task(1), view, name, -2) == digest([task(1).digest, view.digest, name, -2])


def test_the_oracle_asks_nobody_and_is_no_condition_of_the_others() -> None:
    agent = DiceAgent(base=0)
    trials = run(tasks(6), (WITHOUT, HELPED, Arm.oracle()), (0, 1), bench(agent))
    oracle = [t for t in trials if t.arm == "oracle"]
    assert len(oracle) == 12 and all(t.passed and t.cost.calls == 0 and t.conditions == "" for t in oracle)
    assert {run[1] for run in agent.runs} == {0, 60} and len({t.trajectory for t in oracle}) == 6
    assert compare(trials, "without", "oracle").outcome == "better"


def test_arms_with_other_budgets_are_refused_where_they_are_compared() -> None:
    small = run(tasks(3), (WITHOUT,), (0,), bench(DiceAgent(name="dice/1 tokens=500 model=die")))
    large = run(tasks(3), (HELPED,), (0,), bench(DiceAgent(name="dice/1 tokens=900 model=die")))
    with pytest.raises(UserError, match=r"(?s)tokens=500.*tokens=900.*one suite, agent, budget and model"):
        compare([*small, *large], "without", "with")


def test_the_store_knows_how_often_a_repeated_task_flips(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs.db")
    agent = DiceAgent(base=50, fails=lambda task, view, seed: task.seed == 0)
    trials = run(tasks(20), (WITHOUT,), (3, 4, 9), bench(agent, store, attempts=1))
    by_task = {t.id: [x.passed for x in trials if x.task_id == t.id] for t in tasks(20)}
    flips = sum(a is not None and a != b for a, b, _ in by_task.values())
    assert store.repeats() == {"dice: dice/1 model=die": (19, flips)} and 0 < flips < 19
