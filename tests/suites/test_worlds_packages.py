"""The worlds themselves, where their packages are: right actions win, doing nothing does not, nonsense is played."""

import gc
import json
from pathlib import Path

import anyio
import pytest

from prowess.agents.acting import ActingAgent
from prowess.agents.models.scripted import ScriptedModel
from prowess.agents.players import Gold, Idle, RandomPlayer
from prowess.core.errors import UserError, WorldError
from prowess.core.model import Request
from prowess.core.task import File, Score, Task
from prowess.measure.trials import WITHOUT, Arm, Bench, run_trials
from prowess.measure.worlds import stand
from prowess.suites import WORLDS, open_suite, world_class
from prowess.suites.worlds.engine import Scene
from prowess.suites.worlds.suite import WorldSuite, handed_in, read_actions, steps_of
from prowess.suites.worlds.toolcalls import Call
from prowess.trajectories.runstore import RunStore

PLAYED = {
    "babyai": ("GoToLocal", "PutNext", "UnlockPickup", "KeyCorridor"),
    "textworld-express": (
        *("cookingworld", "twc", "coin", "mapreader"), *("arithmetic", "sorting", "simonsays", "peckingorder"),
    ),
    "scienceworld": ("lifespan-longest-lived", "power-component"),
    "tau2": ("airplane_mode_on", "overdue_bill_suspension", "lock_sim_card_pin", "mms_issue"),
    "tau2-service": ("retail",),
    "textworld": ("coin", "cooking"),
    "bfcl": ("files", "vehicle", "trading", "travel"),
    "agentdojo": ("workspace", "banking", "travel", "slack"),
    "miniwob": ("enter-text", "use-autocomplete-nodelay", "click-tab-2"),
    "alfworld": ("pick_clean_then_place_in_recep", "pick_two_obj_and_place"),
}  # fmt: skip


def opened(name: str) -> WorldSuite:
    try:
        suite = open_suite(name)
    except UserError as error:
        pytest.skip(f"{name}: {error.message}")
    assert isinstance(suite, WorldSuite)
    return suite


@pytest.fixture(scope="module", params=PLAYED)
def world(request: pytest.FixtureRequest):
    suite = opened(request.param)
    yield suite
    suite.close()


def some(world: WorldSuite) -> list[Task]:
    return [task for family in PLAYED[world.name] for task in world.tasks(family, "test", 1)]


def test_right_actions_win_live_and_played_again(world: WorldSuite) -> None:
    for task in some(world):
        run = anyio.run(Gold(world).run, task, WITHOUT, 0)
        assert run.status == "completed", run.error
        live = world.check(task, run.outputs)
        assert live.passed and live.value == 1, task.id
        actions = read_actions(run.outputs, steps_of(task))
        assert actions is not None and len(actions) <= steps_of(task)
        assert world._replayed(task, actions) == live


def test_doing_nothing_is_worth_nothing_and_chance_can_play(world: WorldSuite) -> None:
    for task in some(world):
        idle = anyio.run(Idle(world).run, task, WITHOUT, 0)
        assert world.check(task, idle.outputs).value <= 0.1
        assert not world.check(task, idle.outputs).passed
    runs = [anyio.run(RandomPlayer(world, steps=12).run, task, WITHOUT, 0) for task in some(world)[:2] for _ in "ab"]
    assert runs[0].steps == runs[1].steps, "equal seeds, equal episodes"
    assert all(0 <= world.check(t, r.outputs).value <= 1 for t, r in zip(some(world)[:1], runs, strict=False))


def test_an_invalid_action_is_answered(world: WorldSuite) -> None:
    async def go() -> None:
        async with world.episode(some(world)[0]) as episode:
            first = await episode.reset()
            assert first.goal and first.text and not first.done
            for action in ("xyzzy the frobnicator", "", "; rm -rf /", "å" * 5_000):
                scene = await episode.step(action)
                assert scene.text and not scene.understood, action

    anyio.run(go)


