"""ALFWorld on games drawn here: that they can be told apart from the published ones, and that each can be done."""

import pytest

from prowess.core.errors import UserError
from prowess.suites import open_suite
from prowess.suites.worlds.alfworld import ALFWorld
from prowess.suites.worlds.household import KINDS
from prowess.suites.worlds.suite import WorldSuite


def test_tasks_say_that_their_games_are_generated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ALFWorld, "__init__", lambda self: None)
    suite = ALFWorld()
    assert suite.families == tuple(KINDS) and len(KINDS) == 6
    tasks = [task for family in suite.families for task in suite.tasks(family, "gate", 2)]
    assert all("generated" in task.id for task in tasks)
    assert len({str(task.meta["start"]) for task in tasks}) == len(tasks)


def test_the_command_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from prowess.suites.worlds import needs

    monkeypatch.setattr(needs, "find_spec", lambda module: None)
    monkeypatch.setattr(needs, "_python_of", lambda folder: folder / "nowhere")
    with pytest.raises(UserError) as error:
        open_suite("alfworld")
    assert "prowess suites install alfworld" in str(error.value)


@pytest.fixture(scope="module")
def suite():
    try:
        made = open_suite("alfworld")
    except UserError as error:
        pytest.skip(error.message)
    assert isinstance(made, WorldSuite)
    yield made
    made.close()


def test_equal_tasks_have_equal_gold_in_rooms_of_both_kinds(suite: WorldSuite) -> None:
    for variant in suite.variants("look_at_obj_in_light"):
        (task,) = suite.tasks("look_at_obj_in_light", "test", 1, variant)
        gold = suite.oracle(task)
        assert gold is not None and gold == suite.oracle(task)
        assert suite.check(task, gold).passed
