"""Tool calls as text: the name of a tool, then its arguments as a JSON object; one call an action.

The form that worlds of tools share: how a player is told of its tools, how a call is read and written. An action is
only ever read as data; what is no call of a tool at hand is answered with what is wrong with it. Standard library only,
as in engines.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

HOW: Final = (
    "Each of your actions is one call of a tool: its name, and after it the arguments as a JSON object, such as `NAME` "
    'or `NAME {"argument": "value"}`.'
)
SAY: Final = "say"
"""The action `say TEXT` tells the user something; each world says what comes of it."""


class Misread(Exception):
    """An action that is no call of a tool at hand; the text says why, to its author."""


@dataclass(frozen=True, slots=True)
class Tool:
    """What can be called."""

    name: str
    about: str
    parameters: Mapping[str, Any]
    """Of each parameter, its JSON Schema."""
    required: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool, or of `say` with the argument `text`."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """JSON values."""

    def __str__(self) -> str:
        """The call as an action: one line, in which no two spaces meet, for these become one."""
        if self.name == SAY:
            return f"{SAY} {self.arguments['text']}"
        text = json.dumps(dict(self.arguments), ensure_ascii=False) if self.arguments else ""
        return re.sub(r"(?<= ) |[^\S ]", lambda found: f"\\u{ord(found[0]):04x}", f"{self.name} {text}".strip())


def tool(name: str, about: str, schema: Mapping[str, Any]) -> Tool:
    """A tool whose arguments are an object of this JSON Schema."""
    definitions = schema.get("$defs", {})
    parameters = {name: _resolved(of, definitions) for name, of in schema.get("properties", {}).items()}
    return Tool(name, " ".join(about.split()), parameters, frozenset(schema.get("required", ())))


def described(tools: Iterable[Tool]) -> str:
    """What a player is told of its tools."""
    return "\n".join(line for tool in tools for line in _described(tool))


def read(action: str, tools: Mapping[str, Tool]) -> Call:
    """The call that an action stands for.

    Raises:
        Misread: it is none, or none of these tools.
    """
    name, _, rest = action.strip().partition(" ")
    if name == SAY and rest:
        return Call(SAY, {"text": rest})
    if (wanted := tools.get(name)) is None:
        raise Misread(f"There is no tool {name[:80]!r} now. {HOW}")
    given = _object(rest or "{}")
    if unknown := [name for name in given if name not in wanted.parameters]:
        raise Misread(f"{wanted.name} has no argument {unknown[0][:80]!r}.")
    if lacking := [name for name in wanted.parameters if name in wanted.required and name not in given]:
        raise Misread(f"{wanted.name} also needs {', '.join(lacking)}.")
    return Call(wanted.name, given)


def _object(text: str) -> dict[str, Any]:
    try:
        found: Any = json.loads(text, parse_constant=_number, parse_float=_number)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Misread(f"The arguments are no JSON object. {HOW}")
    return cast(dict[str, Any], found)


def _number(text: str) -> float:
    """A number that is one: JSON as Python reads it has others."""
    if not math.isfinite(number := float(text)):
        raise ValueError(text)
    return number


def _resolved(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """A schema with the definitions that it refers to in their places."""
    match schema:
        case {"$ref": str() as name}:
            return _resolved(definitions.get(name.rpartition("/")[2], {}), definitions)
        case dict():
            return {key: _resolved(of, definitions) for key, of in cast(dict[str, Any], schema).items()}
        case list():
            return [_resolved(of, definitions) for of in cast(list[Any], schema)]
        case _:
            return schema


def _described(tool: Tool) -> Iterable[str]:
    yield f"- {tool.name}: {tool.about}"
    for name, of in tool.parameters.items():
        default = "" if name in tool.required else f", {json.dumps(of.get('default'))} by default"
        about = " ".join(str(of.get("description", "")).split())
        yield f"    {name} ({_kind(of)}{default}){': ' if about else ''}{about}"


_KINDS: Final = {"string": "text", "integer": "whole number", "float": "number", "boolean": "true or false"}


def _kind(schema: Mapping[str, Any]) -> str:
    """What a value may be, in words."""
    if choices := schema.get("enum"):
        return " or ".join(map(json.dumps, choices))
    if some := schema.get("anyOf"):
        return " or ".join(map(_kind, some))
    kind = str(schema.get("type", "any"))
    if kind == "array":
        inner = _kind(schema.get("items", {}))
        return "list" if inner == "any" else f"list of {inner}"
    if inner := schema.get("properties"):
        return f"object of {', '.join(f'{name} ({_kind(of)})' for name, of in inner.items())}"
    return _KINDS.get(kind, "object" if kind == "dict" else kind)
