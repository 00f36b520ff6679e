"""The search for a program that passes: by small steps, each confirmed by the checks."""

from pathlib import Path

import anyio
import pytest
from evolve_parts import SUITE, WeakModel, by_another_office, fenced, noted, right

from prowess.agents.code import CodeAgent
from prowess.agents.models.scripted import ScriptedModel
from prowess.core.errors import ModelError, SandboxError
from prowess.core.lesson import Lesson
from prowess.core.model import Model, Request, Response
from prowess.core.skill import Snapshot
from prowess.core.task import File
from prowess.core.trajectory import Trajectory
from prowess.evolve.explore import FAILURES, Explore
from prowess.evolve.protocols import Context, Episode, Event
from prowess.evolve.providers import NoSkills
from prowess.measure.trials import run_trial
from prowess.sandbox import Limits, Result, find_sandbox
from prowess.trajectories.runstore import RunStore

(TASK,) = SUITE.tasks("ledger-totals", "evidence", 1)
HALF_RIGHT = by_another_office(TASK).replace('"\\t"', '";"')
"""Breaks fewer rules than the program of the other office."""


class World:
    """A failed episode, and searches from it."""

    def __init__(self, out: Path, said: str = fenced("pass\n")) -> None:
        self.store = RunStore(out / "run.db")
        self.events: list[Event] = []
        agent = CodeAgent(ScriptedModel(lambda request: said), find_sandbox(), attempts=1)
        view = NoSkills().view(TASK, Snapshot())
        self.episode = Episode(TASK, anyio.run(run_trial, TASK, view, 0, agent, SUITE, self.store))
        self.agent = agent

    def explore(self, model: Model, sandbox: object = None, episodes: int = 1, **more: int) -> tuple[Lesson, ...]:
        context = Context(SUITE, self.agent, model, self.store, report=noted(self.events))
        search = Explore(sandbox or find_sandbox(), **{"samples": 4, **more})  # type: ignore[arg-type]
        return anyio.run(search.lessons, [self.episode] * episodes, Snapshot(), context)

    def searches(self) -> list[Trajectory]:
        stored = (self.store.get("exploration", key) for key in self.store.keys("exploration"))
        return [Trajectory.model_validate_json(value) for value in stored if value is not None]


def answers(*programs: str | None) -> ScriptedModel:
    return ScriptedModel([fenced(program) if program is not None else "no program" for program in programs])


def kinds(lessons: tuple[Lesson, ...]) -> dict[str, int]:
    return {kind: sum(lesson.kind == kind for lesson in lessons) for kind in ("program", "cause")}


def test_a_passing_program_ends_the_search_and_becomes_a_lesson(tmp_path: Path) -> None:
    world, model = World(tmp_path), answers(by_another_office(TASK), right(TASK), right(TASK))
    lessons = world.explore(model)
    assert kinds(lessons) == {"program": 1, "cause": 4} and len(model.requests) == 2
    (program,) = [lesson for lesson in lessons if lesson.kind == "program"]
    assert program.payload == right(TASK) and program.family == "ledger-totals" and program.blame == "skill"
    (search,) = world.searches()
    assert search.passed and search.id == program.references[0].trajectory
    assert world.episode.trajectory.id == program.references[1].trajectory


def test_a_search_is_stored_without_secrets(tmp_path: Path) -> None:
    world, secret = World(tmp_path), "ghp_" + "a1" * 18
    lessons = world.explore(answers(f"# key {secret}\n{right(TASK)}"))
    (search,) = world.searches()
    assert search.passed and secret not in search.model_dump_json() + "".join(x.model_dump_json() for x in lessons)


RULE = "rows whose status is VOID must not be counted"


def asked(model: ScriptedModel) -> list[str]:
    return [request.messages[-1].content for request in model.requests]


def test_a_program_that_runs_is_changed_by_one_requirement_and_then_written_anew_by_all(tmp_path: Path) -> None:
    model = answers(by_another_office(TASK), by_another_office(TASK), right(TASK))
    World(tmp_path).explore(model)
    first, change, anew = asked(model)
    assert RULE not in first and TASK.prompt.splitlines()[0] in first
    assert change.count("Requirement: ") == 1 and "Its output begins:" in change
    assert RULE in anew and TASK.prompt.splitlines()[0] in anew


def test_a_program_that_fails_is_repaired_from_its_traceback(tmp_path: Path) -> None:
    model = answers("int('eleven')\n", right(TASK))
    World(tmp_path).explore(model)
    repair = asked(model)[1]
    assert "int('eleven')" in repair and "invalid literal for int()" in repair


def test_a_program_that_passes_other_checks_is_changed_too_though_it_passes_fewer(tmp_path: Path) -> None:
    """The front: neither is better than the other in every check."""
    unordered = right(TASK).replace("sorted(", "list(").replace(", key=lambda item: item[0]", "")
    model = ScriptedModel(lambda request: fenced(unordered if len(model.requests) < 3 else HALF_RIGHT))
    World(tmp_path).explore(model, samples=24)
    changed = {program for program in (unordered, HALF_RIGHT) if any(program in told for told in asked(model))}
    assert unordered in changed


