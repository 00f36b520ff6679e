"""Training data of other engines: what is a right answer, what is a pair; anything that a run holds can be written."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prowess.core.lesson import Lesson
from prowess.core.model import ToolCall
from prowess.core.patch import DeleteSkill, Patch
from prowess.core.task import Score
from prowess.core.trajectory import Observation, Step, Trajectory
from prowess.trajectories.atif import from_atif
from prowess.trajectories.datasets import FORMATS, dpo, messages, sft, taught, verl


def run(
    id: str, passed: bool | None = True, *, said: str = "done", prompt: str = "do it", trusted: bool = True
) -> Trajectory:
    score = None if passed is None else Score(value=float(passed), passed=passed, verifier="suite:x", trusted=trusted)
    steps = (
        Step(source="system", message="rules"),
        Step(source="user", message=prompt),
        Step(source="agent", message=said),
    )
    return Trajectory(id=id, task_id="ledger/base/0", agent="a", model="m", steps=steps, score=score)


def test_messages_keep_calls_results_and_thoughts() -> None:
    call = ToolCall(id="c1", name="ls", arguments={"path": "."})
    seen = (Observation(content="a.txt", call_id="c1"), Observation(content="by the way"))
    found = messages([Step(source="agent", message="look", reasoning="hm", tool_calls=(call,), observations=seen)])
    assert [m["role"] for m in found] == ["assistant", "tool", "user"]
    assert found[0]["reasoning_content"] == "hm" and found[1]["tool_call_id"] == "c1"
    [made] = found[0]["tool_calls"]  # type: ignore[misc]
    assert json.loads(made["function"]["arguments"]) == {"path": "."}  # type: ignore[index,call-overload,arg-type]


def test_only_what_a_trusted_verifier_passed_is_imitated() -> None:
    every = [run("right"), run("wrong", False), run("unjudged", None), run("own word", trusted=False)]
    assert [row["trajectory"] for row in sft(every)] == ["right"]
    [row] = sft(every)
    assert [m["role"] for m in row["messages"]] == ["system", "user", "assistant"]  # type: ignore[union-attr,call-overload,index]


def test_pairs_share_their_prompt() -> None:
    every = [run("a"), run("b", False, said="no"), run("c", prompt="other"), run("d", False, prompt="third"), run("e")]
    [row] = dpo(every)
    assert row["trajectories"] == ["a", "b"] and row["chosen"] != row["rejected"]
    assert row["prompt"] == [{"role": "system", "content": "rules"}, {"role": "user", "content": "do it"}]


def test_a_prompt_is_practised_once() -> None:
    [row] = verl([run("a"), run("b", False), run("c", None)])
    assert row["extra_info"] == {"index": 0, "split": "train", "task": "ledger/base/0", "reached": 0.5}
    assert row["ability"] == "ledger" and row["data_source"] == "prowess"


def test_a_patch_teaches_its_author() -> None:
    lessons = [Lesson(kind="cause", text="Void rows do not count.", references=()) for _ in range(1)]
    patch = Patch(base="x", operations=(DeleteSkill(name="old"),), reason="r", lessons=(lessons[0].id,))
    row = taught(patch, [*lessons, Lesson(kind="cause", text="Something else.", references=())])
    asked, said = row["messages"]  # type: ignore[misc]
    assert "Void rows" in str(asked) and "Something else" not in str(asked)
    assert json.loads(said["content"]) == [{"op": "delete_skill", "name": "old"}]  # type: ignore[index,call-overload,arg-type]


text = st.text(st.characters(codec="utf-8"), max_size=9)
calls = st.builds(ToolCall, id=text, name=text, arguments=st.dictionaries(text, text))
steps = st.builds(
    Step,
    source=st.sampled_from(["system", "user", "agent"]),
    message=text,
    reasoning=text,
    tool_calls=st.lists(calls, max_size=2).map(tuple),
    observations=st.lists(st.builds(Observation, content=text, call_id=st.none() | text), max_size=2).map(tuple),
)
runs = st.builds(
    Trajectory, id=text, agent=text, model=text, steps=st.lists(steps, max_size=4).map(tuple), task_id=st.none() | text,
    score=st.none() | st.builds(Score, value=st.just(1.0), passed=st.booleans(), verifier=text, trusted=st.booleans()),
)  # fmt: skip


@given(st.lists(runs, max_size=4))
def test_whatever_a_run_holds_can_be_written(given_: list[Trajectory]) -> None:
    for make in FORMATS.values():
        for row in make(given_):
            assert json.loads(json.dumps(row)) == row


@pytest.mark.parametrize("passed", [True, False, None])
def test_atif_comes_back(passed: bool | None) -> None:
    [row] = FORMATS["atif"]([run("a", passed)])
    assert from_atif(row) == run("a", passed)
