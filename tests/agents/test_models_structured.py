"""From a pydantic type to a request and back, with answers that may be anything."""

import contextlib
import json
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter

from prowess.agents.models.scripted import ScriptedModel
from prowess.agents.models.structured import Unreadable, ask, candidates, json_in, read
from prowess.core.errors import ModelError
from prowess.core.model import Message, Request


class Person(BaseModel):
    name: str
    age: int


REQUEST = Request(messages=(Message(role="user", content="Who?"),))
GOOD = '{"name": "Ann", "age": 3}'
ANN = Person(name="Ann", age=3)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
prose = st.text(st.characters(exclude_characters="{}[]`", exclude_categories=["Cs"]))


def answer(*texts: str) -> tuple[Person, ScriptedModel]:
    model = ScriptedModel(list(texts))
    return anyio.run(ask, model, REQUEST, Person), model


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"  {GOOD}\n",
        f"```json\n{GOOD}\n```",
        f"Here it is:\n```\n{GOOD}\n```\nDone.",
        f"```json\n{GOOD}",
        f"Sure! {GOOD} I hope that helps.",
        f'An empty one {{}} and a wrong one {{"name": 1}} and {GOOD}',
        f"```python\nx = [1\n```\nand {GOOD}",
    ],
)
def test_one_call_is_enough_for_readable_answers(text: str) -> None:
    found, model = answer(text)
    assert found == ANN
    assert len(model.requests) == 1
    assert model.requests[0].json_schema == Person.model_json_schema()


def test_line_breaks_inside_strings_are_forgiven() -> None:
    assert answer('{"name": "A\nnn", "age": 3}')[0].name == "A\nnn"


def test_an_unusable_answer_is_asked_again_with_its_fault() -> None:
    found, model = answer('{"name": "Ann"}', GOOD)
    assert found == ANN
    again = model.requests[1].messages
    assert again[-2] == Message(role="assistant", content='{"name": "Ann"}')
    assert "age" in again[-1].content and "Field required" in again[-1].content


def test_the_second_failure_is_final_and_keeps_the_text() -> None:
    with pytest.raises(Unreadable, match="asked twice") as raised:
        answer("no", "still no")
    assert raised.value.raw == "still no"
    assert isinstance(raised.value, ModelError) and not raised.value.retryable


def test_other_types_than_models_can_be_asked_for() -> None:
    assert anyio.run(ask, ScriptedModel(["[1, 2]"]), REQUEST, list[int]) == [1, 2]


@given(json_values)
def test_json_is_read_as_it_is(value: Any) -> None:
    assert json_in(json.dumps(value)) == value


@given(json_values, prose, prose)
def test_json_is_found_in_a_fence(value: Any, before: str, after: str) -> None:
    text = f"x{before}\n```json\n{json.dumps(value, indent=1).replace('`', '?')}\n```\n{after}"
    expected = json.loads(json.dumps(value).replace("`", "?"))
    assert json_in(text) == expected


@given(st.dictionaries(st.text(), json_values, min_size=1, max_size=3), prose, prose)
def test_json_is_found_among_words(value: Any, before: str, after: str) -> None:
    text = f"x{before}{json.dumps(value)}{after}".replace("`", "?")
    assert json_in(text) == json.loads(json.dumps(value).replace("`", "?"))


@given(st.text() | st.text(alphabet='{}[]",:`\n01eE-+.tfn\\ '))
def test_anything_at_all_is_read_or_refused(text: str) -> None:
    for found in candidates(text):
        json.dumps(found, allow_nan=False)
    with contextlib.suppress(ValueError):
        assert isinstance(read(text, TypeAdapter(Person)), Person)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        '{"a":' * 100_000,
        "[1," * 100_000,
        "```\n" * 50_000,
        "9" * 100_000,
        '{"name": NaN, "age": Infinity}',
        '{"name": "x", "age": 1e999}',
        '{"name": "\\ud800", "age": 1}',
        "__import__('os').abort()",
    ],
)
def test_hostile_answers_are_refused_quickly(text: str) -> None:
    with pytest.raises(ValueError):
        read(text, TypeAdapter(Person))
