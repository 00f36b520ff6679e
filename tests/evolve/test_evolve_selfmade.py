"""Tasks that a model makes, taxonomies, and selectors that remember: what they do, and that nobody is fooled."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from evolve_parts import SUITE, fenced
from hypothesis import given, settings
from hypothesis import strategies as st

from prowess.agents.code import CodeAgent
from prowess.agents.models.scripted import Answers, ScriptedModel
from prowess.core.cost import Cost
from prowess.core.model import Request, Response
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import Check, File, Score, Task
from prowess.core.trajectory import Step, Trajectory
from prowess.evolve.loop import evolve
from prowess.evolve.prompts import Prompt
from prowess.evolve.protocols import Context, Episode, Event, Past
from prowess.evolve.providers import Everything, NoSkills
from prowess.evolve.recipes.human import given as given_recipe
from prowess.evolve.selectors import Frontier, Pareto, Replay
from prowess.evolve.selfmade import Grader, SelfMade, make, rubric_of
from prowess.evolve.taxonomy import Place, Taxonomy, coverage, frontier
from prowess.sandbox import find_sandbox
from prowess.suites.selfmade import NAME
from prowess.trajectories.runstore import RunStore

ASK = Prompt("test/task", "Make a task.", "$document\n\n$made\n\n$advice")
MADE: dict[str, Any] = {
    "task": "Say how totals are rounded.",
    "rubric": ["It says that halves are rounded up.", "It names no file."],
}
(REAL,) = SUITE.tasks("ledger-totals", "evidence", 1)
GARBAGE = ["no", "[]", '{"task": 3}', '{"task": "x", "rubric": []}', '{"task": "A task with no rubric", "rubric": []}']


def context(out: Path, answers: Answers, events: list[Event] | None = None) -> Context:
    model = ScriptedModel(answers)
    agent, store = CodeAgent(model, find_sandbox()), RunStore(out / "run.db")
    return Context(SUITE, agent, model, store, report=(events if events is not None else []).append)


def always(answer: Any) -> Answers:
    text = answer if isinstance(answer, str) else json.dumps(answer)
    return lambda request: Response(text=text, model="m", cost=Cost(calls=1))


def made(**more: Any) -> Task:
    values = {"id": f"{NAME}/sums/0", "suite": NAME, "family": "sums", "split": "evidence", "seed": 0, "prompt": "Sum."}
    return Task.model_validate(values | more)


def run_of(task: Task, said: str = "Halves go up.", outputs: tuple[File, ...] = ()) -> Episode:
    steps = (Step(source="agent", message=said),)
    return Episode(task, Trajectory(id="t", task_id=task.id, agent="a", model="m", steps=steps, outputs=outputs))


# --- tasks that a model makes ------------------------------------------------


def test_a_model_makes_tasks_from_a_document_and_never_the_same_twice(tmp_path: Path) -> None:
    other = MADE | {"task": "Say which character stands between the fields."}
    answers = iter([json.dumps(MADE), json.dumps(MADE), json.dumps(other)])
    here = context(tmp_path, lambda request: next(answers))
    source = SelfMade(ASK, (("sums", "Round half up."),), per_round=3)
    first, second = anyio.run(source.tasks, 0, Snapshot(), here)
    assert (first.suite, first.family, first.split) == (NAME, "sums", "evidence") and first.id != second.id
    assert rubric_of(first) == tuple(MADE["rubric"]) and first.outputs == ()
    asked = [request.messages[-1].content for request in here.model.requests]  # type: ignore[attr-defined]
    assert "Round half up." in asked[0] and "none yet" in asked[0] and MADE["task"] in asked[1]


def test_what_was_made_is_told_in_the_next_round_with_advice(tmp_path: Path) -> None:
    here = context(tmp_path, always(MADE))

    async def advise(context: Context) -> str:
        return f"after {len(context.past.rounds)}"

    source = SelfMade(ASK, (("sums", "Rules."),), per_round=1, advise=advise)
    again = replace(here, past=Past(rounds=((run_of(made(prompt="Say how totals are rounded up.")),),)))
    anyio.run(source.tasks, 1, Snapshot(), again)
    (asked,) = [request.messages[-1].content for request in here.model.requests]  # type: ignore[attr-defined]
    assert "rounded up" in asked and asked.endswith("after 1")


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_makes_no_task_and_is_counted(tmp_path: Path, garbage: str) -> None:
    events: list[Event] = []
    here = context(tmp_path, always(garbage), events)
    assert anyio.run(make, here, ASK, {"document": "", "made": "", "advice": ""}, "sums", 0) is None
    assert [event.data.get("unusable") for event in events] == [True]


def test_a_task_like_a_real_one_shares_its_files(tmp_path: Path) -> None:
    program = {"task": "Sum the other column of the same file.", "checker": "assert open('answer.txt').read()"}
    here = context(tmp_path, always(program))
    task = anyio.run(make, here, ASK, {"document": "", "made": "", "advice": ""}, "sums", 0, REAL)
    assert task is not None and task.files == REAL.files and task.outputs == REAL.outputs and task.suite == NAME


# --- who judges them ---------------------------------------------------------


def judgement(*met: bool) -> dict[str, Any]:
    return {"criteria": [{"reason": "r", "met": one} for one in met]}


@pytest.mark.parametrize(("met", "passed", "value"), [((True, True), True, 1.0), ((True, False), False, 0.5)])
def test_a_rubric_is_judged_once_and_never_trusted(
    tmp_path: Path, met: tuple[bool, ...], passed: bool, value: float
) -> None:
    task = made(meta={"rubric": ["One holds.", "Two holds."]})
    here = context(tmp_path, always(judgement(*met)))
    for _ in range(2):
        score = anyio.run(Grader(find_sandbox()).score, run_of(task), here)
        assert score is not None and (score.passed, score.value, score.trusted) == (passed, value, False)
    assert len(here.model.requests) == 1  # type: ignore[attr-defined]
    assert {(spent.kind, spent.cost.calls) for spent in here.store.spent()} == {("score", 1)}


@pytest.mark.parametrize("garbage", ["no", json.dumps(judgement(True)), "{}", '{"criteria": "all"}'])
def test_a_judge_that_talks_garbage_gives_no_score(tmp_path: Path, garbage: str) -> None:
    events: list[Event] = []
    here = context(tmp_path, always(garbage), events)
    task = made(meta={"rubric": ["One holds.", "Two holds."]})
    assert anyio.run(Grader(find_sandbox()).score, run_of(task), here) is None
    assert events[0].data["unusable"] and anyio.run(Grader(find_sandbox()).score, run_of(made()), here) is None


CHECKS = "text = open('answer.txt').read()\nassert 'up' in text, 'halves go up'\n"


@pytest.mark.parametrize(
    ("checker", "said", "passed"),
    [
        (CHECKS, "Halves go up.", True),
        (CHECKS, "Halves go down.", False),
        ("assert True", "Halves go up.", None),  # lets an empty answer pass: it checks nothing
        ("import sys; sys.exit(3)", "Halves go up.", False),
        ("assert open('out.csv').read() == 'x'", "done", True),
        ("def (", "done", False),
    ],
)
def test_a_checker_program_judges_unless_it_checks_nothing(
    tmp_path: Path, checker: str, said: str, passed: bool | None
) -> None:
    task = made(meta={"checker": checker})
    episode = run_of(task, said, (File(path="out.csv", data=b"x"),))
    score = anyio.run(Grader(find_sandbox()).score, episode, context(tmp_path, []))
    assert (None if score is None else score.passed) is passed
    assert score is None or not score.trusted


def test_in_the_loop_a_made_task_teaches_and_counts_for_nothing(tmp_path: Path) -> None:
    """Judged a success by its own maker, it stays untrusted: no point of the curve, no regression check."""

    def answers(request: Request) -> str:
        if request.json_schema is None:
            return fenced("print('halves go up')")
        return json.dumps(judgement(True, True) if "Rubric" in request.messages[-1].content else MADE)

    here = context(tmp_path, answers)
    recipe = replace(
        given_recipe("test", NoSkills(), ()),
        source=SelfMade(ASK, (("ledger-totals", "Rules."),), per_round=1),
        verifier=Grader(find_sandbox()),
    )
    evolved = anyio.run(evolve, recipe, Snapshot(), here)
    (episode,) = evolved.episodes
    score = episode.trajectory.score
    assert score is not None and score.passed and not score.trusted and episode.trajectory.passed is None
    assert evolved.curve[0].passed is None


# --- taxonomies --------------------------------------------------------------

FIELD = Taxonomy.domains(
    {
        "office/ledgers": "ledger journal accounts totals sums",
        "office/rooms": "room bookings meetings conflicts calendar",
        "lab/spectra": "spectrum peaks wavelength baseline",
    }
)
LEDGER = Skill(name="ledger-totals", description="Sums a journal per account. Use for ledger totals.", body="x\n")


def test_skills_lie_where_their_words_are_and_the_rest_is_the_frontier() -> None:
    places = FIELD.places([LEDGER], tried=["office/rooms"], resources={"lab/spectra": 2, "office/rooms": 5})
    assert {place.name for place in places} == {"lab/spectra", "office/rooms"}
    places = FIELD.places([LEDGER], tried=["office/rooms"])
    assert [p.skills for p in places if p.name == "office/ledgers"] == [("ledger-totals",)]
    assert coverage(places) == pytest.approx(1 / 3) and coverage(()) == 1
    assert [p.name for p in frontier(places, 3)] == ["lab/spectra", "office/rooms", "office/ledgers"]
    assert len(frontier(places, 1)) == 1


def test_of_places_that_were_never_tried_the_one_with_most_resources_comes_first() -> None:
    assert [p.name for p in frontier([Place("a", ""), Place("b", "", resources=3)], 2)] == ["b", "a"]


def test_a_text_belongs_to_its_verb() -> None:
    verbs = Taxonomy.verbs()
    assert verbs.leaf("Converts a table to another form") == "change/convert" and verbs.leaf("blue") is None
    places = verbs.places([LEDGER])
    assert [p.name for p in places if p.skills] == ["compute/sum"] and 0 < coverage(places) < 0.1


def test_the_nearest_share_the_leaf_then_the_class_then_the_words() -> None:
    entries = [
        ("count the boxes", "class"),
        ("paint the wall of the journal", "words"),
        ("sum the boxes", "leaf"),
        ("sing a song", "none"),
    ]
    assert Taxonomy.verbs().nearest("sum the journal", entries, 3) == ("leaf", "class", "words")
    assert Taxonomy.verbs().nearest("sum", [], 3) == ()


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(st.sampled_from("ab/"), min_size=1, max_size=6), st.text(max_size=12), max_size=6))
def test_any_paths_make_a_tree_with_each_leaf_at_most_once(leaves: dict[str, str]) -> None:
    names = [place.name for place in Taxonomy.domains(leaves).places([LEDGER])]
    assert len(set(names)) == len(names)


# --- selectors that remember -------------------------------------------------


class Marked:
    """An agent that solves a task when a skill names it, and a suite that believes it."""

    name = "marked"
    families = ("f",)

    def tasks(self, family: str, split: str, n: int, variant: str = "base", start: int = 0) -> tuple[Task, ...]:
        return tuple(made(id=f"f/{i}", suite="marked", family="f", prompt=f"<{i}>", split=split) for i in range(n))

    async def run(self, task: Task, view: Any, seed: int) -> Trajectory:
        told = any(task.prompt in skill.body for skill in view.skills)
        return Trajectory(id="", agent="marked", model="m", outputs=(File(path="o", data=b"1" if told else b"0"),))

    def check(self, task: Task, outputs: tuple[File, ...], answer: str = "") -> Score:
        passed = outputs[0].data == b"1"
        return Score(value=float(passed), passed=passed, verifier="suite:marked", trusted=True)

    async def score(self, episode: Episode, context: Context) -> Score | None:
        return self.check(episode.task, episode.trajectory.outputs)


MARKED = Marked()
TASKS = MARKED.tasks("f", "gate", 3)
EMPTY = Snapshot()


def knowing(*numbers: int) -> Snapshot:
    body = " ".join(f"<{n}>" for n in numbers) + "\n"
    return Snapshot.of([Skill(name="known", description="Known.", body=body)])


def choosing(out: Path, selector: Any, snapshots: list[Snapshot], rounds: Any = (), seed: int = 0) -> Snapshot:
    store, model = RunStore(out / "run.db"), ScriptedModel([])
    here = Context(MARKED, MARKED, model, store, seed, past=Past(rounds=tuple(rounds)))  # type: ignore[arg-type]
    return anyio.run(selector.choose, snapshots, here)


def test_the_frontier_takes_the_best_in_turn(tmp_path: Path) -> None:
    snapshots = [EMPTY, knowing(0), knowing(1, 2), knowing(0, 1, 2)]
    frontier = Frontier(TASKS, Everything(), k=2)
    chosen = [choosing(tmp_path, frontier, snapshots, [()] * n) for n in range(3)]
    assert chosen == [snapshots[3], snapshots[2], snapshots[3]]
    assert choosing(tmp_path, frontier, [EMPTY, EMPTY], [()]) == EMPTY


def test_the_pareto_front_keeps_who_is_best_at_something(tmp_path: Path) -> None:
    snapshots = [EMPTY, knowing(0), knowing(1, 2), knowing(1)]
    chosen = [choosing(tmp_path, Pareto(TASKS, Everything()), snapshots, seed=seed) for seed in range(40)]
    counts = [chosen.count(snapshot) for snapshot in snapshots]
    assert counts[0] == counts[3] == 0 and counts[2] > counts[1] > 0
    assert choosing(tmp_path, Pareto(TASKS, Everything()), [EMPTY, EMPTY]) == EMPTY


def seen(task: Task, passed: bool, value: float, statements: int) -> Episode:
    checks = tuple(Check(name=str(i), passed=passed) for i in range(statements))
    score = Score(value=value, passed=passed, checks=checks, verifier="judge", trusted=False)
    return Episode(task, run_of(task).trajectory.model_copy(update={"score": score}))


def test_replay_keeps_what_does_well_on_hard_and_easy_tasks_of_all_rounds(tmp_path: Path) -> None:
    """The last library was bent to the hard task and forgot the easy one."""
    easy, hard, long = (task.model_copy(update={"suite": NAME, "split": "evidence"}) for task in TASKS)
    rounds = [(seen(easy, True, 1, 1), seen(long, True, 1, 3), seen(hard, False, 0, 2))]
    snapshots = [EMPTY, knowing(0, 1), knowing(1, 2)]
    replay = Replay(Everything(), MARKED)
    assert choosing(tmp_path, replay, snapshots, rounds) == snapshots[1]
    assert choosing(tmp_path, replay, [EMPTY, knowing(2)], rounds) == EMPTY  # of equals the earlier
    assert choosing(tmp_path, replay, snapshots) == EMPTY  # nothing was seen


def test_replay_does_not_count_what_nobody_can_judge(tmp_path: Path) -> None:
    class Silent(Marked):
        async def score(self, episode: Episode, context: Context) -> Score | None:
            return None

    hard = TASKS[0].model_copy(update={"suite": NAME, "split": "evidence"})
    rounds = [(seen(hard, False, 0, 2),)]
    assert choosing(tmp_path, Replay(Everything(), Silent()), [EMPTY, knowing(0)], rounds) == EMPTY
