"""Tool calls as text: what is written is read again, and nothing that is read is more than data."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prowess.suites.worlds.suite import plain
from prowess.suites.worlds.toolcalls import Call, Misread, described, read, tool

SEND = tool(
    "send",
    "Sends  a\n message.",
    {
        "type": "object",
        "properties": {
            "to": {"type": "array", "items": {"type": "string"}, "description": "Who gets it."},
            "text": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "how": {"$ref": "#/$defs/How"},
            "times": {"type": "integer", "default": 1},
        },
        "required": ["to", "text"],
        "$defs": {"How": {"enum": ["mail", "chat"], "type": "string"}},
    },
)
LIST = tool("list_all", "Lists them.", {"type": "object", "properties": {}})
TOOLS = {tool.name: tool for tool in (SEND, LIST)}

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.fixed_dictionaries({"to": values, "text": values}, optional={"how": values, "times": values}))
def test_a_call_survives_being_an_action(arguments: dict[str, object]) -> None:
    action = str(Call("send", arguments))
    assert plain(action) == action[:10_000]
    if len(action) <= 10_000:
        assert read(plain(action), TOOLS) == Call("send", arguments)


@given(st.text() | st.text().map(lambda text: f"send {text}") | values.map(lambda v: f"send {json.dumps(v)}"))
def test_what_is_no_call_is_answered(action: str) -> None:
    try:
        found = read(action, TOOLS)
    except Misread:
        return
    assert found.name in TOOLS or found.name == "say"


@pytest.mark.parametrize(
    ("action", "why"),
    [
        ("", "no tool ''"),
        ("sned {}", "no tool 'sned'"),
        ("say", "no tool 'say'"),
        ("send", "also needs to, text"),
        ('send {"to": []}', "also needs text"),
        ('send {"to": [], "text": "", "bcc": 1}', "no argument 'bcc'"),
        ("send [1]", "no JSON object"),
        ('send {"to": [], "text": NaN}', "no JSON object"),
        ('send {"to": [], "text": 1e999}', "no JSON object"),
        ("send " + '{"to":' * 5_000, "no JSON object"),
        ("send {'to': __import__('os')}", "no JSON object"),
    ],
)
def test_it_says_what_is_wrong(action: str, why: str) -> None:
    with pytest.raises(Misread) as error:
        read(action, TOOLS)
    assert why in str(error.value)


def test_saying_and_calls_without_arguments() -> None:
    assert read("say It is {done}.", TOOLS) == Call("say", {"text": "It is {done}."})
    assert str(read("say It is {done}.", TOOLS)) == "say It is {done}."
    assert read("list_all", TOOLS) == read("list_all {}", TOOLS) == Call("list_all", {})
    assert str(Call("list_all")) == "list_all"


def test_a_player_is_told_of_its_tools() -> None:
    assert described(TOOLS.values()).splitlines() == [
        "- send: Sends a message.",
        "    to (list of text): Who gets it.",
        "    text (text or null)",
        '    how ("mail" or "chat", null by default)',
        "    times (whole number, 1 by default)",
        "- list_all: Lists them.",
    ]
