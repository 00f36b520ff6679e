"""The table of agents (`agents.toml`): which ways each can be connected, and what that changes in which file."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal, cast

from pydantic import JsonValue

from prowess.core.base import Frozen
from prowess.core.errors import UserError
from prowess.serve.connect.edits import Edit

Way = Literal["mcp", "hooks", "proxy"]
WAYS: Final[tuple[Way, ...]] = ("mcp", "hooks", "proxy")


class Moved(Frozen):
    """An environment variable that moves an agent's folder."""

    name: str
    default: str
    also: tuple[str, ...] = ()
    """Files beside that folder which move into it."""


class Row(Frozen):
    """One change of the table."""

    file: str
    path: tuple[str, ...]
    set: JsonValue = None
    add: JsonValue = None


class Agent(Frozen):
    """An agent that can be connected."""

    name: str
    title: str
    moved: Moved | None = None
    mcp: tuple[Row, ...] = ()
    hooks: tuple[Row, ...] = ()
    proxy: tuple[Row, ...] = ()

    @property
    def ways(self) -> tuple[Way, ...]:
        return tuple(way for way in WAYS if self.rows(way))

    def rows(self, way: Way) -> tuple[Row, ...]:
        return {"mcp": self.mcp, "hooks": self.hooks, "proxy": self.proxy}[way]

    def place(self, file: str, home: Path, values: Mapping[str, object]) -> Path:
        """Where a file of the table lies on this machine."""
        moved = values.get(self.moved.name) if self.moved is not None else None
        if self.moved is None or not moved:
            return home / file
        inside = file if file in self.moved.also else file.removeprefix(f"{self.moved.default}/")
        return Path(str(moved)).expanduser() / inside


@cache
def agents() -> dict[str, Agent]:
    table = tomllib.loads(files("prowess.serve.connect").joinpath("agents.toml").read_text("utf-8"))
    return {name: Agent.model_validate({"name": name, **row}) for name, row in table.items()}


def agent(name: str) -> Agent:
    """Raises UserError for an agent that is not in the table."""
    found = agents().get(name)
    if found is None:
        raise UserError(f"no agent is named {name!r}", f"choose one of {', '.join(agents())}")
    return found


def edits_for(
    name: str, ways: tuple[Way, ...], home: Path, values: Mapping[str, object]
) -> dict[Path, tuple[Edit, ...]]:
    """What connecting changes, by file.

    Raises:
        UserError: the agent is not in the table, or cannot be connected in one of the ways.
    """
    found = agent(name)
    changes: dict[Path, tuple[Edit, ...]] = {}
    for way in ways:
        if not found.rows(way):
            known = ", ".join(found.ways)
            raise UserError(f"{found.title} cannot be connected by {way}", f"leave it out; it can by {known}")
        for row in found.rows(way):
            value = _filled(row.set if row.add is None else row.add, values)
            edit = Edit(path=row.path, value=value, item=row.add is not None)
            place = found.place(row.file, home, values)
            changes[place] = (*changes.get(place, ()), edit)
    return changes


def _filled(value: JsonValue, values: Mapping[str, object]) -> JsonValue:
    if isinstance(value, str) and value.startswith("{") and value.endswith("}"):
        return cast(JsonValue, values[value[1:-1]])
    if isinstance(value, dict):
        return {key: _filled(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, values) for item in cast(list[Any], value)]
    return value