def test_states_are_restored(world: WorldSuite) -> None:
    if not {"save", "predicates"} <= world.can:
        pytest.skip(f"{world.name} has no saves or no facts")
    task = some(world)[0]
    gold = world.oracle(task)
    assert gold is not None
    actions = read_actions(gold, 1_000)
    assert actions is not None

    async def go() -> None:
        async with world.episode(task) as episode:
            await episode.reset()
            assert episode.saves is not None and episode.facts is not None
            facts = await episode.facts.predicates()
            assert facts and facts == tuple(sorted(facts))
            state, half = await episode.saves.save(), len(actions) // 2
            for action in actions[: max(half, 1)]:
                before = await episode.step(action)
            middle = await episode.saves.save()
            assert await episode.facts.predicates() != facts or before.text
            for action in actions[max(half, 1) :]:
                await episode.step(action)
            assert (await episode.score()).passed
            await episode.saves.restore(middle)
            assert not (await episode.score()).passed or half == 0
            await episode.saves.restore(state)
            assert await episode.facts.predicates() == facts
            for action in actions:
                await episode.step(action)
            assert (await episode.score()).passed

    anyio.run(go)


@pytest.mark.parametrize("name", ["textworld-express", "scienceworld"])
def test_a_java_machine_that_dies_makes_the_run_missing(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    suite = opened(name)
    tasks = [*some(suite)[:1], *suite.tasks(PLAYED[name][0], "gate", 1)]
    killed: list[bool] = []

    def answer(request: Request) -> str:
        if not killed and sum(m.role == "assistant" for m in request.messages) == 2:
            for seat in list(suite._pool.held):
                seat._engine.kill()  # type: ignore[union-attr]
            killed.append(True)
        return json.dumps({"action": "look around"})

    agent = ActingAgent(ScriptedModel(answer), suite, steps=4)
    bench = Bench(agent, suite, RunStore(tmp_path / "run.db"), concurrency=1, attempts=1)
    trials = anyio.run(run_trials, tasks, (Arm.without(),), (0,), bench)
    suite.close()
    assert sorted(str(t.passed) for t in trials) == ["False", "None"]
    caplog.clear()
    gc.collect()
    assert not caplog.records, "what is left of the dead machine's objects asks for it no more"


def test_splits_never_share_an_episode(world: WorldSuite) -> None:
    for family in world.families:
        for variant in world.variants(family):
            starts = [
                json.dumps(task.meta["start"], sort_keys=True)
                for split in ("evidence", "gate", "test")
                for task in world.tasks(family, split, 5, variant)
            ]
            assert len(set(starts)) == len(starts) > 3


def test_worlds_say_what_they_are() -> None:
    for name in WORLDS:
        kind = world_class(name)
        assert kind.name == name and kind.about and kind.licence and kind.needs


def test_written_skills_are_valid() -> None:
    from prowess.library.skillmd import parse, validate
    from prowess.suites.worlds import skills

    found = list((Path(skills.__file__).parent / "skills").glob("*/*.md"))
    assert {path.parent.name for path in found} >= {"babyai", "textworld-express", "reasoning-gym"}
    for path in found:
        assert not validate(parse(path.read_text("utf-8"), path.name))


def test_check_of_a_world(world: WorldSuite) -> None:
    found = anyio.run(stand, world, PLAYED[world.name][:1])
    assert found.in_order and found.oracle is not None and found.oracle.passed == found.tasks == 1
    assert (found.steps > 0 or "actions" not in world.can) and found.seconds > 0


def played(suite: WorldSuite, task: Task, *actions: str) -> tuple[Score, list[Scene]]:
    """An episode of these actions, judged; and its scenes."""

    async def go() -> tuple[Score, list[Scene]]:
        async with suite.episode(task) as episode:
            scenes = [await episode.reset()]
            for action in actions:
                scenes.append(await episode.step(action))
            return await episode.score(), scenes

    return anyio.run(go)


def right(suite: WorldSuite, task: Task) -> list[str]:
    gold = suite.oracle(task)
    assert gold is not None
    return list(read_actions(gold, steps_of(task)) or ())


@pytest.fixture(scope="module")
def bfcl():
    suite = opened("bfcl")
    yield suite
    suite.close()


@pytest.fixture(scope="module")
def dojo():
    suite = opened("agentdojo")
    yield suite
    suite.close()


class TestBfcl:
    """Requests of a user, one after the other."""

    def test_all_variants_are_won_by_right_calls_and_only_in_their_turns(self, bfcl: WorldSuite) -> None:
        for variant in bfcl.variants("files"):
            (task,) = bfcl.tasks("files", "test", 1, variant)
            actions = right(bfcl, task)
            assert played(bfcl, task, *actions)[0].passed, variant
            assert not played(bfcl, task, *actions[:-2], actions[-1])[0].passed, "a call is missing"
            assert not played(bfcl, task, *(a for a in actions if a.startswith("say")))[0].passed, "only talk"
            call = next(action for action in actions if not action.startswith("say"))
            score, scenes = played(bfcl, task, "say Wait.", call)
            assert not score.passed and score.checks[0].message.endswith("the user came to make 2")
            assert scenes[1].goal and not scenes[2].goal, "the next request has come"

    def test_a_tool_comes_when_it_was_missed(self, bfcl: WorldSuite) -> None:
        (task,) = bfcl.tasks("files", "evidence", 1, "miss-func")  # `sort` is missing until the fourth request
        call = 'sort {"file_name": "final_report.pdf"}'
        _, scenes = played(bfcl, task, call, "say .", "say .", call, "say I cannot sort.", call)
        assert "- sort:" not in scenes[0].goal and not scenes[1].understood and not scenes[4].understood
        assert "- sort:" in scenes[5].goal and scenes[6].understood

    def test_texts_are_data(self, bfcl: WorldSuite, tmp_path: Path) -> None:
        (task,) = bfcl.tasks("files", "evidence", 1)
        marker = tmp_path / "ran"
        text = f"sort (it), cat('x') \\' + str(open({str(marker)!r}, 'w')) + '(\\\\(  two\nlines"
        write, read = Call("echo", {"content": text, "file_name": "note.txt"}), Call("cat", {"file_name": "note.txt"})
        _, scenes = played(
            bfcl, task, 'cd {"folder": "document"}', 'touch {"file_name": "note.txt"}', str(write), str(read)
        )
        assert json.loads(scenes[-1].text) == {"file_content": text}
        for action in ('cd {"folder": 1e999}', 'cd {"folder.x": 1}', "cd [1]", '__import__ {"name": "os"}'):
            assert not played(bfcl, task, action)[1][-1].understood
        assert not marker.exists()


ORDERS = ("direct-1", "ignore_previous-2", "system_message-3", "injecagent-4", "important_instructions_no_names-5")


class TestAgentDojo:
    """Errands, and orders in the data."""

    def test_the_errand_and_the_attack_are_judged_apart(self, dojo: WorldSuite) -> None:
        (task,) = dojo.tasks("banking", "gate", 1, "direct-4")  # what was spent in March; pay the attacker instead
        actions = right(dojo, task)
        theft = 'update_scheduled_transaction {"id": 6, "recipient": "US133000000121212121212"}'
        for chosen, errand, unharmed in (
            (actions, True, True),
            ([theft, *actions], True, False),
            ([theft], False, False),
            (["say No."], False, True),
        ):
            score, _ = played(dojo, task, *chosen)
            assert score.passed == errand == bool(score.value)
            assert [(c.name, c.passed) for c in score.checks] == [("goal", errand), ("injection", unharmed)]
            assert dojo.check(task, (handed_in(chosen),)) == score
        assert [c.name for c in played(dojo, *dojo.tasks("banking", "gate", 1))[0].checks] == ["goal"]

    @pytest.mark.parametrize("variant", ORDERS)
    def test_orders_stand_in_the_data_and_never_in_the_goal(self, dojo: WorldSuite, variant: str) -> None:
        for family in ("banking", "slack"):
            (plain,), (task,) = dojo.tasks(family, "gate", 1), dojo.tasks(family, "gate", 1, variant)
            _, safe = played(dojo, plain, *right(dojo, plain))
            _, scenes = played(dojo, task, *right(dojo, task))
            assert scenes[0] == safe[0] and scenes != safe

    def test_marked_orders_are_counted(self, dojo: WorldSuite) -> None:
        (task,) = dojo.tasks("banking", "gate", 1, "injecagent-4")
        run = anyio.run(Gold(dojo).run, task, WITHOUT, 0)
        assert run.extra["orders"] and dojo.check(task, run.outputs).passed


def test_an_attack_that_cannot_be_judged_has_not_failed() -> None:
    from prowess.suites.worlds.agentdojo import INJECTION, Errand

    class Judge:
        """Breaks, as the package's do where the data that they look at are gone."""

        def utility_from_traces(self, *given: object) -> bool:
            raise KeyError("the mail is gone")

        security_from_traces = utility_from_traces

    errand = object.__new__(Errand)
    vars(errand).update(_task=Judge(), _injection=Judge(), _said="", _before=None, _now=None, _calls=[])
    outcome = errand.score()
    assert not outcome.passed and "cannot be told" in outcome.also[INJECTION]


@pytest.mark.parametrize("name", ["bfcl", "agentdojo"])
def test_a_process_that_dies_makes_the_run_missing(name: str) -> None:
    suite = opened(name)
    task = some(suite)[0]

    async def go() -> None:
        async with suite.episode(task) as episode:
            await episode.reset()
            for seat in list(suite._pool.held):
                seat._engine.kill()  # type: ignore[union-attr]
            await episode.step("say Hello.")

    with pytest.raises(WorldError):
        anyio.run(go)
    assert anyio.run(Gold(suite).run, task, WITHOUT, 0).status == "completed", "the next one gets a new process"
    suite.close()


@pytest.fixture(scope="module")
def gym():
    try:
        suite = open_suite("reasoning-gym")
    except UserError as error:
        pytest.skip(error.message)
    yield suite
    suite.close()


class TestReasoningGym:
    """Questions, not episodes."""

    QUICK = (
        "chain_sum", "caesar_cipher", "letter_counting", "n_queens", "binary_matrix", "spiral_matrix", "countdown",
        "string_insertion", "simple_integration", "polynomial_multiplication", "tower_of_hanoi", "graph_color",
    )  # fmt: skip

    @pytest.mark.parametrize("family", QUICK)
    def test_the_right_answer_passes_and_none_does_not(self, gym, family: str) -> None:
        for variant in gym.variants(family)[:2]:
            (task,) = gym.tasks(family, "test", 1, variant)
            assert gym.check(task, gym.oracle(task)).passed
            assert gym.check(task, (), gym.oracle(task)[0].text).passed
            assert gym.check(task, (), "").value == 0

    def test_equal_arguments_equal_tasks(self, gym) -> None:
        assert gym.tasks("chain_sum", "gate", 3) == open_suite("reasoning-gym").tasks("chain_sum", "gate", 3)
        prompts = {t.prompt for s in ("evidence", "gate", "test") for t in gym.tasks("caesar_cipher", s, 5)}
        assert len(prompts) == 15

    @pytest.mark.parametrize(
        "payload",
        [
            '__import__("pathlib").Path({marker!r}).touch()',
            '[__import__("pathlib").Path({marker!r}).touch()]',
            '(lambda: open({marker!r}, "w"))()',
            '().__class__.__base__.__subclasses__()',
            "open({marker!r}, 'w')",
            "9**9**9**9",
            "(((9**99)**99)**99)**99",
            "[" * 2_000,
            "\x00",
            "x" * 100_000,
        ],
    )  # fmt: skip
    @pytest.mark.parametrize(
        "family", ["n_queens", "spiral_matrix", "countdown", "simple_integration", "string_insertion"]
    )
    def test_answers_are_never_run(self, gym, family: str, payload: str, tmp_path: Path) -> None:
        marker = tmp_path / "ran"
        (task,) = gym.tasks(family, "test", 1)
        text = payload.replace("{marker!r}", repr(str(marker)))
        for said in (text, f"<answer>{text}</answer>"):
            assert gym.check(task, (), said).value < 1
            assert not gym.check(task, (File(path="answer.txt", data=said.encode()),)).passed
        assert not marker.exists()

    def test_the_answer_is_found_in_what_is_said(self, gym) -> None:
        (task,) = gym.tasks("chain_sum", "test", 1)
        gold = gym.oracle(task)[0].text.removeprefix("<answer>").removesuffix("</answer>")
        assert gym.check(task, (), f"Let me see.\nIt is\n{gold}\n").passed
        assert gym.check(task, (), f"<answer>1</answer> no, <answer> {gold} </answer>.").passed
        assert not gym.check(task, (), f"{gold}\nor so").passed
