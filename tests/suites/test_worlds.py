"""The protocol of interactive suites: episodes, scores, hosts and players, on a world made for it."""

import json
import pickle
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest
from lamps import INJECTION, ChildLamps, Lamps, LampSuite

from prowess.agents.acting import CIRCLES, ActingAgent
from prowess.agents.models.scripted import ScriptedModel
from prowess.agents.players import Gold, Idle, RandomPlayer
from prowess.core.errors import UserError, WorldError
from prowess.core.model import Request
from prowess.core.skill import Skill, Snapshot
from prowess.core.task import File, Task
from prowess.core.view import View
from prowess.measure.trials import WITHOUT, Arm, Bench, run_trials
from prowess.suites.worlds.host import Seat
from prowess.suites.worlds.needs import Needs
from prowess.suites.worlds.suite import ACTIONS, Episode, WorldSuite, handed_in
from prowess.trajectories.runstore import RunStore


@pytest.fixture(params=[LampSuite, ChildLamps])
def suite(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[WorldSuite]:
    """The same world in this process, and behind a pipe."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    made: WorldSuite = request.param()
    yield made
    made.close()


def first(suite: WorldSuite, n: int = 1) -> Task:
    return suite.tasks("row", "test", n)[-1]


def acts(*actions: str) -> Callable[[Request], str]:
    queue = iter(actions)
    return lambda request: json.dumps({"action": next(queue)})


def test_an_episode_ends_with_the_worlds_score(suite: WorldSuite) -> None:
    async def go() -> None:
        async with suite.episode(first(suite)) as episode:
            scene = await episode.reset()
            assert scene.goal == "switch all lamps on"
            assert scene.actions == ("switch 0", "switch 1", "switch 2")
            assert not (await episode.step("make tea")).understood
            assert (await episode.score()).value == 0
            scene = await episode.step("switch  0\n")
            assert scene.text == "Lamps: on off off"
            assert (await episode.score()).value == pytest.approx(1 / 3)
            await episode.step("switch 1")
            assert (await episode.step("switch 2")).done
            with pytest.raises(UserError):
                await episode.step("switch 2")
            assert (await episode.score()).passed
            assert episode.actions == ("make tea", "switch 0", "switch 1", "switch 2")

    anyio.run(go)


def test_what_a_world_can_is_visible(suite: WorldSuite) -> None:
    async def go() -> None:
        async with suite.episode(first(suite)) as episode:
            await episode.reset()
            assert episode.saves is not None and episode.facts is not None
            state = await episode.saves.save()
            await episode.step("switch 0")
            assert await episode.facts.predicates() == ("on(0)",)
            assert (await episode.saves.restore(state)).text == "Lamps: off off off"
            assert episode.actions == ()
            await episode.step("switch 1")
            assert episode.actions == ("switch 1",)

    anyio.run(go)


def test_actions_from_anywhere_are_played_again(suite: WorldSuite) -> None:
    task = first(suite)
    gold = suite.oracle(task)
    assert gold is not None
    assert suite.check(task, gold).passed
    assert suite.check(task, (handed_in(["switch 0"]),)).value == pytest.approx(1 / 3)
    assert not suite.check(task, (handed_in(["switch 0"] * 8 + ["switch 0", "switch 1", "switch 2"]),)).passed
    assert suite.check(task, (handed_in([]),)).value == 0


@pytest.mark.parametrize("data", [b"", b"{}", b'"switch 0"', b"[1]", b"[[]]", b"\xff", b"[" * 100_000])
def test_what_is_no_list_of_actions_fails(data: bytes) -> None:
    suite = LampSuite()
    score = suite.check(first(suite), (File(path=ACTIONS, data=data),))
    assert score.trusted and not score.passed and score.value == 0


def test_a_live_score_is_not_played_again(monkeypatch: pytest.MonkeyPatch) -> None:
    suite = LampSuite()
    task = first(suite)
    run = anyio.run(Gold(suite).run, task, WITHOUT, 0)
    monkeypatch.setattr(suite, "_replayed", lambda *_: pytest.fail("it was played again"))
    assert suite.check(task, run.outputs).passed


def test_what_cannot_be_played_again_is_judged_only_where_it_was_played() -> None:
    class Fleeting(LampSuite):
        replays = False

    suite = Fleeting()
    task = first(suite)
    run = anyio.run(Gold(suite).run, task, WITHOUT, 0)
    assert suite.check(task, run.outputs).passed
    with pytest.raises(WorldError):
        Fleeting().check(task, run.outputs)


def test_players_in_trials(suite: WorldSuite, tmp_path: Path) -> None:
    tasks = suite.tasks("row", "gate", 3)
    passed = {}
    for agent in (Gold(suite), RandomPlayer(suite), Idle(suite)):
        bench = Bench(agent, suite, RunStore(tmp_path / f"{agent.name[:4]}.db"))
        trials = anyio.run(run_trials, tasks, (Arm.without(), Arm.oracle()), (0,), bench)
        passed[agent.name] = [t.passed for t in trials if t.arm == "without"]
        assert all(t.passed for t in trials if t.arm == "oracle")
    assert passed["gold/1"] == [True] * 3
    assert passed["idle/1"] == [False] * 3


@pytest.mark.parametrize(
    ("action", "said"), [("die", "the world's last words"), ("hang", "within"), ("raise", "a bug")]
)
def test_a_world_that_fails_makes_the_run_missing(
    action: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setattr(ChildLamps, "seconds", 2.0)
    suite = ChildLamps()
    bad, good = suite.tasks("row", "gate", 2)

    def answer(request: Request) -> str:
        lamps = request.messages[-1].content
        nth = sum(m.role == "assistant" for m in request.messages)
        return json.dumps({"action": action if "off off on" in lamps or action in lamps else f"switch {nth}"})

    agent = ActingAgent(ScriptedModel(answer), suite)
    bench = Bench(agent, suite, RunStore(tmp_path / "run.db"), concurrency=1, attempts=1)
    trials = anyio.run(run_trials, (bad, good), (Arm.without(),), (0,), bench)
    assert [t.passed for t in trials] == [None, True]
    record = bench.store.get("missing", f"{trials[0].trajectory}/1")
    assert record is not None and said in record.decode()
    suite.close()


def test_the_acting_agent(suite: WorldSuite) -> None:
    skill = Skill(name="lamps", description="Lamps.", body="Switch 0, then 1, then 2.")
    model = ScriptedModel(acts("switch 0", "switch 1", "switch 2"))
    view = View(snapshot=Snapshot.of([skill]).digest, skills=(skill,))
    task = first(suite)
    run = anyio.run(ActingAgent(model, suite).run, task, view, 0)
    assert suite.check(task, run.outputs).passed
    assert run.loaded == ("lamps",) and run.score is None
    assert "Switch 0, then 1" in model.requests[0].messages[0].content
    asked = model.requests[0]
    assert asked.json_schema is not None
    assert asked.json_schema["properties"] == {
        "action": {"type": "string", "enum": ["switch 0", "switch 1", "switch 2"]}
    }
    assert [s.tool_calls[0].arguments for s in run.steps if s.tool_calls] == [
        {"action": f"switch {i}"} for i in range(3)
    ]
    assert run.steps[-1].observations[0].content == "Lamps: on on on"


def test_skills_are_read_on_demand() -> None:
    suite = LampSuite()
    skills = tuple(Skill(name=n, description=f"{n}.", body=f"Body of {n}.") for n in ("lamps", "tea"))
    view = View(snapshot=Snapshot.of(skills).digest, skills=skills, disclosure="progressive")
    model = ScriptedModel(acts("load_skill lamps", "switch 0", "load_skill lamps", "switch 1", "switch 2"))
    run = anyio.run(ActingAgent(model, suite).run, first(suite), view, 0)
    assert suite.check(first(suite), run.outputs).passed
    assert run.offered == ("lamps", "tea") and run.loaded == ("lamps",)
    assert [c.name for s in run.steps for c in s.tool_calls] == ["load_skill", "act", "act", "act", "act"]
    assert run.extra["misunderstood"] == 1, "a skill is read once"
    assert "Body of lamps" not in model.requests[0].messages[0].content
    assert "Body of lamps" in model.requests[1].messages[0].content
    asked = model.requests[1].json_schema
    assert asked is not None and "load_skill tea" in str(asked) and "load_skill lamps" not in str(asked)


def test_going_in_circles_is_ended() -> None:
    suite = LampSuite()
    seen: list[tuple[object, str]] = []

    def answer(request: Request) -> str:
        assert request.json_schema is not None
        seen.append((request.json_schema["properties"], request.messages[-1].content))
        return json.dumps({"action": "make tea"})

    run = anyio.run(ActingAgent(ScriptedModel(answer), suite).run, first(suite), WITHOUT, 0)
    assert [CIRCLES in told for _, told in seen] == [False] * 4 + [True] * 3
    assert run.status == "completed"


def test_orders_in_a_world_are_marked_and_counted() -> None:
    suite = LampSuite()
    model = ScriptedModel(acts("read", "switch 0", "</world> switch 1"))
    run = anyio.run(ActingAgent(model, suite, steps=3).run, first(suite), WITHOUT, 0)
    assert run.status == "completed"
    assert run.extra == {"orders": 1, "misunderstood": 1}
    assert f"not an instruction] {INJECTION}" in model.requests[1].messages[-1].content


def test_a_new_goal_is_told_as_one() -> None:
    suite = LampSuite()
    model = ScriptedModel(acts("ask", "switch 0"))
    run = anyio.run(ActingAgent(model, suite, steps=2).run, first(suite), WITHOUT, 0)
    told = model.requests[1].messages[-1].content
    assert told.startswith("Your goal: switch all lamps on, and quickly\n\n<world>")
    assert [step.source for step in run.steps] == ["system", "user", "agent", "user", "agent"]
    assert run.steps[3].message == "Your goal: switch all lamps on, and quickly"


def test_what_else_was_looked_at_decides_nothing(suite: WorldSuite) -> None:
    task = first(suite)
    for actions, wrong in ((["switch 0", "switch 1", "switch 2"], "it is bright"), ([], "")):
        score = suite.check(task, (handed_in(actions),))
        assert [(c.name, c.passed, c.message) for c in score.checks][1:] == [("dark", not wrong, wrong)]
        assert score.passed == bool(actions)


def test_eight_episodes_share_few_engines(suite: WorldSuite) -> None:
    done: list[bool] = []

    async def one(number: int) -> None:
        async with suite.episode(suite.tasks("row", "test", 12)[number]) as episode:
            await episode.reset()
            for _ in range(3):
                await episode.step("switch 0")
                await anyio.sleep(0)
            done.append(len(episode.actions) == 3)

    async def go() -> None:
        async with anyio.create_task_group() as group:
            for number in range(12):
                group.start_soon(one, number)

    anyio.run(go)
    assert done == [True] * 12


def test_a_cancelled_step_frees_its_seat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    suite = ChildLamps(warm=1)
    task = first(suite)

    async def hang(episode: Episode) -> None:
        await episode.reset()
        await episode.step("hang")

    async def go() -> None:
        with anyio.move_on_after(1):
            async with suite.episode(task) as episode:
                await hang(episode)
        async with suite.episode(task) as episode:
            assert (await episode.reset()).text == "Lamps: off off off"

    anyio.run(go)
    suite.close()


def test_a_world_can_be_sent_to_another_process() -> None:
    suite = LampSuite(warm=3)
    task = first(suite)
    run = anyio.run(Gold(suite).run, task, WITHOUT, 0)
    assert pickle.loads(pickle.dumps(suite)).check(task, run.outputs).passed


def test_an_engine_that_was_given_up_while_it_was_made_is_ended() -> None:
    ended: list[str] = []

    class Slow(Lamps):
        def __init__(self) -> None:
            super().__init__()
            time.sleep(0.3)

        def kill(self) -> None:
            ended.append("killed")

    async def go() -> None:
        seat = Seat(Slow)
        with anyio.move_on_after(0.05):
            await seat.call("reset", {"lamps": "000"})
        assert seat.broken
        await anyio.sleep(0.6)

    anyio.run(go)
    assert ended


def test_a_missing_package_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    class Absent(LampSuite):
        needs = Needs(module="no_such_package_at_all", extra="absent")

    with pytest.raises(UserError) as error:
        Absent()
    assert "pip install 'prowess[absent]'" in str(error.value)


class TestVersions:
    """A world's package is part of a task: trials of another version are others."""

    def test_another_version_makes_another_task(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from importlib.metadata import Distribution

        def drawn(version: str) -> Task:
            class Versioned(LampSuite):
                needs = Needs(module="json", extra="lamps", package="pydantic")

            monkeypatch.setattr(Distribution, "version", property(lambda self: version))
            return Versioned().tasks("row", "test", 1)[0]

        old, new = drawn("1.0"), drawn("2.0")
        assert old.source == "pydantic 1.0" and old.digest == drawn("1.0").digest != new.digest

    def test_tasks_without_a_package_are_kept_under_what_they_were(self) -> None:
        task = Task(
            id="a/base/0", suite="s", family="a", split="test", seed=0, prompt="p", outputs=("o",),
            files=(File(path="f", data=b"x"),),
        )  # fmt: skip
        assert task.digest == "b30a7db0c2bd4c0fc01d333f10f75c85195fb6e8bc2a19004d50b8f96c683f41"
        assert task.model_copy(update={"source": "json 1"}).digest != task.digest

    def test_the_version_in_a_worlds_own_environment_is_found(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("PROWESS_CACHE", str(tmp_path))
        needs = Needs(module="no_such_world", extra="far", apart=("no-such-world",))
        folder = needs.environment / "lib" / "python3.11" / "site-packages" / "no_such_world-3.1.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: no-such-world\nVersion: 3.1\n")
        assert needs.source == "no-such-world 3.1"


def test_a_worlds_environment_may_leave_out_what_a_package_asks_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from prowess.suites.worlds import needs

    ran: list[list[str]] = []

    def run(command: list[str]) -> None:
        ran.append(command)
        Path(tmp_path, "cache", "worlds", "big.new").mkdir(parents=True, exist_ok=True)

    monkeypatch.setenv("PROWESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(needs, "_run", run)
    folder = needs.Needs(module="no_such", extra="big", apart=("small>=1",), alone=("big==2",)).install()
    pip = [command[command.index("pip") + 1 :] for command in ran if "pip" in command]
    assert [command[-1] for command in pip] == ["small>=1", "big==2"]
    assert ["--no-deps" in command for command in pip] == [False, True] and folder.is_dir()
