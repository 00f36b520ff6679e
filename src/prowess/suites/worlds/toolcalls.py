"""Tool calls as text: `name(argument=value, ...)`, one call an action, with values as Python or JSON writes them.

The form that all worlds of tools share: what a player is told of its tools, how a call is read, and how a gold call is
written. Only data is read: an action is parsed, never evaluated, and what is no call of a tool at hand is answered with
what is wrong with it. Standard library only, as engines are.
"""

import ast
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

PROMPT: Final = (
    "You do what a user asks, by calling tools. An action is one call, such as `send(to='Ann', items=[1, 2])`: "
    "values are texts in quotes, numbers, true, false, null, lists and objects."
)


class Misread(Exception):
    """An action that is no call of a tool at hand; the text says why, to its author."""


@dataclass(frozen=True, slots=True)
class Tool:
    """What can be called."""

    name: str
    about: str
    parameters: Mapping[str, Mapping[str, Any]]
    """Of each parameter, its JSON Schema."""
    required: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    arguments: Mapping[str, Any]
    """JSON values."""

    def __str__(self) -> str:
        """The call as an action."""
        return f"{self.name}({', '.join(f'{name}={_text(value)}' for name, value in self.arguments.items())})"


REPLY: Final = Tool("reply", "Say something to the user.", {"text": {"type": "string"}}, frozenset({"text"}))
"""How a player speaks; each world says what comes of it."""


def tool(name: str, about: str, schema: Mapping[str, Any]) -> Tool:
    """A tool whose parameters are an object of JSON Schema."""
    definitions = schema.get("$defs", {})
    parameters = {name: _resolved(of, definitions) for name, of in schema.get("properties", {}).items()}
    return Tool(name, " ".join(about.split()), parameters, frozenset(schema.get("required", ())))


def described(tools: Iterable[Tool]) -> str:
    """What a player is told of its tools."""
    return "\n".join(_described(tool) for tool in tools)


def read(action: str, tools: Mapping[str, Tool]) -> Call:
    """The call that an action stands for.

    Raises:
        Misread: it is none, or none that `tools` has.
    """
    try:
        found = ast.parse(action.strip(), mode="eval").body
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        found = None
    if not isinstance(found, ast.Call) or not isinstance(found.func, ast.Name):
        raise Misread("That is no call. Write one as name(argument=value, ...).")
    if (wanted := tools.get(found.func.id)) is None:
        raise Misread(f"There is no tool {found.func.id!r} now.")
    if len(found.args) > len(wanted.parameters):
        raise Misread(f"{wanted.name} takes {len(wanted.parameters)} arguments at most.")
    try:
        given = list(zip(wanted.parameters, map(_value, found.args), strict=False))
        given += [(keyword.arg or "**", _value(keyword.value)) for keyword in found.keywords]
    except (ValueError, RecursionError):
        raise Misread("Arguments are texts in quotes, numbers, true, false, null, lists and objects.") from None
    names = [name for name, _ in given]
    if unknown := [name for name in names if name not in wanted.parameters]:
        raise Misread(f"{wanted.name} has no parameter {unknown[0]!r}.")
    if twice := [name for name in names if names.count(name) > 1]:
        raise Misread(f"{wanted.name} is given {twice[0]!r} twice.")
    if lacking := sorted(wanted.required - set(names)):
        raise Misread(f"{wanted.name} also needs {', '.join(lacking)}.")
    return Call(wanted.name, dict(given))


def _value(node: ast.expr) -> Any:
    """The JSON value that an expression writes out. Raises `ValueError` for everything else."""
    match node:
        case ast.Constant(value=str() | bool() | int() | None as value):
            return value
        case ast.Constant(value=float() as value) if math.isfinite(value):
            return value
        case ast.Name(id="true" | "false" | "null" as name):
            return {"true": True, "false": False, "null": None}[name]
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=ast.Constant(value=int() | float() as value)) if (
            not isinstance(value, bool) and math.isfinite(value)
        ):
            return -value if isinstance(sign, ast.USub) else value
        case ast.List(elts=found) | ast.Tuple(elts=found):
            return [_value(one) for one in found]
        case ast.Dict(keys=keys, values=values):
            return {_key(key): _value(value) for key, value in zip(keys, values, strict=True)}
        case _:
            raise ValueError


def _key(node: ast.expr | None) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    raise ValueError


def _text(value: Any) -> str:
    """A value as one line that survives `suite.plain`, which makes one space of many."""
    return re.sub(r" (?= )", r"\\x20", repr(value))


def _resolved(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """A schema with the definitions that it refers to in their places."""
    if isinstance(schema, Mapping):
        if isinstance(name := schema.get("$ref"), str):
            return _resolved(definitions.get(name.rpartition("/")[2], {}), definitions)
        return {key: _resolved(of, definitions) for key, of in schema.items()}
    return [_resolved(of, definitions) for of in schema] if isinstance(schema, list) else schema


def _described(tool: Tool) -> str:
    said = [f"{name}{'' if name in tool.required else '?'}: {_kind(of)}" for name, of in tool.parameters.items()]
    lines = [f"- {tool.name}({', '.join(said)}): {tool.about}"]
    for name, of in tool.parameters.items():
        if about := " ".join(str(of.get("description", "")).split()):
            lines.append(f"    {name}: {about}")
    return "\n".join(lines)


_KINDS: Final = {"string": "text", "integer": "whole number", "float": "number", "boolean": "true or false"}


def _kind(schema: Mapping[str, Any]) -> str:
    """What a value may be, in words."""
    if choices := schema.get("enum"):
        return " or ".join(map(_text, choices))
    if some := schema.get("anyOf"):
        return " or ".join(_kind(one) for one in some)
    kind = str(schema.get("type", "any"))
    if kind == "array":
        inner = _kind(schema.get("items", {}))
        return "list" if inner == "any" else f"list of {inner}"
    if isinstance(inner := schema.get("properties"), Mapping):
        return f"{{{', '.join(f'{name}: {_kind(of)}' for name, of in inner.items())}}}"
    return _KINDS.get(kind, "object" if kind == "dict" else kind)


def replied(text: str) -> Call:
    """The call that says `text` to the user."""
    return Call(REPLY.name, {"text": text})


def named(tools: Sequence[Tool]) -> dict[str, Tool]:
    """Tools by their names."""
    return {tool.name: tool for tool in tools}
