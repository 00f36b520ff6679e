"""A3T: what is drawn at random and passes teaches by its contrast to what failed; pairs can be exported."""

import json
from pathlib import Path
from typing import Any

from lamps import LampSuite
from recipe_parts import DRAFTED, RULE, Played, edited, garbled, learned, lesson
from test_worlds_recipes import Actor, played

from prowess.core.trajectory import Step, Trajectory
from prowess.evolve.sampled import exported, shown
from prowess.trajectories.runstore import RunStore, keep

SAYS: dict[str, Any] = {
    "reason": {"reason": "I go by the rules of this house, so I sort the lines."},
    "contrast": {"lesson": RULE},
    "draft": DRAFTED,
    "edit": edited(RULE),
}


def test_a_sampled_success_teaches_by_its_contrast(tmp_path: Path) -> None:
    model = Played("a3t", SAYS)
    record = learned("a3t", tmp_path, model)
    assert [point.passed for point in record.curve] == [False] * 4 + [True] * 4
    assert RULE in record.after.skills[0].body and record.comparisons[0].evidence.treatment_rate == 1.0
    asked = model.questions("contrast")[0]
    failed, passed = asked.partition("Passed:")[0], asked.partition("Passed:")[2]
    assert "```python" in failed and "```python" in passed and "so I sort the lines" in passed
    first = record.decisions[0].lessons[0]
    assert len(first.references) == 2
    (row, *_) = exported(record.decisions[0].lessons, RunStore(tmp_path / "run.db"))
    assert {*row} == {"prompt", "chosen", "rejected"} and row["chosen"] != row["rejected"]
    assert "so I sort the lines" in row["chosen"][0]["content"]  # type: ignore[index]
    assert json.dumps(row) and row["prompt"][0]["role"] == "system"  # type: ignore[index]


def test_successes_alone_are_shown_without_their_contrast_and_make_no_pair(tmp_path: Path) -> None:
    model = Played("a3t", SAYS)
    record = learned("a3t.successes-only", tmp_path, model)
    assert "Failed:\nnot shown" in model.questions("contrast")[0]
    assert not [*exported(record.decisions[0].lessons, RunStore(tmp_path / "run.db"))]


def test_without_actre_no_reason_is_asked_for(tmp_path: Path) -> None:
    model = Played("a3t", SAYS)
    learned("a3t.no-reasons", tmp_path, model)
    assert not model.questions("reason") and "Its reason: not told" in model.questions("contrast")[0]


def test_what_no_sampling_passes_teaches_nothing(tmp_path: Path) -> None:
    class Hopeless(Played):
        def _program(self, request: Any) -> str:
            return super()._program(request.model_copy(update={"temperature": 0.0}))

    model = Hopeless("a3t", SAYS)
    assert not learned("a3t", tmp_path, model).decisions and not model.asked


def test_in_a_world_single_actions_are_drawn_and_explained(tmp_path: Path) -> None:
    """The player only ever switches the third lamp; with some actions drawn it gets further."""
    suite = LampSuite()
    says = SAYS | {"draft": DRAFTED, "contrast": {"lesson": "Switch each lamp that is off."}}
    model = Actor("a3t", says)
    found, events = played(suite, tmp_path, "a3t", model, evidence=4)
    suite.close()
    assert found.curve and not any(point.passed for point in found.curve[:4])
    assert any(
        "passed" in event.message for event in events if event.message.startswith("row") and "sampled" in event.message
    )
    assert "Next: switch" in model.questions("reason")[0]
    passed = model.questions("contrast")[0].partition("Passed:")[2]
    assert "switch 0: Lamps: on" in passed


def test_garbage_teaches_nothing(tmp_path: Path) -> None:
    garbled("a3t", tmp_path, SAYS)


def test_pairs_that_are_lost_or_broken_are_left_out(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "run.db")
    run = Trajectory(
        id="p", agent="a", model="m", steps=(Step(source="user", message="u"), Step(source="agent", message="a"))
    )
    keep(store, "trajectory", "p", run)
    payloads = [
        "",
        "{",
        "[]",
        json.dumps({"failed": "gone", "passed": "p"}),
        json.dumps({"failed": "p", "passed": "p"}),
    ]
    (row,) = exported([lesson(payload=payload) for payload in payloads], store)
    said = [{"role": "assistant", "content": "a"}]
    assert row == {"prompt": [{"role": "user", "content": "u"}], "chosen": said, "rejected": said} and shown(run) == "a"