def test_the_second_search_of_a_family_begins_with_the_rules_of_the_first(tmp_path: Path) -> None:
    model = ScriptedModel(lambda request: fenced(by_another_office(TASK)))
    World(tmp_path).explore(model, episodes=2, samples=1)
    first, second = asked(model)
    assert RULE not in first and RULE in second


def test_the_best_program_is_kept_and_changed(tmp_path: Path) -> None:
    """A worse sample does not replace a better one: the next change starts from the best."""
    programs = [HALF_RIGHT, by_another_office(TASK), "raise SystemExit(1)\n", None]
    world, model = World(tmp_path), answers(*programs)
    lessons = world.explore(model)
    (search,) = world.searches()
    assert search.extra["program"] == HALF_RIGHT and not search.passed
    assert kinds(lessons)["program"] == 0 and kinds(lessons)["cause"] >= 3
    assert [event.data["value"] for event in world.events] == [search.score.value] * 4  # type: ignore[union-attr]
    said = [step.observations[0].content for step in search.steps if step.source == "agent"]
    assert "exit code 1" in said[2] and said[3] == "the answer held no program"


def test_a_program_that_runs_is_better_than_one_that_does_not(tmp_path: Path) -> None:
    """More checks passed do not help a program that fails after its file was written."""
    world = World(tmp_path, fenced(HALF_RIGHT + "raise SystemExit(3)\n"))
    world.explore(answers(by_another_office(TASK), None, None, None))
    (search,) = world.searches()
    assert search.extra["program"] == by_another_office(TASK)


def test_equal_programs_are_run_once(tmp_path: Path) -> None:
    runs: list[str] = []

    class Counting:
        name = "counting"

        async def run(self, argv: list[str], files: tuple[File, ...] = (), limits: Limits | None = None) -> Result:
            runs.append(files[-1].text)
            return await find_sandbox().run(argv, files, limits)

    World(tmp_path).explore(answers(*[by_another_office(TASK)] * 4), Counting())
    assert len(runs) == 2  # the agent's own program, and this one


def test_a_family_ends_with_its_first_program(tmp_path: Path) -> None:
    model = answers(right(TASK), right(TASK))
    lessons = World(tmp_path).explore(model, episodes=3)
    assert kinds(lessons)["program"] == 1 and len(model.requests) == 1


def test_a_finished_search_is_read_from_the_store_without_the_model(tmp_path: Path) -> None:
    world = World(tmp_path)
    lessons = world.explore(answers(by_another_office(TASK), right(TASK)))
    silent = ScriptedModel([], name=answers(by_another_office(TASK), right(TASK)).name)
    assert world.explore(silent) == lessons and silent.requests == []


@pytest.mark.parametrize("samples", [1, 3])
def test_the_search_ends_with_its_samples(tmp_path: Path, samples: int) -> None:
    model = ScriptedModel(lambda request: fenced(by_another_office(TASK)))
    lessons = World(tmp_path).explore(model, samples=samples)
    assert len(model.requests) == samples and kinds(lessons)["program"] == 0
    assert len({request.seed for request in model.requests}) == samples


def test_a_missing_episode_teaches_nothing(tmp_path: Path) -> None:
    world, model = World(tmp_path), answers()
    missing = world.episode.trajectory.model_copy(update={"status": "missing"})
    world.episode = Episode(TASK, missing)
    assert world.explore(model) == () and model.requests == []


def test_a_model_that_is_down_ends_the_search_soon_and_leaves_no_result(tmp_path: Path) -> None:
    def down(request: Request) -> Response:
        raise ModelError("no route to the engine", retryable=True)

    world, model = World(tmp_path), ScriptedModel(down)
    assert world.explore(model, samples=10) == () and len(model.requests) == FAILURES
    assert world.searches() == [] and "no route to the engine" in world.events[-1].message
    assert kinds(world.explore(WeakModel(), samples=3))["program"] == 1


def test_a_sandbox_that_is_down_ends_the_search_and_not_the_run(tmp_path: Path) -> None:
    class Down:
        name = "down"

        async def run(self, argv: list[str], files: tuple[File, ...] = (), limits: Limits | None = None) -> Result:
            raise SandboxError("no user namespaces")

    world = World(tmp_path)
    assert world.explore(WeakModel(), Down()) == () and world.searches() == []
    assert "no user namespaces" in world.events[-1].message


def test_the_program_of_a_task_that_passes_already_is_taken_as_it_is(tmp_path: Path) -> None:
    world, model = World(tmp_path, fenced(right(TASK))), answers()
    lessons = world.explore(model)
    assert kinds(lessons) == {"program": 1, "cause": 0} and model.requests == []
